"""With He's weights the squared length of the activations of a ReLU network is preserved on average at every depth,
but it fluctuates from network to network. The fluctuation depends on the sum of 1 / width over the layers: deep
narrow networks start with signals that are far too small, and some with far too large ones.

Setting: one random input, no biases, 4,000 networks of each shape, no training. The sum of 1 / width is 1 for 20
layers of width 20 and for 50 layers of width 50. The intervals are over 20 seeds of 200 networks. Theory: exact
moments of the logarithm at finite width.
"""

import math
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pydantic import AfterValidator, Field

from pipeline.analysis.estimators import mean, sample_std
from pipeline.config.replications import Count, Related, SmallNetworks, different, holds, whole
from pipeline.config.schema import Seeds
from pipeline.config.validation import Section
from pipeline.diagnostics.signals import forward, log_growth
from pipeline.figures.style import ACCENT, DARK, legend_above, styled
from pipeline.networks.activations import ACTIVATIONS
from pipeline.replications.drawing import line_and_points, styles
from pipeline.replications.measurement import Measurement, Replication, mean_over_seeds
from pipeline.replications.networks import measured_by_seed, small_networks, unit_columns
from pipeline.theory.finite_width import born_dead, log_signal

TITLE = "Hanin & Rolnick 2018, How to start training: the effect of initialization and architecture"
FIGURE = (
    "Figure 1 of the paper shows the mean length of the output, and the epochs until networks reach 20 % accuracy on "
    "MNIST, against depth for several initializations; for the fluctuation of the length the paper shows such epochs "
    "only, for several architectures. Here no network is trained: the fluctuation itself is drawn against the sum of "
    "1 / width. The points of a curve are successive layers of the same networks, so their deviations from theory are "
    "correlated: most points of a curve may lie on one side of it."
)

STD = "standard deviation of ln(‖z_L‖² / ‖z_0‖²), width {}, {} layers"
MEAN = "mean of ln(‖z_L‖² / ‖z_0‖²), width {}, {} layers"
LEAST = 10.0  # networks that are expected to have an output, of each seed
RATIO = "standard deviation, {} layers of width {} over {} layers of width {}, which have the same sum of 1 / width"


class Shape(Section):
    """A network of layers of equal width."""

    width: Count
    depth: Count


SHAPES = "a list of one or more different entries {width: ..., depth: ...}"


class Own(Related):
    """The networks."""

    n_networks: Annotated[int, whole(2)]
    at_a_time: Count
    shapes: Annotated[tuple[Shape, ...], Field(description=SHAPES), AfterValidator(different)]
    earlier: Count

    def problems(self) -> list[str]:
        """The shapes that are compared have the same sum of 1 / width, and enough networks are not 0."""
        first, last = self.shapes[0], self.shapes[-1]
        problems = []
        if len(self.shapes) < 2 or first.depth * last.width != last.depth * first.width:
            allowed = "a list whose first and last entries, which are compared, have the same depth / width"
            problems.append(holds("replication.shapes", [shape.model_dump() for shape in self.shapes], allowed))
        if self.earlier >= last.depth:
            allowed = f"less than the depth of the last entry of replication.shapes, {last.depth}"
            problems.append(holds("replication.earlier", self.earlier, allowed))
        for k, shape in enumerate(self.shapes):
            if self.n_networks * (1.0 - born_dead([shape.width] * shape.depth)) < LEAST:
                allowed = (
                    f"of a width at which {LEAST:g} or more of replication.n_networks, {self.n_networks}, are expected "
                    "not to be 0 after the last layer"
                )
                return [*problems, holds(f"replication.shapes[{k}]", shape.model_dump(), allowed)]
        return problems


class Settings(Section):
    """The sections of params.yaml."""

    seeds: Seeds
    initializers: SmallNetworks
    replication: Own


def quantities(settings: Any) -> list[str]:
    """The quantities that `measure` returns with these settings."""
    first, last = settings.replication.shapes[0], settings.replication.shapes[-1]
    sizes = [(shape.width, shape.depth) for shape in settings.replication.shapes]
    sizes.append((last.width, settings.replication.earlier))
    ratio = RATIO.format(last.depth, last.width, first.depth, first.width)
    return [*(text.format(*size) for text in (STD, MEAN) for size in sizes), ratio]


def total(settings: Any) -> int:
    """The number of results of which `measure` reports each."""
    return len(settings.replication.shapes) * len(settings.seeds)


