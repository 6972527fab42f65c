"""The files of jobs/: read back equal, damage reported in one sentence, and what they hold of params.yaml."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import UserError
from pipeline.initializers.fan_scaling import he_normal
from pipeline.initializers.recipes import Layer, Recipe
from pipeline.networks.parameters import take
from pipeline.storage import jobs
from pipeline.storage.atomic_files import FileError
from pipeline.storage.jobs import ModelsJob, TrainingJob, TrajectoriesJob
from tests.sampling import initialize_parameters

LAYERS = {1: Layer("normal", {"std": 0.1}), 3: Layer(gain=1e-300, bias=-0.1)}
MODELS = (
    ModelsJob("he", Recipe("he_normal"), (2, 4, 3, 1), ("relu", "tanh"), (3, 5), 30, 2),
    ModelsJob("own", Recipe("own.mine:halves", {"size": 1 / 3}), (64, 10), (), (2**32 - 1,), 20, 10, "0" * 64),
    ModelsJob("odd", Recipe("lsuv", {"tol": 0.1}, 0.1, 5e-324, LAYERS), (2, 4, 3, 1), ("relu",) * 2, (0, 7), 30, 2),
)
TRAINING = (
    TrainingJob(3000, 0.1, 0.9, None, 25),
    TrainingJob(1, 1 / 3, 0.0, 8, 1),
)


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("job", MODELS, ids=lambda job: job.initializer)
def test_a_job_of_models_reads_back_equal(job: ModelsJob) -> None:
    jobs.write_job(job)
    back = jobs.read_models_job(job.initializer)
    assert back == job
    assert repr(back) == repr(job)  # an int is no float, a tuple no list
    first = Path(f"jobs/initializers/{job.initializer}.json").read_bytes()
    jobs.write_job(back)
    assert Path(f"jobs/initializers/{job.initializer}.json").read_bytes() == first


def test_all_jobs_of_models_are_read_in_the_order_of_their_names() -> None:
    with pytest.raises(FileError, match=r"^jobs/initializers has no jobs; run `dvc repro` to create them\.$"):
        jobs.read_models_jobs()
    for job in MODELS:
        jobs.write_job(job)
    assert jobs.read_models_jobs() == sorted(MODELS, key=lambda job: job.initializer)


@pytest.mark.parametrize("job", TRAINING)
def test_a_job_of_training_reads_back_equal(job: TrainingJob) -> None:
    jobs.write_job(job)
    assert repr(jobs.read_training_job()) == repr(job)


def test_a_job_of_trajectories_reads_back_equal() -> None:
    job = TrajectoriesJob(3, ("zeros", "inf", "he"))
    jobs.write_job(job)
    assert repr(jobs.read_trajectories_job()) == repr(job)


@pytest.mark.parametrize(
    ("iterations", "record_every", "expected"),
    [(10, 5, [0, 5, 10]), (11, 5, [0, 5, 10, 11]), (1, 1, [0, 1]), (3, 3, [0, 3]), (3, 5, [0, 3])],
)
def test_costs_are_recorded_before_the_first_step_and_after_the_last(
    iterations: int, record_every: int, expected: list[int]
) -> None:
    assert TrainingJob(iterations, 0.1, 0.0, None, record_every).record_at.tolist() == expected


@pytest.mark.parametrize(
    ("iterations", "expected"),
    [
        (1, [0, 1]),
        (2, [0, 1, 2]),
        (3, [0, 1, 2, 3]),
        (10, [0, 1, 2, 5, 10]),
        (40, [0, 1, 2, 5, 10, 20, 40]),
        (100, [0, 1, 2, 5, 10, 20, 50, 100]),
        (101, [0, 1, 2, 5, 10, 20, 50, 100, 101]),
        (15000, [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 15000]),
    ],
)
def test_snapshots_are_taken_at_1_2_5_of_each_decade(iterations: int, expected: list[int]) -> None:
    assert TrainingJob(iterations, 0.1, 0.0, None, 1).snapshots_at.tolist() == expected


def test_a_model_of_a_job_depends_on_its_own_seed_alone() -> None:
    """Each is the model that `initialize_parameters` gives; train, diagnose and trajectories ask for different seeds."""
    X = np.zeros((2, 30))
    every = MODELS[0].initial_parameters((3, 5), X)
    for place, seed in enumerate((3, 5)):
        alone = MODELS[0].initial_parameters((seed,), X)
        plain = initialize_parameters(he_normal(), seed, [2, 4, 3, 1])
        for (W, b), (W_alone, b_alone), (W_plain, b_plain) in zip(take(every, [place]), alone, plain, strict=True):
            assert W.tobytes() == W_alone.tobytes() == W_plain.tobytes()
            assert b.tobytes() == b_alone.tobytes() == b_plain.tobytes()


@pytest.mark.parametrize("error", [SystemExit(3), ZeroDivisionError("division by zero")], ids=str)
def test_a_user_defined_function_that_fails_for_one_seed_is_reported(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception in the project's own code is not caught."""

    def fails_for_5(recipe: Recipe, seed: int, network: object) -> list[object]:
        if seed == 5:
            raise error
        return []

    monkeypatch.setattr(jobs, "sample_parameters", fails_for_5)
    job = dataclasses.replace(MODELS[0], code="0" * 64)
    with pytest.raises(UserError, match=f"^initializers.he raised {type(error).__name__}: {error}, for seed 5.$"):
        job.initial_parameters((3, 5), np.zeros((2, 30)))
    with pytest.raises(type(error)):
        MODELS[0].initial_parameters((3, 5), np.zeros((2, 30)))


FILES: dict[str, Callable[[], object]] = {
    "jobs/initializers/he.json": lambda: jobs.read_models_job("he"),
    "jobs/training.json": jobs.read_training_job,
    "jobs/trajectories.json": jobs.read_trajectories_job,
}


@pytest.fixture
def written() -> None:
    jobs.write_job(MODELS[0])
    jobs.write_job(TRAINING[0])
    jobs.write_job(TrajectoriesJob(3, ("he",)))


def assert_damaged(name: str) -> None:
    expected = rf"^{name} is damaged: it is not a job that `resolve` wrote; delete it and run `dvc repro`; "
    with pytest.raises(FileError, match=expected):
        FILES[name]()


@pytest.mark.parametrize("name", FILES)
def test_a_missing_job_is_named(name: str) -> None:
    with pytest.raises(FileError, match=rf"^{name} does not exist; run `dvc repro` to create it\.$"):
        FILES[name]()


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize("name", FILES)
def test_a_job_cut_short_is_named(name: str) -> None:
    whole = Path(name).read_bytes()
    for length in range(len(whole) - 1):  # without its last byte, a newline, it is still whole
        Path(name).write_bytes(whole[:length])
        assert_damaged(name)


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("content", [b"[]", b"3", b"null", b"{}", b"\xff", b'{"more": 1}', b"[[1, 2, 3]]"])
def test_what_is_no_job_is_named(name: str, content: bytes) -> None:
    Path(name).write_bytes(content)
    assert_damaged(name)


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize("name", FILES)
def test_a_job_without_one_of_its_keys_or_with_another_is_named(name: str) -> None:
    fields: dict[str, Any] = json.loads(Path(name).read_text())
    optional = {field.name for field in dataclasses.fields(ModelsJob) if field.default is None}
    for key in set(fields) - optional:
        Path(name).write_text(json.dumps({other: value for other, value in fields.items() if other != key}))
        assert_damaged(name)
    Path(name).write_text(json.dumps(fields | {"more": 1}))
    if name != "jobs/trajectories.json":
        assert_damaged(name)
