"""Where machine code is kept, under which names, and that it never outlives a source of which it is made."""

import ast
import hashlib
import importlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import llvmlite.binding
import numpy as np
import pytest
from numba import njit
from numba.core.errors import TypingError
from numba.core.registry import cpu_target

from pipeline.networks import kernel
from pipeline.numerics import machine_code, matmul, sources
from pipeline.numerics.sources import PACKAGE

LIBRARIES = {each.module: each for each in (kernel.compiled, matmul.compiled)}
MODULE = "pipeline.numerics.sums"  # a module without compiled functions, whose name the libraries of these tests have


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for machine code."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def counted(functions: Sequence[Any]) -> tuple[machine_code.Library, list[int]]:
    """A library of functions, and a list that grows by an entry whenever they are compiled."""
    calls: list[int] = []

    def entry_points() -> Sequence[Any]:
        calls.append(1)
        return functions

    return machine_code.Library(MODULE, entry_points), calls


def refuse() -> Sequence[Any]:
    raise AssertionError("compiled again")


# ---------------------------------------------------------------------------------------------------------------------
# Folders


def test_a_checkout_for_an_experiment_keeps_machine_code_in_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    repository, checkout = tmp_path / "pipeline", tmp_path / "exps" / "tmp1" / "pipeline"
    repository.mkdir()
    monkeypatch.setattr(machine_code, "PACKAGE", checkout)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    assert machine_code.folders()[0] == checkout / "__pycache__"
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    assert machine_code.folders()[0] == repository / "__pycache__"
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "elsewhere"))  # of another project
    assert machine_code.folders()[0] == checkout / "__pycache__"
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "chosen"))
    assert machine_code.folders() == [tmp_path / "chosen"]


def test_a_folder_that_cannot_be_written_is_replaced_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    folders = [tmp_path / "file" / "below", tmp_path / "home"]
    monkeypatch.setattr(machine_code, "folders", lambda: folders)
    machine_code.write("name", b"content")
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["name"]
    assert machine_code.read("name") == b"content"
    folders.pop()
    machine_code.write("other", b"content")  # to no folder
    assert machine_code.read("other") is None


# ---------------------------------------------------------------------------------------------------------------------
# Files


ARITHMETIC = """
from numba import njit
from pipeline.numerics.tiles import load_integer, store


@njit
def divide(x: float, n: int, at: int) -> None:
    store(x / (n // load_integer(at, 1)), at, 0)


@njit
def scale(x: float, at: int) -> None:
    store(3.0 * x, at, 0)
"""


@pytest.fixture(scope="module")
def functions(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Any]:
    """Two small functions for Numba."""
    path = tmp_path_factory.mktemp("source") / "arithmetic.py"
    path.write_text(ARITHMETIC)
    spec = importlib.util.spec_from_file_location("arithmetic", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.divide, module.scale


def check(library: machine_code.Library) -> None:
    """Call both functions of `functions`, and one with a division by zero, for which Numba's code raises."""
    place = np.zeros(1)
    numbers = np.array([0, 2])
    library["scale"](1.5, place.ctypes.data)
    assert place[0] == 4.5
    both = np.array([0, 2])
    library["divide"](10.0, 5, both.ctypes.data)
    assert both[:1].view(np.float64)[0] == 5.0  # 10 / (5 // 2)
    numbers[1] = 0
    with pytest.raises(RuntimeError, match="compiled code ended with status 1"):
        library["divide"](10.0, 5, numbers.ctypes.data)


def test_machine_code_is_compiled_once_and_then_loaded(functions: Sequence[Any], folder: Path) -> None:
    first, calls = counted(functions)
    check(first)
    assert len(calls) == 1
    (file,) = folder.iterdir()
    assert file.name == f"sums-{machine_code.key(MODULE)[:32]}.nbo"
    check(machine_code.Library(MODULE, refuse))


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b"", lambda b: b[:99] + bytes([b[99] ^ 1]) + b[100:]])
def test_a_damaged_file_is_compiled_again(
    functions: Sequence[Any], folder: Path, damage: Callable[[bytes], bytes]
) -> None:
    check(counted(functions)[0])
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    again, calls = counted(functions)
    check(again)
    assert len(calls) == 1
    assert hashlib.sha256(file.read_bytes()[32:]).digest() == file.read_bytes()[:32]


def test_numba_generates_no_machine_code_and_does_so_again_afterwards(
    functions: Sequence[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    codegen = cpu_target.target_context.codegen()
    with monkeypatch.context() as context:
        context.setattr(codegen, "_add_module", None)  # with which Numba begins to generate machine code
        assert machine_code.compile_functions(functions)

        @njit
        def wrong(x: float) -> None:
            x.has_no_such_attribute()

        with pytest.raises(TypingError, match="has_no_such_attribute"):
            machine_code.compile_functions([wrong])
    assert njit(lambda x: x + 1.0)(1.5) == 2.5


def test_who_waits_for_the_compiler_is_notified_once(functions: Sequence[Any], folder: Path) -> None:
    notified: list[str] = []
    with machine_code.when_compiling(lambda: notified.append("compiling")):
        assert notified == []
        check(counted(functions)[0])
        (file,) = folder.iterdir()
        file.unlink()
        check(counted(functions)[0])
    assert notified == ["compiling"]
    file.unlink()
    check(counted(functions)[0])  # outside the context
    check(machine_code.Library(MODULE, refuse))
    assert notified == ["compiling"]


@pytest.mark.skipif(sys.platform == "win32", reason="has no lock")
def test_of_two_that_compile_at_once_the_second_waits_and_loads(functions: Sequence[Any], folder: Path) -> None:
    """Threads, whose locks exclude each other as those of processes do: each opens the file itself."""
    both_started, calls = threading.Barrier(2, timeout=60), []

    def entry_points() -> Sequence[Any]:
        calls.append(1)
        return functions

    notify = machine_code._listeners
    notify.append(both_started.wait)  # both know that there is no file before either compiles
    try:
        threads = [
            threading.Thread(target=machine_code.Library(MODULE, entry_points).__getitem__, args=("scale",))
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        notify.remove(both_started.wait)
    assert len(calls) == 1
    assert [path.suffix for path in folder.iterdir()] == [".nbo"]
    check(machine_code.Library(MODULE, refuse))


HOLD = "from pipeline.numerics import machine_code as m\nwith m.locked('name'): print('held', flush=True), input()"


@pytest.mark.skipif(sys.platform == "win32", reason="has no lock")
def test_a_lock_ends_with_its_process_and_is_not_awaited_for_ever(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-c", HOLD]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=PACKAGE.parent, text=True, **pipes) as process:
        assert process.stdout.readline() == "held\n"
        descriptor = os.open(folder / "name.lock", os.O_RDWR)
        monkeypatch.setattr(machine_code, "LONGEST_WAIT", 0.0)
        assert not machine_code.wait_for_lock(descriptor)
        with machine_code.locked("name"):  # without the lock
            pass
        assert (folder / "name.lock").exists()  # which is the other process's to delete
        process.kill()
    assert machine_code.wait_for_lock(descriptor)
    os.close(descriptor)
    with machine_code.locked("name"):
        assert (folder / "name.lock").exists()
    assert not list(folder.iterdir())


def test_without_a_folder_that_can_be_written_nothing_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(machine_code, "folders", lambda: [tmp_path / "file"])
    with machine_code.locked("name"):
        assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("library", LIBRARIES.values(), ids=LIBRARIES)
def test_machine_code_needs_nothing_of_numba(library: machine_code.Library) -> None:
    """Its object file refers to no function or variable outside itself but those of the C library."""
    name = next(iter(library.entry_points())).py_func.__name__
    assert callable(library[name])
    content = machine_code.read(library.name_of_file())
    assert content is not None
    header, _, code = content.partition(b"\n")
    assert list(json.loads(header)) == [each.py_func.__name__ for each in library.entry_points()]
    for symbol in (b"NRT_", b"PyErr_", b"PyGILState", b"numba_"):
        assert symbol not in code


def test_numba_is_not_imported_to_load(functions: Sequence[Any]) -> None:
    """After the other tests of this module have compiled, a new process computes without Numba."""
    compute = "matmul.product(np.ones((1, 2, 3)), np.ones((3, 5)))[0].tolist()"
    code = f"import sys; import numpy as np; from pipeline.numerics import matmul; print({compute}, 'numba' in sys.modules)"
    matmul.product(np.ones((1, 2, 3)), np.ones((3, 5)))
    done = subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, check=True, capture_output=True, text=True)
    assert done.stdout == f"{[[3.0] * 5] * 2} False\n"


# ---------------------------------------------------------------------------------------------------------------------
# Machine code never outlives any source that it is made of


@pytest.mark.parametrize("name", LIBRARIES)
def test_the_key_covers_every_module_that_is_really_imported(name: str) -> None:
    """What Python itself loads to compile, in a new process, against what is found in the sources."""
    files = "(m.__file__ for n, m in sys.modules.items() if n.split('.')[0] == 'pipeline')"
    code = f"import sys, {name}; print(*{files}, sep='\\n')"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=PACKAGE.parent, check=True, capture_output=True, text=True
    )
    assert {str(path) for path in sources.import_closure(name)} == set(loaded.stdout.splitlines())


@pytest.mark.parametrize("library", LIBRARIES.values(), ids=LIBRARIES)
def test_a_library_compiles_the_module_that_its_key_covers(library: machine_code.Library) -> None:
    assert {each.py_func.__module__ for each in library.entry_points()} == {library.module}


def test_nothing_else_is_kept_by_numba() -> None:
    """Numba's own cache, whose keys do not cover imported modules (and numba/numba#10486), is not used."""
    for path in sorted(PACKAGE.rglob("*.py")):
        keywords = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.keyword))
        assert not any(keyword.arg == "cache" and ast.unparse(keyword.value) == "True" for keyword in keywords), path


def test_imports_are_followed_wherever_and_however_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        "__init__.py": "",
        "entry.py": "import package.plain\nfrom package import shared as s\nimport os\ndef f():\n    from package.sub import inner\n",
        "plain.py": "from package.constants import ONE\n",
        "shared.py": "",
        "constants.py": "ONE = 1.0\n",
        "sub/__init__.py": "from ..parent import X\n",
        "sub/inner.py": "from . import sibling\nimport package.entry\n",
        "sub/sibling.py": "",
        "parent.py": "X = 2.0\n",
        "unused.py": "",
    }
    package = tmp_path / "package"
    for file, source in files.items():
        (package / file).parent.mkdir(parents=True, exist_ok=True)
        (package / file).write_text(source)
    monkeypatch.setattr(sources, "PACKAGE", package)
    found = {path.relative_to(package).as_posix() for path in sources.import_closure("package.entry")}
    assert found == set(files) - {"unused.py"}
    digests = []
    for file in (None, *files):
        if file:
            (package / file).write_text(files[file] + "# edited\n")
        digests.append(sources.digest(sources.import_closure("package.entry")))
    assert digests[-1] == digests[-2]  # unused.py
    assert len(set(digests)) == len(files)  # each of the others changes it
    with pytest.raises(ModuleNotFoundError, match=r"package has no module package\.nothing"):
        sources.import_closure("package.nothing")


@pytest.mark.parametrize("package", ["numba", "llvmlite"])
def test_another_compiler_has_another_key(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = machine_code.key(MODULE)
    installed = importlib.metadata.version
    monkeypatch.setattr(machine_code, "version", lambda name: "0.0.1" if name == package else installed(name))
    assert machine_code.key(MODULE) != before


def test_another_processor_has_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES"):
        monkeypatch.delenv(name, raising=False)
    keys = [machine_code.key(MODULE)]
    monkeypatch.setenv("NUMBA_CPU_NAME", "haswell")
    keys.append(machine_code.key(MODULE))
    monkeypatch.setenv("NUMBA_CPU_FEATURES", "")
    keys.append(machine_code.key(MODULE))
    monkeypatch.setattr(llvmlite.binding, "get_host_cpu_name", lambda: "another")
    keys.append(machine_code.key(MODULE))
    assert len(set(keys)) == 4


COST = """  # a library like the kernel, of three modules that it imports; small, so that it compiles in a second
import numpy as np
from numba import njit
from pipeline.networks import kernel_passes
from pipeline.networks.losses import cross_entropy
from pipeline.numerics import machine_code
from pipeline.numerics.simd import everywhere, lane_total
from pipeline.numerics.tiles import store

@njit
def cost(z: float, at: int) -> None:
    store(lane_total(cross_entropy(everywhere(z), everywhere(1.0))), at, 0)

compiled = []
place = np.zeros(1)
library = machine_code.Library("pipeline.cost", lambda: compiled.append(1) or (cost,))
library["cost"](0.5, place.ctypes.data)
print(place[0].hex(), len(compiled))
"""


@pytest.mark.slow
def test_an_edit_of_the_losses_has_its_effect_in_the_next_process(tmp_path: Path) -> None:
    package = tmp_path / PACKAGE.name
    shutil.copytree(PACKAGE, package)
    (package / "cost.py").write_text(COST)
    environment = {name: value for name, value in os.environ.items() if name not in ("NUMBA_CACHE_DIR", "DVC_ROOT")}

    def costs() -> tuple[float, int]:
        """The cost of eight samples, and how many times it was compiled."""
        command = [sys.executable, "-m", "pipeline.cost"]
        done = subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True)
        value, compilations = done.stdout.split()
        return float.fromhex(value), int(compilations)

    before, compilations = costs()
    assert (before, compilations) == (pytest.approx(8 * np.log1p(np.exp(-0.5)), rel=1e-14), 1)  # ulps of exp and log1p
    assert costs() == (before, 0)
    losses = (package / "networks" / "losses.py").read_text()
    statement = "return (select(z < 0.0, 0.0, z) - y * z) + softplus(-abs(z))"
    assert statement in losses
    (package / "networks" / "losses.py").write_text(
        losses.replace(statement, statement.replace("return ", "return 2.0 * (") + ")")
    )
    assert costs() == (2.0 * before, 1)
