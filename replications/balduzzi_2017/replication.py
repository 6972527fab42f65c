"""With He's weights, the gradients of a deep ReLU network at different inputs are nearly uncorrelated: they "shatter".
With the looks-linear initialization the network is a linear map at the start: to rounding, its outputs are those of
the product of its matrices, and its gradient is the same at all inputs.

Setting: up to 50 ReLU layers of 256 units, 10 seeds, no training; 33 inputs on a quarter of a circle, gradients of 8
random combinations of the outputs by the inputs. Theory: arc-cosine kernels of wide networks, from which the mean of
networks of 256 units can differ by more than its interval. The largest difference is over all seeds, inputs and
outputs.
"""

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pipeline.analysis.estimators import mean
from pipeline.config.replications import Count, Counts, Related, holds, layers, recipes, whole
from pipeline.config.schema import Initializers, Network, Seeds
from pipeline.config.validation import Allowed, Section
from pipeline.diagnostics.geometry import cosines, input_gradients
from pipeline.diagnostics.signals import forward
from pipeline.figures.style import ACCENT, DARK, LIGHT, legend_above, styled
from pipeline.initializers.networkwise import NetworkSpec
from pipeline.networks.parameters import Parameters
from pipeline.numerics.elementary import circle
from pipeline.numerics.matmul import product
from pipeline.numerics.matrices import orthonormal
from pipeline.numerics.random import normal
from pipeline.numerics.sums import Array
from pipeline.replications.drawing import styles
from pipeline.replications.measurement import Measurement, Replication, mean_over_seeds
from pipeline.replications.networks import measured_by_seed, network
from pipeline.theory.correlation import relu_gradient_correlation

TITLE = "Balduzzi et al. 2017, The shattered gradients problem: if resnets are the answer, then what is the question?"
FIGURE = (
    "The paper shows gradients of networks of a single input along a grid of inputs, their covariance matrices "
    "(figure 1) and their autocorrelation over the distance between inputs, also for residual networks. Here the "
    "inputs lie on an arc in many dimensions, where theory predicts the cosine; there are no residual networks, and "
    "looks-linear ones are added."
)

LINEAR = "largest difference of the outputs from the linear map, over the largest output, looks-linear initialization"
COSINE = "cosine of the gradients at two inputs at an angle of {:g} degrees, {}, {} ReLU layers"
NAMES = {"he": "He", "looks_linear": "looks-linear"}
LINE_POINTS = 361  # of theory's lines in the figure, every quarter of a degree
REPORTED = 4  # the angle of the two inputs whose gradients are reported is 90 degrees over this


def _has_reported(n_points: int) -> bool:
    """Whether one of the evenly spaced angles is the one that is reported."""
    return 1 < n_points <= 4001 and n_points % REPORTED == 1


class Own(Section):
    """The inputs and the depths."""

    n_inputs: Annotated[int, whole(2)]
    n_points: Annotated[int, Allowed("4 k + 1 for a whole number k from 1 to 1000", int, _has_reported)]
    n_combinations: Count
    depths: Counts


class Settings(Related):
    """The sections of params.yaml."""

    network: Annotated[Network, layers(2, "relu", width=10)]
    seeds: Seeds
    initializers: Annotated[Initializers, recipes("he", "looks_linear")]
    replication: Own

    def problems(self) -> list[str]:
        """The depths are numbers of ReLU layers, and looks-linear layers are of pairs."""
        *hidden, _ = self.network.hidden_sizes
        problems = []
        if any(size % 2 for size in hidden):
            allowed = "a list of even entries, except for the last: looks-linear units are in pairs"
            problems.append(holds("network.hidden_sizes", self.network.hidden_sizes, allowed))
        if (deepest := self.replication.depths[-1]) > len(hidden):
            allowed = f"at most {len(hidden)}, the number of ReLU layers of network.hidden_sizes"
            problems.append(holds("replication.depths", deepest, allowed))
        return problems


def quantities(settings: Any) -> list[str]:
    """The quantities that `measure` returns with these settings."""
    depths = {"he": settings.replication.depths, "looks_linear": (len(settings.network.hidden_sizes) - 1,)}
    return [LINEAR, *(COSINE.format(90.0 / REPORTED, NAMES[name], depth) for name in depths for depth in depths[name])]


def total(settings: Any) -> int:
    """The number of results of which `measure` reports each."""
    return len(settings.initializers) * len(settings.seeds)


