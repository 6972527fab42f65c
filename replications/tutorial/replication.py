"""After training, zeros classify half of the points correctly, weights from N(0, 10²) 83 %, and He initialization 99 %.

Setting: two concentric circles, 300 training and 100 test points; a ReLU network with layers of 2, 10, 5 and 1 units;
full-batch gradient descent, 15,000 steps of rate 0.01; one model per initializer, of seed 3. Published are the
accuracies, and the cost before every thousandth step as printed by up to 36 solutions of the exercise. The rows
without a band add the distribution over 100 seeds. Their intervals over the seeds are not Student's but betting
intervals for the mean of values from 0 to 1 (Waudby-Smith & Ramdas 2024), also at 95 %. The published training
accuracy of He initialization, which a share of the seeds reaches, is 99.33 %, or 298 of 300 points: more than the 99 %
by which the README counts seeds.
"""

import math
from collections.abc import Callable
from typing import Annotated, Any

import pandas as pd
from matplotlib.figure import Figure

from pipeline.analysis.comparison import cost_bands
from pipeline.analysis.estimators import mean, mean_interval
from pipeline.config.replications import MOST_RECORDS, Experiment, OneSeed, holds, recipes, whole
from pipeline.config.schema import Initializers
from pipeline.config.validation import Section
from pipeline.datasets import DATASETS
from pipeline.figures import training_figures
from pipeline.initializers.networkwise import NetworkSpec
from pipeline.initializers.recipes import sample_parameters
from pipeline.networks import kernel, reference
from pipeline.networks.parameters import stack
from pipeline.replications.measurement import CONFIDENCE, Measurement, Replication
from pipeline.storage import atomic_files, reports
from pipeline.training import gradient_descent

TITLE = "A Hands-on Journey Through Weight Initialization: three initializers on circles"
NOT_REPRODUCED = {
    "mean training accuracy, N(0, 10²)": "The published accuracy is that of one seed; the mean over seeds is lower.",
    "mean training accuracy, He initialization": (
        "The published accuracy is that of one seed; the mean over seeds is lower."
    ),
}
FIGURE = (
    "The tutorial plots the cost of one run of each initializer against iterations on a linear axis. Here the axis is "
    "logarithmic, the costs that solutions printed are points, and other seeds are shown beside the published one."
)
NAMES = {"zeros": "zeros", "random_x10": "N(0, 10²)", "he": "He initialization"}
PRINTED_EVERY, LAST_PRINTED = 1000, 14_000  # steps
PRINTED = 1e-12  # the costs were printed with 12 decimals
LN_2 = 0.6931471805599453  # rounded correctly


class Own(Section):
    """The section `replication` of params.yaml."""

    n_seeds: Annotated[int, whole(1, 100_000)]


class Settings(Experiment):
    """The sections of params.yaml."""

    seeds: OneSeed
    initializers: Annotated[Initializers, recipes("zeros", "random_x10", "he")]
    replication: Own

    def problems(self) -> list[str]:
        """The costs that were printed are recorded, and every step uses all samples."""
        T, problems = self.training, []
        if T.batch_size != "full":
            problems.append(holds("training.batch_size", T.batch_size, "full, as in the tutorial"))
        if not LAST_PRINTED <= T.iterations <= MOST_RECORDS * T.record_every:
            allowed = (
                f"at least {LAST_PRINTED}, the last step at which costs were printed, and at most {MOST_RECORDS} times "
                "training.record_every"
            )
            problems.append(holds("training.iterations", T.iterations, allowed))
        if PRINTED_EVERY % T.record_every:
            allowed = f"a divisor of {PRINTED_EVERY}: costs were printed at every {PRINTED_EVERY}th step"
            problems.append(holds("training.record_every", T.record_every, allowed))
        return problems


def total(settings: Any) -> int:
    """The number of models."""
    return len(settings.initializers) * len(all_seeds(settings))


def all_seeds(settings: Any) -> list[int]:
    """The published seed, then the others."""
    return list(dict.fromkeys([*settings.seeds, *range(settings.replication.n_seeds)]))


