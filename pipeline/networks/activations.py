"""Activation functions phi and their derivatives, registered in ACTIVATIONS.

Like the functions of `elementary`, from which they are composed, they accept NumPy arrays and the kernel's vectors. A
derivative computed from a = phi(z) costs almost nothing, but its error of about 1e-15 is absolute, not relative. A
derivative that needs functions of z repeats the expressions of its phi, and the compiler evaluates them once; the
kernel then keeps it beside a, otherwise only a.
"""

from collections.abc import Callable
from typing import NamedTuple

from pipeline.numerics.elementary import (
    Operand,
    exp_of_negative,
    expm1,
    normal_cdf,
    normal_pdf,
    select,
    sigmoid,
    softplus,
    tanh,
)

LEAK = 0.01
RELU6_TOP = 6.0
HARD_SIGMOID_EDGE = 3.0
SELU_SCALE = 1.0507009873554805  # lambda of Klambauer et al. 2017; alpha is 1.6732632423543772
SELU_NEGATIVE = 1.7580993408473768  # lambda alpha


def relu(z: Operand) -> Operand:
    """max(0, z); NaN for NaN."""
    return select(z < 0.0, 0.0, z)


def relu_slope(z: Operand, a: Operand) -> Operand:
    """1 where z > 0, else 0; a > 0 in the same places."""
    return select(a > 0.0, 1.0, 0.0)


def leaky_relu(z: Operand) -> Operand:
    """z, or 0.01 z where z < 0 (Maas et al. 2013; the default slope of PyTorch and JAX)."""
    return select(z < 0.0, z * LEAK, z)


def leaky_relu_slope(z: Operand, a: Operand) -> Operand:
    """1 where z > 0, else 0.01; at z = 0 this agrees with PyTorch, while JAX has 1."""
    return select(a > 0.0, 1.0, LEAK)


def tanh_slope(z: Operand, a: Operand) -> Operand:
    """1 - tanh(z)**2, from a = tanh(z)."""
    return 1.0 - a * a


def sigmoid_slope(z: Operand, a: Operand) -> Operand:
    """sigmoid(z) (1 - sigmoid(z)), from a = sigmoid(z)."""
    return a * (1.0 - a)


def linear(z: Operand) -> Operand:
    """z: a deep linear network is a product of matrices (Saxe et al. 2014)."""
    return z


def linear_slope(z: Operand, a: Operand) -> Operand:
    """1, with the shape of a."""
    return select(a > 0.0, 1.0, 1.0)


def elu(z: Operand) -> Operand:
    """z, or e**z - 1 where z <= 0 (Clevert et al. 2016, alpha = 1)."""
    return select(z > 0.0, z, expm1(z))


def elu_slope(z: Operand, a: Operand) -> Operand:
    """1, or e**z where z <= 0, from a = e**z - 1."""
    return select(a > 0.0, 1.0, a + 1.0)


def selu(z: Operand) -> Operand:
    """lambda z, or lambda alpha (e**z - 1) where z <= 0 (Klambauer et al. 2017): preserves mean 0, variance 1."""
    return select(z > 0.0, SELU_SCALE, SELU_NEGATIVE) * elu(z)


def selu_slope(z: Operand, a: Operand) -> Operand:
    """lambda, or lambda alpha e**z where z <= 0, from a = lambda alpha (e**z - 1)."""
    return select(a > 0.0, SELU_SCALE, a + SELU_NEGATIVE)


def gelu(z: Operand) -> Operand:
    """z Phi(z), Phi being the distribution function of N(0, 1) (Hendrycks & Gimpel 2016).

    The exact definition, PyTorch's default; JAX's default is an approximation by tanh that differs by up to 5e-4.
    """
    return select(z < -40.0, -40.0, z) * normal_cdf(z)  # Phi is 0 below -39, and 0 * inf is NaN


def gelu_slope(z: Operand, a: Operand) -> Operand:
    """Phi(z) + z Phi'(z)."""
    y = select(z < -40.0, -40.0, select(z > 40.0, 40.0, z))  # where Phi'(z) is 0
    return normal_cdf(z) + y * normal_pdf(z)


def silu(z: Operand) -> Operand:
    """z sigmoid(z) (Hendrycks & Gimpel 2016; Ramachandran et al. 2017 as "swish")."""
    return select(z < -750.0, -750.0, z) * sigmoid(z)  # the sigmoid is 0 below -746, and 0 * inf is NaN


