"""The compiled arithmetic against the reference, bit for bit, and what may not change a bit."""

import pickle
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.datasets import circles
from pipeline.initializers import fixed_scale
from pipeline.networks import kernel, reference
from pipeline.networks.activations import ACTIVATIONS, Activation
from pipeline.networks.kernel_output import FEW, MANY
from pipeline.networks.losses import Loss
from pipeline.networks.parameters import Parameters
from pipeline.numerics.sums import LANES, Array
from pipeline.numerics.tiles import WIDE
from pipeline.training import gradient_descent
from tests.marks import slow
from tests.sampling import bits, sample_models

SAMPLES = [1, 7, 8, 9, 300, 1000]


def problem(widths: Sequence[int], m: int, n_models: int, std: float, seed: int = 0) -> tuple[Parameters, Array, Array]:
    """Models with weights and biases from N(0, sd^2), samples from N(0, 1), labels from a coin."""
    rng = np.random.RandomState(seed)
    models = [(std * rng.randn(n_models, n, k), std * rng.randn(n_models, n, 1)) for k, n in pairwise(widths)]
    return models, rng.randn(widths[0], m), rng.randint(0, 2, (1, m)).astype(float)


def descend(
    arithmetic, parameters: Parameters, S: reference.Samples, activations: list[Activation], rate: float, steps: int
):
    """The parameters after full-batch gradient descent by `network` or `kernel`."""
    return arithmetic.descend(
        reference.at_rest(parameters), [S], activations, reference.UpdateRule(rate), steps
    ).parameters


def assert_same_bits(parameters: Parameters, X: Array, Y: Array, activations: list[Activation], steps: int) -> None:
    S = reference.samples(X, Y)
    with np.errstate(all="ignore"):
        slow = descend(reference, parameters, S, activations, 0.1, steps)
        fast = descend(kernel, parameters, S, activations, 0.1, steps)
        assert all(np.isfinite(array).all() for layer in slow for array in layer)  # else there is little to compare
        assert bits(fast) == bits(slow)
        assert kernel.cost(fast, S, activations).tobytes() == reference.cost(slow, S, activations).tobytes()
        assert kernel.predict(fast, X, activations).tobytes() == reference.predict(slow, X, activations).tobytes()


@settings(max_examples=40, deadline=None)
@given(
    widths=st.lists(st.integers(1, 20), min_size=1, max_size=4),
    n_classes=st.integers(2, 12),
    m=st.integers(1, 90),
    batch_size=st.integers(1, 100),
    momentum=st.sampled_from([0.0, 0.5, 0.9]),
    n_models=st.integers(1, 3),
    seed=st.integers(0, 2**31),
)
def test_same_bits_with_classes_batches_and_momentum(
    widths: list[int], n_classes: int, m: int, batch_size: int, momentum: float, n_models: int, seed: int
) -> None:
    n_out = 1 if n_classes == 2 else n_classes
    parameters, X, _ = problem([*widths, n_out], m, n_models, 0.7, seed)
    Y = np.random.RandomState(seed).randint(0, n_classes, (1, m)).astype(float)
    activations = [ACTIVATIONS["relu"]] * (len(widths) - 1)
    slow, fast = (
        gradient_descent.train(
            parameters,
            X,
            Y,
            activations,
            learning_rate=0.1,
            momentum=momentum,
            batch_size=batch_size,
            seeds=range(n_models),
            record_at=[0, 3, 25],
            arithmetic=arithmetic,
            executor=ThreadPoolExecutor(1),
        )
        for arithmetic in (gradient_descent.REFERENCE, gradient_descent.COMPILED)
    )
    assert bits(fast.parameters) == bits(slow.parameters)
    assert fast.costs.tobytes() == slow.costs.tobytes()
    slow_p, fast_p = (a.predict(slow.parameters, X, activations) for a in (reference, kernel))
    assert fast_p.tobytes() == slow_p.tobytes()


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    ("m", "steps"), [(1, 100), (7, 100), (8, 100), (9, 100), (300, 20), (1000, 2), *slow((300, 200))]
)
def test_same_bits_as_the_reference(activation: str, m: int, steps: int) -> None:
    parameters, X, Y = problem([2, 10, 5, 1], m, 3, 1.0)
    assert_same_bits(parameters, X, Y, [ACTIVATIONS[activation]] * 2, steps)


@pytest.mark.parametrize("n_examples", [15, *slow(60)])
def test_same_bits_for_any_shape(n_examples: int) -> None:
    settings(max_examples=n_examples, deadline=None)(
        given(
            widths=st.lists(st.integers(1, 40), min_size=1, max_size=6),
            m=st.sampled_from(SAMPLES) | st.integers(1, 700),
            n_models=st.integers(1, 3),
            std=st.sampled_from([0.01, 1.0, 10.0]),
            names=st.lists(st.sampled_from(sorted(ACTIVATIONS)), min_size=5, max_size=5),
            seed=st.integers(0, 2**31),
        )(assert_same_bits_for_a_shape)
    )()


