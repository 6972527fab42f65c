"""Whether a network with the weights that were found can be trained, by theory and on a batch of data.

The labels and their rules are those of `diagnostics.labels`, which were validated against training. Their measurements
need data; without data they are predicted from the variances of weights and biases, for inputs of mean square 1
(`theory.tangent_kernel`). A label is given only if errors of the predicted gradient and sharpness by MARGIN would not
change whether the network is expected to train; otherwise the label is NOT_DECIDED.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from pipeline.audit.results import LayerAudit, Suitability
from pipeline.diagnostics.labels import RATES, Label, Plan, label_model, short
from pipeline.networks.activations import ACTIVATIONS, Activation, relu
from pipeline.networks.edge_of_chaos import kinks_of, normal_rule
from pipeline.networks.saturation import flat_below
from pipeline.numerics.elementary import exp, log
from pipeline.numerics.sums import Array, lane_sum, pad
from pipeline.theory import finite_width, mean_field, tangent_kernel
from pipeline.theory.initial_loss import expected_binary_loss, expected_softmax_loss
from pipeline.theory.variances import ERRORS, without_theory

NOT_DECIDED = "not decided"
UNCORRELATED = ("random", "orthogonal", "sparse", "martens_sparse", "zeros")  # structures of which theory is valid
STEPS = 10_000  # of the training for which a network is judged, at its best learning rate
MARGIN = 10.0  # factor of error of the centered gradient and of the sharpness predicted without data
DEPTH_SCALES = 6.0  # depth to which networks train, in depth scales of the correlation (Schoenholz et al. 2017)
SMALL_BIAS = 0.1  # mean square of constant biases, relative to the weights' variance, that theory may neglect
FIXED = 1e-4  # relative change of a variance by one layer below which it is at its fixed point
FAR = 1e12  # variances above, or below the inverse, are taken for the limit infinity or 0
MAPS = 200  # applications of a map


class Chain(NamedTuple):
    """A network of dense and convolution layers, each of which reads the outputs of the one before."""

    audits: Sequence[LayerAudit]
    sigma_w2: list[float]  # fan_in times the mean square of the weights
    sigma_b2: list[float]  # mean square of the biases
    activations: list[Activation]  # of the hidden layers
    bias_means: list[float]

    @property
    def dense(self) -> bool:
        """Whether all layers are dense."""
        return all(audit.layer.kind == "dense" for audit in self.audits)

    @property
    def n_out(self) -> int:
        """Outputs of the last layer."""
        return self.audits[-1].layer.units


def suitability(
    layers: Sequence[LayerAudit], activation: str, data: Any = None, steps: int = STEPS
) -> Suitability | str:
    """Predicted signals, gradients, trainable depth and label of a network; or the reason why there are none.

    `activation` is that of hidden layers whose own is not known. `data` is a batch: inputs (m, n_0), or a pair of
    inputs and class numbers (m,). With it the label of a network of dense layers is that of its measurements, otherwise
    that of theory. `steps` are those of the training. Raises UserError for a batch that does not fit the network.
    """
    chain = as_chain(layers, activation)
    if isinstance(chain, str):
        return chain
    name = chain.activations[0].name if chain.activations else activation
    why = beyond_theory(chain)
    measured = None
    if data is not None and chain.dense:
        from pipeline.audit.batch import measured_label  # which needs llvmlite

        measured = measured_label(chain.audits, chain.activations, data, steps)
    if why:
        if measured is None:
            return why
        return Suitability(name, *measured.label, [], [], math.nan, measured.signal, measured.gradient)
    signal = mean_field.predicted_signal(1.0, chain.sigma_w2, chain.sigma_b2, chain.activations)
    backward = [audit.std * audit.std * audit.layer.fan_out for audit in layers]
    gradient = mean_field.predicted_gradient([1] * (len(layers) + 1), backward, chain.activations, signal)
    depth, phase = trainable_depth(chain, signal)
    label = measured.label if measured else theory_label(chain, signal, depth, steps)
    reason = "; ".join(part for part in (label.reason, phase) if part)
    lists = (measured.signal, measured.gradient) if measured else ([], [])
    return Suitability(name, label.name, reason, signal.tolist(), gradient.tolist(), depth, *lists)


def as_chain(layers: Sequence[LayerAudit], activation: str) -> Chain | str:
    """The layers as a chain, or why theory does not cover them, as a clause that follows "not predicted: "."""
    if not layers:
        return "the model has no layers with weights"
    for audit in layers:
        if audit.layer.kind not in ("dense", "convolution"):
            return (
                f"{audit.layer.name} is a layer of kind {audit.layer.kind}; theory covers dense and convolution layers"
            )
        if not (math.isfinite(audit.std) and math.isfinite(audit.mean)):
            return f"{audit.layer.name} has weights that are not finite"
    for before, after in pairwise(layers):
        if after.layer.fan_in % before.layer.units:
            return (
                f"{after.layer.name} with {after.layer.fan_in} inputs does not follow {before.layer.name} with "
                f"{before.layer.units} units"
            )
    names = [audit.layer.activation or activation for audit in layers[:-1]]
    for audit, name in zip(layers[:-1], names, strict=True):
        if name not in ACTIVATIONS:
            what = f"{name}, which theory does not cover" if name else "not known"
            return f"the activation of {audit.layer.name} is {what}"
    activations = [ACTIVATIONS[name] for name in names]
    if why := without_theory(activations):
        return f"the network {why}"
    biases = [audit.layer.biases() for audit in layers]
    means = [float(lane_sum(pad(b))) / b.size for b in biases]
    squares = [float(lane_sum(pad(b * b))) / b.size for b in biases]
    sigma_w2 = [audit.std * audit.std * audit.layer.fan_in for audit in layers]
    for audit, weight, square in zip(layers, sigma_w2, squares, strict=True):
        if not (math.isfinite(weight) and math.isfinite(square)):
            return f"{audit.layer.name} has weights or biases that are not finite, or too large"
    return Chain(layers, sigma_w2, squares, activations, means)


def beyond_theory(chain: Chain) -> str:
    """Why mean-field theory does not apply to weights or biases, as a clause; "" if it does."""
    for audit, weight, square, mean in zip(chain.audits, chain.sigma_w2, chain.sigma_b2, chain.bias_means, strict=True):
        if audit.structure not in UNCORRELATED:
            return f"the weights of {audit.layer.name} are {audit.structure}, but theory assumes uncorrelated ones"
        if abs(audit.mean) > ERRORS * audit.std / math.sqrt(audit.n):
            return f"{audit.layer.name} has weights of mean {audit.mean:.3g}, but theory assumes mean 0"
        significant = mean * mean > ERRORS * ERRORS * (square - mean * mean) / audit.layer.units
        if significant and square > SMALL_BIAS * weight:
            return f"{audit.layer.name} has biases of mean {mean:.3g}, but theory assumes mean 0"
    return ""


def theory_label(chain: Chain, signal: Array, depth: float, steps: int) -> Label:
    """The label by predicted measurements, or NOT_DECIDED.

    "healthy" also requires that the hidden layers are not more than the trainable `depth`.
    """
    if not chain.dense:
        return Label(NOT_DECIDED, "convolution layers, for which the labels were not validated")
    fan_in = [audit.layer.fan_in for audit in chain.audits]
    kernel = tangent_kernel.tangent_kernel(chain.sigma_w2, chain.sigma_b2, chain.activations)
    expected = tangent_kernel.descent(kernel, fan_in, chain.n_out)
    plan = Plan(1.0, steps, float(log(np.float64(max(2, chain.n_out)))))
    model = _predicted(chain, signal, kernel, expected)
    factors = ((1.0, 1.0), (MARGIN, 1.0), (1.0 / MARGIN, 1.0), (1.0, MARGIN), (1.0, 1.0 / MARGIN))
    labels = [label_model(_changed(model, *each), plan) for each in factors]
    label = labels[0]
    if len({each.name in RATES for each in labels}) > 1:
        likely = "healthy" if label.name in RATES else str(label)
        return Label(NOT_DECIDED, f"{likely} by theory, but by less than its margin of error")
    if label.name not in RATES:
        return label
    if len(chain.activations) > depth:
        return Label(NOT_DECIDED, "healthy by theory, but deeper than the trainable depth")
    return Label("healthy", "")


def _changed(model: dict[str, Any], gradient: float, sharpness: float) -> dict[str, Any]:
    """The measurements with all gradients and the sharpness times these factors."""
    return model | {
        "weight_gradient_rms": [gradient * each for each in model["weight_gradient_rms"]],
        "centered_gradient": gradient * model["centered_gradient"],
        "sharpness": sharpness * model["sharpness"],
    }


@np.errstate(invalid="ignore", divide="ignore")
def _predicted(
    chain: Chain, signal: Array, kernel: tangent_kernel.Kernel, expected: tangent_kernel.Descent
) -> dict[str, Any]:
    """The measurements that `label_model` needs."""
    units = [audit.layer.units for audit in chain.audits]
    q, correlation = signal.tolist(), (kernel.signal[:, -1] / kernel.signal[:, 0]).tolist()
    narrow = all(phi.phi is relu for phi in chain.activations) and not any(chain.sigma_b2[:-1])
    return {
        "units": units,
        "unique_incoming_outgoing": units,
        "dead": [0] * len(units),
        "saturated": [*(saturated_share(phi, q_l) for phi, q_l in zip(chain.activations, q, strict=False)), math.nan],
        "preactivation_mean_square": q,
        "weight_mean_square": [audit.std * audit.std for audit in chain.audits],
        "weight_gradient_rms": [
            norm / math.sqrt(audit.n) for norm, audit in zip(expected.layer_gradients, chain.audits, strict=True)
        ],
        "correlation": correlation,
        "initial_cost": initial_cost(q[-1], chain.n_out),
        "blocked_inputs": finite_width.born_dead(units[:-1]) if narrow and chain.activations else 0.0,
        "sharpness": expected.sharpness,
        "centered_gradient": expected.centered_gradient,
        "weight_norm": math.sqrt(math.fsum(audit.std * audit.std * audit.n for audit in chain.audits)),
    }


def initial_cost(q: float, n_out: int) -> float:
    """The expected cost in nats for logits of variance q; inf beyond the range of doubles."""
    if not math.isfinite(q):
        return math.inf
    return float(expected_binary_loss(q)) if n_out == 1 else expected_softmax_loss(q, n_out)


def saturated_share(activation: Activation, q: float) -> float:
    """The expected share of units near an asymptote, for pre-activations N(0, q); 0 if phi has not two of them."""
    bound = flat_below(activation)
    if bound == 0.0:
        return 0.0
    z, weights = normal_rule(np.asarray(q), kinks_of(activation))
    return float(lane_sum(weights * (np.abs(activation.slope(z, activation.phi(z))) < bound)))


def trainable_depth(chain: Chain, signal: Array) -> tuple[float, str]:
    """DEPTH_SCALES times the depth scale of the correlation, in layers, and what it follows from.

    For the mean variances of the layers between hidden layers: 6 xi_c of Schoenholz et al. (2017) at the fixed point
    that the signal approaches, or, where it grows without bound, 6 / ln chi_1. Infinite if chi_1 is 1 within the
    sampling error of the weights; NaN, and no text, without such layers, with a layer of zeros, or with several
    activations.
    """
    later, activations = chain.audits[1:-1], set(chain.activations)
    if not later or len(activations) > 1 or not all(chain.sigma_w2[1:-1]):
        return math.nan, ""
    (phi,) = activations
    logs = [float(log(np.float64(weight))) for weight in chain.sigma_w2[1:-1]]
    weight = float(exp(np.float64(math.fsum(logs) / len(logs))))
    bias = math.fsum(chain.sigma_b2[1:-1]) / len(later)
    error = ERRORS * math.sqrt(2.0 / math.fsum(audit.n for audit in later))
    q, stable = _limit(float(signal[-2]), weight, bias, phi)
    chi = mean_field.chi_1(q, weight, phi) if math.isfinite(q) else math.inf
    if abs(chi - 1.0) <= error:
        growth = 1.0
    elif chi < 1.0:
        growth = chi
    elif not stable:
        growth = 1.0 / chi
    else:
        growth = weight * _slope_at_fixed_correlation(q, weight, phi)
    depth = DEPTH_SCALES * mean_field.depth_scale(min(1.0, growth))
    state = "critical" if growth == 1.0 else "ordered" if chi < 1.0 else "chaotic" if stable else "growing"
    reach = "any number of layers" if depth == math.inf else f"{short(depth)} layers"
    return depth, f"{state}, chi_1 = {chi:.3g}: trainable to {reach}, and the network has {len(chain.audits)}"


def _limit(q: float, weight: float, bias: float, activation: Activation) -> tuple[float, bool]:
    """The variance that MAPS applications of the length map reach at most from q, and whether it is a fixed point."""
    for _ in range(MAPS):
        if not 1.0 / FAR < q < FAR:
            return q, q < 1.0
        before, q = q, mean_field.length_map(q, weight, bias, activation)
        if abs(q - before) <= FIXED * before:
            return q, True
    return q, False


def _slope_at_fixed_correlation(q: float, weight: float, activation: Activation) -> float:
    """E[phi'(u) phi'(v)] at the correlation c* < 1 that two inputs approach, in the chaotic phase."""
    distance = q
    for _ in range(MAPS):
        apart, slopes = tangent_kernel.pair_moments(activation, q, np.array([0.0, distance]))
        before, distance = distance, min(q, weight * float(apart[1]))
        if abs(distance - before) <= FIXED * before:
            break
    return float(slopes[1])
