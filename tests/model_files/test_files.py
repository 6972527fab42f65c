"""Readers of model files against what the frameworks that wrote them have, and the messages for files that are not read."""

import ast
import io
import json
import pickle
import struct
import sys
import zipfile
import zlib
from collections import OrderedDict
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from pipeline import model_files
from pipeline.errors import UserError
from pipeline.model_files.files import read
from pipeline.model_files.layers import trained
from pipeline.model_files.tensors import FLOATS, Model
from tests.model_files import large_files
from tests.model_files.fuzz import FILES

EXPECTED = json.loads((FILES / "expected.json").read_text())


def content(model: Model) -> dict[str, list[Any]]:
    """Shape, type and the CRC-32 of the float32 values of each array of floats, as write_examples.py notes them."""
    return {
        tensor.name: [
            list(tensor.shape),
            tensor.dtype,
            zlib.crc32(np.ascontiguousarray(tensor.read(), "<f4").tobytes()),
        ]
        for tensor in model.tensors
        if tensor.dtype in FLOATS
    }


@pytest.mark.parametrize("name", EXPECTED)
def test_the_arrays_are_those_of_the_framework(name: str) -> None:
    assert content(read(FILES / name)) == EXPECTED[name]


@pytest.mark.parametrize(
    ("name", "framework"),
    [
        ("cnn.npz", ""),
        ("cnn.onnx", "onnx"),
        ("cnn.safetensors", "pytorch"),
        ("flax_nnx.msgpack", "flax"),
        ("keras_cnn.keras", "keras"),
        ("keras_small.h5", "keras"),
        ("torch_mlp.pt", "pytorch"),
        ("torch_legacy.pt", "pytorch"),
    ],
)
def test_the_framework(name: str, framework: str) -> None:
    assert read(FILES / name).framework == framework
    assert read(str(FILES / name)).source == name


