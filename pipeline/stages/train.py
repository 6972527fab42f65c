"""Stage `train`: one model for each seed, born by one initializer.

`python -m pipeline.stages.train --initializer he` writes runs/he: weights, costs and metrics of every seed, and
snapshots of one seed's model beside a twin that is born a last bit away. With `--seed 3` it trains that one model,
prints it and writes nothing.
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial

from tqdm import tqdm

from pipeline.config import params, schema
from pipeline.diagnostics import signals, symmetry
from pipeline.initializers import recipes
from pipeline.initializers.networkwise import NetworkSpec
from pipeline.networks import kernel, parameters, reference
from pipeline.networks.activations import Activation
from pipeline.networks.parameters import Parameters, stack
from pipeline.numerics.sums import Array
from pipeline.stages import require_memory
from pipeline.storage import atomic_files
from pipeline.storage import samples as sample_files
from pipeline.storage import trained as trained_models
from pipeline.training import gradient_descent

COMPILING = "Compiling the kernel for this processor; that takes some seconds and is kept for the next time."


def train(name: str, seed: int | None = None) -> None:
    """Train the models of the initializer `name` and write them, or train that of one seed and print it."""
    P = params.load()
    if name not in P.initializers:
        raise params.ParamsError(f"params.yaml: initializers has no {name}; it has {', '.join(P.initializers)}.")
    if seed is not None and not 0 <= seed <= schema.MAX_SEED:
        raise params.ParamsError(f"--seed {seed} is no seed; it must be a whole number from 0 to {schema.MAX_SEED}.")
    seeds = P.seeds if seed is None else (seed,)
    sizes = P.data.n_inputs, P.data.n_classes
    X, Y = sample_files.read_samples(sample_files.DATA / "train.csv", P.data.n_train, *sizes)
    require_memory(P, len(seeds))
    birth = NetworkSpec(P.layers_dims, P.network.activations, X)
    born = stack([recipes.sample_parameters(P.initializers[name], s, birth) for s in seeds])
    descend = partial(
        gradient_descent.train,
        X=X,
        Y=Y,
        activations=P.network.activations,
        learning_rate=P.training.learning_rate,
        momentum=P.training.momentum,
        batch_size=P.training.samples_a_step,
    )
    with (
        kernel.when_compiling(lambda: print(COMPILING, file=sys.stderr)),
        tqdm(total=len(seeds), desc=name, unit="model", leave=False, disable=None) as bar,
    ):
        trained = descend(born, seeds=seeds, record_at=P.training.record_at, progress=bar.update)
    test = sample_files.read_samples(sample_files.DATA / "test.csv", P.data.n_test, *sizes)
    metrics = measure(seeds, born, trained, (X, Y), test, P.network.activations)
    if seed is None:
        index, when = seeds.index(P.comparison.tutorial_seed), P.training.snapshots_at
        shown = parameters.with_perturbed_copies([(W[index : index + 1], b[index : index + 1]) for W, b in born])
        followed = descend(shown, seeds=[P.comparison.tutorial_seed] * 2, record_at=when, keep=True)
        trained_models.write_run(name, seeds, trained.parameters, P.training.record_at, trained.costs, metrics)
        trained_models.write_snapshots(name, when, followed.snapshots)
    else:
        for iteration, cost in zip(P.training.record_at, trained.costs[0], strict=True):
            print(f"cost before iteration {iteration:6d}: {cost:.12f}")
        for metric, values in metrics.items():
            print(f"{metric}: {values[0]}")


def measure(
    seeds: Sequence[int],
    born: Parameters,
    trained: gradient_descent.Trained,
    train_set: tuple[Array, Array],
    test_set: tuple[Array, Array],
    activations: Sequence[Activation],
) -> atomic_files.Columns:
    """The columns of metrics.csv, a row a model."""

    def accuracy(samples: tuple[Array, Array]) -> Array:
        X, Y = samples
        return reference.accuracy(reference.predict(trained.parameters, X, activations), Y)

    measured = (
        seeds,
        trained.costs[:, 0],
        trained.costs[:, -1],
        accuracy(train_set),
        accuracy(test_set),
        signals.weight_change(born, trained.parameters),
        symmetry.distinct_units(trained.parameters),
    )
    return dict(zip(trained_models.METRICS, measured, strict=True))


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.stages.train", description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--initializer", required=True, metavar="NAME", help="a name under `initializers` in params.yaml"
    )
    parser.add_argument("--seed", type=int, metavar="SEED", help="train and print the model of this seed alone")
    given = parser.parse_args(arguments)
    train(given.initializer, given.seed)


if __name__ == "__main__":
    from pipeline.stages import run

    sys.exit(run(main))
