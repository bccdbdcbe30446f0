"""The shared package of the book: songs, transforms, nets, training, separation, evaluation.

Importing `common` itself is cheap; each module imports only what it needs.
"""

__version__ = "0.1.0"

SAMPLE_RATE = 22050
"""The sample rate in Hz at which every model of the book is trained and compared."""

SOURCES = ("drums", "bass", "other", "vocals")
"""The four stems of MUSDB18, in the order of every source axis of the book."""

DEFAULT_MODEL = "d3net"
"""The model that `separate` uses by default, for the reason in `WHY_DEFAULT`."""

WHY_DEFAULT = (
    "the highest mean SDR on test songs among the nets at least 4 times faster than real time"
)
"""Follows from the model cards, as a test checks. Validation songs cannot decide it: they share the
instruments of the training songs, and a reader's songs have other instruments."""
