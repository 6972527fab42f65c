"""Deep tanh networks can be trained in a wedge of variances of weights and biases around the edge of chaos, χ₁ = 1,
where the depth scale ξ_c of correlations is at least a fixed share of the depth.

Setting: the standardized digits, 40 layers of 50 units, 100 steps of batches of 50, momentum 0.9, the better of two
rates, 4 seeds. A cell counts as trained if its training accuracy, the median over the seeds, is at least 0.5. The
fitted multiple is the one that agrees with the most cells; it is a single number, with no interval over the seeds. The
axis of σ_b² ends at 0.2 and begins above 0: up to 0.5, so few steps do not suffice even at the edge (9 % of the cells
are trained, and the fitted multiple is 0.8), and at σ_b² = 0 a smaller run had its best σ_w² 0.7 above the critical
one. The published 6 ξ_c is not universal: the multiple depends on steps and data. Theory: the line χ₁ = 1 and ξ_c by
quadrature (Poole et al. 2016; Schoenholz et al. 2017). All cells are in
[phase_diagram_cells.csv](../reports/replications/phase_diagram_cells.csv).
"""

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Annotated, Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pipeline.analysis.estimators import quantile
from pipeline.analysis.separation import area_under_curve, best_threshold
from pipeline.cluster import connection
from pipeline.cluster.connection import Workers
from pipeline.config.messages import shown
from pipeline.config.replications import (
    Accuracy,
    Count,
    Counts,
    NotNegative,
    Positive,
    Positives,
    Related,
    TenClasses,
    holds,
    whole,
)
from pipeline.config.schema import Momentum, Seeds
from pipeline.config.validation import Section, one_of
from pipeline.figures import phase_figures
from pipeline.figures.style import legend_above, styled
from pipeline.networks.activations import ACTIVATIONS, Activation
from pipeline.networks.edge_of_chaos import critical_point
from pipeline.numerics.sums import Array, integer_sum
from pipeline.replications.measurement import Measurement, Replication
from pipeline.replications.phases import Descent, Variances, depth_scales, n_agree, theory_of, trained_accuracies
from pipeline.replications.trained import Speed, deep, training_set
from pipeline.theory.mean_field import fixed_points
from pipeline.theory.phase_diagram import Point

TITLE = "The phase diagram of trainability"
NOT_REPRODUCED = {
    "multiple of ξ_c that separates trained networks": (
        "The published multiple is that of other data, wider networks and more steps."
    ),
    "share of cells that agree with 6 ξ_c": (
        "Where the depth is between the fitted multiple of ξ_c and 6 ξ_c, most networks are not trained after so few "
        "steps."
    ),
}
FIGURE = (
    "Papers draw this plane from theory alone, and train networks for one σ_b² (Schoenholz et al. 2017, figure 5: "
    "MNIST and CIFAR-10, wider networks, more steps), as in the right panel. Here the networks of both panels are "
    "trained, and the fitted multiple of ξ_c stands beside the published one. The red line is the boundary of the "
    "cells that count as trained."
)
TABLES = ("cells",)  # also written as CSV
PUBLISHED_MULTIPLE = phase_figures.PUBLISHED
LINE_POINTS = 101  # of theory's lines in the figure


class Axis(Section):
    """Evenly spaced values."""

    first: NotNegative
    last: Positive
    n: Annotated[int, whole(2, 1000)]

    @property
    def values(self) -> list[float]:
        """The values from first to last."""
        values: list[float] = np.linspace(self.first, self.last, self.n).tolist()
        return values


class Panel(Section):
    """The grid of depth against sigma_w^2, which has every second sigma_w^2 of the diagram."""

    depths: Counts
    sigma_b2: NotNegative
    n_seeds: Count


