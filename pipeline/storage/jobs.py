"""The files of jobs/: the parts of params.yaml that the later stages depend on.

Stage `resolve` writes them from the checked parameters; `train`, `trajectories` and `diagnose` read these files and not
params.yaml, so a change of params.yaml that does not change these files trains nothing. The stages that report read
params.yaml; jobs/experiment.json tells DVC whether its sections have changed.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UserError
from pipeline.initializers.networkwise import NetworkSpec
from pipeline.initializers.recipes import Layer, Recipe, failure, sample_parameters
from pipeline.networks.activations import ACTIVATIONS, Activation
from pipeline.networks.parameters import Parameters, stack
from pipeline.numerics.sums import Array
from pipeline.storage import samples
from pipeline.storage.atomic_files import FileError, _damaged, read_bytes, write_json, write_text

T = TypeVar("T")

JOBS = Path("jobs")
MODELS = JOBS / "initializers"
CODE = JOBS / "code"  # digests of source files; only DVC reads them, as dependencies
EXPERIMENT = JOBS / "experiment.json"  # only DVC reads it
APART = ("audits", "tracking")  # sections of params.yaml on which few stages depend, by their `params` in dvc.yaml


@dataclass(frozen=True)
class ModelsJob:
    """The models of one initializer, one per seed, and the training samples: jobs/initializers/<initializer>.json."""

    initializer: str
    recipe: Recipe
    layers_dims: tuple[int, ...]  # n_0, ..., n_L
    activations: tuple[str, ...]  # the name of each hidden layer's activation
    seeds: tuple[int, ...]
    n_train: int
    n_classes: int
    code: str | None = None  # SHA-256 of the files in own/, if the recipe uses them

    @property
    def path(self) -> Path:
        """The file of the job."""
        return MODELS / f"{self.initializer}.json"

    @property
    def phi(self) -> list[Activation]:
        """The activation of each hidden layer."""
        return [ACTIVATIONS[name] for name in self.activations]

    def training_set(self) -> tuple[Array, Array]:
        """X (n_0, n_train) and Y (1, n_train) from data/train.csv. Raises FileError."""
        return samples.read_samples(samples.DATA / "train.csv", self.n_train, self.layers_dims[0], self.n_classes)

    def initial_parameters(self, seeds: tuple[int, ...], X: Array) -> Parameters:
        """The stack of models of `seeds` at initialization: W (models, n_l, n_{l-1}), b (models, n_l, 1) per layer.

        Raises UserError if a user-defined function fails.
        """
        network, models = NetworkSpec(self.layers_dims, self.phi, X), []
        for seed in seeds:
            try:
                models.append(sample_parameters(self.recipe, seed, network))
            except (Exception, SystemExit) as error:  # user code may raise anything
                if self.code is None or isinstance(error, MemoryError):
                    raise
                raise UserError(f"initializers.{self.initializer} {failure(error)}, for seed {seed}.") from error
        return stack(models)


@dataclass(frozen=True)
class TrainingJob:
    """The settings of training, the same for all models: jobs/training.json."""

    path: ClassVar[Path] = JOBS / "training.json"
    iterations: int
    learning_rate: float
    momentum: float
    batch_size: int | None  # None: all samples in every step
    record_every: int

    @property
    def record_at(self) -> NDArray[np.int64]:
        """0, record_every, 2 record_every, ... and iterations: the steps after which costs are recorded."""
        return np.append(np.arange(0, self.iterations, self.record_every, dtype=np.int64), np.int64(self.iterations))

    @property
    def snapshots_at(self) -> NDArray[np.int64]:
        """0, 1, 2, 5, 10, 20, 50, ... and iterations: the steps after which weights are stored in trajectories/."""
        steps = (m * 10**k for k in range(len(str(self.iterations))) for m in (1, 2, 5))
        return np.array([0, *(step for step in steps if step < self.iterations), self.iterations], dtype=np.int64)

    @property
    def settings(self) -> dict[str, Any]:
        """The settings as keyword arguments of `gradient_descent.train`."""
        return {"learning_rate": self.learning_rate, "momentum": self.momentum, "batch_size": self.batch_size}


@dataclass(frozen=True)
class TrajectoriesJob:
    """The models whose weights are stored during training: jobs/trajectories.json."""

    path: ClassVar[Path] = JOBS / "trajectories.json"
    seed: int
    initializers: tuple[str, ...]


def write_job(job: ModelsJob | TrainingJob | TrajectoriesJob) -> None:
    """Write the file of a job. Raises FileError."""
    write_json(job.path, dataclasses.asdict(job))


def read_models_job(initializer: str) -> ModelsJob:
    """Read jobs/initializers/<initializer>.json. Raises FileError if it is missing or damaged."""

    def made(fields: dict[str, Any]) -> ModelsJob:
        recipe = dict(fields.pop("recipe"))
        layers = {int(l): Layer(**layer) for l, layer in recipe.pop("layers").items()}
        fields |= {key: tuple(fields[key]) for key in ("layers_dims", "activations", "seeds")}
        return ModelsJob(recipe=Recipe(**recipe, layers=layers), **fields)

    return _read(MODELS / f"{initializer}.json", made)


def read_models_jobs() -> list[ModelsJob]:
    """Read all files of jobs/initializers/, in the order of their names. Raises FileError if there is none."""
    names = sorted(path.stem for path in MODELS.glob("*.json"))
    if not names:
        raise FileError(f"{MODELS} has no jobs; run `dvc repro` to create them.")
    return [read_models_job(name) for name in names]


def read_training_job() -> TrainingJob:
    """Read jobs/training.json. Raises FileError if it is missing or damaged."""
    return _read(TrainingJob.path, lambda fields: TrainingJob(**fields))


def read_trajectories_job() -> TrajectoriesJob:
    """Read jobs/trajectories.json. Raises FileError if it is missing or damaged."""
    return _read(TrajectoriesJob.path, lambda fields: TrajectoriesJob(fields["seed"], tuple(fields["initializers"])))


def write_code_digest(name: str, digest: str) -> None:
    """Write jobs/code/<name>.sha256. Raises FileError."""
    write_text(CODE / f"{name}.sha256", f"{digest}\n")


def write_experiment(document: Mapping[str, Any]) -> None:
    """Write jobs/experiment.json: the sections of a document read from params.yaml, without APART. Raises FileError."""
    sections = {key: value for key, value in document.items() if key not in APART}
    write_json(EXPERIMENT, sections)


def _read(path: Path, make: Callable[[dict[str, Any]], T]) -> T:
    content = read_bytes(path)
    try:
        return make(dict(json.loads(content)))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _damaged(path, "it is not a job that `resolve` wrote") from error
