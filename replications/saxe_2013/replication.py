"""A deep linear network learns the modes of its target one after another, each on a sigmoid curve in time whose length
is in inverse proportion to the singular value. From 8 layers on, the number of steps from orthogonal weights hardly
grows, and from scaled Gaussian weights no seed learns within 1,500 steps.

Setting: the engine's gradient descent with squared loss on whitened inputs, with biases that stay exactly 0. Modes:
4-8-4 units, singular values 4, 3, 2, 1 in random bases, initial strength 0.001 in every mode, time step 0.001, 5
seeds. Depth: 2 to 32 layers of 16 units, a rotation as target, at most 1,500 steps, the best of five rates c / depth,
5 seeds; a network has learned when its loss is 1 % of the initial one. Gradient flow from orthogonal matrices
preserves the sign of the determinant of their product, so a row of the first layer is negated where it is negative.
The half-learning times do not depend on the random bases: all seeds agree to rounding, so that the interval over seeds
is a single number. Theory is that of gradient flow, which steps of 0.001 follow with a delay; it lies outside that
interval and within the band.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Annotated, Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.analysis.estimators import quantile
from pipeline.config.replications import Count, Counts, Positive, Positives, Related, holds, recipes
from pipeline.config.schema import Initializers, Seeds
from pipeline.config.validation import Section
from pipeline.figures.style import ACCENT, DARK, styled
from pipeline.initializers.networkwise import NetworkSpec
from pipeline.networks.activations import ACTIVATIONS
from pipeline.networks.losses import Loss
from pipeline.networks.parameters import Parameters
from pipeline.networks.reference import UpdateRule
from pipeline.numerics.matmul import product
from pipeline.numerics.matrices import determinant, orthonormal
from pipeline.numerics.sums import Array
from pipeline.replications import drawing
from pipeline.replications.measurement import Measurement, Replication, count_over_seeds, median_over_seeds, of_seeds
from pipeline.replications.networks import measured
from pipeline.replications.trained import drawn
from pipeline.theory.linear_networks import half_rise, mode_strength
from pipeline.training import gradient_descent

TITLE = "Saxe et al. 2013, Exact solutions to the nonlinear dynamics of learning in deep linear neural networks"
FIGURE = (
    "Figure 3 of the paper shows the strengths of seven modes over time for theory, a linear and a tanh network; "
    "figure 6 A (left) the learning time on MNIST against depth for scaled random, pretrained and orthogonal weights. "
    "Here there are fewer modes and no tanh network; on the right the target is a rotation in place of MNIST, there is "
    "no pretraining, and every seed is shown."
)
LINEAR = ACTIVATIONS["linear"]
NAMES = {"orthogonal": "orthogonal", "gaussian": "Gaussian"}
BASES = 2  # RandomState([seed, BASES]) draws the bases of the modes, and RandomState([BASES]) the target rotation
LEARNED = 0.01  # of the initial loss
FLAT_FROM = 8  # layers from which the number of steps is said not to grow
COMPARED = 4  # layers at which both initializers learn
HALF = "time at which the mode s = {:g} is half learned"
STEPS = "steps of orthogonal weights, {} layers"
LEARN = "seeds that learn in {:,} steps, Gaussian weights, {} layers"
FLAT = f"largest over smallest number of steps of orthogonal weights, {FLAT_FROM} layers or more"
SLOWER = f"steps of Gaussian over orthogonal weights, {COMPARED} layers"


class Modes(Related):
    """The network with one hidden layer."""

    hidden: Count
    singular_values: Positives
    initial: Positive
    time_step: Positive
    steps: Count
    record_every: Count

    def problems(self) -> list[str]:
        """The modes begin below half of their strength, fit into the network and are recorded."""
        s, problems = self.singular_values, []
        if len(s) % 4:
            allowed = "a list of 4, 8, 12, ... different entries: the inputs are in blocks of 4"
            problems.append(holds("replication.modes.singular_values", s, allowed))
        if self.hidden < len(s):
            allowed = f"at least {len(s)}, the number of entries of replication.modes.singular_values"
            problems.append(holds("replication.modes.hidden", self.hidden, allowed))
        if self.initial >= min(s) / 2.0:
            allowed = f"less than half of the smallest of replication.modes.singular_values, {min(s):g}"
            problems.append(holds("replication.modes.initial", self.initial, allowed))
        if self.steps % self.record_every:
            allowed = f"a divisor of replication.modes.steps, which is {self.steps}"
            problems.append(holds("replication.modes.record_every", self.record_every, allowed))
        return problems


class Depth(Related):
    """The networks of equal width."""

    width: Count
    depths: Counts
    rates: Positives
    steps: Count

    def problems(self) -> list[str]:
        """The depths at which weights are compared are there."""
        problems = []
        if self.width % 4:
            allowed = "a multiple of 4: the inputs are in blocks of 4"
            problems.append(holds("replication.depth.width", self.width, allowed))
        if COMPARED not in self.depths or self.depths[-1] < FLAT_FROM or self.depths[0] < 2:
            allowed = f"a list of numbers of at least 2, among them {COMPARED} and one of at least {FLAT_FROM}"
            problems.append(holds("replication.depth.depths", self.depths, allowed))
        return problems


class Own(Section):
    """Both experiments."""

    modes: Modes
    depth: Depth


class Settings(Section):
    """The sections of params.yaml."""

    seeds: Seeds
    initializers: Annotated[Initializers, recipes("orthogonal", "gaussian")]
    replication: Own


def quantities(settings: Any) -> list[str]:
    """The quantities that `measure` returns with these settings."""
    modes, depth = settings.replication.modes, settings.replication.depth
    learned = [of_seeds(LEARN.format(depth.steps, each), len(settings.seeds)) for each in depth.depths]
    return [*map(HALF.format, modes.singular_values), *map(STEPS.format, depth.depths), *learned, FLAT, SLOWER]


def total(settings: Any) -> int:
    """The number of models."""
    own = settings.replication
    grid = len(own.depth.depths) * len(own.depth.rates) * len(settings.initializers)
    return len(settings.seeds) * (1 + grid)


def measure(settings: Any, advance: Callable[[int], object]) -> Replication:
    """Train all networks; `advance` is called with numbers of models."""
    modes, curves = learn_modes(settings, advance)
    depths, steps = learn_rotation(settings, advance)
    return Replication([*modes, *depths], {"modes": curves, "depths": steps})


def whitened(n: int) -> Array:
    """Inputs X (n, 2 n) with mean 0 and X X' = 2 n I, for n a multiple of 4: columns and their negatives.

    Both are in one block of eight samples, over which the sum of what is odd in x is exactly 0: gradients of biases.
    """
    X = np.zeros((n, 2 * n))
    for i in range(n):
        block, lane = divmod(i, 4)
        X[i, 8 * block + lane], X[i, 8 * block + lane + 4] = math.sqrt(n), -math.sqrt(n)
    return X


def times(*factors: Array) -> Array:
    """The product of stacks of matrices."""
    result = factors[0]
    for factor in factors[1:]:
        result = product(result, factor)
    return result


def learn_modes(settings: Any, advance: Callable[[int], object]) -> tuple[list[Measurement], Any]:
    """The half-rise time of each mode, and the table of its strength over time."""
    own = settings.replication.modes
    s = own.singular_values
    n, when = len(s), range(0, own.steps + 1, own.record_every)
    X = whitened(n)
    spec = NetworkSpec([n, own.hidden, n], [LINEAR], X)
    time = [step * own.time_step for step in when]

    def one(seed: int) -> Array:
        rng = np.random.RandomState([seed, BASES])
        U, V = orthonormal(rng, n, n)[None], orthonormal(rng, n, n)[None]
        target = times(U * np.array(s), V.swapaxes(1, 2))
        ((W, b), (_, c)) = drawn(settings.initializers["orthogonal"], [seed], spec)
        scale = math.sqrt(own.initial)  # of each of the two factors of a mode
        second = times(U, V.swapaxes(1, 2), W.swapaxes(1, 2))
        trained = gradient_descent.train(
            [(scale * W, b), (scale * second, c)],
            *(X, product(target, X)[0], [LINEAR]),
            learning_rate=own.time_step,
            record_at=when,
            keep=True,
            loss=Loss.SQUARED,
            n_workers=1,
        )
        return modes_of(trained.snapshots, U, V)

    found: list[list[float]] = [[] for _ in s]
    tables = []
    for seed, strengths in zip(settings.seeds, measured(one, settings.seeds, advance), strict=True):
        for k, value in enumerate(s):
            strength = strengths[:, k].tolist()
            found[k].append(first_crossing(strength, value / 2.0) * own.record_every * own.time_step)
            theory = [mode_strength(t, value, own.initial) for t in time]
            tables.append(pd.DataFrame({"seed": seed, "s": value, "time": time, "u": strength, "theory": theory}))
    measurements = [
        median_over_seeds(HALF.format(value), times_, half_rise(value, own.initial))
        for value, times_ in zip(s, found, strict=True)
    ]
    return measurements, pd.concat(tables, ignore_index=True)


def modes_of(snapshots: Sequence[Parameters], U: Array, V: Array) -> Array:
    """u_k' W_2 W_1 v_k (snapshots, modes) of one model, for the columns of U and V (1, n, n)."""
    first, second = (np.concatenate([weights[l][0] for weights in snapshots]) for l in (0, 1))
    left, right = (np.repeat(each, len(snapshots), axis=0) for each in (U.swapaxes(1, 2), V))
    return np.diagonal(times(left, second, first, right), axis1=1, axis2=2)


