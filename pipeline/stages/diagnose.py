"""Stage `diagnose`: measure the models of all initializers at initialization, one per initializer and seed.

`python -m pipeline.stages.diagnose` reads jobs/initializers/ and data/train.csv, and writes diagnostics/<initializer>.
One stage measures all initializers: of a small network the measurements take less time than a process takes to start.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

from pipeline.diagnostics import measure
from pipeline.numerics import machine_code
from pipeline.numerics.sums import integer_sum
from pipeline.stages import progress
from pipeline.storage import jobs, measurements
from pipeline.storage.jobs import ModelsJob
from pipeline.training import executors
from pipeline.training.memory import require_memory

COMPILING = "Compiling the matrix products for this processor: some seconds, once."
WEIGHTS_AT_ONCE = 2**22  # weights of the models that are measured as one stack: 32 MB; or one model

Slice = tuple[ModelsJob, tuple[int, ...]]  # some of the seeds of a job


def diagnose() -> None:
    """Measure the models of every job and write diagnostics/<initializer>."""
    all_jobs = jobs.read_models_jobs()
    for job in all_jobs:
        require_memory(job.layers_dims, 1)
    X, Y = all_jobs[0].training_set()  # the same for all
    slices = [part for job in all_jobs for part in slices_of(job)]

    def measured(part: Slice) -> measure.Measurements:
        job, seeds = part
        return measure.measure(job.initial_parameters(seeds, X), X, Y, job.phi)

    n_models = len(all_jobs) * len(all_jobs[0].seeds)
    description = f"Measuring {progress.count(n_models, 'model')} at initialization."
    with (
        progress.task(description, n_models, "model") as advance,
        machine_code.when_compiling(lambda: print(COMPILING, file=sys.stderr)),
        ThreadPoolExecutor(executors.n_cores()) as threads,
    ):
        results = threads.map(measured, slices)
        for job in all_jobs:
            parts = []
            for _, seeds in slices_of(job):
                parts.append(next(results))
                advance(len(seeds))
            write(job, measure.concatenate(parts))


def slices_of(job: ModelsJob) -> list[Slice]:
    """The seeds of a job in parts of at most WEIGHTS_AT_ONCE weights, but at least one model."""
    n_weights = integer_sum(fan_in * fan_out for fan_in, fan_out in pairwise(job.layers_dims))
    size = max(1, WEIGHTS_AT_ONCE // n_weights)
    return [(job, job.seeds[start : start + size]) for start in range(0, len(job.seeds), size)]


def write(job: ModelsJob, M: measure.Measurements) -> None:
    """Write diagnostics/<initializer> of a job."""
    counts = {"z": M.Z_counts, "a": M.A_counts}
    measurements.write_measurements(job.initializer, job.seeds, M.layers, M.models, counts, M.dead)


if __name__ == "__main__":
    from pipeline.stages import run_and_exit

    run_and_exit(diagnose)
