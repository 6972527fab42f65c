"""Location and keys of Numba's on-disk cache of compiled functions.

The cache is in `pipeline/__pycache__` of the repository in which DVC was called: a queued experiment runs in a
temporary checkout that is deleted afterwards, and would otherwise compile everything again.

Numba numbers functions in the order in which a process compiles them, and the linker treats functions with equal name
and number as identical. If two processes compile in different orders, loading both results from the cache silently
gives wrong numbers (numba/numba#10486). `install` therefore replaces the sequential numbers by random 64-bit numbers.

Numba invalidates a cached function only when the file that defines it changes. `source_digest` also covers the modules
that this file imports.
"""

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

from pipeline.numerics import sources
from pipeline.numerics.sources import PACKAGE

NUMBER_BITS = 64


def source_digest(module: str) -> str:
    """The SHA-256, in hexadecimal, of everything on which machine code compiled in a module can depend.

    That is the source of the module with the dotted name `module`, of every module of this package that it imports
    directly or indirectly, and the versions of Numba and llvmlite. Must be part of the key of every compiled function.
    """
    versions = f"{numba.__version__} {llvmlite.__version__} "
    return hashlib.sha256((versions + sources.digest(sources.import_closure(module))).encode()).hexdigest()


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


def use_own_cache() -> None:
    """Register `InRepository` and random function numbers with Numba.

    The user's NUMBA_CACHE_DIR takes precedence; functions of other packages are cached as by default. Must be called
    before anything is compiled.
    """
    FunctionIdentity._unique_ids = iter(partial(secrets.randbits, NUMBER_BITS), -1)
    first, *others = [locator.__qualname__ for locator in CacheImpl._locator_classes]
    ours = ",".join([first, f"{InRepository.__module__}.{InRepository.__qualname__}", *others])
    config.CACHE_LOCATOR_CLASSES = config.CACHE_LOCATOR_CLASSES or ours
