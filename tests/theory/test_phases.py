"""The page on activations and the command's output against papers and maps that are iterated by SciPy."""

import math
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import integrate, special

from pipeline.networks.activations import ACTIVATIONS, Activation
from pipeline.reporting.activations_page import EDGE, activations_page
from pipeline.theory.phases import answer, main, phase, width_facts

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "activations.md").read_text(encoding="utf-8")
DIGITS = 6e-7  # relative: numbers are printed to 7 digits, so within 5e-7 of what they are
LAYERS = 6e-4  # and numbers of layers to 4


def parsed(text: str) -> dict[str, str]:
    """What the lines of an answer say, by their labels; the first block's if there are several."""
    found: dict[str, str] = {}
    for label, value in re.findall(r"(?m)^(\S.{8})  (\S+)(?: layers)?(?: depth)?  +\S", text):
        found.setdefault(label.strip(), value)
    return found


def table(section: str) -> dict[str, list[str]]:
    """The rows of the first table after a heading of the page, by activation."""
    rows = re.findall(r"(?m)^\| (.*) \|$", PAGE.partition(f"## {section}\n")[2].partition("\n## ")[0])
    return {name: cells for name, *cells in ([cell.strip() for cell in row.split("|")] for row in rows)}


def expected(f: Callable[[float], float], q: float) -> float:
    """E[f(sqrt(q) z)] by SciPy."""
    density = lambda z: math.exp(-z * z / 2) / math.sqrt(2 * math.pi)  # noqa: E731
    return sum(
        integrate.quad(lambda z: f(math.sqrt(q) * z) * density(z), *piece, epsabs=1e-13)[0]
        for piece in [(-12, -3), (-3, 0), (0, 3), (3, 12)]
    )


def settled(f: Callable[[float], float], q: float, sigma_w2: float, sigma_b2: float, n: int) -> list[float]:
    """q and the variances of the n layers after it."""
    layers = [q]
    for _ in range(n):
        layers.append(sigma_w2 * expected(lambda z: f(z) ** 2, layers[-1]) + sigma_b2)
    return layers


def test_the_page_is_current() -> None:
    printed = activations_page()
    assert printed == PAGE  # `make docs`
    assert max(map(len, printed.splitlines())) <= 120


def test_the_commands_in_the_documentation(capsys: pytest.CaptureFixture[str]) -> None:
    """Each is valid; docs/theory.md shows what the first prints."""
    text = (DOCS / "theory.md").read_text(encoding="utf-8")
    commands = re.findall(r"python -m pipeline\.theory ([a-z]+ --[^`#\n]*)", text + PAGE.replace("NAME --", "tanh --"))
    shown = re.search(r"\$ python -m pipeline\.theory (.*?) *#.*\n((?:.*\n)+?)```", text)
    assert shown
    assert shown[1].split() == commands[0].split()
    assert len(commands) == 4
    for command in commands:
        assert main(command.replace("VALUE", "0.5").split()) == 0
        printed = capsys.readouterr().out
        if command == commands[0]:
            assert printed == shown[2]
        assert ("Hanin & Rolnick" in printed) == ("--hidden" in command)


def test_the_page_against_papers() -> None:
    """The issue's numbers, cut at |z| = 6, which moves them by 4e-9; relu's are He's."""
    rows = table("Moments, gains and critical points")
    assert list(rows) == ["activation", *ACTIVATIONS]
    assert float(rows["tanh"][3]) == pytest.approx(1.592537424, rel=DIGITS)
    assert float(rows["gelu"][3]) == pytest.approx(1.533530438, rel=DIGITS)
    assert [float(cell) for cell in rows["relu"][3:5]] == pytest.approx([math.sqrt(2)] * 2, rel=DIGITS)
    assert rows["tanh"][0] == rows["linear"][0] == "0"  # not its rounding error
    assert rows["relu"][5:] == ["2", "any"]
    assert rows["tanh"][5:] == ["1", "0"]
    assert rows["gelu"][5:] == rows["silu"][5:] == ["– ¹", "–"]
    assert rows["softplus"][5:] == ["– ²", "–"]
    assert re.findall(r"(?m)^(.) None: .* gives chi_1 = 1 at a (stable fixed|fixed) point", PAGE) == [
        ("¹", "stable fixed"),
        ("²", "fixed"),
    ]
    sigmoid, slope = special.expit, lambda z: special.expit(z) * special.expit(-z)
    moments = [expected(f, 1.0) for f in (sigmoid, lambda z: sigmoid(z) ** 2, lambda z: slope(z) ** 2)]
    gains = [1 / math.sqrt(moments[1]), 1 / math.sqrt(moments[2])]
    assert [float(cell) for cell in rows["sigmoid"][:5]] == pytest.approx(moments + gains, rel=DIGITS)