@pytest.mark.parametrize("name", EXPECTED)
def test_the_format_is_recognized_without_the_suffix(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes((FILES / name).read_bytes())
    if name.endswith(".npy"):
        assert [tensor.name for tensor in read(path).tensors] == ["model"]
    else:
        assert content(read(path)) == EXPECTED[name]


def test_values_are_maps_of_the_file() -> None:
    for name in (
        "torch_mlp.pt",
        "cnn.safetensors",
        "cnn.npz",
        "matrix.npy",
        "keras_small.h5",
        "keras_cnn.keras",
        "flax_nnx.msgpack",
        "cnn.onnx",
    ):
        for tensor in read(FILES / name).tensors:
            values = tensor.read()
            while values.base is not None and not isinstance(values, np.memmap):
                values = values.base
            assert isinstance(values, np.memmap), (name, tensor.name)
            assert not values.flags.writeable


def test_tied_weights_share_their_storage() -> None:
    for name in ("torch_language.pt", "torch_legacy.pt"):
        storages = {tensor.name: tensor.storage for tensor in read(FILES / name).tensors}
        assert storages["head.weight"] == storages["embedding.weight"] is not None
        assert len(set(storages.values())) == len(storages) - 1


# ---------------------------------------------------------------------------------------------------------------------
# What a file says of training


@pytest.mark.parametrize("name", [name for name in EXPECTED if name not in ("torch_checkpoint.pt",)])
def test_untrained_models_are_not_called_trained(name: str) -> None:
    assert trained(read(FILES / name)) == ""


def test_a_checkpoint_after_training() -> None:
    model = read(FILES / "torch_checkpoint.pt")
    assert trained(model) == "the optimizer in the file has made steps"
    assert model.notes == ["left out of the checkpoint: optimizer"]


@pytest.mark.parametrize("key", ["epoch", "global_step"])
def test_a_checkpoint_that_counts(key: str, tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    for n, message in ((0, ""), (3, f"{key} in the file is 3")):
        write_torch(path, {key: n, "model": {"a.weight": np.ones((2, 3), np.float32)}})
        assert trained(read(path)) == message


def test_statistics_of_normalization_tell_of_training(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    for n, message in ((0, ""), (7, "bn has normalized 7 batches in training mode")):
        np.savez(path, **{"bn.weight": np.ones(3), "bn.num_batches_tracked": np.array(n)})
        assert trained(read(path)) == message
    np.savez(path, **{"bn.weight": np.ones(3), "bn.running_mean": np.array([0.0, 0.1, 0.0])})
    assert trained(read(path)) == "the running mean of bn is not 0: it has normalized batches in training mode"


# ---------------------------------------------------------------------------------------------------------------------
# Formats, written here byte by byte


class _Ref:
    """An array in place of a tensor, pickled as PyTorch pickles one: a call of a name, of a reference to a storage."""

    def __init__(self, key: str, array: np.ndarray[Any, Any]) -> None:
        self.key, self.array = key, array


class _Pickler(pickle._Pickler):  # in Python, whose `dispatch` and `write` build any call
    def save(self, item: Any, save_persistent_id: bool = True) -> None:
        if not isinstance(item, _Ref):
            return super().save(item, save_persistent_id)
        kind = {"float32": "FloatStorage", "float64": "DoubleStorage"}[item.array.dtype.name]
        strides = tuple(step // item.array.itemsize for step in item.array.strides)
        self.write(b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\n" + kind.encode() + b"\n")
        super().save(item.key)
        super().save("cpu")
        super().save(item.array.size)
        self.write(b"tQ")
        super().save(0)
        super().save(item.array.shape)
        super().save(strides)
        self.write(b"\x89}tR")
        return None


def write_torch(
    path: Path, value: Any, method: int = zipfile.ZIP_STORED, order: str = "little", prefix: str = "a/"
) -> None:
    """Write nested dictionaries of arrays as torch.save would: a ZIP archive of a pickle and the bytes of each storage."""
    arrays: list[np.ndarray[Any, Any]] = []

    def refs(item: Any) -> Any:
        if isinstance(item, dict):
            return OrderedDict((key, refs(child)) for key, child in item.items())
        if isinstance(item, list):
            return list(map(refs, item))
        if isinstance(item, np.ndarray):
            arrays.append(item)
            return _Ref(str(len(arrays) - 1), item)
        return item

    stream = io.BytesIO()
    _Pickler(stream, 2).dump(refs(value))
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr(f"{prefix}data.pkl", stream.getvalue())
        archive.writestr(f"{prefix}byteorder", order)
        for i, array in enumerate(arrays):
            swapped = array.astype(array.dtype.newbyteorder(">" if order == "big" else "<"))
            archive.writestr(f"{prefix}data/{i}", swapped.tobytes("A"))


W = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("order", ["little", "big"])
def test_torch_of_either_byte_order_compressed_or_not(method: int, order: str, tmp_path: Path) -> None:
    write_torch(tmp_path / "a.pt", {"a.weight": W, "b.weight": np.asfortranarray(W)}, method, order)
    model = read(tmp_path / "a.pt")
    assert [tensor.name for tensor in model.tensors] == ["a.weight", "b.weight"]
    for tensor in model.tensors:
        assert np.array_equal(tensor.read(), W)


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ({"a.weight": W}, ["a.weight"]),
        ({"state_dict": {"module.a.weight": W}, "epoch": 0}, ["a.weight"]),
        ({"model": {"_orig_mod.module.a.weight": W}}, ["a.weight"]),
        ({"generator": {"a.weight": W}, "critic": {"a.weight": W}, "ema": {"a.weight": W}}, ["generator.a.weight", "critic.a.weight"]),
        ({"optimizer_g": {"state": {0: {"m": W}}}, "net": {"a.weight": W}}, ["a.weight"]),
        ({"weights": [W, W]}, ["0", "1"]),
        (W, ["tensor"]),
    ],
)  # fmt: skip
def test_the_weights_in_a_checkpoint(value: Any, names: list[str], tmp_path: Path) -> None:
    write_torch(tmp_path / "a.pt", value)
    assert [tensor.name for tensor in read(tmp_path / "a.pt").tensors] == names


def write_safetensors(path: Path, entries: dict[str, Any], values: bytes) -> None:
    header = json.dumps(entries).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + values)


def test_safetensors_in_the_order_of_numbers(tmp_path: Path) -> None:
    entries = {
        f"{i}.weight": {"dtype": "F32", "shape": [1, 1], "data_offsets": [4 * i, 4 * i + 4]} for i in (10, 9, 2, 0, 1)
    }
    write_safetensors(tmp_path / "a.safetensors", entries, np.arange(11, dtype="<f4").tobytes())
    model = read(tmp_path / "a.safetensors")
    assert [(tensor.name, float(tensor.read()[0, 0])) for tensor in model.tensors] == [
        (f"{i}.weight", float(i)) for i in (0, 1, 2, 9, 10)
    ]


def test_types_that_are_not_read_are_named(tmp_path: Path) -> None:
    entries = {"a": {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}}
    write_safetensors(tmp_path / "a.safetensors", entries, bytes(20))
    with pytest.raises(
        UserError,
        match=r"a.safetensors: contains no weights: a has the type F8_E4M3, which is left out: save it as F32, F16 or BF16$",
    ):
        read(tmp_path / "a.safetensors")
    entries["b"] = {"dtype": "F32", "shape": [2, 2], "data_offsets": [4, 20]}
    write_safetensors(tmp_path / "a.safetensors", entries, bytes(20))
    assert len(read(tmp_path / "a.safetensors").notes) == 1


def test_bfloat16_is_float32_with_the_upper_half_of_its_bits(tmp_path: Path) -> None:
    """bfloat16 0x3F80 is 1, 0xC000 is -2, 0x7F80 infinite (IEEE 754 single precision, cut to 16 bits)."""
    entries = {"a": {"dtype": "BF16", "shape": [3], "data_offsets": [0, 6]}}
    write_safetensors(tmp_path / "a.safetensors", entries, struct.pack("<3H", 0x3F80, 0xC000, 0x7F80))
    assert read(tmp_path / "a.safetensors").tensors[0].read().tolist() == [1.0, -2.0, np.inf]


def test_large_bfloat16_arrays_are_converted_in_pieces(tmp_path: Path) -> None:
    values = np.random.RandomState(0).randn(1100, 1000).astype(np.float32)
    bits = (values.view(np.uint32) >> 16).astype("<u2")
    entries = {"a": {"dtype": "BF16", "shape": [1100, 1000], "data_offsets": [0, 2_200_000]}}
    write_safetensors(tmp_path / "a.safetensors", entries, bits.tobytes())
    array: Any = read(tmp_path / "a.safetensors").tensors[0].read()
    exact = (bits.astype(np.uint32) << 16).view(np.float32)
    assert not isinstance(array, np.ndarray)
    assert (array.shape, array.ndim, array.size, array.dtype, len(array)) == (
        (1100, 1000),
        2,
        1_100_000,
        np.float32,
        1100,
    )
    assert np.array_equal(array[3:5], exact[3:5])
    assert np.array_equal(array.T[:, 3:5], exact.T[:, 3:5])
    assert np.array_equal(array.reshape(-1, 500)[7], exact.reshape(-1, 500)[7])
    assert np.array_equal(array.ravel()[5:9], exact.ravel()[5:9])
    assert np.array_equal(np.asarray(array), exact)
    assert array.astype(np.float64).dtype == np.float64
    assert np.array_equal(array != 0, exact != 0)
    assert np.array_equal(-array, -exact)
    assert np.array_equal(np.abs(array), np.abs(exact))
    assert np.array_equal(np.sort(array, axis=None), np.sort(exact, axis=None))


def test_keras_2(tmp_path: Path) -> None:
    """Names end in ":0", attributes are bytes; model.save_weights(file.h5) of Keras 2."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["layer_names"] = np.array([b"dense_1", b"dropout", b"bn"])
        for layer, weights in {"dense_1": ["kernel", "bias"], "dropout": [], "bn": ["gamma", "moving_mean"]}.items():
            group = file.create_group(layer)
            group.attrs["weight_names"] = np.array([f"{layer}/{name}:0".encode() for name in weights], dtype="S30")
            for name in weights:
                group[f"{layer}/{name}:0"] = W if name == "kernel" else np.ones(4, np.float32)
        file.attrs["backend"], file.attrs["keras_version"] = b"tensorflow", b"2.15.0"
    model = read(tmp_path / "a.h5")
    assert [tensor.name for tensor in model.tensors] == ["dense_1/kernel", "dense_1/bias", "bn/gamma", "bn/moving_mean"]
    assert trained(model) == "the running mean of bn is not 0: it has normalized batches in training mode"


@pytest.mark.parametrize(
    "options", [{"chunks": (2, 2)}, {"compression": "gzip"}, {"dtype": ">f4"}, {"shuffle": True, "chunks": True}]
)
def test_hdf5_that_cannot_be_mapped(options: dict[str, Any], tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("dense/kernel", data=W, **options)
    (tensor,) = read(tmp_path / "a.h5").tensors
    assert tensor.name == "dense/kernel"
    assert np.array_equal(tensor.read(), W)


@pytest.mark.parametrize("chunks", [None, (2, 2)])
def test_hdf5_of_bfloat16(chunks: Any, tmp_path: Path) -> None:
    """h5py stores ml_dtypes' bfloat16 as two opaque bytes."""
    bits = (W.view(np.uint32) >> 16).astype("<u2")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("dense/kernel", data=bits.view("V2"), chunks=chunks)
    (tensor,) = read(tmp_path / "a.h5").tensors
    assert tensor.dtype == "bfloat16"
    assert np.array_equal(tensor.read(), W)  # integers below 256 are exact in bfloat16


def test_keras_archives_that_were_compressed(tmp_path: Path) -> None:
    with (
        zipfile.ZipFile(FILES / "keras_rnn.keras") as source,
        zipfile.ZipFile(tmp_path / "a", "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for info in source.infolist():
            target.writestr(info.filename, source.read(info))
    assert content(read(tmp_path / "a")) == EXPECTED["keras_rnn.keras"]


def msgpack_array(array: np.ndarray[Any, Any], name: str = "") -> bytes:
    """An array as Flax writes it: an extension of type 1 with a list of shape, name of the type and bytes."""
    kind = (name or array.dtype.name).encode()
    inner = b"\x93" + bytes([0x90 + array.ndim, *array.shape]) + bytes([0xA0 + len(kind)]) + kind
    inner += b"\xc5" + struct.pack(">H", array.nbytes) + array.tobytes()
    return b"\xc8" + struct.pack(">H", len(inner)) + b"\x01" + inner


def msgpack_map(items: dict[str, bytes]) -> bytes:
    return bytes([0x80 + len(items)]) + b"".join(
        bytes([0xA0 + len(key)]) + key.encode() + value for key, value in items.items()
    )


def test_a_train_state_of_flax(tmp_path: Path) -> None:
    params = msgpack_map(
        {"Dense_10": msgpack_map({"kernel": msgpack_array(W)}), "Dense_9": msgpack_map({"kernel": msgpack_array(W)})}
    )
    moments = msgpack_map({"mu": msgpack_array(W)})
    path = tmp_path / "a.msgpack"
    for step, message in (
        (b"\x05", "step in the file is 5"),
        (b"\x00", ""),
        (msgpack_array(np.array(6, np.int32)), "step in the file is 6"),
    ):
        path.write_bytes(msgpack_map({"step": step, "params": params, "opt_state": moments}))
        model = read(path)
        assert [tensor.name for tensor in model.tensors] == ["Dense_9/kernel", "Dense_10/kernel"]
        assert (trained(model), model.notes) == (message, ["left out of the file: opt_state"])


def test_flax_arrays_in_pieces(tmp_path: Path) -> None:
    """Flax cuts arrays above 2^30 bytes into flat pieces; shape and pieces are maps by number."""
    pieces = msgpack_map({"0": msgpack_array(W.ravel()[:7]), "1": msgpack_array(W.ravel()[7:])})
    chunked = msgpack_map(
        {"__msgpack_chunked_array__": b"\xc3", "shape": msgpack_map({"0": b"\x03", "1": b"\x04"}), "chunks": pieces}
    )
    (tmp_path / "a").write_bytes(msgpack_map({"kernel": chunked}))
    (tensor,) = read(tmp_path / "a").tensors
    assert (tensor.name, tensor.shape) == ("kernel", (3, 4))
    assert np.array_equal(tensor.read(), W)


def field(number: int, value: bytes | int) -> bytes:
    """A field of Protocol Buffers of less than 128 bytes."""
    return bytes([number << 3, value]) if isinstance(value, int) else bytes([number << 3 | 2, len(value)]) + value


def onnx_with_external_data(location: bytes) -> bytes:
    """A graph of x w with w, (3, 4), at byte 8 of another file, and v, (3, 4), in float_data."""
    external = field(1, 3) + field(1, 4) + field(2, 1) + field(8, b"w") + field(14, 1)
    external += field(13, field(1, b"location") + field(2, location)) + field(13, field(1, b"offset") + field(2, b"8"))
    typed = field(1, b"\x03\x04") + field(2, 1) + field(8, b"v") + field(4, W.tobytes())
    node = field(1, b"x") + field(1, b"w") + field(2, b"y") + field(4, b"MatMul")
    graph = field(1, node) + field(5, external) + field(5, typed)
    return field(1, 8) + b"\x3a" + bytes([len(graph) & 127 | 128, len(graph) >> 7]) + graph


def test_onnx_with_external_and_typed_data(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(onnx_with_external_data(b"w.bin"))
    with pytest.raises(UserError, match=r"a.onnx: its values are in w.bin, which is not beside it; copy both files$"):
        read(path)
    (tmp_path / "w.bin").write_bytes(bytes(8) + W.tobytes())
    tensors = read(path).tensors
    assert [tensor.name for tensor in tensors] == ["w", "v"]
    for tensor in tensors:
        assert np.array_equal(tensor.read(), W)


@pytest.mark.parametrize(
    ("ops", "activation"),
    [
        (["BatchNormalization", "Relu"], "relu"),
        (["Dropout", "HardSigmoid"], "hard_sigmoid"),
        (["Identity", "Gemm"], "linear"),
        (["Cos", "Relu"], ""),  # Relu is not applied to the outputs of the layer
    ],
)
def test_the_activation_of_an_onnx_layer_follows_normalizations(
    ops: list[str], activation: str, tmp_path: Path
) -> None:
    weight = field(1, b"\x03\x04") + field(2, 1) + field(8, b"w") + field(9, W.tobytes())
    graph = field(1, field(1, b"x") + field(1, b"w") + field(2, b"0") + field(4, b"MatMul")) + field(5, weight)
    for i, op in enumerate(ops):
        graph += field(1, field(1, b"%d" % i) + field(2, b"%d" % (i + 1)) + field(4, op.encode()))
    content = field(1, 8) + b"\x3a" + bytes([len(graph) & 127 | 128, len(graph) >> 7]) + graph
    (tmp_path / "a.onnx").write_bytes(content)
    assert read(tmp_path / "a.onnx").modules["w"].activation == activation


@pytest.mark.parametrize("location", ["../w.bin", "/etc/passwd", ""])
def test_onnx_reads_no_file_outside_its_folder(location: str, tmp_path: Path) -> None:
    path = tmp_path / "inner" / "a.onnx"
    path.parent.mkdir()
    path.write_bytes(onnx_with_external_data(location.encode()))
    (tmp_path / "w.bin").write_bytes(bytes(8) + W.tobytes())
    with pytest.raises(UserError, match=f"the values of w lie in {location}, which is not in its folder"):
        read(path)


def test_numpy_arrays_that_would_be_unpickled_are_left_out(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", W=W, names=np.array(["a", None], object))
    model = read(tmp_path / "a.npz")
    assert [tensor.name for tensor in model.tensors] == ["W"]
    assert model.notes == ["names holds Python objects, which are pickled and could execute code; it is left out"]


def test_the_index_of_a_model_in_several_files(tmp_path: Path) -> None:
    for i in (1, 2):
        entries = {f"{i}.weight": {"dtype": "F32", "shape": [3, 4], "data_offsets": [0, 48]}}
        write_safetensors(tmp_path / f"model-{i}.safetensors", entries, W.tobytes())
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(
        json.dumps({"metadata": {}, "weight_map": {f"{i}.weight": f"model-{i}.safetensors" for i in (2, 1)}})
    )
    model = read(index)
    assert ([tensor.name for tensor in model.tensors], model.source) == (["1.weight", "2.weight"], index.name)
    (tmp_path / "model-2.safetensors").unlink()
    with pytest.raises(
        UserError, match=r"names model-2.safetensors, which is not beside it; download all files of the model$"
    ):
        read(index)
    index.write_text(json.dumps({"weight_map": {"a": index.name}}))
    with pytest.raises(UserError, match=r"it names model.safetensors.index.json, which is no file in its folder"):
        read(index)
    index.write_text(json.dumps({"weight_map": {"a": "../secret.safetensors"}}))
    with pytest.raises(UserError, match=r"it names ../secret.safetensors, which is no file in its folder"):
        read(index)


# ---------------------------------------------------------------------------------------------------------------------
# Messages


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty$"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS; download the file: git lfs pull$"),
        (b"GGUF" + bytes(50), "is a GGUF file, whose weights are usually quantized; use the .safetensors file"),
        (b"\x1f\x8b" + bytes(50), "is compressed by gzip; decompress it$"),
        (b"hello world, this is text", "is in no format that is read; those are .npz, .npy, .safetensors"),
        (b'{"a": 1}', "is no index of model files: it has no weight_map$"),
        (pickle.dumps({"a": 1}), "is a pickle, which could execute code; save the arrays: numpy.savez"),
        (b"\x1c\0\0\0TFL3" + bytes(50), "is a TensorFlow Lite file; save the Keras model"),
        (bytes(257) + b"ustar" + bytes(300), "is a TAR archive; extract it"),
        (b"PK\x05\x06" + bytes(18), "contains no weights$"),
        (b"\x93NUMPY\x01\0", "damaged, or not a complete .npy file"),
        (b"\x89HDF\r\n\x1a\n" + bytes(90), "damaged, or not a complete HDF5 file"),
        (struct.pack("<Q", 2**60) + b"{", "is in no format that is read"),
        (
            struct.pack("<Q", 9) + b'{"a": 1}' + bytes(50),
            "damaged, or not a complete .safetensors file .*; save or download it again$",
        ),
    ],
)
def test_files_that_are_no_models(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(data)
    with pytest.raises(UserError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["saved_model.pb"], r"is a TensorFlow SavedModel; save the Keras model: model.save\(\"model.keras\"\)$"),
        (
            ["_CHECKPOINT_METADATA"],
            "is an Orbax checkpoint; restore it and save the parameters: .*flax.serialization.to_bytes",
        ),
        ([".metadata", "__0_0.distcp"], "is a distributed checkpoint of PyTorch; load it and save torch.save"),
        (["checkpoint", "a.index"], "is a TensorFlow checkpoint"),
        (["b.safetensors", "config.json"], "is a folder; name a file in it, such as .*b.safetensors$"),
        ([], "is a folder without a file of a model"),
    ],
)
def test_folders(names: list[str], message: str, tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(UserError, match=message):
        read(tmp_path)


def test_missing_files_and_whole_modules() -> None:
    with pytest.raises(UserError, match=r"nothing.pt: there is no such file$"):
        read("nothing.pt")
    with pytest.raises(
        UserError,
        match=r"is a whole pickled module, and to load it would execute code; save the weights alone: torch.save\(model.state_dict\(\), \"weights.pt\"\)$",
    ):
        read(FILES / "torch_module.pt")
    with pytest.raises(
        UserError,
        match=r"is a TorchScript archive, which holds code; save its weights: torch.save\(torch.jit.load\(\"torch_script.pt\"\)",
    ):
        read(FILES / "torch_script.pt")


def test_the_class_of_a_whole_module_is_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr(
            "a/data.pkl", b"\x80\x02c__main__\nNet\n)\x81}X\x02\0\0\0fcctorch.nn.modules.linear\nLinear\n)\x81sb."
        )
    with pytest.raises(
        UserError,
        match=r"a.pt: is a whole pickled module of the class __main__.Net, and to load it would execute code; save",
    ):
        read(tmp_path / "a.pt")


@pytest.mark.parametrize(
    ("name", "shapes", "leaves"),
    [
        ("batch_normalization_3", [(4,)] * 3, ["0", "moving_mean", "moving_variance"]),  # gamma or beta
        ("batch_normalization", [(4,)] * 4, ["gamma", "beta", "moving_mean", "moving_variance"]),
        ("layer_normalization", [(4,)] * 2, ["gamma", "beta"]),
        ("rms_normalization", [(4,)], ["gamma"]),
        ("spectral_normalization", [(3, 4), (1, 4)], ["original_kernel", "vector_u"]),
        ("embedding_1", [(9, 4)], ["embeddings"]),
        ("dense", [(3, 4), (4,)], ["kernel", "bias"]),
        ("separable_conv1d", [(3, 4, 1), (1, 4, 6), (6,)], ["depthwise_kernel", "pointwise_kernel", "bias"]),
        ("lstm_cell", [(3, 16), (4, 16), (16,)], ["kernel", "recurrent_kernel", "bias"]),
        ("conv_lstm_cell", [(2, 2, 3, 16), (2, 2, 4, 16), (16,)], ["kernel", "recurrent_kernel", "bias"]),
        ("own_attention", [(3, 4), (3, 4)], ["kernel", "1"]),
    ],
)
def test_variables_of_weights_h5_without_a_configuration(
    name: str, shapes: Any, leaves: list[str], tmp_path: Path
) -> None:
    """Keras numbers them in the order in which a layer's build adds them; here as an attribute `part` of a subclassed model."""
    with h5py.File(tmp_path / "a.weights.h5", "w") as file:
        for i, shape in enumerate(shapes):
            file[f"part/vars/{i}"] = np.ones(shape, np.float32)
        file["part/vars"].attrs["name"] = name
        file["x/vars/0"] = W
    names = [tensor.name for tensor in read(tmp_path / "a.weights.h5").tensors]
    assert names == [*(f"{name}/{leaf}" for leaf in leaves), "x/kernel"]


def test_a_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(
        UserError,
        match=r"keras_small.h5: reading Keras files needs h5py: pip install 'weight-initialization-laboratory\[keras\]'$",
    ):
        read(FILES / "keras_small.h5")
    assert read(FILES / "cnn.npz").tensors


@pytest.mark.parametrize(
    ("name", "arguments"), [("cnn.npz", ()), ("cnn.onnx", ()), ("flax_linen.msgpack", ()), ("torch_mlp.pt", ())]
)
def test_a_file_that_shrinks_after_it_was_opened(name: str, arguments: tuple[Any, ...], tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes((FILES / name).read_bytes())
    model = read(path)
    path.write_bytes(b"")
    with pytest.raises(UserError, match="damaged, or not a complete file"):
        model.tensors[-1].read()


# ---------------------------------------------------------------------------------------------------------------------
# Memory


@pytest.mark.slow
@pytest.mark.parametrize("name", large_files.WRITERS)
def test_large_files_are_read_a_layer_at_a_time(name: str, tmp_path: Path) -> None:
    """Four layers of 100 MB; `python -m tests.model_files.large_files 2000` measures 2 GB."""
    peak, limit, square = large_files.peak(name, 400, tmp_path)
    assert peak < limit
    assert abs(square - 1.0) < 0.01  # 1e6 draws: 3.5 standard errors are 0.005; cutting to bfloat16 takes 0.6 %


@pytest.mark.parametrize("path", sorted(Path(model_files.__file__).parent.rglob("*.py")), ids=lambda path: path.stem)
def test_only_numpy_is_needed(path: Path) -> None:
    """Imports of a module when it is imported: the standard library, NumPy, and this package, of others errors alone."""
    nodes = [
        node
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    names = {alias.name for node in nodes for alias in node.names if isinstance(node, ast.Import)}
    names |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    allowed = {*sys.stdlib_module_names, "numpy"}
    others = {
        name for name in names if name.split(".")[0] not in allowed and not name.startswith("pipeline.model_files")
    }
    assert others <= {"pipeline.errors"}
