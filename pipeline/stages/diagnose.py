"""Stage `diagnose`: measure the models of one initializer at initialization, one per seed.

`python -m pipeline.stages.diagnose --initializer he` reads jobs/initializers/he.json and data/train.csv, and writes
diagnostics/he.
"""

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

from pipeline.diagnostics import measure
from pipeline.networks import kernel
from pipeline.numerics.sums import integer_sum
from pipeline.stages import initializer_argument, progress
from pipeline.storage import jobs, measurements
from pipeline.training import executors
from pipeline.training.memory import require_memory

COMPILING = "Compiling the matrix products for this processor: some seconds, once."
WEIGHTS_AT_ONCE = 2**22  # weights of the models that are measured as one stack: 32 MB; or one model


def diagnose(name: str) -> None:
    """Measure the models of the initializer `name` and write diagnostics/<name>."""
    job = jobs.read_models_job(name)
    X, Y = job.training_set()
    require_memory(job.layers_dims, 1)
    n_weights = integer_sum(fan_in * fan_out for fan_in, fan_out in pairwise(job.layers_dims))
    size = max(1, WEIGHTS_AT_ONCE // n_weights)
    slices = [job.seeds[start : start + size] for start in range(0, len(job.seeds), size)]

    def measured(seeds: tuple[int, ...]) -> measure.Measurements:
        return measure.measure(job.initial_parameters(seeds, X), X, Y, job.phi)

    description = f"Measuring {progress.count(len(job.seeds), 'model')} of {name} at initialization."
    with (
        progress.task(description, len(job.seeds), "model") as advance,
        kernel.when_compiling(lambda: print(COMPILING, file=sys.stderr)),
        ThreadPoolExecutor(executors.n_cores()) as threads,
    ):
        parts = []
        for seeds, part in zip(slices, threads.map(measured, slices), strict=True):
            parts.append(part)
            advance(len(seeds))
        M = measure.concatenate(parts)
        measurements.write_measurements(name, job.seeds, M.layers, M.models, {"z": M.Z_counts, "a": M.A_counts}, M.dead)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line."""
    diagnose(initializer_argument("diagnose", __doc__, arguments))


if __name__ == "__main__":
    from pipeline.stages import run_and_exit

    run_and_exit(main)
