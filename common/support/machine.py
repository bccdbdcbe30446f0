"""What this machine has."""

import os


def n_cores() -> int:
    """How many cores this process may use; not every system can say it for one process."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
