"""Grading: functions that draw the right weights in any style, and functions with a slip, which the grade must name."""

import json
import math
import sys
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.audit.command.main import main
from pipeline.audit.grading import reasons
from pipeline.audit.grading.grade import LEVEL, SHAPES, connected, grade
from pipeline.audit.grading.results import CAUSES as CAUSES_OF_FUNCTIONS
from pipeline.audit.grading.results import Grade
from pipeline.audit.grading.signatures import arguments
from pipeline.audit.results import CAUSES
from pipeline.errors import UserError
from tests.audit.right_initializers import HE, OTHERS
from tests.audit.wrong_initializers import WRONG
from tests.marks import slow

HERE = Path(__file__).parent
QUICK = ("laboratory", "modern", "starred", "initialize_parameters_he", "seeded", "with_biases")  # of HE
RIGHT, SLIPS = HERE / "right_initializers.py", HERE / "wrong_initializers.py"


def written(folder: Path, body: str, name: str = "submission.py") -> Path:
    """A file with these lines, after the imports that they need."""
    path = folder / name
    path.write_text(f"import numpy as np\n{body}\n")
    return path


def graded(folder: Path, body: str, expect: str = "he_normal") -> Grade:
    """The grade of `f` in these lines."""
    return grade(f"{written(folder, body)}:f", expect)


# ---------------------------------------------------------------------------------------------------------------------
# Right functions


@pytest.mark.parametrize("name", [*QUICK, *slow(*[name for name in HE if name not in QUICK])])
def test_a_right_function_of_any_style_is_right(name: str) -> None:
    found = grade(f"{RIGHT}:{name}", "he_normal")
    assert (found.state, found.reasons) == ("as intended", [])
    assert "he_normal" in found.laws
    assert found.n >= 30_000


@pytest.mark.parametrize("name", ["xavier", "eye", *slow(*[name for name in OTHERS if name not in ("xavier", "eye")])])
def test_other_laws_are_graded_too(name: str) -> None:
    expect, _ = OTHERS[name]
    found = grade(f"{RIGHT}:{name}", expect)
    assert (found.state, found.reasons) == ("as intended", [])


def test_a_function_with_a_seed_of_its_own_is_graded_on_one_network() -> None:
    """As the tutorial's initialize_parameters_he, which sets the seed 3."""
    found = grade(f"{RIGHT}:initialize_parameters_he", "he_normal")
    assert found.n == 64 * 64 + 192 * 64 + 48 * 192 + 192 * 48
    assert "one network was graded" in found.note
    assert grade(f"{RIGHT}:laboratory", "he_normal").note == ""


def test_biases_of_a_recipe_that_draws_them(tmp_path: Path) -> None:
    body = "def f(rng, m, n):\n    r = 1 / np.sqrt(n)\n    return rng.uniform(-r, r, (m, n)), {}"
    assert graded(tmp_path, body.format("rng.uniform(-r, r, m)"), "pytorch_linear").ok
    for wrong in ("np.zeros(m) + 0.1", "rng.uniform(-2 * r, 2 * r, m)", "rng.uniform(0, r, (m, 1))"):
        found = graded(tmp_path, body.format(wrong), "pytorch_linear")
        assert [reason.cause for reason in found.reasons] == ["bias"]
    assert graded(tmp_path, body.format("np.zeros(m)"), "pytorch_linear").ok


def test_there_are_enough_examples() -> None:
    assert len(HE) >= 12
    assert len(WRONG) >= 20


@pytest.mark.slow
def test_right_functions_rarely_fail() -> None:
    """At level .01, of 42 grades; more than 4 alarms have a probability of 7e-5 if a share .01 of them is false.

    By hand, 1,000 seeds for each of twelve functions; see docs/audit.md.
    """
    names = ["laboratory", "modern", "seeded", "box_muller", "single_precision", "with_biases"]
    states = [grade(f"{RIGHT}:{name}", "he_normal", level=0.01, seed=1000 * k).ok for name in names for k in range(7)]
    assert states.count(False) <= 4


# ---------------------------------------------------------------------------------------------------------------------
# Wrong functions


