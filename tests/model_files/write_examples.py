"""Small models as the frameworks write them, in files/, with the checksum of each array as the framework has it.

Run from this folder, with torch, keras, flax, scikit-learn, safetensors and onnxscript installed:

    KERAS_BACKEND=torch python write_examples.py
"""

import json
import warnings
import zlib
from pathlib import Path

import flax.linen
import flax.serialization
import jax
import jax.numpy as jnp
import keras
import numpy as np
import onnx
import safetensors.torch
import torch
from flax import nnx
from sklearn.neural_network import MLPClassifier
from torch import nn

FILES = Path(__file__).parent / "files"
EXPECTED = {}


def expect(file, arrays):
    """Note shape, type and the CRC-32 of the float32 values of a file's arrays of floats, by name."""
    EXPECTED[file] = {
        name: [list(value.shape), dtype, zlib.crc32(np.ascontiguousarray(value, "<f4").tobytes())]
        for name, (value, dtype) in arrays.items()
    }


def of_torch(state):
    return {
        name: (value.detach().float().numpy(), str(value.dtype).removeprefix("torch."))
        for name, value in state.items()
        if value.is_floating_point()
    }


def torch_mlp():
    return nn.Sequential(nn.Linear(12, 20), nn.ReLU(), nn.Linear(20, 20), nn.Tanh(), nn.Dropout(0.1), nn.Linear(20, 3))


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, groups=4),
            nn.GELU(),
            nn.Conv2d(8, 6, 1),
        )
        self.up = nn.ConvTranspose2d(6, 4, 2)
        self.signal = nn.Conv1d(4, 5, 3)
        self.head = nn.Linear(5, 2)

    def forward(self, x):
        return self.head(self.signal(self.up(self.features(x)).mean(3)).mean(2))


class Language(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 8)
        self.position = nn.Parameter(torch.randn(1, 5, 8))
        self.block = nn.TransformerEncoderLayer(8, 2, 16, activation="gelu")
        self.rnn = nn.LSTM(8, 6, bidirectional=True)
        self.normed = nn.utils.parametrizations.weight_norm(nn.Linear(12, 8))
        self.head = nn.Linear(8, 11, bias=False)
        self.head.weight = self.embedding.weight


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 8)
        self.norm = nn.LayerNorm(8)
        self.wide = nn.Linear(8, 12)
        self.narrow = nn.Linear(12, 6, bias=False)
        self.rnn = nn.GRU(6, 5, batch_first=True)
        self.head = nn.Linear(5, 2)

    def forward(self, x):
        x = nn.functional.silu(self.wide(self.norm(self.embedding(x))))
        return self.head(self.rnn(self.narrow(x))[0][:, -1])


def of_onnx(path):
    graph = onnx.load(path).graph
    arrays = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            arrays[node.output[0]] = onnx.numpy_helper.to_array(node.attribute[0].t)
    return {name: (value, "float32") for name, value in arrays.items() if value.dtype == np.float32}