def test_pytorchs_tanh_is_chaotic() -> None:
    """The same on the page and in the command's output for its gain."""
    gain, q, chi, word = table("PyTorch's gains")["tanh"]
    assert (float(gain), word) == (pytest.approx(5 / 3, rel=DIGITS), "chaotic")
    assert float(chi) == pytest.approx(1.209831, abs=5e-7)
    assert table("PyTorch's gains")["elu"] == ["–"] * 4
    assert table("PyTorch's gains")["relu"][1:] == ["any", "1", "critical"]
    forward = 1.592537424**2 * expected(lambda z: math.cosh(z) ** -4, 1.0)
    assert (
        f"PyTorch's {gain} for tanh is chaotic: q goes to {q}, where χ₁ = 1.209831. The forward gain\n"
        f"1.592537 keeps q = 1, and is chaotic, with χ₁ = {forward:.7g}. The gain 1 is critical.\n"
    ) in PAGE
    found = parsed(answer("tanh", (5 / 3) ** 2, 0.0))
    assert (found["stable q*"], found["chi_1"], found["phase"], found["critical"]) == (q, chi, "chaotic", "1")


def test_the_edge_of_chaos() -> None:
    rows = table("The edge of chaos with biases")
    assert "softplus" not in rows
    assert rows["activation"][::2] == [f"σ_b² = {v:g}" for v in EDGE]
    assert rows["relu"] == ["2", "any"] + ["–"] * (2 * len(EDGE) - 2)
    at = 2 * EDGE.index(0.05)
    found = [float(cell) for cell in rows["tanh"][at : at + 2]]
    assert found == pytest.approx([1.760954640, 0.570047882], rel=DIGITS)
    exact = parsed(answer("tanh", 1.760954640, 0.05))
    assert (exact["phase"], exact["c*"], exact["xi_c"], exact["trainable"]) == (
        "critical",
        "1",
        "infinite",
        "any",
    )
    assert "critical" not in exact  # it is there
    assert float(exact["stable q*"]) == pytest.approx(0.570047882, rel=DIGITS)
    off = answer("tanh", 1.7, 0.05)
    assert parsed(off)["phase"] == "ordered"
    assert float(parsed(off)["critical"]) == pytest.approx(1.760954640, rel=DIGITS)
    assert f"gain {math.sqrt(1.760954640):.7g}, q* = 0.5700479" in off


@pytest.mark.parametrize(("sigma_w2", "sigma_b2"), [((5 / 3) ** 2, 0.0), (4.0, 0.1), (1.2, 0.3)])
def test_an_answer_against_slow_iteration(sigma_w2: float, sigma_b2: float) -> None:
    """q by SciPy's quadrature; c by the trapezoidal rule on a square, exact to rounding for tanh at steps of 0.1."""
    found = parsed(answer("tanh", sigma_w2, sigma_b2))
    layers = settled(math.tanh, 1.0, sigma_w2, sigma_b2, 60)
    q = layers[-1]
    assert float(found["stable q*"]) == pytest.approx(q, rel=DIGITS)
    chi = sigma_w2 * expected(lambda z: math.cosh(z) ** -4, q)
    assert float(found["chi_1"]) == pytest.approx(chi, rel=DIGITS)
    assert found["phase"] == ("chaotic" if chi > 1 else "ordered")

    z = np.arange(-90, 91) * 0.1
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi) * 0.1
    c = [0.6]
    for _ in range(400):
        v = c[-1] * z[:, None] + math.sqrt(1 - min(c[-1], 1.0) ** 2) * z
        pair = density @ (np.tanh(math.sqrt(q) * z)[:, None] * np.tanh(math.sqrt(q) * v)) @ density
        c.append((sigma_w2 * pair + sigma_b2) / q)
    assert float(found["c*"]) == pytest.approx(c[-1], rel=DIGITS, abs=1e-12)

    def depth_scale(of: list[float]) -> float:
        """By the first two steps that are small enough for the map to be straight there."""
        steps = np.abs(np.diff(of))
        l = int(np.argmax(steps < 1e-9))
        return float(-1 / np.log(steps[l + 1] / steps[l]))

    assert float(found["xi_q"]) == pytest.approx(depth_scale(layers), rel=LAYERS)
    xi_c = depth_scale(c)
    assert float(found["xi_c"]) == pytest.approx(xi_c, rel=LAYERS)
    assert abs(float(found["trainable"]) - 6 * xi_c) < 0.5 + LAYERS * 6 * xi_c
    text = answer("tanh", sigma_w2, sigma_b2)
    ((way, scale),) = re.findall(r"gradients  (\w+) .* by a factor e in (\S+) layers", text)
    assert (way, float(scale)) == (
        "explode" if chi > 1 else "vanish",
        pytest.approx(abs(1 / math.log(chi)), rel=LAYERS),
    )


