"""The source files of this package on which a module depends, and their digest."""

import ast
import functools
import hashlib
from collections.abc import Iterable
from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def digest(paths: Iterable[Path]) -> str:
    """The SHA-256, in hexadecimal, of the names and contents of source files of this package."""
    found = hashlib.sha256()
    for path in sorted(paths):
        found.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()


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
