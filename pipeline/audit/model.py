"""The audit of a file or of an object of a framework: `audit`."""

import fnmatch
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.audit.command.numbers import listed
from pipeline.audit.command.text import text
from pipeline.audit.law_names import documented, law_of
from pipeline.audit.results import Audit
from pipeline.audit.run import JUDGED, audit_layers
from pipeline.config.messages import corrected, nearest
from pipeline.config.recipe_names import ALSO_CALLED
from pipeline.distributions.laws import BY_NAME, Fans
from pipeline.errors import UserError
from pipeline.model_files.files import read
from pipeline.model_files.layers import Layer, layers, trained
from pipeline.model_files.objects import from_object
from pipeline.model_files.tensors import Model
from pipeline.networks.activations import ACTIVATIONS

EXPECT = 'a text, such as "he_normal", or a mapping, such as {"*": "he_normal", "head": "zeros"}'
LEVEL = 0.01
DISTRIBUTION = "weight-initialization-laboratory"


class ModelAudit(Audit):
    """The audit of a model; `str` is the text that the command prints."""

    def __str__(self) -> str:
        return text(self)


def audit(
    model: Any, expect: str | Mapping[str, str] = "", activation: str = "", data: Any = None, level: float = LEVEL
) -> ModelAudit:
    """The audit of a file (a path) or of a live model of PyTorch, Keras, Flax or scikit-learn, or of arrays.

    `expect` is the initializer that was meant, by its name in the laboratory or in a framework ("he_normal",
    "kaiming_normal_"), or a mapping from layers' names, in which * stands for any characters, to initializers; for
    layers without one any documented initializer is right. `activation` is that of the hidden layers; `data` a batch of
    inputs (m, n_0), a pair of inputs and class numbers (m,), or a .npy or .npz file with X and maybe Y; `level` the
    probability of an alarm for a network that is initialized as expected. Raises UserError for a model that cannot be
    read and for invalid arguments.
    """
    if not isinstance(level, float) or not 0.0 < level < 1.0:
        raise UserError(f"level is {level!r}; it must be a number between 0 and 1.")
    if not isinstance(expect, str | Mapping):
        raise UserError(f"expect has the type {type(expect).__name__}; it must be {EXPECT}.")
    for name, law in expect.items() if isinstance(expect, Mapping) else ():
        if not isinstance(law, str):
            raise UserError(f"expect has the type {type(law).__name__} for {name!r}; it must be {EXPECT}.")
    activation = known_activation(activation)
    given = None if data is None else batch(data)
    opened = read(Path(model)) if isinstance(model, str | os.PathLike) else from_object(model)
    return audit_opened(opened, expect, activation, given, level)


@np.errstate(all="ignore")  # overflow of weights of 1e300 is a finding, not a warning
def audit_opened(
    opened: Model, expect: str | Mapping[str, str] = "", activation: str = "", given: Any = None, level: float = LEVEL
) -> ModelAudit:
    """The audit of a model that was read. `activation` and `given` are as `known_activation` and `batch` return them.

    Raises UserError for expectations and a batch that do not fit the model.
    """
    empty = [tensor.name for tensor in opened.tensors if 0 in tensor.shape]
    opened = replace(opened, tensors=[tensor for tensor in opened.tensors if 0 not in tensor.shape])
    found = layers(opened)
    try:
        result = audit_layers(
            found,
            source=opened.source,
            framework=opened.framework,
            expect=expectations(expect, found, opened.framework),
            activation=activation,
            data=given,
            level=level,
            trained=trained(opened),
        )
    except ImportError as error:
        raise UserError(f"a batch of data needs {error.name}: pip install '{DISTRIBUTION}[data]'.") from error
    fields = vars(result)
    return ModelAudit(
        **fields
        | {"notes": [*result.notes, *mistakes(result), *opened.notes, *(f"{name} has no values" for name in empty)]}
    )


def mistakes(audit: Audit) -> list[str]:
    """A note for each frequent mistake that explains layers without findings, and that no initializer draws."""
    layers: dict[str, list[str]] = {}
    for each in audit.layers:
        (law, *_) = documented([one.law for one in each.candidates], each.expected) or [""]
        if law in BY_NAME and not BY_NAME[law].documented and not each.findings:
            layers.setdefault(law, []).append(each.layer.name)
    return [f"{listed(names)}: {law}, which no initializer draws: a frequent mistake" for law, names in layers.items()]


