"""Deep networks can be trained up to a multiple of the depth scale ξ_c of correlations, which diverges at the edge of
chaos: the best σ_w² of each depth is near the critical one.

Setting: the standardized digits, tanh layers of 80 units, σ_b² = 0.05, depths from 20 to 160 layers, 200 steps of
batches of 50, momentum 0.9, rate 0.05 / depth, 3 seeds. A network counts as trained if its training accuracy is at
least 0.5; at 160 layers none is after so few steps, and at 20 layers so many are that the best σ_w² says little.
Width, samples and steps were chosen so that depths differ: with 64 units, 1,000 samples and 200 steps the area under
the curve is 0.88, and the best σ_w² at 20 layers is 2.5. The fitted multiple is the one that agrees with the most
networks; it is a single number, with no interval over the seeds. The paper draws 6 ξ_c as the limit on MNIST; the
fitted multiple is near it here, but 6 is not universal: it depends on steps, rates and data, and phase_diagram, with
half the steps, has a smaller one. Theory: ξ_c by quadrature; the critical σ_w² is 1.7610.
"""

from collections.abc import Callable
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from pipeline.analysis.estimators import quantile
from pipeline.analysis.separation import area_under_curve, best_threshold
from pipeline.cluster import connection
from pipeline.config.replications import Accuracy, Count, Counts, Positive, Positives, Related, TenClasses, holds
from pipeline.config.schema import Seeds, Training
from pipeline.figures import phase_figures
from pipeline.figures.style import legend_above, styled
from pipeline.networks.activations import ACTIVATIONS
from pipeline.networks.edge_of_chaos import critical_point
from pipeline.replications.measurement import Measurement, Replication
from pipeline.replications.phases import Descent, Variances, depth_scales, n_agree, theory_of, trained_accuracies
from pipeline.replications.trained import Speed, deep, training_set

TITLE = "Schoenholz et al. 2017, Deep information propagation: figure 5"
FIGURE = (
    "The paper shows the training accuracy in the same plane, on MNIST and CIFAR-10, for wider networks, several "
    "numbers of steps and two optimizers, with multiples of ξ_c as dashed lines. Here it is one number of steps on "
    "the digits, a coarser grid, and the fitted multiple beside the published one. The red line is the boundary of the "
    "networks that count as trained."
)
TANH = ACTIVATIONS["tanh"]
PUBLISHED_MULTIPLE = phase_figures.PUBLISHED
LINE_POINTS = 121  # of theory's line in the figure
BEST = "best σ_w², {} layers"
AREA = "area under the ROC curve of ξ_c / depth"
MULTIPLE = "multiple of ξ_c that separates trained networks"
FITTED, PUBLISHED_FIT = "points that agree with the fitted multiple, of {}", "points that agree with 6 ξ_c, of {}"


class Own(Related):
    """The grid of networks."""

    width: Count
    sigma_b2: Positive
    sigma_w2: Positives
    depths: Counts
    trained: Accuracy

    def problems(self) -> list[str]:
        """The grid ascends, and networks have hidden layers."""
        problems = []
        if list(self.sigma_w2) != sorted(self.sigma_w2) or len(self.sigma_w2) < 2:
            allowed = "a list of two or more entries in ascending order"
            problems.append(holds("replication.sigma_w2", self.sigma_w2, allowed))
        if self.depths[0] < 2:
            allowed = "at least 2: a hidden layer and the output"
            problems.append(holds("replication.depths", self.depths[0], allowed))
        return problems


class Settings(Related):
    """The sections of params.yaml."""

    data: TenClasses
    training: Training
    seeds: Seeds
    replication: Own

    def problems(self) -> list[str]:
        """A batch is a part of the samples."""
        size, n_train = self.training.samples_per_step or 1, self.data.n_train
        return (
            [holds("training.batch_size", size, f"at most data.n_train, {n_train}, or full")] if size > n_train else []
        )


def quantities(settings: Any) -> list[str]:
    """The quantities that `measure` returns with these settings."""
    own = settings.replication
    n = len(own.sigma_w2) * len(own.depths)
    return [*map(BEST.format, own.depths), AREA, MULTIPLE, FITTED.format(n), PUBLISHED_FIT.format(n)]


def total(settings: Any) -> int:
    """The number of models."""
    own = settings.replication
    return len(own.sigma_w2) * len(own.depths) * len(settings.seeds)


def measure(settings: Any, advance: Callable[[int], object]) -> Replication:
    """Train the grid of sigma_w^2 and depth; `advance` is called with numbers of models."""
    own, T = settings.replication, settings.training
    X, Y = training_set(settings.data)
    descent = Descent(T.iterations, T.samples_per_step or X.shape[1], T.momentum)
    points = [Variances(sigma_w2, own.sigma_b2) for sigma_w2 in own.sigma_w2]
    theory = theory_of(points, TANH)
    critical = critical_point(TANH, own.sigma_b2).weight_variance
    speed, rows, measurements = Speed(), [], []
    with connection.workers("train", "schoenholz_2017") as workers:
        for depth in own.depths:
            spec = deep(settings.data, depth, own.width, TANH, X)
            rates = [T.learning_rate / depth]
            (found,) = trained_accuracies(
                points, settings.seeds, spec, Y, descent, rates, workers, speed, advance
            ).tolist()
            medians = [quantile(values, 0.5) for values in found]
            best = own.sigma_w2[medians.index(max(medians))]
            measurements.append(Measurement(BEST.format(depth), best, theory=critical))
            for each, expected, values, median in zip(points, theory, found, medians, strict=True):
                row = {"depth": depth, "sigma_w2": each.weight, "chi_1": expected.chi_1, "xi_c": expected.xi_c}
                rows.append({**row, "accuracy": median, "least": min(values), "most": max(values)})
        speed.report(workers.n_threads)
    cells = pd.DataFrame(rows)
    ratios = (cells["depth"] / cells["xi_c"]).tolist()
    is_trained = (cells["accuracy"] >= own.trained).tolist()
    fit, agree = best_threshold(ratios, is_trained), n_agree(ratios, is_trained, PUBLISHED_MULTIPLE)
    measurements += [
        Measurement(AREA, area_under_curve([-r for r in ratios], is_trained)),
        Measurement(MULTIPLE, fit.centre),
        Measurement(FITTED.format(len(ratios)), float(fit.n_agree)),
        Measurement(PUBLISHED_FIT.format(len(ratios)), float(agree)),
    ]
    tables = {
        "cells": cells,
        "theory": depth_scales(TANH, min(own.sigma_w2), max(own.sigma_w2), own.sigma_b2, LINE_POINTS),
        "fit": pd.DataFrame(
            {"multiple": [fit.centre], "critical": [critical], "sigma_b2": [own.sigma_b2], "trained": [own.trained]}
        ),
    }
    return Replication(measurements, tables)


@styled
def draw(tables: dict[str, Any]) -> Figure:
    """Accuracy against sigma_w^2 and depth, with theory's depth scale (their figure 5)."""
    figure = Figure(figsize=(6.8, 4.4), layout="constrained")
    ax = figure.subplots()
    fit = tables["fit"].iloc[0]
    multiple, trained = fit["multiple"], fit["trained"]
    mesh = phase_figures.depth_panel(ax, tables["cells"], tables["theory"], multiple, fit["critical"], trained)
    figure.colorbar(mesh, ax=ax, label="training accuracy, median over the seeds")
    ax.set_title(rf"Accuracy after training, $\sigma_b^2$ = {fit['sigma_b2']:g}")
    legend_above(figure, phase_figures.handles(multiple, trained))
    return figure
