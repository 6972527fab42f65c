"""The newborn models as Markdown for a reader: reports/initialization.md. Pure."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

from pipeline.analysis.comparison import Table, label_counts
from pipeline.analysis.initialization_table import ROUNDING, chosen
from pipeline.diagnostics.labels import KINDS, Verdict
from pipeline.numerics.sums import integer_sum
from pipeline.reporting.markdown import table

FAR = 3.0  # standard errors

Shown = Callable[[float], str]
Cells = Mapping[tuple[str, str, int], Any]  # from (initializer, quantity, layer or 0) to a row of initialization.csv


def birth(
    measured: Table,
    verdicts: Mapping[str, Sequence[Verdict]],
    silence: Mapping[str, str],
    layers_dims: Sequence[int],
    estimated: Sequence[str] = (),
) -> str:
    """What the networks were at birth, from initialization.csv and the verdict on every model.

    `silence` says why theory is silent on some initializers; `estimated` names those whose variances were measured.
    """
    names, n_layers, n_classes = list(verdicts), len(layers_dims) - 1, max(2, layers_dims[-1])
    cells = {(row.initializer, row.quantity, int(row.layer) if row.layer > 0 else 0): row for row in _rows(measured)}
    n_models = integer_sum(map(len, verdicts.values()))
    n_seeds = max(map(len, verdicts.values()))
    parts = [
        "# What the networks were at birth",
        f"{len(names)} initializers, {n_models} models, layers {_sizes(layers_dims)}: measured on the "
        "training data before the first step, beside what theory predicts. Every number comes from "
        "initialization.csv beside this file, which holds all digits.",
        "## In a word",
        _words(cells, verdicts, n_layers),
        f"With zero logits the cost is ln {n_classes} = {math.log(n_classes):.4g}. The label is the first of "
        "these that applies. All but the last three predict that training fails at any learning rate within the "
        "configured number of steps; docs/diagnostics.md shows how often each label was right. An input is blocked if "
        "some hidden layer has slope 0 in all units there; the sharpness is the largest eigenvalue of the Gauss-Newton "
        "matrix of the cost, with all classes taken as equally probable.",
        "\n".join(f"- **{kind.word}**: {kind.rule}.{f' Why: {kind.why}.' if kind.why else ''}" for kind in KINDS),
        "## Signals and gradients, layer by layer",
        _layers(cells, names, n_layers, n_seeds),
        "Mean over the seeds ± standard deviation. Signal: the mean square of the pre-activations. Gradient: the mean "
        "square of the derivative of the cost by them, over that of the last layer. Off: measured minus predicted, in "
        "standard errors of the mean over the seeds. “(72 of 100)” stands behind a mean over only those "
        "models for which the quantity is defined.",
        "## From the input to the last hidden layer",
        _maps(cells, names, n_layers, n_seeds),
        f"Angle: the correlation, in layer {max(1, n_layers - 1)}, of the images of two inputs at a right angle. "
        "Stretch: the sum of the squared singular values of the Jacobian, over the number of inputs; beside it the "
        "largest and the smallest singular value.",
        _typical(cells, names, n_seeds),
        "Silent: the share of samples at which some hidden layer lets nothing pass. Log growth: the log of the mean "
        "square over that of the input, over the samples that get through. It tells of the typical network, while the "
        "signal above, a mean over all, hangs on few large ones.",
        "## What theory knows, and what it assumes",
        _assumptions(measured, silence, [name for name in estimated if name not in silence]),
        "## Figures",
        "![Signal and gradient against depth](figures/depth.png)",
        "![Activations layer by layer](figures/activations.png)",
    ]
    return "\n\n".join(parts) + "\n"


def _sizes(layers_dims: Sequence[int]) -> str:
    """2, 10, 5, 1; and 2, 50 of 100, 1."""
    runs = [(size, len(list(group))) for size, group in groupby(layers_dims)]
    return ", ".join(str(size) if n == 1 else f"{n} of {size}" for size, n in runs)


def _rows(measured: Table) -> list[Any]:
    return list(measured.astype({"layer": float}).itertuples(index=False))


def _words(cells: Cells, verdicts: Mapping[str, Sequence[Verdict]], n_layers: int) -> str:
    rows = []
    for name, of_models in verdicts.items():
        words = [verdict.word for verdict in of_models]
        examples = {verdict.word: verdict for verdict in of_models[::-1] if verdict.measured}  # of each the first
        shown = [
            examples[word].measured if len(set(words)) == 1 else str(examples[word])
            for word in dict.fromkeys(words)
            if word in examples
        ]
        hidden = range(1, n_layers)
        dead, all_dead, told_apart = (
            math.fsum(cells[name, quantity, l].mean for l in hidden)
            for quantity in ("dead", "dead_for_all", "told_apart")
        )
        units = math.fsum(cells[name, "units", l].mean for l in hidden)
        rows.append(
            [
                name,
                label_counts(words),
                "; ".join(shown) or "–",
                *_beside(cells.get((name, "cost", 0)), len(of_models)),
                _percent(cells[name, "saturated", n_layers].mean),
                f"{_number(told_apart)} of {_number(units)}",
                f"{_number(dead)}, {_number(all_dead)}",
            ]
        )
    heads = ["initializer", "at birth", "such as", "first cost", "predicted", "off", "saturated outputs"]
    heads += ["distinct units", "dead units, for all seeds"]
    return table(heads, rows, left=(0, 1, 2))


def _layers(cells: Cells, names: Sequence[str], n_layers: int, n_seeds: int) -> str:
    rows = []
    for name in names:
        for l in chosen(n_layers):
            row = [name, str(l), *_beside(cells.get((name, "z_square", l)), n_seeds)]
            row += _beside(cells.get((name, "gradient_ratio", l)), n_seeds)
            row.append(_mean(cells.get((name, "saturated", l)), n_seeds, _percent))
            rows.append([*row, _mean(cells.get((name, "effective_rank", l)), n_seeds)])
    heads = ["initializer", "layer", "signal", "predicted", "off", "gradient", "predicted", "off"]
    return table([*heads, "saturated", "effective rank"], rows)


def _maps(cells: Cells, names: Sequence[str], n_layers: int, n_seeds: int) -> str:
    rows = []
    for name in names:
        row = [name, *_beside(cells.get((name, "correlation", max(1, n_layers - 1))), n_seeds)]
        row += _beside(cells.get((name, "jacobian_square", 0)), n_seeds)
        ends = [_mean(cells.get((name, f"jacobian_{end}", 0)), n_seeds) for end in ("largest", "smallest")]
        rows.append([*row, ", ".join(ends)])
    heads = ["initializer", "angle", "predicted", "off", "stretch", "predicted", "off", "largest, smallest"]
    return table(heads, rows)


def _typical(cells: Cells, names: Sequence[str], n_seeds: int) -> str:
    rows = []
    for name in names:
        silent = _beside(cells.get((name, "silent", 0)), n_seeds, _percent)
        rows.append([name, *silent, *_beside(cells.get((name, "log_growth", 0)), n_seeds)])
    return table(["initializer", "silent", "predicted", "off", "log growth", "predicted", "off"], rows)


def _assumptions(measured: Table, silence: Mapping[str, str], estimated: Sequence[str]) -> str:
    compared = measured[measured["predicted"].notna() & measured["deviation"].notna()]
    far = compared[compared["deviation"].abs() > FAR]
    parts = [
        "Mean-field theory follows variances through layers that are wide (Poole et al. 2016, Schoenholz et al. 2017). "
        "It takes pre-activations for normal, and the weights that carry the gradient down for others than those that "
        "carried the signal up. The signal of ReLU without biases it predicts exactly at any width (He et al. 2015); "
        "exact are silent (Lu et al. 2019) and log growth too, for normal weights. The rest is off by what the width "
        "leaves out, about 1 / n a layer, and a hundred seeds are enough to see it. In networks deep for their width a "
        "few large models make the mean (Hanin & Rolnick 2018): there a few seeds stay below it, and log growth is the "
        "better witness.",
        f"Of {len(compared)} predictions {len(compared) - len(far)} lie within {FAR:g} standard errors of what was "
        "measured" + (":" if silence or estimated or len(far) else "."),
    ]
    remarks = []
    if len(far):
        beyond = [
            f"{row.initializer} {row.quantity}{f' in layer {row.layer:.0f}' if row.layer > 0 else ''} "
            f"({_number(row.mean)}, not {_number(row.predicted)})"
            for row in _rows(far.reindex(far["deviation"].abs().sort_values(ascending=False).index).head(12))
        ]
        more = "" if len(far) <= len(beyond) else f", and {len(far) - len(beyond)} more"
        remarks.append(f"- beyond it lie {', '.join(beyond)}{more};")
    remarks += [
        f"- of {name} theory knows the variances that its weights turned out to have, and takes them for uncorrelated;"
        for name in estimated
    ]
    remarks += [f"- of {name} theory says nothing: it {reason};" for name, reason in silence.items()]
    if remarks:
        remarks[-1] = remarks[-1].rstrip(";") + "."
        parts.append("\n".join(remarks))
    return "\n\n".join(parts)


def _beside(row: Any, n_seeds: int, shown: Shown | None = None) -> list[str]:
    """Measured, predicted, and how far off; – where there is no such row of initialization.csv."""
    if row is None:
        return ["–", "–", "–"]
    off = f"{row.deviation:+.1f}".replace("-", "−") if not math.isnan(row.deviation) else "–"
    predicted = "–" if math.isnan(row.predicted) else (shown or _number)(row.predicted)
    return [_mean(row, n_seeds, shown, spread=True), predicted, off]


def _mean(row: Any, n_seeds: int, shown: Shown | None = None, *, spread: bool = False) -> str:
    """The mean, with the standard deviation if `spread`, and the number of models that have the quantity if not all."""
    if row is None:
        return "–"
    shown = shown or _number
    deviates = spread and ROUNDING * abs(row.mean) < row.sd < math.inf
    of = f" ({row.seeds} of {n_seeds})" if row.seeds < n_seeds else ""
    return f"{shown(row.mean)}{f' ± {shown(row.sd)}' if deviates else ''}{of}"


def _number(value: float) -> str:
    """Three digits."""
    if math.isnan(value):
        return "–"
    text = f"{value:,.0f}" if 999.5 <= abs(value) < 1e5 else f"{value:.3g}"
    return text.replace("e-0", "e-").replace("e+0", "e").replace("e+", "e").replace("-", "−")


def _percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{_number(100.0 * share)} %"
