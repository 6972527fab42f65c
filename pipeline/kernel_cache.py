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
from numba.core.caching import InTreeCacheLocator

NUMBER_BITS = 64


class InRepository(InTreeCacheLocator):
    """The names of the files carry a digest of the source: checkouts that differ do not share what is compiled."""

    def __init__(self, py_func: Any, py_file: str) -> None:
        super().__init__(py_func, py_file)
        package = Path(os.environ.get("DVC_ROOT", "")) / __package__
        if "DVC_ROOT" in os.environ and package.is_dir():
            self._cache_path = str(package / "__pycache__")

    def get_disambiguator(self) -> str:
        return f"{super().get_disambiguator()}-{self.get_source_stamp().hex()[:12]}"


def install() -> None:
    """Let Numba ask here after a folder of the user's, NUMBA_CACHE_DIR, and before one in the user's home.

    To be called before anything is compiled.
    """
    FunctionIdentity._unique_ids = iter(partial(secrets.randbits, NUMBER_BITS), -1)
    own = f"{InRepository.__module__}.{InRepository.__qualname__}"
    ours = f"UserProvidedCacheLocator,{own},UserWideCacheLocator"
    config.CACHE_LOCATOR_CLASSES = config.CACHE_LOCATOR_CLASSES or ours
