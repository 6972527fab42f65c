"""What mean-field theory predicts of a network before its first step: signals, gradients, gains, the first loss. Pure.

The network is z_l = W_l a_(l-1) + b_l, a_l = phi(z_l), a_0 = x, with independent W_l of mean 0 and variance
sigma_w2 / fan_in and b_l of variance sigma_b2. In wide layers z_l is normal, of variance q_l = E[z_l^2]. The quadrature
is that of `criticality`, exact to rounding for a phi that is analytic but at 0 and its kinks. `correlation` follows two
inputs at once, and `finite_width` says what width adds.

With the functions of `activations` everything here has the same bits on every computer: + - * / sqrt and `elementary`,
in one order. Only `activation_of`, for other functions, is as good as NumPy and the function are.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pipeline.networks.activations import ACTIVATIONS, LEAK, Activation
from pipeline.networks.edge_of_chaos import (
    NODES,
    TINY,
    critical_point,
    kinks_of,
    mean_squares,
    normal_rule,
    second_moments,
)
from pipeline.numerics import elementary
from pipeline.numerics.sums import Array, lane_sum

Function = Callable[[Array], Array]

ROUGH = 1e-7  # halving the nodes changes the integral of an analytic function by the root of its error, far less
NEAR_CRITICAL = 1e-8  # a growth so close to 1 counts as 1: its depth scale is beyond 10^8 layers
SETTLED = 1e-6  # how well q must map onto itself, for constants that were typed in
Q_GRID = np.array([0.0] + [math.ldexp(m, k) for k in range(-40, 41) for m in (1.0, 1.5)])


class Moments(NamedTuple):
    """E[phi], E[phi^2], E[phi'] and E[phi'^2] at sqrt(q) z, z ~ N(0, 1)."""

    mean: float
    square: float
    slope: float
    slope_square: float


def expectation(f: Function, q: float = 1.0, kinks: Sequence[float] = ()) -> float:
    """E[f(sqrt(q) z)], z ~ N(0, 1), for q >= 0 and any f of arrays that is analytic but at 0 and `kinks`, where it may
    jump.

    Error about 1e-14 of E[|f|]. Raises ValueError if half of the nodes do not give the same: f has a kink elsewhere.
    """
    _at_least_0("q", q)
    z, weights = normal_rule(np.asarray(q), kinks)
    terms = weights * f(z)
    total = float(lane_sum(terms))
    if not abs(total - 2.0 * float(lane_sum(terms[::2]))) <= ROUGH * float(lane_sum(np.abs(terms))):
        where = " and ".join(["0", *(f"{kink:g}" for kink in kinks if kink != 0.0)])
        raise ValueError(f"the function must be finite, and smooth everywhere but at {where}; declare its other kinks")
    return total


def moments(activation: Activation, q: float = 1.0) -> Moments:
    """All four, for q >= 0; at q = 0 those of the slope are their limits, half the sum of both sides of a kink."""
    phi, slope, kinks = activation.phi, activation.slope, kinks_of(activation)
    near = q if q > 0.0 else TINY * TINY
    return Moments(
        expectation(phi, q, kinks),
        expectation(lambda z: phi(z) * phi(z), q, kinks),
        expectation(lambda z: slope(z, phi(z)), near, kinks),
        expectation(lambda z: slope(z, phi(z)) * slope(z, phi(z)), near, kinks),
    )


def activation_of(phi: Function, slope: Function | None = None, kinks: tuple[float, ...] = ()) -> Activation:
    """An activation of any function of arrays, and of its derivative `slope`; without it, of differences of order 8.

    The differences look away from 0, where phi may have a kink, and are good to about 1e-11 for functions that
    change over distances of 1. Raises ValueError if phi is not smooth but at 0 and `kinks`, if steps of half the size
    change the differences by more than 1e-8 (the error by 4e-11), if a kink elsewhere than at 0 comes without `slope`,
    or if E[phi'(z)] is not E[z phi(z)], as it must be.
    """
    name = getattr(phi, "__name__", "the function")
    if slope is None:
        if any(kinks):
            raise ValueError(f"{name} has a kink elsewhere than at 0: give the slope")
        if not np.all(np.abs(_differences(phi, NODES, 0.01) - _differences(phi, NODES, 0.005)) <= 1e-8):
            raise ValueError(f"{name} changes too fast for its slope to be found by differences: give the slope")
        activation = Activation(phi, lambda z, a: _differences(phi, z, 0.005), kinks)
    else:
        activation = Activation(phi, lambda z, a: slope(z), kinks)
    _, square, mean_slope, _ = moments(activation)
    if not abs(mean_slope - expectation(lambda z: z * phi(z), kinks=kinks)) <= 1e-9 * max(1.0, math.sqrt(square)):
        raise ValueError(f"slope must be the derivative of {name}, which must not jump: E[phi'(z)] is not E[z phi(z)]")
    return activation


def length_map(q: float, sigma_w2: float, sigma_b2: float, activation: Activation) -> float:
    """The variance of the next layer's pre-activations, sigma_w2 E[phi(sqrt(q) z)^2] + sigma_b2 (Poole et al. 2016)."""
    _check(q, sigma_w2, sigma_b2)
    return sigma_w2 * second_moments(activation, q)[0] + sigma_b2


def fixed_points(sigma_w2: float, sigma_b2: float, activation: Activation) -> list[float]:
    """All q* from 0 to 2^40 that map onto themselves and attract those on either side, in order (Poole et al. 2016).

    None: q grows without end, or every q stays as it is, as for ReLU at (2, 0). Of two within a factor of 1.5 with one
    that repels between them neither is found, and of those below 2^-40 but one.
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
    """sigma_w2 E[phi'(sqrt(q) z)^2], q >= 0, at q = 0 the limit: by this a gradient's second moment grows in a layer
    going down, and the squared distance of two close inputs going up (Poole et al. 2016; Schoenholz et al. 2017).

    At q* a network is ordered where it is below 1, and chaotic above.
    """
    _check(q, sigma_w2, 0.0)
    return sigma_w2 * moments(activation, q).slope_square


def xi_q(q: float, sigma_w2: float, sigma_b2: float, activation: Activation) -> float:
    """The number of layers in which a small |q_l - q*| shrinks by e (Schoenholz et al. 2017).

    -1 / log(chi_1 + sigma_w2 E[phi'' phi]), which is -1 / log |dq_(l+1) / dq_l| by an integration by parts; infinite
    where that is 1. Raises ValueError if q does not map onto itself to 1e-6, or repels.
    """
    require_fixed(q, sigma_w2, sigma_b2, activation)
    if q == 0.0:
        return depth_scale(chi_1(0.0, sigma_w2, activation))
    s = math.sqrt(q)

    def pull(z: Array) -> Array:
        a = activation.phi(z)
        return np.asarray(a * activation.slope(z, a) * z)

    return depth_scale(abs(sigma_w2 * expectation(pull, q, kinks_of(activation)) / (s * s)))


def edge_of_chaos(sigma_b2: Sequence[float], activation: Activation) -> Array:
    """Rows (sigma_w, sigma_b, q*), one for each sigma_b2, on which chi_1 = 1 (Hayou et al. 2019); shape (n, 3).

    Raises ValueError where there is no such point, as `criticality.critical_point` does: ReLU has only (sqrt 2, 0).
    """
    points = [critical_point(activation, float(variance)) for variance in sigma_b2]
    rows = [(math.sqrt(p.weight_variance), math.sqrt(v), p.q) for p, v in zip(points, sigma_b2, strict=True)]
    return np.array(rows).reshape(-1, 3)


def forward_gain(activation: Activation, q: float = 1.0) -> float:
    """g = sigma_w that keeps q > 0 without biases, g^2 E[phi(sqrt(q) z)^2] = q: for ReLU He's sqrt(2) (2015, eq. 10).

    Raises ValueError if phi is 0 wherever z is.
    """
    return _gain("phi", q, moments(activation, q).square)


def backward_gain(activation: Activation, q: float = 1.0) -> float:
    """g = sigma_w for which chi_1 is 1 at q > 0, g^2 E[phi'(sqrt(q) z)^2] = 1: for ReLU He's sqrt(2) (2015, eq. 14).

    In layers of one width it keeps gradients. Raises ValueError if phi' is 0 wherever z is.
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
    """(q*, chi_1) at each stable q* of layers with PyTorch's gain for this activation, and without biases.

    tanh is chaotic: (1.178480, 1.209831). Where every q stays as it is (relu, leaky_relu, linear) it stands at q = 1.
    """
    if name not in PYTORCH_GAINS:
        raise ValueError(f"PyTorch has a gain for {', '.join(PYTORCH_GAINS)}, and none for {name}")
    activation, sigma_w2 = ACTIVATIONS[name], PYTORCH_GAINS[name] * PYTORCH_GAINS[name]
    stable = fixed_points(sigma_w2, 0.0, activation)
    return [(q, chi_1(q, sigma_w2, activation)) for q in stable or [1.0]]


def predicted_signal(
    q0: ArrayLike, sigma_w2: Sequence[float], sigma_b2: Sequence[float], activations: Sequence[Activation]
) -> Array:
    """q_l = E[z_l^2] of the layers 1 ... L, from q0 = |x|^2 / n_0 of one input or of many: shape (L, *shape of q0).

    q_1 = sigma_w2 q0 + sigma_b2, then the length map (Poole et al. 2016); sigma_w2 is fan_in Var(W_l) >= 0, which for
    He is 2 and for Xavier 2 fan_in / (fan_in + fan_out). The L - 1 activations are those of the hidden layers. For
    data, average q_l over the inputs, not q0: only for piecewise linear phi without biases is that the same.
    """
    if not len(sigma_w2) == len(sigma_b2) == len(activations) + 1:
        raise ValueError(
            f"{len(activations)} hidden layers need {len(activations) + 1} of sigma_w2 and of sigma_b2, "
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
    """E[(dC/dz_l)^2] / E[(dC/dz_L)^2] of the layers 1 ... L at the q that `predicted_signal` gave, in its shape.

    Going down, layer l + 1 gives a factor n_(l+1) Var(W_(l+1)) E[phi'(z_l)^2], n_(l+1) being its fan_out (Schoenholz et
    al. 2017; for ReLU He et al. 2015, eq. 14), as if the weights going down were not those going up. layers_dims is
    n_0 ... n_L. A layer of signal 0 has phi's slope at 0 itself: with zero weights every ReLU gradient is 0.
    The gradient of a weight, for one input, is dC/dz_l a_(l-1): its second moment is this times E[a_(l-1)^2].
    """
    n_layers = len(activations) + 1
    if not len(layers_dims) - 1 == len(sigma_w2) == len(q) == n_layers:
        raise ValueError(
            f"{len(activations)} hidden layers need {n_layers + 1} widths and {n_layers} of sigma_w2 and of q, "
            f"not {len(layers_dims)}, {len(sigma_w2)} and {len(q)}"
        )
    ratio = np.ones_like(q)
    for l in range(n_layers - 2, -1, -1):
        growth = sigma_w2[l + 1] * layers_dims[l + 2] / layers_dims[l + 1]
        ratio[l] = ratio[l + 1] * (growth * mean_squares(activations[l], q[l])[1])
    return ratio


def require_fixed(q: float, sigma_w2: float, sigma_b2: float, activation: Activation) -> None:
    """Raises ValueError unless q maps onto itself to 1e-6 of its size, and 0 exactly."""
    mapped = length_map(q, sigma_w2, sigma_b2, activation)
    if not abs(mapped - q) <= SETTLED * q:
        raise ValueError(f"q must map onto itself, but {q} goes to {mapped}")


def depth_scale(growth: float) -> float:
    """-1 / log(growth): layers in which a difference that grows so shrinks by e; infinite for 1, ValueError beyond."""
    if growth > 1.0 + NEAR_CRITICAL:
        raise ValueError(f"a fixed point must attract to have a depth scale, but differences grow by {growth} a layer")
    if growth >= 1.0 - NEAR_CRITICAL:
        return math.inf
    return -1.0 / float(elementary.log(growth)) if growth > 0.0 else 0.0


def _differences(phi: Function, z: Array, step: float) -> Array:
    """phi'(z) by forward differences of order 8 on the side of z, steps in units of max(1, |z|)."""
    h = np.where(z < 0.0, -step, step) * np.maximum(np.abs(z), 1.0)
    total = phi(z) * (-761 / 280)  # -(1 + 1/2 + ... + 1/8)
    for k in range(1, 9):
        total = total + phi(z + k * h) * ((-1) ** (k + 1) * math.comb(8, k) / k)
    return np.asarray(total / h)


def _gain(what: str, q: float, square: float) -> float:
    if not q > 0.0:
        raise ValueError(f"q must be greater than 0, not {q}")
    if not square > 0.0:
        raise ValueError(f"no gain keeps what {what} makes 0")
    return math.sqrt(q / square)


def _check(q: float, sigma_w2: float, sigma_b2: float) -> None:
    for name, value in [("q", q), ("sigma_w2", sigma_w2), ("sigma_b2", sigma_b2)]:
        _at_least_0(name, value)


def _at_least_0(name: str, value: float) -> None:
    if not 0.0 <= value < math.inf:
        raise ValueError(f"{name} must be at least 0 and finite, not {value}")
