"""The same bits whatever processor is compiled for or imitated.

The digests are committed, so that every computer on which these tests run is a witness.
"""

import platform
import re
from pathlib import Path

import pytest

from tests import activation_cases, digests, initializer_cases
from tests.conftest import compiling
from tests.processors import HOST, LIBRARIES, NAMES, compiled_for, imitated, output

pytestmark = pytest.mark.slow

DIGESTS = {
    "exp": "b9c2e6ca5c47def3",
    "expm1": "46d3d894668dabec",
    "softplus": "b71dd2aa71dba9bc",
    "sigmoid": "6a7518124a0b5f84",
    "tanh": "f75cf8156baf2659",
    "normal_pdf": "36f8e528d5c3e9c2",
    "normal_cdf": "0fdf2d8f9ee003ca",
    "log": "30dbfe0e03d275c6",
    "gamma_tails": "d451f8ceecc0306d",
    "beta_tail": "c2cd1d791f2cb331",
    "kolmogorov_tail": "ccdc00156ec1d4b2",
    "log_gamma": "298ae4bc40fea5d6",
    "circles": "9589d407c3def617",
    "moons": "2538b38a70c0cdd9",
    "xor": "99cdd3b164db6513",
    "spirals": "75329821fcbeecbb",
    "gaussian_quantiles": "5112c19ac31e1d03",
    "breast_cancer": "fde7f7ad501ad424",
    "digits": "7d20e4a2dd51b3c1",
    "standardized_digits": "9622ef7cec246406",
    "pipeline.networks.reference": "220afce9ac9af789",
    "pipeline.networks.kernel": "220afce9ac9af789",
    "squared loss of pipeline.networks.reference": "7019e5a14c06090d",
    "squared loss of pipeline.networks.kernel": "7019e5a14c06090d",
    "theory of relu": "7642dd897b0881b7",
    "theory of tanh": "039d4f5a9dc82495",
    "theory of gelu": "af56e0f9d27dacb7",
    "theory of hardtanh": "cf0b31e23b19073c",
    "theory of relu6": "fbf0e52575984322",
    "theory of hard_sigmoid": "f05fa7a6052cb897",
    "wide orthonormal": "c32146ff1dca61a1",
    "many normal draws": "ed8f22c08c3837d4",
    "mean_interval": "7ff37ebf498bb2fc",
    "replications/glorot_bengio_2010": "e8bf7492a922d8f2",
    "replications/poole_2016": "3f8a677be0469547",
    "replications/pennington_2017": "ed6d8101d66a6d60",
    "replications/lu_2019": "7e58bc93ad6197b0",
    "replications/hanin_rolnick_2018": "a952cafc6caa4428",
    "replications/klambauer_2017": "fa8a04b8842b30b1",
    "replications/balduzzi_2017": "4b03b78c22471f71",
    "replications/hayou_2019": "edb775a9bf56afba",
    "replications/he_2015": "5666ea9e4d0c56fa",
    "replications/mishkin_matas_2016": "a7fd6d035219ddf1",
    "replications/saxe_2013": "88772f58bf3cb77c",
    "replications/schoenholz_2017": "5a1aebb10be77a23",
    "replications/phase_diagram": "f5abb5affdecd531",
    "replications/tutorial": "ab934cb8dfb2fa91",
    **activation_cases.digests(),
    **initializer_cases.digests(),
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Numba keeps what it compiles for each processor, until these tests are done."""
    folder = tmp_path_factory.mktemp("cache")
    (folder / "pipeline").mkdir()
    return folder


SCRIPT = """
from tests.digests import cases
for name, value in cases():
    print(name, value, sep=": ")
"""
LINKED = """
from pipeline.numerics import machine_code
original, made = machine_code.linked, []
machine_code.linked = lambda functions: made.append(original(functions)) or made[-1]
"""
ASSEMBLY = """
from numba import njit

@njit(fastmath=True)
def fused(a, b, c):
    return a * b + c

fused(1.0, 2.0, 3.0)
for text in [*(machine.emit_assembly(module) for module, machine in made), *fused.inspect_asm().values()]:
    print("=====", text, sep="\\n")
"""


def parsed(lines: str) -> dict[str, str]:
    """The digests by their names."""
    return dict(line.split(": ") for line in lines.split("=====")[0].split("\n") if line)


@pytest.fixture(scope="module")
def here(cache: Path) -> str:
    """What is printed on this processor as it is: digests, then the generated code of all activations."""
    with compiling(cache):
        return output(LINKED + SCRIPT + ASSEMBLY, cache)


def test_this_processor(here: str) -> None:
    found = parsed(here)
    if lines := digests.missing(found, DIGESTS):
        pytest.fail(f"these digests are missing:\n{lines}")
    assert found == DIGESTS


@pytest.mark.usefixtures("here")  # which compiles for the host
@pytest.mark.parametrize("name", LIBRARIES)
def test_imitating_another_processor(name: str, cache: Path) -> None:
    """By what is compiled for it, if the host is another one, and by the libraries, in one process."""
    environment = compiled_for(name) if name in NAMES else {}
    assert parsed(output(SCRIPT, cache, **environment, **imitated(LIBRARIES[name]))) == DIGESTS


def test_no_fused_multiply_add_in_the_generated_code(here: str) -> None:
    """A function that is allowed to fuse shows that it would be seen."""
    _, *libraries, allowed = here.split("=====")
    fused = re.compile(r"\bv?f(n?m(add|sub)|ml[as])")
    multiply = re.compile(r"\bv?f?mul(pd)?\b")
    assert [len(fused.findall(text)) for text in libraries] == [0, 0]
    assert all(len(multiply.findall(text)) > 50 for text in libraries)
    if HOST.get("fma") or platform.machine() in ("aarch64", "arm64"):
        assert fused.search(allowed)
