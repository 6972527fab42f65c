"""Files that are damaged or made to harm: nothing is executed, allocated or read beyond the file, and one message names them."""

import io
import json
import os
import pickle
import re
import resource
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from pipeline.errors import UserError
from pipeline.model_files.files import read
from tests.marks import slow
from tests.model_files.fuzz import FILES, examples, in_process, read_all
from tests.model_files.test_files import field, msgpack_array, msgpack_map

ONE_OF_EACH = ["cnn.npz", "cnn.onnx", "cnn.safetensors", "flax_linen.msgpack", "keras_small.h5", "matrix.npy"]
ONE_OF_EACH += ["mlp_compressed.npz", "torch_language.pt", "torch_legacy.pt"]


@pytest.mark.parametrize(("names", "cases"), [(ONE_OF_EACH, 20), *slow(*(([name], 60) for name in examples()))])
def test_damaged_copies_give_a_message_or_a_model(names: list[str], cases: int) -> None:
    """In a process whose audit hook ends it when anything is executed, imported, unpickled or written."""
    results = in_process(names, cases)
    assert list(results) == names
    for result in results.values():
        assert result["refused"] > cases / 3  # most changes are noticed; those of values are not
        assert result["longest"] < 5.0


def test_the_audit_hook_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "from tests.model_files import fuzz; import sys, os; sys.addaudithook(fuzz.forbid); fuzz.active = True; os.system('true')"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert process.returncode == 3
    assert "forbidden: os.system" in process.stderr


# ---------------------------------------------------------------------------------------------------------------------
# Pickles that would run code


class Runs:
    """Its pickle calls a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def harmful(path: Path) -> list[tuple[bytes, str]]:
    """Pickles that would create a file, and the name that the message has."""
    command = f"touch {path}"
    return [
        (pickle.dumps(Runs(os.system, command), 2), "posix.system"),
        (pickle.dumps({"a": Runs(os.system, command)}, 4), "posix.system"),
        (pickle.dumps(Runs(eval, f"open({str(path)!r}, 'w')"), 0), "eval"),
        (pickle.dumps(Runs(subprocess.Popen, command), 4), "subprocess.Popen"),
        (f"(S'{command}'\nios\nsystem\n.".encode(), "os.system"),  # INST
        (f"(cos\nsystem\nS'{command}'\no.".encode(), "os.system"),  # OBJ
        (b"\x80\x02cos\nsystem\n" + pickle.dumps((command,), 2)[2:-1] + b"R.", "os.system"),
        (b"\x80\x04\x8c\x05posix\x8c\x06system\x93" + pickle.dumps((command,), 2)[2:-1] + b"R.", "posix.system"),
        (b"\x80\x02ctorch\nload\n" + pickle.dumps((command,), 2)[2:-1] + b"R.", "torch.load"),
        (
            b"\x80\x02ctorch.storage\n_load_from_bytes\n" + pickle.dumps((b"x",), 2)[2:-1] + b"R.",
            "torch.storage._load_from_bytes",
        ),
        (b"\x80\x02cbuiltins\ngetattr\n(ctorch\nSize\nS'__class__'\ntR.", "builtins.getattr"),
        (b"\x80\x02\x82\x05.", "copyreg extension 5"),
    ]


@pytest.mark.parametrize("i", range(12))
def test_pickles_that_would_run_code_are_refused_by_name(i: int, tmp_path: Path) -> None:
    """As the structure of a file, and in each pickle of the format before PyTorch 1.6."""
    target, path = tmp_path / "target", tmp_path / "a.pt"
    data, name = harmful(target)[i]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", data)
    with pytest.raises(
        UserError,
        match=rf"a.pt: its pickle uses [\w.]*{name}, which is refused because to load it would execute code; save the weights alone",
    ):
        read(path)
    pickles = [pickle.dumps(each, 2) for each in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, {}, [])]
    for place in range(1, 5):
        path.write_bytes(b"".join([*pickles[:place], data, *pickles[place + 1 :]]))
        with pytest.raises(UserError):
            read(path)
    path.write_bytes(data)
    with pytest.raises(UserError):
        read(path)
    np.savez(tmp_path / "b.npz", a=np.array([Runs(os.system, f"touch {target}")], object), W=np.ones((2, 2)))
    assert [tensor.name for tensor in read(tmp_path / "b.npz").tensors] == ["W"]
    assert not target.exists()


def test_the_persistent_id_of_a_storage_runs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02(cos\nsystem\nS'true'\ntQ.")
    with pytest.raises(UserError, match="it refers to an unknown object"):
        read(path)


# ---------------------------------------------------------------------------------------------------------------------
# Sizes that are not there


def limited(path: Path) -> str:
    """Read in a process of at most 1 GB beside what it needs to start; the message."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    message = read_all(path)
    assert time.perf_counter() - start < 5.0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kB
    return message


