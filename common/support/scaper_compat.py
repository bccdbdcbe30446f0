"""The one place that imports Scaper, whose last release (1.6.5) predates NumPy 2.

Use it as `from common.support.scaper_compat import scaper`. It restores `numpy.Inf`, which NumPy 2
removed and which Scaper needs to draw events. Importing takes a few seconds. Raises UsageError if
Scaper is not installed.
"""

import numpy

from common.support.optional import check_installed

check_installed("scaper")

if not hasattr(numpy, "Inf"):
    numpy.Inf = numpy.inf

import scaper  # noqa: E402 - only after the name above is restored

__all__ = ["scaper"]
