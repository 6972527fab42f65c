"""Numbers and lists of layers as text."""

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

CERTAIN_DIGITS = 5000  # normal weights, of which the standard deviation is known to 1 %
SMALLEST = 1e-99  # smaller p-values are printed as "<1e-99"


def probability(p: float) -> str:
    """A p-value with at most two significant digits: 0.43, 0.0098, 3e-5; "certain" for 0 and "–" for NaN."""
    if not p >= 0.0:
        return "–"
    if p == 0.0:
        return "certain"
    if p < SMALLEST:
        return f"<{exponent(SMALLEST)}"
    return f"{p:.2g}" if p >= 0.001 else exponent(p)


def exponent(x: float) -> str:
    """A number with one significant digit: 3e-5."""
    return re.sub(r"e([+-])0*(\d)", lambda match: f"e{match[1].strip('+')}{match[2]}", f"{x:.0e}")


def deviation(std: float, n: int) -> str:
    """A standard deviation measured on n weights, with two digits, or three if its sampling error is below 1 %."""
    if not std < float("inf"):
        return "–"
    return f"{std:#.{3 if n >= CERTAIN_DIGITS else 2}g}".rstrip(".") if std else "0"


def factor(x: float) -> str:
    """A factor above 1, rounded up to the digits that matter: 1.02, 1.4, 12."""
    if not 1.0 <= x < float("inf"):
        return "any"
    digits = 2 if x < 1.3 else 1 if x < 10.0 else 0
    unit = float(f"1e-{digits}")
    rounded = round(x, digits)
    return f"{rounded if rounded >= x else rounded + unit:.{digits}f}"


def plural(n: int, noun: str) -> str:
    """A number with its noun: 1 layer, 1,048,576 weights."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def shape(sizes: Sequence[int]) -> str:
    """A shape as 64x128."""
    return "x".join(map(str, sizes)) or "1"


def pattern(name: str) -> str:
    """A name with every number replaced by *: layers.*.mlp.fc* for layers.11.mlp.fc1."""
    return re.sub(r"\d+", "*", name)


def joined(names: Sequence[str]) -> str:
    """Names of the same pattern as one: layers.0-11.mlp.fc1, or layers.{0,2,5}.mlp.fc1."""
    parts = [re.split(r"(\d+)", name) for name in names]
    if len(names) == 1 or len({pattern(name) for name in names}) > 1:
        return ", ".join(names)
    columns = [ranges(map(int, column)) if i % 2 else column[0] for i, column in enumerate(zip(*parts, strict=True))]
    alone = len("".join(columns)) == len(columns[1]) if len(columns) > 1 else True
    return "".join(f"{{{each}}}" if "," in each and i % 2 and not alone else each for i, each in enumerate(columns))


def ranges(numbers: Iterable[int]) -> str:
    """Numbers as 3, 0-11, 0,2..98, or 0-2,5,7-9."""
    found = sorted(dict.fromkeys(numbers))
    steps = list(dict.fromkeys(b - a for a, b in pairwise(found)))
    if len(found) > 3 and len(steps) == 1 and steps != [1]:
        return f"{found[0]},{found[1]}..{found[-1]}"
    runs: list[list[int]] = []
    for number in found:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def listed(names: Sequence[str], most: int = 3) -> str:
    """Names as text, those of the same pattern as one; at most `most` items, then their number."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(pattern(name), []).append(name)
    items = [joined(group) for group in groups.values()]
    rest = len(items) - most
    return ", ".join(items[:most]) + (f" and {rest} more" if rest > 0 else "")


def middle(text: str, width: int) -> str:
    """The text, shortened in the middle to a width."""
    if len(text) <= width:
        return text
    left = (width - 1) // 2
    return f"{text[:left]}…{text[len(text) - (width - 1 - left) :]}"


def end(text: str, width: int) -> str:
    """The text, of which the beginning is left out if it is longer than a width."""
    return text if len(text) <= width else f"…{text[len(text) - width + 1 :]}"
