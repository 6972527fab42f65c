"""The number of workers for training."""

import joblib


def n_cores() -> int:
    """The number of CPUs available to this process, as limited by affinity, container quotas or LOKY_MAX_CPU_COUNT."""
    return int(joblib.cpu_count(only_physical_cores=False))
