"""Location and keys of Numba's on-disk cache of compiled functions.

The cache is in `pipeline/__pycache__` of the repository in which DVC was called: a queued experiment runs in a
temporary checkout that is deleted afterwards, and would otherwise compile everything again.

Numba numbers functions in the order in which a process compiles them, and the linker treats functions with equal name
and number as identical. If two processes compile in different orders, loading both results from the cache silently
gives wrong numbers (numba/numba#10486). `install` therefore replaces the sequential numbers by random 64-bit numbers.

Numba invalidates a cached function only when the file that defines it changes. `source_digest` also covers the modules
that this file imports.
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
    """The SHA-256, in hexadecimal, of everything on which machine code compiled in a module can depend.

    That is the source of the module with the dotted name `module`, of every module of this package that it imports
    directly or indirectly, and the versions of Numba and llvmlite. Must be part of the key of every compiled function.
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
    """The source files of this package that a source file imports, including imports inside functions."""
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
    """[a, a.b, a.b.c] for the name a.b.c: importing a module runs the `__init__` of every parent package."""
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts) + 1)]


def _source(name: str) -> Path | None:
    """The source file of the module with this dotted name, or None if there is no such module."""
    path = PACKAGE.parent.joinpath(*name.split("."))
    return next((file for file in (path / "__init__.py", path.with_suffix(".py")) if file.is_file()), None)


class InRepository(InTreeCacheLocator):
    """Cache location of the functions of this package.

    File names include a digest of the source, so that checkouts with different sources do not share compiled code.
    """

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
    """Register `InRepository` and random function numbers with Numba.

    The user's NUMBA_CACHE_DIR takes precedence; functions of other packages are cached as by default. Must be called
    before anything is compiled.
    """
    FunctionIdentity._unique_ids = iter(partial(secrets.randbits, NUMBER_BITS), -1)
    first, *others = [locator.__qualname__ for locator in CacheImpl._locator_classes]
    ours = ",".join([first, f"{InRepository.__module__}.{InRepository.__qualname__}", *others])
    config.CACHE_LOCATOR_CLASSES = config.CACHE_LOCATOR_CLASSES or ours