class Own(Related):
    """The diagram."""

    activation: Annotated[str, one_of(ACTIVATIONS)]
    depth: Annotated[int, whole(2)]
    width: Count
    sigma_w2: Axis
    sigma_b2: Axis
    steps: Count
    batch_size: Count
    momentum: Momentum
    rates: Positives
    trained: Accuracy
    ridge_up_to: Positive
    depth_panel: Panel

    def problems(self) -> list[str]:
        """The axes ascend, some cells are compared with the critical line, and networks have hidden layers."""
        problems = []
        for name, axis in (("sigma_w2", self.sigma_w2), ("sigma_b2", self.sigma_b2)):
            if axis.last <= axis.first:
                allowed = f"greater than replication.{name}.first, {axis.first:g}"
                problems.append(holds(f"replication.{name}.last", axis.last, allowed))
        if self.sigma_w2.n < 3:
            allowed = "at least 3: the panel of depths has every second value"
            problems.append(holds("replication.sigma_w2.n", self.sigma_w2.n, allowed))
        if self.ridge_up_to < self.sigma_b2.first:
            allowed = f"at least replication.sigma_b2.first, {self.sigma_b2.first:g}"
            problems.append(holds("replication.ridge_up_to", self.ridge_up_to, allowed))
        if (shallowest := self.depth_panel.depths[0]) < 2:
            allowed = "at least 2: a hidden layer and the output"
            problems.append(holds("replication.depth_panel.depths", shallowest, allowed))
        phi, axes = ACTIVATIONS[self.activation], (self.sigma_w2, self.sigma_b2)
        for w, b in product(*((axis.first, axis.last) for axis in axes)):
            if len(fixed_points(w, b, phi)) != 1:
                allowed = f"one whose variance has one stable fixed point at sigma_w2 = {w:g}, sigma_b2 = {b:g}"
                return [*problems, holds("replication.activation", self.activation, allowed)]
        for b in (self.sigma_b2.first, self.sigma_b2.last, self.depth_panel.sigma_b2):
            try:
                critical_point(phi, b)
            except ValueError as error:
                return [*problems, f"replication.activation holds {shown(self.activation)}; {error}."]
        return problems


class Settings(Related):
    """The sections of params.yaml."""

    data: TenClasses
    seeds: Seeds
    replication: Own

    def problems(self) -> list[str]:
        """Batches and seeds of the panel are parts of what there is."""
        own, problems = self.replication, []
        if own.batch_size > self.data.n_train:
            allowed = f"at most data.n_train, {self.data.n_train}"
            problems.append(holds("replication.batch_size", own.batch_size, allowed))
        if own.depth_panel.n_seeds > len(self.seeds):
            allowed = f"at most {len(self.seeds)}, the number of seeds"
            problems.append(holds("replication.depth_panel.n_seeds", own.depth_panel.n_seeds, allowed))
        return problems


def total(settings: Any) -> int:
    """The number of models."""
    own = settings.replication
    panel = len(own.sigma_w2.values[::2]) * len(own.depth_panel.depths) * len(panel_seeds(settings))
    n_models: int = len(own.rates) * (own.sigma_w2.n * own.sigma_b2.n * len(settings.seeds) + panel)
    return n_models


def panel_seeds(settings: Any) -> Sequence[int]:
    """The first seeds, with which the panel of depths is trained."""
    seeds: Sequence[int] = settings.seeds[: settings.replication.depth_panel.n_seeds]
    return seeds


def measure(settings: Any, advance: Callable[[int], object]) -> Replication:
    """Train the grid; `advance` is called with numbers of models."""
    own, phi = settings.replication, ACTIVATIONS[settings.replication.activation]
    points = [Variances(w, b) for b in own.sigma_b2.values for w in own.sigma_w2.values]
    theory = theory_of(points, phi)
    speed = Speed()
    with connection.workers("train", "phase_diagram") as workers:
        found = accuracy(settings, own.depth, points, settings.seeds, workers, speed, advance)
        cells = table(points, theory, found, own.rates)
        slice_points = [Variances(w, own.depth_panel.sigma_b2) for w in own.sigma_w2.values[::2]]
        of_depth = []
        for depth in own.depth_panel.depths:
            found = accuracy(settings, depth, slice_points, panel_seeds(settings), workers, speed, advance)
            of_depth.append(table(slice_points, theory_of(slice_points, phi), found, own.rates).assign(depth=depth))
        speed.report(workers.n_threads)
    measurements, multiple = measured(own, cells, phi)
    biases = np.linspace(own.sigma_b2.first, own.sigma_b2.last, LINE_POINTS).tolist()
    edge = [critical_point(phi, b).weight_variance for b in biases]
    at = critical_point(phi, own.depth_panel.sigma_b2).weight_variance
    tables = {
        "cells": cells,
        "depths": pd.concat(of_depth, ignore_index=True),
        "theory": depth_scales(phi, own.sigma_w2.first, own.sigma_w2.last, own.depth_panel.sigma_b2, LINE_POINTS),
        "edge": pd.DataFrame({"sigma_b2": biases, "sigma_w2": edge}),
        "fit": pd.DataFrame({"multiple": [multiple], "critical": [at], "depth": [own.depth], "trained": [own.trained]}),
    }
    return Replication(measurements, tables)


