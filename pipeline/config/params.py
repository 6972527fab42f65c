"""Read params.yaml and check it as a whole: `load` returns its values with types.

Invalid parameters are rejected before any stage runs, with a one-line message for each problem: the key, its value and
the allowed values.
"""

import argparse
import sys
from itertools import combinations
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from pipeline.config import yaml_file
from pipeline.config.messages import shown
from pipeline.config.schema import Params
from pipeline.config.validation import Section, messages
from pipeline.datasets import DATASETS
from pipeline.errors import UserError, exit_code

S = TypeVar("S", bound=Section)


def load(path: Path | str = "params.yaml") -> Params:
    """The checked parameters of a file. Raises UserError with one line for each problem."""
    return check(yaml_file.read(Path(path)), Path(path).as_posix())


def check(document: Any, file: str = "params.yaml") -> Params:
    """The checked parameters of a document read from YAML; `file` is its name in messages. Raises UserError."""
    return checked(document, Params, file, f"the sections {', '.join(Params.model_fields)}")


def checked(document: Any, model: type[S], file: str, sections: str) -> S:
    """The checked values of a document; `sections` are those that it must hold, in words. Raises UserError."""
    if not isinstance(document, dict):
        raise UserError(f"{file} holds {shown(document)}; it must hold {sections}.")
    try:
        return model.model_validate(document)
    except ValidationError as error:
        problems = messages(error, model.keys())
        raise UserError("\n".join(f"{file}: {problem}" for problem in dict.fromkeys(problems))) from error


def warnings(P: Params, file: str = "params.yaml") -> list[str]:
    """One line for each combination of values that is valid but probably not intended; each begins with `file`."""
    found = []
    data = DATASETS[P.data.name]
    if data.n_samples is None and P.data.train_seed == P.data.test_seed:
        found.append(
            f"data.train_seed and data.test_seed both hold {P.data.test_seed}: training and test samples are drawn "
            "from the same random numbers, so the test accuracy does not measure generalization."
        )
    if data.n_samples is not None and P.data.noise > 0.0:
        found.append(
            f"data.noise holds {P.data.noise:g}, and {P.data.name} is measured data: normal noise of this standard "
            "deviation is added to every input. Set it to 0 to use the samples unchanged."
        )
    if (P.training.samples_per_step or 0) > P.data.n_train:
        found.append(
            f"training.batch_size holds {P.training.batch_size}, and there are {P.data.n_train} training samples: "
            "every step uses all of them, as with `full`."
        )
    for one, other in combinations(P.initializers, 2):
        if P.initializers[one] == P.initializers[other]:
            found.append(
                f"initializers.{one} and initializers.{other} are the same recipe: their models are identical."
            )
    return [f"{file}: warning: {sentence}" for sentence in found]


def main(arguments: list[str] | None = None) -> int:
    """Check params.yaml or the file on the command line. Returns the exit code: 0 if it is valid, else 1."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.config.params", description="Check params.yaml.")
    parser.add_argument("path", nargs="?", default="params.yaml")
    path = parser.parse_args(arguments).path
    return exit_code(lambda: _report(path))


def _report(path: str) -> None:
    params = load(path)
    for warning in warnings(params, Path(path).as_posix()):
        print(warning, file=sys.stderr)
    print(f"{path} is valid: {len(params.initializers)} initializers x {len(params.seeds)} seeds.")


if __name__ == "__main__":
    sys.exit(main())
