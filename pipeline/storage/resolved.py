"""What follows from the checked parameters: the jobs of later stages, with digests of code, and the data sets."""

import hashlib
from pathlib import Path

from pipeline.config.schema import Data, Params
from pipeline.initializers import recipes
from pipeline.initializers.layerwise import RECIPES
from pipeline.initializers.networkwise import NETWORK_RECIPES
from pipeline.numerics import sources
from pipeline.numerics.sums import Array
from pipeline.storage import samples
from pipeline.storage.jobs import ModelsJob, TrainingJob

JOB_STAGES = ("train", "trajectories", "diagnose")  # they read jobs/ and not params.yaml
PRINTING = ("stages/progress.py",)  # modules on which no result depends
SOURCES = (".css", ".html", ".js", ".py")  # names of source files end with one of these


def training_set(data: Data) -> tuple[Array, Array]:
    """X (n_0, n_train) and Y (1, n_train) from data/train.csv. Raises FileError unless it has these sizes."""
    return samples.read_samples(samples.DATA / "train.csv", data.n_train, data.n_inputs, data.n_classes)


def test_set(data: Data) -> tuple[Array, Array]:
    """X (n_0, n_test) and Y (1, n_test) from data/test.csv. Raises FileError unless it has these sizes."""
    return samples.read_samples(samples.DATA / "test.csv", data.n_test, data.n_inputs, data.n_classes)


def models_job(P: Params, name: str) -> ModelsJob:
    """The models of the initializer `name`, one per seed."""
    recipe = P.initializers[name]
    is_own = not recipe.used <= {*RECIPES, *NETWORK_RECIPES}
    return ModelsJob(
        initializer=name,
        recipe=recipe,
        layers_dims=tuple(P.layers_dims),
        activations=tuple(P.network.activation_names),
        seeds=P.seeds,
        n_train=P.data.n_train,
        n_classes=P.data.n_classes,
        code=digest_of_own_code() if is_own else None,
    )


def training_job(P: Params) -> TrainingJob:
    """The settings of training, the same for all models."""
    return TrainingJob(
        iterations=P.training.iterations,
        learning_rate=P.training.learning_rate,
        momentum=P.training.momentum,
        batch_size=P.training.samples_per_step,
        record_every=P.training.record_every,
    )


def code_of_stage(stage: str) -> set[Path]:
    """The source files that a stage imports, directly or indirectly, without those of PRINTING."""
    return sources.import_closure(f"pipeline.stages.{stage}") - {sources.PACKAGE / name for name in PRINTING}


def code_of_package() -> set[Path]:
    """All source files of the package, without hidden ones, which editors make."""
    return {
        path
        for path in sources.PACKAGE.rglob("*")
        if path.suffix in SOURCES and not any(part.startswith(".") for part in path.relative_to(sources.PACKAGE).parts)
    }


def digest_of_own_code() -> str:
    """The SHA-256 of all modules in own/, which may import each other; files that cannot be imported are skipped."""
    digest = hashlib.sha256()
    for path in sorted(recipes.WATCHED.rglob("*.py")):
        if not all(part.isidentifier() for part in path.with_suffix("").parts):
            continue
        digest.update(path.as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