def expectations(expect: str | Mapping[str, str], found: Sequence[Layer], framework: str) -> str | dict[str, str]:
    """The expected laws by their names in the catalogue, those of a mapping by the names of the layers that match.

    A later pattern of the mapping replaces an earlier one for the layers that both match. The pattern * stands for the
    layers to which an expectation for the whole network applies. Raises UserError for an unknown law, or a pattern
    that no layer matches.
    """
    if isinstance(expect, str):
        if expect:
            _require_variance([layer for layer in found if layer.kind in JUDGED], law_of(expect, framework))
        return law_of(expect, framework) if expect else ""
    names = [layer.name for layer in found]
    chosen: dict[str, str] = {}
    for pattern, name in expect.items():
        if pattern == "*":
            matching = [layer.name for layer in found if layer.kind in JUDGED]
        else:
            matching = [pattern] if pattern in names else fnmatch.filter(names, pattern)
            if not matching:
                known = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
                problem, close = f"expect names the layer {pattern!r}", nearest(pattern, names)
                raise UserError(corrected(problem, close, f"the layers are {known or 'none'}"))
        _require_variance([layer for layer in found if layer.name in matching], law_of(name, framework))
        chosen |= dict.fromkeys(matching, law_of(name, framework))
    return chosen


def _require_variance(found: Sequence[Layer], expected: str) -> None:
    """Raise UserError if the law has no variance for a layer: it is for recurrent ones."""
    if expected in BY_NAME:
        for layer in found:
            if not BY_NAME[expected].variance(Fans(layer.fan_in, layer.fan_out, layer.hidden_size)) > 0.0:
                raise UserError(f"expect is {expected} for the layer {layer.name}, but that is for recurrent layers.")


def known_activation(name: str) -> str:
    """The laboratory's name of an activation; "" for "". Raises UserError if it is unknown."""
    name = ALSO_CALLED.get(name, name)
    if name and name not in ACTIVATIONS:
        close = nearest(name, [*ACTIVATIONS, *ALSO_CALLED])
        problem, allowed = f"activation is {name!r}", f"it must be one of {', '.join(ACTIVATIONS)}"
        raise UserError(corrected(problem, ALSO_CALLED.get(close, close), allowed))
    return name


def batch(data: Any) -> NDArray[Any] | tuple[NDArray[Any], NDArray[Any]]:
    """Inputs (m, n_0), or a pair of inputs and class numbers (m,), from arrays or from a file. Raises UserError.

    Inputs of more axes, such as images, are flattened. Of several arrays in a .npz file X, and Y if there is one, are
    taken.
    """
    source = "data"
    if isinstance(data, str | os.PathLike):
        source, data = os.fspath(data), _arrays(Path(data))
    inputs, classes = data if isinstance(data, tuple) and len(data) == 2 else (data, None)
    X = _numbers(inputs, source)
    if X.ndim < 2 or X.size == 0:
        raise UserError(f"{source} has the shape {X.shape}; it must be (samples, inputs).")
    if not np.isfinite(X).all():
        raise UserError(f"{source} has NaN or infinity; it must hold finite numbers.")
    if len(X) < 2:
        raise UserError(f"{source} has 1 sample; it must have at least 2.")
    X = X.reshape(len(X), -1).astype(np.float64)
    return X if classes is None else (X, _numbers(classes, source))


def _numbers(values: Any, source: str) -> NDArray[Any]:
    try:
        array = np.asarray(values)
    except (ValueError, TypeError) as error:
        raise UserError(f"{source} is not an array: {error}.") from error
    if array.dtype.kind not in "fiub":
        raise UserError(f"{source} holds values of type {array.dtype}; it must hold numbers.")
    return array


def _arrays(path: Path) -> Any:
    """The array in a .npy file, or X, or (X, Y), of a .npz file."""
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return loaded
            names = {name.upper(): name for name in loaded}
            if len(names) == 1:
                return loaded[next(iter(names.values()))]
            if "X" not in names:
                found = ", ".join(names.values()) or "none"
                raise UserError(f"{path} has the arrays {found}; it must have one array, or one that is called X.")
            return (loaded[names["X"]], loaded[names["Y"]]) if "Y" in names else loaded[names["X"]]
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error
    except UserError:
        raise
    except Exception as error:  # a damaged archive raises zipfile.BadZipFile, zlib.error, and others
        raise UserError(f"{path} is not a .npy or .npz file of numbers, or is damaged.") from error
