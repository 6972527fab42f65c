"""The command: `python -m pipeline.audit`, or `audit-weights`.

The exit code is 0 if every model is as intended, 1 if there is an alarm, and 2 if a model could not be checked: it
cannot be read, has no weights or is not at initialization, or an argument is invalid. With several files 2 has
precedence, since the check is then incomplete.
"""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from pipeline.audit import audit
from pipeline.audit.command import as_json
from pipeline.audit.command.text import text
from pipeline.audit.model import LEVEL, batch, known_activation
from pipeline.audit.results import ALARM, AS_INTENDED, Audit
from pipeline.errors import UserError

OK, ALARMED, UNCHECKED = 0, 1, 2
CODES = {AS_INTENDED: OK, ALARM: ALARMED}  # of a model, by its state; others are UNCHECKED
FOR_LAYER = re.compile(r"([^=()]+)=(.+)")  # LAYER=LAW, where LAW may be normal(std=0.02)
DISTRIBUTION = "weight-initialization-laboratory"


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
    if not given.files:
        raise UserError("no file is given; write audit-weights FILE, or audit-weights --help.")
    level = LEVEL if given.level is None else given.level
    if not 0.0 < level < 1.0:
        raise UserError(f"--level is {level:g}; it must be a number between 0 and 1.")
    activation = known_activation(given.activation)
    expect = expectations(given.expect)
    X = batch(given.data) if given.data else None
    audits: list[Audit] = []
    errors: dict[str, str] = {}
    for file in dict.fromkeys(given.files):
        try:
            audits.append(audit(file, expect=expect, activation=activation, data=X, level=level))
        except UserError as error:
            errors[file] = str(error)
            print(f"audit-weights: {error}", file=sys.stderr)
    codes = [CODES.get(each.state, UNCHECKED) for each in audits] + [UNCHECKED] * len(errors)
    printed = as_json.document(audits, errors) if given.json else "\n".join(map(text, audits))
    return printed, max(codes)


def expectations(given: Sequence[str]) -> str | dict[str, str]:
    """The arguments of --expect: one initializer for all layers, or by layer; * stands for those without one."""
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
    """Print to a pipe that its reader may have closed, as `head` does."""
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
        help=f"probability of an alarm for a network that is initialized as expected (default: {LEVEL:g})",
    )
    add("--json", action="store_true", help="print JSON instead of text")
    add("--version", action="version", version=f"%(prog)s {_version()}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