@pytest.mark.parametrize("name", [*list(WRONG)[::3], *slow(*[name for k, name in enumerate(WRONG) if k % 3])])
def test_a_slip_is_named(name: str) -> None:
    expected = WRONG[name]
    found = grade(f"{SLIPS}:{name}", expected.expect)
    assert not found.ok
    assert found.reasons[0].cause == expected.cause
    assert expected.words in found.reasons[0].text
    assert found.p < LEVEL
    assert all(reason.cause in {**CAUSES, **CAUSES_OF_FUNCTIONS} for reason in found.reasons)


def test_the_line_of_an_exception_is_that_of_the_function() -> None:
    (reason,) = grade(f"{SLIPS}:not_imported", "he_normal").reasons
    lines = SLIPS.read_text(encoding="utf-8").splitlines()
    (line,) = (k for k, text in enumerate(lines, 1) if "* sqrt(2" in text)
    assert f"(line {line})" in reason.text
    assert "Traceback" not in reason.text


def test_a_mixture_of_two_scales_is_no_law(tmp_path: Path) -> None:
    """The mean square is right; half of the units are three times as large as the others."""
    body = (
        "def f(rng, fan_out, fan_in):\n"
        "    W = rng.randn(fan_out, fan_in) * np.sqrt(2 / fan_in / 5)\n"
        "    W[::2] *= 3\n"
        "    return W"
    )
    found = graded(tmp_path, body)
    assert not found.ok
    assert found.reasons[0].cause in ("wrong_family", "uneven_units", "not_initial")


def test_two_slips_are_both_named(tmp_path: Path) -> None:
    body = "def f(rng, m, n):\n    return rng.uniform(-1, 1, (m, n)) * np.sqrt(2 / n)"
    assert [reason.cause for reason in graded(tmp_path, body).reasons] == ["wrong_scale", "wrong_family"]


def test_a_tensor_that_is_no_array_is_named(tmp_path: Path) -> None:
    body = (
        "class Tensor:\n"
        "    def __array__(self, dtype=None, copy=None):\n"
        "        raise RuntimeError('call detach() first')\n"
        "def f(m, n):\n"
        "    return Tensor()"
    )
    (reason,) = graded(tmp_path, body).reasons
    assert reason.cause == "wrong_dtype"
    assert "a Tensor for W, which is not converted to an array: RuntimeError: call detach() first" in reason.text


