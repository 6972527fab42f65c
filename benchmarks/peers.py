"""The tutorial's network and gradient descent, implemented in the style of each library.

A peer is prepared with initial parameters and data, and returns a function that trains from these for a number of steps
and returns the parameters. All compute in float64. Libraries that are not installed are skipped.
"""

import contextlib
import importlib.util
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from pipeline.networks import kernel, reference
from pipeline.networks.activations import ACTIVATIONS
from pipeline.networks.parameters import Parameters

RATE = 0.01


class Peer(NamedTuple):
    """An implementation: `prepare(models, X, Y)` returns `run(steps) -> models`; `needs` is the package it imports."""

    name: str
    n_models: int
    prepare: Callable[[Parameters, Any, Any], Callable[[int], Parameters]]
    needs: str = "numpy"


def compiled(models: Parameters, X: Any, Y: Any, name: str = "relu") -> Callable[[int], Parameters]:
    """The kernel of this project, with the activation of this name."""
    batch, activations = [reference.samples(X, Y)], [ACTIVATIONS[name]] * (len(models) - 1)
    start, rule = reference.at_rest(models), reference.UpdateRule(RATE)
    return lambda steps: kernel.descend(start, batch, activations, rule, steps).parameters


def as_in_the_seed(models: Parameters, X: Any, Y: Any) -> Callable[[int], Parameters]:
    """NumPy with `@`, `np.exp` and newly allocated arrays, as in the tutorial."""

    def run(steps: int) -> Parameters:
        (W1, b1), (W2, b2), (W3, b3) = [(W[0], b[0]) for W, b in models]
        m = X.shape[1]
        for _ in range(steps):
            Z1 = W1 @ X + b1
            A1 = np.maximum(0, Z1)
            Z2 = W2 @ A1 + b2
            A2 = np.maximum(0, Z2)
            A3 = 1 / (1 + np.exp(-(W3 @ A2 + b3)))
            dZ3 = 1.0 / m * (A3 - Y)
            dW3, db3 = dZ3 @ A2.T, np.sum(dZ3, axis=1, keepdims=True)
            dZ2 = (W3.T @ dZ3) * (A2 > 0)
            dW2, db2 = dZ2 @ A1.T, np.sum(dZ2, axis=1, keepdims=True)
            dZ1 = (W2.T @ dZ2) * (A1 > 0)
            dW1, db1 = dZ1 @ X.T, np.sum(dZ1, axis=1, keepdims=True)
            W1, b1 = W1 - RATE * dW1, b1 - RATE * db1
            W2, b2 = W2 - RATE * dW2, b2 - RATE * db2
            W3, b3 = W3 - RATE * dW3, b3 - RATE * db3
        return [(W[None], b[None]) for W, b in ((W1, b1), (W2, b2), (W3, b3))]

    return run


def stacked_numpy(models: Parameters, X: Any, Y: Any) -> Callable[[int], Parameters]:
    """NumPy for any number of layers and models: batched `@` and reused buffers, the fastest version found."""
    layers = [(W.copy(), b.copy()) for W, b in models]
    n_models, m = len(models[0][0]), X.shape[1]
    A = [np.broadcast_to(X, (n_models, *X.shape)), *(np.empty((n_models, W.shape[1], m)) for W, _ in models)]
    D = [np.empty_like(a) for a in A]

    def run(steps: int) -> Parameters:
        for (W, b), (W0, b0) in zip(layers, models, strict=True):
            W[...], b[...] = W0, b0
        for _ in range(steps):
            for l, (W, b) in enumerate(layers):
                Z = A[l + 1]
                np.matmul(W, A[l], out=Z)
                Z += b
                if l + 1 < len(layers):
                    np.maximum(Z, 0.0, out=Z)
            dZ = A[-1]
            np.negative(dZ, out=dZ)
            np.exp(dZ, out=dZ)
            dZ += 1.0
            np.reciprocal(dZ, out=dZ)
            dZ -= Y
            dZ /= m
            for l in range(len(layers) - 1, -1, -1):
                W, b = layers[l]
                dW, db = np.matmul(dZ, A[l].swapaxes(1, 2)), dZ.sum(axis=2, keepdims=True)
                if l > 0:
                    np.matmul(W.swapaxes(1, 2), dZ, out=D[l])
                    D[l] *= A[l] > 0
                    dZ = D[l]
                W -= RATE * dW
                b -= RATE * db
        return [(W.copy(), b.copy()) for W, b in layers]

    return run


