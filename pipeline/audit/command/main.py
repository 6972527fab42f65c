"""The command: `python -m pipeline.audit`, or `audit-weights`.

The exit code is 0 if every model is as intended, 1 if there is an alarm, and 2 if a model could not be checked: it
cannot be read, has no weights or is not at initialization, or an argument is invalid. With several files 2 has
precedence, since the check is then incomplete.
"""

import argparse
import io
import os
import re
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from pipeline.audit import audit
from pipeline.audit.command import as_json
from pipeline.audit.command.text import text
from pipeline.audit.law_names import law_of
from pipeline.audit.model import DISTRIBUTION, LEVEL, batch, known_activation
from pipeline.audit.results import ALARM, AS_INTENDED, Audit
from pipeline.errors import UserError

OK, ALARMED, UNCHECKED = 0, 1, 2
CODES = {AS_INTENDED: OK, ALARM: ALARMED}  # of a model, by its state; others are UNCHECKED
MOST_WEIGHTS = 1_000_000  # of a layer that is graded
FOR_LAYER = re.compile(r"([^=()]+)=(.+)")  # LAYER=LAW, where LAW may be normal(std=0.02)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the audits. Returns the exit code."""
    given = _parser().parse_args(arguments)
    try:
        printed, code = _run(given)
    except UserError as error:
        print(f"audit-weights: {error}", file=sys.stderr)
        return UNCHECKED
    _print(printed)
    return code


def _run(given: argparse.Namespace) -> tuple[str, int]:
    """The text to print, and the exit code. Messages on single files are printed to stderr."""
    _check(given)
    if given.grade:
        return _graded(given)
    activation = known_activation(given.activation)
    expect = expectations(given.expect)
    data = batch(given.data) if given.data else None
    level = LEVEL if given.level is None else given.level
    audits: list[Audit] = []
    errors: dict[str, str] = {}
    for file in dict.fromkeys(given.files):
        try:
            audits.append(audit(file, expect=expect, activation=activation, data=data, level=level))
        except UserError as error:
            errors[file] = str(error)
            print(f"audit-weights: {error}", file=sys.stderr)
    codes = [CODES.get(each.state, UNCHECKED) for each in audits] + [UNCHECKED] * len(errors)
    printed = as_json.document(audits, errors) if given.json else "\n".join(map(text, audits))
    return printed, max(codes)


def _check(given: argparse.Namespace) -> None:
    """Raise UserError for arguments that are missing, or do not go together."""
    if bool(given.files) == bool(given.grade):
        both = "both FILE and --grade are given" if given.files else "no file is given"
        raise UserError(f"{both}; write audit-weights FILE ..., or audit-weights --grade MODULE:FUNCTION --expect LAW.")
    if given.level is not None and not 0.0 < given.level < 1.0:
        raise UserError(f"--level is {given.level:g}; it must be a number between 0 and 1.")
    of_grades = {"--shape": given.shape, "--transposed": given.transposed}
    of_files = {"--activation": given.activation, "--data": given.data}
    for name, value in (of_files if given.grade else of_grades).items():
        if value:
            needed = "a FILE" if given.grade else "--grade"
            raise UserError(f"{name} is given without {needed}, for which it is.")


def _graded(given: argparse.Namespace) -> tuple[str, int]:
    """The grade of a function, and the exit code."""
    from pipeline.audit.command import grade_text
    from pipeline.audit.grading.grade import LEVEL, SHAPES, grade

    expect = expectations(given.expect)
    if not isinstance(expect, str) or not expect:
        raise UserError("--grade needs one --expect LAW, the initializer that the function should be.")
    graded = grade(
        given.grade,
        law_of(expect),
        shapes=list(map(_shape, given.shape)) or SHAPES,
        level=LEVEL if given.level is None else given.level,
        transposed=given.transposed,
    )
    code = OK if graded.ok else ALARMED
    if given.json:
        return as_json.document([], {}, grade=vars(graded) | {"ok": graded.ok}), code
    return grade_text.text(graded), code


def _shape(given: str) -> tuple[int, int]:
    """(fan_out, fan_in) from 64x128."""
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", given)
    if not match:
        raise UserError(f"--shape is {given!r}; it must be FAN_OUTxFAN_IN, such as 64x128.")
    fan_out, fan_in = int(match[1]), int(match[2])
    if fan_out * fan_in > MOST_WEIGHTS:
        raise UserError(f"--shape is {given}; a layer to be graded may have up to {MOST_WEIGHTS:,} weights.")
    return fan_out, fan_in


def expectations(given: Sequence[str]) -> str | dict[str, str]:
    """The arguments of --expect: one initializer for all layers, or by layer; * stands for those without one."""
    if "" in given:
        raise UserError("--expect is empty; it must be an initializer, such as he_normal.")
    matches = [(each, FOR_LAYER.fullmatch(each)) for each in given]
    pairs = [(match[1], match[2]) if match else ("*", each) for each, match in matches]
    for layer in dict.fromkeys(layer for layer, _ in pairs):
        laws = list(dict.fromkeys(law for name, law in pairs if name == layer))
        if len(laws) > 1:
            what = "all layers" if layer == "*" else f"the layer {layer}"
            raise UserError(f"--expect gives {what} {len(laws)} initializers: {', '.join(laws)}; there must be one.")
    if all(layer == "*" for layer, _ in pairs):
        return pairs[0][1] if pairs else ""
    return dict(sorted(pairs, key=lambda pair: pair[0] != "*"))


def _print(printed: str) -> None:
    """Print in any encoding, and to a pipe that its reader may have closed, as `head` does."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    try:
        sys.stdout.write(printed)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes once more at exit


def _version() -> str:
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:  # a copy of the sources that is not installed
        return "not installed"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="audit-weights",
        description="Check from which distributions the weights of untrained networks were drawn.",
        epilog="Exit code: 0 if every model is as intended, 1 if there is an alarm, 2 if a model could not be checked.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("files", nargs="*", metavar="FILE", help="a model: .pt, .pth, .safetensors, .npz, .keras, .h5, .msgpack, .onnx")
    add(
        "--expect",
        action="append",
        default=[],
        metavar="[LAYER=]LAW",
        help="the initializer that was meant, such as he_normal or kaiming_normal_, for all layers or for one; may be "
        "given several times; * in LAYER stands for any characters (default: any documented initializer)",
    )
    add("--activation", default="", metavar="NAME", help="activation of the hidden layers, such as relu or tanh")
    add("--data", default="", metavar="FILE", help="a .npy or .npz file with a batch of inputs (samples, inputs)")
    add(
        "--level",
        type=float,
        metavar="P",
        help=f"probability of an alarm for a network initialized as expected (default: {LEVEL:g}; for a grade 0.0001)",
    )
    add(
        "--grade",
        default="",
        metavar="MODULE:FUNCTION",
        help="grade a function that draws weights, in a module or as FILE.py:FUNCTION; its code is executed",
    )
    add(
        "--shape",
        nargs="+",
        action="extend",
        default=[],
        metavar="FAN_OUTxFAN_IN",
        help="layers for which the graded function is called, such as 64x128 32x32",
    )
    add("--transposed", action="store_true", help="the graded function returns (fan_in, fan_out), as in Keras and JAX")
    add("--json", action="store_true", help="print JSON instead of text")
    add("--version", action="version", version=f"%(prog)s {_version()}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
