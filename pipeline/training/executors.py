"""How many workers training may use."""

import joblib


def n_cores() -> int:
    """The number of CPUs that this process may use; affinity, a container, LOKY_MAX_CPU_COUNT may limit it."""
    return int(joblib.cpu_count(only_physical_cores=False))
