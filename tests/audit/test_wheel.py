"""The wheel in an environment that has NumPy and nothing else: `audit-weights` works there."""

import json
import os
import shutil
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.audit.test_command import arrays

ROOT = Path(__file__).parents[2]
FILES = ROOT / "tests" / "model_files" / "files"
pytestmark = pytest.mark.slow

PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]
LIST = (
    "import atexit, sys; atexit.register(lambda: print('imported:', *sorted({name.partition('.')[0] for name, module in "
    "sys.modules.items() if 'site' in (getattr(module, '__file__', '') or '')})))"
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without network from a copy of what it needs."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, folder)
    shutil.copytree(ROOT / "pipeline", folder / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("tests", "own"):  # beside the package in the repository
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "files"))
    build = [*PIP, "wheel", "--no-build-isolation", "--no-deps", "--no-index", "-w", str(folder / "dist"), str(folder)]
    subprocess.run(build, check=True)
    (built,) = (folder / "dist").iterdir()
    return built


@pytest.fixture(scope="module")
def site(wheel: Path) -> Path:
    """A folder of packages with the wheel and NumPy."""
    folder = wheel.parent / "site"
    subprocess.run([*PIP, "install", "--no-deps", "--no-index", "--target", str(folder), str(wheel)], check=True)
    packages = Path(np.__file__).parents[1]
    for name in ("numpy", "numpy.libs"):
        if (packages / name).exists():
            (folder / name).symlink_to(packages / name)
    return folder


def run(site: Path, *given: str, code: str = "") -> subprocess.CompletedProcess[str]:
    """The installed script with these arguments, in Python without its own packages."""
    environment = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "SYSTEMROOT")}
    script = [str(site / "bin" / "audit-weights"), *given] if not code else ["-c", code, *given]
    return subprocess.run(
        [sys.executable, "-S", "-P", *script],
        cwd=site.parent,
        env=environment | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )


def safetensors(path: Path) -> Path:
    """A .safetensors file of the arrays, written from its specification."""
    header, values = {}, b""
    for name, array in arrays().items():
        content = array.astype("<f4").tobytes()
        places = [len(values), len(values) + len(content)]
        header[f"{name[1]}.{'weight' if name[0] == 'W' else 'bias'}"] = {
            "dtype": "F32", "shape": array.shape, "data_offsets": places,
        }  # fmt: skip
        values += content
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + values)
    return path


def test_the_wheel_has_what_it_needs_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    outside = {name.split("/")[0] for name in names}
    assert {name for name in outside if not name.endswith(".dist-info")} == {"pipeline"}
    in_repository = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "pipeline").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".part"
    }
    assert {name for name in names if name.startswith("pipeline/")} == in_repository
    assert "pipeline/page/view/page.html" in names


def test_it_needs_numpy_alone(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    lines = archive.read(metadata).decode().splitlines()
    needed = [line for line in lines if line.startswith("Requires-Dist: ") and "extra ==" not in line]
    assert [line.split()[1].split("<")[0].split(">")[0] for line in needed] == ["numpy"]


def test_files_are_audited(site: Path) -> None:
    np.savez(site.parent / "right.npz", **arrays())
    np.savez(site.parent / "wrong.npz", **arrays(factor=10.0))
    safetensors(site.parent / "right.safetensors")
    for name, code, verdict in (
        ("right.npz", 0, "OK: "),
        ("right.safetensors", 0, "OK: "),
        ("wrong.npz", 1, "ALARM in layer W2 of wrong.npz"),
    ):
        done = run(site, name, "--expect", "he_normal")
        assert (done.returncode, done.stderr) == (code, "")
        assert done.stdout.startswith(verdict)


@pytest.mark.parametrize(
    ("name", "framework"), [("torch_mlp.pt", "pytorch"), ("flax_linen.msgpack", "flax"), ("cnn.onnx", "onnx")]
)
def test_files_of_frameworks_need_no_framework(site: Path, name: str, framework: str) -> None:
    done = run(site, str(FILES / name), "--json")
    assert done.stderr == ""
    (audit,) = json.loads(done.stdout)["audits"]
    assert audit["framework"] == framework
    assert audit["layers"]


@pytest.mark.parametrize("name", ["keras_small.h5", "keras_cnn.keras"])
def test_a_missing_extra_is_named(site: Path, name: str) -> None:
    done = run(site, str(FILES / name))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "pip install 'weight-initialization-laboratory[keras]'" in done.stderr


def test_a_function_is_graded(site: Path) -> None:
    path = site.parent / "submission.py"
    path.write_text("import numpy as np\ndef he(m, n):\n    return np.random.randn(m, n) * np.sqrt(2 / n)\n")
    done = run(site, "--grade", "submission.py:he", "--expect", "he_normal")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("OK: he(m, n) draws he_normal")


def test_a_batch_of_data_without_numba_is_one_message(site: Path) -> None:
    np.savez(site.parent / "right.npz", **arrays())
    np.save(site.parent / "batch.npy", np.ones((4, 48)))
    done = run(site, "right.npz", "--activation", "relu", "--data", "batch.npy")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "weight-initialization-laboratory[data]" in done.stderr


def test_the_function_imports_numpy_and_the_package_alone(site: Path) -> None:
    code = f"{LIST}; import numpy; from pipeline.audit import audit; print(audit(sys.argv[1]).ok)"
    np.savez(site.parent / "right.npz", **arrays())
    done = run(site, "right.npz", code=code)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["True", "imported: numpy pipeline"]


def test_the_version_is_that_of_the_project(site: Path) -> None:
    assert run(site, "--version").stdout == "audit-weights 0.1.0\n"
