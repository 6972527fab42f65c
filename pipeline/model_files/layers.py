"""The layers of a model: which arrays are weights, of which kind, in which layout, with which fans."""

from typing import Any, NamedTuple

from numpy.typing import NDArray

from pipeline.model_files.tensors import Model, Tensor


class Layer(NamedTuple):
    """Weights with their bias. Of a convolution, a unit is an output channel."""

    name: str  # the part of the names that weight and bias share, such as "features.0"
    kind: str  # "dense", "convolution", "embedding", "normalization", "recurrent" or "other"
    weight: Tensor
    bias: Tensor | None
    fan_in: int  # inputs of a unit: of a convolution, input channels of its group times the size of the kernel
    fan_out: int  # as the framework's initializers compute it: of a convolution, output channels times that size
    units: int
    layout: (
        str  # "out, in", "in, out", or "" if neither names nor neighbouring layers tell; then fan_in is the second axis
    )
    activation: str = ""  # of the layer's output, in the laboratory's name; "" if not known
    hidden_size: int = 0  # of a recurrent layer
    tied_to: str = ""  # the name of the earlier layer with the same storage

    def matrix(self) -> NDArray[Any]:
        """The weights (units, fan_in) in the format in which they are stored: a view of a memory map where possible."""
        raise NotImplementedError


def layers(model: Model) -> list[Layer]:
    """The layers of a model in their order."""
    raise NotImplementedError
