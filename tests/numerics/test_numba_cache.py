"""Where compiled code is kept, and under which names."""

import ast
import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import llvmlite
import numba
import numpy as np
import pytest
from numba.core.caching import CompileResultCacheImpl, InTreeCacheLocator, NullCache
from numba.core.dispatcher import Dispatcher

from pipeline.networks.kernel_passes import descend_models
from pipeline.numerics import numba_cache, sources
from pipeline.numerics.numba_cache import PACKAGE, InRepository


def module(path: Path, source: str) -> ModuleType:
    """A module of that source."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    found = importlib.util.spec_from_file_location("checkout", path)
    made = importlib.util.module_from_spec(found)
    found.loader.exec_module(made)
    return made


def kept(path: Path, source: str, patch: pytest.MonkeyPatch) -> tuple[Path, str]:
    """Folder and beginning of the names under which Numba keeps what it compiles of `double`, the pipeline lying there."""
    patch.setattr(numba_cache, "PACKAGE", path.parent)
    impl = CompileResultCacheImpl(module(path, source).double)
    assert isinstance(impl.locator, InRepository)
    return Path(impl.locator.get_cache_path()), impl.filename_base


DOUBLE = "def double(x):\n    return 2 * x\n"


def test_a_checkout_for_an_experiment_keeps_what_it_compiles_in_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository, checkout = tmp_path / "pipeline", tmp_path / "exps" / "tmp1" / "pipeline"
    repository.mkdir()
    monkeypatch.delenv("DVC_ROOT", raising=False)
    assert kept(checkout / "code.py", DOUBLE, monkeypatch)[0] == checkout / "__pycache__"
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    assert kept(checkout / "code.py", DOUBLE, monkeypatch)[0] == repository / "__pycache__"
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "elsewhere"))  # of another project
    assert kept(checkout / "code.py", DOUBLE, monkeypatch)[0] == checkout / "__pycache__"


def test_what_is_compiled_of_another_source_has_another_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, other, again = (
        kept(tmp_path / str(place) / "code.py", source, monkeypatch)[1]
        for place, source in enumerate([DOUBLE, DOUBLE.replace("2", "3"), DOUBLE])
    )
    assert first == again != other


def test_what_users_compile_is_kept_as_numba_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(numba_cache.PACKAGE.parent))
    locator = CompileResultCacheImpl(module(tmp_path / "mine.py", DOUBLE).double).locator
    assert type(locator) is InTreeCacheLocator
    assert Path(locator.get_cache_path()) == tmp_path / "__pycache__"


PAIR = f"""
from numba import njit
from pipeline.numerics import numba_cache

numba_cache.use_own_cache()


def made(c):
    @njit
    def step(x):
{"        x = x * 0.9 + c" + chr(10)}{"        x = x * x - c" + chr(10)}{("        x = x / (1.0 + x * x) + c" + chr(10)) * 100}
        return x
    return step


one, other = made(1.0), made(2.0)


@njit(cache=True)
def first(x):
    return one(x)


@njit(cache=True)
def second(x):
    return other(x)
"""


@pytest.mark.slow
def test_two_processes_that_compile_a_function_each_do_not_mix_them_up(tmp_path: Path) -> None:
    """With Numba's own numbers both call theirs `step`, number 2, and the third process has but one of them."""
    (tmp_path / "pair.py").write_text(PAIR)
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}

    def said(code: str) -> str:
        command = [sys.executable, "-c", f"from pair import first, second; {code}"]
        return subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True).stdout

    apart = said("print(first(0.5))") + said("print(second(0.5))")
    assert len(set(apart.split())) == 2
    found = "print(*(sum(each.stats.cache_hits.values()) for each in (first, second)))"
    assert said(f"print(first(0.5)); print(second(0.5)); {found}") == f"{apart}1 1\n"


def test_the_kernel_is_kept_so() -> None:
    assert isinstance(descend_models._cache._impl.locator, InRepository)


# ---------------------------------------------------------------------------------------------------------------------
# Compiled code never outlives any source that it is made of


