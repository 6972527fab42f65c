"""The text of the file model.py that is stored with a model: `model_code` and the modules that it needs, in one file.

It runs without this package. Its activations are those of `networks.activations`, so it has every registered one.
"""

import functools
import re
from pathlib import Path

from pipeline.networks import activations
from pipeline.numerics import elementary
from pipeline.tracking import model_code

MODULES = (elementary, activations, model_code)  # each imports from this package only modules before it
IMPORT = re.compile(r"^from pipeline\.[\w.]+ import (?:\([^)]*\)|.*)\n", re.MULTILINE)


@functools.cache
def model_source() -> str:
    """The modules one after another, without the imports from this package."""
    return "\n\n".join(IMPORT.sub("", Path(str(module.__file__)).read_text(encoding="utf-8")) for module in MODULES)