def test_relu() -> None:
    """At (2, 0) every variance stays; beyond, and with biases, it grows without end; below it dies out."""
    here = parsed(answer("relu", 2.0, 0.0))
    assert (here["stable q*"], here["chi_1"], here["phase"], here["c*"]) == ("any", "1", "critical", "1")
    assert (here["xi_q"], here["xi_c"], here["gradients"]) == ("infinite", "infinite", "stable")
    beyond = answer("relu", 3.0, 0.0)
    assert "stable q*  none           signals grow without bound: q = 1 becomes 1.5 in the next layer" in beyond
    assert (parsed(beyond)["chi_1"], parsed(beyond)["phase"], parsed(beyond)["critical"]) == ("1.5", "none", "2")
    assert "(gain 1.414214, q* = any)" in beyond
    drifting = answer("relu", 2.0, 0.1)
    assert "q = 1 becomes 1.1 in the next layer" in drifting
    assert re.search(r"critical +none +sigma_b2 must be 0 for relu", drifting)
    below = parsed(answer("relu", 1.0, 0.0))
    assert (below["stable q*"], below["chi_1"], below["phase"], below["c*"]) == ("0", "0.5", "ordered", "none")
    assert float(below["xi_c"]) == pytest.approx(1 / math.log(2), rel=LAYERS)
    assert parsed(answer("linear", 1.0, 0.0))["c*"] == "any"


def test_signals_that_die_out() -> None:
    at_the_edge = answer("tanh", 1.0, 0.0)
    assert "stable q*  0              signals vanish, but slower than exponentially\n" in at_the_edge
    assert parsed(at_the_edge)["phase"] == "critical"
    nothing = parsed(answer("tanh", 0.0, 0.0))
    assert [nothing[key] for key in ("stable q*", "chi_1", "xi_q", "xi_c", "gradients")] == ["0"] * 4 + ["vanish"]
    biased = parsed(answer("sigmoid", 0.0, 0.25))
    assert [biased[key] for key in ("stable q*", "chi_1", "xi_q", "c*")] == ["0.25", "0", "0", "1"]


def test_several_stable_variances() -> None:
    """GELU at (1.992, 0.15): where it goes depends on where it starts; with 2.5 and no biases, to 0 or away."""
    gelu = lambda z: z * special.ndtr(z)  # noqa: E731
    sigma_w2, sigma_b2 = 1.992, 0.15
    text = answer("gelu", sigma_w2, sigma_b2)
    found = [float(q) for q in re.findall(r"(?m)^stable q\*  (\S+)", text)]
    assert f"{len(found)} stable q*: which one is reached depends on the initial variance" in text
    assert len(found) == 2
    for q in found:
        assert sigma_w2 * expected(lambda z: gelu(z) ** 2, q) + sigma_b2 == pytest.approx(q, rel=DIGITS)
        for start in (0.98 * q, 1.02 * q):
            after = settled(gelu, start, sigma_w2, sigma_b2, 3)[-1]
            assert abs(after - q) < abs(start - q)
    assert re.findall(r"(?m)^phase +(\w+)", text) == ["ordered", "chaotic"]
    assert re.search(r"critical +none +no sigma_w2 gives chi_1 = 1", text)
    escaping = answer("gelu", 2.5, 0.0)
    assert parsed(escaping)["stable q*"] == "0"
    assert parsed(escaping)["large q"] == "grows"
    assert settled(gelu, 50.0, 2.5, 0.0, 1)[-1] > 50.0 > 0.01 > settled(gelu, 0.01, 2.5, 0.0, 1)[-1]
    for name, sigma_w2, sigma_b2 in [("gelu", 1.9, 0.0), ("relu", 1.9999, 1.0)]:
        assert "large q" not in parsed(answer(name, sigma_w2, sigma_b2))


def test_phases() -> None:
    assert [phase(chi) for chi in (0.0, 1 - 1e-7, 1 - 1e-9, 1.0, 1 + 1e-9, 1 + 1e-7, 2.0)] == [
        *["ordered"] * 2,
        *["critical"] * 3,
        *["chaotic"] * 2,
    ]


