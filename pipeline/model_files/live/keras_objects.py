"""Models and layers of Keras."""

from typing import Any

from pipeline.errors import UserError
from pipeline.model_files import names
from pipeline.model_files.formats import keras_config
from pipeline.model_files.live.arrays import array_tensor
from pipeline.model_files.tensors import Model, Module, tensors_of


def is_keras(model: Any) -> bool:
    """Whether an object is a model or a layer of Keras."""
    return hasattr(model, "weights") and hasattr(model, "get_weights") and hasattr(model, "trainable")


def from_keras(model: Any) -> Model:
    """The variables of a Keras model, with what its layers determine. Raises UserError if it is not built."""
    name = type(model).__name__
    if not model.weights:
        raise UserError(
            f"{name}: has no weights yet; build it: model.build(input_shape), or call it on a batch of data"
        )
    classes = _configured(model)
    notes: list[str] = []
    modules: dict[str, Module] = {}
    variables: dict[int, tuple[str, Any]] = {}
    for layer in [*_layers(model), model]:
        modules.setdefault(layer.name, classes.get(layer.name) or Module(type(layer).__name__, _own_activation(layer)))
        for variable in layer.weights:
            values = variable.numpy() if hasattr(variable, "numpy") else variable
            variables.setdefault(id(variable), (_name(layer.name, variable), values))
    tensors = tensors_of(variables.values(), array_tensor, notes)
    optimizer = getattr(model, "optimizer", None)
    steps = int(getattr(optimizer, "iterations", 0))
    trained = f"its optimizer has made {steps} steps" if steps else ""
    return Model(name, "keras", tensors, modules, trained, notes)


def _layers(model: Any) -> list[Any]:
    """The layers of a model, those of nested models in place of these."""
    found: list[Any] = []
    for layer in getattr(model, "layers", None) or []:
        found += _layers(layer) if getattr(layer, "layers", None) else [layer]
    return found


def _configured(model: Any) -> dict[str, Module]:
    """The modules in the model's configuration by layer name; none for models without one."""
    try:
        config = {"class_name": type(model).__name__, "config": model.get_config()}
        return {each.name: each.module for each in keras_config.layers(config)}
    except Exception:  # a subclass without get_config raises what it likes
        return {}


def _own_activation(layer: Any) -> str:
    """The activation that a layer applies itself; "" if it applies none, and another layer may follow."""
    name = names.activation(getattr(getattr(layer, "activation", None), "__name__", ""))
    return "" if name == "linear" else name


def _name(layer: str, variable: Any) -> str:
    """The name of a variable, beginning with its layer's."""
    path = str(getattr(variable, "path", "") or variable.name).removesuffix(":0")
    _, found, own = f"/{path}".partition(f"/{layer}/")
    return f"{layer}/{own if found else path}"
