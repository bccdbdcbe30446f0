"""The one place that imports Scaper, whose last release (1.6.5) predates NumPy 2.

Use it as `from common.support.scaper_compat import scaper`. It puts back `numpy.Inf`, which NumPy 2
dropped and without which Scaper draws no event. Importing takes a few seconds. UsageError where
Scaper is not installed.
"""

import numpy

from common.support.optional import check_installed

check_installed("scaper")

if not hasattr(numpy, "Inf"):
    numpy.Inf = numpy.inf

import scaper  # noqa: E402 - only after the name above is back

__all__ = ["scaper"]