def first_crossing(values: Sequence[float], level: float) -> float:
    """The place at which ascending values reach a level, by linear interpolation; infinite if they do not."""
    for k, (before, after) in enumerate(pairwise(values)):
        if before < level <= after:
            return k + (level - before) / (after - before)
    return math.inf


def learn_rotation(settings: Any, advance: Callable[[int], object]) -> tuple[list[Measurement], Any]:
    """The steps that networks of each depth need, and their table."""
    own = settings.replication.depth
    X, when = whitened(own.width), [0, *spaced(own.steps)]
    target = orthonormal(np.random.RandomState([BASES]), own.width, own.width)[None]
    Y = product(signs(target) * target, X)[0]
    items = [(depth, name, rate) for depth in own.depths for name in settings.initializers for rate in own.rates]

    def one(item: tuple[int, str, float]) -> list[float]:
        depth, name, rate = item
        spec = NetworkSpec([own.width] * (depth + 1), [LINEAR] * (depth - 1), X)
        models = with_determinant_one(drawn(settings.initializers[name], settings.seeds, spec))
        rule, arithmetic = UpdateRule(rate / depth, 0.0), gradient_descent.COMPILED
        job = (models, settings.seeds, X, Y, spec.activations, rule, None, np.array(when), arithmetic)
        trained = gradient_descent.train_slice(gradient_descent.Job(*job, loss=Loss.SQUARED))
        return [steps_to_learn(when, costs) for costs in trained.costs.tolist()]

    results = measured(one, items[::-1], lambda n: advance(n * len(settings.seeds)))  # the longest training first
    found = dict(zip(items[::-1], results, strict=True))
    medians, rows, learned = {}, [], {}
    for depth in own.depths:
        for name in settings.initializers:
            best: list[float] = [math.inf] * len(settings.seeds)
            for rate in own.rates:
                best = min(best, found[depth, name, rate], key=lambda values: quantile(values, 0.5))
            medians[name, depth], learned[name, depth] = quantile(best, 0.5), [each < math.inf for each in best]
            rows += [
                {"initializer": name, "depth": depth, "seed": seed, "steps": each, "limit": own.steps}
                for seed, each in zip(settings.seeds, best, strict=True)
            ]
    measurements = []
    for depth in own.depths:
        steps = [row["steps"] for row in rows if row["initializer"] == "orthogonal" and row["depth"] == depth]
        measurements.append(median_over_seeds(STEPS.format(depth), steps))
        measurements.append(count_over_seeds(LEARN.format(own.steps, depth), learned["gaussian", depth]))
    flat = [medians["orthogonal", depth] for depth in own.depths if depth >= FLAT_FROM]
    slower = medians["gaussian", COMPARED] / medians["orthogonal", COMPARED]
    measurements += [Measurement(FLAT, max(flat) / min(flat), theory=1.0), Measurement(SLOWER, slower)]
    return measurements, pd.DataFrame(rows)


