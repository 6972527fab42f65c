"""An audit as text: the verdict, a table of layers, findings with their fixes, and what would have been missed."""

import re
import textwrap
from collections.abc import Sequence

from pipeline.audit.command.numbers import listed, plural, probability
from pipeline.audit.command.table import COLUMNS, MOST_LAWS, groups, is_drawn, names, power, table, unnumbered
from pipeline.audit.results import ALARM, AS_INTENDED, CAUSES, NOT_INITIAL, Audit, Finding, LayerAudit, Suitability
from pipeline.numerics.sums import integer_sum

EFFECTS = {"healthy": "is expected to train", "not decided": "may or may not train"}  # by label; of others it will not
POWER = "95 %"  # of networks in which a deviation is detected


def text(audit: Audit) -> str:
    """The audit as lines of at most 100 characters; names and code may be longer. Ends with a newline."""
    found = groups(audit.layers, audit.findings)
    blocks = [wrapped(verdict(audit))]
    if audit.layers:
        blocks.append([*table(found), "", *wrapped(_legend(audit))])
    blocks += [finding_lines(same, audit) for same in similar(audit.findings)]
    if audit.state == AS_INTENDED and (missed := power(found)):
        head = f"What would have been missed (detected in less than {POWER} of networks at level {audit.level:g}):"
        blocks.append([*wrapped(head), *missed])
    if audit.notes:
        blocks.append([line for note in audit.notes for line in wrapped(f"Note: {full_stop(note)}", "      ")])
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def verdict(audit: Audit) -> str:
    """One to three sentences: what is wrong in which layer, how certain that is, and what it does to training."""
    source = audit.source or "the model"
    drawn = [each for each in audit.layers if is_drawn(each)]
    if audit.state == AS_INTENDED:
        weights = integer_sum(each.n for each in drawn)
        size = f"{plural(len(drawn), 'layer')} with {weights:,} weights, drawn from {_named(drawn)}"
        if any(each.expected for each in drawn):
            said = f"OK: {source} is initialized as intended: {size}."
        else:
            said = f"OK: {source} is at a documented initialization: {size}."
            said += " Whether that was meant can be checked with --expect."
    elif audit.findings:
        worst = audit.findings[0]
        others = dict.fromkeys(each.layer for each in audit.findings[1:] if each.layer not in ("", worst.layer))
        where = f"layer {worst.layer} of {source}" if worst.layer else source
        head = f"ALARM in {where}" if audit.state == ALARM else f"{audit.state.upper()}: {where}"
        if worst.cause == "unsuitable":
            said = f"{head}: each layer is drawn from {_named(drawn)}, but this does not suit the network."
        else:
            said = (
                f"{head}: {full_stop(worst.text or CAUSES.get(worst.cause, worst.cause))} {_certainty(worst)}".rstrip()
            )
        if others:
            said += f" There are findings in {plural(len(others), 'other layer')} too: {listed(list(others))}."
    else:
        said = f"{audit.state.upper()}: {source}."
    if audit.state == NOT_INITIAL:
        said += " Save the model before the first training step and audit that file."
    if audit.suitability and audit.suitability.label and audit.state != NOT_INITIAL:
        said += f" {_effect(audit.suitability)}"
    return said


def _effect(suitability: Suitability) -> str:
    """What is expected of training, as a sentence."""
    label, reason = suitability.label, suitability.reason
    expected = EFFECTS.get(label, "is not expected to train")
    why = reason if label in EFFECTS else f"{label}: {reason}".removesuffix(": ")
    subject = f"With {suitability.activation} the network" if suitability.activation else "The network"
    return f"{subject} {expected}{f' ({why})' if why else ''}."


def similar(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Findings of the same cause whose texts differ only in numbers and the layer, in one list."""
    found: dict[tuple[str, str], list[Finding]] = {}
    for each in findings:
        wording = each.text.replace(each.layer, "") if each.layer else each.text
        found.setdefault((each.cause, re.sub(r"\d[\d.,e+-]*", "#", wording)), []).append(each)
    return list(found.values())


def finding_lines(same: Sequence[Finding], audit: Audit) -> list[str]:
    """The cause, the layers, the text and the fix of findings of one kind; the text is that of the first."""
    first, cause = same[0], same[0].cause.replace("_", " ")
    names = [each.layer for each in same]
    where = listed(names, 6) if first.layer else audit.source or "the model"
    count = f" ({len(names)} layers)" if len(names) > 1 else ""
    p = probability(max(each.p for each in same))
    sign = "≤" if len(names) > 1 else "="
    certainty = p if p in ("certain", "–") else f"p {sign} {p}"
    lines = wrapped(f"{where}{count}: {cause}, {'predicted' if first.cause == 'unsuitable' else certainty}", "    ")
    said = first.text or CAUSES.get(first.cause, "")
    lines += wrapped(f"{first.layer}: {full_stop(said)}" if len(names) > 1 else sentence(said), "    ", "    ")
    if first.fix and (audit.state != NOT_INITIAL or first.cause == "not_initial"):
        lines += [
            f"    Fix{', and the others likewise' if len(names) > 1 else ''}:",
            *(f"        {line}" for line in first.fix.splitlines()),
        ]
    return lines


def full_stop(words: str) -> str:
    """The words with a full stop."""
    words = words.strip()
    return words if not words or words[-1] in ".!?" else f"{words}."


def sentence(words: str) -> str:
    """The words with a capital letter, unless the first is a name, and a full stop."""
    words = words.strip()
    first = words.split(" ", 1)[0]
    if first.isalpha():
        words = words[0].upper() + words[1:]
    return full_stop(words)


def wrapped(words: str, then: str = "", first: str = "") -> list[str]:
    """Text in lines of at most `COLUMNS` characters; names are not broken."""
    return textwrap.wrap(
        words, COLUMNS, initial_indent=first, subsequent_indent=then, break_long_words=False, break_on_hyphens=False
    )


def _certainty(finding: Finding) -> str:
    if finding.cause == "unsuitable":
        return ""
    if finding.p == 0.0:
        return "This is certain."
    if not finding.p > 0.0:
        return ""
    return f"A network initialized as expected would show this with a probability of {probability(finding.p)}."


def _named(drawn: Sequence[LayerAudit]) -> str:
    """The laws that explain the layers, as few as possible, with the number of layers of each."""
    remaining = [[unnumbered(name) for name in names(each)] or [each.structure] for each in drawn]
    counts: dict[str, int] = {}
    while decided := [layer for layer in remaining if len(layer) <= MOST_LAWS]:
        laws = dict.fromkeys(name for layer in decided for name in layer)
        most = max(laws, key=lambda name: integer_sum(name in layer for layer in decided))
        counts[most] = integer_sum(most in layer for layer in remaining)
        remaining = [layer for layer in remaining if most not in layer]
    if remaining:
        counts["laws that so few weights do not distinguish"] = len(remaining)
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{law} ({plural(n, 'layer')})" for law, n in counts.items())


def _legend(audit: Audit) -> str:
    return (
        "std: root mean square of the weights. law: the documented laws that explain the weights, the expected or most "
        "likely one first; +1: one more. p: probability of such weights in a single layer under what is expected; an "
        f"alarm allows for the number of layers, so that {100 * audit.level:g} % of correct networks raise one."
    )
