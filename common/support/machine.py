"""Properties of this machine."""

import os


def n_cores() -> int:
    """How many cores this process may use, or all cores if the system has no such limit."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