def spaced(last: int) -> list[int]:
    """Numbers of steps from 1 to `last`, 5 % apart from 20 on."""
    steps = [1]
    while steps[-1] < last:
        steps.append(min(last, max(steps[-1] + 1, steps[-1] * 21 // 20)))
    return steps


def steps_to_learn(when: Sequence[int], costs: Sequence[float]) -> float:
    """The first recorded number of steps with a loss of at most LEARNED of the initial one; else infinite."""
    return next((float(step) for step, cost in zip(when, costs, strict=True) if cost <= LEARNED * costs[0]), math.inf)


def signs(matrices: Array) -> Array:
    """Factors (models, n, 1) of the rows of matrices (models, n, n): 1, and -1 of the first row if det(M) <= 0."""
    found = np.ones((len(matrices), matrices.shape[1], 1))
    found[:, 0, 0] = [1.0 if determinant(one) > 0.0 else -1.0 for one in matrices]
    return found


def with_determinant_one(models: Parameters) -> Parameters:
    """Models with the first row of W_1 negated where the determinant of the product of all layers is negative."""
    (W, b), *others = models
    whole = W
    for V, _ in others:
        whole = product(V, whole)
    return [(signs(whole) * W, b), *others]


@styled
def draw(tables: dict[str, Any]) -> Figure:
    """The strengths of the modes over time (their figure 3), and the steps against depth (after their figure 6)."""
    modes, depths = tables["modes"], tables["depths"]
    figure = Figure(figsize=(9.0, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    one = modes[modes["seed"] == modes["seed"].iloc[0]]
    for value, part in one.groupby("s"):
        left.plot(part["time"], part["theory"], color=ACCENT, linewidth=1.4)
        left.plot(part["time"][::10], part["u"][::10], "o", color=DARK, markersize=3)
        left.annotate(
            f"s = {value:g}", (part["time"].iloc[-1], part["u"].iloc[-1]), (-2, 5), "data", "offset points", ha="right"
        )
    left.set_title("Modes of a network with one hidden layer")
    left.set_xlabel("time (steps × rate)")
    left.set_ylabel("strength of the mode")
    left.legend(
        handles=[
            Line2D([], [], color=ACCENT, label="theory"),
            Line2D([], [], color=DARK, marker="o", linestyle="", markersize=4, label="network"),
        ],
        loc="upper left",
    )
    for name, colour, marker in STYLES:
        every = depths[depths["initializer"] == name]
        part, never = every[np.isfinite(every["steps"])], every[~np.isfinite(every["steps"])]
        right.plot(never["depth"], never["limit"], marker, color=colour, markersize=5, fillstyle="none")
        right.plot(part["depth"], part["steps"], marker, color=colour, markersize=4, alpha=0.5)
        drawing.medians(right, part, "depth", "steps", color=colour, linewidth=1.8)
    right.set_xscale("log", base=2)
    right.set_yscale("log")
    ticks = sorted(set(depths["depth"]))
    right.set_xticks(ticks, [f"{depth}" for depth in ticks])
    right.set_title("Steps to 1 % of the initial loss")
    right.set_xlabel("depth (layers)")
    right.set_ylabel("steps with the best rate")
    handles = [
        Line2D([], [], color=colour, marker=marker, markersize=4, label=f"{NAMES[name]} weights")
        for name, colour, marker in STYLES
    ]
    never_style: dict[str, Any] = {"marker": "s", "markersize": 5, "fillstyle": "none", "linestyle": ""}
    label = f"not learned in {depths['limit'].iloc[0]:,} steps"
    handles.append(Line2D([], [], color=ACCENT, **never_style, label=label))
    right.legend(handles=handles, loc="lower right")
    return figure


STYLES = (("orthogonal", DARK, "o"), ("gaussian", ACCENT, "s"))
