"""Stage `resolve`: check params.yaml and write the parts of it that the later stages depend on.

`python -m pipeline.stages.resolve` writes jobs/initializers/<initializer>.json, jobs/training.json,
jobs/trajectories.json and jobs/experiment.json (see `storage.jobs`) and digests of code, of single stages and of
the whole package, to jobs/code/, and prints warnings. Recipes that use the data and user-defined recipes are tried
once. The files in jobs/, runs/, diagnostics/ and trajectories/ of initializers that are no longer in params.yaml are
deleted.
"""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.config import params, recipe_settings, yaml_file
from pipeline.errors import UserError
from pipeline.initializers.layerwise import RECIPES
from pipeline.initializers.networkwise import NetworkSpec
from pipeline.numerics import sources
from pipeline.stages import progress
from pipeline.storage import jobs, resolved
from pipeline.storage.jobs import TrajectoriesJob
from pipeline.storage.measurements import DIAGNOSTICS, DIAGNOSTICS_FILES
from pipeline.storage.trained import RUN_FILES, RUNS, TRAJECTORIES
from pipeline.tracking import provenance


def resolve() -> None:
    """Write jobs/ and print warnings to stderr. Raises UserError if a recipe does not work on the training data."""
    document = yaml_file.read(Path("params.yaml"))
    P = params.check(document)
    for warning in params.warnings(P):
        print(warning, file=sys.stderr)
    if provenance.is_shallow():
        print(provenance.SHALLOW, file=sys.stderr)
    with progress.task(f"Resolving the jobs of {progress.count(len(P.initializers), 'initializer')}."):
        X, _ = resolved.training_set(P.data)
        network = NetworkSpec(P.layers_dims, P.network.activations, X)
        untested = {name: recipe for name, recipe in P.initializers.items() if not recipe.used <= set(RECIPES)}
        problems = {name: recipe_settings.dry_run(recipe, P.seeds[0], network) for name, recipe in untested.items()}
        if any(problems.values()):
            messages = [f"params.yaml: initializers.{name} {problem}." for name, problem in problems.items() if problem]
            raise UserError("\n".join(messages))
        for name in P.initializers:
            jobs.write_job(resolved.models_job(P, name))
        jobs.write_experiment(document)
        jobs.write_job(resolved.training_job(P))
        jobs.write_job(TrajectoriesJob(P.comparison.highlight_seed, tuple(P.initializers)))
        for stage in resolved.JOB_STAGES:
            jobs.write_code_digest(stage, sources.digest(resolved.code_of_stage(stage)))
        jobs.write_code_digest("pipeline", sources.digest(resolved.code_of_package()))
        delete_dropped(list(P.initializers))


def delete_dropped(names: Sequence[str]) -> None:
    """Delete the jobs and results of initializers other than `names`: a later stage depends on these folders whole.

    A folder that contains other files than those of the pipeline is kept.
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
    from pipeline.stages import run_and_exit

    run_and_exit(resolve)
