"""Stage `recipes`: try what params.yaml asks for before anything trains; write how each initializer is made.

It runs after every change of params.yaml, and is the one that prints warnings.

recipes/<initializer>.json changes when the recipe, its settings or the user's own code changes, and only then: it is
what `train` depends on.
"""

import dataclasses
import hashlib
import json
import sys

from pipeline import params, provenance, recipes, storage
from pipeline.initializers import RECIPES
from pipeline.network_initializers import NETWORK_RECIPES, Birth


def write_recipes() -> None:
    """Write recipes/ and print warnings to stderr. Raises ParamsError for recipes that do not work."""
    P = params.load()
    for warning in params.warnings(P):
        print(warning, file=sys.stderr)
    if provenance.is_shallow():
        print(provenance.SHALLOW, file=sys.stderr)
    X, _ = storage.read_samples(storage.DATA / "train.csv", P.data.n_train, P.data.n_inputs, P.data.n_classes)
    birth = Birth(P.layers_dims, P.network.activations, X)
    doubtful = {name: recipe for name, recipe in P.initializers.items() if not recipe.used <= set(RECIPES)}
    told = {name: recipes.tried(recipe, P.seeds[0], birth) for name, recipe in doubtful.items()}
    if any(told.values()):
        sentences = [f"params.yaml: initializers.{name} {end}." for name, end in told.items() if end]
        raise params.ParamsError("\n".join(sentences))
    for name, recipe in P.initializers.items():
        made = dataclasses.asdict(recipe)
        if not recipe.used <= {*RECIPES, *NETWORK_RECIPES}:
            made["code"] = code()
        storage.write_text(storage.RECIPES / f"{name}.json", json.dumps(made, indent=2) + "\n")


def code() -> str:
    """The SHA-256 of the user's own modules: one may use another. What no import finds, as .#name.py, is left out."""
    digest = hashlib.sha256()
    for path in sorted(recipes.WATCHED.rglob("*.py")):
        if not all(part.isidentifier() for part in path.with_suffix("").parts):
            continue
        digest.update(path.as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


if __name__ == "__main__":
    from pipeline.stages import run

    sys.exit(run(write_recipes))