def assert_same_bits_for_a_shape(
    widths: list[int], m: int, n_models: int, std: float, names: list[str], seed: int
) -> None:
    parameters, X, Y = problem([*widths, 1], m, n_models, std / 2, seed)
    S, activations = reference.samples(X, Y), [ACTIVATIONS[name] for name in names[: len(widths) - 1]]
    with np.errstate(all="ignore"):  # some of these diverge, and whose nan it is depends on the processor
        slow, fast = (descend(a, parameters, S, activations, 0.01, 20) for a in (reference, kernel))
        costs = [
            gradient_descent.canonical_nan(a.cost(p, S, activations)) for a, p in ((reference, slow), (kernel, fast))
        ]
    slow, fast = ([tuple(map(gradient_descent.canonical_nan, layer)) for layer in p] for p in (slow, fast))
    assert bits(fast) == bits(slow)
    assert costs[0].tobytes() == costs[1].tobytes()


def test_same_bits_where_it_is_chaotic() -> None:
    """x10 on the tutorial's data: after 1,500 steps a difference of one ulp anywhere would have grown past 1e-6."""
    init = fixed_scale.normal(std=10.0)
    initial = sample_models(init, (2, 3, 7), [2, 10, 5, 1])
    activations, S = [ACTIVATIONS["relu"]] * 2, reference.samples(*circles(300, 0.05, 1))
    slow = descend(reference, initial, S, activations, 0.01, 1500)
    assert bits(descend(kernel, initial, S, activations, 0.01, 1500)) == bits(slow)

    perturbed = [(W.copy(), b.copy()) for W, b in initial]
    perturbed[0][0][:] = np.nextafter(perturbed[0][0], np.inf)
    moved = descend(kernel, perturbed, S, activations, 0.01, 1500)
    assert np.abs(moved[0][0] - slow[0][0]).max() > 1e-6


@pytest.mark.parametrize("n_out", [1, 2])
def test_slopes_of_relu_multiply_gradients_that_are_not_finite(n_out: int) -> None:
    """The gradient of A overflows, 1e200 * 1e200 per output; at the unit that is inactive, inf * 0 is NaN."""
    W_1, b_1 = np.ones((1, 3, 2)), np.array([[[-10.0], [1.0], [1.0]]])
    parameters = [(W_1, b_1), (np.full((1, n_out, 3), 1e200), np.zeros((1, n_out, 1)))]
    S = reference.samples(np.ones((2, 9)), np.zeros((n_out, 9)))
    with np.errstate(all="ignore"):
        start, rule = reference.at_rest(parameters), reference.UpdateRule(0.1)
        slow, fast = (
            gradient_descent.with_canonical_nan(
                a.descend(start, [S], [ACTIVATIONS["relu"]], rule, 1, Loss.SQUARED).parameters
            )
            for a in (reference, kernel)
        )
    assert np.isnan(fast[0][0][0, 0]).all()
    assert np.isneginf(fast[0][0][0, 1:]).all()
    assert bits(fast) == bits(slow)


def test_room_behind_arrays() -> None:
    """The compiled functions of single elements read and write at most SLACK doubles behind the end of an array."""
    assert kernel.SLACK >= WIDE
    assert kernel.SLACK >= LANES * max(FEW - 1, MANY - FEW - 1)  # MANY vectors are computed if more than FEW are left


@pytest.mark.parametrize("loss", [Loss.CROSS_ENTROPY, Loss.SQUARED])
def test_same_bits_for_one_output_and_any_number_of_blocks(loss: Loss) -> None:
    """The sigmoid is computed for MANY or FEW vectors at a time: up to three times MANY, and any rest."""
    for n_blocks in range(1, 3 * MANY + FEW + 2):
        parameters, X, Y = problem([2, 7, 1], LANES * n_blocks - n_blocks % LANES, 1, 1.0, seed=n_blocks)
        start, S = reference.at_rest(parameters), reference.samples(X, Y)
        slow, fast = (
            a.descend(start, [S], [ACTIVATIONS["relu"]], reference.UpdateRule(0.1), 2, loss).parameters
            for a in (reference, kernel)
        )
        assert bits(fast) == bits(slow)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_wide_and_deep_networks_and_many_chunks(activation: str) -> None:
    """More rows and columns than a tile, more blocks than a chunk, and no hidden layer at all."""
    for widths, m in [([30, 300, 7, 1], 40), ([2, *[6] * 30, 1], 50), ([3, 20, 1], 6000), ([5, 1], 6000)]:
        parameters, X, Y = problem(widths, m, 1, 0.3)
        assert_same_bits(parameters, X, Y, [ACTIVATIONS[activation]] * (len(widths) - 2), 3)


