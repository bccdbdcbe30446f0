"""The one place that imports nussl, whose last release (1.1.9) predates current scipy and NumPy.

Use it as `from common.support.nussl_compat import nussl`. It restores the names that nussl uses:
the window functions that scipy 1.13 moved to `scipy.signal.windows`, and `numpy.mat`, which NumPy 2
removed. Importing takes several seconds. Raises UsageError if nussl is not installed.
"""

import numpy
import scipy.signal

from common.support.optional import check_installed

check_installed("nussl")

for _name in ("hamming", "hann", "blackman", "blackmanharris", "bartlett", "boxcar"):
    if not hasattr(scipy.signal, _name):
        setattr(scipy.signal, _name, getattr(scipy.signal.windows, _name))
if not hasattr(numpy, "mat"):
    numpy.mat = numpy.asmatrix

import nussl  # noqa: E402 - only after the names above are restored

__all__ = ["nussl"]
