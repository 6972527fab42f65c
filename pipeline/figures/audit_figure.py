"""The figure of an audit: the distribution of each layer's weights beside the law that was expected of them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from pipeline.audit.judge import fans_of
from pipeline.audit.results import Audit, LayerAudit
from pipeline.distributions.families import FAMILIES
from pipeline.distributions.laws import Law, law
from pipeline.figures.style import (
    ACCENT,
    DARK,
    MIDDLE,
    NOTE,
    legend_above,
    number,
    small_multiples,
    styled,
    subtitles,
    wrapped,
)
from pipeline.numerics.sums import Array, integer_sum

PANELS = 24  # at most
REACH = 4.0  # standard deviations of the expected law on each side of 0
BINS = 64  # of a histogram; 32, 16 or 8 of a layer with few weights
WEIGHTS = 2_000_000  # of a histogram: of a larger layer every second unit is drawn, or every third, ...
OUTSIDE = 0.001  # share of the weights beyond REACH that is printed; of a normal law it is 6e-5
WIDTH = 2.2  # inches, of a text above a panel
TOP = 0.75  # of the vertical axis; the density of a normal law at 0 is 0.4
ALARM = "#e8b4b0"  # with an outline, to be seen in greyscale too


class Curve(NamedTuple):
    """A law as it is drawn."""

    family: str  # "normal", "uniform" or "truncated"
    std: float  # in units of the panel's axis, as is the mean
    mean: float = 0.0


class Panel(NamedTuple):
    """One layer."""

    title: str
    lines: Sequence[str]  # of text below the title
    counts: NDArray[np.int64]  # see `histogram`
    expected: Curve | None  # None: the weights follow no law
    named: Curve | None  # another law that explains the weights
    is_alarm: bool


def histogram(matrix: NDArray[np.floating], scale: float) -> NDArray[np.int64]:
    """The counts (BINS + 2,) of weights (units, fan_in) over `scale`: below -REACH, in BINS bins, above REACH.

    Values that are not finite are left out. Of a matrix of more than WEIGHTS weights only some units are counted.
    """
    counts = np.zeros(BINS + 2, dtype=np.int64)
    step = -(-matrix.size // WEIGHTS)
    rows = max(1, 100_000 // max(1, matrix.shape[1]))
    for first in range(0, len(matrix), rows * step):
        values = np.asarray(matrix[first : first + rows * step : step], dtype=np.float64).ravel() / scale
        values = np.clip(values[np.isfinite(values)], -2.0 * REACH, 2.0 * REACH)
        places = np.floor((values + REACH) * (BINS / (2.0 * REACH))).astype(np.int64) + 1
        counts += np.bincount(np.clip(places, 0, BINS + 1), minlength=BINS + 2)
    return counts


def chosen(alarms: Sequence[Sequence[bool]]) -> list[list[int]]:
    """The layers of each model to be drawn, at most PANELS over all models; `alarms` has the layers with alarms.

    Every model has about the same number of panels.
    """
    left, shares = PANELS, [0] * len(alarms)
    order = sorted(range(len(alarms)), key=lambda model: len(alarms[model]))
    for k, model in enumerate(order):
        shares[model] = min(len(alarms[model]), left // (len(order) - k))
        left -= shares[model]
    return [spaced(layers, share) for layers, share in zip(alarms, shares, strict=True)]


def spaced(alarms: Sequence[bool], n: int) -> list[int]:
    """The indices of `n` layers in ascending order: with alarms, and at least a quarter of others, evenly spaced."""
    groups = [[l for l, alarm in enumerate(alarms) if alarm is wanted] for wanted in (True, False)]
    found: list[int] = []
    for group, least in zip(groups, (min(len(groups[1]), n // 4), 0), strict=True):
        room = min(n - len(found) - least, len(group))
        found += [group[round(k * (len(group) - 1) / (room - 1))] for k in range(room)] if room > 1 else group[:room]
    return sorted(found)


def panels(audits: Mapping[str, Audit]) -> tuple[list[Panel], str]:
    """The panels of the models in their order, and the text above them."""
    weights = {
        name: [each for each in audit.layers if each.layer.kind != "normalization"] for name, audit in audits.items()
    }
    marked = [[bool(each.findings) for each in layers] for layers in weights.values()]
    found = []
    for (name, layers), places in zip(weights.items(), chosen(marked), strict=True):
        found += [_panel_of(layers[place], [name] if len(audits) > 1 else []) for place in places]
    n_layers = integer_sum(map(len, weights.values()))
    if not n_layers:
        return [], "audits/ holds no models." if not audits else "No model in audits/ has weights that could be read."
    if len(found) < n_layers:
        return found, f"{len(found)} of {n_layers} layers: those with alarms, and others evenly spaced"
    return found, f"{n_layers} layers" if n_layers > 1 else "1 layer"


def _panel_of(each: LayerAudit, file: Sequence[str]) -> Panel:
    layer, causes = each.layer, dict.fromkeys(one.cause.replace("_", " ") for one in each.findings)
    expected = _law(each.expected[0], each) if each.expected else None
    explains = [name for candidate in each.candidates for name in candidate.law.split(" = ")]
    named = None if {*each.expected} & {*explains} or not explains else _law(explains[0], each)
    scale = next((std for std in (expected and expected.std, named and named.std, each.std) if std and std > 0.0), 1.0)
    sizes = " × ".join(map(str, layer.weight.shape))
    text = f"{sizes}, std {number(each.std)}" + (f", expected {number(expected.std)}" if expected else "")
    what = ", ".join(causes) or (each.structure.replace("_", " ") if each.structure != "random" else "")
    return Panel(
        title=layer.name,
        lines=[line for words in (*file, text, what) if words for line in wrapped(words, WIDTH, NOTE).split("\n")],
        counts=histogram(layer.matrix(), scale),
        expected=_curve_of(expected, scale),
        named=_curve_of(named, scale),
        is_alarm=bool(causes),
    )


def _law(name: str, each: LayerAudit) -> Law | None:
    """The law of a name; of a layer of unknown layout that whose standard deviation is closer. None for a structure."""
    try:
        laws = [law(name, fans) for fans in fans_of(each.layer)]
    except KeyError:
        return None
    return min(laws, key=lambda one: abs(one.std - each.std))


def _curve_of(one: Law | None, scale: float) -> Curve | None:
    return None if one is None else Curve(one.family.name, one.std / scale, one.mean / scale)


@styled
def audit(panels: Sequence[Panel], note: str = "") -> Figure:
    """A panel for each layer: its weights in units of the expected standard deviation, and the laws."""
    if not panels:
        return _empty(note)
    figure, axes = small_multiples(
        [panel.title for panel in panels], "constrained", height=1.2, sharex=True, sharey=True
    )
    for ax, panel in zip(axes, panels, strict=True):
        _panel(ax, panel)
    axes[0].set(xlim=(-REACH, REACH), ylim=(0.0, TOP), xticks=[-4, -2, 0, 2, 4], yticks=[0.0, 0.2, 0.4, 0.6])
    subtitles(axes, [panel.lines for panel in panels])
    figure.supxlabel("weight / standard deviation of the expected law", fontsize=9)
    figure.supylabel("density", fontsize=9)
    legend_above(figure, _handles(panels), note)
    return figure


def _handles(panels: Sequence[Panel]) -> list[Artist]:
    handles: list[Artist] = []
    if not all(panel.is_alarm for panel in panels):
        handles.append(Patch(facecolor=MIDDLE, label="weights"))
    if any(panel.is_alarm for panel in panels):
        handles.append(Patch(facecolor=ALARM, edgecolor=ACCENT, linewidth=0.8, label="weights, alarm"))
    if any(panel.expected for panel in panels):
        handles.append(Line2D([], [], color=DARK, linewidth=1.4, label="expected law"))
    if any(panel.named for panel in panels):
        handles.append(Line2D([], [], color=ACCENT, linewidth=1.4, linestyle="--", label="law of these weights"))
    return handles


def _panel(ax: Axes, panel: Panel) -> None:
    total = integer_sum(panel.counts.tolist())
    merged = 1
    while merged < BINS // 8 and (BINS // merged) ** 3 > 64 * total:  # in four standard deviations, Rice's 2 n^(1/3)
        merged *= 2
    counts = np.add.reduceat(panel.counts[1:-1], range(0, BINS, merged))
    edges = np.linspace(-REACH, REACH, len(counts) + 1)
    density = counts / max(total, 1) / (edges[1] - edges[0])
    if panel.is_alarm:
        ax.stairs(density, edges, fill=True, facecolor=ALARM)
        ax.stairs(density, edges, color=ACCENT, linewidth=0.8)
    else:
        ax.stairs(density, edges, fill=True, color=MIDDLE)
    if panel.expected:
        _curve(ax, panel.expected, color=DARK)
    if panel.named:
        _curve(ax, panel.named, color=ACCENT, linestyle="--")
    beyond = int(panel.counts[0] + panel.counts[-1])
    shown = beyond > 0 and (panel.is_alarm or beyond > OUTSIDE * total)
    texts = [f"{_share(beyond, total)} outside"] if shown else []
    if float(density.max()) > TOP:
        texts.append(f"up to {density.max():.2g}")
    for text, (x, side) in zip(texts[::-1], ((0.98, "right"), (0.02, "left")), strict=False):
        ax.text(x, 0.96, text, transform=ax.transAxes, ha=side, va="top", fontsize=NOTE)


def _share(part: int, total: int) -> str:
    share = 100.0 * part / total
    return f"{share:.0f} %" if share >= 1.0 else f"{share:.1g} %"


def density(curve: Curve, z: Array) -> Array:
    """The density of a law at `z`."""
    family, x = FAMILIES[curve.family], (z - curve.mean) / curve.std
    return np.where(np.abs(x) <= family.bound, np.exp(family.log_density(x * x)) / curve.std, 0.0)


def _curve(ax: Axes, curve: Curve, **line: str) -> None:
    z = np.linspace(-REACH, REACH, 801)
    ax.plot(z, density(curve, z), linewidth=1.4, **line)  # type: ignore[arg-type]


def _empty(note: str) -> Figure:
    figure = Figure(figsize=(4.0, 1.0), layout="constrained")
    figure.text(0.5, 0.5, note, ha="center", va="center", fontsize=9)
    return figure
