"""A grade as text."""

import math

from pipeline.audit.command.numbers import deviation, factor, plural, probability, shape
from pipeline.audit.command.table import aligned
from pipeline.audit.command.text import POWER, sentence, wrapped
from pipeline.audit.grading.results import Grade

HEADER = ("layer", "weights", "std", "expected", "law", "p")


def text(grade: Grade) -> str:
    """The grade as lines of at most 100 characters. Ends with a newline."""
    blocks = [wrapped(_verdict(grade))]
    if len(grade.reasons) > 1:
        blocks.append([line for reason in grade.reasons[1:] for line in wrapped(sentence(f"also: {reason.text}"))])
    if grade.shapes:
        blocks.append(aligned(HEADER, [_cells(grade, k) for k in range(len(grade.shapes))], "lrrrLr"))
    if grade.ok and not math.isnan(grade.std_factor):
        blocks.append(
            wrapped(
                f"What would have been missed (detected with less than {POWER} at level {grade.level:g}): a standard "
                f"deviation wrong by less than a factor of {factor(grade.std_factor)}."
            )
        )
    if grade.note:
        blocks.append(wrapped(f"Note: {grade.note}."))
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _verdict(grade: Grade) -> str:
    if grade.ok:
        said = f"OK: {grade.called} draws {grade.expected}"
        return (
            f"{said}: {plural(grade.n, 'weight')} of layers of {plural(len(grade.shapes), 'shape')}, p = {_p(grade.p)}."
        )
    reason = grade.reasons[0].text
    said = f"ALARM: {grade.called} does not draw {grade.expected}: {reason}"
    certainty = (
        "This is certain." if grade.p == 0.0 else f"A correct function would show this with probability {_p(grade.p)}."
    )
    named = [law for law in grade.laws if law != grade.expected]
    drawn = f" Its weights are those of {named[0]}." if named and named[0] not in reason else ""
    return f"{sentence(said)}{drawn} {certainty}"


def _cells(grade: Grade, k: int) -> tuple[str, ...]:
    each = grade.shapes[k]
    expected = "–" if math.isnan(each.expected_std) else deviation(each.expected_std, each.n)
    sizes = shape((each.fan_out, each.fan_in))
    return (sizes, f"{each.n:,}", deviation(each.std, each.n), expected, " or ".join(each.laws) or "none", _p(each.p))


def _p(p: float) -> str:
    return "0" if p == 0.0 else probability(p)
