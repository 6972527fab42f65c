"""Stage `diagnose`: the models of several jobs, in slices, are those measured one at a time."""

import math
from pathlib import Path

import numpy as np
import pytest

from pipeline.diagnostics import measure
from pipeline.initializers.recipes import Recipe
from pipeline.stages import diagnose
from pipeline.storage import jobs, measurements, samples
from pipeline.storage.jobs import ModelsJob

SEEDS = (3, 5, 8)
LAYERS = (2, 4, 3, 1)


@pytest.mark.parametrize("weights_at_once", [1, 46, 2**22])  # one model has 8 + 12 + 3 = 23 weights
def test_every_model_is_measured_and_written_with_its_initializer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights_at_once: int
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(diagnose, "WEIGHTS_AT_ONCE", weights_at_once)
    rng = np.random.RandomState(0)
    X, Y = rng.randn(2, 13), rng.randint(0, 2, (1, 13)).astype(float)
    samples.write_samples(samples.DATA / "train.csv", X, Y)
    recipes = {"he": Recipe("he_normal"), "big": Recipe("normal", {"std": 5.0}), "zeros": Recipe("zeros")}
    for name, recipe in recipes.items():
        jobs.write_job(ModelsJob(name, recipe, LAYERS, ("relu", "relu"), SEEDS, 13, 2))
    diagnose.diagnose()
    for name in recipes:
        layers, models = measurements.read_measurements(name, SEEDS, 3, measure.COLUMNS)
        job = jobs.read_models_job(name)
        for index, seed in enumerate(SEEDS):
            expected = measure.measure(job.initial_parameters((seed,), X), X, Y, job.phi)
            for column, values in expected.models.items():
                np.testing.assert_array_equal(models[column][index], values[0])
            for column, values in expected.layers.items():
                np.testing.assert_array_equal(layers[column].reshape(3, 3)[index], values[0])


@pytest.mark.parametrize(
    ("largest", "memory", "sizes"),
    [
        (100, math.inf, [3]),
        (2, math.inf, [2, 1]),
        (100, 8 * 23 * (8 + 2 * 6) + 1, [2, 1]),  # of 23 weights, 8 copies of one model and 6 of each
        (100, 8 * 23 * 8, [1, 1, 1]),
        (0, 0.0, [1, 1, 1]),
    ],
)
def test_slices_have_at_most_so_many_models_and_bytes(largest: int, memory: float, sizes: list[int]) -> None:
    job = ModelsJob("he", Recipe("he_normal"), LAYERS, ("relu", "relu"), SEEDS, 13, 2)
    slices = diagnose.slices_of(job, largest, memory)
    assert [len(seeds) for _, seeds in slices] == sizes
    assert tuple(seed for _, seeds in slices for seed in seeds) == SEEDS
