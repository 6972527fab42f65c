"""reports/initialization.md: the measurements at initialization beside theory, in Markdown."""

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from pipeline.analysis.comparison import Table, label_counts
from pipeline.analysis.estimators import three_sigma_bound
from pipeline.analysis.initialization_table import ROUNDING, agreement_bound, compared_with_theory, layers_to_show
from pipeline.diagnostics.labels import LABEL_RULES, Label
from pipeline.diagnostics.measure import LAYER_QUANTITIES, MODEL_QUANTITIES
from pipeline.numerics.sums import integer_sum
from pipeline.reporting import conclusions
from pipeline.reporting.formatting import format_number
from pipeline.reporting.markdown import table

QUANTITIES = {**LAYER_QUANTITIES, **MODEL_QUANTITIES}
Cells = Mapping[tuple[str, str, int], Any]  # from (initializer, quantity, layer or 0) to a row of initialization.csv


def report(
    measured: Table,
    model_labels: Mapping[str, Sequence[Label]],
    unpredicted: Mapping[str, str],
    layers_dims: Sequence[int],
    estimated: Sequence[str] = (),
) -> str:
    """The text of reports/initialization.md.

    `measured` is the table of initialization.csv and `model_labels` has the label of every model of each initializer.
    `unpredicted` has, for each initializer for which theory makes no prediction, the reason as a verb phrase;
    `estimated` names those whose variances were estimated from the weights themselves.
    `layers_dims` is [n_0, ..., n_L].
    """
    names, n_layers, n_classes = list(model_labels), len(layers_dims) - 1, max(2, layers_dims[-1])
    cells = {(row.initializer, row.quantity, int(row.layer) if row.layer > 0 else 0): row for row in _rows(measured)}
    n_models = integer_sum(map(len, model_labels.values()))
    n_seeds = max(map(len, model_labels.values()))
    parts = [
        "# Networks at initialization",
        conclusions.of_initialization(measured, model_labels, list(unpredicted), n_layers),
        f"{len(names)} initializers, {n_models} models, layers {_sizes(layers_dims)}: measured on the "
        "training data before the first step, with the predictions of theory. The numbers are rounded; "
        "initialization.csv in this folder has all digits.",
        "## Labels",
        _labels(cells, model_labels, n_layers),
        f"With zero logits the cost is ln {n_classes} = {math.log(n_classes):.4g}. The label is the first of these "
        "that applies; the example is the measurement that gave it in one model. All labels but the last three predict "
        "that training fails at any learning rate within the configured number of steps; docs/diagnostics.md shows how "
        "often each label was right. An input is blocked if some hidden layer has slope 0 in all units there; the "
        "sharpness is the largest eigenvalue of the Gauss-Newton matrix of the cost, with all classes taken as equally "
        "probable.",
        "\n".join(f"- **{rule.name}**: {rule.rule}.{f' Why: {rule.why}.' if rule.why else ''}" for rule in LABEL_RULES),
        "## Signals and gradients by layer",
        _layers(cells, names, n_layers, n_seeds),
        "Mean over the seeds ± standard deviation. Signal: the mean square of the pre-activations. Gradient: the mean "
        "square of the derivative of the cost by them, over that of the last layer. z: measured minus predicted, in "
        f"standard errors of the mean over the seeds. {_bound(n_seeds)}“(72 of 100)” after a mean: the quantity is "
        "defined for 72 of 100 models, and the mean is over those.",
        "## From the input to the last hidden layer",
        _maps(cells, names, n_layers, n_seeds),
        f"Correlation: of the pre-activations of layer {max(1, n_layers - 1)} at two orthogonal inputs. Jacobian: the "
        "sum of the squared singular values of the Jacobian of the last hidden layer, divided by the number of inputs; "
        "and its largest and smallest singular value.",
        _typical(cells, names, n_seeds),
        "Blocked inputs: the share of samples at which some hidden layer has slope 0 in all units. Log growth: the "
        "logarithm of the mean square of the last activations over that of the input, averaged over the other samples. "
        "It describes a typical network, while the mean of the signal above is dominated by a few large values.",
        "## Theory and its assumptions",
        _assumptions(measured, unpredicted, [name for name in estimated if name not in unpredicted], n_seeds),
        "## Figures",
        "![Signal and gradient by layer](figures/depth.png)",
        "![Activations by layer](figures/activations.png)",
        "## Quantities in initialization.csv",
        _quantities(),
    ]
    return "\n\n".join(parts) + "\n"


