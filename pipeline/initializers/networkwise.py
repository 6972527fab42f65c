"""Recipes for the initial parameters of a whole network, which depend on its activations or the training inputs.

A recipe is a function of settings that returns an initializer: a function (rng, spec) -> [(W, b), ...] with W
(n_l, n_{l-1}) and b (n_l, 1) of each layer. PyTorch, Keras and JAX have none of them. Recipes with normal weights scale
the same draws as the normal recipes for single layers, so comparisons stay paired.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from pipeline.initializers.registry import Entry, Variances, no_theory, positive, register, require
from pipeline.networks.activations import Activation, relu
from pipeline.networks.edge_of_chaos import critical_point
from pipeline.networks.parameters import Parameters
from pipeline.networks.reference import product
from pipeline.numerics import elementary, random
from pipeline.numerics.matrices import orthonormal
from pipeline.numerics.sums import Array, lane_sum, pad


class NetworkSpec(NamedTuple):
    """The layer sizes, activations and training inputs of a network, on which its initializer may depend."""

    layers_dims: Sequence[int]  # n_0, ..., n_L
    activations: Sequence[Activation]  # of the hidden layers
    X: Array  # (n_0, m), the training inputs

    @property
    def fans(self) -> list[tuple[int, int]]:
        """(fan_in, fan_out) of each layer."""
        return list(pairwise(self.layers_dims))


NetworkInitializer = Callable[[np.random.RandomState, NetworkSpec], Parameters]

PROBE = np.array([-3.0, -1.0, -0.25, 0.25, 1.0, 3.0])  # points at which activations are compared
UNMOVED = 1e-24  # a variance below this fraction of the squared mean is rounding error
OF_THE_DATA = "weights that depend on the training data, but theory assumes independent ones"

NETWORK_RECIPES: dict[str, Entry[list[Variances]]] = {}


def _over_fan_in(spec: NetworkSpec, sigma_w2: list[float], sigma_b2: float = 0.0) -> list[Variances]:
    """W ~ N(0, sigma_w2 / fan_in), b ~ N(0, sigma_b2), with one sigma_w2 per layer."""
    return [
        Variances(variance / fan_in, bias=sigma_b2, normal=True)
        for variance, (fan_in, _) in zip(sigma_w2, spec.fans, strict=True)
    ]


@register(NETWORK_RECIPES, use="any activation, if the data are at hand", variances=no_theory(OF_THE_DATA))
def lsuv(*, tolerance: float = 0.02, max_iterations: int = 20) -> NetworkInitializer:
    """Orthonormal W, scaled layer by layer until Z has variance 1 on the data (LSUV: Mishkin & Matas 2016, alg. 1).

    W is orthonormal and b = 0; then, layer by layer, W <- W / std(Z), with std over all units and samples, until
    |std^2 - 1| <= tolerance, at most max_iterations times. Z and the defaults are those of the authors' script: Z is
    taken before the activation. Since the same data are used every time, one division suffices up to rounding. A layer
    whose Z is constant on the data keeps its weights.
    """
    positive("tolerance", tolerance)
    positive("max_iterations", max_iterations)

    def init(rng: np.random.RandomState, spec: NetworkSpec) -> Parameters:
        parameters, A = [], spec.X
        for l, (fan_in, fan_out) in enumerate(spec.fans):
            W, b = orthonormal(rng, fan_out, fan_in), np.zeros((fan_out, 1))
            for _ in range(max_iterations):
                _, std = _mean_and_std(_times(W, A).reshape(1, -1))
                if abs(std.item() * std.item() - 1.0) <= tolerance:
                    break
                W = W / std
            parameters.append((W, b))
            A = _layer_output(spec, l, _times(W, A))
        return parameters

    return init


@register(NETWORK_RECIPES, use="inputs that are neither centred nor scaled", variances=no_theory(OF_THE_DATA))
def data_dependent(*, beta: float = 0.0) -> NetworkInitializer:
    """Normal W, then W and b such that Z of each unit has mean beta, variance 1 on the data (Krähenbühl et al. 2016).

    Algorithm 1 of the paper: W ~ N(0, 1); then, for each unit, W <- W / std(Z) and b <- beta - mean(Z) / std(Z), so
    that every pre-activation has mean beta and variance 1 on the training inputs. Algorithm 2 of the paper, which
    equalizes rates of change between layers, is not included. The authors' script has beta = 0.1. A unit that is
    constant on the data keeps its weights.
    """

    def init(rng: np.random.RandomState, spec: NetworkSpec) -> Parameters:
        parameters, A = [], spec.X
        for l, (fan_in, fan_out) in enumerate(spec.fans):
            W = random.normal(rng, (fan_out, fan_in))
            mean, std = _mean_and_std(_times(W, A))
            W, b = W / std, beta - mean / std
            parameters.append((W, b))
            A = _layer_output(spec, l, _times(W, A) + b)
        return parameters

    return init


@register(
    NETWORK_RECIPES,
    use="very deep ReLU networks",
    variances=no_theory("weights that depend on each other, but theory assumes uncorrelated ones"),
)
def looks_linear() -> NetworkInitializer:
    """Mirrored blocks [W -W; -W W] with orthonormal W: the initial network is linear (Balduzzi et al. 2017).

    Units are paired with pre-activations h and -h, and the next layer computes W phi(h) - W phi(-h) = c W h, so the
    initial network is the product of the matrices W. This holds for every activation with phi(h) - phi(-h) = c h: ReLU
    (c = 1), leaky ReLU, GELU, SiLU, softplus; W is divided by c. The last unit of a hidden layer of odd size is
    unpaired: it has its own row, and its initial outgoing weights are 0. Raises ValueError for other activations and
    for a hidden layer of one unit.
    """

    def init(rng: np.random.RandomState, spec: NetworkSpec) -> Parameters:
        parameters, last = [], len(spec.fans) - 1
        for l, (fan_in, fan_out) in enumerate(spec.fans):
            inputs = fan_in if l == 0 else fan_in // 2
            outputs = fan_out if l == last else (fan_out + 1) // 2
            if inputs == 0:
                raise ValueError("looks_linear requires at least 2 units in every hidden layer")
            W = orthonormal(rng, outputs, inputs)
            if l > 0:
                half = W / _odd_slope(spec.activations[l - 1])
                W = np.concatenate([half, -half, np.zeros((outputs, fan_in % 2))], axis=1)
            if l < last:
                pairs = fan_out // 2
                W = np.concatenate([W[:pairs], -W[:pairs], W[pairs:]])
            parameters.append((W, np.zeros((fan_out, 1))))
        return parameters

    return init


@register(
    NETWORK_RECIPES,
    use="deep and narrow ReLU networks",
    variances=lambda spec, tanh_gain: _over_fan_in(spec, [g * g for g in random_walk_gains(spec, tanh_gain)]),
)
def random_walk(*, tanh_gain: float = 1.13) -> NetworkInitializer:
    """W ~ N(0, g^2 / n), n = fan_in: the gradient's log norm is a driftless random walk (Sussillo & Abbott 2014).

    g = sqrt(2) exp(1.2 / (max(n, 6) - 2.4)) for ReLU and g = exp(1 / (2 n)) for linear layers, including the last one.
    For tanh there is no formula: the paper recommends 1.1 to 1.3, and TensorFlow's implementation used 1.13. Raises
    ValueError for other activations. The paper assumes layers of equal width n; here, as in TensorFlow, n is the fan_in
    and g depends on the activation of the layer.
    """
    positive("tanh_gain", tanh_gain)

    def init(rng: np.random.RandomState, spec: NetworkSpec) -> Parameters:
        gains = random_walk_gains(spec, tanh_gain)
        stds = [gain / math.sqrt(fan_in) for gain, (fan_in, _) in zip(gains, spec.fans, strict=True)]
        return _normal(rng, spec, stds, 0.0)

    return init


def random_walk_gains(spec: NetworkSpec, tanh_gain: float) -> list[float]:
    """g of each layer, which depends on its own activation. Raises ValueError for an activation without a gain."""

    def gain(activation: Activation | None, n: int) -> float:
        if activation is None:
            return float(elementary.exp(1.0 / (2.0 * n)))
        z = _probe(activation)
        if _equal(activation.phi(z), z):
            return float(elementary.exp(1.0 / (2.0 * n)))
        if _equal(activation.phi(z), relu(z)):
            return math.sqrt(2.0) * float(elementary.exp(1.2 / (max(n, 6) - 2.4)))
        if _equal(activation.phi(z), elementary.tanh(z)):
            return tanh_gain
        raise ValueError(f"random_walk has gains for relu, tanh and linear layers only, not for {activation.name}")

    own = [*spec.activations, None]
    return [gain(own[l], fan_in) for l, (fan_in, _) in enumerate(spec.fans)]


@register(
    NETWORK_RECIPES,
    use="very deep networks of any activation that has one",
    variances=lambda spec, bias_variance: _over_fan_in(spec, critical_variances(spec, bias_variance), bias_variance),
)
def critical_normal(*, bias_variance: float = 0.0) -> NetworkInitializer:
    """W ~ N(0, sigma_w^2 / fan_in), b ~ N(0, bias_variance), sigma_w^2 at the edge of chaos (Schoenholz et al. 2017).

    See `networks.edge_of_chaos` and Poole et al. (2016). Without biases sigma_w^2 is 2 / (1 + slope^2) for leaky ReLU,
    as in He et al. (2015), and 1 for tanh. The activation is that of the layer below; for the first layer, its own.
    ReLU requires bias_variance = 0, GELU at least 0.173, SiLU at least 0.556; softplus has no critical point. b is
    drawn after W, and only if bias_variance > 0. Raises ValueError if there is no critical point.
    """
    require(bias_variance >= 0.0, "bias_variance", "at least 0", bias_variance)

    def init(rng: np.random.RandomState, spec: NetworkSpec) -> Parameters:
        variances = critical_variances(spec, bias_variance)
        stds = [math.sqrt(v / fan_in) for v, (fan_in, _) in zip(variances, spec.fans, strict=True)]
        return _normal(rng, spec, stds, math.sqrt(bias_variance))

    return init


def critical_variances(spec: NetworkSpec, bias_variance: float) -> list[float]:
    """The critical sigma_w^2 of each layer. Raises ValueError for an activation without a critical point."""
    below = [*spec.activations[:1], *spec.activations]
    return [critical_point(phi, bias_variance).weight_variance for phi in below] or [1.0]


def _normal(rng: np.random.RandomState, spec: NetworkSpec, stds: Iterable[float], bias_std: float) -> Parameters:
    """Normal weights with one standard deviation per layer, and normal biases, not drawn if bias_std is 0."""
    parameters = []
    for std, (fan_in, fan_out) in zip(stds, spec.fans, strict=True):
        W = random.normal(rng, (fan_out, fan_in)) * std
        b = random.normal(rng, (fan_out, 1)) * bias_std if bias_std > 0.0 else np.zeros((fan_out, 1))
        parameters.append((W, b))
    return parameters


def _times(W: Array, A: Array) -> Array:
    """W A (n, m) for a single model, by compiled code if Numba is installed; the same bits."""
    if not random.has_compiler():
        return product(W, A)
    from pipeline.numerics import matmul  # imports llvmlite

    return np.asarray(matmul.product(W[None], A)[0])


def _layer_output(spec: NetworkSpec, l: int, Z: Array) -> Array:
    """The output of layer l, counted from 0: phi(Z) of a hidden layer, Z of the last one."""
    return np.asarray(spec.activations[l].phi(Z)) if l < len(spec.activations) else Z


def _mean_and_std(Z: Array) -> tuple[Array, Array]:
    """Mean and standard deviation (n, 1) of each row of Z (n, m); the latter is 1 for a constant row."""
    m = Z.shape[1]
    mean = lane_sum(pad(Z))[:, None] / m
    variance = lane_sum(pad((Z - mean) * (Z - mean)))[:, None] / m
    moves = variance > UNMOVED * (mean * mean)
    return mean, np.sqrt(np.where(moves, variance, 1.0))


def _odd_slope(activation: Activation) -> float:
    """c such that phi(z) - phi(-z) = c z. Raises ValueError if there is none or it is 0."""
    z = _probe(activation)
    ratios = (activation.phi(z) - activation.phi(-z)) / z
    c = float(ratios[-1])
    if not np.all(np.abs(ratios - c) <= 1e-12 * abs(c)) or c == 0.0:
        raise ValueError(
            f"looks_linear requires an activation with phi(z) - phi(-z) = c z, such as relu, not {activation.name}"
        )
    return c


def _probe(activation: Activation) -> Array:
    """PROBE preceded by points beyond every kink of the activation, which between kinks may equal another one."""
    beyond = [2.0 * kink for kink in activation.kinks if kink != 0.0]
    return np.array([*beyond, *PROBE])


def _equal(values: Array, others: Array) -> bool:
    return bool(np.all(values == others))
