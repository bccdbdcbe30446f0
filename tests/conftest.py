"""What every test runs under: the smoke scale, one thread, and no window to draw into."""

import os
from pathlib import Path

os.environ.setdefault("BOOK_SCALE", "smoke")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")

# librosa keeps what numba compiles in files, and two workers that write them at once crash.
if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    os.environ["NUMBA_CACHE_DIR"] = str(Path(__file__).parents[1] / "_build" / "numba" / worker)
