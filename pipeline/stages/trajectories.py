"""Stage `trajectories`: train the highlighted seed's model of every initializer beside a copy perturbed by 1 ulp.

`python -m pipeline.stages.trajectories` writes trajectories/<initializer>.npz: the weights of both models at
iterations 0, 1, 2, 5, 10, ... .
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from pipeline.cluster import connection
from pipeline.cluster.connection import Workers
from pipeline.networks.parameters import Parameters, with_perturbed_copies
from pipeline.numerics import machine_code
from pipeline.stages import progress
from pipeline.stages.train import COMPILING
from pipeline.storage import jobs, trained
from pipeline.storage.jobs import ModelsJob
from pipeline.training import gradient_descent


def trajectories() -> None:
    """Write trajectories/<initializer>.npz for every initializer of jobs/trajectories.json."""
    wanted, training = jobs.read_trajectories_job(), jobs.read_training_job()
    names = wanted.initializers
    all_jobs = [jobs.read_models_job(name) for name in names]
    X, Y = all_jobs[0].training_set()  # the same for all
    n_initializers = progress.count(len(names), "initializer")

    def trained_by(workers: Workers, job: ModelsJob) -> list[Parameters]:
        pair = with_perturbed_copies(job.initial_parameters((wanted.seed,), X))
        models = gradient_descent.train(
            pair,
            X,
            Y,
            job.phi,
            record_at=training.snapshots_at,
            seeds=[wanted.seed] * 2,
            keep=True,
            executor=workers.executor,
            n_workers=workers.n_threads,
            memory=workers.memory,
            **training.settings,
        )
        return models.snapshots

    with (
        ThreadPoolExecutor(len(names)) as threads,  # used with a cluster only: each waits for one initializer
        connection.workers("trajectories") as workers,
        progress.task(
            f"Training the models of seed {wanted.seed} and perturbed copies, {n_initializers}{workers.place}.",
            len(names),
            "initializer",
        ) as advance,
        machine_code.when_compiling(lambda: print(COMPILING, file=sys.stderr)),
    ):
        map_jobs = threads.map if workers.executor else map
        for name, snapshots in zip(names, map_jobs(partial(trained_by, workers), all_jobs), strict=True):
            trained.write_snapshots(name, training.snapshots_at, snapshots)
            advance(1)


if __name__ == "__main__":
    from pipeline.stages import run_and_exit

    run_and_exit(trajectories)
