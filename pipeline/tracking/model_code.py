"""The code that is stored with every model in MLflow and run by `mlflow.pyfunc.load_model`.

It depends on NumPy and MLflow only, not on this package, and unpickles nothing. It computes the activations and the
forward pass of pipeline/networks with NumPy's functions; the predicted classes are the same.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

Array = npt.NDArray[np.float64]

erf: Callable[[Array], Array] = np.vectorize(math.erf, otypes=[np.float64])


def sigmoid(z: Array) -> Array:
    """1 / (1 + e**-z), without overflow."""
    e = np.exp(-np.abs(z))
    return np.where(z < 0.0, e, 1.0) / (1.0 + e)


def elu(z: Array) -> Array:
    """z, or e**z - 1 where z <= 0."""
    return np.where(z > 0.0, z, np.expm1(np.minimum(z, 0.0)))


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": lambda z: np.maximum(z, 0.0),
    "leaky_relu": lambda z: np.where(z < 0.0, 0.01 * z, z),
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "linear": lambda z: z,
    "elu": elu,
    "selu": lambda z: np.where(z > 0.0, 1.0507009873554805, 1.7580993408473768) * elu(z),
    "gelu": lambda z: z * 0.5 * (1.0 + erf(z / math.sqrt(2.0))),
    "silu": lambda z: z * sigmoid(z),
    "softplus": lambda z: np.maximum(z, 0.0) + np.log1p(np.exp(-np.abs(z))),
    "hardtanh": lambda z: np.clip(z, -1.0, 1.0),
    "relu6": lambda z: np.clip(z, 0.0, 6.0),
    "hard_sigmoid": lambda z: np.clip(z + 3.0, 0.0, 6.0) / 6.0,
}


class Network(PythonModel):
    """Predicts the class of each sample; samples are rows with the columns x1, x2, ... of data/test.csv."""

    def load_context(self, context: Any) -> None:
        """Read W (n_l, n_{l-1}) and b (n_l, 1) of each layer and the activations of the hidden layers."""
        with np.load(context.artifacts["weights"], allow_pickle=False) as archive:
            layers = range(1, len(archive.files) // 2 + 1)  # the archive holds seeds, W1, b1, W2, b2, ...
            self.parameters = [(archive[f"W{l}"][0], archive[f"b{l}"][0]) for l in layers]
        self.activations = [ACTIVATIONS[name] for name in context.model_config["activations"]]

    def predict(self, context: Any, model_input: np.ndarray, params: Any = None) -> npt.NDArray[np.int64]:
        """Classes (m,) of samples (m, n_0), an array or a data frame."""
        A = np.asarray(model_input, dtype=np.float64).T
        for l, (W, b) in enumerate(self.parameters):
            Z = W @ A + b
            A = self.activations[l](Z) if l < len(self.activations) else Z
        if len(A) == 1:
            return (sigmoid(A[0]) > 0.5).astype(np.int64)
        labels: npt.NDArray[np.int64] = np.argmax(A, axis=0).astype(np.int64)
        return labels


set_model(Network())
