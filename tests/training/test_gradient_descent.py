"""The tutorial's experiment against the numbers that others published, and what theory says must hold."""

import csv
import math
import os
import pickle
import shutil
import subprocess
import sys
import tracemalloc
import warnings
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from pipeline.datasets import DATASETS, circles
from pipeline.diagnostics import symmetry
from pipeline.initializers import fan_scaling, fixed_scale, registry
from pipeline.networks import parameters, reference
from pipeline.networks.activations import ACTIVATIONS
from pipeline.training import executors, gradient_descent
from tests.marks import slow
from tests.sampling import initialize_parameters, sample_models

PUBLISHED = Path(__file__).parents[2] / "replications" / "tutorial" / "cost_curves.csv"
LAYERS = [2, 10, 5, 1]
RELU = [ACTIVATIONS["relu"]] * 2
HE = fan_scaling.he_normal()
X, Y = circles(300, 0.05, 1)
TEST_X, TEST_Y = circles(100, 0.05, 2)


def published(name: str) -> dict[int, float]:
    with PUBLISHED.open() as file:
        rows = [row for row in csv.DictReader(file) if row["initializer"] == name and row["cost_median"]]
    return {int(row["iteration"]): float(row["cost_median"]) for row in rows}


def run(init: registry.Initializer, iterations: int = 15000) -> gradient_descent.Trained:
    initial = sample_models(init)
    return gradient_descent.train(initial, X, Y, RELU, learning_rate=0.01, record_at=range(0, iterations + 1, 1000))


def accuracies(trained: gradient_descent.Trained) -> tuple[float, float]:
    return tuple(
        reference.accuracy(reference.predict(trained.parameters, inputs, RELU), labels)[0]
        for inputs, labels in ((X, Y), (TEST_X, TEST_Y))
    )


def test_he_gives_the_published_costs_and_accuracies() -> None:
    trained = run(HE)
    costs = dict(zip(range(0, 15001, 1000), trained.costs[0].tolist(), strict=True))
    facts = published("he")
    assert len(facts) == 15
    assert {i: costs[i] for i in facts} == pytest.approx(facts, abs=1e-12, rel=0)
    assert accuracies(trained) == (298 / 300, 0.96)


def test_x10_gives_the_published_costs_as_far_as_chaos_lets_it() -> None:
    trained = run(fixed_scale.normal(std=10.0))
    costs = dict(zip(range(0, 15001, 1000), trained.costs[0].tolist(), strict=True))
    facts = published("random_x10")
    assert len(facts) == 14
    for iteration, cost in facts.items():
        # published curves lie up to 0.0097 apart, at iteration 7000
        assert costs[iteration] == pytest.approx(cost, abs=0.02 if iteration == 7000 else 0.003)
    assert costs[0] == pytest.approx(1773.585954937, abs=1e-9)
    assert accuracies(trained) == (0.83, 0.86)


def test_zeros_never_move() -> None:
    trained = run(fixed_scale.zeros(), 2000)
    np.testing.assert_allclose(trained.costs, math.log(2), rtol=0, atol=1e-15)
    assert accuracies(trained) == (0.5, 0.5)
    assert all(not W.any() for W, _ in trained.parameters)


def test_constant_units_never_differ_and_yet_learn() -> None:
    trained = run(fixed_scale.constant(value=0.5), 3000)
    (W1, _), (W2, _), _ = trained.parameters
    assert (W1 == W1[:, :1]).all()
    assert (W2 == W2[:, :1, :1]).all()
    assert np.linalg.matrix_rank(W2[0]) == 1
    assert W1[0, 0, 0] != 0.5
    assert trained.costs[0, -1] < trained.costs[0, 0]
    assert (np.diff(trained.costs[0]) < 0).all()
    assert symmetry.unique_units(trained.parameters).tolist() == [1]


