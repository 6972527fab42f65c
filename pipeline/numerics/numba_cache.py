"""Where Numba keeps what it has compiled, and how it names it.

It lies beside the pipeline's files, in the repository that DVC was called in: an experiment in a queue runs in a
checkout of its own that is deleted afterwards, and would compile all anew.

Numba numbers functions as a process compiles them, and the linker takes functions of one name and number for one and
the same. Two processes that compile in another order make a cache in which they are not, and who loads both gets wrong
numbers without a word (numba/numba#10486). Numbers drawn at random never meet.

Numba itself compares only the file that defines a cached function. `source_digest` covers the modules it imports too.
"""

import ast
import functools
import hashlib
import os
import secrets
from functools import partial
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core import config
from numba.core.bytecode import FunctionIdentity
from numba.core.caching import CacheImpl, InTreeCacheLocator

NUMBER_BITS = 64
PACKAGE = Path(__file__).parents[1]


def source_digest(module: str) -> str:
    """The SHA-256 of everything that machine code compiled in a module can depend on, in hexadecimal.

    That is the source of the module `module` (a dotted name), of every module of this package that it imports, directly
    or through others, and the versions of Numba and llvmlite. To be part of the key of every compiled function.
    """
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__}".encode())
    for path in sorted(import_closure(module)):
        digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def import_closure(module: str) -> set[Path]:
    """The source files of a module of this package and of all modules of the package that it imports, transitively.

    Raises ModuleNotFoundError if the package has no such module.
    """
    if _source(module) is None:
        raise ModuleNotFoundError(f"{PACKAGE.name} has no module {module}")
    found: set[Path] = set()
    todo = [path for name in _ancestors(module) if (path := _source(name))]
    while todo:
        path = todo.pop()
        if path not in found:
            found.add(path)
            todo += imported_files(path)
    return found


@functools.cache
def imported_files(path: Path) -> list[Path]:
    """The source files of this package that a source file imports, wherever in it the statement stands."""
    package = path.relative_to(PACKAGE.parent).with_suffix("").parts[:-1]
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    ours = [name for name in names if name.partition(".")[0] == PACKAGE.name]
    return [file for name in ours for each in _ancestors(name) if (file := _source(each))]


def _ancestors(name: str) -> list[str]:
    """a, a.b and a.b.c for a.b.c: importing a module runs the `__init__` of every package above it."""
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts) + 1)]


def _source(name: str) -> Path | None:
    """The source file of a module, or None if the name is not a module's."""
    path = PACKAGE.parent.joinpath(*name.split("."))
    return next((file for file in (path / "__init__.py", path.with_suffix(".py")) if file.is_file()), None)


class InRepository(InTreeCacheLocator):
    """For the pipeline's own functions. The names of the files carry a digest of the source, so that checkouts that
    differ do not share what is compiled."""

    def __init__(self, py_func: Any, py_file: str) -> None:
        super().__init__(py_func, py_file)
        package = Path(os.environ.get("DVC_ROOT", PACKAGE.parent)) / PACKAGE.name
        if package.is_dir():
            self._cache_path = str(package / "__pycache__")

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> Any:
        return super().from_function(py_func, py_file) if Path(py_file).is_relative_to(PACKAGE) else None

    def get_disambiguator(self) -> str:
        return f"{super().get_disambiguator()}-{self.get_source_stamp().hex()[:12]}"


def install() -> None:
    """Let Numba ask here, after a folder of the user's, NUMBA_CACHE_DIR; of others' functions it keeps as it would.

    To be called before anything is compiled.
    """
    FunctionIdentity._unique_ids = iter(partial(secrets.randbits, NUMBER_BITS), -1)
    first, *others = [locator.__qualname__ for locator in CacheImpl._locator_classes]
    ours = ",".join([first, f"{InRepository.__module__}.{InRepository.__qualname__}", *others])
    config.CACHE_LOCATOR_CLASSES = config.CACHE_LOCATOR_CLASSES or ours
