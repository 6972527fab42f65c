"""Where compiled code is kept, and under which names."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from numba.core.caching import CompileResultCacheImpl, InTreeCacheLocator

from pipeline import kernel_cache
from pipeline.compiled import descend_models
from pipeline.kernel_cache import InRepository


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
    patch.setattr(kernel_cache, "PACKAGE", path.parent)
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
    monkeypatch.setenv("DVC_ROOT", str(kernel_cache.PACKAGE.parent))
    locator = CompileResultCacheImpl(module(tmp_path / "mine.py", DOUBLE).double).locator
    assert type(locator) is InTreeCacheLocator
    assert Path(locator.get_cache_path()) == tmp_path / "__pycache__"


PAIR = f"""
from numba import njit
from pipeline import kernel_cache

kernel_cache.install()


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
