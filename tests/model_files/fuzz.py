"""Damaged copies of the files in files/: `python -m tests.model_files.fuzz 2000` tries as many of each, or of one given file.

Each is read in a process that ends as soon as anything is executed, imported or written. Bytes are flipped, cut out, inserted,
repeated and replaced by extreme numbers, in the file and, in archives, in a member whose checksum is then made to fit.
"""

import importlib
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import traceback
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import UserError
from pipeline.model_files.files import read
from pipeline.model_files.layers import layers, trained

# What the standard library imports when it needs it: codecs for names and text, methods of compression
for _name in (
    "cp437",
    "latin_1",
    "raw_unicode_escape",
    "utf_16",
    "utf_16_be",
    "utf_16_le",
    "utf_32",
    "utf_32_be",
    "utf_32_le",
):
    importlib.import_module(f"encodings.{_name}")
for _name in ("bz2", "lzma", "unicodedata"):
    importlib.import_module(_name)

FILES = Path(__file__).parent / "files"
FORBIDDEN = ("exec", "os.", "subprocess.", "pickle.find_class", "import", "ctypes.", "socket.", "shutil.", "code.")
HARMLESS = ("os.listdir", "os.scandir", "os.remove", "os.unlink")
NUMBERS = (
    b"\xff" * 8,
    b"\0" * 8,
    b"\xff\xff\xff\x7f",
    b"\0\0\0\0\0\0\0\x10",
    b"\0\0\0\x80",
    b"PK\x03\x04",
    b"\x80\x04c",
    b"{" * 40,
    b"[" * 2000,
)


active = hooked = False  # whether the audit hook ends the process, and whether it is there


def damaged(data: bytes, rng: random.Random) -> bytes:
    """A copy with one to four changes."""
    content = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(content) + 1) if rng.random() < 0.7 else rng.randrange(min(len(content), 600) + 1)
        size = rng.choice((1, 1, 2, 8, 64, len(content) // 4))
        kind = rng.randrange(6)
        if kind == 0 and content:
            content[min(at, len(content) - 1)] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del content[at : at + size]
        elif kind == 2:
            content[at:at] = rng.randbytes(size)
        elif kind == 3:
            content[at:at] = content[at : at + size]
        elif kind == 4:
            number = rng.choice(NUMBERS)
            content[at : at + len(number)] = number
        else:
            del content[at:]
    return bytes(content)


def damaged_file(path: Path, rng: random.Random) -> bytes:
    """A damaged copy of a file; of an archive, half of the time one with a damaged member and a correct checksum."""
    data = path.read_bytes()
    if not data.startswith(b"PK") or rng.random() < 0.5:
        return damaged(data, rng)
    result = io.BytesIO()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(result, "w") as target:
        infos = source.infolist()
        chosen = rng.choice([info for info in infos if info.filename.endswith((".pkl", ".h5", ".json", ".npy"))])
        for info in infos:
            content = source.read(info)
            target.writestr(info, damaged(content, rng) if info is chosen else content)
    return result.getvalue()


def read_all(path: Path) -> str:
    """Read everything in a file as the audit does; "" or the message of the UserError."""
    try:
        model = read(path)
        trained(model)
        for layer in layers(model):
            np.asarray(layer.matrix())[:1].tobytes()
            if layer.bias:
                np.asarray(layer.bias.read())
    except UserError as error:
        return str(error)
    return ""


def forbid(event: str, arguments: Any) -> None:
    """An audit hook: end the process at an event that reading a file must not cause."""
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    writes = writes and not str(arguments[0]).startswith(tempfile.gettempdir())
    if active and event not in HARMLESS and (writes or event.startswith(FORBIDDEN)):
        sys.__stderr__.write(f"forbidden: {event} {arguments!r:.200}\n")
        traceback.print_stack(file=sys.__stderr__)
        os._exit(3)


def run(name: str, cases: int, seed: int) -> dict[str, float]:
    """Read damaged copies of one file in this process; how many were refused, and the longest time."""
    global active, hooked
    source, refused, longest = FILES / name, 0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        read_all(source)  # imports what it needs
        random.Random("")  # from Python 3.13 on the first text as a seed imports SHA-512
        path.write_bytes(source.read_bytes()[:-7])
        read_all(path)
        if not hooked:
            sys.addaudithook(forbid)
        active = hooked = True
        for case in range(cases):
            data = damaged_file(source, random.Random(f"{name} {seed} {case}"))
            path.unlink()
            path.write_bytes(data)
            start = time.perf_counter()
            try:
                message = read_all(path)
            except BaseException:
                active = False
                sys.__stderr__.write(f"case {case} of {name}\n")
                raise
            if message and not (message.startswith(folder) and "\n" not in message and len(message) < 700):
                active = False
                raise AssertionError(message)
            longest = max(longest, time.perf_counter() - start)
            refused += bool(message)
        active = False
    return {"cases": cases, "refused": refused, "longest": round(longest, 3)}


def in_process(names: list[str], cases: int, seed: int = 0) -> dict[str, dict[str, float]]:
    """`run` for files in a process with 3 GB of memory at most, which a crash of a library in C ends. Raises RuntimeError."""
    code = "import resource, json; resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30)); from tests.model_files import fuzz; "
    code += f"print(json.dumps({{name: fuzz.run(name, {cases}, {seed}) for name in {names}}}))"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600 + cases)
    if process.returncode:
        raise RuntimeError(f"{names} ended with {process.returncode}: {process.stderr[-3000:]}")
    return dict(json.loads(process.stdout))


def examples() -> list[str]:
    """The files that hold models."""
    return sorted(path.name for path in FILES.iterdir() if path.name != "expected.json")


if __name__ == "__main__":
    for name in sys.argv[2:] or examples():
        print(in_process([name], int(sys.argv[1]), int(os.environ.get("SEED", "0"))), flush=True)