def test_finite_width() -> None:
    """(1 + 5 / 10) (1 + 5 / 5), and digammas over binomial shares."""
    found = parsed(width_facts([10, 5]))
    assert float(found["growth"]) == 3.0
    assert float(found["born dead"]) == pytest.approx(1 - (1 - 2**-10) * (1 - 2**-5), rel=DIGITS)
    drift = 0.0
    for n in (10, 5):
        k = np.arange(1, n + 1)
        drift += special.comb(n, k) @ (special.digamma(k / 2) + math.log(2)) / (2**n - 1) - math.log(n / 2)
    assert float(found["typical"]) == pytest.approx(math.exp(drift), rel=DIGITS)


def test_ways_to_ask(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--sigma-w2", "2.25"], ["--gain", "1.5"], ["--gain", "1.5", "--sigma-b2", "0"]):
        assert main(["tanh", *arguments]) == 0
        assert capsys.readouterr().out == answer("tanh", 2.25, 0.0)
    assert main(["relu", "--gain", repr(math.sqrt(2)), "--hidden", "10, 5"]) == 0
    assert capsys.readouterr().out == answer("relu", 2.0, 0.0) + "\n" + width_facts([10, 5])


def test_an_activation_without_theory(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """It has a row of dashes and a footnote on the page, and the command says why."""
    stairs = Activation(np.floor, lambda z, a: 0.0 * z, without_theory="it jumps at every whole number")
    monkeypatch.setitem(ACTIVATIONS, "floor", stairs)
    printed = activations_page()
    assert re.search(r"\n\| floor +(\| +– ){5}\| +– ³ \| +– \|\n", printed)
    assert "\n³ None: theory does not cover floor, because it jumps at every whole number.\n" in printed
    assert main(["floor", "--gain", "1"]) == 1
    assert capsys.readouterr().err == "Theory does not cover floor: it jumps at every whole number.\n"


KINDS = ", ".join(ACTIVATIONS)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("relo --gain 1", f"The activation is the text 'relo'; did you mean relu? It must be one of {KINDS}."),
        ("7 --gain 1", f"The activation is the text '7'; it must be one of {KINDS}."),
        ("--gain 1", f"The activation is missing; give one of {KINDS}."),
        ("", f"The activation is missing; give one of {KINDS}."),
        ("tanh", "The scale of the weights is missing; give --gain or --sigma-w2, its square."),
        ("tanh --gain -1", "--gain holds -1; it must be a number from 0 to 1000."),
        ("tanh --gain nan", "--gain holds nan; it must be a number from 0 to 1000."),
        ("tanh --gain large", "--gain holds the text 'large'; it must be a number from 0 to 1000."),
        ("tanh --sigma-w2 1e7", "--sigma-w2 holds 1e7; it must be a number from 0 to 1000000."),
        ("tanh --sigma-w2 1 --sigma-b2 inf", "--sigma-b2 holds inf; it must be a number from 0 to 100."),
        ("tanh --sigma-w2 1 --sigma-b2=-0.1", "--sigma-b2 holds -0.1; it must be a number from 0 to 100."),
        (
            "relu --gain 1 --hidden 10,5",
            "--hidden requires He's weights: relu --sigma-w2 2 --sigma-b2 0.",
        ),
        *(
            (
                f"relu --sigma-w2 2 --hidden {widths}",
                f"--hidden holds the text '{widths}'; it must be 1 to 300 widths, whole numbers from 1 to 10000, such as 10,5.",
            )
            for widths in ("10,0", "ten", "10,,5", "1e3", "10001", "²")
        ),
        (
            "elu --sigma-w2 1.0000001",
            "elu at sigma_w2 = 1.0000001 is too close to critical: q* is too small to be computed.",
        ),
    ],
)
def test_bad_input_is_reported_in_one_sentence(
    arguments: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments.split()) == 1
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", f"{sentence}\n")


def test_two_scales_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["tanh", "--gain", "1", "--sigma-w2", "1"])
    assert refused.value.code == 2
    assert "argument --sigma-w2: not allowed with argument --gain" in capsys.readouterr().err


def test_the_command() -> None:
    command = [sys.executable, "-m", "pipeline.theory", "tanh", "--gain"]
    done = subprocess.run([*command, repr(5 / 3)], cwd=DOCS.parent.parent, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "chi_1      1.209831 " in done.stdout
    assert subprocess.run([*command, "nan"], cwd=DOCS.parent.parent, capture_output=True).returncode == 1
