"""Every recipe: its distribution, its names in PyTorch, Keras and JAX, and its use.

From the source code of PyTorch 2.13, Keras 3 and JAX 0.10. If a framework has no name for a distribution, the call that
gives it is listed; empty if there is none. n_in and n_out are the fans of a layer.
`python -m pipeline.reporting.initializers_page` prints them as docs/initializers.md.
"""

import re
from typing import NamedTuple


class Row(NamedTuple):
    """A recipe, as a row of docs/initializers.md."""

    law: str
    pytorch: str
    keras: str
    jax: str
    use: str


def scaled(scale: str, mode: str, distribution: str) -> tuple[str, str]:
    """The calls of Keras and JAX for a distribution for which they have no name."""
    keras = {"normal": "untruncated_normal"}.get(distribution, distribution)
    return (
        f"`VarianceScaling({scale}, '{mode}', '{keras}')`",
        f"`variance_scaling({scale}, '{mode}', '{distribution}')`",
    )


FRAMEWORKS: dict[str, Row] = {
    "zeros": Row("W = 0", "`zeros_`", "`Zeros`", "`zeros`", "to show that training does not start"),
    "ones": Row("W = 1", "`ones_`", "`Ones`", "`ones`", "to show that the units of a layer stay equal"),
    "constant": Row(
        "W = value", "`constant_`", "`Constant`", "`constant`", "to show that the units of a layer stay equal"
    ),
    "uniform": Row(
        "W ~ U(low, high)",
        "`uniform_(a=low, b=high)`",
        "`RandomUniform(low, high)`",
        "`uniform(high)`, if low is 0",
        "a fixed range, independent of the width",
    ),
    "normal": Row(
        "W ~ N(0, std²)",
        "`normal_(std=std)`",
        "`RandomNormal(stddev=std)`",
        "`normal(std)`",
        "a fixed scale, independent of the width",
    ),
    "truncated_normal": Row(
        "W ~ N(0, std²) within [low std, high std]; variance 0.7737 std² for ±2",
        "`trunc_normal_(std=std, a=low*std, b=high*std)`",
        "`TruncatedNormal(stddev=std)`, for ±2",
        "`truncated_normal(std, lower=low, upper=high)`",
        "normal without outliers",
    ),
    "truncated_normal_absolute": Row(
        "W ~ N(mean, std²) within [low, high]",
        "`trunc_normal_(mean, std, a=low, b=high)`",
        "",
        "",
        "to compare with PyTorch code; ±2 cuts nothing off a small std",
    ),
    "variance_scaling": Row(
        "mean 0, variance scale / n, n = n_in, n_out, (n_in + n_out) / 2 or √(n_in n_out)",
        "",
        "`VarianceScaling`, without fan_geo_avg; its 'normal' is truncated",
        "`variance_scaling`",
        "any law below with another scale, mode or distribution",
    ),
    "he_normal": Row(
        "W ~ N(0, 2 / ((1 + negative_slope²) n_in)), or n_out",
        "`kaiming_normal_(a=negative_slope, mode=mode)`",
        *scaled("2/(1+negative_slope**2)", "fan_in", "normal"),
        "ReLU and leaky ReLU",
    ),
    "he_uniform": Row(
        "W ~ U(±√(6 / ((1 + negative_slope²) n_in))), or n_out",
        "`kaiming_uniform_(a=negative_slope, mode=mode)`",
        "`HeUniform`, for negative_slope 0",
        "`he_uniform`, for negative_slope 0",
        "ReLU and leaky ReLU",
    ),
    "he_truncated_normal": Row(
        "truncated at ±2 std, variance 2 / ((1 + negative_slope²) n_in), or n_out",
        "",
        "`HeNormal`, for negative_slope 0",
        "`he_normal`, for negative_slope 0",
        "ReLU and leaky ReLU, without outliers",
    ),
    "xavier_normal": Row(
        "W ~ N(0, 2 / (n_in + n_out))",
        "`xavier_normal_`",
        *scaled("1", "fan_avg", "normal"),
        "tanh and sigmoid",
    ),
    "xavier_uniform": Row(
        "W ~ U(±√(6 / (n_in + n_out)))",
        "`xavier_uniform_`",
        "`GlorotUniform`, the default of `Dense`",
        "`glorot_uniform`",
        "tanh and sigmoid",
    ),
    "xavier_truncated_normal": Row(
        "truncated at ±2 std, variance 2 / (n_in + n_out)",
        "",
        "`GlorotNormal`",
        "`glorot_normal`",
        "tanh and sigmoid, without outliers",
    ),
    "lecun_normal": Row(
        "W ~ N(0, 1 / n_in)",
        "`kaiming_normal_(nonlinearity='linear')`",
        *scaled("1", "fan_in", "normal"),
        "SELU; linear layers; the seed's Xavier for tanh",
    ),
    "lecun_uniform": Row(
        "W ~ U(±√(3 / n_in))",
        "`kaiming_uniform_(nonlinearity='linear')`",
        "`LecunUniform`",
        "`lecun_uniform`",
        "SELU; linear layers",
    ),
    "lecun_truncated_normal": Row(
        "truncated at ±2 std, variance 1 / n_in",
        "",
        "`LecunNormal`",
        "`lecun_normal`, the default of Flax's `Dense`",
        "SELU, without outliers",
    ),
    "pytorch_linear": Row(
        "W, b ~ U(±1 / √n_in)",
        "the default of `nn.Linear`",
        "",
        "",
        "to compare with PyTorch code that chooses nothing",
    ),
    "sklearn_mlp": Row(
        "W, b ~ U(±√(f / (n_in + n_out))), f = 2 for logistic units, else 6",
        "",
        "",
        "",
        "to compare with scikit-learn's `MLPClassifier`, whose rule it is",
    ),
    "orthogonal": Row(
        "orthonormal rows or columns; Haar",
        "`orthogonal_(gain)`",
        "`Orthogonal(gain)`",
        "`orthogonal(gain)`",
        "deep networks, with gain √2 for ReLU; recurrent ones",
    ),
    "identity": Row(
        "W = value I",
        "`eye_`, for value 1",
        "`Identity(value)`",
        "",
        "to pass the inputs on; units beyond the inputs are 0",
    ),
    "sparse": Row(
        "W ~ N(0, std²); ⌈sparsity n_out⌉ zeros in each column",
        "`sparse_(sparsity, std)`",
        "",
        "",
        "to compare with PyTorch code",
    ),
    "martens_sparse": Row(
        "N(0, std²) for n_connections inputs of each unit; 0 for the others",
        "",
        "",
        "",
        "a scale that does not depend on the width",
    ),
    "zero_init": Row(
        "ZerO: I*, or c I* H I* where the layer widens, H Hadamard's",
        "",
        "",
        "",
        "training without any randomness",
    ),
    "lsuv": Row(
        "orthonormal, then scaled until Z of the layer has variance 1 on the data",
        "",
        "",
        "",
        "any activation, if the data are at hand",
    ),
    "data_dependent": Row(
        "normal, then scaled and shifted until Z of each unit has mean β and variance 1 on the data",
        "",
        "",
        "",
        "inputs that are neither centred nor scaled",
    ),
    "looks_linear": Row(
        "[W −W; −W W], W orthonormal: a linear network at initialization",
        "",
        "",
        "",
        "very deep ReLU networks",
    ),
    "random_walk": Row(
        "W ~ N(0, g² / n_in), g = √2 exp(1.2 / (max(n_in, 6) − 2.4)) for ReLU, exp(1 / (2 n_in)) for linear layers",
        "",
        "",
        "",
        "deep and narrow ReLU networks",
    ),
    "critical_normal": Row(
        "W ~ N(0, σ_w² / n_in), b ~ N(0, σ_b²), at the edge of chaos of the activation",
        "",
        "",
        "",
        "very deep networks of any activation that has one",
    ),
}


def framework_names() -> dict[str, tuple[str, str]]:
    """The names of the recipes in PyTorch, Keras and JAX: {name: (recipe, framework)}.

    A name of several recipes or frameworks belongs to the first in FRAMEWORKS: `kaiming_normal_` is he_normal.
    """
    names: dict[str, tuple[str, str]] = {}
    for recipe, row in FRAMEWORKS.items():
        for framework, cell in (("PyTorch", row.pytorch), ("Keras", row.keras), ("JAX", row.jax)):
            if call := re.search(r"`([\w.]+)", cell):
                names.setdefault(call[1], (recipe, framework))
    return names
