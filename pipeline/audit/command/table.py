"""The table of layers: one row for layers that are equal in all but the name and the sampling error."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pipeline.audit.command.numbers import deviation, end, factor, joined, middle, pattern, probability, shape
from pipeline.audit.law_names import documented
from pipeline.audit.results import Finding, LayerAudit
from pipeline.distributions.laws import BY_NAME
from pipeline.numerics.sums import integer_sum

COLUMNS = 100
SHORT_KINDS = {"convolution": "conv", "normalization": "norm", "embedding": "embed"}
HEADER = ("layer", "shape", "kind", "std", "law", "p", "finding")
NARROWEST = (("law", 20), ("layer", 28), ("law", 16), ("layer", 12))  # to which columns are shortened, in turn
MOST_LAWS = 5  # that are named; if more explain a layer, the weights are too few to distinguish them
FEWEST = 3  # layers that are put into one row
FAMILIES = (("normal", "uniform"), ("normal", "truncated"), ("truncated", "uniform"))


class Group(NamedTuple):
    """Layers in one row of the table."""

    layers: list[LayerAudit]
    causes: tuple[str, ...]

    @property
    def name(self) -> str:
        """The names of the layers as one: layers.0-11.mlp.fc1."""
        return joined([each.layer.name for each in self.layers])


def groups(layers: Sequence[LayerAudit], findings: Iterable[Finding]) -> list[Group]:
    """The layers in their order; those with the same kind, shape, causes and pattern of names in one group.

    Fewer than `FEWEST` such layers remain groups of their own.
    """
    causes: dict[str, list[str]] = {}
    for finding in findings:
        causes.setdefault(finding.layer, []).append(finding.cause)
    found: dict[tuple[object, ...], Group] = {}
    for each in layers:
        layer, own = each.layer, tuple(dict.fromkeys(causes.get(each.layer.name, [])))
        constants = () if is_drawn(each) else tuple(names(each))
        key = (pattern(layer.name), layer.kind, layer.weight.shape, each.structure, own, constants)
        found.setdefault(key, Group([], own)).layers.append(each)
    split = [
        part
        for group in found.values()
        for part in ([group] if len(group.layers) >= FEWEST else [Group([each], group.causes) for each in group.layers])
    ]
    order = {each.layer.name: i for i, each in enumerate(layers)}
    return sorted(split, key=lambda group: order[group.layers[0].layer.name])


def table(found: Sequence[Group]) -> list[str]:
    """The lines of the table, at most `COLUMNS` wide."""
    return aligned(HEADER, [_cells(group) for group in found], "llllLrl")


def names(audited: LayerAudit) -> list[str]:
    """The laws that explain a layer: the expected one first, then the most likely ones."""
    return documented([candidate.law for candidate in audited.candidates], audited.expected)


def is_drawn(audited: LayerAudit) -> bool:
    """Whether a layer's weights are drawn, and not set to a constant as those of a normalization layer."""
    return audited.layer.kind != "normalization"


def unnumbered(name: str) -> str:
    """The name of a law without measured numbers: normal(std=...)."""
    return name if name in BY_NAME else re.sub(r"=[-+.e\d]+", "=...", name)


def laws(layers: Sequence[LayerAudit]) -> list[str]:
    """The laws that explain all of these layers, in the order of `names` of the first.

    If there is none, the families that do: normal(std=...).
    """
    found = list(map(names, layers))
    for first, *others in (found, [[unnumbered(name) for name in each] for each in found]):
        if common := [law for law in first if all(law in other for other in others)]:
            return common
    return []


def power(found: Sequence[Group]) -> list[str]:
    """The lines of the table of what would have been missed in layers with random weights; [] if there are none."""
    rows = []
    for group in found:
        if group.layers[0].structure != "random":
            continue
        n = min(each.n for each in group.layers)
        factors = [each.power.std_factor for each in group.layers]
        separated = [set(map(frozenset, each.power.separates)) for each in group.layers]
        missed = [pair for pair in FAMILIES if any(frozenset(pair) not in pairs for pairs in separated)]
        families = "all" if missed == list(FAMILIES) else "; ".join(" / ".join(pair) for pair in missed)
        rows.append((group.name, f"{n:,}", factor(max(factors)), families or "none"))
    if not rows:
        return []
    return aligned(("layer", "weights", "std wrong by less than", "families not distinguished"), rows, "lrrl")


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]], alignment: str) -> list[str]:
    """Rows in columns: l left, r right; L is a column of alternatives that is shortened from its end.

    Columns of `NARROWEST` are shortened until the lines fit in `COLUMNS`.
    """
    columns = [list(column) for column in zip(header, *rows, strict=True)]
    widths = [max(map(len, column)) for column in columns]
    for name, narrowest in NARROWEST:
        excess = integer_sum(widths) + 2 * (len(widths) - 1) - COLUMNS
        if name in header and excess > 0:
            i = header.index(name)
            widths[i] = max(min(widths[i], narrowest), widths[i] - excess)
    for i, width in enumerate(list(widths)):
        shorten = _fewer if alignment[i] == "L" else end
        columns[i] = [shorten(cell, width) for cell in columns[i]]
        widths[i] = max(map(len, columns[i]))
    lines = [
        "  ".join(
            cell.rjust(width) if side == "r" else cell.ljust(width)
            for cell, width, side in zip(line, widths, alignment, strict=True)
        ).rstrip()
        for line in zip(*columns, strict=True)
    ]
    return [lines[0], "  ".join("-" * width for width in widths), *lines[1:]]


def _cells(group: Group) -> tuple[str, ...]:
    layers, first = group.layers, group.layers[0]
    return (
        group.name + (f" ({len(layers)})" if len(layers) > 1 else ""),
        shape(first.layer.weight.shape),
        SHORT_KINDS.get(first.layer.kind, first.layer.kind),
        _between([deviation(each.std, each.n) for each in layers]),
        _law(layers),
        _smallest([each.p for each in layers]),
        ", ".join(cause.replace("_", " ") for cause in group.causes) or "–",
    )


def _between(values: Sequence[str]) -> str:
    """The smallest and the largest of numbers as text."""
    found = sorted((value for value in values if value != "–"), key=float) or ["–"]
    return found[0] if found[0] == found[-1] else f"{found[0]}–{found[-1]}"


def _law(layers: Sequence[LayerAudit]) -> str:
    first = layers[0]
    if first.structure not in ("random", "") and not first.candidates:
        return first.structure.replace("_", " ")
    if common := laws(layers):
        return " or ".join(common) if len(common) <= MOST_LAWS else f"{len(common)} laws"
    return "none" if not any(each.candidates for each in layers) else "different"


def _fewer(cell: str, width: int) -> str:
    """Alternatives, as many as fit into a width, and the number of the others."""
    names = cell.split(" or ")
    for n in range(len(names), 0, -1):
        text = " or ".join(names[:n]) + (f" +{len(names) - n}" if n < len(names) else "")
        if len(text) <= width:
            return text
    rest = f" +{len(names) - 1}" if len(names) > 1 else ""
    return middle(names[0], width - len(rest)) + rest


def _smallest(values: Sequence[float]) -> str:
    known = [p for p in values if p == p]
    if not known:
        return "–"
    return ("≥ " if min(known) < max(known) else "") + probability(min(known))
