"""What every test runs under: the smoke scale, one thread, and no window to draw into."""

import os

os.environ.setdefault("BOOK_SCALE", "smoke")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")