def test_recording_more_often_changes_nothing_else() -> None:
    initial = sample_models(HE, [0])
    often, seldom = (
        gradient_descent.train(initial, X, Y, RELU, learning_rate=0.1, record_at=records)
        for records in ([0, 7, 8, 60], [60])
    )
    assert all(
        a.tobytes() == b.tobytes()
        for x, y in zip(*(t.parameters for t in (often, seldom)), strict=True)
        for a, b in zip(x, y, strict=True)
    )
    assert often.costs[0, -1] == seldom.costs[0, -1]


def test_every_epoch_takes_every_sample_once_in_an_order_of_its_own() -> None:
    points, labels = np.arange(10.0)[None], np.zeros((1, 10))
    stream = gradient_descent.shuffled_batches(points, labels, 4, seed=3)
    epochs = [[next(stream) for _ in range(3)] for _ in range(3)]
    orders = []
    for epoch in epochs:
        sizes = [np.count_nonzero(batch.weight) for batch in epoch]
        assert sizes == [4, 4, 2]
        assert [float(batch.weight[0]) for batch in epoch] == [0.25, 0.25, 0.5]
        orders.append(np.concatenate([batch.X[0, :size] for batch, size in zip(epoch, sizes, strict=True)]).tolist())
        assert sorted(orders[-1]) == list(range(10))
    assert orders[0] != orders[1] != orders[2]
    again = gradient_descent.shuffled_batches(points, labels, 4, seed=3)
    assert [next(again).X.tobytes() for _ in range(3)] == [batch.X.tobytes() for batch in epochs[0]]
    other = gradient_descent.shuffled_batches(points, labels, 4, seed=4)
    assert next(other).X.tobytes() != epochs[0][0].X.tobytes()


class Counting(Executor):
    """Works at once, and counts the models."""

    n_models = 0

    def submit(self, work: Any, /, job: gradient_descent.Job) -> Future:
        self.n_models += len(job.seeds) or len(job.parameters[0][0])
        done: Future = Future()
        done.set_result(work(job))
        return done