def write_torch():
    torch.manual_seed(0)
    mlp, cnn, language = torch_mlp(), Cnn(), Language()
    torch.save(mlp.state_dict(), FILES / "torch_mlp.pt")
    expect("torch_mlp.pt", of_torch(mlp.state_dict()))
    torch.save(cnn.state_dict(), FILES / "torch_cnn.pt")
    expect("torch_cnn.pt", of_torch(cnn.state_dict()))
    torch.save(language.state_dict(), FILES / "torch_language.pt")
    expect("torch_language.pt", of_torch(language.state_dict()))
    torch.save(language.state_dict(), FILES / "torch_legacy.pt", _use_new_zipfile_serialization=False)
    expect("torch_legacy.pt", of_torch(language.state_dict()))
    half = {
        name: value.to(torch.bfloat16 if "weight" in name else torch.float16)
        for name, value in mlp.state_dict().items()
    }
    torch.save(half, FILES / "torch_half.pt")
    expect("torch_half.pt", of_torch(half))
    safetensors.torch.save_file(half, FILES / "half.safetensors", metadata={"format": "pt"})
    expect("half.safetensors", of_torch(half))
    state = {name: value.clone() for name, value in cnn.state_dict().items()}
    safetensors.torch.save_file(state, FILES / "cnn.safetensors", metadata={"format": "pt"})
    expect("cnn.safetensors", of_torch(state))
    np.savez(FILES / "cnn.npz", **{name: value.numpy() for name, value in state.items()})
    expect("cnn.npz", of_torch(state))
    np.savez_compressed(
        FILES / "mlp_compressed.npz", **{name: value.numpy() for name, value in mlp.state_dict().items()}
    )
    expect("mlp_compressed.npz", of_torch(mlp.state_dict()))
    np.save(FILES / "matrix.npy", np.asfortranarray(mlp[0].weight.detach().numpy()))
    expect("matrix.npy", {"matrix": (mlp[0].weight.detach().numpy(), "float32")})

    torch.onnx.export(
        cnn.eval(), (torch.zeros(1, 3, 8, 8),), FILES / "cnn.onnx", dynamo=True, external_data=False, verbose=False
    )
    expect("cnn.onnx", of_onnx(FILES / "cnn.onnx"))  # the batch normalization is part of the convolution before it

    tokens = torch.zeros(1, 4, dtype=torch.long)
    torch.onnx.export(Tokens().eval(), (tokens,), FILES / "tokens.onnx", dynamo=False)
    expect("tokens.onnx", of_onnx(FILES / "tokens.onnx"))

    parallel = nn.DataParallel(mlp.train())
    optimizer = torch.optim.Adam(parallel.parameters())
    parallel.module(torch.randn(4, 12)).sum().backward()
    optimizer.step()
    checkpoint = {"epoch": 1, "state_dict": parallel.state_dict(), "optimizer": optimizer.state_dict(), "loss": 0.5}
    torch.save(checkpoint, FILES / "torch_checkpoint.pt")
    expect("torch_checkpoint.pt", of_torch(mlp.state_dict()))
    torch.save(nn.Sequential(nn.Linear(2, 3)), FILES / "torch_module.pt")
    torch.jit.script(nn.Sequential(nn.Linear(2, 3))).save(FILES / "torch_script.pt")


def of_keras(model):
    arrays = {}
    for layer in model.layers:
        for variable in layer.weights:
            own = f"/{variable.path}".partition(f"/{layer.name}/")[2]
            if variable.dtype.startswith("float"):
                arrays[f"{layer.name}/{own}"] = (variable.numpy(), variable.dtype)
    return arrays


def write_keras():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    cnn = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, name="first"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.DepthwiseConv2D(3, depth_multiplier=2, activation="tanh"),
            layers.SeparableConv2D(5, 2, activation="gelu"),
            layers.Conv2DTranspose(3, 2),
            layers.GlobalAveragePooling2D(),
            layers.Dense(6, activation="selu"),
            layers.LayerNormalization(),
            layers.Dense(2),
        ]
    )
    cnn.save(FILES / "keras_cnn.keras")
    expect("keras_cnn.keras", of_keras(cnn))
    small = keras.Sequential(
        [
            keras.Input((6, 3)),
            layers.Conv1D(4, 3, name="first"),
            layers.BatchNormalization(),
            layers.Activation("silu"),
            layers.Flatten(),
            layers.Dense(7, activation="elu"),
            layers.Dense(2),
        ]
    )
    small.compile("adam", "mse")
    small.save(FILES / "keras_small.h5")
    expect("keras_small.h5", of_keras(small))
    small.save_weights(FILES / "keras_small.weights.h5")
    expect("keras_small.weights.h5", of_keras(small))
    tokens = keras.Input((6,))
    x = layers.Embedding(10, 4)(tokens)
    x = layers.MultiHeadAttention(2, 3)(x, x)
    x = layers.Bidirectional(layers.GRU(3, return_sequences=True))(x)
    x = layers.LSTM(5)(x)
    rnn = keras.Model(tokens, layers.Activation("softplus")(layers.Dense(2)(x)))
    rnn.save(FILES / "keras_rnn.keras")
    expect("keras_rnn.keras", of_keras(rnn))


