"""Stage `train`: train one model per seed of one initializer.

`python -m pipeline.stages.train --initializer he` reads jobs/initializers/he.json, jobs/training.json and
data/train.csv, and writes runs/he: the final weights and the cost curve of every seed.
"""

import sys
from collections.abc import Sequence

from tqdm import tqdm

from pipeline.networks import kernel
from pipeline.stages import initializer_argument
from pipeline.storage import jobs, trained
from pipeline.training import gradient_descent
from pipeline.training.memory import require_memory

COMPILING = "Compiling the kernel for this processor: about 20 seconds, once."


def train(name: str) -> None:
    """Train the models of the initializer `name` and write runs/<name>."""
    job, training = jobs.read_models_job(name), jobs.read_training_job()
    X, Y = job.training_set()
    require_memory(job.layers_dims, len(job.seeds))
    with (
        kernel.when_compiling(lambda: print(COMPILING, file=sys.stderr)),
        tqdm(total=len(job.seeds), desc=name, unit="model", leave=False, disable=None) as bar,
    ):
        models = gradient_descent.train(
            job.initial_parameters(job.seeds, X),
            X,
            Y,
            job.phi,
            record_at=training.record_at,
            seeds=job.seeds,
            progress=bar.update,
            **training.settings,
        )
    trained.write_run(name, job.seeds, models.parameters, training.record_at, models.costs)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line."""
    train(initializer_argument("train", __doc__, arguments))


if __name__ == "__main__":
    from pipeline.stages import run

    sys.exit(run(main))