def test_a_function_of_jax_is_called_with_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for JAX, whose keys are arrays that are not changed by a draw."""
    keys = types.SimpleNamespace(PRNGKey=lambda seed: np.array([0, seed], np.uint32))
    monkeypatch.setitem(sys.modules, "jax", types.SimpleNamespace(random=keys))
    draw = "np.random.default_rng({}).standard_normal(shape, np.float32) * np.float32(np.sqrt(2 / shape[1]))"
    body = "def f(key, shape):\n    assert key.dtype == np.uint32\n    return " + draw
    assert graded(tmp_path, body.format("key")).ok
    assert [reason.cause for reason in graded(tmp_path, body.format("3")).reasons] == ["ignores_generator"]


@pytest.mark.parametrize(
    "body",
    [
        "from functools import partial\ndef g(rng, m, n, gain):\n    return gain * rng.randn(m, n) / np.sqrt(n)\nf = partial(g, gain=2**0.5)",
        "class C:\n    def he(self, fan_in, fan_out):\n        return np.random.randn(fan_out, fan_in) * np.sqrt(2 / fan_in)\nf = C().he",
        "f = lambda m, n: np.random.randn(m, n) * np.sqrt(2 / n)",
        "import functools\ndef d(h):\n    @functools.wraps(h)\n    def w(*a, **k):\n        return h(*a, **k)\n    return w\n@d\ndef f(shape):\n    return np.random.randn(*shape) * np.sqrt(2 / shape[1])",
    ],
    ids=["partial", "method", "lambda", "decorated"],
)
def test_what_is_called_may_be_any_callable(tmp_path: Path, body: str) -> None:
    assert graded(tmp_path, body).ok


def test_the_mean_of_a_law_is_not_always_0() -> None:
    assert "not 0.5" in grade(f"{RIGHT}:laboratory", "uniform(low=0, high=1)").reasons[0].text


def test_what_is_expected_is_compared_and_not_guessed(tmp_path: Path) -> None:
    """A right Xavier function is wrong where He is expected, and the other way round."""
    assert grade(f"{RIGHT}:xavier", "he_uniform").reasons[0].cause == "wrong_scale"
    assert not grade(f"{RIGHT}:laboratory", "xavier_normal").ok
    assert not grade(f"{RIGHT}:truncated", "he_normal").ok
    assert not grade(f"{RIGHT}:laboratory", "he_truncated_normal").ok
    assert grade(f"{RIGHT}:eye", "zeros").reasons[0].cause == "wrong_law"


# ---------------------------------------------------------------------------------------------------------------------
# How functions are found and called


@pytest.mark.parametrize(
    ("source", "roles"),
    [
        ("lambda rng, fan_out, fan_in: 0", "rng fan_out fan_in"),
        ("lambda fan_in, fan_out, *, scale=2.0: 0", "fan_in fan_out"),
        ("lambda n_in, n_out, random_state=None: 0", "fan_in fan_out rng"),
        ("lambda shape, dtype=None: 0", "shape"),
        ("lambda shape, dtype: 0", "shape dtype"),
        ("lambda *args: 0", "sizes"),
        ("lambda *args, **kwargs: 0", "sizes"),
        ("lambda a, b: 0", "fan_out fan_in"),
        ("lambda g, a, b: 0", "rng fan_out fan_in"),
        ("lambda r, fan_in, fan_out: 0", "rng fan_in fan_out"),
        ("lambda layers_dims: 0", "dims"),
        ("lambda layersDims, seed=3: 0", "dims seed"),
        ("lambda x: 0", "shape"),
        ("lambda units, x: 0", "fan_out fan_in"),
        ("lambda n_prev, n, seed: 0", "fan_in fan_out seed"),
    ],
)
def test_arguments_are_recognized_by_their_names(source: str, roles: str) -> None:
    assert " ".join(argument.role for argument in arguments(eval(source), "f")) == roles


@pytest.mark.parametrize(
    "source", ["lambda: 0", "lambda a, b, c, d: 0", "lambda rng: 0", "lambda rng, seed, a, b, c: 0"]
)
def test_arguments_that_are_not_recognized_are_listed(source: str) -> None:
    with pytest.raises(UserError, match="of which the sizes are not recognized; they must be called fan_out, fan_in"):
        arguments(eval(source), "f")


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("nothing", "must be MODULE:FUNCTION or FILE.py:FUNCTION"),
        ("a.py:", "must be MODULE:FUNCTION or FILE.py:FUNCTION"),
        ("missing.py:f", "missing.py does not exist"),
        ("missing_module:f", "missing_module cannot be imported: ModuleNotFoundError"),
        ("submission.py:he_norml", r"submission.py has no function he_norml; did you mean hE_normal\?"),
        ("submission.py:np", "is not a function but has the type module"),
        ("broken.py:f", r"broken.py cannot be imported: SyntaxError: .* \(line 2\)"),
        ("raising.py:f", r"raising.py cannot be imported: ZeroDivisionError: .* \(line 3\)"),
        ("leaving.py:f", "leaving.py cannot be imported: SystemExit"),
    ],
)
def test_a_function_that_is_not_found_is_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, message: str
) -> None:
    written(tmp_path, "def hE_normal(rng, a, b): ...")
    written(tmp_path, "def f(:", "broken.py")
    written(tmp_path, "print('noise')\nx = 1 / 0", "raising.py")
    written(tmp_path, "raise SystemExit", "leaving.py")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message) as raised:
        grade(place, "he_normal")
    assert "\n" not in str(raised.value)


def test_what_a_function_prints_does_not_spoil_the_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    body = "print('import')\ndef f(rng, m, n):\n    print('call')\n    return rng.randn(m, n) * np.sqrt(2 / n)"
    code = main(["--grade", f"{written(tmp_path, body)}:f", "--expect", "he_normal", "--json"])
    read = json.loads(capsys.readouterr().out)
    assert (code, read["version"], read["grade"]["ok"]) == (0, 1, True)
    assert [shape["fan_in"] for shape in read["grade"]["shapes"]] == [fan_in for _, fan_in in SHAPES]


def test_a_module_beside_the_file_can_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    written(tmp_path, "def std(n):\n    return np.sqrt(2 / n)", "beside_the_file.py")
    body = "from beside_the_file import std\ndef f(rng, m, n):\n    return rng.randn(m, n) * std(n)"
    assert graded(tmp_path, body).ok


def test_the_global_generator_is_as_before(tmp_path: Path) -> None:
    np.random.seed(7)
    before = np.random.random_sample()
    np.random.seed(7)
    grade(f"{RIGHT}:starred", "he_normal")
    assert np.random.random_sample() == before


def test_a_grade_is_reproducible() -> None:
    one, other = (grade(f"{RIGHT}:laboratory", "he_normal") for _ in range(2))
    assert (one.p, one.shapes) == (other.p, other.shapes)
    assert grade(f"{RIGHT}:laboratory", "he_normal", seed=50).shapes != one.shapes


def test_other_shapes_and_the_layout_of_keras(tmp_path: Path) -> None:
    body = "def f(shape):\n    return np.random.randn(*shape) * np.sqrt(2 / shape[0])"
    place = f"{written(tmp_path, body)}:f"
    assert grade(place, "he_normal", transposed=True, shapes=[(30, 70)]).ok
    assert "fan_out instead of fan_in" in grade(place, "he_normal").reasons[0].text


def test_shapes_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--grade", f"{RIGHT}:laboratory", "--expect", "he_normal", "--json", "--shape", "20x30", "40x10"]
    assert main([*given, "--shape", "7x9"]) == 0
    shapes = json.loads(capsys.readouterr().out)["grade"]["shapes"]
    assert [(shape["fan_out"], shape["fan_in"]) for shape in shapes] == [(20, 30), (40, 10), (7, 9)]


def test_sizes_of_a_network_with_given_layers() -> None:
    assert connected([(64, 64), (48, 192), (192, 48)]) == [(64, 64), (192, 64), (48, 192), (192, 48)]


# ---------------------------------------------------------------------------------------------------------------------
# Reasons, from numbers


def measured(std: dict[tuple[int, int], float], expected: dict[tuple[int, int], float]) -> list[reasons.Measured]:
    """Measurements without sampling error."""
    return [
        reasons.Measured(m, n, 100_000, 0.0, std[m, n], -1.0, 30_000, 30_000, expected[m, n]) for m, n in std
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (lambda m, n: math.sqrt(2 / (m + n)), "sqrt(2/(fan_in + fan_out)) was expected"),
        (lambda m, n: math.sqrt(1 / n), "sqrt(1/fan_in) was expected"),
        (lambda m, n: math.sqrt(1 / (3 * n)), "sqrt(1/3/fan_in) was expected"),
        (lambda m, n: 0.02, "0.02 was expected"),
    ],
)
def test_the_expected_formula_is_found_from_its_values(rule: object, words: str) -> None:
    expected = {shape: rule(*shape) for shape in SHAPES}  # type: ignore[operator]
    std = {shape: 7.7 * value for shape, value in expected.items()}
    found = reasons.of_std(measured(std, expected), "normal", 3.0)
    assert found.replace("times the expected ", "").endswith(words.removesuffix(" was expected")) or words in found


@pytest.mark.parametrize(
    ("rule", "formula"),
    [
        (lambda n: 2 / n, "2/fan_in"),
        (lambda n: math.sqrt(2) / n, "sqrt(2)/fan_in"),
        (lambda n: 2 / math.sqrt(n), "2/sqrt(fan_in)"),
        (lambda n: math.sqrt(n / 2), "sqrt(fan_in/2)"),
        (lambda n: math.sqrt(2 * n), "sqrt(2*fan_in)"),
        (lambda n: math.sqrt(2) * n, "sqrt(2)*fan_in"),
        (lambda n: (2 / n) ** 2, "(2/fan_in)**2"),
        (lambda n: 1.0, "1"),
        (lambda n: math.sqrt(2), "sqrt(2)"),
        (lambda n: 2.0, "2"),
    ],
)
def test_a_wrong_formula_is_found_from_its_values(rule: Callable[[int], float], formula: str) -> None:
    expected = {(m, n): math.sqrt(2 / n) for m, n in SHAPES}
    std = {(m, n): rule(n) for m, n in SHAPES}
    found = reasons.of_std(measured(std, expected), "normal", 3.0)
    assert f"the standard deviation is {formula} where sqrt(2/fan_in) was expected" in found


def test_a_scale_that_no_slip_explains_is_given_as_ratios() -> None:
    expected = {(m, n): math.sqrt(2 / n) for m, n in SHAPES}
    std = {(64, 64): 0.3, (48, 192): 0.1, (192, 48): 0.9}
    found = reasons.of_std(measured(std, expected), "normal", 3.0)
    assert "another multiple of the expected sqrt(2/fan_in) for each shape: 1.7 for 64x64" in found