class Linen(flax.linen.Module):
    @flax.linen.compact
    def __call__(self, x):
        x = flax.linen.Conv(4, (3, 3))(x)
        x = flax.linen.relu(flax.linen.BatchNorm(use_running_average=True)(x))
        x = flax.linen.Conv(8, (3, 3), feature_group_count=4)(x)
        x = flax.linen.ConvTranspose(3, (2, 2))(x).reshape(x.shape[0], -1, 3)
        x = x + flax.linen.MultiHeadDotProductAttention(num_heads=3, qkv_features=6)(x)
        x = x + flax.linen.Embed(7, 3)(jnp.zeros(x.shape[1], int))
        x = flax.linen.LayerNorm()(x)
        cell = flax.linen.GRUCell(5)
        _, x = cell(cell.initialize_carry(jax.random.key(0), (x.shape[0], 3)), x[:, 0])
        return flax.linen.Dense(2, param_dtype=jnp.bfloat16)(x)


def of_tree(tree):
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    names = ["/".join(str(getattr(key, "key", key)) for key in path) for path, _ in leaves]
    return {
        name.removeprefix("params/"): (np.asarray(value, np.float32), value.dtype.name)
        for name, (_, value) in zip(names, leaves, strict=True)
        if jnp.issubdtype(value.dtype, jnp.floating)
    }


class Nnx(nnx.Module):
    def __init__(self, rngs):
        self.layers = nnx.List([nnx.Linear(6, 8, rngs=rngs), nnx.Linear(8, 8, rngs=rngs)])
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.head = nnx.Linear(8, 3, use_bias=False, rngs=rngs)


def write_flax():
    variables = Linen().init(jax.random.key(0), jnp.zeros((1, 5, 5, 3)))
    (FILES / "flax_linen.msgpack").write_bytes(flax.serialization.to_bytes(variables))
    expect("flax_linen.msgpack", of_tree(variables))
    state = nnx.to_pure_dict(nnx.state(Nnx(nnx.Rngs(0)), (nnx.Param, nnx.BatchStat)))
    state = jax.tree_util.tree_map(np.asarray, state)
    (FILES / "flax_nnx.msgpack").write_bytes(flax.serialization.msgpack_serialize(json_keys(state)))
    expect("flax_nnx.msgpack", of_tree(state))


def json_keys(tree):
    return {str(key): json_keys(value) for key, value in tree.items()} if isinstance(tree, dict) else tree


def write_sklearn():
    rng = np.random.RandomState(0)
    with warnings.catch_warnings(action="ignore"):
        model = MLPClassifier((7, 5), max_iter=1, random_state=0).fit(rng.randn(30, 4), rng.randint(0, 3, 30))
    arrays = {}
    for i, (weight, bias) in enumerate(zip(model.coefs_, model.intercepts_, strict=True), 1):
        arrays |= {f"W{i}": weight, f"b{i}": bias}
    np.savez(FILES / "sklearn.npz", **arrays)
    expect("sklearn.npz", {name: (value, "float64") for name, value in arrays.items()})


if __name__ == "__main__":
    FILES.mkdir(exist_ok=True)
    write_torch()
    write_keras()
    write_flax()
    write_sklearn()
    lines = (f"{json.dumps(file)}: {json.dumps(arrays)}" for file, arrays in EXPECTED.items())
    (FILES / "expected.json").write_text("{" + ",\n".join(lines) + "}\n")
    print(f"{sum(path.stat().st_size for path in FILES.iterdir()):,} bytes")
