"""Stage `resolve`: check params.yaml and write what training and diagnosing need to know of it.

`python -m pipeline.stages.resolve` writes jobs/initializers/<initializer>.json, jobs/training.json and
jobs/trajectories.json (see `storage.jobs`), and prints the warnings. Recipes that look at data, and the
user's own, are tried once before anything trains. What initializers that are no longer in params.yaml left in jobs/,
runs/, diagnostics/ and trajectories/ is deleted.
"""

import hashlib
import shutil
import sys
from collections.abc import Sequence

from pipeline.config import params, recipe_settings, schema
from pipeline.initializers import recipes
from pipeline.initializers.layerwise import RECIPES
from pipeline.initializers.networkwise import NETWORK_RECIPES, NetworkSpec
from pipeline.storage import jobs, samples
from pipeline.storage.jobs import ModelsJob, TrainingJob, TrajectoriesJob
from pipeline.storage.measurements import DIAGNOSTICS, DIAGNOSTICS_FILES
from pipeline.storage.trained import RUN_FILES, RUNS, TRAJECTORIES
from pipeline.tracking import provenance


def resolve() -> None:
    """Write jobs/ and print warnings to stderr. Raises ParamsError if a recipe does not work on the training data."""
    P = params.load()
    for warning in params.warnings(P):
        print(warning, file=sys.stderr)
    if provenance.is_shallow():
        print(provenance.SHALLOW, file=sys.stderr)
    X, _ = samples.read_samples(samples.DATA / "train.csv", P.data.n_train, P.data.n_inputs, P.data.n_classes)
    network = NetworkSpec(P.layers_dims, P.network.activations, X)
    untested = {name: recipe for name, recipe in P.initializers.items() if not recipe.used <= set(RECIPES)}
    problems = {name: recipe_settings.dry_run(recipe, P.seeds[0], network) for name, recipe in untested.items()}
    if any(problems.values()):
        messages = [f"params.yaml: initializers.{name} {problem}." for name, problem in problems.items() if problem]
        raise params.ParamsError("\n".join(messages))
    for name, recipe in P.initializers.items():
        is_own = not recipe.used <= {*RECIPES, *NETWORK_RECIPES}
        jobs.write_models_job(
            ModelsJob(
                initializer=name,
                recipe=recipe,
                layers_dims=tuple(P.layers_dims),
                activations=tuple(P.network.activation_names),
                seeds=P.seeds,
                n_train=P.data.n_train,
                n_classes=P.data.n_classes,
                code=digest_of_own_code() if is_own else None,
            )
        )
    jobs.write_training_job(training_job(P.training))
    jobs.write_trajectories_job(TrajectoriesJob(P.comparison.tutorial_seed, tuple(P.initializers)))
    delete_dropped(list(P.initializers))


def training_job(training: schema.Training) -> TrainingJob:
    """The section `training` of params.yaml as a job."""
    return TrainingJob(
        iterations=training.iterations,
        learning_rate=training.learning_rate,
        momentum=training.momentum,
        batch_size=training.samples_per_step,
        record_every=training.record_every,
    )


def digest_of_own_code() -> str:
    """The SHA-256 of the modules in own/: one may import another. What no import finds, as .#name.py, is left out."""
    digest = hashlib.sha256()
    for path in sorted(recipes.WATCHED.rglob("*.py")):
        if not all(part.isidentifier() for part in path.with_suffix("").parts):
            continue
        digest.update(path.as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def delete_dropped(names: Sequence[str]) -> None:
    """Delete the jobs and results of initializers other than `names`: a later stage depends on these folders whole.

    A folder that holds anything but the files of the pipeline is left alone.
    """
    for parent, suffix in ((jobs.MODELS, ".json"), (TRAJECTORIES, ".npz")):
        for path in parent.iterdir() if parent.is_dir() else ():
            if path.suffix == suffix and path.stem not in names:
                path.unlink()
    for parent, files in ((RUNS, RUN_FILES), (DIAGNOSTICS, DIAGNOSTICS_FILES)):
        for path in parent.iterdir() if parent.is_dir() else ():
            if path.is_dir() and path.name not in names and {file.name for file in path.iterdir()} <= files:
                shutil.rmtree(path)


if __name__ == "__main__":
    from pipeline.stages import run

    sys.exit(run(resolve))