def caching_modules() -> list[str]:
    """The modules of the package that keep compiled functions on disk: those that say `njit(cache=True)`."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        keywords = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.keyword))
        if any(keyword.arg == "cache" and ast.unparse(keyword.value) == "True" for keyword in keywords):
            found.append(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts))
    return found


@pytest.mark.parametrize("name", caching_modules())
def test_the_digest_covers_every_module_that_is_really_imported(name: str) -> None:
    """What Python itself loads for the module, in a new process, against what is found in the sources."""
    files = "(m.__file__ for n, m in sys.modules.items() if n.split('.')[0] == 'pipeline')"
    code = f"import sys, {name}; print(*{files}, sep='\\n')"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=PACKAGE.parent, check=True, capture_output=True, text=True
    )
    assert {str(path) for path in sources.import_closure(name)} == set(loaded.stdout.splitlines())


@pytest.mark.parametrize("name", caching_modules())
def test_every_function_that_is_kept_has_the_digest_in_its_key(name: str) -> None:
    made = importlib.import_module(name)
    kept = [f for f in vars(made).values() if isinstance(f, Dispatcher) and not isinstance(f._cache, NullCache)]
    assert kept
    for function in kept:  # Numba hashes the values of a closure into the key
        assert numba_cache.source_digest(name) in [cell.cell_contents for cell in function.py_func.__closure__]


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
        digests.append(numba_cache.source_digest("package.entry"))
    assert digests[-1] == digests[-2]  # unused.py
    assert len(set(digests)) == len(files)  # each of the others changes it
    with pytest.raises(ModuleNotFoundError, match=r"package has no module package\.nothing"):
        numba_cache.source_digest("package.nothing")


@pytest.mark.parametrize("package", [numba, llvmlite], ids=lambda package: package.__name__)
def test_another_compiler_has_another_digest(package: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    before = numba_cache.source_digest("pipeline.numerics.gram_schmidt")
    monkeypatch.setattr(package, "__version__", "0.0.1")
    assert numba_cache.source_digest("pipeline.numerics.gram_schmidt") != before


COST = """  # a function kept as the kernel's are, of three modules that it imports; small, so that it compiles in a second
from numba import njit
from pipeline.networks import kernel_passes
from pipeline.networks.losses import cross_entropy
from pipeline.numerics.numba_cache import source_digest
from pipeline.numerics.simd import everywhere, lane_total

def entry_point(sources):
    @njit(cache=True)
    def cost(z):
        _ = sources
        return lane_total(cross_entropy(everywhere(z), everywhere(1.0)))
    return cost

cost = entry_point(source_digest(__name__))
"""


@pytest.mark.slow
def test_an_edit_of_the_losses_has_its_effect_in_the_next_process(tmp_path: Path) -> None:
    package = tmp_path / PACKAGE.name
    shutil.copytree(PACKAGE, package)
    (package / "cost.py").write_text(COST)
    environment = {name: value for name, value in os.environ.items() if name not in ("NUMBA_CACHE_DIR", "DVC_ROOT")}

    def costs() -> tuple[float, int]:
        """The cost of eight samples, and how many functions were found compiled."""
        code = "from pipeline.cost import cost; print(cost(0.5).hex(), sum(cost.stats.cache_hits.values()))"
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True)
        value, hits = done.stdout.split()
        return float.fromhex(value), int(hits)

    before, hits = costs()
    assert (before, hits) == (pytest.approx(8 * np.log1p(np.exp(-0.5)), rel=1e-14), 0)  # some ulps of exp and log1p
    assert costs() == (before, 1)
    losses = (package / "networks" / "losses.py").read_text()
    statement = "return (select(z < 0.0, 0.0, z) - y * z) + softplus(-abs(z))"
    assert statement in losses
    (package / "networks" / "losses.py").write_text(
        losses.replace(statement, statement.replace("return ", "return 2.0 * (") + ")")
    )
    assert costs() == (2.0 * before, 0)
