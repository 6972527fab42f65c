"""Measurements of a stack of models, as columns of tables; the bits are the same on every processor."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.diagnostics import sharpness, signals, spectra, symmetry
from pipeline.networks.activations import Activation
from pipeline.networks.parameters import Parameters
from pipeline.networks.probes import N_JACOBIANS, orthogonal_inputs
from pipeline.numerics.sums import Array, lane_sum, pad


class Measurements(NamedTuple):
    """The columns of layers.csv and models.csv, and the arrays of units.npz, of a stack of models."""

    layers: dict[str, NDArray[Any]]  # each (models, L)
    models: dict[str, NDArray[Any]]  # each (models,)
    Z_counts: NDArray[np.int64]  # (models, L, bins), histograms of the pre-activations
    A_counts: NDArray[np.int64]  # (models, L - 1, bins), histograms of the activations
    dead: list[NDArray[np.bool_]]  # (models, n_l) of each hidden layer: the units with slope 0 at every sample


@np.errstate(all="ignore")
def measure(parameters: Parameters, X: Array, Y: Array, activations: Sequence[Activation]) -> Measurements:
    """The measurements of a stack of models on the inputs X (n_0, m) and the class numbers Y (1, m).

    Undefined entries are nan: activations of the last layer, and angles in layers of one unit.
    """
    S = signals.signals(parameters, X, Y, activations)
    singular = spectra.jacobians(parameters, X[:, :N_JACOBIANS], activations).hidden
    stretch = _mean(lane_sum(pad(singular * singular)) / len(X))
    steps = [_descent(part, X, Y, activations) for part in signals.pieces(parameters, X.shape[1])]
    sharp, centered = (np.concatenate(values) for values in zip(*steps, strict=True))
    models = {
        "initial_cost": S.cost,
        "sharpness": sharp,
        "centered_gradient": centered,
        "weight_norm": sharpness.weight_norm(parameters),
        "blocked_inputs": S.blocked_inputs,
        "log_growth": S.log_growth,
        "jacobian_mean_square": spectra.rounded(stretch),
        "jacobian_largest": spectra.rounded(_mean(singular[..., 0])),
        "jacobian_smallest": spectra.rounded(_mean(singular[..., -1])),
    }
    return Measurements(_layer_columns(S, parameters, X, activations), models, S.Z_counts, S.A_counts, S.dead)


@np.errstate(all="ignore")
def measure_layers(
    parameters: Parameters, X: Array, Y: Array, activations: Sequence[Activation]
) -> dict[str, NDArray[Any]]:
    """The `layers` of `measure`, each (models, L), without the cost of the other measurements."""
    return _layer_columns(signals.signals(parameters, X, Y, activations), parameters, X, activations)


def _layer_columns(
    S: signals.Signals, parameters: Parameters, X: Array, activations: Sequence[Activation]
) -> dict[str, NDArray[Any]]:
    """The columns of layers.csv, each (models, L), from the signals on the inputs X (n_0, m)."""
    n_models = len(S.cost)
    unique = symmetry.symmetry(parameters)
    weights, biases = ([signals.moments(layer[i]) for layer in parameters] for i in range(2))

    def hidden(values: NDArray[Any], last: Any) -> NDArray[Any]:
        return np.concatenate([values, np.broadcast_to(last, (n_models, 1))], axis=1)

    return {
        "units": np.tile([len(W[0]) for W, _ in parameters], (n_models, 1)),
        "weight_mean": np.stack([W.mean for W in weights], axis=1),
        "weight_mean_square": np.stack([W.second for W in weights], axis=1),
        "bias_mean": np.stack([b.mean for b in biases], axis=1),
        "bias_mean_square": np.stack([b.second for b in biases], axis=1),
        "preactivation_mean": S.Z.mean,
        "preactivation_std": S.Z.std,
        "preactivation_mean_square": S.Z.second,
        "activation_mean": hidden(S.A.mean, np.nan),
        "activation_std": hidden(S.A.std, np.nan),
        "activation_mean_square": hidden(S.A.second, np.nan),
        "preactivation_gradient_rms": S.dZ,
        "weight_gradient_rms": S.dW,
        "saturated": hidden(S.saturated, S.saturated_outputs[:, None]),
        "dead": hidden(np.array([units.sum(axis=1) for units in S.dead]).reshape(-1, n_models).T.astype(np.int64), 0),
        "unique_activations": S.unique_activations,
        "unique_incoming": unique.unique_incoming,
        "unique_incoming_outgoing": unique.unique_incoming_outgoing,
        "largest_cosine": unique.largest_cosine,
        "full_rank": np.tile([min(W.shape[1:]) for W, _ in parameters], (n_models, 1)),
        "effective_rank": spectra.rounded(spectra.effective_ranks(parameters)),
        "correlation": signals.correlations(parameters, *orthogonal_inputs(X), activations),
    }


def _descent(parameters: Parameters, X: Array, Y: Array, activations: Sequence[Activation]) -> tuple[Array, Array]:
    """The sharpness and the norm of the centered gradient, each (models,)."""
    Z, A = signals.forward(parameters, X, activations)
    return (
        sharpness.sharpness(parameters, Z, A, activations),
        sharpness.centered_gradient(parameters, Z, A, Y, activations),
    )


def concatenate(parts: Sequence[Measurements]) -> Measurements:
    """The measurements of several stacks of models, in their order, as those of one stack."""
    layers = {name: np.concatenate([part.layers[name] for part in parts]) for name in parts[0].layers}
    models = {name: np.concatenate([part.models[name] for part in parts]) for name in parts[0].models}
    Z_counts = np.concatenate([part.Z_counts for part in parts])
    A_counts = np.concatenate([part.A_counts for part in parts])
    dead = [np.concatenate(units) for units in zip(*(part.dead for part in parts), strict=True)]
    return Measurements(layers, models, Z_counts, A_counts, dead)


def _mean(values: Array) -> Array:
    """The mean over the samples, (models,), of values (models, m)."""
    return np.asarray(lane_sum(pad(values)) / values.shape[1])