def test_the_number_of_models_beside_it_changes_no_bit() -> None:
    parameters, X, Y = problem([2, 10, 5, 1], 300, 5, 1.0)
    S, activations = reference.samples(X, Y), [ACTIVATIONS["relu"]] * 2
    together = descend(kernel, parameters, S, activations, 0.1, 50)
    for model in range(5):
        alone = [(W[model : model + 1], b[model : model + 1]) for W, b in parameters]
        expected = [(W[model : model + 1], b[model : model + 1]) for W, b in together]
        assert bits(descend(kernel, alone, S, activations, 0.1, 50)) == bits(expected)


def train(n_models: int = 7, **choices: object) -> gradient_descent.Trained:
    parameters, X, Y = problem([2, 10, 5, 1], 60, n_models, 3.0)
    activations = [ACTIVATIONS["relu"]] * 2
    return gradient_descent.train(parameters, X, Y, activations, learning_rate=0.1, record_at=[0, 5, 40], **choices)  # type: ignore[arg-type]


def test_threads_processes_and_their_order_change_no_bit() -> None:
    expected = train(arithmetic=gradient_descent.REFERENCE, executor=ThreadPoolExecutor(1))
    with ThreadPoolExecutor(7) as threads, ProcessPoolExecutor(2) as processes:
        for executor in (None, threads, processes):
            done: list[int] = []
            trained = train(executor=executor, progress=done.append)
            assert bits(trained.parameters) == bits(expected.parameters)
            assert trained.costs.tobytes() == expected.costs.tobytes()
            assert sum(done) == 7


def test_a_job_can_be_sent_away() -> None:
    parameters, X, Y = problem([2, 3, 1], 9, 2, 1.0)
    rule = reference.UpdateRule(0.1, 0.5)
    job = gradient_descent.Job(
        parameters, [0, 1], X, Y, [ACTIVATIONS["tanh"]], rule, 4, np.array([0, 3]), gradient_descent.COMPILED
    )
    here, there = gradient_descent.train_slice(job), gradient_descent.train_slice(pickle.loads(pickle.dumps(job)))
    assert bits(here.parameters) == bits(there.parameters)


def test_training_leaves_its_input_as_it_was() -> None:
    parameters, X, Y = problem([2, 4, 1], 20, 2, 1.0)
    before = bits(parameters), X.tobytes(), Y.tobytes()
    gradient_descent.train(parameters, X, Y, [ACTIVATIONS["relu"]], learning_rate=0.1, record_at=[5])
    assert (bits(parameters), X.tobytes(), Y.tobytes()) == before


def test_a_diverged_model_is_nan_in_one_way_only() -> None:
    parameters, X, Y = problem([2, 8, 1], 50, 1, 1e150)
    for arithmetic in (gradient_descent.REFERENCE, gradient_descent.COMPILED):
        trained = gradient_descent.train(
            parameters, X, Y, [ACTIVATIONS["relu"]], learning_rate=1e200, record_at=[0, 9], arithmetic=arithmetic
        )
        (W, _), _ = trained.parameters
        assert np.isnan(trained.costs[0, 1])
        assert np.isnan(W).any()
        assert set(W[np.isnan(W)].view(np.int64).tolist()) == {np.float64(np.nan).view(np.int64)}


def test_an_interruption_stops_the_threads_within_a_second() -> None:
    parameters, X, Y = problem([2, 64, 64, 1], 1000, 8, 0.1)
    activations = [ACTIVATIONS["relu"]] * 2
    train(1)  # compiled by now
    rule, records = reference.UpdateRule(0.1), np.array([10**9])
    job = gradient_descent.Job(parameters, range(8), X, Y, activations, rule, None, records, gradient_descent.COMPILED)
    stop = threading.Event()
    with ThreadPoolExecutor(2) as threads:
        futures = [threads.submit(gradient_descent.train_slice, job, stop) for _ in range(2)]
        time.sleep(0.3)
        start = time.monotonic()
        stop.set()
        for future in futures:
            assert type(future.exception()).__name__ == "CancelledError"
    assert time.monotonic() - start < 1.0


def test_arrays_end_in_zeros() -> None:
    """Computing with what memory held before, such as subnormal numbers, can take twice as long."""
    for _ in range(3):  # an array without values could be at a place that another one has left
        np.full(1000, 5e-324)
        array = kernel.aligned_zeros(3, 8)
        behind = np.lib.stride_tricks.as_strided(array, (array.size + kernel.SLACK,), (array.itemsize,))
        assert array.ctypes.data % 64 == 0
        assert not behind.any()
