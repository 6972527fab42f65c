"""The label of a dense network by measurements on a batch of data."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.audit.results import LayerAudit
from pipeline.diagnostics.classes import class_counts
from pipeline.diagnostics.labels import RATES, Label, Plan, label_model
from pipeline.diagnostics.measure import LAYER_QUANTITIES, MODEL_QUANTITIES, Stack
from pipeline.errors import UserError
from pipeline.networks.activations import Activation
from pipeline.numerics import random
from pipeline.numerics.matmul import product
from pipeline.numerics.sums import Array, lane_sum, pad

LARGE = 100.0  # mean square of inputs above which, or below the inverse, a fault may be that of the inputs
MOST_SAMPLES = 200  # that are measured, as in the validation of the labels
OF_LAYERS = ["units", "unique_incoming_outgoing", "dead", "saturated", "correlation"]
OF_LAYERS += ["preactivation_mean_square", "weight_mean_square", "weight_gradient_rms"]
OF_MODELS = ["initial_cost", "blocked_inputs", "sharpness", "centered_gradient", "weight_norm"]


class Measured(NamedTuple):
    """The label of a network by its measurements, and for each layer the mean squares of pre-activations and gradients.

    Gradients are those by the pre-activations, relative to the last layer.
    """

    label: Label
    signal: list[float]
    gradient: list[float]


@np.errstate(all="ignore")
def measured_label(audits: Sequence[LayerAudit], activations: Sequence[Activation], data: Any, steps: int) -> Measured:
    """The label by the rules of `diagnostics.labels`, on at most MOST_SAMPLES samples of a batch.

    Without class numbers, samples are assigned to the classes by random projections of the inputs. Raises UserError as
    `as_batch` does.
    """
    n_out = audits[-1].layer.units
    X, Y = as_batch(data, audits[0].layer.fan_in, n_out)
    layers = [audit.layer for audit in audits]
    parameters = [(np.asarray(each.matrix(), np.float64)[None], each.biases()[None, :, None]) for each in layers]
    of_data = Y is not None
    chosen = np.arange(min(MOST_SAMPLES, len(X))) * len(X) // min(MOST_SAMPLES, len(X))
    X = np.ascontiguousarray(X[chosen].T)
    classes = np.asarray(Y, dtype=np.float64)[chosen] if of_data else projected_classes(X, max(2, n_out))
    S = Stack(parameters, X, classes[None], activations)
    of_layers: Any = LAYER_QUANTITIES
    of_models: Any = MODEL_QUANTITIES
    model: dict[str, Any] = {name: of_layers[name].measured(S)[0].tolist() for name in OF_LAYERS}
    model |= {name: float(of_models[name].measured(S)[0]) for name in OF_MODELS}
    label = label_model(model, Plan(1.0, steps, class_counts(classes[None]).entropy))
    if label.name in RATES:
        label = Label("healthy", "")
    elif not of_data:
        label = Label(label.name, f"{label.reason}, with classes assigned at random because the batch has none")
    square = float(lane_sum(pad(X.ravel() * X.ravel()))) / X.size
    if label.name != "healthy" and not 1.0 / LARGE <= square <= LARGE:
        label = Label(label.name, f"{label.reason}, with inputs of mean square {square:.2g}: standardize them")
    gradients = S.signals.dZ[0]
    gradient = gradients * gradients / (gradients[-1] * gradients[-1])
    return Measured(label, S.signals.Z.second[0].tolist(), gradient.tolist())


def as_batch(data: Any, n_inputs: int, n_out: int) -> tuple[Array, NDArray[Any] | None]:
    """Inputs (m, n_inputs) and class numbers (m,), or None, from what `model.batch` returns.

    Raises UserError if they do not fit a network of so many inputs and outputs.
    """
    X, Y = data if isinstance(data, tuple) else (data, None)
    if X.ndim != 2 or X.shape[1] != n_inputs:
        what = f"an array of {X.dtype} of shape {X.shape}"
        raise UserError(
            f"data: X is {what}; it must be numbers of shape (samples, {n_inputs}), the inputs of the network."
        )
    if Y is None:
        return X, None
    Y = np.asarray(Y).reshape(-1) if np.asarray(Y).size == len(X) else np.asarray(Y)
    highest = max(2, n_out) - 1
    if Y.shape != (len(X),) or Y.dtype.kind not in "fiub" or not np.isin(Y, np.arange(highest + 1)).all():
        raise UserError(f"data: Y must be {len(X)} class numbers from 0 to {highest}, one for each row of X.")
    return X, Y


def projected_classes(X: Array, n_classes: int) -> Array:
    """Class numbers (m,): the largest of n_classes random projections of the centered inputs (n_0, m)."""
    V = random.normal(np.random.RandomState(0), (n_classes, len(X)))
    Z = product(V[None], X)[0]
    middle = np.sort(Z, axis=1)[:, Z.shape[1] // 2]
    classes: Array = np.argmax(Z - middle[:, None], axis=0).astype(np.float64)
    return classes
