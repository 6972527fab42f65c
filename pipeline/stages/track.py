"""Stage `track`: publish every model and the tables, figures and parameters to MLflow.

It comes last and reads only what the other stages made, so that a result restored from DVC's cache is published too.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline import figures, network, params, storage, tracking
from pipeline.initializers import Parameters
from pipeline.recipes import Recipe
from pipeline.sums import Array

FINAL = ("initial_cost", "final_cost", "train_accuracy", "test_accuracy")
TRACKED = Path("tracked.json")


def track() -> None:
    """Publish what params.yaml asks for, unless it is published already; write its fingerprint to tracked.json."""
    P = params.load()
    root = Path(os.environ.get("DVC_ROOT") or ".").resolve()
    uri = tracking.store_uri(root)
    result = collect(P)
    with tempfile.TemporaryDirectory() as folder:
        is_new = tracking.publish(uri, root, result, models(P, Path(folder)))
    n = len(P.initializers) * len(P.seeds)
    done = f"Published {n} models to MLflow" if is_new else f"MLflow has these {n} models already"
    print(f"{done}: pipeline {result.fingerprint[:8]}.")
    storage.write_text(TRACKED, json.dumps({"fingerprint": result.fingerprint, "models": n}, indent=2) + "\n")


def collect(P: params.Params) -> tracking.Result:
    """The result as a whole: tables, figures, parameters, and where it comes from."""
    tables = sorted(path for path in storage.REPORTS.glob("*.*") if path.is_file())
    pictures = sorted(storage.FIGURES.glob("*.png"))
    files = [(path, "") for path in (Path("params.yaml"), Path("dvc.lock")) if path.is_file()]
    files += [(path, "reports") for path in tables] + [(path, "reports/figures") for path in pictures]
    given = {"initializers": ", ".join(P.initializers), "n_seeds": len(P.seeds)} | flat(settings(P))
    description = storage.read_bytes(storage.REPORTS / "comparison.md").decode().partition("\n## Figures")[0]
    return tracking.Result(fingerprint(P), given, origin(), description, files)


def fingerprint(P: params.Params) -> str:
    """The SHA-256 of parameters, models and tables: the same for the same result on every computer."""
    digest = hashlib.sha256(P.model_dump_json().encode())
    paths = [storage.RUNS / name / file for name in P.initializers for file in sorted(storage.RUN_FILES)]
    for path in [*paths, storage.REPORTS / "comparison.csv"]:
        digest.update(hashlib.sha256(storage.read_bytes(path)).digest())
    return digest.hexdigest()


def models(P: params.Params, folder: Path) -> Iterator[tracking.Model]:
    """Every model, initializer by initializer and seed by seed; its files lie in `folder` until the next one's."""
    train = storage.read_samples(storage.DATA / "train.csv", P.data.n_train, P.data.n_inputs, P.data.n_classes)
    when = P.training.record_at
    for name, recipe in P.initializers.items():
        metrics, curves = storage.read_run(name, P.seeds, when)
        costs = curves["cost"].reshape(len(P.seeds), len(when))
        stacked = storage.read_weights(storage.RUNS / name / "weights.npz", P.seeds, P.layers_dims)
        born = {"initializer": name} | told(recipe)
        for index, seed in enumerate(P.seeds):
            weights = folder / "weights.npz"
            storage.write_weights(weights, [seed], [(W[index : index + 1], b[index : index + 1]) for W, b in stacked])
            files = [weights]
            if seed == P.comparison.tutorial_seed and P.data.n_inputs == 2:
                model = [(W[index], b[index]) for W, b in stacked]
                files.append(picture(P, model, train, f"{name}, seed {seed}", folder))
            yield tracking.Model(
                name=f"{name} seed {seed}",
                params=born | {"seed": seed} | flat(settings(P)),
                metrics={key: float(metrics[key][index]) for key in FINAL},
                costs=list(zip(when.tolist(), costs[index].tolist(), strict=True)),
                files=files,
            )


def picture(P: params.Params, model: Parameters, train: tuple[Array, Array], title: str, folder: Path) -> Path:
    """The decision boundary of a model, as boundary.png in `folder`."""
    probability = network.predict(model, figures.square(), P.network.activations).reshape(figures.GRID, figures.GRID)
    path = folder / "boundary.png"
    storage.write_bytes(path, figures.png(figures.one_boundary(probability, *train, title)))
    return path


def told(recipe: Recipe) -> dict[str, Any]:
    """How an initializer is made, as parameters of a run: what is given and what every recipe may be given."""
    given: dict[str, Any] = {f"recipe.{key}": value for key, value in recipe.settings.items()}
    given |= {"gain": recipe.gain, "bias": recipe.bias} | {f"layer {l}": layer for l, layer in recipe.layers.items()}
    return {"recipe": recipe.recipe} | given


def settings(P: params.Params) -> dict[str, Any]:
    """What all models have in common."""
    return P.model_dump(include={"data", "network", "training"})


def flat(sections: dict[str, Any]) -> dict[str, Any]:
    """{section: {key: value}} as {section.key: value}."""
    return {f"{section}.{key}": value for section, keys in sections.items() for key, value in keys.items()}


def origin() -> dict[str, str]:
    """Git's commit, whether anything differs from it, and the name of DVC's experiment, as far as there are any."""
    tags = {}
    if experiment := os.environ.get("DVC_EXP_NAME"):
        tags["dvc.exp_name"] = experiment
    if commit := git("rev-parse", "HEAD"):
        tags |= {"mlflow.source.git.commit": commit, "git.dirty": str(bool(git("status", "--porcelain"))).lower()}
    return tags


def git(*arguments: str) -> str:
    """What git prints; empty where there is no git or no repository."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


if __name__ == "__main__":
    from pipeline.stages import run

    sys.exit(run(track))
