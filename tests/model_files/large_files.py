"""Memory in which large files are read: `python -m tests.model_files.large_files 2000` writes 2 GB of each format and reads them.

A file has four equal layers, read in a process of their own, one after another, in pieces of rows of the array as it is
stored. The limit is 1.2 times a layer and 200 MB: below what four layers need, or one of bfloat16 as float32.
"""

import json
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import h5py
import numpy as np

MB = 1_000_000
COLUMNS = 1000
# Linux counts the memory of the parent, from which a process is forked, as its ru_maxrss too, but not as its VmHWM
PEAK = """
def peak_memory():
    from pathlib import Path
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0])
    import resource
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
"""
READ = f"""{PEAK}
import sys
import numpy as np
from pipeline.model_files.files import read
from pipeline.model_files.layers import layers
n, total = 0, 0.0
for layer in layers(read(sys.argv[1])):
    matrix = layer.matrix()
    rows = matrix if matrix.flags.c_contiguous else matrix.T
    step = max(1, 250_000 // rows.shape[1])
    for start in range(0, len(rows), step):
        piece = rows[start : start + step].astype(np.float64)
        n, total = n + piece.size, total + float(np.square(piece).sum())
    del matrix, rows, piece
print(peak_memory(), n, total / n)
"""


AUDIT = f"""{PEAK}
import sys
from pipeline.audit import audit
layers = audit(sys.argv[1]).layers
n, total = 0, 0.0
for layer in layers:
    n, total = n + layer.n, total + layer.n * layer.std * layer.std
print(peak_memory(), n, total / n)
"""


def row_counts(megabytes: int, itemsize: int) -> list[int]:
    """The rows of the four layers."""
    return [megabytes * MB // (4 * COLUMNS * itemsize)] * 4


def blocks(rows: int, dtype: str) -> Iterator[bytes]:
    """The bytes of a layer: the same 1,000 rows of draws of N(0, 1) again and again."""
    draws = np.random.RandomState(0).randn(1000, COLUMNS).astype(np.float32)
    data = (draws.view(np.uint32) >> 16).astype("<u2") if dtype == "bfloat16" else draws.astype(dtype)
    for start in range(0, rows, 1000):
        yield data[: rows - start].tobytes()


def write_blocks(file: IO[bytes], rows: int, dtype: str) -> None:
    for block in blocks(rows, dtype):
        file.write(block)


def write_safetensors(path: Path, megabytes: int, dtype: str = "float32") -> None:
    itemsize = 2 if dtype == "bfloat16" else 4
    counts, header, end = row_counts(megabytes, itemsize), {}, 0
    for i, rows in enumerate(counts):
        start, end = end, end + rows * COLUMNS * itemsize
        header[f"{i}.weight"] = {
            "dtype": "BF16" if itemsize == 2 else "F32",
            "shape": [rows, COLUMNS],
            "data_offsets": [start, end],
        }
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for rows in counts:
            write_blocks(file, rows, dtype)


def write_bfloat16(path: Path, megabytes: int) -> None:
    write_safetensors(path, megabytes, "bfloat16")


def write_npy(path: Path, megabytes: int) -> None:
    rows = row_counts(megabytes, 4)[0]  # one layer
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (rows, COLUMNS)})  # type: ignore[arg-type]
        write_blocks(file, rows, "float32")


def write_npz(path: Path, megabytes: int, method: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", method, compresslevel=1) as archive:
        for i, rows in enumerate(row_counts(megabytes, 4)):
            with archive.open(f"{i}.weight.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array_header_1_0(
                    file, {"descr": "<f4", "fortran_order": False, "shape": (rows, COLUMNS)}
                )  # type: ignore[arg-type]
                write_blocks(file, rows, "float32")


def write_torch(path: Path, megabytes: int) -> None:
    text = "}"
    with zipfile.ZipFile(path, "w") as archive:
        for i, rows in enumerate(row_counts(megabytes, 4)):
            text += f"S'{i}.weight'\nctorch._utils\n_rebuild_tensor_v2\n((S'storage'\nctorch\nFloatStorage\nS'{i}'\nS'cpu'\n"
            text += f"I{rows * COLUMNS}\ntQI0\n(I{rows}\nI{COLUMNS}\nt(I{COLUMNS}\nI1\ntI00\n}}tRs"
            with archive.open(f"a/data/{i}", "w", force_zip64=True) as file:
                write_blocks(file, rows, "float32")
        archive.writestr("a/data.pkl", f"{text}.")


def write_h5(path: Path, megabytes: int) -> None:
    with h5py.File(path, "w") as file:
        for i, rows in enumerate(row_counts(megabytes, 4)):
            kernel = file.create_dataset(f"dense_{i}/kernel", (rows, COLUMNS), "<f4")
            for start, block in zip(range(0, rows, 1000), blocks(rows, "float32"), strict=True):
                kernel[start : start + 1000] = np.frombuffer(block, "<f4").reshape(-1, COLUMNS)


WRITERS = {
    "safetensors": write_safetensors,
    "bfloat16": write_bfloat16,
    "npy": write_npy,
    "npz": write_npz,
    "torch": write_torch,
    "h5": write_h5,
}


def peak(name: str, megabytes: int, folder: Path, program: str = READ) -> tuple[float, float, float]:
    """Peak memory of reading a file of a format, the limit in MB, and the mean square of its values, which is near 1."""
    path = folder / f"large.{name}"
    WRITERS[name](path, megabytes)
    process = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True)
    size = path.stat().st_size
    path.unlink()
    if process.returncode:
        raise RuntimeError(process.stderr)
    kilobytes, n, square = process.stdout.split()
    largest = size if name == "npy" else size / 4
    assert int(n) * (2 if name == "bfloat16" else 4) > 0.99 * size
    return int(kilobytes) * 1024 / MB, 1.2 * largest / MB + 200, float(square)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        for name in sys.argv[2:] or WRITERS:
            print(
                f"{name:12} peak {{:5.0f}} MB, limit {{:5.0f}} MB, mean square {{:.4f}}".format(
                    *peak(name, int(sys.argv[1]), Path(folder))
                ),
                flush=True,
            )
