"""The same bits whatever processor is compiled for or imitated.

The digests are committed, so that every computer on which these tests run is a witness.
"""

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import llvmlite.binding
import pytest

HERE = Path(__file__).parent
HOST = llvmlite.binding.get_host_cpu_features()

DIGESTS = {
    "exp": "b9c2e6ca5c47def3",
    "softplus": "b71dd2aa71dba9bc",
    "sigmoid": "6a7518124a0b5f84",
    "tanh": "f75cf8156baf2659",
    "log": "30dbfe0e03d275c6",
    "circles": "6a700add94b02623",
    "zeros": "17d4939d3a53aea9",
    "constant": "07f9924c2e929dcf",
    "normal": "4a43e188d42a7b5e",
    "variance_scaling": "6dc082536b6e83d0",
    "he_normal": "0c0ef9c5c1fef79f",
    "xavier_normal": "e46dad89fcb5bb8b",
    "lecun_normal": "1ac42909245892a7",
    "orthogonal": "1ade6e4bf84a6dbb",
    "relu sd 10.0": "c30f457f25a4319e",
    "relu sd 1.0": "0996d8b5a388cdc6",
    "tanh sd 10.0": "f952ef4eea9232d5",
    "tanh sd 1.0": "317750958b5fb8d6",
    "pipeline.network": "220afce9ac9af789",
    "pipeline.kernel": "220afce9ac9af789",
    "mean_interval": "7ff37ebf498bb2fc",
}

OTHERS = {
    "x86_64": {"nehalem": "sse4.2", "haswell": "avx2", "skylake-avx512": "avx512f"},
    "aarch64": {"cortex-a72": ""},
}
NAMES = ["generic", *(cpu for cpu, needs in OTHERS.get(platform.machine(), {}).items() if not needs or HOST.get(needs))]
WITHOUT_AVX = ",".join(f"{'+' if has and 'avx' not in name else '-'}{name}" for name, has in sorted(HOST.items()))
IMITATIONS = {
    "openblas_nehalem": {"OPENBLAS_CORETYPE": "Nehalem"},
    "openblas_haswell": {"OPENBLAS_CORETYPE": "Haswell"},
    "numpy_baseline": {"NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512_SKX AVX512_ICL AVX512_SPR X86_V3 X86_V4"},
}


def run(script: str, folder: Path, **environment: str) -> str:
    """What a script prints in a process of its own, in which the kernel is compiled anew."""
    ours = {key: value for key, value in os.environ.items() if not key.startswith(("NUMBA_", "OPENBLAS_", "NPY_"))}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        cwd=HERE,
        env=ours | {"NUMBA_CACHE_DIR": str(folder)} | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def digests(folder: Path, **environment: str) -> dict[str, str]:
    script = "from digests import cases\nfor name, value in cases(): print(name, value, sep=': ')"
    return dict(line.split(": ") for line in run(script, folder, **environment).splitlines())


def test_this_processor(tmp_path: Path) -> None:
    assert digests(tmp_path) == DIGESTS


@pytest.mark.parametrize("name", NAMES)
def test_compiled_for_another_processor(name: str, tmp_path: Path) -> None:
    assert digests(tmp_path, NUMBA_CPU_NAME=name, NUMBA_CPU_FEATURES="") == DIGESTS


@pytest.mark.skipif(not HOST.get("avx"), reason="this processor has no AVX to leave out")
def test_compiled_without_avx(tmp_path: Path) -> None:
    assert digests(tmp_path, NUMBA_CPU_FEATURES=WITHOUT_AVX) == DIGESTS


@pytest.mark.parametrize("name", IMITATIONS)
def test_blas_and_numpy_imitating_another_processor(name: str, tmp_path: Path) -> None:
    assert digests(tmp_path, **IMITATIONS[name]) == DIGESTS


def test_no_fused_multiply_add_in_the_generated_code(tmp_path: Path) -> None:
    """Of all activations, compiled for this processor; a function that is allowed to fuse shows that it would be seen."""
    script = """
from numba import njit
from pipeline import compiled, kernel, network
from pipeline.activations import ACTIVATIONS
from test_kernel import problem

parameters, X, Y = problem([2, 10, 5, 1], 60, 1, 1.0)
S, activations = network.samples(X, Y), [ACTIVATIONS["relu"]] * 2
models = kernel.descend(network.at_rest(parameters), [S], activations, network.Rule(0.1), 1)
kernel.cost(models.parameters, S, activations)

@njit(fastmath=True)
def fused(a, b, c):
    return a * b + c

fused(1.0, 2.0, 3.0)
for function in (compiled.descend_models, compiled.evaluate_models, fused):
    (text,) = function.inspect_asm().values()
    print(text, end="=====")
"""
    *kernel, allowed, _ = run(script, tmp_path).split("=====")
    fused = re.compile(r"\bv?f(n?m(add|sub)|ml[as])")
    multiply = re.compile(r"\bv?f?mul(pd)?\b")
    assert [len(fused.findall(text)) for text in kernel] == [0, 0]
    assert all(len(multiply.findall(text)) > 50 for text in kernel)
    if HOST.get("fma") or platform.machine() in ("aarch64", "arm64"):
        assert fused.search(allowed)
