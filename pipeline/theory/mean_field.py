"""Mean-field theory of a network at initialization: signals, gradients, fixed points, gains.

The network is z_l = W_l a_(l-1) + b_l, a_l = phi(z_l), a_0 = x, with independent entries: W_l of mean 0 and variance
sigma_w2 / fan_in, b_l of mean 0 and variance sigma_b2. In wide layers z_l is normal with variance q_l = E[z_l^2]. The
quadrature is that of `edge_of_chaos`, exact to rounding if phi is analytic except at 0 and its kinks. `correlation`
treats two inputs, and `finite_width` corrections for finite layers. For the functions of `activations` the bits are the
same on every computer: + - * / sqrt and `elementary` in a fixed order.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pipeline.networks.activations import ACTIVATIONS, LEAK, Activation
from pipeline.networks.edge_of_chaos import TINY, kinks_of, mean_squares, normal_rule, second_moments
from pipeline.numerics import elementary
from pipeline.numerics.sums import Array, lane_sum

Function = Callable[[Array], Array]

ROUGH = 1e-7  # for an analytic function, omitting every second node changes the integral by far less
NEAR_CRITICAL = 1e-8  # a factor this close to 1 counts as 1: its depth scale exceeds 10^8 layers
SETTLED = 1e-6  # relative accuracy required of fixed points q
Q_GRID = np.array([0.0] + [math.ldexp(m, k) for k in range(-40, 41) for m in (1.0, 1.5)])


class Moments(NamedTuple):
    """E[phi], E[phi^2], E[phi'] and E[phi'^2] at sqrt(q) z, z ~ N(0, 1)."""

    mean: float
    square: float
    slope: float
    slope_square: float


def expectation(f: Function, q: float = 1.0, kinks: Sequence[float] = ()) -> float:
    """E[f(sqrt(q) z)], z ~ N(0, 1), for q >= 0 and f analytic except at 0 and `kinks`, where it may jump.

    Error about 1e-14 of E[|f|]. Raises ValueError if every second node gives a different integral, which shows that f
    is infinite or has other kinks.
    """
    _at_least_0("q", q)
    z, weights = normal_rule(np.asarray(q), kinks)
    terms = weights * f(z)
    total = float(lane_sum(terms))
    if not abs(total - 2.0 * float(lane_sum(terms[::2]))) <= ROUGH * float(lane_sum(np.abs(terms))):
        where = " and ".join(["0", *(f"{kink:g}" for kink in kinks if kink != 0.0)])
        raise ValueError(f"the function must be finite, and smooth except at {where}; declare its other kinks")
    return total


def moments(activation: Activation, q: float = 1.0) -> Moments:
    """The four moments at q >= 0. At q = 0 those of phi' are limits: the mean of both one-sided values at a kink."""
    phi, slope, kinks = activation.phi, activation.slope, kinks_of(activation)
    near = q if q > 0.0 else TINY * TINY
    return Moments(
        expectation(phi, q, kinks),
        expectation(lambda z: phi(z) * phi(z), q, kinks),
        expectation(lambda z: slope(z, phi(z)), near, kinks),
        expectation(lambda z: slope(z, phi(z)) * slope(z, phi(z)), near, kinks),
    )


def length_map(q: float, sigma_w2: float, sigma_b2: float, activation: Activation) -> float:
    """The variance of the next layer's pre-activations, sigma_w2 E[phi(sqrt(q) z)^2] + sigma_b2 (Poole et al. 2016)."""
    _check(q, sigma_w2, sigma_b2)
    return sigma_w2 * second_moments(activation, q)[0] + sigma_b2


def fixed_points(sigma_w2: float, sigma_b2: float, activation: Activation) -> list[float]:
    """All stable fixed points q* of the length map from 0 to 2^40, in ascending order (Poole et al. 2016).

    Empty if q grows without bound, or if every q is a fixed point, as for ReLU at (2, 0). Not found are two stable
    fixed points within a factor of 1.5 that enclose an unstable one; of those below 2^-40 only one is found.
    """
    _check(0.0, sigma_w2, sigma_b2)
    change = sigma_w2 * mean_squares(activation, Q_GRID)[0] + sigma_b2 - Q_GRID
    sign = np.where(np.abs(change) <= 1e-12 * Q_GRID, 0.0, np.sign(change))
    found = []
    moving = np.flatnonzero(sign)
    if sign[0] == 0.0 and moving.size and sign[moving[0]] < 0.0:
        found.append(0.0)
    for before, after in pairwise(moving):
        if sign[before] > 0.0 > sign[after]:
            low, high = float(Q_GRID[before]), float(Q_GRID[after])
            while low < (middle := 0.5 * (low + high)) < high:
                grows = length_map(middle, sigma_w2, sigma_b2, activation) > middle
                low, high = (middle, high) if grows else (low, middle)
            found.append(high)
    return found


