"""The code that is stored with every model in MLflow and run by `mlflow.pyfunc.load_model`.

`content.model_source` joins it with the activations, so that it depends on NumPy and MLflow only, not on this package.
It unpickles nothing. The matrix products are NumPy's; the predicted classes are those of pipeline/networks.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

from pipeline.networks.activations import ACTIVATIONS
from pipeline.numerics.elementary import sigmoid

Array = npt.NDArray[np.float64]


class Network(PythonModel):
    """Predicts the class of each sample; samples are rows with the columns x1, x2, ... of data/test.csv."""

    def load_context(self, context: Any) -> None:
        """Read W (n_l, n_{l-1}) and b (n_l, 1) of each layer and the activations of the hidden layers."""
        with np.load(context.artifacts["weights"], allow_pickle=False) as archive:
            layers = range(1, len(archive.files) // 2 + 1)  # the archive holds seeds, W1, b1, W2, b2, ...
            self.parameters = [(archive[f"W{l}"][0], archive[f"b{l}"][0]) for l in layers]
        self.activations = [ACTIVATIONS[name].phi for name in context.model_config["activations"]]

    def predict(self, context: Any, model_input: np.ndarray, params: Any = None) -> npt.NDArray[np.int64]:
        """Classes (m,) of samples (m, n_0), an array or a data frame."""
        A = np.asarray(model_input, dtype=np.float64).T
        for l, (W, b) in enumerate(self.parameters):
            Z = W @ A + b
            A = self.activations[l](Z) if l < len(self.activations) else Z
        labels: npt.NDArray[np.int64] = sigmoid(A[0]) > 0.5 if len(A) == 1 else np.argmax(A, axis=0)
        return labels.astype(np.int64)


set_model(Network())