def scikit_learn(models: Parameters, X: Any, Y: Any) -> Callable[[int], Parameters]:
    """MLPClassifier: full-batch gradient descent without penalty, momentum or early stopping."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    hidden = tuple(W.shape[1] for W, _ in models[:-1])
    samples, labels = np.ascontiguousarray(X.T), Y[0]
    settings = {
        "solver": "sgd",
        "alpha": 0.0,
        "learning_rate_init": RATE,
        "momentum": 0.0,
        "shuffle": False,
        "tol": 0.0,
    }
    settings |= {"nesterovs_momentum": False, "warm_start": True, "batch_size": len(labels), "n_iter_no_change": 10**9}
    classifier = MLPClassifier(hidden, max_iter=1, **settings)

    def run(steps: int) -> Parameters:
        with warnings.catch_warnings(category=ConvergenceWarning, action="ignore"):
            if not hasattr(classifier, "coefs_"):
                classifier.set_params(max_iter=1).fit(samples, labels)
            classifier.coefs_ = [W[0].T.copy() for W, _ in models]
            classifier.intercepts_ = [b[0, :, 0].copy() for _, b in models]
            classifier.n_iter_ = 0
            classifier.set_params(max_iter=steps).fit(samples, labels)
        return [
            (W.T[None].copy(), b[None, :, None].copy())
            for W, b in zip(classifier.coefs_, classifier.intercepts_, strict=True)
        ]

    return run


def pytorch(models: Parameters, X: Any, Y: Any) -> Callable[[int], Parameters]:
    """nn.Sequential of Linear and ReLU, BCEWithLogitsLoss and optim.SGD in eager mode, the usual style."""
    import torch

    torch.set_num_threads(1)
    layers: list[Any] = []
    for W, _ in models:
        layers += [torch.nn.Linear(W.shape[2], W.shape[1], dtype=torch.float64), torch.nn.ReLU()]
    net, loss = torch.nn.Sequential(*layers[:-1]), torch.nn.BCEWithLogitsLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=RATE)
    inputs, targets = torch.from_numpy(X.T.copy()), torch.from_numpy(Y.T.copy())

    def run(steps: int) -> Parameters:
        with torch.no_grad():
            for layer, (W, b) in zip(net[::2], models, strict=True):
                layer.weight.copy_(torch.from_numpy(W[0]))
                layer.bias.copy_(torch.from_numpy(b[0, :, 0]))
        for _ in range(steps):
            optimizer.zero_grad()
            loss(net(inputs), targets).backward()
            optimizer.step()
        return [
            (layer.weight.detach().numpy()[None].copy(), layer.bias.detach().numpy()[None, :, None].copy())
            for layer in net[::2]
        ]

    return run


def compiled_pytorch(models: Parameters, X: Any, Y: Any) -> Callable[[int], Parameters]:
    """One step as a function of the parameters with torch.func.grad and torch.compile, PyTorch's fastest version."""
    import torch

    torch.set_num_threads(1)
    inputs, targets = torch.from_numpy(X), torch.from_numpy(Y)

    def loss(layers: Any) -> Any:
        A = inputs
        for W, b in layers[:-1]:
            A = torch.relu(W @ A + b)
        W, b = layers[-1]
        return torch.nn.functional.binary_cross_entropy_with_logits(W @ A + b, targets)

    @torch.compile
    def step(layers: Any) -> Any:
        gradients = torch.func.grad(loss)(layers)
        return [(W - RATE * dW, b - RATE * db) for (W, b), (dW, db) in zip(layers, gradients, strict=True)]

    def run(steps: int) -> Parameters:
        layers = [(torch.from_numpy(W[0]), torch.from_numpy(b[0])) for W, b in models]
        with torch.no_grad():
            for _ in range(steps):
                layers = step(layers)
        return [(W.numpy()[None].copy(), b.numpy()[None].copy()) for W, b in layers]

    return run


def jax(batched: bool) -> Callable[[Parameters, Any, Any], Callable[[int], Parameters]]:
    """The gradient of the loss, steps in a lax.scan, all in one jit; if `batched`, with vmap over the models."""

    def prepare(models: Parameters, X: Any, Y: Any) -> Callable[[int], Parameters]:
        import jax
        import jax.numpy as jnp

        jax.config.update("jax_enable_x64", True)
        inputs, targets = jnp.asarray(X), jnp.asarray(Y)

        def loss(layers: Any) -> Any:
            A = inputs
            for W, b in layers[:-1]:
                A = jax.nn.relu(W @ A + b)
            W, b = layers[-1]
            Z = W @ A + b
            return jnp.mean(jax.nn.softplus(Z) - targets * Z)

        def descend(layers: Any, steps: int) -> Any:
            def step(layers: Any, _: None) -> tuple[Any, None]:
                return jax.tree.map(lambda p, g: p - RATE * g, layers, jax.grad(loss)(layers)), None

            return jax.lax.scan(step, layers, length=steps)[0]

        together = jax.vmap(descend, in_axes=(0, None)) if batched else descend
        train = jax.jit(together, static_argnums=1)
        start = [
            (jnp.asarray(W), jnp.asarray(b)) if batched else (jnp.asarray(W[0]), jnp.asarray(b[0])) for W, b in models
        ]

        def run(steps: int) -> Parameters:
            done = jax.block_until_ready(train(start, steps))
            made = [(np.asarray(W), np.asarray(b)) for W, b in done]
            return made if batched else [(W[None], b[None]) for W, b in made]

        return run

    return prepare


PEERS = (
    Peer("this kernel", 1, compiled),
    Peer("this kernel, 40 models", 40, compiled),
    Peer("NumPy, as in the tutorial", 1, as_in_the_seed),
    Peer("NumPy, buffers reused, 40 models", 40, stacked_numpy),
    Peer("scikit-learn MLPClassifier", 1, scikit_learn, "sklearn"),
    Peer("PyTorch, eager", 1, pytorch, "torch"),
    Peer("PyTorch, torch.compile", 1, compiled_pytorch, "torch"),
    Peer("JAX, jit of a scan", 1, jax(batched=False), "jax"),
    Peer("JAX, vmap over 40 models", 40, jax(batched=True), "jax"),
)


def installed() -> Iterator[Peer]:
    """The peers whose library is installed."""
    for peer in PEERS:
        with contextlib.suppress(ImportError):
            if importlib.util.find_spec(peer.needs):
                yield peer