def chi_1(q: float, sigma_w2: float, activation: Activation) -> float:
    """chi_1 = sigma_w2 E[phi'(sqrt(q) z)^2] for q >= 0; at q = 0 the limit.

    It is the factor per layer of the second moment of gradients in the backward pass, and of the squared distance of
    two nearby inputs in the forward pass (Poole et al. 2016; Schoenholz et al. 2017). At q* the network is ordered if
    chi_1 < 1 and chaotic if chi_1 > 1.
    """
    _check(q, sigma_w2, 0.0)
    return sigma_w2 * moments(activation, q).slope_square


def xi_q(q: float, sigma_w2: float, sigma_b2: float, activation: Activation) -> float:
    """The depth scale of q: layers in which a small |q_l - q*| decreases by a factor e (Schoenholz et al. 2017).

    -1 / log(chi_1 + sigma_w2 E[phi'' phi]), which equals -1 / log |dq_(l+1) / dq_l| by integration by parts; infinite
    if that derivative is 1. Raises ValueError if q is not a fixed point to a relative accuracy of 1e-6, or is unstable.
    """
    require_fixed(q, sigma_w2, sigma_b2, activation)
    if q == 0.0:
        return depth_scale(chi_1(0.0, sigma_w2, activation))
    s = math.sqrt(q)

    def integrand(z: Array) -> Array:
        a = activation.phi(z)
        return np.asarray(a * activation.slope(z, a) * z)

    return depth_scale(abs(sigma_w2 * expectation(integrand, q, kinks_of(activation)) / (s * s)))


def forward_gain(activation: Activation, q: float = 1.0) -> float:
    """The gain g = sigma_w that preserves q > 0 without biases: g^2 E[phi(sqrt(q) z)^2] = q.

    For ReLU it is sqrt(2) (He et al. 2015, eq. 10). Raises ValueError if q is not positive or E[phi^2] is 0.
    """
    return _gain("phi", q, moments(activation, q).square)


def backward_gain(activation: Activation, q: float = 1.0) -> float:
    """The gain g = sigma_w for which chi_1 = 1 at q > 0: g^2 E[phi'(sqrt(q) z)^2] = 1.

    It preserves the second moment of gradients in layers of equal width. For ReLU it is sqrt(2) (He et al. 2015,
    eq. 14). Raises ValueError if q is not positive or E[phi'^2] is 0.
    """
    return _gain("phi'", 1.0 if q > 0.0 else q, moments(activation, q).slope_square)


PYTORCH_GAINS = {  # torch.nn.init.calculate_gain; for the other activations it raises ValueError
    "linear": 1.0,
    "sigmoid": 1.0,
    "tanh": 5.0 / 3.0,
    "relu": math.sqrt(2.0),
    "leaky_relu": math.sqrt(2.0 / (1.0 + LEAK * LEAK)),
    "selu": 3.0 / 4.0,
}


def pytorch_phase(name: str) -> list[tuple[float, float]]:
    """[(q*, chi_1), ...] of the stable fixed points with PyTorch's gain for this activation and no biases.

    tanh is chaotic: [(1.178480, 1.209831)]. If every q is a fixed point (relu, leaky_relu, linear), q = 1 is used.
    Raises ValueError for activations without a gain in PyTorch.
    """
    if name not in PYTORCH_GAINS:
        raise ValueError(f"PyTorch has gains for {', '.join(PYTORCH_GAINS)} only, not for {name}")
    activation, sigma_w2 = ACTIVATIONS[name], PYTORCH_GAINS[name] * PYTORCH_GAINS[name]
    stable = fixed_points(sigma_w2, 0.0, activation)
    return [(q, chi_1(q, sigma_w2, activation)) for q in stable or [1.0]]


