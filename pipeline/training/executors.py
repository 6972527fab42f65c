"""The number of workers for training, and of slices for each."""

import math
import os
from pathlib import Path

SLICES = 4  # per worker, so that no worker is idle for long at the end
THREAD_SLICES = 2  # per thread of this process, whose cores are equally fast: each slice adds calls from Python
CONTROL_GROUPS = Path("/sys/fs/cgroup")
QUOTAS = (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"))  # files of versions 2 and 1


def n_cores() -> int:
    """The number of CPUs available to this process, as limited by affinity, container quotas or LOKY_MAX_CPU_COUNT.

    The same as `joblib.cpu_count`, whose package takes longer to import than NumPy's.
    """
    limits = [len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1]
    limits.append(quota() or limits[0])
    limits.append(int(os.environ.get("LOKY_MAX_CPU_COUNT") or limits[0]))
    return max(1, min(limits))


def quota() -> int | None:
    """The number of CPUs, rounded up, that a container may use per period; None if it is not limited."""
    for names in QUOTAS:
        try:
            used, period = " ".join((CONTROL_GROUPS / name).read_text() for name in names).split()
        except (OSError, ValueError):
            continue
        if used.isdecimal() and int(used) > 0:  # not "max" or -1
            return math.ceil(int(used) / int(period))
        return None
    return None