def _sizes(layers_dims: Sequence[int]) -> str:
    """2, 10, 5, 1; and 2, 50 of 100, 1."""
    runs = [(size, len(list(group))) for size, group in groupby(layers_dims)]
    return ", ".join(str(size) if n == 1 else f"{n} of {size}" for size, n in runs)


def _rows(measured: Table) -> list[Any]:
    return list(measured.astype({"layer": float}).itertuples(index=False))


def _labels(cells: Cells, model_labels: Mapping[str, Sequence[Label]], n_layers: int) -> str:
    rows = []
    for name, of_models in model_labels.items():
        words = [label.name for label in of_models]
        examples = {label.name: label for label in of_models[::-1] if label.reason}  # of each the first
        shown = [
            examples[word].reason if len(set(words)) == 1 else str(examples[word])
            for word in dict.fromkeys(words)
            if word in examples
        ]
        hidden = range(1, n_layers)
        dead, all_dead, unique = (
            math.fsum(cells[name, quantity, l].mean for l in hidden)
            for quantity in ("dead", "dead_for_all", "unique_incoming_outgoing")
        )
        units = math.fsum(cells[name, "units", l].mean for l in hidden)
        rows.append(
            [
                name,
                label_counts(words),
                "; ".join(shown) or "–",
                *_beside(cells.get((name, "initial_cost", 0)), len(of_models)),
                _shown("saturated", cells[name, "saturated", n_layers].mean),
                f"{format_number(unique)} of {format_number(units)}",
                f"{format_number(dead)}; {format_number(all_dead)}",
            ]
        )
    heads = ["initializer", "label", "example", "initial cost", "predicted", "z", "saturated outputs"]
    heads += ["distinct units", "dead units; in all seeds"]
    return table(heads, rows, left=(0, 1, 2))


def _layers(cells: Cells, names: Sequence[str], n_layers: int, n_seeds: int) -> str:
    rows = []
    for name in names:
        for l in layers_to_show(n_layers):
            row = [name, str(l), *_beside(cells.get((name, "preactivation_mean_square", l)), n_seeds)]
            row += _beside(cells.get((name, "gradient_ratio", l)), n_seeds)
            row.append(_mean(cells.get((name, "saturated", l)), n_seeds))
            rows.append([*row, _mean(cells.get((name, "effective_rank", l)), n_seeds)])
    heads = ["initializer", "layer", "signal", "predicted", "z", "gradient", "predicted", "z"]
    return table([*heads, "saturated", "effective rank"], rows)


def _bound(n_seeds: int) -> str:
    """The sentence about the bound of z; empty for a single seed, of which there is no z."""
    if n_seeds == 1:
        return ""
    return (
        f"A mean differs from its prediction if |z| is above {three_sigma_bound(n_seeds):.3g}: for normal values of "
        f"{n_seeds} seeds this happens by chance with probability 0.27 % (Student's t), as often as a normal variable "
        "is more than 3 standard deviations from its mean. For quantities that are defined for fewer models the bound "
        "is larger. "
    )


def _maps(cells: Cells, names: Sequence[str], n_layers: int, n_seeds: int) -> str:
    rows = []
    for name in names:
        row = [name, *_beside(cells.get((name, "correlation", max(1, n_layers - 1))), n_seeds)]
        row += _beside(cells.get((name, "jacobian_mean_square", 0)), n_seeds)
        ends = [_mean(cells.get((name, f"jacobian_{end}", 0)), n_seeds) for end in ("largest", "smallest")]
        rows.append([*row, ", ".join(ends)])
    heads = ["initializer", "correlation", "predicted", "z", "Jacobian", "predicted", "z", "largest, smallest"]
    return table(heads, rows)


