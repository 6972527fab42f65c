"""Models from objects of PyTorch, Keras, Flax, scikit-learn and NumPy: `from_object`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.errors import UserError
from pipeline.model_files import names
from pipeline.model_files.live.arrays import array_tensor, is_array, is_torch
from pipeline.model_files.live.keras_objects import from_keras, is_keras
from pipeline.model_files.live.torch_objects import from_module, is_module
from pipeline.model_files.tensors import Model, Module, has_weights, tensors_of

DEPTH = 60
NO_STEP = 1e-100  # learning rate of scikit-learn up to which the weights remain those that were drawn
ACCEPTED = (
    "a torch.nn.Module or its state_dict, a Keras model, parameters of Flax or an nnx module, a fitted MLPClassifier "
    "or MLPRegressor, a dictionary or list of arrays, or a list of (W, b)"
)


def from_object(model: Any) -> Model:
    """The arrays of a model in memory, without copies where the framework allows it. Raises UserError."""
    found = _from_object(model)
    if not has_weights(found):
        reason = f": {'; '.join(found.notes[:3])}" if found.notes else ""
        raise UserError(f"{type(model).__name__}: contains no weights{reason}")
    return found


def _from_object(model: Any) -> Model:
    kind = type(model).__name__
    if is_array(model):
        return _from_arrays(kind, "", [("W1", model)])
    if is_keras(model):  # with PyTorch as its backend also a torch.nn.Module
        return from_keras(model)
    if is_module(model):
        return from_module(model)
    if hasattr(model, "hidden_layer_sizes") and hasattr(model, "fit"):
        return _from_sklearn(model)
    if hasattr(model, "params") and hasattr(model, "opt_state"):  # Flax's TrainState
        found = _from_object(model.params)
        step = int(model.step)
        return Model(kind, found.framework, found.tensors, trained=f"step is {step}" if step else "", notes=found.notes)
    if isinstance(model, Mapping):
        return _from_mapping(model)
    if any(each.__module__.startswith("flax.nnx") for each in type(model).__mro__):
        return _from_nnx(model)
    if any(each.__module__.startswith("flax.linen") for each in type(model).__mro__):
        raise UserError(f"{kind}: a module of Flax holds no parameters; pass those of model.init(key, inputs)")
    if isinstance(model, Sequence) and not isinstance(model, str | bytes):
        return _from_sequence(model)
    raise UserError(f"{kind}: is no model that can be read; pass {ACCEPTED}, or the path of a file")


def _from_arrays(source: str, framework: str, arrays: list[tuple[str, Any]], **fields: Any) -> Model:
    notes: list[str] = []
    return Model(source, framework, tensors_of(arrays, array_tensor, notes), notes=notes, **fields)


def _from_sklearn(model: Any) -> Model:
    """The weights (in, out) of scikit-learn's multilayer perceptrons, which draws and trains them in `fit`."""
    kind = type(model).__name__
    if not hasattr(model, "coefs_"):
        raise UserError(
            f"{kind}: is not fitted: scikit-learn draws the weights in fit, and trains them; call fit first"
        )
    arrays: list[tuple[str, Any]] = []
    modules: dict[str, Module] = {}
    for i, (weight, bias) in enumerate(zip(model.coefs_, model.intercepts_, strict=True)):
        arrays += [(f"coefs_[{i}]", weight), (f"intercepts_[{i}]", bias)]
        last = i + 1 == len(model.coefs_)
        activation = getattr(model, "out_activation_", "") if last else model.activation
        modules[f"coefs_[{i}]"] = Module("Dense", names.activation(activation), bias=f"intercepts_[{i}]")
    steps = int(getattr(model, "n_iter_", 0) or 0)
    moved = model.solver == "lbfgs" or model.learning_rate_init > NO_STEP
    trained = f"fit has trained it for {steps} iteration{'s' * (steps != 1)}" if steps and moved else ""
    return _from_arrays(kind, "sklearn", arrays, modules=modules, trained=trained)


def _from_mapping(model: Mapping[Any, Any]) -> Model:
    """A state_dict of PyTorch, parameters of Flax, or a dictionary of arrays."""
    arrays = list(_nested(model, ()))
    if not arrays:
        raise UserError(f"{type(model).__name__}: contains no arrays; pass {ACCEPTED}")
    torch = any(is_torch(value) for _, value in arrays)
    joined = [(("." if torch else "/").join(path), value) for path, value in arrays]
    if torch:
        return _from_arrays("state_dict", "pytorch", joined)
    flax = any(path[-1] in ("kernel", "embedding", "scale") and len(path) > 1 for path, _ in arrays)
    joined = [(name.removeprefix("params/"), value) for name, value in joined]
    if flax:
        joined.sort(key=lambda pair: names.natural(pair[0]))
    return _from_arrays("parameters" if flax else "dictionary", "flax" if flax else "", joined)


def _nested(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The arrays in nested dictionaries and lists, with the keys that lead to them."""
    if len(path) > DEPTH:
        raise UserError(f"dictionary: is nested more than {DEPTH} levels deep")
    inner = getattr(value, "value", None)
    if is_array(inner) and not is_array(value):  # a variable of Flax
        yield path, inner
    elif is_array(value):
        yield path, value
    elif isinstance(value, Mapping):
        for key, child in value.items():
            yield from _nested(child, (*path, str(key)))
    elif isinstance(value, list | tuple):
        for i, child in enumerate(value):
            yield from _nested(child, (*path, str(i)))


def _from_nnx(model: Any) -> Model:
    """The variables of a module of flax.nnx."""
    arrays: list[tuple[str, Any]] = []
    modules: dict[str, Module] = {}
    pending: list[tuple[str, Any]] = [("", model)]
    seen: set[int] = set()
    while pending:
        name, item = pending.pop()
        classes = [each.__name__ for each in type(item).__mro__]
        if "Variable" in classes:
            value = item.get_value() if hasattr(item, "get_value") else item.value
            if is_array(value):
                arrays.append((name, value))
            continue
        if id(item) in seen or isinstance(item, str | bytes):
            continue
        seen.add(id(item))
        children: list[tuple[str, Any]] = []
        if isinstance(item, Mapping):
            children = [(str(key), child) for key, child in item.items()]
        elif isinstance(item, Sequence):
            children = [(str(i), child) for i, child in enumerate(item)]
        elif "Module" in classes:
            modules[name] = Module(type(item).__name__)
            children = [(key, child) for key, child in vars(item).items() if not key.startswith("_")]
        pending += [(f"{name}/{key}" if name else key, child) for key, child in reversed(children)]
    return _from_arrays(type(model).__name__, "flax", arrays, modules=modules)


def _from_sequence(model: Sequence[Any]) -> Model:
    """A list of arrays, or of pairs of a weight and a bias."""
    arrays: list[tuple[str, Any]] = []
    for i, item in enumerate(model):
        if is_array(item):
            arrays.append((f"arrays[{i}]", item))
        elif isinstance(item, Sequence) and len(item) in (1, 2) and all(is_array(each) for each in item):
            arrays += zip((f"W{i + 1}", f"b{i + 1}"), item, strict=False)
        else:
            raise UserError(f"{type(model).__name__}: its item {i} is {type(item).__name__}; pass {ACCEPTED}")
    return _from_arrays(f"{type(model).__name__} of arrays", "", arrays)
