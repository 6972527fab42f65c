"""Modules and state_dicts of PyTorch."""

from collections.abc import Iterator
from typing import Any

from pipeline.model_files import names
from pipeline.model_files.live.arrays import array_tensor, is_torch
from pipeline.model_files.tensors import Model, Module, tensors_of

WRAPPERS = ("DataParallel", "DistributedDataParallel", "FullyShardedDataParallel")


def is_module(model: Any) -> bool:
    """Whether an object is a module of PyTorch."""
    return all(callable(getattr(model, name, None)) for name in ("named_modules", "state_dict", "named_parameters"))


def from_module(model: Any) -> Model:
    """The parameters and buffers of a module, with what its submodules determine."""
    while (inner := _unwrapped(model)) is not None:
        model = inner
    notes: list[str] = []
    state = list(model.state_dict().items())
    tensors = tensors_of((pair for pair in state if is_torch(pair[1])), array_tensor, notes)
    packed = (name.split("._packed_params") for name, value in state if not is_torch(value))
    notes += [f"{own} is quantized and left out" for own, *of_layer in packed if of_layer]
    modules = dict(_modules(model))
    return Model(type(model).__name__, "pytorch", tensors, modules, notes=list(dict.fromkeys(notes)))


def _unwrapped(model: Any) -> Any:
    if type(model).__name__ in WRAPPERS:
        return getattr(model, "module", None)
    return getattr(model, "_orig_mod", None)  # of torch.compile


def _modules(model: Any) -> Iterator[tuple[str, Module]]:
    every = list(model.named_modules())
    activations: dict[str, str] = {}
    for name, module in every:
        if _is_sequential(module):
            chain = list(_chain(name, module))
            for i, (own, _) in enumerate(chain):
                activations.setdefault(own, _following([each for _, each in chain[i + 1 :]]))
        elif _kind(module).startswith("Transformer") and hasattr(module, "linear1"):
            function = getattr(module, "activation", None)
            activations[f"{name}.linear1" if name else "linear1"] = names.activation(
                getattr(function, "__name__", type(function).__name__)
            )
    for name, module in every:
        kind = _kind(module)
        groups = getattr(module, "groups", 1)
        layout = "in, out" if kind == "Conv1D" else ""  # of transformers, beside Conv1d of PyTorch
        activation = activations.get(name, "")
        yield name, Module(kind, activation, groups if type(groups) is int and groups > 0 else 1, layout=layout)


def _kind(module: Any) -> str:
    """The class of PyTorch from which a module derives; its own class if that is `Module` only."""
    classes = [
        each for each in type(module).__mro__ if each.__module__.startswith("torch.") and each.__name__ != "Module"
    ]
    return classes[0].__name__ if classes else type(module).__name__


def _is_sequential(module: Any) -> bool:
    return any(each.__name__ == "Sequential" for each in type(module).__mro__)


def _chain(name: str, module: Any) -> Iterator[tuple[str, Any]]:
    """The modules that a Sequential calls one after another, with their names, through inner Sequentials."""
    for own, child in module.named_children():
        full = f"{name}.{own}" if name else own
        if _is_sequential(child):
            yield from _chain(full, child)
        else:
            yield full, child


def _following(after: list[Any]) -> str:
    """The activation among the modules after a layer; "linear" if another layer with weights comes first."""
    for module in after:
        kind = _kind(module)
        if names.BETWEEN.search(kind):
            continue
        return names.activation(kind) or ("linear" if names.kind_of(kind) in ("dense", "convolution") else "")
    return ""
