"""Stage `trajectories`: train the highlighted seed's model of every initializer beside a copy perturbed by 1 ulp.

`python -m pipeline.stages.trajectories` writes trajectories/<initializer>.npz: the weights of both models at
iterations 0, 1, 2, 5, 10, ... .
"""

import sys

from pipeline.networks.parameters import with_perturbed_copies
from pipeline.numerics import machine_code
from pipeline.stages import progress
from pipeline.stages.train import COMPILING
from pipeline.storage import jobs, trained
from pipeline.training import gradient_descent


def trajectories() -> None:
    """Write trajectories/<initializer>.npz for every initializer of jobs/trajectories.json."""
    wanted, training = jobs.read_trajectories_job(), jobs.read_training_job()
    names = wanted.initializers
    description = (
        f"Training the models of seed {wanted.seed} and perturbed copies, {progress.count(len(names), 'initializer')}."
    )
    with (
        progress.task(description, len(names), "initializer") as advance,
        machine_code.when_compiling(lambda: print(COMPILING, file=sys.stderr)),
    ):
        for name in names:
            job = jobs.read_models_job(name)
            X, Y = job.training_set()
            pair = with_perturbed_copies(job.initial_parameters((wanted.seed,), X))
            models = gradient_descent.train(
                pair,
                X,
                Y,
                job.phi,
                record_at=training.snapshots_at,
                seeds=[wanted.seed] * 2,
                keep=True,
                **training.settings,
            )
            trained.write_snapshots(name, training.snapshots_at, models.snapshots)
            advance(1)


if __name__ == "__main__":
    from pipeline.stages import run_and_exit

    run_and_exit(trajectories)
