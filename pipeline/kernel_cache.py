"""Where Numba keeps what it has compiled, and how it names it.

It lies beside the pipeline's files, in the repository that DVC was called in: an experiment in a queue runs in a
checkout of its own that is deleted afterwards, and would compile all anew.

Numba numbers functions as a process compiles them, and the linker takes functions of one name and number for one and
the same. Two processes that compile in another order make a cache in which they are not, and who loads both gets wrong
numbers without a word (numba/numba#10486). Numbers drawn at random never meet.
"""

import os
import secrets
from functools import partial
from pathlib import Path
from typing import Any

from numba.core import config
from numba.core.bytecode import FunctionIdentity
from numba.core.caching import CacheImpl, InTreeCacheLocator

NUMBER_BITS = 64
PACKAGE = Path(__file__).parent


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
        return super().from_function(py_func, py_file) if Path(py_file).parent == PACKAGE else None

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