def accuracy(
    settings: Any,
    depth: int,
    points: Sequence[Variances],
    seeds: Sequence[int],
    workers: Workers,
    speed: Speed,
    advance: Callable[[int], object],
) -> Array:
    """The training accuracy (rates, points, seeds) of networks of `depth` layers.

    The rates are those of the diagram's depth; at another depth they are in inverse proportion to it.
    """
    own, phi = settings.replication, ACTIVATIONS[settings.replication.activation]
    X, Y = training_set(settings.data)
    spec = deep(settings.data, depth, own.width, phi, X)
    rates = [rate * (own.depth / depth) for rate in own.rates]
    descent = Descent(own.steps, own.batch_size, own.momentum)
    return trained_accuracies(points, seeds, spec, Y, descent, rates, workers, speed, advance)


def table(points: Sequence[Variances], theory: Sequence[Point], found: Array, rates: Sequence[float]) -> Any:
    """The pandas table of cells: theory, and the accuracy with the better rate: the median over seeds, its range."""
    rows = []
    for k, (each, expected) in enumerate(zip(points, theory, strict=True)):
        medians = [quantile(of_rate[k].tolist(), 0.5) for of_rate in found]
        best = medians.index(max(medians))
        values = found[best, k].tolist()
        row = {"sigma_w2": each.weight, "sigma_b2": each.bias, "q": expected.q, "chi_1": expected.chi_1}
        row |= {"xi_c": expected.xi_c, "learning_rate": rates[best], "accuracy": medians[best]}
        rows.append({**row, "least": min(values), "most": max(values)})
    return pd.DataFrame(rows)


def measured(own: Own, cells: Any, phi: Activation) -> tuple[list[Measurement], float]:
    """The rows of published.csv from the cells, and the fitted multiple of xi_c."""
    xi, is_trained = cells["xi_c"].tolist(), (cells["accuracy"] >= own.trained).tolist()
    ratios = [own.depth / each if each > 0.0 else math.inf for each in xi]
    fit = best_threshold(ratios, is_trained)
    agree = n_agree(ratios, is_trained, PUBLISHED_MULTIPLE)
    ridge = []
    for sigma_b2, row in cells[cells["sigma_b2"] <= own.ridge_up_to].groupby("sigma_b2"):
        values = row["accuracy"].tolist()
        best = row["sigma_w2"].tolist()[values.index(max(values))]
        ridge.append(best - critical_point(phi, float(sigma_b2)).weight_variance)
    shallow = [holds for each, holds in zip(xi, is_trained, strict=True) if PUBLISHED_MULTIPLE * each < own.depth / 2]
    share = integer_sum(shallow) / len(shallow) if shallow else math.nan
    return [
        Measurement("area under the ROC curve of ξ_c", area_under_curve(xi, is_trained)),
        Measurement("multiple of ξ_c that separates trained networks", fit.centre),
        Measurement("share of cells that agree with the fitted multiple", fit.n_agree / len(xi)),
        Measurement("share of cells that agree with 6 ξ_c", agree / len(xi)),
        Measurement(
            "smallest distance of the best σ_w² from the critical one", min(ridge, default=math.nan), theory=0.0
        ),
        Measurement(
            "largest distance of the best σ_w² from the critical one", max(ridge, default=math.nan), theory=0.0
        ),
        Measurement("share of the cells with 6 ξ_c below half the depth that are trained", share),
        Measurement("share of trained cells", integer_sum(is_trained) / len(xi)),
    ], fit.centre


@styled
def draw(tables: dict[str, Any]) -> Figure:
    """Accuracy against both variances, and against the variance of the weights and depth, with theory's lines."""
    fit = tables["fit"].iloc[0]
    figure = Figure(figsize=(9.6, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    multiple, trained = fit["multiple"], fit["trained"]
    phase_figures.plane_panel(left, tables["cells"], tables["edge"], multiple, int(fit["depth"]), trained)
    mesh = phase_figures.depth_panel(right, tables["depths"], tables["theory"], multiple, fit["critical"], trained)
    sigma_b2 = tables["depths"]["sigma_b2"].iloc[0]
    left.set_title(f"Networks of {int(fit['depth'])} layers")
    right.set_title(rf"Variance of the biases $\sigma_b^2$ = {sigma_b2:g}")
    figure.colorbar(mesh, ax=[left, right], label="training accuracy, median over the seeds")
    legend_above(figure, phase_figures.handles(multiple, trained))
    return figure
