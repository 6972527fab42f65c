"""Kinds, fans, layouts and activations of layers, beside what the frameworks' documentation says of their modules."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.model_files.files import read
from pipeline.model_files.layers import Layer, layers, trained
from pipeline.model_files.names import ACTIVATIONS, natural
from pipeline.model_files.objects import from_object
from pipeline.model_files.tensors import Model, Module, Tensor
from pipeline.networks import activations
from tests.model_files.fuzz import FILES

# Name, kind, (fan_in, fan_out), units, layout, activation of each layer with weights but normalization. Fans as the
# initializers compute them: torch.nn.init._calculate_fan_in_and_fan_out of (out, in, kernel), keras.initializers'
# compute_fans and jax.nn.initializers' of (kernel, in, out).
D, C, R, E, O = "dense", "convolution", "recurrent", "embedding", "other"
OUT, IN = "out, in", "in, out"
TORCH_CNN = [
    ("features.0", C, (27, 72), 8, OUT, "relu"),
    ("features.3", C, (18, 72), 8, OUT, "gelu"),  # 8 channels in 4 groups: 2 x 3 x 3 inputs of a unit
    ("features.5", C, (8, 6), 6, OUT, ""),
    ("up", C, (16, 24), 4, "in, out, kernel", ""),  # transposed, (6, 4, 2, 2)
    ("signal", C, (12, 15), 5, OUT, ""),
    ("head", D, (5, 2), 2, OUT, ""),
]
LANGUAGE = [
    ("position", O, (8, 5), 5, "", ""),
    ("embedding", E, (8, 11), 11, OUT, ""),
    ("block.self_attn.in_proj_weight", D, (8, 24), 24, OUT, ""),
    ("block.self_attn.out_proj", D, (8, 8), 8, OUT, ""),
    ("block.linear1", D, (8, 16), 16, OUT, "gelu"),
    ("block.linear2", D, (16, 8), 8, OUT, ""),
    ("rnn.weight_ih_l0", R, (8, 24), 24, OUT, ""),
    ("rnn.weight_hh_l0", R, (6, 24), 24, OUT, ""),
    ("rnn.weight_ih_l0_reverse", R, (8, 24), 24, OUT, ""),
    ("rnn.weight_hh_l0_reverse", R, (6, 24), 24, OUT, ""),
    ("normed", D, (12, 8), 8, OUT, ""),  # weight normalization: the direction is the weight
    ("head", D, (8, 11), 11, OUT, ""),
]
LAYERS = {
    "torch_mlp.pt": [("0", D, (12, 20), 20, OUT, ""), ("2", D, (20, 20), 20, OUT, ""), ("5", D, (20, 3), 3, OUT, "")],
    "torch_cnn.pt": [(*layer[:5], "") for layer in TORCH_CNN],
    "cnn.npz": [(*layer[:5], "") for layer in TORCH_CNN],
    "cnn.onnx": TORCH_CNN,
    "tokens.onnx": [  # (in, out) where the exporter transposed, (directions, out, in) of recurrent layers
        ("embedding", E, (8, 11), 11, OUT, ""),
        ("onnx::MatMul_103", D, (8, 12), 12, IN, "silu"),
        ("onnx::MatMul_104", D, (12, 6), 6, IN, ""),
        ("onnx::GRU_122", R, (6, 15), 15, OUT, ""),
        ("onnx::GRU_123", R, (5, 15), 15, OUT, ""),
        ("head", D, (5, 2), 2, OUT, ""),
    ],
    "torch_language.pt": [(*layer[:5], "") for layer in LANGUAGE],
    "torch_legacy.pt": [(*layer[:5], "") for layer in LANGUAGE],
    "keras_cnn.keras": [
        ("first", C, (27, 36), 4, IN, "relu"),
        ("depthwise_conv2d", C, (36, 18), 8, IN, "tanh"),  # (3, 3, 4, 2): 9 inputs of a unit, but Keras computes 36
        ("separable_conv2d/depthwise_kernel", C, (32, 4), 8, IN, ""),
        ("separable_conv2d/pointwise_kernel", C, (8, 5), 5, IN, "gelu"),
        ("conv2d_transpose", C, (12, 20), 3, "kernel, out, in", "linear"),
        ("dense", D, (3, 6), 6, IN, "selu"),
        ("dense_1", D, (6, 2), 2, IN, "linear"),
    ],
    "keras_small.h5": [
        ("first", C, (9, 12), 4, IN, "silu"),
        ("dense_2", D, (16, 7), 7, IN, "elu"),
        ("dense_3", D, (7, 2), 2, IN, "linear"),
    ],
    "keras_small.weights.h5": [
        ("first", C, (9, 12), 4, IN, ""),
        ("dense_2", D, (16, 7), 7, IN, ""),
        ("dense_3", D, (7, 2), 2, IN, ""),
    ],
    "keras_rnn.keras": [
        ("embedding", E, (10, 4), 10, OUT, ""),
        *(
            # (4, 2, 3), of 4 inputs, but Keras computes fans as of a convolution of length 4
            (f"multi_head_attention/{name}", D, fans, units, IN, "")
            for name, fans, units in (
                ("key", (8, 12), 6),
                ("attention_output", (6, 8), 4),
                ("query", (8, 12), 6),
                ("value", (8, 12), 6),
            )
        ),
        ("bidirectional/backward_gru/gru_cell", R, (4, 9), 9, IN, ""),
        ("bidirectional/backward_gru/gru_cell/recurrent_kernel", R, (3, 9), 9, IN, ""),
        ("bidirectional/forward_gru/gru_cell", R, (4, 9), 9, IN, ""),
        ("bidirectional/forward_gru/gru_cell/recurrent_kernel", R, (3, 9), 9, IN, ""),
        ("lstm/lstm_cell", R, (6, 20), 20, IN, ""),
        ("lstm/lstm_cell/recurrent_kernel", R, (5, 20), 20, IN, ""),
        ("dense_4", D, (5, 2), 2, IN, "softplus"),
    ],
    "flax_linen.msgpack": [
        ("ConvTranspose_0", C, (32, 12), 3, IN, ""),  # stored as that of a convolution
        ("Conv_0", C, (27, 36), 4, IN, ""),
        ("Conv_1", C, (9, 72), 8, IN, ""),  # of 4 groups
        ("Dense_0", D, (5, 2), 2, IN, ""),
        ("Embed_0", E, (3, 7), 7, OUT, ""),
        *((f"GRUCell_0/{gate}", R, (n, 5), 5, IN, "") for gate, n in (("hn", 5), ("hr", 5), ("hz", 5), ("in", 3), ("ir", 3), ("iz", 3))),
        *((f"MultiHeadDotProductAttention_0/{name}", D, (n, m), m, IN, "") for name, n, m in (("key", 3, 6), ("out", 6, 3), ("query", 3, 6), ("value", 3, 6))),
    ],
    "flax_nnx.msgpack": [("head", D, (8, 3), 3, IN, ""), ("layers/0", D, (6, 8), 8, IN, ""), ("layers/1", D, (8, 8), 8, IN, "")],
    "sklearn.npz": [("W1", D, (4, 7), 7, IN, ""), ("W2", D, (7, 5), 5, IN, ""), ("W3", D, (5, 3), 3, IN, "")],
}  # fmt: skip


def summary(found: list[Layer]) -> list[tuple[Any, ...]]:
    kept = [layer for layer in found if layer.kind != "normalization"]
    return [
        (each.name, each.kind, (each.fan_in, each.fan_out), each.units, each.layout, each.activation) for each in kept
    ]


@pytest.mark.parametrize("name", LAYERS)
def test_the_layers_of_files(name: str) -> None:
    assert summary(layers(read(FILES / name))) == LAYERS[name]


@pytest.mark.parametrize("name", LAYERS)
def test_a_row_of_the_matrix_is_a_unit(name: str) -> None:
    """Its values are those of the unit's weights, taken from the array by its axes' meaning."""
    for layer in layers(read(FILES / name)):
        values, matrix = np.asarray(layer.weight.read()), np.asarray(layer.matrix())
        assert matrix.size == values.size
        if layer.kind == "normalization":
            continue
        assert len(matrix) == layer.units
        if layer.layout == "in, out, kernel":
            unit = values[:, 1]
        elif layer.layout == "kernel, out, in":
            unit = values[..., 1, :]
        elif layer.layout == IN and values.ndim == 4 and "depthwise" in layer.name:
            unit = values[:, :, 1 // values.shape[3], 1 % values.shape[3]]
        elif layer.layout == IN and values.ndim == 3 and layer.kind == D and layer.units != values.shape[2]:
            unit = values[:, 0, 1]  # of attention: inputs, heads, size of a head
        elif layer.layout == IN:
            unit = values[..., 1]
        else:
            unit = values.reshape(-1, values.shape[-1])[1] if layer.layout == "" or layer.kind == R else values[1]
        assert np.array_equal(matrix[1], np.asarray(unit).ravel())


@pytest.mark.parametrize("name", ["torch_mlp.pt", "keras_cnn.keras", "cnn.npz", "flax_linen.msgpack"])
def test_matrices_are_views(name: str) -> None:
    for layer in layers(read(FILES / name)):
        if layer.layout in (OUT, IN, "") and layer.weight.dtype == "float32":
            matrix = layer.matrix()
            while matrix.base is not None and not isinstance(matrix, np.memmap):
                matrix = matrix.base
            assert isinstance(matrix, np.memmap), layer.name


def test_biases_normalization_and_ties() -> None:
    found = {layer.name: layer for layer in layers(read(FILES / "torch_language.pt"))}
    biases = {name: layer.bias.name if layer.bias else None for name, layer in found.items()}
    assert biases["block.self_attn.in_proj_weight"] == "block.self_attn.in_proj_bias"
    assert biases["rnn.weight_hh_l0_reverse"] == "rnn.bias_hh_l0_reverse"
    assert biases["normed"] == "normed.bias"
    assert biases["head"] is None
    assert {name: layer.tied_to for name, layer in found.items() if layer.tied_to} == {"head": "embedding"}
    assert [name for name, layer in found.items() if layer.kind == "normalization"] == ["block.norm1", "block.norm2"]
    assert (found["block.norm1"].weight.name, biases["block.norm1"]) == ("block.norm1.weight", "block.norm1.bias")
    keras = {layer.name: layer for layer in layers(read(FILES / "keras_cnn.keras"))}
    assert keras["batch_normalization"].kind == keras["layer_normalization"].kind == "normalization"
    assert keras["batch_normalization"].bias == next(
        t for t in read(FILES / "keras_cnn.keras").tensors if t.name == "batch_normalization/beta"
    )._replace(read=keras["batch_normalization"].bias.read)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("torch_language.pt", [6] * 4),
        ("tokens.onnx", [5] * 2),
        ("keras_rnn.keras", [3] * 4 + [5] * 2),
        ("flax_linen.msgpack", [5] * 6),
    ],
)
def test_hidden_sizes(name: str, sizes: list[int]) -> None:
    assert [layer.hidden_size for layer in layers(read(FILES / name)) if layer.kind == R] == sizes


# ---------------------------------------------------------------------------------------------------------------------
# Arrays without a framework's names


def of(**arrays: tuple[int, ...]) -> list[Layer]:
    return layers(from_object({name: np.zeros(shape) for name, shape in arrays.items()}))


@pytest.mark.parametrize(
    ("arrays", "layout"),
    [
        ({"W1": (5, 4), "b1": (5, 1), "W2": (1, 5), "b2": (1, 1)}, OUT),  # the laboratory's own
        ({"W1": (4, 5), "b1": (5,), "W2": (5, 1), "b2": (1,)}, IN),
        ({"W1": (5, 4), "W2": (3, 5)}, OUT),
        ({"W1": (4, 5), "W2": (5, 3)}, IN),
        ({"W1": (5, 5), "b1": (5,), "W2": (5, 5), "b2": (5,)}, ""),
        ({"W1": (5, 5), "b1": (5,), "W2": (3, 5), "b2": (3,)}, OUT),  # the last layer tells of the first
        ({"W1": (4, 5), "W2": (3, 4)}, OUT),
        ({"W1": (4, 5), "W2": (4, 5)}, ""),
        ({"layer0/w": (4, 5), "layer0/b": (5,), "layer1/w": (5, 2), "layer1/b": (2,)}, IN),
        ({"arr_0": (4, 5), "arr_1": (5,), "arr_2": (5, 2), "arr_3": (2,)}, IN),
        ({"weights_1": (5, 4), "biases_1": (5,), "weights_2": (2, 5), "biases_2": (2,)}, OUT),
        ({"W": (5, 4), "b": (5,)}, OUT),
    ],
)
def test_layouts_from_biases_and_neighbours(arrays: dict[str, tuple[int, ...]], layout: str) -> None:
    found = of(**arrays)
    weights = [name for name, shape in arrays.items() if (len(shape) == 2 and 1 not in shape[1:]) or name[0] in "Ww"]
    assert [layer.weight.name for layer in found] == weights
    assert {layer.layout for layer in found} == {layout}
    assert all((layer.bias is not None) == any("b" in name or name == "arr_1" for name in arrays) for layer in found)
    for layer in found:
        n, m = layer.weight.shape
        assert (layer.fan_in, layer.fan_out, layer.units) == ((n, m, m) if layout == IN else (m, n, n))


def test_dense_layers_of_gpt2_are_stored_in_out() -> None:
    """transformers' Conv1D stores (in, out) under PyTorch's names; square ones follow the others of the family."""
    shapes = {"attn.c_attn": (8, 24), "attn.c_proj": (8, 8), "mlp.c_fc": (8, 32), "mlp.c_proj": (32, 8)}
    arrays = {
        f"h.0.{name}.{leaf}": np.zeros(shape if leaf == "weight" else shape[1])
        for name, shape in shapes.items()
        for leaf in ("weight", "bias")
    }
    arrays |= {
        "wte.weight": np.zeros((11, 8)),
        "lm_head.weight": np.zeros((11, 8)),
        "square.weight": np.zeros((8, 8)),
        "square.bias": np.zeros(8),
    }
    found = {layer.name: layer for layer in layers(from_object(arrays))}
    assert {name: layer.layout for name, layer in found.items()} == {
        **{f"h.0.{name}": IN for name in shapes},
        "wte": OUT,
        "lm_head": OUT,
        "square": OUT,
    }
    assert found["wte"].kind == "embedding"
    assert found["lm_head"].kind == found["h.0.mlp.c_fc"].kind == "dense"
    assert (found["h.0.mlp.c_fc"].fan_in, found["h.0.mlp.c_fc"].units) == (8, 32)


def test_names_of_published_models() -> None:
    """Of BERT, ViT, Llama, T5, Swin, CLIP and Mamba in transformers and timm."""
    expected = {
        "bert.embeddings.word_embeddings.weight": ((9, 4), "embedding"),
        "bert.embeddings.LayerNorm.weight": ((4,), "normalization"),
        "bert.encoder.layer.0.attention.self.query.weight": ((4, 4), "dense"),
        "vit.embeddings.position_embeddings": ((1, 5, 4), "embedding"),
        "vit.embeddings.patch_embeddings.projection.weight": ((4, 3, 2, 2), "convolution"),
        "pos_embed": ((1, 5, 4), "embedding"),
        "model.embed_tokens.weight": ((9, 4), "embedding"),
        "model.layers.0.self_attn.q_proj.weight": ((4, 4), "dense"),
        "model.layers.0.input_layernorm.weight": ((4,), "normalization"),
        "decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": ((8, 2), "embedding"),
        "layers.0.blocks.0.attn.relative_position_bias_table": ((9, 2), "embedding"),
        "text_projection": ((4, 6), "other"),
        "backbone.layers.0.mixer.A_log": ((4, 3), "other"),
        "backbone.layers.0.mixer.conv1d.weight": ((4, 1, 3), "convolution"),
    }
    model = Model(
        "", "pytorch", [Tensor(name, shape, "float32", lambda: np.zeros(1)) for name, (shape, _) in expected.items()]
    )
    assert {layer.weight.name: layer.kind for layer in layers(model)} == {
        name: kind for name, (_, kind) in expected.items()
    }


@pytest.mark.parametrize(
    ("shape", "bias", "layout", "fan_in"),
    [
        ((6, 4, 3, 3), 6, OUT, 36),
        ((6, 4, 3, 3), 4, "in, out, kernel", 36),
        ((6, 4, 3, 3), None, OUT, 36),
        ((4, 4, 3, 3), 4, OUT, 36),
    ],
)
def test_transposed_convolutions_by_their_bias(
    shape: tuple[int, ...], bias: int | None, layout: str, fan_in: int
) -> None:
    arrays = {"c.weight": np.zeros(shape)} | ({"c.bias": np.zeros(bias)} if bias else {})
    (layer,) = layers(from_object(arrays))
    assert (layer.kind, layer.layout, layer.fan_in, layer.units) == (C, layout, fan_in, bias or shape[0])


@pytest.mark.parametrize(
    ("names", "kept"),
    [
        (["a.weight_orig", "a.weight_u", "a.weight_v", "a.bias"], ["a"]),  # spectral normalization
        (["a.weight_g", "a.weight_v", "a.bias"], ["a"]),  # weight normalization
        (["a.parametrizations.weight.original0", "a.parametrizations.weight.original1", "a.bias"], ["a"]),
        (["a.parametrizations.weight.original", "a.parametrizations.weight.0._u", "a.bias"], ["a"]),
        (["a.parametrizations.weight.original", "a.parametrizations.weight.0.base", "a.bias"], ["a"]),
        (["a.weight_orig", "a.weight_mask", "a.bias"], ["a"]),  # pruning
    ],
)
def test_reparametrized_weights(names: list[str], kept: list[str]) -> None:
    """Of PyTorch's reparametrizations, the array that the initializer drew is the weight."""
    one = ("weight_g", "original0")
    arrays = {
        name: np.zeros((5, 1) if name.endswith(one) else 5 if name.endswith(("bias", "_u")) else (5, 4))
        for name in names
    }
    if "a.weight_u" in names:
        arrays["a.weight_v"] = np.zeros(4)
    found = layers(from_object(arrays))
    assert [(layer.name, layer.kind, layer.weight.shape) for layer in found] == [
        (name, "dense", (5, 4)) for name in kept
    ]
    assert found[0].bias is not None