def measure(settings: Any, advance: Callable[[int], object]) -> Replication:
    """Standard deviation and mean of the logarithm of the growth, averaged over seeds of n_networks each."""
    own = settings.replication
    (recipe,) = settings.initializers.values()
    relu = ACTIVATIONS["relu"]

    def one(shape: Shape, seed: int) -> list[list[float]]:
        rng = np.random.RandomState([seed, shape.width, shape.depth])
        X = unit_columns(rng, shape.width, 1)
        growths: list[list[float]] = [[] for _ in range(shape.depth)]
        for start in range(0, own.n_networks, own.at_a_time):
            n = min(own.at_a_time, own.n_networks - start)
            models = small_networks(recipe, rng, n, [shape.width] * (shape.depth + 1))
            A = forward(models, X, [relu] * shape.depth)[1][1:]
            for layer, values in zip(A, growths, strict=True):
                with np.errstate(invalid="ignore"):
                    values += [value for value in log_growth(X, layer).tolist() if not math.isnan(value)]
        return growths

    found = measured_by_seed(one, own.shapes, settings.seeds, advance)
    measurements: list[Measurement] = []
    layers, ends = [], []
    stds = {}
    for shape in own.shapes:
        of_seeds = found[shape]
        for depth in range(1, shape.depth + 1):
            theory = log_signal([shape.width] * depth)
            values = [value for growths in of_seeds for value in growths[depth - 1]]
            row = (shape.width, shape.depth, depth, sample_std(values), math.sqrt(theory.variance))
            layers.append((*row, mean(values), theory.mean))
        ends += [(shape.width, shape.depth, value) for growths in of_seeds for value in growths[-1]]
        stds[shape] = [sample_std(growths[-1]) for growths in of_seeds]
        depths = [shape.depth] if shape is not own.shapes[-1] else [own.earlier, shape.depth]
        for depth in depths:
            theory, size = log_signal([shape.width] * depth), (shape.width, depth)
            of_layer = [growths[depth - 1] for growths in of_seeds]
            std = [sample_std(values) for values in of_layer]
            measurements.append(mean_over_seeds(STD.format(*size), std, math.sqrt(theory.variance)))
            measurements.append(mean_over_seeds(MEAN.format(*size), [mean(values) for values in of_layer], theory.mean))
    first, other = own.shapes[0], own.shapes[-1]
    ratios = [a / b for a, b in zip(stds[other], stds[first], strict=True)]
    theory_std = [math.sqrt(log_signal([shape.width] * shape.depth).variance) for shape in (first, other)]
    text = RATIO.format(other.depth, other.width, first.depth, first.width)
    ratio = mean_over_seeds(text, ratios, theory_std[1] / theory_std[0])
    measurements.append(ratio._replace(measured=mean(stds[other]) / mean(stds[first])))
    columns = ["width", "layers", "depth", "std", "std_theory", "mean", "mean_theory"]
    tables = {"layers": pd.DataFrame(layers, columns=columns)}
    return Replication(measurements, tables | {"ends": pd.DataFrame(ends, columns=["width", "layers", "log_growth"])})


@styled
def draw(tables: dict[str, Any]) -> Figure:
    """The logarithm's standard deviation over the sum of 1 / width with theory's lines; its distribution at the end."""
    rows, ends = tables["layers"], tables["ends"]
    figure = Figure(figsize=(9.0, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    shapes = list(dict.fromkeys(zip(rows["width"], rows["layers"], strict=True)))
    handles = []
    looks = styles((DARK, ACCENT), "os", len(shapes))
    for (width, n_layers), (colour, marker) in zip(shapes, looks, strict=True):
        part = rows[(rows["width"] == width) & (rows["layers"] == n_layers)]
        line_and_points(left, part["depth"] / width, part["std_theory"], part["std"], colour, marker)
        values = ends[(ends["width"] == width) & (ends["layers"] == n_layers)]["log_growth"]
        right.hist(values, bins=np.arange(-14.0, 9.0, 0.5), histtype="step", density=True, color=colour, linewidth=1.4)
        right.axvline(part["mean_theory"].iloc[-1], color=colour, linestyle=":", linewidth=1.2)
        handles.append(Line2D([], [], color=colour, marker=marker, label=f"width {width}, {n_layers} layers"))
    left.set_xlabel("sum of 1 / width over the layers")
    left.set_ylabel("standard deviation of $\\ln(\\Vert z_l\\Vert^2 / \\Vert z_0\\Vert^2)$")
    left.set_title("Fluctuation")
    right.set_xlabel("$\\ln(\\Vert z_L\\Vert^2 / \\Vert z_0\\Vert^2)$")
    right.set_ylabel("density")
    right.set_title("After the last layer")
    legend_above(
        figure, handles, "Lines: theory of finite layers, dotted for the mean. Points and histograms: networks."
    )
    return figure
