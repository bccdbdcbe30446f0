"""The shared package of the book: songs, transforms, nets, training, separation, evaluation.

Importing `common` itself is cheap; each module imports only what it needs.
"""

__version__ = "0.1.0"

SAMPLE_RATE = 22050
"""The bench rate in Hz: every model of the book is trained and compared at this rate."""

SOURCES = ("drums", "bass", "other", "vocals")
"""The four stems of MUSDB18, in the order of every source axis of the book."""

DEFAULT_MODEL = "d3net"
"""What separates where no model is named: see `WHY_DEFAULT`."""

WHY_DEFAULT = (
    "the highest mean SDR on test songs of the nets at least 4 times faster than real time"
)
"""By the model cards, and tested against them. Validation songs are of no use for this choice: they
have the instruments of the training songs, and a reader's songs have others."""