def test_groups_of_a_transposed_convolution() -> None:
    """PyTorch: input channels 0 and 1 lead to output channels 0 to 2, input channels 2 and 3 to 3 to 5."""
    values = np.arange(4 * 3 * 2, dtype=np.float32).reshape(4, 3, 2)
    model = Model(
        "",
        "pytorch",
        [Tensor("a.weight", (4, 3, 2), "float32", lambda: values)],
        {"a": Module("ConvTranspose1d", "", 2)},
    )
    (layer,) = layers(model)
    assert (layer.units, layer.fan_in, layer.fan_out) == (6, 6, 8)  # torch.nn.init takes size(1) and size(0)
    expected = [values[2 * (unit // 3) : 2 * (unit // 3) + 2, unit % 3].ravel() for unit in range(6)]
    assert np.array_equal(layer.matrix(), expected)


def test_vectors_of_unknown_use_are_left_out() -> None:
    """A class token, LayerScale (Touvron et al. 2021), whose gamma has no beta beside it, and the slope of PReLU."""
    arrays = {
        "cls_token": np.zeros((1, 1, 8)),
        "block.ls1.gamma": np.zeros(8),
        "positions": np.zeros((1, 5, 8)),
        "act.weight": np.zeros(1),
    }
    arrays |= {"block.norm.gamma": np.ones(8), "block.norm.beta": np.zeros(8), "block.fc.weight": np.zeros((4, 8))}
    assert [(layer.name, layer.kind) for layer in layers(from_object(arrays))] == [
        ("positions", "other"),
        ("block.norm", "normalization"),
        ("block.fc", "dense"),
    ]


def test_integers_and_numbers_are_no_layers() -> None:
    arrays = {
        "a.weight": np.zeros((2, 3)),
        "position_ids": np.zeros((1, 5), int),
        "mask": np.zeros((5, 5), bool),
        "logit_scale": np.array(1.0),
        "a.empty": np.zeros((0, 3)),
    }
    assert [layer.name for layer in layers(from_object(arrays))] == ["a"]


LEAVES = "weight bias kernel recurrent_kernel depthwise_kernel pointwise_kernel embeddings embedding gamma beta scale mean running_mean"
LEAVES += " num_batches_tracked weight_ih_l0 weight_hh_l0 weight_hr_l0 bias_ih_l0 weight_ih weight_hh in_proj_weight in_proj_bias weight_g"
LEAVES += " weight_v weight_orig weight_u parametrizations.weight.original0 parametrizations.weight.original1 W1 b1 W2 b2 x arr_0 0"
KINDS = [
    "",
    "Linear",
    "Conv2d",
    "ConvTranspose2d",
    "Conv1D",
    "Conv2DTranspose",
    "LSTM",
    "GRU",
    "Embedding",
    "LayerNorm",
    "MatMul",
]


@given(
    arrays=st.dictionaries(
        st.tuples(st.sampled_from(["", "a", "lstm.hi", "cell/hi", "att/query", "att/out", "tokens_embed", "depthwise", "c_attn", "c_proj"]), st.sampled_from(LEAVES.split())),
        st.lists(st.sampled_from([0, 1, 2, 3, 6]), max_size=4),
        max_size=6,
    ),
    framework=st.sampled_from(["", "pytorch", "keras", "flax", "sklearn", "onnx"]),
    kind=st.sampled_from(KINDS),
    layout=st.sampled_from(["", OUT, IN, "in, out, kernel"]),
)  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_layers_of_any_names_and_shapes(arrays: Any, framework: str, kind: str, layout: str) -> None:
    """Whatever a file contains, matrices hold all values, and trained() gives a sentence."""
    separator = "." if framework == "pytorch" else "/"
    tensors = []
    for (module, leaf), shape in arrays.items():
        values = np.zeros(shape, np.float32)
        name = f"{module}{separator}{leaf}" if module else leaf
        tensors.append(Tensor(name, values.shape, "float32", lambda values=values: values))
    modules = {
        name: Module(kind, "relu", 2 if kind == "Conv2d" else 1, layout=layout if framework == "onnx" else "")
        for name in ["a", *(tensor.name for tensor in tensors)]
    }
    model = Model("", framework, tensors, modules)
    assert trained(model) == ""
    found = layers(model)
    for layer in found:
        assert np.asarray(layer.matrix()).size == layer.weight.read().size > 0
        assert layer.fan_in > 0
        assert layer.fan_out > 0
        assert layer.hidden_size >= 0
    weights = [layer.weight.name for layer in found]
    assert len(weights) == len(set(weights))


def test_numbers_in_names_are_sorted_by_value() -> None:
    names = ["b.10.weight", "b.9.weight", "a", "b.9.bias", "b.x", "²"]
    assert sorted(names, key=natural) == ["a", "b.9.bias", "b.9.weight", "b.10.weight", "b.x", "²"]


def test_activations_are_the_laboratorys() -> None:
    assert set(ACTIVATIONS.values()) <= set(activations.ACTIVATIONS)


def test_an_empty_model_has_no_layers() -> None:
    assert layers(Model("", "", [])) == []