def measure(settings: Any, advance: Callable[[int], object]) -> Replication:
    """Cosines of the gradients of random combinations of the outputs, and the distance from the linear map."""
    own, activations = settings.replication, settings.network.activations
    dims = [own.n_inputs, *settings.network.hidden_sizes]
    turns = np.arange(own.n_points) / (4.0 * (own.n_points - 1))

    def one(name: str, seed: int) -> tuple[list[list[float]], float]:
        rng = np.random.RandomState([seed, 2])
        plane, combinations = orthonormal(rng, own.n_inputs, 2), normal(rng, (dims[-1], own.n_combinations))
        X = plane[:, :1] * circle(turns)[0] + plane[:, 1:] * circle(turns)[1]
        models = network(settings.initializers[name], seed, NetworkSpec(dims, activations[:-1], X))
        Z, A = forward(models, X, activations[:-1])
        rows = []
        for depth in own.depths if name != "looks_linear" else [len(Z) - 1]:
            k = own.n_combinations
            d = np.repeat(combinations, own.n_points, axis=1)[None]
            Z_all, A_all = (
                [np.tile(values, (1, 1, k)) for values in part[: depth + 1]] for part in (Z, [X[None], *A[1:]])
            )
            gradients = input_gradients(models[: depth + 1], Z_all, A_all, d, activations[:depth])
            separate = np.moveaxis(gradients[0].reshape(own.n_inputs, k, own.n_points), 1, 0)
            rows.append([mean(column.tolist()) for column in cosines(separate)[:, 0].T])
        if name != "looks_linear":
            return rows, 0.0
        expected = product(linear_map(models), X)
        return rows, float(np.abs(Z[-1] - expected).max() / np.abs(expected).max())

    found = measured_by_seed(one, list(settings.initializers), settings.seeds, advance)
    measurements: list[Measurement] = []
    table, curves = [], []
    line = (np.arange(LINE_POINTS) / (4.0 * (LINE_POINTS - 1))).tolist()
    for name in settings.initializers:
        of_seeds = found[name]
        depths = own.depths if name != "looks_linear" else (len(activations) - 1,)
        for k, depth in enumerate(depths):
            for i, turn in enumerate(turns.tolist()):
                values = [rows[k][i] for rows, _ in of_seeds]
                table.append((name, depth, 360.0 * turn, mean(values)))
                if i * REPORTED == own.n_points - 1:
                    text = COSINE.format(360.0 * turn, NAMES.get(name, name), depth)
                    measurements.append(mean_over_seeds(text, values, expected_cosine(name, depth, turn)))
            for turn in line:
                curves.append((name, depth, 360.0 * turn, expected_cosine(name, depth, turn)))
        if name == "looks_linear":
            worst = max(difference for _, difference in of_seeds)
            measurements.append(Measurement(LINEAR, worst, theory=0.0))
    columns = ["initializer", "depth", "degrees", "cosine"]
    tables = {"cosines": pd.DataFrame(table, columns=columns), "theory": pd.DataFrame(curves, columns=columns)}
    return Replication(measurements, tables)


def expected_cosine(name: str, depth: int, turn: float) -> float:
    """Theory's cosine of the gradients of wide networks at two inputs at an angle of 360 degrees times `turn`."""
    return 1.0 if name == "looks_linear" else relu_gradient_correlation(float(circle(np.array([turn]))[0][0]), depth)


def linear_map(models: Parameters) -> Array:
    """The product (models, n_L, n_0) of the matrices W of a looks-linear network of even layer sizes.

    W of a hidden layer is [W -W; -W W], that of the first layer [W; -W], and that of the last [W -W].
    """
    last = len(models) - 1
    M: Array | None = None
    for l, (W, _) in enumerate(models):
        rows, columns = W.shape[1] // (1 if l == last else 2), W.shape[2] // (1 if l == 0 else 2)
        block = W[:, :rows, :columns]
        M = block if M is None else product(block, M)
    assert M is not None
    return M


@styled
def draw(tables: dict[str, Any]) -> Figure:
    """The cosine of the gradients over the angle between the inputs, with theory's lines."""
    rows, theory = tables["cosines"], tables["theory"]
    figure = Figure(figsize=(8.6, 4.0), layout="constrained")
    ax = figure.subplots()
    curves = list(dict.fromkeys(zip(rows["initializer"], rows["depth"], strict=True)))
    looks = styles((DARK, LIGHT, ACCENT, GREY), "osD^", len(curves))
    for (name, depth), (colour, marker) in zip(curves, looks, strict=True):
        part, line = (each[(each["initializer"] == name) & (each["depth"] == depth)] for each in (rows, theory))
        label = f"{NAMES.get(name, name)}, {depth} ReLU layers"
        ax.plot(line["degrees"], line["cosine"], color=colour, linewidth=1.2)
        points: dict[str, Any] = {"linestyle": "", "marker": marker, "markersize": 3.5, "markevery": 2}
        ax.plot(part["degrees"], part["cosine"], color=colour, label=label, **points)
    ax.set_xlabel("angle between the two inputs, degrees")
    ax.set_ylabel("cosine of the two gradients")
    ax.set_title("Gradients at two inputs")
    note = "Lines: theory of wide layers. Points: networks, mean over the seeds."
    legend_above(figure, ax.get_lines()[1::2], note)
    return figure


GREY = "#555555"
