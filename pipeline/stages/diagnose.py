"""Stage `diagnose`: measure the models of all initializers at initialization, one per initializer and seed.

`python -m pipeline.stages.diagnose` reads jobs/initializers/ and data/train.csv, and writes diagnostics/<initializer>.
One stage measures all initializers: of a small network the measurements take less time than a process takes to start.
"""

import math
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise, repeat

from pipeline.cluster import connection
from pipeline.diagnostics import initial_models, measure
from pipeline.numerics import machine_code
from pipeline.numerics.sums import DOUBLE, integer_sum
from pipeline.stages import progress
from pipeline.storage import jobs, measurements
from pipeline.storage.jobs import ModelsJob
from pipeline.training import executors
from pipeline.training.memory import require_memory

COMPILING = "Compiling the matrix products for this processor: some seconds, once."
COPIES, WORK_COPIES = 6, 8  # of the weights of each model, and of one model, that measuring holds at the same time
WEIGHTS_AT_ONCE = 2**22  # weights of the models that are measured as one stack: 32 MB; or one model

Slice = tuple[ModelsJob, tuple[int, ...]]  # some of the seeds of a job


def diagnose() -> None:
    """Measure the models of every job and write diagnostics/<initializer>."""
    all_jobs = jobs.read_models_jobs()
    for job in all_jobs:
        require_memory(job.layers_dims, 1)
    X, Y = all_jobs[0].training_set()  # the same for all
    n_models = len(all_jobs) * len(all_jobs[0].seeds)
    with (
        ThreadPoolExecutor(executors.n_cores()) as threads,
        connection.workers("diagnose") as workers,
        progress.task(
            f"Measuring {progress.count(n_models, 'model')} at initialization{workers.place}.", n_models, "model"
        ) as advance,
        machine_code.when_compiling(lambda: print(COMPILING, file=sys.stderr)),
    ):
        require_memory(all_jobs[0].layers_dims, 1, workers.memory, "a thread of the cluster")
        largest = -(-n_models // (executors.SLICES * workers.n_threads)) if workers.executor else n_models
        slices = [part for job in all_jobs for part in slices_of(job, largest, workers.memory)]
        drawn = (job.initial_parameters(seeds, X) if workers.executor and job.code else None for job, seeds in slices)
        executor = workers.executor or threads
        results = executor.map(initial_models.measured, *zip(*slices, strict=True), repeat(X), repeat(Y), drawn)
        for job in all_jobs:
            parts = []
            for _, seeds in slices_of(job, largest, workers.memory):
                parts.append(next(results))
                advance(len(seeds))
            write(job, measure.concatenate(parts))


def slices_of(job: ModelsJob, largest: int, memory: float = math.inf) -> list[Slice]:
    """The seeds of a job in parts of at most `largest` models, WEIGHTS_AT_ONCE weights and `memory` bytes.

    A part has at least one model.
    """
    n_weights = integer_sum(fan_in * fan_out for fan_in, fan_out in pairwise(job.layers_dims))
    fitting = (memory / (DOUBLE * n_weights) - WORK_COPIES) / COPIES
    size = max(1, int(min(largest, WEIGHTS_AT_ONCE // n_weights, fitting)))
    return [(job, job.seeds[start : start + size]) for start in range(0, len(job.seeds), size)]


def write(job: ModelsJob, M: measure.Measurements) -> None:
    """Write diagnostics/<initializer> of a job."""
    counts = {"z": M.Z_counts, "a": M.A_counts}
    measurements.write_measurements(job.initializer, job.seeds, M.layers, M.models, counts, M.dead)


if __name__ == "__main__":
    from pipeline.stages import run_and_exit

    run_and_exit(diagnose)