def _typical(cells: Cells, names: Sequence[str], n_seeds: int) -> str:
    rows = []
    for name in names:
        blocked = _beside(cells.get((name, "blocked_inputs", 0)), n_seeds)
        rows.append([name, *blocked, *_beside(cells.get((name, "log_growth", 0)), n_seeds)])
    return table(["initializer", "blocked inputs", "predicted", "z", "log growth", "predicted", "z"], rows)


def _assumptions(measured: Table, unpredicted: Mapping[str, str], estimated: Sequence[str], n_seeds: int) -> str:
    compared, far = compared_with_theory(measured)
    parts = [
        "Mean-field theory computes variances in wide layers (Poole et al. 2016, Schoenholz et al. 2017). It assumes "
        "that pre-activations are normal, and that the weights of the backward pass are independent of those of the "
        "forward pass. For ReLU without biases the signal is exact at any width (He et al. 2015); with normal weights, "
        "blocked inputs (Lu et al. 2019) and log growth are exact too. The other predictions have errors of about "
        "1 / n per layer of n units, which a hundred seeds are enough to show. In networks that are deep for their "
        "width a few large models dominate the mean (Hanin & Rolnick 2018): the mean over a few seeds is then usually "
        "below the expected value, and log growth is the more reliable measure.",
        f"{len(compared) - len(far)} of {len(compared)} measured means lie within {agreement_bound(n_seeds)} of the "
        "prediction" + (":" if unpredicted or estimated or len(far) else "."),
    ]
    remarks = []
    if len(far):
        beyond = [
            f"{row.initializer} {row.quantity}{f' in layer {row.layer:.0f}' if row.layer > 0 else ''} "
            f"({_shown(row.quantity, row.mean)}, not {_shown(row.quantity, row.predicted)})"
            for row in _rows(far.reindex(far["z_score"].abs().sort_values(ascending=False).index).head(12))
        ]
        more = "" if len(far) <= len(beyond) else f", and {len(far) - len(beyond)} more"
        remarks.append(f"- further away: {', '.join(beyond)}{more};")
    remarks += [
        f"- {name}: predictions from the variances estimated from the weights, taken as uncorrelated;"
        for name in estimated
    ]
    remarks += [f"- {name}: no prediction, because it {reason};" for name, reason in unpredicted.items()]
    if remarks:
        remarks[-1] = remarks[-1].rstrip(";") + "."
        parts.append("\n".join(remarks))
    return "\n\n".join(parts)


def _beside(row: Any, n_seeds: int) -> list[str]:
    """Measured mean, prediction and z-score, each "–" if it is undefined or initialization.csv has no such row."""
    if row is None:
        return ["–", "–", "–"]
    off = f"{row.z_score:+.1f}".replace("-", "−") if not math.isnan(row.z_score) else "–"
    predicted = "–" if math.isnan(row.predicted) else _shown(row.quantity, row.predicted)
    return [_mean(row, n_seeds, spread=True), predicted, off]


def _mean(row: Any, n_seeds: int, *, spread: bool = False) -> str:
    """The mean, with the standard deviation if `spread`, and the number of models if not defined for all of them."""
    if row is None:
        return "–"
    deviates = spread and ROUNDING * abs(row.mean) < row.std < math.inf
    of = f" ({row.seeds} of {n_seeds})" if row.seeds < n_seeds else ""
    return f"{_shown(row.quantity, row.mean)}{f' ± {_shown(row.quantity, row.std)}' if deviates else ''}{of}"


def _shown(quantity: str, value: float) -> str:
    """A value of a quantity in its unit: a share in percent, a correlation of the order of rounding errors as 0."""
    if quantity == "correlation" and abs(value) < ROUNDING:
        value = 0.0
    is_share = not math.isnan(value) and QUANTITIES[quantity].unit == "share"
    return f"{format_number(100.0 * value)} %" if is_share else format_number(value)


def _quantities() -> str:
    """The quantities of initialization.csv with their units."""
    rows = [[f"`{name}`", one.meaning, one.unit] for name, one in QUANTITIES.items() if one.reported]
    return table(["quantity", "meaning", "unit"], rows, left=(0, 1, 2))