def measure(settings: Any, advance: Callable[[int], object]) -> Replication:
    """Train all seeds of each initializer; `advance` is called with numbers of models."""
    D, T, (published_seed,) = settings.data, settings.training, settings.seeds
    (X, Y), test = DATASETS[D.name].split(D.n_train, D.n_test, D.noise, D.train_seed, D.test_seed)
    phi = settings.network.activations
    seeds = all_seeds(settings)
    when = range(0, T.iterations + 1, T.record_every)
    printed = atomic_files.read_table(reports.PUBLISHED / "accuracies.csv").set_index("initializer")
    curves = atomic_files.read_table(reports.PUBLISHED / "cost_curves.csv")
    measurements: list[Measurement] = []
    tables = []
    for name, recipe in settings.initializers.items():
        spec = NetworkSpec(settings.layers_dims, phi, X)
        trained = gradient_descent.train(
            stack([sample_parameters(recipe, seed, spec) for seed in seeds]),
            *(X, Y, phi),
            learning_rate=T.learning_rate,
            momentum=T.momentum,
            record_at=when,
            progress=advance,
        )
        accuracies = {
            use: reference.accuracy(kernel.predict(trained.parameters, inputs, phi), labels).tolist()
            for use, (inputs, labels) in (("training", (X, Y)), ("test", test))
        }
        costs = dict(zip(when, trained.costs[0].tolist(), strict=True))
        curve = curves[(curves["initializer"] == name) & curves["cost_median"].notna()]
        measurements += of_published_seed(name, published_seed, accuracies, costs, curve)
        of_all = [accuracies["training"][seeds.index(seed)] for seed in range(settings.replication.n_seeds)]
        reached = [float(value >= printed.loc[name, "train_accuracy"] - 5e-5) for value in of_all]
        for what, values in (
            ("mean training accuracy", of_all),
            ("share of seeds that reach the published accuracy", reached),
        ):
            interval = mean_interval(values, CONFIDENCE)
            measurements.append(Measurement(f"{what}, {NAMES[name]}", mean(values), *interval))
        for seed, row in zip(seeds, trained.costs.tolist(), strict=True):
            tables.append(pd.DataFrame({"initializer": name, "seed": seed, "iteration": when, "cost": row}))
    return Replication(measurements, {"costs": pd.concat(tables, ignore_index=True), "published": curves})


def of_published_seed(
    name: str, seed: int, accuracies: dict[str, list[float]], costs: dict[int, float], curve: Any
) -> list[Measurement]:
    """The measurements of an initializer that are compared with printed numbers; the first model has the seed."""
    balanced = 0.5 if name == "zeros" else math.nan  # a constant output is right for one of two equal classes
    found = [
        Measurement(f"{use} accuracy of seed {seed}, {NAMES[name]}", values[0], theory=balanced)
        for use, values in accuracies.items()
    ]
    distances = [
        max(row.cost_min - costs[row.iteration], costs[row.iteration] - row.cost_max, 0.0) for row in curve.itertuples()
    ]
    within = f"costs of seed {seed} within the published range, of {len(curve)}, {NAMES[name]}"
    found.append(Measurement(within, float(len([one for one in distances if one <= PRINTED]))))
    last = int(curve["iteration"].iloc[-1])
    theory = LN_2 if name == "zeros" else math.nan  # every output is 1/2
    found.append(Measurement(f"cost of seed {seed} before step {last:,}, {NAMES[name]}", costs[last], theory=theory))
    return found


def draw(tables: dict[str, Any]) -> Figure:
    """The cost against iterations, after the tutorial's plots: every seed, and the published costs."""
    curves = tables["costs"].assign(initializer=tables["costs"]["initializer"].map(NAMES))
    published = tables["published"].assign(initializer=tables["published"]["initializer"].map(NAMES))
    return training_figures.cost_curves(cost_bands(curves), curves, published.dropna(), int(curves["seed"].iloc[0]))
