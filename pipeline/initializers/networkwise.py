"""The recipes by which the weights of a whole network are born: from the training inputs, or from the activations.

A recipe takes its settings and returns an initializer: a function (rng, birth) -> [(W, b), ...], W (n_l, n_{l-1})
and b (n_l, 1) of each layer. PyTorch, Keras and JAX ship none of them. Those that draw normal weights scale the draws
that the normal recipes of `initializers` scale, so comparisons stay paired.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from pipeline.networks.activations import Activation, relu
from pipeline.networks.edge_of_chaos import critical_point
from pipeline.networks.parameters import Parameters
from pipeline.networks.reference import product
from pipeline.numerics import elementary, random
from pipeline.numerics.matrices import orthonormal
from pipeline.numerics.sums import Array, lane_sum, pad


class NetworkSpec(NamedTuple):
    """What is known of a network before it has weights."""

    layers_dims: Sequence[int]  # n_0, ..., n_L
    activations: Sequence[Activation]  # of each hidden layer; the last layer has none
    X: Array  # (n_0, m), the training inputs

    @property
    def fans(self) -> list[tuple[int, int]]:
        """(fan_in, fan_out) of each layer."""
        return list(pairwise(self.layers_dims))


NetworkInitializer = Callable[[np.random.RandomState, NetworkSpec], Parameters]

PROBE = np.array([-3.0, -1.0, -0.25, 0.25, 1.0, 3.0])  # where activations are told apart
UNMOVED = 1e-24  # a variance of this share of the mean square is rounding


def lsuv(*, tolerance: float = 0.02, max_iterations: int = 20) -> NetworkInitializer:
    """Layer-sequential unit variance (Mishkin & Matas 2016, algorithm 1): orthonormal W, b = 0, then layer by layer
    W <- W / sd(Z), sd over all units and samples, until |sd^2 - 1| <= tolerance or max_iterations are done.

    The defaults are those of the authors' script. Z is before the activation, as there. One division is enough up to
    rounding, since the data are always the same. A layer that does not vary on the data keeps its weights.
    """
    _positive("tolerance", tolerance)
    _positive("max_iterations", max_iterations)

    def init(rng: np.random.RandomState, birth: NetworkSpec) -> Parameters:
        parameters, A = [], birth.X
        for l, (fan_in, fan_out) in enumerate(birth.fans):
            W, b = orthonormal(rng, fan_out, fan_in), np.zeros((fan_out, 1))
            for _ in range(max_iterations):
                _, sd = _mean_and_sd(product(W, A).reshape(1, -1))
                if abs(sd.item() * sd.item() - 1.0) <= tolerance:
                    break
                W = W / sd
            parameters.append((W, b))
            A = _passed(birth, l, product(W, A))
        return parameters

    return init


def data_dependent(*, beta: float = 0.0) -> NetworkInitializer:
    """W ~ N(0, 1), then unit by unit W <- W / sd(Z), b <- beta - mean(Z) / sd(Z): every pre-activation has mean beta
    and variance 1 on the training inputs (Krähenbühl et al. 2016, algorithm 1, within layers).

    Their algorithm 2, which evens out the rates of change between layers, is left out. Their script has beta = 0.1.
    A unit that does not vary on the data keeps its weights.
    """

    def init(rng: np.random.RandomState, birth: NetworkSpec) -> Parameters:
        parameters, A = [], birth.X
        for l, (fan_in, fan_out) in enumerate(birth.fans):
            W = random.normal(rng, (fan_out, fan_in))
            mean, sd = _mean_and_sd(product(W, A))
            W, b = W / sd, beta - mean / sd
            parameters.append((W, b))
            A = _passed(birth, l, product(W, A) + b)
        return parameters

    return init


def looks_linear() -> NetworkInitializer:
    """Mirrored blocks [W -W; -W W], W orthonormal: at birth the network is the product of the W (Balduzzi et al. 2017).

    Units come in pairs that see h and -h, and the next layer takes W phi(h) - W phi(-h) = c W h. So it does not only
    for ReLU (c = 1) but whenever phi(h) - phi(-h) = c h: leaky ReLU, GELU, SiLU, softplus; W is divided by c. An odd
    unit of a hidden layer comes last: it sees a row of its own, and the next layer does not listen to it at birth.
    """

    def init(rng: np.random.RandomState, birth: NetworkSpec) -> Parameters:
        parameters, last = [], len(birth.fans) - 1
        for l, (fan_in, fan_out) in enumerate(birth.fans):
            inputs = fan_in if l == 0 else fan_in // 2
            outputs = fan_out if l == last else (fan_out + 1) // 2
            if inputs == 0:
                raise ValueError("looks_linear needs two units or more in every hidden layer")
            W = orthonormal(rng, outputs, inputs)
            if l > 0:
                half = W / _odd_slope(birth.activations[l - 1])
                W = np.concatenate([half, -half, np.zeros((outputs, fan_in % 2))], axis=1)
            if l < last:
                pairs = fan_out // 2
                W = np.concatenate([W[:pairs], -W[:pairs], W[pairs:]])
            parameters.append((W, np.zeros((fan_out, 1))))
        return parameters

    return init


def random_walk(*, tanh_gain: float = 1.13) -> NetworkInitializer:
    """W ~ N(0, g^2 / n), n = fan_in: the log of the gradient's norm walks without drift (Sussillo & Abbott 2014).

    g = sqrt(2) exp(1.2 / (max(n, 6) - 2.4)) for ReLU; g = exp(1 / (2 n)) for linear layers, the last one too. For tanh
    there is no formula: the paper finds 1.1 to 1.3 good, and TensorFlow's code had 1.13. Other activations are refused.
    The paper has layers of one width n; where widths differ n is fan_in, as in TensorFlow, and g the layer's own.
    """
    _positive("tanh_gain", tanh_gain)

    def init(rng: np.random.RandomState, birth: NetworkSpec) -> Parameters:
        gains = random_walk_gains(birth, tanh_gain)
        sds = [gain / math.sqrt(fan_in) for gain, (fan_in, _) in zip(gains, birth.fans, strict=True)]
        return _normal(rng, birth, sds, 0.0)

    return init


def random_walk_gains(birth: NetworkSpec, tanh_gain: float) -> list[float]:
    """g of each layer, by its own activation. Raises ValueError for one that has no gain."""

    def gain(activation: Activation | None, n: int) -> float:
        if activation is None:
            return float(elementary.exp(1.0 / (2.0 * n)))
        z = _probe(activation)
        if _same(activation.phi(z), z):
            return float(elementary.exp(1.0 / (2.0 * n)))
        if _same(activation.phi(z), relu(z)):
            return math.sqrt(2.0) * float(elementary.exp(1.2 / (max(n, 6) - 2.4)))
        if _same(activation.phi(z), elementary.tanh(z)):
            return tanh_gain
        raise ValueError(f"random_walk has a gain for relu, tanh and linear layers, and none for {activation.name}")

    own = [*birth.activations, None]
    return [gain(own[l], fan_in) for l, (fan_in, _) in enumerate(birth.fans)]


def critical_normal(*, bias_variance: float = 0.0) -> NetworkInitializer:
    """W ~ N(0, sigma_w^2 / fan_in), b ~ N(0, bias_variance), sigma_w^2 such that the network is at the edge of chaos.

    See `criticality` (Poole et al. 2016; Schoenholz et al. 2017). Without biases it is 2 / (1 + slope^2) for leaky
    ReLU, that is He's, and 1 for tanh. The activation is the one that feeds the layer; for the first layer, which has
    none, that which follows. ReLU allows no biases, softplus has no critical point, and GELU needs a bias_variance of
    0.173 or more, SiLU of 0.556. b is drawn after W, and only if bias_variance > 0.
    """
    if not bias_variance >= 0.0:
        raise ValueError(f"bias_variance must be at least 0, not {bias_variance}")

    def init(rng: np.random.RandomState, birth: NetworkSpec) -> Parameters:
        variances = critical_variances(birth, bias_variance)
        sds = [math.sqrt(v / fan_in) for v, (fan_in, _) in zip(variances, birth.fans, strict=True)]
        return _normal(rng, birth, sds, math.sqrt(bias_variance))

    return init


def critical_variances(birth: NetworkSpec, bias_variance: float) -> list[float]:
    """sigma_w^2 of each layer. Raises ValueError for an activation without a critical point."""
    feeding = [*birth.activations[:1], *birth.activations]
    return [critical_point(phi, bias_variance).weight_variance for phi in feeding] or [1.0]


NETWORK_RECIPES: dict[str, Callable[..., NetworkInitializer]] = {
    "lsuv": lsuv,
    "data_dependent": data_dependent,
    "looks_linear": looks_linear,
    "random_walk": random_walk,
    "critical_normal": critical_normal,
}


def _normal(rng: np.random.RandomState, birth: NetworkSpec, sds: Iterable[float], bias_sd: float) -> Parameters:
    parameters = []
    for sd, (fan_in, fan_out) in zip(sds, birth.fans, strict=True):
        W = random.normal(rng, (fan_out, fan_in)) * sd
        b = random.normal(rng, (fan_out, 1)) * bias_sd if bias_sd > 0.0 else np.zeros((fan_out, 1))
        parameters.append((W, b))
    return parameters


def _passed(birth: NetworkSpec, l: int, Z: Array) -> Array:
    """What layer l, counted from 0, gives to the next."""
    return np.asarray(birth.activations[l].phi(Z)) if l < len(birth.activations) else Z


def _mean_and_sd(Z: Array) -> tuple[Array, Array]:
    """Mean and standard deviation (n, 1) of each row; the latter is 1 where a row does not vary."""
    m = Z.shape[1]
    mean = lane_sum(pad(Z))[:, None] / m
    variance = lane_sum(pad((Z - mean) * (Z - mean)))[:, None] / m
    moves = variance > UNMOVED * (mean * mean)
    return mean, np.sqrt(np.where(moves, variance, 1.0))


def _odd_slope(activation: Activation) -> float:
    """c where phi(z) - phi(-z) = c z."""
    z = _probe(activation)
    ratios = (activation.phi(z) - activation.phi(-z)) / z
    c = float(ratios[-1])
    if not np.all(np.abs(ratios - c) <= 1e-12 * abs(c)) or c == 0.0:
        raise ValueError(
            f"looks_linear needs an activation for which phi(z) - phi(-z) is c z, such as relu, not {activation.name}"
        )
    return c


def _probe(activation: Activation) -> Array:
    """PROBE, preceded by points beyond every kink of the activation: between kinks it may look like another."""
    beyond = [2.0 * kink for kink in activation.kinks if kink != 0.0]
    return np.array([*beyond, *PROBE])


def _same(values: Array, others: Array) -> bool:
    return bool(np.all(values == others))


def _positive(name: str, value: float) -> None:
    if not value > 0.0:
        raise ValueError(f"{name} must be greater than 0, not {value}")
