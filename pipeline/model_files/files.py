"""Models from files of any format: `read`. The format is recognized by the content of the file."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pipeline.errors import UserError
from pipeline.model_files.formats import (
    flax_files,
    keras_files,
    numpy_files,
    onnx_files,
    safetensors_files,
    torch_files,
)
from pipeline.model_files.formats.mapped import Damaged, opened_zip, readable
from pipeline.model_files.formats.torch_pickles import SAVE
from pipeline.model_files.names import natural
from pipeline.model_files.tensors import Model, has_weights

SUPPORTED = (
    ".npz, .npy, .safetensors, .pt and .pth of PyTorch, .h5 and .keras of Keras, .msgpack of Flax's to_bytes, and .onnx"
)
INDEX = 100_000_000  # bytes of an index in JSON at most

# What lies in a folder -> what it is, and what to do
FOLDERS = (
    (("saved_model.pb",), "is a TensorFlow SavedModel", 'save the Keras model: model.save("model.keras")'),
    (
        ("_CHECKPOINT_METADATA", "_METADATA", "manifest.ocdbt", "default/_METADATA"),
        "is an Orbax checkpoint",
        'restore it and save the parameters: open("params.msgpack", "wb").write(flax.serialization.to_bytes(params))',
    ),
    ((".metadata",), "is a distributed checkpoint of PyTorch", f"load it and save {SAVE}"),
    (("checkpoint",), "is a TensorFlow checkpoint", 'load it and save the Keras model: model.save("model.keras")'),
)
# The first bytes of formats that are not read -> what the file is, and what to do
REFUSED = (
    (b"version https://git-lfs", "is a pointer of Git LFS", "download the file: git lfs pull"),
    (b"GGUF", "is a GGUF file, whose weights are usually quantized", "use the .safetensors file that it was made from"),
    (b"\x1f\x8b", "is compressed by gzip", "decompress it"),
    (b"BZh", "is compressed by bzip2", "decompress it"),
    (b"\xfd7zXZ", "is compressed by xz", "decompress it"),
    (b"\x28\xb5\x2f\xfd", "is compressed by zstandard", "decompress it"),
)


def read(path: Path | str) -> Model:
    """The model in a file; of the index of a model in several files, that of all of them.

    Only names, shapes and places are read; values are read by `Tensor.read`. Raises UserError.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError(_folder(path))
    model = readable(path, "a file of a model", lambda: _read(path))
    if not has_weights(model):
        reason = f": {'; '.join(model.notes[:3])}" if model.notes else ""
        raise UserError(f"{path}: contains no weights{reason}")
    return model


def _read(path: Path) -> Model:
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        raise UserError(f"{path}: is empty")
    for start, what, action in REFUSED:
        if head.startswith(start):
            raise UserError(f"{path}: {what}; {action}")
    what, reader = _format(path, head)
    return readable(path, what, lambda: reader(path))


def _format(path: Path, head: bytes) -> tuple[str, Callable[[Path], Model]]:
    """The name and the reader of a file's format. Raises UserError."""
    size = path.stat().st_size
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "a complete ZIP archive", _read_zip
    if head.startswith(b"\x93NUMPY"):
        return "a complete .npy file", numpy_files.read_npy
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return "a complete HDF5 file", keras_files.read_h5
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= min(size, safetensors_files.HEADER):
        return "a complete .safetensors file", safetensors_files.read_safetensors
    if torch_files.is_legacy(head):
        return "a complete PyTorch file", torch_files.read_torch_legacy
    if head[:1] == b"{" or (path.suffix == ".json" and head.lstrip()[:1] == b"{"):
        return "an index of model files", _read_index
    if head[257:262] == b"ustar":
        raise UserError(f"{path}: is a TAR archive; extract it, or if PyTorch wrote it, load it and save it again")
    if path.suffix == ".onnx" or head[:1] == b"\x08":
        return "a complete ONNX file", onnx_files.read_onnx
    if (head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05") or path.suffix in (".pkl", ".pickle", ".joblib"):
        save = f"numpy.savez(FILE, *arrays), {SAVE}, or safetensors.numpy.save_file(dictionary, FILE)"
        raise UserError(f"{path}: is a pickle, which could execute code; save the arrays: {save}")
    if head[4:8] == b"TFL3":
        raise UserError(f'{path}: is a TensorFlow Lite file; save the Keras model: model.save("model.keras")')
    if ".data-0" in path.name or path.suffix in (".index", ".ckpt", ".pb", ".meta"):
        raise UserError(f'{path}: is part of a TensorFlow checkpoint; save the Keras model: model.save("model.keras")')
    if flax_files.is_map(head):
        return "a complete msgpack file of Flax", flax_files.read_flax
    raise UserError(f"{path}: is in no format that is read; those are {SUPPORTED}")


def _read_zip(path: Path) -> Model:
    members = list(opened_zip(path))
    pickles = [name for name in members if name == "data.pkl" or name.endswith("/data.pkl")]
    if pickles:
        return readable(path, "a complete PyTorch file", lambda: torch_files.read_torch_zip(path, pickles[0]))
    if "config.json" in members and any(name.endswith(".weights.h5") for name in members):
        return readable(path, "a complete Keras file", lambda: keras_files.read_keras(path))
    if any(name.endswith((".npy", ".npz")) for name in members) or not members:
        return readable(path, "a complete .npz file", lambda: numpy_files.read_npz(path))
    if any(name.endswith("archive_format") for name in members):
        save = "torch.save(program.state_dict, FILE)"
        raise UserError(f"{path}: is an exported PyTorch program; save its weights: {save}")
    raise UserError(f"{path}: is a ZIP archive without weights; the formats that are read are {SUPPORTED}")


def _read_index(path: Path) -> Model:
    """The model in the files that an index names, such as model.safetensors.index.json."""
    if path.stat().st_size > INDEX:
        raise Damaged("it is too large")
    content = json.loads(path.read_bytes())
    places = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(places, dict) or not places:
        raise UserError(f"{path}: is no index of model files: it has no weight_map")
    shards: dict[str, Model] = {}
    for name in dict.fromkeys(map(str, places.values())):
        if Path(name).name != name or name.endswith(".json"):
            raise Damaged(f"it names {name[:80]}, which is no file in its folder")
        if not (path.parent / name).is_file():
            raise UserError(f"{path}: names {name}, which is not beside it; download all files of the model")
        shards[name] = read(path.parent / name)
    parts = list(shards.values())
    tensors = [tensor for part in parts for tensor in part.tensors if tensor.name in places]
    tensors.sort(key=lambda tensor: natural(tensor.name))
    notes = [note for part in parts for note in part.notes]
    return replace(parts[0], source=path.name, tensors=tensors, notes=notes)


def _folder(path: Path) -> str:
    """The message for a folder."""
    for names, what, action in FOLDERS:
        if any((path / name).exists() for name in names):
            return f"{path}: {what}; {action}"
    suffixes = (".safetensors", ".index.json", ".pt", ".pth", ".bin", ".keras", ".h5", ".npz", ".msgpack", ".onnx")
    inside = sorted(each.name for each in path.iterdir() if each.name.endswith(suffixes))
    if inside:
        return f"{path}: is a folder; name a file in it, such as {path / inside[0]}"
    return f"{path}: is a folder without a file of a model; the formats that are read are {SUPPORTED}"