def safetensors(header: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header + bytes(64)


def npy(shape: tuple[int, ...], name: str = "<f4") -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": name, "fortran_order": False, "shape": shape})  # type: ignore[arg-type]
    return file.getvalue() + bytes(64)


def archive(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in members.items():
            target.writestr(name, data)
    return file.getvalue()


def tensor_pickle(shape: str, strides: str, n: int = 16, offset: int = 0) -> bytes:
    """A pickle of one tensor with a storage of n values; shape and strides in the instructions of protocol 0."""
    text = f"ctorch._utils\n_rebuild_tensor_v2\n((S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nI{n}\ntQI{offset}\n{shape}{strides}I00\n}}tR."
    return text.encode()


TUPLE = "(I{}\nI{}\nt"
BIG = 1 << 60
SIZES: dict[str, tuple[bytes | Callable[[], bytes], str]] = {  # large contents are made by the test alone
    "safetensors header": (struct.pack("<Q", BIG) + b'{"a":1}', "is in no format that is read"),
    "safetensors shape": (safetensors(json.dumps({"a": {"dtype": "F32", "shape": [BIG, BIG], "data_offsets": [0, 64]}}).encode()), "needs more bytes than the file has"),
    "safetensors negative": (safetensors(json.dumps({"a": {"dtype": "F32", "shape": [-4, -4], "data_offsets": [0, 64]}}).encode()), r"the shape of a is \[-4, -4\]"),
    "safetensors offsets": (safetensors(json.dumps({"a": {"dtype": "F32", "shape": [4], "data_offsets": [BIG, BIG + 16]}}).encode()), "the values of a lie outside the file"),
    "safetensors booleans": (safetensors(json.dumps({"a": {"dtype": "F32", "shape": [True], "data_offsets": [0, 64]}}).encode()), r"the shape of a is \[True\]"),
    "safetensors nesting": (safetensors(b'{"a":' * 100_000), "RecursionError"),
    "safetensors number": (safetensors(b'{"a": ' + b"9" * 10_000 + b"}"), "Exceeds the limit"),
    "npy shape": (npy((BIG, 3)), "needs more bytes than the file has"),
    "npz shape": (archive({"a.npy": npy((BIG, 3))}), "needs more bytes than the file has"),
    "npz expansion": (lambda: archive({"a.npy": npy((1 << 28,))[:-64] + bytes(1 << 27)}), "the member a.npy expands from"),
    "torch shape": (archive({"a/data.pkl": tensor_pickle(TUPLE.format(BIG, 3), TUPLE.format(3, 1)), "a/data/0": bytes(64)}), "needs more bytes than the file has"),
    "torch strides 0": (archive({"a/data.pkl": tensor_pickle(TUPLE.format(BIG, 3), TUPLE.format(0, 0)), "a/data/0": bytes(64)}), "needs more bytes than the file has"),
    "torch strides": (archive({"a/data.pkl": tensor_pickle(TUPLE.format(4, 4), TUPLE.format(BIG, 1)), "a/data/0": bytes(64)}), "needs more bytes than the file has"),
    "torch strides below 0": (archive({"a/data.pkl": tensor_pickle(TUPLE.format(4, 4), TUPLE.format(-4, 1)), "a/data/0": bytes(64)}), r"the strides of tensor are \(-4, 1\)"),
    "torch offset": (archive({"a/data.pkl": tensor_pickle(TUPLE.format(4, 4), TUPLE.format(4, 1), offset=1), "a/data/0": bytes(64)}), "needs more bytes than the file has"),
    "torch offset below 0": (archive({"a/data.pkl": tensor_pickle(TUPLE.format(4, 4), TUPLE.format(4, 1), offset=-1), "a/data/0": bytes(64)}), "a tensor has no values"),
    "torch memo": (archive({"a/data.pkl": b"\x80\x02}r\xff\xff\xff\x7f."}), "contains no weights"),
    "torch long": (archive({"a/data.pkl": b"\x80\x02\x8b\xff\xff\xff\x7f"}), "not enough data in stream"),
    "torch doubling": (archive({"a/data.pkl": b"\x80\x02]" + b"2\x86" * 60 + b"."}), "nested without end"),  # each pair holds the last one twice
    "torch cycle": (archive({"a/data.pkl": b"\x80\x02]q\0h\0a."}), "nested without end"),
    "torch depth": (archive({"a/data.pkl": b"\x80\x02]" + b"\x85" * 50_000 + b"."}), "nested without end"),
    "torch keys": (archive({"a/data.pkl": b"\x80\x02}]" + b"\x85" * 50_000 + b"Ns."}), "contains no weights"),
    "torch bomb": (lambda: archive({"a/data.pkl": bytes(1 << 27)}), "the member a/data.pkl expands from"),
    "flax list": (b"\x81\xa1a\xdd\xff\xff\xff\xff" + b"\xc0" * 100, "it is cut off"),
    "flax bytes": (b"\x81\xa1a\xc6\xff\xff\xff\xff", "it is cut off"),
    "flax depth": (b"\x81\xa1a" + b"\x91" * 100_000, "nested without end"),
    "flax array": (msgpack_map({"a": msgpack_array(np.zeros(4, "f4"))}).replace(b"\x91\x04", b"\x91\x7f"), "needs more bytes than the file has"),
    "onnx length": (b"\x08\x08\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "it is cut off"),
    "onnx shape": (b"\x08\x08" + field(7, field(5, b"\x08" + b"\xff" * 7 + b"\x3f" + field(2, 1) + field(8, b"w") + field(9, bytes(8)))), "needs more bytes than the file has"),
    "index": (b'{"weight_map": ' + b"[" * 100_000, "RecursionError"),
    "keras config": (archive({"config.json": b"[" * 100_000, "model.weights.h5": (FILES / "keras_small.weights.h5").read_bytes()}), "RecursionError"),
}  # fmt: skip


@pytest.mark.parametrize("name", SIZES)
def test_sizes_that_are_not_there(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    data, reason = SIZES[name]
    path.write_bytes(data() if callable(data) else data)
    message = limited(path)
    assert message.startswith(f"{path}: ")
    assert re.search(reason, message)
    assert len(message) < 700


def test_hdf5_sizes_and_links_to_other_files(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "dense/kernel", (1 << 15, 1 << 15), "f4", chunks=(1 << 10, 1 << 10), compression="gzip"
        )  # without values
    assert "expands from 0 bytes" in limited(path)
    secret = tmp_path / "secret.bin"
    secret.write_bytes(bytes(64))
    with h5py.File(path, "w") as file:
        file.create_dataset("dense/kernel", (4, 4), "f4", external=[(str(secret), 0, 64)])
    assert "the values of dense/kernel lie in another file" in limited(path)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["kernel"] = np.ones((4, 4))
    with h5py.File(path, "w") as file:
        file["dense/kernel"] = h5py.ExternalLink("b.h5", "kernel")
        file["dense/again"] = h5py.SoftLink("/dense")
    assert limited(path) == f"{path}: contains no weights"
    layout = h5py.VirtualLayout((4, 4), "f4")
    layout[:] = h5py.VirtualSource(str(tmp_path / "b.h5"), "kernel", (4, 4))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("dense/kernel", layout)
    assert "lie in another file" in limited(path)


def test_members_that_overlap_or_lie_outside(tmp_path: Path) -> None:
    """The place of a member that the directory of a ZIP archive states is checked against its own header."""
    data = bytearray(archive({"a.npy": npy((4, 4)), "b.npy": npy((4, 4))}).replace(b"\x08\0", b"\x08\0"))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as target:
        target.writestr("a.npy", npy((4, 4)))
    data = bytearray(file.getvalue())
    directory = data.index(b"PK\x01\x02")
    for offset, message in ((5, "has no header"), (len(data) - 20, "")):
        changed = bytearray(data)
        changed[directory + 42 : directory + 46] = struct.pack("<I", offset)
        (tmp_path / "a.npz").write_bytes(changed)
        assert message in limited(tmp_path / "a.npz") != ""
    changed = bytearray(data)
    changed[directory + 20 : directory + 28] = struct.pack("<II", 1 << 20, 1 << 20)
    (tmp_path / "a.npz").write_bytes(changed)
    assert "is cut off" in limited(tmp_path / "a.npz")


@pytest.mark.parametrize("name", examples())
def test_every_beginning_of_a_file_is_refused(name: str, tmp_path: Path) -> None:
    """A download that stopped: of 40 lengths, none is read as a smaller model, except values of .npz that are complete."""
    data, path = (FILES / name).read_bytes(), tmp_path / name
    for i in range(1, 40):
        path.write_bytes(data[: len(data) * i // 40])
        assert read_all(path).startswith(f"{path}: ")


def test_checksums_of_compressed_values(tmp_path: Path) -> None:
    data = bytearray((FILES / "mlp_compressed.npz").read_bytes())
    data[200] ^= 1
    (tmp_path / "a.npz").write_bytes(data)
    assert "damaged, or not a complete" in limited(tmp_path / "a.npz")
    assert zlib.crc32(b"") == 0