class Slices(Counting):
    """Works at once, and keeps the number of models of each slice and the memory that it took, in bytes."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.peaks: list[int] = []

    def submit(self, work: Any, /, job: gradient_descent.Job) -> Future:
        self.sizes.append(len(job.parameters[0][0]))
        call = pickle.dumps((work, job), 5)
        tracemalloc.start()
        work, job = pickle.loads(call)  # as on a worker
        done: Future = Future()
        done.set_result(work(job))
        pickle.dumps(done.result(), 5)
        self.peaks.append(len(call) + tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        return done


# 20 models, 4 slices per worker unless fewer models fit into the memory of a slice; as equal as possible
@pytest.mark.parametrize(
    ("n_workers", "models_at_once", "sizes"),
    [(1, None, [5] * 4), (2, None, [2, 3] * 4), (5, None, [1] * 20), (1, 3, [2] + [3] * 6), (1, 0, [1] * 20)],
)
def test_slices_follow_the_workers_and_their_memory(
    n_workers: int, models_at_once: int | None, sizes: list[int]
) -> None:
    initial, executor = sample_models(HE, range(20)), Slices()
    one = 8 * (3 * 10 + 11 * 5 + 6)  # bytes of the weights and biases of a model
    memory = math.inf
    if models_at_once is not None:
        memory = one * (gradient_descent.WORK_COPIES + models_at_once * gradient_descent.COPIES + 1)
    given = {"learning_rate": 0.1, "record_at": [0, 2], "n_workers": n_workers, "memory": memory}
    gradient_descent.train(initial, X, Y, RELU, executor=executor, **given)
    assert executor.sizes == sizes


@pytest.mark.parametrize(
    ("momentum", "batch_size", "keep"), [(0.9, None, True), *slow((0.0, None, False), (0.9, 20, False))]
)
def test_a_slice_takes_at_most_the_memory_that_it_may(momentum: float, batch_size: int | None, keep: bool) -> None:
    """Measured by tracemalloc, to which NumPy reports its arrays; the samples take another 100 kB, the code 300 kB."""
    dims, samples = [64, 200, 200, 10], np.random.RandomState(0)
    points, labels = samples.randn(64, 40), samples.randint(0, 10, (1, 40)).astype(float)
    initial, executor = sample_models(HE, range(40), dims), Slices()
    memory = 8 * 60 * (65 * 200 + 201 * 200 + 201 * 10)  # 60 copies of the weights of a model
    given = {"learning_rate": 0.1, "momentum": momentum, "batch_size": batch_size, "record_at": [0, 1, 2], "keep": keep}
    gradient_descent.train(
        initial, points, labels, RELU, seeds=range(40), executor=executor, n_workers=1, memory=memory, **given
    )
    assert sum(executor.sizes) == 40
    assert max(executor.sizes) < 10  # 4 slices
    assert max(executor.peaks) < memory + 400_000


def test_each_thread_trains_two_slices() -> None:
    reported: list[int] = []
    gradient_descent.train(
        sample_models(HE, range(9)),
        X,
        Y,
        RELU,
        learning_rate=0.01,
        record_at=[0],
        n_workers=2,
        progress=reported.append,
    )
    assert sorted(reported) == [0, 2, 2, 2, 3]  # no model has an equal; four slices


@pytest.mark.parametrize(("batch_size", "trained_models"), [(None, 3), (100, 5)])
def test_models_born_alike_are_trained_once_unless_their_shuffles_differ(
    batch_size: int | None, trained_models: int
) -> None:
    he, zeros = (initialize_parameters(init, 0, LAYERS) for init in (HE, fixed_scale.zeros()))
    other = [(W.copy(), b.copy()) for W, b in zeros]
    other[0][0][0, 0] = -0.0  # equal to 0, in other bits
    initial = parameters.stack([zeros, he, zeros, other, he])
    seeds, executor, reported = [5, 6, 7, 8, 9], Counting(), []
    given = {"learning_rate": 0.1, "record_at": [0, 30], "batch_size": batch_size}
    trained = gradient_descent.train(
        initial, X, Y, RELU, seeds=seeds, executor=executor, progress=reported.append, keep=True, **given
    )
    assert executor.n_models == trained_models
    assert sum(reported) == 5
    for i, seed in enumerate(seeds):
        alone = gradient_descent.train([(W[[i]], b[[i]]) for W, b in initial], X, Y, RELU, seeds=[seed], **given)
        assert trained.costs[i].tobytes() == alone.costs[0].tobytes()
        for stacked in (trained.parameters, trained.snapshots[-1]):
            for (W, b), (W_alone, b_alone) in zip(stacked, alone.parameters, strict=True):
                assert W[i].tobytes() + b[i].tobytes() == W_alone.tobytes() + b_alone.tobytes()


def test_a_batch_of_everything_is_the_full_batch() -> None:
    initial = sample_models(HE, [0])
    full, whole = (
        gradient_descent.train(initial, X, Y, RELU, learning_rate=0.1, record_at=[0, 30], batch_size=size, seeds=[0])
        for size in (None, 300)
    )
    assert full.costs.tobytes() == whole.costs.tobytes()


def test_small_batches_learn_the_circles_faster() -> None:
    initial = sample_models(HE)
    costs = [
        gradient_descent.train(
            initial, X, Y, RELU, learning_rate=0.1, momentum=momentum, batch_size=30, seeds=[3], record_at=[3000]
        )
        for momentum in (0.0, 0.9)
    ]
    assert costs[0].costs[0, 0] < 0.1  # the full batch with rate 0.01 takes 12,000 steps to get there
    assert costs[1].costs[0, 0] < costs[0].costs[0, 0]


@pytest.mark.slow
def test_digits_are_learned_as_well_as_by_scikit_learn() -> None:
    """He, 100 hidden units, the same batches, rate and momentum, on one split: 97 % of the test samples and no less."""
    (points, labels), (test_points, test_labels) = DATASETS["digits"].split(1400, 397, 0.0, 1, 2)
    relu, seeds = [ACTIVATIONS["relu"]], range(5)
    initial = sample_models(HE, seeds, [64, 100, 10])
    trained = gradient_descent.train(
        initial, points, labels, relu, learning_rate=0.1, momentum=0.9, batch_size=50, seeds=seeds, record_at=[0, 3000]
    )
    shares = reference.accuracy(reference.predict(trained.parameters, test_points, relu), test_labels)
    assert shares.mean() > 0.97
    assert trained.costs[:, 0] == pytest.approx(math.log(10), abs=1.0)  # ten classes, nothing known yet
    classifier = MLPClassifier(
        (100,), solver="sgd", learning_rate_init=0.1, momentum=0.9, nesterovs_momentum=False, batch_size=50, alpha=0.0
    )
    with warnings.catch_warnings(category=ConvergenceWarning, action="ignore"):
        classifier.set_params(max_iter=100, random_state=0, tol=0.0, n_iter_no_change=100)
        theirs = classifier.fit(points.T, labels[0]).score(test_points.T, test_labels[0])
    # five standard errors of a share of 97 % of 397 samples
    assert shares.mean() == pytest.approx(theirs, abs=5 * math.sqrt(0.97 * 0.03 / 397))


# ---------------------------------------------------------------------------------------------------------------------
# How many threads


def test_one_thread_for_each_cpu_that_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []

    class Threads(gradient_descent.ThreadPoolExecutor):
        def __init__(self, max_workers: int) -> None:
            started.append(max_workers)
            super().__init__(max_workers)

    monkeypatch.setattr(gradient_descent, "ThreadPoolExecutor", Threads)
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    run(HE, 0)
    assert started == [1]


@pytest.mark.parametrize("limit", ["0", "1", "1000"])
def test_the_number_of_workers_is_that_of_joblib(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", limit)
    assert executors.n_cores() == joblib.cpu_count()


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "150000 100000\n"}, 2),  # rounded up
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu.max": "unreadable\n"}, None),
        ({}, None),
    ],
)
def test_quotas_of_control_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], expected: int | None
) -> None:
    """As in the kernel's documentation: cgroup-v2 (cpu.max) and sched-bwc (cfs_quota_us)."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(executors, "CONTROL_GROUPS", tmp_path)
    assert executors.quota() == expected


