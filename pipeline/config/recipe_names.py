"""Names of activations and recipes in the frameworks, and the recipe that a misspelled name may mean."""

import re
from typing import Any

from pipeline.config.messages import folded, nearest
from pipeline.initializers.layerwise import RECIPES
from pipeline.initializers.networkwise import NETWORK_RECIPES
from pipeline.initializers.recipes import in_own_folder
from pipeline.initializers.registry import Entry

ALSO_CALLED = {"identity": "linear", "logistic": "sigmoid", "swish": "silu"}  # activations, by other frameworks


def framework_names() -> dict[str, tuple[str, str]]:
    """The names of the recipes in PyTorch, Keras and JAX: {name: (recipe, framework)}.

    A name of several recipes or frameworks belongs to the first: `kaiming_normal_` is he_normal.
    """
    names: dict[str, tuple[str, str]] = {}
    entries: list[tuple[str, Entry[Any]]] = [*RECIPES.items(), *NETWORK_RECIPES.items()]
    for recipe, entry in entries:
        for framework, cell in (("PyTorch", entry.pytorch), ("Keras", entry.keras), ("JAX", entry.jax)):
            if call := re.search(r"`([\w.]+)", cell):
                names.setdefault(call[1], (recipe, framework))
    return names


def suggestion(name: str) -> str:
    """The recipe to suggest for an unknown name, with the framework that uses the name; empty if there is none.

    A name of a module in the folder own/ means that module, whatever its spelling.
    A name of a framework means its distribution there: HeNormal is that of Keras, a truncated normal. Other names are
    compared with those of recipes and frameworks, ignoring case and punctuation.
    """
    if user_defined := in_own_folder(name):
        return user_defined
    own, others = [*RECIPES, *NETWORK_RECIPES], framework_names()
    close = name if name in others else nearest(name, [*own, *others])
    if close in own or not close:
        return close
    recipe, framework = others[close]
    return recipe if folded(recipe) == folded(close) else f"{recipe}, which {framework} calls {close}"