def silu_slope(z: Operand, a: Operand) -> Operand:
    """s + z s (1 - s) with s = sigmoid(z).

    With e = e**-|z| this is (1 + e + z e) / (1 + e)**2 for z >= 0 and (e (1 + e) + z e) / (1 + e)**2 for z < 0.
    """
    e = exp_of_negative(-abs(z))
    y = select(z < -750.0, -750.0, select(z > 750.0, 750.0, z))  # where e is 0
    return (select(z < 0.0, e, 1.0) * (e + 1.0) + y * e) / ((e + 1.0) * (e + 1.0))


def softplus_slope(z: Operand, a: Operand) -> Operand:
    """sigmoid(z)."""
    return sigmoid(z)


def hardtanh(z: Operand) -> Operand:
    """z clipped to [-1, 1] (Collobert 2004); NaN for NaN."""
    return select(z < -1.0, -1.0, select(z > 1.0, 1.0, z))


def hardtanh_slope(z: Operand, a: Operand) -> Operand:
    """1 where -1 < z < 1, else 0; at z = -1 and 1 it is 0, as in PyTorch."""
    return select(a > -1.0, select(a < 1.0, 1.0, 0.0), 0.0)


def relu6(z: Operand) -> Operand:
    """min(max(0, z), 6) (Krizhevsky 2010); NaN for NaN."""
    return select(z < 0.0, 0.0, select(z > RELU6_TOP, RELU6_TOP, z))


def relu6_slope(z: Operand, a: Operand) -> Operand:
    """1 where 0 < z < 6, else 0; at z = 0 and 6 it is 0, as in PyTorch."""
    return select(a > 0.0, select(a < RELU6_TOP, 1.0, 0.0), 0.0)


def hard_sigmoid(z: Operand) -> Operand:
    """relu6(z + 3) / 6, which is z / 6 + 1 / 2 within [-3, 3], as in PyTorch, JAX and Keras 3.

    Keras 2 used 0.2 z + 0.5 within [-2.5, 2.5].
    """
    return select(z < -HARD_SIGMOID_EDGE, 0.0, select(z > HARD_SIGMOID_EDGE, 1.0, (z + HARD_SIGMOID_EDGE) / RELU6_TOP))


def hard_sigmoid_slope(z: Operand, a: Operand) -> Operand:
    """1 / 6 where -3 < z < 3, else 0; at z = -3 and 3 it is 0, as in PyTorch."""
    return select(z > -HARD_SIGMOID_EDGE, select(z < HARD_SIGMOID_EDGE, 1.0 / RELU6_TOP, 0.0), 0.0)


class Activation(NamedTuple):
    """An activation function, its derivative, and the properties that mean-field theory depends on."""

    phi: Callable[[Operand], Operand]
    slope: Callable[[Operand, Operand], Operand]  # phi'(z), from z and a = phi(z)
    kinks: tuple[float, ...] = ()  # points where phi is continuous but not analytic
    without_theory: str = ""  # the reason if `theory` does not cover the activation
    slope_needs_z: bool = False  # False: the slope does not depend on its argument z, only on a

    @property
    def name(self) -> str:
        """The name of the function phi, for messages."""
        return getattr(self.phi, "__name__", "the activation")


ACTIVATIONS: dict[str, Activation] = {
    "relu": Activation(relu, relu_slope, kinks=(0.0,)),
    "leaky_relu": Activation(leaky_relu, leaky_relu_slope, kinks=(0.0,)),
    "tanh": Activation(tanh, tanh_slope),
    "sigmoid": Activation(sigmoid, sigmoid_slope),
    "linear": Activation(linear, linear_slope),
    "elu": Activation(elu, elu_slope, kinks=(0.0,)),
    "selu": Activation(selu, selu_slope, kinks=(0.0,)),
    "gelu": Activation(gelu, gelu_slope, slope_needs_z=True),
    "silu": Activation(silu, silu_slope, slope_needs_z=True),
    "softplus": Activation(softplus, softplus_slope, slope_needs_z=True),
    "hardtanh": Activation(hardtanh, hardtanh_slope, kinks=(-1.0, 1.0)),
    "relu6": Activation(relu6, relu6_slope, kinks=(0.0, RELU6_TOP)),
    "hard_sigmoid": Activation(
        hard_sigmoid, hard_sigmoid_slope, kinks=(-HARD_SIGMOID_EDGE, HARD_SIGMOID_EDGE), slope_needs_z=True
    ),
}
