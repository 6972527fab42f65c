"""Compare the initializers with those of PyTorch and JAX: equal distributions, or equal numbers if deterministic.

Run by `make benchmark`, in an environment with both libraries; exits with 1 if a distribution differs.
"""

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats

from pipeline.initializers.layerwise import RECIPES

FAN_OUT, FAN_IN = 300, 400
LEVEL = 1e-4  # of significance, for the two-sample Kolmogorov-Smirnov test

# recipe, settings, and the call of the framework that fills or returns the matrix
PYTORCH: list[tuple[str, dict[str, Any], Callable[[Any, Any], Any]]] = [
    ("uniform", {"low": -0.3, "high": 0.5}, lambda init, W: init.uniform_(W, -0.3, 0.5)),
    ("normal", {"std": 0.3}, lambda init, W: init.normal_(W, std=0.3)),
    ("truncated_normal_absolute", {"std": 1.5}, lambda init, W: init.trunc_normal_(W, std=1.5)),
    ("he_normal", {"negative_slope": 0.3}, lambda init, W: init.kaiming_normal_(W, a=0.3)),
    ("he_normal", {"mode": "fan_out"}, lambda init, W: init.kaiming_normal_(W, mode="fan_out")),
    ("he_uniform", {}, lambda init, W: init.kaiming_uniform_(W)),
    ("xavier_normal", {}, lambda init, W: init.xavier_normal_(W)),
    ("xavier_uniform", {}, lambda init, W: init.xavier_uniform_(W)),
    ("lecun_normal", {}, lambda init, W: init.kaiming_normal_(W, nonlinearity="linear")),
    ("orthogonal", {}, lambda init, W: init.orthogonal_(W)),
    ("sparse", {"sparsity": 0.9, "std": 0.2}, lambda init, W: init.sparse_(W, sparsity=0.9, std=0.2)),
    ("zeros", {}, lambda init, W: init.zeros_(W)),
    ("ones", {}, lambda init, W: init.ones_(W)),
    ("constant", {"value": 0.5}, lambda init, W: init.constant_(W, 0.5)),
    ("identity", {}, lambda init, W: init.eye_(W)),
]
JAX: list[tuple[str, dict[str, Any], Callable[[Any], Any]]] = [
    ("truncated_normal", {"std": 0.3}, lambda init: init.truncated_normal(0.3)),
    ("he_truncated_normal", {}, lambda init: init.he_normal()),
    ("he_uniform", {}, lambda init: init.he_uniform()),
    ("xavier_truncated_normal", {}, lambda init: init.glorot_normal()),
    ("xavier_uniform", {}, lambda init: init.glorot_uniform()),
    ("lecun_truncated_normal", {}, lambda init: init.lecun_normal()),
    ("lecun_uniform", {}, lambda init: init.lecun_uniform()),
    ("orthogonal", {}, lambda init: init.orthogonal()),
    (
        "variance_scaling",
        {"scale": 3.0, "mode": "fan_geo_avg", "distribution": "uniform"},
        lambda init: init.variance_scaling(3.0, "fan_geo_avg", "uniform"),
    ),
]


def theirs() -> list[tuple[str, str, dict[str, Any], Any]]:
    """[(framework, recipe, settings, matrix (fan_out, fan_in)), ...] from each installed framework."""
    found: list[tuple[str, str, dict[str, Any], Any]] = []
    try:
        import torch

        torch.manual_seed(0)
        for name, settings, fill in PYTORCH:
            W = torch.empty(FAN_OUT, FAN_IN, dtype=torch.float64)
            fill(torch.nn.init, W)
            found.append(("PyTorch", name, settings, W.numpy()))
        linear = torch.nn.Linear(FAN_IN, FAN_OUT, dtype=torch.float64)
        found.append(("PyTorch", "pytorch_linear", {}, linear.weight.detach().numpy()))
    except ImportError:
        print("PyTorch is not installed.")
    try:
        import jax

        jax.config.update("jax_enable_x64", True)
        for number, (name, settings, make) in enumerate(JAX):
            drawn = make(jax.nn.initializers)(jax.random.key(number), (FAN_IN, FAN_OUT), "float64")
            found.append(("JAX", name, settings, np.asarray(drawn).T))
    except ImportError:
        print("JAX is not installed.")
    return found


def main() -> int:
    """Print one line per comparison; returns 1 if a distribution differs, else 0."""
    differ = 0
    for framework, name, settings, W in theirs():
        ours = RECIPES[name].factory(**settings)(np.random.RandomState(0), FAN_OUT, FAN_IN)
        ours = ours[0] if isinstance(ours, tuple) else ours
        if len(np.unique(ours)) < 3:  # deterministic
            same, result = bool((ours == W).all()), "equal numbers" if (ours == W).all() else "different numbers"
        else:
            p = stats.ks_2samp(ours.ravel(), W.ravel()).pvalue
            same, result = p > LEVEL, f"p = {p:.3f}, variance {W.var() / ours.var():.4f} of ours"
        differ += not same
        given = ", ".join(f"{key}={value}" for key, value in settings.items())
        print(f"{framework:8} {name}({given}): {result}{'' if same else ' - DIFFERENT DISTRIBUTION'}")
    standard_error = math.sqrt(2 * 2 / (FAN_OUT * FAN_IN))
    print(f"Three standard errors of a variance ratio: {3 * standard_error:.3f}; {differ} distributions differ.")
    return int(differ > 0)


if __name__ == "__main__":
    sys.exit(main())
