"""The results of finished slices of a stage, kept until the stage has written its files.

A stage that ends early, because the scheduler was lost or by Ctrl-C, finds them when it runs again. They are pickles in
DVC's folder for temporary files, .dvc/tmp, which git ignores; outside a repository nothing is kept.
"""

import contextlib
import hashlib
import shutil
from pathlib import Path

from pipeline.storage import atomic_files

DVC = Path(".dvc")
FOLDER = DVC / "tmp" / "slices"
DIGEST = 32  # bytes of the SHA-256 at the beginning of a file


class Slices:
    """The finished slices of one stage, each under a name that depends on its code and its input."""

    def __init__(self, stage: str) -> None:
        self.folder = FOLDER / stage

    def read(self, name: str) -> bytes | None:
        """The result of a slice, or None if it is not there or damaged."""
        with contextlib.suppress(OSError):
            found = (self.folder / name).read_bytes()
            if hashlib.sha256(found[DIGEST:]).digest() == found[:DIGEST]:
                return found[DIGEST:]
        return None

    def write(self, name: str, content: bytes) -> None:
        """Keep the result of a slice if possible."""
        if DVC.is_dir():
            with contextlib.suppress(atomic_files.FileError):
                atomic_files.write_bytes(self.folder / name, hashlib.sha256(content).digest() + content)

    def delete(self) -> None:
        """Delete all slices of the stage."""
        shutil.rmtree(self.folder, ignore_errors=True)
