"""Train one model and print its costs: `python -m pipeline.experiments.one_model he --seed 3`. Nothing is written."""

import argparse
import sys
from collections.abc import Sequence

from pipeline.config import params, schema
from pipeline.diagnostics import outcomes
from pipeline.errors import UserError, exit_code
from pipeline.storage.resolved import models_job, test_set, training_job
from pipeline.training import gradient_descent
from pipeline.training.memory import require_memory


def one_model(name: str, seed: int) -> None:
    """Train the model of the initializer `name` of params.yaml and `seed`; print its costs and measurements.

    Raises UserError for an unknown name, an invalid seed, or missing data (`dvc repro dataset` makes them).
    """
    P = params.load()
    if name not in P.initializers:
        raise UserError(f"params.yaml: initializers.{name} does not exist; there are {', '.join(P.initializers)}.")
    if not 0 <= seed <= schema.MAX_SEED:
        raise UserError(f"--seed is {seed}; it must be a whole number from 0 to {schema.MAX_SEED}.")
    job, training = models_job(P, name), training_job(P)
    X, Y = job.training_set()
    test = test_set(P.data)
    require_memory(job.layers_dims, 1)
    initial = job.initial_parameters((seed,), X)
    trained = gradient_descent.train(
        initial, X, Y, job.phi, record_at=training.record_at, seeds=[seed], **training.settings
    )
    for iteration, cost in zip(training.record_at, trained.costs[0], strict=True):
        print(f"cost before iteration {iteration:6d}: {cost:.12f}")
    measured = outcomes.metrics(initial, trained.parameters, trained.costs, (X, Y), test, job.phi)
    for metric, values in measured.items():
        print(f"{metric}: {values[0]} ({outcomes.MEANINGS[metric]})")


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.experiments.one_model", description=__doc__)
    parser.add_argument("initializer", metavar="NAME", help="a name under `initializers` in params.yaml")
    parser.add_argument("--seed", type=int, required=True, metavar="SEED")
    given = parser.parse_args(arguments)
    return exit_code(lambda: one_model(given.initializer, given.seed))


if __name__ == "__main__":
    sys.exit(main())
