"""Stage `train`: train one model per seed of one initializer.

`python -m pipeline.stages.train --initializer he` reads jobs/initializers/he.json, jobs/training.json and
data/train.csv, and writes runs/he: the final weights and the cost curve of every seed.
"""

import argparse
import sys
from collections.abc import Sequence

from pipeline.cluster import connection
from pipeline.numerics import machine_code
from pipeline.stages import progress
from pipeline.storage import jobs, trained
from pipeline.training import gradient_descent
from pipeline.training.memory import require_memory

COMPILING = "Compiling the kernel for this processor: about 10 seconds, once."


def train(name: str) -> None:
    """Train the models of the initializer `name` and write runs/<name>."""
    job, training = jobs.read_models_job(name), jobs.read_training_job()
    X, Y = job.training_set()
    require_memory(job.layers_dims, len(job.seeds))
    n_models = progress.count(len(job.seeds), "model")
    iterations = progress.count(training.iterations, "iteration")
    with (
        connection.workers("train", name) as workers,
        progress.task(
            f"Training {n_models} of {name} for {iterations}{workers.place}.", len(job.seeds), "model"
        ) as advance,
        machine_code.when_compiling(lambda: print(COMPILING, file=sys.stderr)),
    ):
        require_memory(job.layers_dims, 1, workers.memory, "a thread of the cluster")
        models = gradient_descent.train(
            job.initial_parameters(job.seeds, X),
            X,
            Y,
            job.phi,
            record_at=training.record_at,
            seeds=job.seeds,
            executor=workers.executor,
            n_workers=workers.n_threads,
            memory=workers.memory,
            progress=advance,
            **training.settings,
        )
        trained.write_run(name, job.seeds, models.parameters, training.record_at, models.costs)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.stages.train", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument(
        "--initializer", required=True, metavar="NAME", help="a name under `initializers` in params.yaml"
    )
    train(parser.parse_args(arguments).initializer)


if __name__ == "__main__":
    from pipeline.stages import run_and_exit

    run_and_exit(main)