def predicted_signal(
    q0: ArrayLike, sigma_w2: Sequence[float], sigma_b2: Sequence[float], activations: Sequence[Activation]
) -> Array:
    """q_l = E[z_l^2] of the layers 1 ... L, shape (L, *q0.shape), from q0 = |x|^2 / n_0 of one or more inputs.

    q_1 = sigma_w2 q0 + sigma_b2, then the length map (Poole et al. 2016). sigma_w2 has fan_in Var(W_l) of each layer,
    which is 2 for He and 2 fan_in / (fan_in + fan_out) for Xavier, and sigma_b2 has Var(b_l); `activations` are those
    of the L - 1 hidden layers. For a data set, average q_l over the inputs: averaging q0 instead is equivalent only for
    piecewise linear phi without biases. Raises ValueError for inconsistent lengths or negative or infinite values.
    """
    if not len(sigma_w2) == len(sigma_b2) == len(activations) + 1:
        raise ValueError(
            f"{len(activations)} hidden layers require {len(activations) + 1} values of sigma_w2 and of sigma_b2, "
            f"not {len(sigma_w2)} and {len(sigma_b2)}"
        )
    q = np.asarray(q0, dtype=np.float64)
    if not np.all((q >= 0.0) & (q < math.inf)):
        raise ValueError("q0 must be at least 0 and finite")
    layers = []
    for l, (weight_variance, bias_variance) in enumerate(zip(sigma_w2, sigma_b2, strict=True)):
        _check(0.0, weight_variance, bias_variance)
        square = q if l == 0 else mean_squares(activations[l - 1], q)[0]
        q = weight_variance * square + bias_variance
        layers.append(q)
    return np.array(layers)


def predicted_gradient(
    layers_dims: Sequence[int], sigma_w2: Sequence[float], activations: Sequence[Activation], q: Array
) -> Array:
    """E[(dC/dz_l)^2] / E[(dC/dz_L)^2] of the layers 1 ... L, with the shape of q, which is from `predicted_signal`.

    In the backward pass, layer l + 1 contributes the factor n_(l+1) Var(W_(l+1)) E[phi'(z_l)^2], where n_(l+1) is its
    fan_out (Schoenholz et al. 2017; for ReLU He et al. 2015, eq. 14), under the assumption that backward weights are
    independent of forward weights. layers_dims is n_0 ... n_L. If q_l is 0, phi' is taken at 0 itself: with zero
    weights every ReLU gradient is 0. The gradient of a weight for one input is dC/dz_l a_(l-1): its second moment is
    this ratio times E[a_(l-1)^2]. Raises ValueError for inconsistent lengths.
    """
    n_layers = len(activations) + 1
    if not len(layers_dims) - 1 == len(sigma_w2) == len(q) == n_layers:
        raise ValueError(
            f"{len(activations)} hidden layers require {n_layers + 1} widths and {n_layers} values of sigma_w2 "
            f"and of q, not {len(layers_dims)}, {len(sigma_w2)} and {len(q)}"
        )
    ratio = np.ones_like(q)
    for l in range(n_layers - 2, -1, -1):
        growth = sigma_w2[l + 1] * layers_dims[l + 2] / layers_dims[l + 1]
        ratio[l] = ratio[l + 1] * (growth * mean_squares(activations[l], q[l])[1])
    return ratio


def require_fixed(q: float, sigma_w2: float, sigma_b2: float, activation: Activation) -> None:
    """Raise ValueError unless q is a fixed point of the length map to a relative accuracy of 1e-6; 0 must be exact."""
    mapped = length_map(q, sigma_w2, sigma_b2, activation)
    if not abs(mapped - q) <= SETTLED * q:
        raise ValueError(f"q must be a fixed point, but {q} maps to {mapped}")


def depth_scale(growth: float) -> float:
    """-1 / log(growth): layers in which a difference with this factor per layer decreases by e; infinite at 1.

    Raises ValueError for a factor greater than 1.
    """
    if growth > 1.0 + NEAR_CRITICAL:
        raise ValueError(f"a depth scale requires a stable fixed point, but differences grow by {growth} per layer")
    if growth >= 1.0 - NEAR_CRITICAL:
        return math.inf
    return -1.0 / float(elementary.log(growth)) if growth > 0.0 else 0.0


def _gain(what: str, q: float, square: float) -> float:
    if not q > 0.0:
        raise ValueError(f"q must be greater than 0, not {q}")
    if not square > 0.0:
        raise ValueError(f"there is no gain, because E[{what}^2] is 0")
    return math.sqrt(q / square)


def _check(q: float, sigma_w2: float, sigma_b2: float) -> None:
    for name, value in [("q", q), ("sigma_w2", sigma_w2), ("sigma_b2", sigma_b2)]:
        _at_least_0(name, value)


def _at_least_0(name: str, value: float) -> None:
    if not 0.0 <= value < math.inf:
        raise ValueError(f"{name} must be at least 0 and finite, not {value}")
