"""What a worker does with the package that it gets: unpack, share, repair, refuse."""

import hashlib
import io
import multiprocessing
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from pipeline.cluster import package, remote, slices
from tests.clusters import ROOT

pytestmark = pytest.mark.skipif(not hasattr(os, "getuid"), reason="workers on Windows are not supported")

FILES = {
    "pipeline/__init__.py": b"",
    "pipeline/a.py": b"X = 1\n",
    "pipeline/b/__init__.py": b"",
    "pipeline/b/c.py": b"Y = 2\n",
}


def archive(files: dict[str, bytes]) -> tuple[bytes, str]:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    return buffer.getvalue(), hashlib.sha256(buffer.getvalue()).hexdigest()


def test_the_package_of_a_stage_holds_the_modules_that_it_imports() -> None:
    content, digest = package.package_of("pipeline.stages.train")
    assert digest == hashlib.sha256(content).hexdigest()
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        files = {name: opened.read(name) for name in opened.namelist()}
    assert {"pipeline/__init__.py", "pipeline/networks/kernel_passes.py", "pipeline/stages/train.py"} <= set(files)
    assert not [name for name in files if "tracking" in name or "figures" in name]
    assert all((ROOT / name).read_bytes() == content for name, content in files.items())
    package.package_of.cache_clear()
    assert package.package_of("pipeline.stages.train") == (content, digest)  # no dates


RUN = """
import importlib.util, pickle, sys
spec = importlib.util.spec_from_file_location("alone", sys.argv[1])
remote = importlib.util.module_from_spec(spec)
sys.modules["alone"] = remote
spec.loader.exec_module(remote)
for calls in pickle.load(sys.stdin.buffer):
    state, content = remote.run(*calls)
    print(state, pickle.loads(content) if state == remote.DONE else content.decode())
print(*sorted(name for name in sys.modules if name.startswith("pipeline")))
"""


def run_alone(tmp_path: Path, *calls: tuple[dict[str, str], str, bytes, bytes]) -> list[str]:
    """What `remote.run` returns for several calls in a process without this package."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", RUN, remote.__file__],
        input=pickle.dumps(calls),
        cwd=tmp_path,
        env={"TMPDIR": str(tmp_path), "PATH": os.environ["PATH"]},
        capture_output=True,
        check=True,
    )
    return done.stdout.decode().splitlines()


def global_call(module: str, name: str) -> bytes:
    """The pickle of (eval, (name of a module's value,)), made without the module."""
    return pickle.dumps((eval, (f"__import__({module!r}, fromlist=['x']).{name}",)))


def test_calls_of_different_packages_in_one_process(tmp_path: Path) -> None:
    (first, one), (second, two) = archive(FILES), archive(FILES | {"pipeline/a.py": b"X = 7\n"})
    x, y = global_call("pipeline.a", "X"), global_call("pipeline.b.c", "Y")
    calls = [({}, one, first, x), ({}, two, second, x), ({}, one, first, y), ({}, one, first, x)]
    said = run_alone(tmp_path, *calls)
    assert said[:4] == ["done 1", "done 7", "done 2", "done 1"]
    folder = tmp_path / f"weight-initialization-{os.getuid()}"
    assert {path.name for path in folder.iterdir()} == {one, two}
    assert folder.stat().st_mode & 0o777 == 0o700


def test_what_a_worker_refuses(tmp_path: Path) -> None:
    content, digest = archive(FILES)
    x = global_call("pipeline.a", "X")
    said = run_alone(
        tmp_path,
        ({"no-such-package": "1.0"}, digest, content, x),
        ({}, digest, content[:-1] + b"x", x),
        ({}, digest, content, x),
        ({"no-such-package": "1.0"}, digest, content, x),
    )
    assert said[:4] == [
        "refused no-such-package is missing, not 1.0",
        "refused the package arrived damaged",
        "done 1",
        "refused no-such-package is missing, not 1.0",
    ]
    assert remote.version_of("numpy") is not None
    state, text = remote.run({"numpy": "0.1"}, digest, content, x)
    assert (state, text.decode()) == ("refused", f"numpy {remote.version_of('numpy')}, not 0.1")


def test_a_folder_that_others_may_write_is_refused(tmp_path: Path) -> None:
    """A user who may write to it could replace the code."""
    folder = tmp_path / f"weight-initialization-{os.getuid()}"
    folder.mkdir(mode=0o755)
    folder.chmod(0o777)
    content, digest = archive(FILES)
    (said, _) = run_alone(tmp_path, ({}, digest, content, global_call("pipeline.a", "X")))
    assert said.startswith("refused the package cannot be unpacked:")
    assert said.endswith("belongs to another user, or others may write to it")


def test_a_damaged_folder_is_replaced(tmp_path: Path) -> None:
    folder = remote.unpacked(tmp_path, "digest", FILES)
    assert folder == tmp_path / "digest"
    (folder / "pipeline" / "a.py").unlink()
    assert remote.unpacked(tmp_path, "digest", FILES) == folder
    assert remote.holds(folder, FILES)
    assert [path.name for path in tmp_path.iterdir()] == ["digest"]


def unpack(root: Path) -> bool:
    return remote.holds(remote.unpacked(root, "digest", FILES), FILES)


def test_processes_unpack_at_the_same_time(tmp_path: Path) -> None:
    with multiprocessing.get_context("fork").Pool(8) as pool:
        assert pool.map(unpack, [tmp_path] * 64, chunksize=1) == [True] * 64
    assert [path.name for path in tmp_path.iterdir()] == ["digest"]


def test_another_process_finishes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder appears between the last look and the rename."""
    remote.unpacked(tmp_path, "digest", FILES)
    answers = [False]  # of the first question whether the folder is whole
    holds = remote.holds
    monkeypatch.setattr(remote, "holds", lambda *given: answers.pop() if answers else holds(*given))
    monkeypatch.setattr(Path, "exists", lambda path: False)
    assert remote.unpacked(tmp_path, "digest", FILES) == tmp_path / "digest"
    assert [path.name for path in tmp_path.iterdir()] == ["digest"]


def test_an_installed_package_with_the_same_sources_is_used(tmp_path: Path) -> None:
    installed = {"pipeline/a.py": (ROOT / "pipeline" / "errors.py").read_bytes()}
    assert remote.location() == ROOT
    assert not remote.holds(ROOT, installed)
    assert remote.holds(ROOT, {"pipeline/errors.py": installed["pipeline/a.py"]})


def test_finished_slices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    kept = slices.Slices("train-he")
    kept.write("a", b"result")
    assert kept.read("a") is None  # there is no repository of DVC
    Path(".dvc").mkdir()
    kept.write("a", b"result")
    assert (kept.read("a"), kept.read("b"), slices.Slices("train-zeros").read("a")) == (b"result", None, None)
    path = tmp_path / ".dvc" / "tmp" / "slices" / "train-he" / "a"
    path.write_bytes(path.read_bytes()[:-1])
    assert kept.read("a") is None
    kept.delete()
    assert not path.parent.exists()