COUNT = "from pipeline.training.executors import n_cores; print(n_cores())"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="an affinity can be set on Linux alone")
def test_the_affinity_of_the_process_is_respected() -> None:
    cpu = min(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, [{cpu}]); {COUNT}"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "1\n"


@pytest.mark.parametrize(
    "limit",
    [
        "echo '100000 100000' > cpu.max",
        "mkdir cpu; echo 100000 > cpu/cpu.cfs_quota_us; echo 100000 > cpu/cpu.cfs_period_us",
    ],
    ids=["version 2", "version 1"],
)
def test_the_quota_of_a_container_is_respected(limit: str) -> None:
    """The files of a control group that allows one CPU, in a mount namespace of its own."""
    unshare = ["unshare", "--mount", "sh", "-ec", f"mount -t tmpfs tmpfs /sys/fs/cgroup; cd /sys/fs/cgroup; {limit}"]
    if not shutil.which("unshare") or subprocess.run(unshare, capture_output=True).returncode:
        pytest.skip("only root may mount, and not in every container")
    unshare[-1] += f'; cd "$1"; "$2" -c "{COUNT}"'
    command = [*unshare, "sh", str(Path(__file__).parents[2]), sys.executable]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "1\n"
    if executors.n_cores() == 1:
        pytest.skip("this machine has one CPU: the quota changes nothing")
