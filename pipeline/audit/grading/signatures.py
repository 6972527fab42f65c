"""From the place of a function that draws weights to the roles of its arguments.

The arguments are recognized by their names, so that functions of any style can be graded: (rng, fan_out, fan_in) of the
laboratory, (shape) of Keras, (fan_in, fan_out), (*shape), or (layers_dims) of the tutorial, which returns a dictionary.
"""

import contextlib
import importlib
import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.config.messages import corrected, nearest
from pipeline.errors import UserError

ROLES = {  # role -> names of arguments, in lower case without underscores
    "rng": "rng randomstate generator gen rs rstate prng rand random randomgenerator key prngkey rngkey",
    "seed": "seed randomseed rngseed",
    "fan_in": "fanin nin nins infeatures ninputs ninput inputs inputsize insize sizein indim inputdim din inputunits "
    "inputnodes nprev prev nx ncols cols columns",
    "fan_out": "fanout nout nouts outfeatures noutputs noutput outputs outputsize outsize sizeout outdim outputdim "
    "dout outputunits outputnodes units nunits neurons nneurons nh hidden nhidden nrows rows",
    "shape": "shape size weightshape wshape",
    "dims": "layersdims layerdims layersdim layerdimensions dims layersizes layerssizes sizes layers architecture",
    "dtype": "dtype",
}
ROLE_OF = {name: role for role, names in ROLES.items() for name in names.split()}
SIZES = ("fan_in", "fan_out", "shape", "dims")
OPTIONAL = ("rng", "seed", *SIZES)  # passed although the argument has a default


class Argument(NamedTuple):
    """An argument that is passed."""

    name: str
    role: str  # a key of ROLES, or "sizes": the shape as separate arguments
    how: inspect._ParameterKind


class Function(NamedTuple):
    """A function to be graded."""

    name: str
    file: str  # in which it is defined; "" if unknown
    call: Callable[..., Any]
    arguments: list[Argument]

    def __str__(self) -> str:
        return f"{self.name}({', '.join(argument.name for argument in self.arguments)})"

    def has(self, role: str) -> bool:
        """Whether an argument has this role."""
        return any(argument.role == role for argument in self.arguments)


def find(place: str) -> Function:
    """The function at `module.path:function` or `folder/file.py:function`. Executes the module. Raises UserError."""
    source, _, name = place.rpartition(":")
    if not source or not name.isidentifier():
        raise UserError(f"--grade is {place!r}; it must be MODULE:FUNCTION or FILE.py:FUNCTION.")
    module = _from_file(Path(source)) if source.endswith(".py") else _from_name(source)
    found = getattr(module, name, None)
    if found is None:
        close = nearest(name, [key for key, value in vars(module).items() if callable(value)])
        raise UserError(corrected(f"{source} has no function {name}", close))
    if not callable(found):
        raise UserError(f"{source}:{name} is not a function but has the type {type(found).__name__}.")
    try:
        file = inspect.getsourcefile(inspect.unwrap(found)) or ""
    except TypeError:  # an object with __call__, or a function in C
        file = getattr(module, "__file__", None) or ""
    return Function(name, file, found, arguments(found, place))


def arguments(function: Callable[..., Any], place: str) -> list[Argument]:
    """The arguments to pass, with their roles. Raises UserError if the names do not determine them."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError) as error:
        raise UserError(f"the arguments of {place} cannot be read: {error}.") from error
    found = [argument for parameter in parameters.values() if (argument := _passed(parameter))]
    sizes = tuple(each.role for each in found if each.role in SIZES)
    unknown = [each.name for each in found if not each.role]
    if not found:  # of *args alone, the sizes
        variable = [each.name for each in parameters.values() if each.kind is each.VAR_POSITIONAL]
        found = [Argument(name, "sizes", inspect.Parameter.VAR_POSITIONAL) for name in variable]
        sizes = ("shape",) if found else ()
    has_source = any(each.role in ("rng", "seed") for each in found)
    roles = _roles_of_unknown(sizes, len(unknown), has_source)
    if roles is None:
        raise UserError(
            f"{place} has the arguments {', '.join(parameters) or 'none'}, of which the sizes are not recognized; they "
            "must be called fan_out, fan_in, or shape, or layers_dims, and the generator rng, or the seed seed."
        )
    names = dict(zip(unknown, roles, strict=True))
    return [each._replace(role=names.get(each.name, each.role)) for each in found]


def _passed(parameter: inspect.Parameter) -> Argument | None:
    """The argument for a parameter, with the role "" if its name is unknown; None if its default is left."""
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        return None
    role = ROLE_OF.get(re.sub(r"[\W_]", "", parameter.name).lower(), "")
    if parameter.default is parameter.empty or role in OPTIONAL:
        return Argument(parameter.name, role, parameter.kind)
    return None


def _roles_of_unknown(sizes: tuple[str, ...], n: int, has_source: bool) -> tuple[str, ...] | None:
    """The roles of n arguments with unknown names beside sizes that are known; None if there is no rule for them."""
    if "shape" in sizes or "dims" in sizes or len(sizes) == 2:
        rules: dict[int, tuple[str, ...]] = {0: ()} if has_source else {0: (), 1: ("rng",)}
    elif len(sizes) == 1:
        rules = {1: ("fan_in" if sizes == ("fan_out",) else "fan_out",)}
    else:
        rules = {1: ("shape",), 2: ("fan_out", "fan_in")} | ({} if has_source else {3: ("rng", "fan_out", "fan_in")})
    return rules.get(n)


def _from_name(name: str) -> Any:
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    with _imported(name):
        return importlib.import_module(name)


def _from_file(path: Path) -> Any:
    if not path.is_file():
        raise UserError(f"{path} does not exist; --grade needs MODULE:FUNCTION or FILE.py:FUNCTION.")
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)  # for modules beside it
    with _imported(str(path)):
        spec = importlib.util.spec_from_file_location(f"graded_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module


@contextlib.contextmanager
def _imported(name: str) -> Iterator[None]:
    """What the module prints goes to stderr; what it raises becomes a UserError."""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except (Exception, SystemExit) as error:  # the code may raise anything
        raise UserError(f"{name} cannot be imported: {described(error, name)}.") from error


def described(error: BaseException, file: str) -> str:
    """The type and the first line of the message of an exception, and the line of `file` that raised it."""
    if isinstance(error, SyntaxError):
        place = f" (line {error.lineno})" if error.lineno else ""
        return f"{type(error).__name__}: {error.msg}{place}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _same(frame.filename, file)]
    place = f" (line {frames[-1].lineno})" if frames else ""
    return ": ".join([type(error).__name__, *str(error).splitlines()[:1]]).rstrip(".") + place


def _same(one: str, other: str) -> bool:
    return bool(other) and Path(one).resolve() == Path(other).resolve()
