"""Measurements of a stack of models, as columns of tables; the bits are the same on every processor.

LAYER_QUANTITIES and MODEL_QUANTITIES list them. The columns of the files in diagnostics/, the rows of
reports/initialization.csv and the list in reports/initialization.md follow from these tables.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.diagnostics import sharpness, signals, spectra, symmetry
from pipeline.diagnostics.signals import LayerMoments, Signals
from pipeline.diagnostics.symmetry import Symmetry
from pipeline.networks.activations import Activation
from pipeline.networks.parameters import Parameters
from pipeline.networks.probes import N_JACOBIANS, orthogonal_inputs
from pipeline.numerics.sums import Array, lane_sum, pad


@dataclass(frozen=True)
class Stack:
    """A stack of models and its samples; what several quantities are computed from is computed when first used."""

    parameters: Parameters
    X: Array  # (n_0, m)
    Y: Array  # (1, m)
    activations: Sequence[Activation]

    @cached_property
    def signals(self) -> Signals:
        """Signals and gradients of all layers."""
        return signals.signals(self.parameters, self.X, self.Y, self.activations)

    @cached_property
    def weights(self) -> list[LayerMoments]:
        """Moments of the weights of each layer, each field (models,)."""
        return [signals.layer_moments(W) for W, _ in self.parameters]

    @cached_property
    def biases(self) -> list[LayerMoments]:
        """Moments of the biases of each layer, each field (models,)."""
        return [signals.layer_moments(b) for _, b in self.parameters]

    @cached_property
    def symmetry(self) -> Symmetry:
        """Numbers of distinct units."""
        return symmetry.symmetry(self.parameters)

    @cached_property
    def singular(self) -> Array:
        """Singular values of the Jacobian of the last hidden layer, in falling order: (models, samples, k)."""
        return spectra.jacobians(self.parameters, self.X[:, :N_JACOBIANS], self.activations)

    @cached_property
    def descent(self) -> tuple[Array, Array]:
        """The sharpness and the norm of the centered gradient, each (models,)."""
        parts = [
            _descent(part, self.X, self.Y, self.activations)
            for part in signals.pieces(self.parameters, self.X.shape[1])
        ]
        sharp, centered = (np.concatenate(values) for values in zip(*parts, strict=True))
        return sharp, centered


class Quantity(NamedTuple):
    """A quantity of each layer or model."""

    meaning: str
    measured: (
        Callable[[Stack], NDArray[Any]] | None
    )  # (models, L) or (models,); None: `analysis` computes it from others
    unit: str = ""  # "share" is shown in percent
    dtype: type = float  # of the column in layers.csv or models.csv
    reported: bool = True  # whether initialization.csv has it


# In the order of the columns, and of the rows of initialization.csv. Undefined entries are nan: activations of the last
# layer, and angles in layers of one unit.
LAYER_QUANTITIES = {
    "units": Quantity("number of units", lambda S: _each(S, lambda W: len(W[0])), "units", int),
    "weight_mean": Quantity("mean of the weights", lambda S: _stacked(W.mean for W in S.weights)),
    "weight_mean_square": Quantity("mean square of the weights", lambda S: _stacked(W.second for W in S.weights)),
    "bias_mean": Quantity("mean of the biases", lambda S: _stacked(b.mean for b in S.biases)),
    "bias_mean_square": Quantity("mean square of the biases", lambda S: _stacked(b.second for b in S.biases)),
    "preactivation_mean": Quantity("mean of the pre-activations", lambda S: S.signals.Z.mean),
    "preactivation_std": Quantity("standard deviation of the pre-activations", lambda S: S.signals.Z.std),
    "preactivation_mean_square": Quantity("mean square of the pre-activations", lambda S: S.signals.Z.second),
    "activation_mean": Quantity("mean of the activations", lambda S: _hidden(S.signals.A.mean, np.nan)),
    "activation_std": Quantity("standard deviation of the activations", lambda S: _hidden(S.signals.A.std, np.nan)),
    "activation_mean_square": Quantity("mean square of the activations", lambda S: _hidden(S.signals.A.second, np.nan)),
    "preactivation_gradient_rms": Quantity(
        "root mean square of the derivative of the cost with respect to the pre-activations", lambda S: S.signals.dZ
    ),
    "gradient_ratio": Quantity("square of preactivation_gradient_rms over that of the last layer", None),
    "weight_gradient_rms": Quantity("root mean square of the gradient of the weights", lambda S: S.signals.dW),
    "saturated": Quantity(
        "saturated units, over units and samples; saturated outputs in the last layer",
        lambda S: _hidden(S.signals.saturated, S.signals.saturated_outputs[:, None]),
        "share",
    ),
    "dead": Quantity(
        "number of units whose slope is 0 at every sample",
        lambda S: _hidden(
            np.array([units.sum(axis=1) for units in S.signals.dead])
            .reshape(-1, len(S.signals.cost))
            .T.astype(np.int64),
            0,
        ),
        "units",
        int,
    ),
    "dead_for_all": Quantity("number of units that are dead for every seed", None, "units"),
    "unique_activations": Quantity(
        "number of distinct units by their activations at all samples",
        lambda S: S.signals.unique_activations,
        "units",
        int,
    ),
    "unique_incoming": Quantity(
        "number of distinct units by their incoming weights and biases",
        lambda S: S.symmetry.unique_incoming,
        "units",
        int,
    ),
    "unique_incoming_outgoing": Quantity(
        "number of distinct units by their incoming weights, biases and outgoing weights",
        lambda S: S.symmetry.unique_incoming_outgoing,
        "units",
        int,
    ),
    "largest_cosine": Quantity(
        "largest absolute cosine between the incoming weights of two units", lambda S: S.symmetry.largest_cosine
    ),
    "full_rank": Quantity(
        "smaller dimension of the weights", lambda S: _each(S, lambda W: min(W.shape[1:])), dtype=int, reported=False
    ),
    "effective_rank": Quantity(
        "effective rank of the weights", lambda S: spectra.rounded(spectra.effective_ranks(S.parameters))
    ),
    "correlation": Quantity(
        "correlation of the pre-activations of two orthogonal inputs",
        lambda S: signals.correlations(S.parameters, *orthogonal_inputs(S.X), S.activations),
    ),
}
MODEL_QUANTITIES = {
    "initial_cost": Quantity("initial cost", lambda S: S.signals.cost, "nats"),
    "sharpness": Quantity(
        "largest eigenvalue of the Gauss-Newton matrix of the cost, all classes taken as equally probable",
        lambda S: S.descent[0],
    ),
    "centered_gradient": Quantity(
        "norm of the gradient of the cost with respect to all weights, with the mean over the samples subtracted from "
        "the residuals (probability - label)",
        lambda S: S.descent[1],
    ),
    "weight_norm": Quantity("norm of all weights", lambda S: sharpness.weight_norm(S.parameters)),
    "blocked_inputs": Quantity(
        "blocked inputs: samples at which all slopes of some hidden layer are 0",
        lambda S: S.signals.blocked_inputs,
        "share",
    ),
    "log_growth": Quantity(
        "log of the mean square of the last activations over that of the input", lambda S: S.signals.log_growth
    ),
    "jacobian_mean_square": Quantity(
        "sum of squares of the Jacobian of the last hidden layer, over the number of inputs",
        lambda S: spectra.rounded(_mean(lane_sum(pad(S.singular * S.singular)) / len(S.X))),
    ),
    "jacobian_largest": Quantity(
        "largest singular value of that Jacobian, on average over samples",
        lambda S: spectra.rounded(_mean(S.singular[..., 0])),
    ),
    "jacobian_smallest": Quantity(
        "smallest singular value of that Jacobian, on average over samples",
        lambda S: spectra.rounded(_mean(S.singular[..., -1])),
    ),
}


class Measurements(NamedTuple):
    """The columns of layers.csv and models.csv, and the arrays of units.npz, of a stack of models."""

    layers: dict[str, NDArray[Any]]  # each (models, L)
    models: dict[str, NDArray[Any]]  # each (models,)
    Z_counts: NDArray[np.int64]  # (models, L, bins), histograms of the pre-activations
    A_counts: NDArray[np.int64]  # (models, L - 1, bins), histograms of the activations
    dead: list[NDArray[np.bool_]]  # (models, n_l) of each hidden layer: the units with slope 0 at every sample


def _types(quantities: Mapping[str, Quantity]) -> dict[str, type]:
    return {name: quantity.dtype for name, quantity in quantities.items() if quantity.measured}


COLUMNS = _types(LAYER_QUANTITIES), _types(MODEL_QUANTITIES)  # of layers.csv and models.csv, with their types


@np.errstate(all="ignore")
def measure(parameters: Parameters, X: Array, Y: Array, activations: Sequence[Activation]) -> Measurements:
    """The measurements of a stack of models on the inputs X (n_0, m) and the class numbers Y (1, m)."""
    S = Stack(parameters, X, Y, activations)
    layers, models = _columns(LAYER_QUANTITIES, S), _columns(MODEL_QUANTITIES, S)
    return Measurements(layers, models, S.signals.Z_counts, S.signals.A_counts, S.signals.dead)


@np.errstate(all="ignore")
def measure_layers(
    parameters: Parameters, X: Array, Y: Array, activations: Sequence[Activation]
) -> dict[str, NDArray[Any]]:
    """The `layers` of `measure`, each (models, L), without the cost of the quantities of whole models."""
    return _columns(LAYER_QUANTITIES, Stack(parameters, X, Y, activations))


def _columns(quantities: Mapping[str, Quantity], S: Stack) -> dict[str, NDArray[Any]]:
    return {name: quantity.measured(S) for name, quantity in quantities.items() if quantity.measured}


def _each(S: Stack, number: Callable[[Array], int]) -> NDArray[np.int64]:
    """A number of the weights of each layer (models, n_l, n_{l-1}), the same for all models: (models, L)."""
    return np.tile([number(W) for W, _ in S.parameters], (len(S.signals.cost), 1))


def _stacked(values: Iterable[Array]) -> Array:
    """Values of each layer, each (models,), as (models, L)."""
    return np.stack(list(values), axis=1)


def _hidden(values: NDArray[Any], last: Any) -> NDArray[Any]:
    """Values of the hidden layers (models, L - 1), followed by `last` for the last layer."""
    return np.concatenate([values, np.broadcast_to(last, (len(values), 1))], axis=1)


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
