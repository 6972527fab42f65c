"""The audit of a file or of an object of a framework: `audit`."""

import fnmatch
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.audit.command.text import text
from pipeline.audit.results import AS_INTENDED, Audit
from pipeline.audit.run import audit_layers
from pipeline.config.messages import hint, nearest, shown
from pipeline.errors import UserError
from pipeline.model_files.files import read
from pipeline.model_files.layers import Layer, layers
from pipeline.model_files.objects import from_object
from pipeline.networks.activations import ACTIVATIONS

ALSO_CALLED = {"identity": "linear", "logistic": "sigmoid", "swish": "silu"}  # activations, by other frameworks
LEVEL = 0.01


class ModelAudit(Audit):
    """The audit of a model; `str` is the text that the command prints."""

    @property
    def ok(self) -> bool:
        """Whether the model is initialized as intended."""
        return self.state == AS_INTENDED

    def __str__(self) -> str:
        return text(self)


def audit(
    model: Any,
    expect: str | Mapping[str, str] = "",
    activation: str = "",
    data: Any = None,
    level: float = LEVEL,
) -> ModelAudit:
    """The audit of a file (a path) or of a live model of PyTorch, Keras, Flax or scikit-learn, or of arrays.

    `expect` is the initializer that was meant, in the words of the laboratory or of a framework ("he_normal",
    "kaiming_normal_"), or a mapping from layers' names, in which * stands for any characters, to initializers; for
    layers without one any documented initializer is right. `activation` is that of the hidden layers; `data` a batch of
    inputs (m, n_0), or a .npy or .npz file with one; `level` the probability of an alarm for a network that is
    initialized as expected. Raises UserError for a model that cannot be read and for invalid arguments.
    """
    if not isinstance(level, float) or not 0.0 < level < 1.0:
        raise UserError(f"level is {level!r}; it must be a number between 0 and 1.")
    activation = known_activation(activation)
    is_path = isinstance(model, str | os.PathLike)
    opened = read(Path(model)) if is_path else from_object(model)
    found = layers(opened)
    X = None if data is None else batch(data)
    result = audit_layers(
        found,
        source=opened.source,
        framework=opened.framework,
        expect=expect if isinstance(expect, str) else by_layer(expect, found),
        activation=activation,
        data=X,
        level=level,
    )
    return ModelAudit(**vars(result))


def by_layer(expect: Mapping[str, str], found: Sequence[Layer]) -> dict[str, str]:
    """The expectations with patterns replaced by the names of the layers that match. Raises UserError if none does.

    A later pattern replaces an earlier one for the layers that both match.
    """
    names = [layer.name for layer in found]
    chosen: dict[str, str] = {}
    for pattern, law in expect.items():
        matching = [pattern] if pattern in names else fnmatch.filter(names, pattern)
        if not matching:
            known = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
            raise UserError(
                f"expect names the layer {pattern!r}; the layers are {known}{hint(nearest(pattern, names))}."
            )
        chosen |= dict.fromkeys(matching, law)
    return chosen


def known_activation(name: str) -> str:
    """The laboratory's name of an activation; "" for "". Raises UserError if it is unknown."""
    name = ALSO_CALLED.get(name, name)
    if name and name not in ACTIVATIONS:
        close = nearest(name, [*ACTIVATIONS, *ALSO_CALLED])
        raise UserError(f"activation is {name!r}; it must be one of {', '.join(ACTIVATIONS)}{hint(close)}.")
    return name


def batch(data: Any) -> NDArray[np.float64]:
    """A batch of inputs (m, n_0) from an array or from a .npy or .npz file with one. Raises UserError.

    Inputs of more axes, such as images, are flattened. Of several arrays in a file X is taken.
    """
    source = "data"
    if isinstance(data, str | os.PathLike):
        source, data = f"{os.fspath(data)}", _arrays(Path(data))
    try:
        X = np.asarray(data)
    except (ValueError, TypeError) as error:
        raise UserError(f"{source} is not an array: {error}.") from error
    if X.dtype.kind not in "fiub" or X.ndim < 2 or X.size == 0:
        raise UserError(
            f"{source} has the shape {X.shape} of {X.dtype}; it must hold numbers of the shape (samples, inputs)."
        )
    if not np.isfinite(X).all():
        raise UserError(f"{source} has NaN or infinity; it must hold finite numbers.")
    return X.reshape(len(X), -1).astype(np.float64)


def _arrays(path: Path) -> Any:
    """The array in a .npy file, or the one or X in a .npz file."""
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return loaded
            names = list(loaded)
            name = names[0] if len(names) == 1 else next((name for name in names if name in ("X", "x")), "")
            if not name:
                raise UserError(
                    f"{path} has the arrays {shown(names)}; it must have one array, or one that is called X."
                )
            return loaded[name]
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, EOFError, KeyError) as error:
        raise UserError(f"{path} is not a .npy or .npz file of numbers, or is damaged.") from error
    except Exception as error:  # zipfile.BadZipFile and what else a damaged archive raises
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path} is not a .npy or .npz file of numbers, or is damaged.") from error
