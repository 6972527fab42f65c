"""A deep narrow ReLU network is likely to be constant from the start because all units of a layer are 0 at every input.
The probability goes to 1 with the number of layers. At a single input it is 1 - ∏(1 - 2⁻ⁿ) exactly, with one factor
for each hidden layer, of n units.

Setting: networks of one input, widths 2 to 5, up to 20 hidden layers, He's weights, no biases, 20,000 networks of
each width. Such a network is linear on each half of the line, so it is constant on the whole line if and only if a
layer is 0 at the input 1 and a layer is 0 at the input -1. The intervals are over 10 seeds of 2,000 networks.
The bands on the whole line are around the shares in an independent NumPy program with 20,000 networks of each width,
because theory has bounds only; at one input they are around the exact probability.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pipeline.analysis.estimators import mean
from pipeline.config.replications import Count, Counts, Related, SmallNetworks, holds
from pipeline.config.schema import Seeds
from pipeline.config.validation import Section
from pipeline.diagnostics.signals import forward
from pipeline.figures.style import legend_above, styled
from pipeline.networks.activations import ACTIVATIONS
from pipeline.replications.drawing import line_and_points, shades
from pipeline.replications.measurement import Measurement, Replication, mean_over_seeds
from pipeline.replications.networks import measured_by_seed, small_networks
from pipeline.theory.finite_width import born_dead, born_dead_on_the_line

TITLE = "Lu et al. 2019, Dying ReLU and initialization: theory and numerical examples"
FIGURE = (
    "The paper shows the probability that a network is 0 on the whole line against the number of layers for several "
    "widths. Here its bounds are shaded, and the right panel adds the probability at one input, which is known "
    "exactly."
)

LINE = "share of networks that are 0 on the whole line, width {}, {} hidden layers"
POINT = "share of networks that are 0 at the input 1, width {}, {} hidden layers"
BOTH_HALVES = np.array([[1.0, -1.0]])


class Own(Related):
    """The shapes of the networks."""

    n_networks: Count
    widths: Counts
    n_layers: Count
    depths: Counts
    reported: Counts

    def problems(self) -> list[str]:
        """The reported widths and numbers of layers are measured."""
        problems = []
        if self.depths[-1] > self.n_layers:
            allowed = f"at most replication.n_layers, {self.n_layers}"
            problems.append(holds("replication.depths", self.depths[-1], allowed))
        if unknown := [width for width in self.reported if width not in self.widths]:
            allowed = f"one of replication.widths, {', '.join(map(str, self.widths))}"
            problems.append(holds("replication.reported", unknown[0], allowed))
        return problems


class Settings(Section):
    """The sections of params.yaml."""

    seeds: Seeds
    initializers: SmallNetworks
    replication: Own


def quantities(settings: Any) -> list[str]:
    """The quantities that `measure` returns with these settings."""
    own = settings.replication
    return [text.format(width, depth) for text in (LINE, POINT) for width in own.reported for depth in own.depths]


def total(settings: Any) -> int:
    """The number of results of which `measure` reports each."""
    return len(settings.replication.widths) * len(settings.seeds)


def measure(settings: Any, advance: Callable[[int], object]) -> Replication:
    """The shares of dead networks for each width and number of layers, averaged over seeds of n_networks each."""
    own = settings.replication
    (recipe,) = settings.initializers.values()

    def one(width: int, seed: int) -> list[tuple[float, float]]:
        rng = np.random.RandomState([seed, width])
        sizes = [1, *[width] * own.n_layers]
        models = small_networks(recipe, rng, own.n_networks, sizes)
        Z, _ = forward(models, BOTH_HALVES, [ACTIVATIONS["relu"]] * (own.n_layers - 1))
        shares = []
        for layer in Z:
            dead = np.asarray(np.all(layer <= 0.0, axis=1))  # after a layer of zeros all are
            counts = np.count_nonzero(dead.all(axis=1)), np.count_nonzero(dead[:, 0])
            shares.append((counts[0] / own.n_networks, counts[1] / own.n_networks))
        return shares

    found = measured_by_seed(one, own.widths, settings.seeds, advance)
    measurements: list[Measurement] = []
    table = []
    for width in own.widths:
        for depth in range(1, own.n_layers + 1):
            line, point = ([shares[depth - 1][k] for shares in found[width]] for k in range(2))
            at_one, bounds = born_dead([width] * depth), born_dead_on_the_line(width, depth)
            table.append((width, depth, mean(line), mean(point), *bounds, at_one))
            if width in own.reported and depth in own.depths:
                exact = bounds[0] if depth <= 2 else float("nan")
                measurements.append(mean_over_seeds(LINE.format(width, depth), line, exact))
                measurements.append(mean_over_seeds(POINT.format(width, depth), point, at_one))
    columns = ["width", "depth", "line", "point", "line_least", "line_most", "point_theory"]
    return Replication(measurements, {"shares": pd.DataFrame(table, columns=columns)})


@styled
def draw(tables: dict[str, Any]) -> Figure:
    """The shares over the number of layers, on the whole line and at one input, with theory's bounds and line."""
    rows = tables["shares"]
    widths = sorted(set(rows["width"]))
    figure = Figure(figsize=(9.0, 3.8), layout="constrained")
    line, point = figure.subplots(1, 2, sharey=True)
    for k, (width, colour) in enumerate(zip(widths, shades(len(widths)), strict=True)):
        part = rows[rows["width"] == width]
        style: dict[str, Any] = {"marker": "osD^"[k % 4], "markersize": 4, "label": f"width {width}"}
        line.fill_between(part["depth"], part["line_least"], part["line_most"], color=colour, alpha=0.25, linewidth=0)
        line.plot(part["depth"], part["line"], color=colour, linestyle="", **style)
        values = part["point_theory"], part["point"]
        line_and_points(point, part["depth"], *values, colour, linewidth=1.4, **style)
    line.set_title("0 on the whole line (shaded: bounds)")
    point.set_title("0 at one input (lines: exact)")
    line.set_ylabel("share of networks")
    for ax in (line, point):
        ax.set_xlabel("number of hidden layers")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_ylim(0.0, 1.02)
        ax.set_xlim(0.5, max(rows["depth"]) + 0.5)
    legend_above(figure, point.get_lines()[1::2])
    return figure
