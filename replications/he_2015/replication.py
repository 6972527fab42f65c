"""With rectifiers, weights of variance 2 / n let a network of 30 layers converge, while with Xavier initialization it
stalls; a network of 22 layers converges with both, and earlier with He initialization.

Setting: the digits, fully connected layers of 100 units in place of convolutions, momentum 0.9, rate 0.01, batches of
64, 20 epochs, 8 seeds. At 30 layers, Xavier initialization halves the variance of the signals in each layer, and the
cost stays near ln 10 for most seeds: slightly below, as the outputs learn the frequencies of the classes. At this
scale He initialization lowers the cost below Xavier's for every seed, but not below 1 nat for every seed: in layers of
100 units the signals of a seed differ from the mean by a factor that grows with depth.
"""

from collections.abc import Callable
from typing import Annotated, Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.config.replications import Count, Related, TenClasses, WholeRecords, holds, recipes, whole
from pipeline.config.schema import Initializers, Seeds
from pipeline.figures.style import ACCENT, DARK, legend_above, styled
from pipeline.networks.activations import ACTIVATIONS
from pipeline.replications import drawing
from pipeline.replications.measurement import Measurement, Replication, count_over_seeds, median_over_seeds, of_seeds
from pipeline.replications.trained import Speed, cost_table, costs_of_training, deep, drawn, training_set
from pipeline.training.executors import n_cores

TITLE = "He et al. 2015, Delving deep into rectifiers: figures 2 and 3"
NOT_REPRODUCED = {
    "seeds with a final cost below 1 nat, He, 30 layers, of 8": (
        "The other seeds have a higher cost at the end of training, while the paper's network converges."
    ),
}
FIGURE = (
    "The paper shows the validation error on ImageNet against epochs for one run of a convolutional network with each "
    "initialization. Here it is the training cost of fully connected networks on the digits, for every seed, with the "
    "median."
)
NAMES = {"xavier": "Xavier", "he": "He"}
STALLED = 2.29  # nats: the cost of a network that has not left ln 10 = 2.3026
LOW = 1.0  # nats
LN_10 = 2.302585092994046
EARLY = "smallest cost of Xavier minus largest cost of He at step {}, {} layers"
FINAL = "final cost of {}, {} layers"
N_STALLED = f"seeds with a final cost above {STALLED} nats, Xavier, {{}} layers"
N_LOWER = "seeds with a lower final cost for He than for Xavier, {} layers"
N_LOW = f"seeds with a final cost below {LOW:g} nat, He, {{}} layers"


class Own(Related):
    """The networks, and the step of training at which those of figure 2 are compared."""

    width: Count
    shallow: Annotated[int, whole(2)]
    deep: Annotated[int, whole(2)]
    early: Count

    def problems(self) -> list[str]:
        """The depths differ in the order of their names."""
        allowed = f"greater than replication.shallow, which is {self.shallow}"
        return [holds("replication.deep", self.deep, allowed)] if self.deep <= self.shallow else []


class Settings(Related):
    """The sections of params.yaml."""

    data: TenClasses
    training: WholeRecords
    seeds: Seeds
    initializers: Annotated[Initializers, recipes("xavier", "he")]
    replication: Own

    def problems(self) -> list[str]:
        """The cost is recorded at the early step."""
        early, T = self.replication.early, self.training
        allowed = f"a multiple of training.record_every, which is {T.record_every}, up to training.iterations"
        is_recorded = early % T.record_every == 0 and early <= T.iterations
        return [] if is_recorded else [holds("replication.early", early, allowed)]


def quantities(settings: Any) -> list[str]:
    """The quantities that `measure` returns with these settings."""
    own, n_seeds = settings.replication, len(settings.seeds)
    finals = [FINAL.format(name, depth) for name in NAMES.values() for depth in (own.shallow, own.deep)]
    counts = [text.format(own.deep) for text in (N_STALLED, N_LOWER, N_LOW)]
    return [EARLY.format(own.early, own.shallow), *finals, *(of_seeds(text, n_seeds) for text in counts)]


def total(settings: Any) -> int:
    """The number of models."""
    return 2 * len(settings.initializers) * len(settings.seeds)


def measure(settings: Any, advance: Callable[[int], object]) -> Replication:
    """Train both networks with each initializer; `advance` is called with numbers of models."""
    own, T = settings.replication, settings.training
    X, Y = training_set(settings.data)
    when = [*range(0, T.iterations + 1, T.record_every)]
    costs: dict[tuple[int, str], list[list[float]]] = {}
    tables, speed = [], Speed()
    for depth in (own.shallow, own.deep):
        spec = deep(settings.data, depth, own.width, ACTIVATIONS["relu"], X)
        for name, recipe in settings.initializers.items():
            models = drawn(recipe, settings.seeds, spec)
            costs[depth, name] = costs_of_training(
                models, X, Y, spec.activations, T, when, settings.seeds, speed, advance
            ).tolist()
            tables.append(cost_table(costs[depth, name], settings, when, depth=depth, initializer=name))
    speed.report(n_cores())
    final = {key: [row[-1] for row in rows] for key, rows in costs.items()}
    early = {name: [row[when.index(own.early)] for row in costs[own.shallow, name]] for name in NAMES}
    he, xavier = final[own.deep, "he"], final[own.deep, "xavier"]
    measurements = [
        Measurement(EARLY.format(own.early, own.shallow), min(early["xavier"]) - max(early["he"])),
        median_over_seeds(FINAL.format("Xavier", own.shallow), final[own.shallow, "xavier"]),
        median_over_seeds(FINAL.format("He", own.shallow), final[own.shallow, "he"]),
        median_over_seeds(FINAL.format("Xavier", own.deep), xavier, LN_10),
        count_over_seeds(N_STALLED.format(own.deep), [cost > STALLED for cost in xavier]),
        median_over_seeds(FINAL.format("He", own.deep), he),
        count_over_seeds(N_LOWER.format(own.deep), [a < b for a, b in zip(he, xavier, strict=True)]),
        count_over_seeds(N_LOW.format(own.deep), [cost < LOW for cost in he]),
    ]
    return Replication(measurements, {"costs": pd.concat(tables, ignore_index=True)})


@styled
def draw(tables: dict[str, Any]) -> Figure:
    """The cost against epochs for both depths (their figures 2 and 3): every seed, and the median."""
    rows = tables["costs"]
    depths = sorted(set(rows["depth"]))
    figure = Figure(figsize=(9.0, 3.6), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for ax, depth in zip(panels, depths, strict=True):
        for name, colour, dashes in STYLES:
            part = rows[(rows["depth"] == depth) & (rows["initializer"] == name)]
            drawing.costs(ax, part, colour, dashes)
        ax.axhline(LN_10, color="black", linewidth=0.8, linestyle=":")
        ax.set_title(f"{depth} layers")
        ax.set_xlabel("epoch")
        ax.set_xticks(drawing.whole_ticks(float(rows["epoch"].max())))
        ax.set_ylim(bottom=0.0)
    panels[0].set_ylabel("training cost (nats)")
    handles = [Line2D([], [], color=colour, linestyle=dashes, label=NAMES[name]) for name, colour, dashes in STYLES]
    legend_above(figure, handles, "Thick: median over the seeds. Thin: single seeds. Dotted: ln 10.")
    return figure


STYLES: tuple[tuple[str, str, Any], ...] = (("xavier", ACCENT, "--"), ("he", DARK, "-"))
