"""The shared package of the book: songs, transforms, nets, training, separation, evaluation.

Importing `common` itself is cheap; each module imports only what it needs.
"""

__version__ = "0.1.0"

SAMPLE_RATE = 22050
"""The bench rate in Hz: every model of the book is trained and compared at this rate."""

SOURCES = ("drums", "bass", "other", "vocals")
"""The four stems of MUSDB18, in the order of every source axis of the book."""
