"""What a worker of the cluster runs: it makes this package importable there and calls one of its functions.

The functions here are pickled by value (`cluster.calls.ByValue`), because neither the scheduler, which unpickles tasks
as well, nor a worker needs to have this package. They therefore import only the standard library.

The sources are unpacked once per computer, into a folder named by the digest of the archive, in the folder of the user
in the directory for temporary files (TMPDIR). The compiled code lies beside it, or where NUMBA_CACHE_DIR says.
"""

import hashlib
import importlib
import importlib.util
import io
import os
import pickle
import shutil
import sys
import tempfile
import threading
import types
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGE = "pipeline"
STATE = "_weight_initialization_state"  # a module that holds the state of this process: it outlives each call
DONE, REFUSED = "done", "refused"


def run(versions: dict[str, str], digest: str, archive: bytes, call: bytes) -> tuple[str, bytes]:
    """Call a pickled (function, arguments) with the package in the zip `archive`, whose SHA-256 is `digest`.

    Returns DONE and the pickled result, or REFUSED and a message: the versions of packages here differ from `versions`,
    or the archive cannot be unpacked. Exceptions of the function are raised.
    """
    state = state_of_process()
    if versions != state.versions:  # those of the last call; reading them takes a millisecond
        for name, wanted in versions.items():
            found = version_of(name)
            if found != wanted:
                return REFUSED, f"{name} {found or 'is missing'}, not {wanted}".encode()
        state.versions = versions
    if hashlib.sha256(archive).hexdigest() != digest:
        return REFUSED, b"the package arrived damaged"
    try:
        enter(state, digest, archive)
    except OSError as error:
        return REFUSED, f"the package cannot be unpacked: {error}".encode()
    try:
        function, arguments = pickle.loads(call)
        return DONE, pickle.dumps(function(*arguments), protocol=5)
    finally:
        leave(state)


def version_of(name: str) -> str | None:
    """The version of an installed package, or None."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def state_of_process() -> Any:
    """The state of this process.

    The digest of the importable package, its folder, the number of running calls, and the versions that were compared.
    """
    made: Any = types.ModuleType(STATE)
    made.idle, made.digest, made.folder, made.running = threading.Condition(), None, None, 0
    made.versions = None
    return sys.modules.setdefault(STATE, made)  # atomic: threads begin at the same time


def enter(state: Any, digest: str, archive: bytes) -> None:
    """Make the package importable. Waits until no call uses a package with another digest. Raises OSError."""
    with state.idle:
        while state.digest not in (None, digest) and state.running:
            state.idle.wait()
        if state.digest != digest:
            with zipfile.ZipFile(io.BytesIO(archive)) as opened:
                files = {name: opened.read(name) for name in opened.namelist()}
            use(state, digest, files)
            state.digest = digest
        state.running += 1


def leave(state: Any) -> None:
    """The end of a call."""
    with state.idle:
        state.running -= 1
        state.idle.notify_all()


def use(state: Any, digest: str, files: dict[str, bytes]) -> None:
    """Make `files` importable, unless an installed package has the same sources. Raises OSError."""
    installed = location()
    if installed is not None and holds(installed, files):
        return
    root = own_folder()
    folder = unpacked(root, digest, files)
    os.environ.setdefault("NUMBA_CACHE_DIR", str(root / "compiled"))
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]
    sys.path[:] = [str(folder), *(path for path in sys.path if path != state.folder)]
    state.folder = str(folder)
    importlib.invalidate_caches()


def location() -> Path | None:
    """The folder that contains the package which `import` would use, or None."""
    try:
        found = importlib.util.find_spec(PACKAGE)
    except (ImportError, ValueError):
        return None
    return Path(found.origin).parents[1] if found and found.origin else None


def holds(folder: Path, files: dict[str, bytes]) -> bool:
    """Whether a folder has all files with these contents."""
    try:
        return all((folder / name).read_bytes() == content for name, content in files.items())
    except OSError:
        return False


def own_folder() -> Path:
    """A folder for temporary files that only this user may write. Raises OSError if another user has made it."""
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"weight-initialization-{user}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if hasattr(os, "getuid") and (status.st_uid != user or status.st_mode & 0o077 or folder.is_symlink()):
        raise PermissionError(f"{folder} belongs to another user, or others may write to it")
    return folder


def unpacked(root: Path, digest: str, files: dict[str, bytes]) -> Path:
    """The folder root/<digest> with the files; made under another name and then renamed. Raises OSError."""
    folder = root / digest
    if holds(folder, files):
        return folder
    part = Path(tempfile.mkdtemp(prefix="part-", dir=root))
    try:
        for name, content in files.items():
            (part / "new" / name).parent.mkdir(parents=True, exist_ok=True)
            (part / "new" / name).write_bytes(content)
        if folder.exists() and not holds(folder, files):  # a cleaner of temporary files deleted a part
            folder.rename(part / "old")
        if not folder.exists():
            (part / "new").rename(folder)
    except OSError:
        if not holds(folder, files):  # else another process made it at the same time
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder
