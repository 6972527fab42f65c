"""The committed page in a browser without a network: the same bits, the controls, extremes, accessibility."""

import contextlib
import html
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.page import page
from tests import browser
from tests.page.test_content import changed, content

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "reports" / "laboratory.html"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not (browser.CHROMIUM and browser.DRIVER), reason=browser.NEEDED),
]
# Before any script of a page: note errors, and tasks that take more than 50 ms.
WATCH = """
window.errors = []; window.long = [];
addEventListener("error", event => errors.push(event.message));
addEventListener("unhandledrejection", event => errors.push(String(event.reason)));
addEventListener("securitypolicyviolation", event => errors.push(event.violatedDirective));
new PerformanceObserver(list => long.push(...list.getEntries().map(entry => entry.duration))).observe({type: "longtask"});
"""
NO_WORKER = "delete window.Worker;"
RIGHT, ENTER = "\ue014", "\ue007"  # WebDriver's codes of the keys


def devtools(tab: browser.Browser, command: str, **values: Any) -> Any:
    return browser.call(f"{tab.session}/goog/cdp/execute", {"cmd": command, "params": values})


def offline(tab: browser.Browser) -> None:
    devtools(tab, "Network.enable")
    devtools(tab, "Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=0, uploadThroughput=0)
    devtools(tab, "Page.addScriptToEvaluateOnNewDocument", source=WATCH)


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Browser]:
    with browser.browser(tmp_path_factory.mktemp("page")) as opened:
        offline(opened)
        yield opened


@contextlib.contextmanager
def reduced_motion(tab: browser.Browser) -> Iterator[None]:
    """A context in which a page that is opened draws once a second: to draw takes longer than to train."""
    devtools(tab, "Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    try:
        yield
    finally:
        devtools(tab, "Emulation.setEmulatedMedia", features=[])


@pytest.fixture
def shown(tab: browser.Browser) -> Iterator[Callable[..., browser.Browser]]:
    """Opens the page with a state, once both models are at its step; no error may come up in the test.

    The models that the page trains for its text are stopped: they would keep a processor busy.
    """

    def show(state: str = "", step: int = 0, background: bool = False) -> browser.Browser:
        tab.open(f"{PAGE.as_uri()}#{state}&step={step}")
        if not background:
            stop_background(tab)
        tab.wait("return typeof view === 'object' && view.frames.a !== null && view.step === arguments[0]", step)
        return tab

    yield show
    assert tab.run("return window.errors") == []
    assert browser.call(f"{tab.session}/se/log", {"type": "browser"}) == []


def at_rest(tab: browser.Browser, step: int) -> dict[str, Any]:
    """The frames of both models at a step, once the engine rests there."""
    frames: dict[str, Any] = tab.wait("return view.step === arguments[0] && !view.running && view.frames", step)
    return frames


def stop_background(tab: browser.Browser) -> None:
    """Stop the training in the background, and forget what it verified."""
    tab.wait("return typeof verified === 'object' && document.getElementById('verify-stop').disabled === false")
    tab.click("#verify-stop")
    tab.run("Object.assign(verified, {done: 0, same: 0, wanted: 0, by_name: {}})")


@pytest.mark.slow
def test_every_initializer_trains_to_the_committed_bits(shown: Callable[..., browser.Browser]) -> None:
    """Trained in the background by the button: seeds 3 and 38, or with PAGE_SEEDS=all the seeds 0, 3, 38 and 99."""
    tab = shown()
    assert tab.run("return some_seeds()") == [0, 3, 38, 99]
    if os.environ.get("PAGE_SEEDS") == "all":
        n_seeds = 4
        tab.click("#verify-some")
    else:
        n_seeds = 2
        tab.run("verify([3, 38])")
    tab.wait("return verified.done === verified.wanted", seconds=400)
    rows = tab.run("return Object.entries(verified.by_name).map(([name, {done, same}]) => [name, done, same])")
    assert len(rows) == 8
    assert [row[1:] for row in rows] == [[n_seeds, n_seeds]] * 8
    assert f"{8 * n_seeds} models trained in your browser" in tab.run(
        "return document.getElementById('badge').textContent"
    )


def test_other_weights_are_reported_as_different(shown: Callable[..., browser.Browser]) -> None:
    tab = shown()
    tab.run("verified.wanted = 1")
    digest = "0" * 64
    tab.run("trained({name: 'he', seed: 3, digest: arguments[0], final: {cost: 1}, key: null})", digest)
    badge = tab.run("return [document.getElementById('badge').textContent, document.getElementById('badge').className]")
    assert badge == ["✗ 1 of 1 models trained in your browser differ from the committed results.", "badge different"]


@pytest.mark.parametrize("how", ["a worker", "no worker", "a sandboxed frame", "a sandboxed frame of its text"])
def test_the_two_models_of_the_laboratory_end_at_the_committed_bits(
    tab: browser.Browser, how: str, tmp_path: Path
) -> None:
    """And at the costs of the tutorial's seed, which were computed by the pipeline."""
    with reduced_motion(tab) if how != "a worker" else contextlib.nullcontext():
        if how == "no worker":
            script = devtools(tab, "Page.addScriptToEvaluateOnNewDocument", source=NO_WORKER)["identifier"]
        if how.startswith("a sandboxed frame"):
            source = f'srcdoc="{html.escape(PAGE.read_text())}"' if how.endswith("text") else f'src="{PAGE.as_uri()}"'
            (tmp_path / "frame.html").write_text(f'<iframe sandbox="allow-scripts" {source}></iframe>')
            tab.open((tmp_path / "frame.html").as_uri())
            tab.ask("frame", id=tab.ask("element", using="css selector", value="iframe"))
            assert tab.run("return self.origin") == "null"
        else:
            tab.open(PAGE.as_uri())
        stop_background(tab)
        tab.wait("return view.frames.a")
        tab.run("seek(15000)")
        frames = tab.wait("return view.step === 15000 && !view.running && view.frames", seconds=200)
    assert (frames["a"]["cost"], frames["b"]["cost"]) == (0.06481018741251149, 0.3810696327785147)
    assert [round(frames[key]["correct"] / 3, 1) for key in "ab"] == [99.3, 83.0]
    proofs = tab.run("return [...document.querySelectorAll('.proof')].map(made => made.textContent)")
    assert all(re.fullmatch(r"✓ the same bits as the committed weights \(SHA-256 [0-9a-f]{8}…\)", p) for p in proofs)
    assert tab.run("return window.errors || []") == []  # a frame has no watch
    if how == "no worker":
        assert tab.run("return typeof Worker") == "undefined"
        devtools(tab, "Page.removeScriptToEvaluateOnNewDocument", identifier=script)
    if how.startswith("a sandboxed frame"):
        tab.ask("frame", id=None)


def test_rewinding_gives_the_same_weights(shown: Callable[..., browser.Browser]) -> None:
    """Forward to 777 steps, on to 1,500, back to 777 and to 776 and one step: the same costs, boundaries and gradients."""
    tab = shown("b=xavier", 777)
    seen = [at_rest(tab, 777)]
    for step in (1500, 777):
        tab.run("seek(arguments[0])", step)
        seen.append(at_rest(tab, step))
    tab.run("seek(776)")
    at_rest(tab, 776)
    tab.click("#one")
    seen.append(at_rest(tab, 777))

    def values(frames: dict[str, Any]) -> list[Any]:
        return [{name: v for name, v in frames[key].items() if name not in ("costs", "differences")} for key in "ab"]

    assert values(seen[0]) == values(seen[2]) == values(seen[3])
    assert values(seen[0]) != values(seen[1])


def test_one_ulp_grows_with_large_weights_only(shown: Callable[..., browser.Browser]) -> None:
    """After 2,000 steps; bounds of the committed figure: He stays at rounding level, x10 grows to more than 1e-6."""
    tab = shown("perturbed=1", 2000)
    frames = at_rest(tab, 2000)
    starts, ends = ({key: frame["differences"][k] for key, frame in frames.items()} for k in (0, -1))
    assert all(0.0 < start[1] < 4e-15 for start in starts.values())
    assert ends["a"][1] < 1e-13
    assert ends["b"][1] > 1e-6
    assert "random_x10: weights" in tab.run("return document.getElementById('chart-ulp-note').textContent")


def test_signals_follow_the_scale(shown: Callable[..., browser.Browser]) -> None:
    """ReLU without biases is homogeneous: weights times 2 multiply the signal of layer l by 2^l, and so its prediction."""
    tab = shown("b=he&scale_b=2")
    frames = at_rest(tab, 0)
    signals = [[frames[key]["preactivation"] for key in "ab"], [frames[key]["theory"]["preactivation"] for key in "ab"]]
    for one, two in signals:
        assert two == pytest.approx([4.0**layer * square for layer, square in enumerate(one, start=1)], rel=1e-12)
    theory = frames["a"]["theory"]["preactivation"]
    assert theory == pytest.approx([0.8304490914510028] * 3, rel=1e-12)  # reports/initialization.csv
    rows = tab.run("const [header, rows] = charts[2].rows(); return rows")
    assert [row[0] for row in rows] == ["1", "2", "3"]
    assert [row[2] for row in rows] == ["0.9113"] * 3  # the square root


@pytest.mark.parametrize(("scale", "pair"), [(0.01, ("zeros", "orthogonal")), (100, ("random_x10", "constant"))])
@pytest.mark.parametrize("more", ["seed=4294967295", "learning_rate=1000000", "learning_rate=1e300"])
def test_extremes_give_finite_values_or_diverged(
    shown: Callable[..., browser.Browser], scale: float, pair: tuple[str, str], more: str
) -> None:
    state = f"a={pair[0]}&b={pair[1]}&scale_a={scale}&scale_b={scale}&perturbed=1&{more}"
    tab = shown(state, 60)
    at_rest(tab, 60)
    tab.run("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    time.sleep(0.3)
    text = tab.run("return document.getElementById('laboratory').textContent")
    assert ("diverged: the cost is not a finite number" in text) == more.endswith("1e300")
    assert not re.search(r"NaN|Infinity|undefined|null", text)
    shapes = tab.run("return [...document.querySelectorAll('svg')].map(each => each.outerHTML).join()")
    assert not re.search(r"NaN|Infinity|undefined", shapes)
    for panel in tab.run("return [...document.querySelectorAll('.values dd:first-of-type')].map(e => e.textContent)"):
        assert re.fullmatch(r"diverged|[0-9.,e−]+(\u00a0%)?|[0-9/, ]+", panel)


def test_the_state_is_in_the_address(shown: Callable[..., browser.Browser]) -> None:
    tab = shown("a=zeros&b=normal&seed=38&scale_b=2.5&learning_rate=0.02", 40)
    at_rest(tab, 40)
    assert tab.run("return location.hash") == "#a=zeros&b=normal&seed=38&scale_b=2.5&learning_rate=0.02&step=40"
    values = "return ['initializer-a', 'initializer-b', 'seed', 'learning-rate'].map(id => document.getElementById(id).value)"
    assert tab.run(values) == ["zeros", "normal", "38", "0.02"]
    tab.run("change({seed: 3})")
    at_rest(tab, 0)
    assert tab.run("return location.hash") == "#a=zeros&b=normal&scale_b=2.5&learning_rate=0.02"


def test_an_address_with_what_is_not_allowed_shows_the_start(shown: Callable[..., browser.Browser]) -> None:
    tab = shown("a=nobody&b=<b>&seed=-1&scale_a=1e9&learning_rate=0&perturbed=2")
    assert tab.run("return state") == tab.run("return {...START, step: 0}")
    assert tab.run("return location.hash") == ""


def test_everything_works_by_keyboard(shown: Callable[..., browser.Browser]) -> None:
    tab = shown()
    tab.press("#scale-a", RIGHT * 30)
    tab.wait("return state.scale_a > 1.9 && view.frames.a")
    assert (
        tab.run("return document.getElementById('scale-a').getAttribute('aria-valuetext')")
        == "2 times the weights of he"
    )
    tab.press("#initializer-b", "zeros")
    tab.wait("return state.b === 'zeros' && view.frames.b && view.frames.b.largest_gradient === 0")
    tab.press("#play", ENTER)
    tab.wait("return view.step > 20")
    tab.press("#play", ENTER)
    tab.wait("return !view.running")
    tab.press("#rewind", ENTER)
    at_rest(tab, 0)
    tab.press("#step", RIGHT * 3)
    at_rest(tab, 3)
    status = tab.run("return document.getElementById('status').textContent")
    assert status.startswith("Step 3: he × 2 has the cost ")
    tab.press("#perturb", ENTER)
    tab.wait("return state.perturbed === 1 && view.frames.a && view.frames.a.differences.length > 0")
    summary = "#chart-cost summary"
    tab.press(summary, ENTER)
    assert tab.run("return document.querySelector('#chart-cost details').open")


def test_the_numbers_of_the_text_are_computed(shown: Callable[..., browser.Browser]) -> None:
    """Against the tables that the pipeline computed; the differences by 1 ulp against bounds."""
    tab = shown(background=True)
    tab.wait(
        "return ['zeros', 'constant', 'large', 'he'].every(role => computed[role] && computed[role].final)", seconds=200
    )
    texts = tab.run("return [...document.querySelectorAll('.card p')].map(each => each.textContent)")
    first, second, third = (text.replace("\u00a0", " ") for text in texts)
    assert "The numbers show another cause: before the first step the largest gradient of a weight is 0," in first
    assert "after 15,000 steps the largest change of a weight is 0." in first
    assert "the cost falls from 1.788 to 0.6476" in first
    assert "1 of 10 and 1 of 5 are distinct after training" in first
    assert "The first cost with random_x10 is 1,774 nats" in second
    large, he = re.findall(r"by up to (\S+?)[,.] ", second)
    assert float(large) > 1e-6
    assert float(he.replace("−", "-")) < 1e-13
    assert "The tutorial reports 99.3 %" in third
    assert "trained in your browser, gives 99.3 %" in third
    assert "the mean is 97.2 %, from 67.0 % to 99.7 %, and 31 reach 99.0 %" in third
    assert "With normal, N(0, 1) in every layer, the mean is 97.8 %" in third
    assert "…" not in first + second + third


def test_choosing_a_dot_trains_its_seed(shown: Callable[..., browser.Browser]) -> None:
    tab = shown()
    clicked = tab.run(
        "const chart = charts[1], box = chart.svg.getBoundingClientRect(); const dot = chart.svg.querySelector('.seed.b');"
        "const at = {clientX: box.left + Number(dot.getAttribute('cx')), clientY: box.top + Number(dot.getAttribute('cy'))};"
        "const found = chart.find(at); chart.svg.dispatchEvent(new MouseEvent('click', at)); return found"
    )
    tab.wait("return state.seed === arguments[0] && view.frames.b", clicked["seed"])
    assert clicked["text"].startswith(f"random_x10, seed {clicked['seed']}: final cost ")


def test_the_next_seed_is_trained_as_far_as_the_last_one(
    shown: Callable[..., browser.Browser], tab: browser.Browser
) -> None:
    """To the end after the end, and not at all from the start."""
    with reduced_motion(tab):
        shown("b=zeros&seed=37")
    tab.click("#seed-after")
    tab.wait("return state.seed === 38 && view.frames.a")
    time.sleep(0.3)
    assert tab.run("return [view.step, view.running]") == [0, False]
    tab.run("seek(15000)")
    at_rest(tab, 15000)
    tab.click("#seed-before")
    tab.wait("return state.seed === 37 && view.frames.a && view.step > 0")
    proof = at_rest(tab, 15000) and tab.run("return document.querySelector('.panel.a .proof').className")
    assert proof == "proof same"


HOVER = """
const svg = document.querySelector(`#${arguments[0]} svg`), box = svg.getBoundingClientRect();
svg.dispatchEvent(new PointerEvent("pointermove", {clientX: box.left + arguments[1] * box.width, clientY: box.top + 60}));
return tip.hidden ? null : tip.textContent"""


def test_hovering_shows_the_values_of_both_models(shown: Callable[..., browser.Browser]) -> None:
    tab = shown("b=zeros", 300)
    at_rest(tab, 300)
    assert re.fullmatch(r"step 300: he 0\.\d+, zeros 0\.6931", tab.run(HOVER, "chart-cost", 0.5))
    signal = tab.run(HOVER, "chart-signal", 0.2)
    assert re.fullmatch(r"layer 1: he 0?\.?\d.* \(theory 0\.9113\), zeros 0 \(theory 0\)", signal)
    assert tab.run(HOVER, "chart-ulp", 0.5) is None


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible_names_and_contrast(
    shown: Callable[..., browser.Browser], tab: browser.Browser, width: int, scheme: str
) -> None:
    """Names of all controls and charts, a table behind every chart, contrast by WCAG 2.1, and no sideways scrolling.

    With the file axe.min.js of axe-core in the variable AXE_CORE, that finds no violation either.
    """
    devtools(
        tab, "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500
    )
    devtools(tab, "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    try:
        shown("", 120)
        at_rest(tab, 120)
        tab.run("document.querySelectorAll('details').forEach(each => { each.open = true; })")
        assert tab.run("return document.documentElement.scrollWidth") <= width
        unnamed = "return [...document.querySelectorAll('input, select')].filter(e => !e.labels.length).map(e => e.id)"
        assert tab.run(unnamed) == []
        assert (
            tab.run("return [...document.querySelectorAll('button, summary')].filter(e => !e.textContent).length") == 0
        )
        charts = tab.run(
            "return [...document.querySelectorAll('figure')].map(figure => [...['figcaption', 'svg > title', 'svg > desc',"
            " 'details > summary'].map(part => figure.querySelector(part).textContent),"
            " ...figure.querySelectorAll('text.label')].map(part => part.textContent || part))"
        )
        assert len(charts) == 5
        assert all(len(parts) == 6 and all(parts) for parts in charts)
        assert all(tab.run("return [...document.querySelectorAll('canvas')].map(each => each.ariaLabel)"))
        for front, back in (
            ("ink", "paper"),
            ("soft", "paper"),
            ("soft", "card"),
            ("a", "card"),
            ("b", "card"),
            ("good", "card"),
            ("bad", "card"),
        ):
            assert contrast(colour(tab, front), colour(tab, back)) >= 4.5, (front, back)
        for front, back in (("class-0", "region-1"), ("class-1", "region-0"), ("ink", "region-0"), ("ink", "region-1")):
            assert contrast(colour(tab, front), colour(tab, back)) >= 1.25, (front, back)
        if "AXE_CORE" in os.environ:
            devtools(tab, "Page.setBypassCSP", enabled=True)
            tab.run(
                Path(os.environ["AXE_CORE"]).read_text()
                + "; window.axe = axe; axe.run().then(all => { window.found = all; })"
            )
            found = tab.wait("return window.found")
            assert [violation["id"] for violation in found["violations"]] == []
            assert len(found["passes"]) > 20
    finally:
        devtools(tab, "Emulation.clearDeviceMetricsOverride")
        devtools(tab, "Emulation.setEmulatedMedia", features=[])


def colour(tab: browser.Browser, name: str) -> list[float]:
    text = tab.run("return getComputedStyle(document.documentElement).getPropertyValue(arguments[0])", f"--{name}")
    return [int(text.strip()[i : i + 2], 16) / 255 for i in (1, 3, 5)]


def contrast(one: list[float], other: list[float]) -> float:
    """The contrast ratio of WCAG 2.1."""

    def luminance(rgb: list[float]) -> float:
        r, g, b = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_print_has_the_figures_and_no_controls(shown: Callable[..., browser.Browser], tab: browser.Browser) -> None:
    shown("", 120)
    devtools(tab, "Emulation.setEmulatedMedia", media="print")
    try:
        visible = "return [...document.querySelectorAll(arguments[0])].filter(e => e.checkVisibility()).length"
        assert tab.run(visible, "#toolbar, details, .card button, input") == 0
        assert tab.run(visible, "figure svg, canvas") == 7
        assert (
            tab.run("return [...document.querySelectorAll('.marks')].every(each => each.childElementCount > 0)")
            is False
        )
        drawn = tab.run(
            "return ['cost', 'seeds', 'signal'].map(id => document.querySelectorAll(`#chart-${id} .marks > *`).length)"
        )
        assert min(drawn) > 3
    finally:
        devtools(tab, "Emulation.setEmulatedMedia", media="")


def test_reduced_motion_draws_once_a_second(shown: Callable[..., browser.Browser], tab: browser.Browser) -> None:
    with reduced_motion(tab):
        shown()
        tab.run(
            "window.drawn = 0; window.begun = performance.now(); play(true);"
            "new MutationObserver(() => { drawn += 1; })"
            ".observe(document.getElementById('step-value'), {childList: true, characterData: true, subtree: true})"
        )
        time.sleep(2.5)
        drawn, seconds = tab.run("return [drawn, (performance.now() - begun) / 1000]")
        assert 1 <= drawn <= seconds + 2


def test_a_text_in_the_parameters_stays_text(tab: browser.Browser, tmp_path: Path) -> None:
    evil = "</script><img src=x onerror=errors.push(1)>"
    found = content(changed())
    found["notes"] = [evil]
    found["initializers"]["he"]["law"] = evil
    tab.open(write(tmp_path, found))
    tab.wait("return document.querySelector('#results-table td')")
    assert tab.run("return [errors, document.images.length]") == [[], 0]
    assert tab.text().count(evil) == 3  # in the notes and below two charts


@pytest.mark.parametrize("changes", [{"data_name": "digits"}, {"training_batch_size": 5}, {"data_n_train": 4000}])
def test_what_the_page_cannot_train_is_shown_as_committed(
    tab: browser.Browser, tmp_path: Path, changes: dict[str, Any]
) -> None:
    found = content(changed(**changes))
    tab.open(write(tmp_path, found))
    tab.wait("return document.querySelector('#results-table td')")
    text = tab.text()
    assert f"This page does not train these networks: {'; '.join(found['not_live'])}." in text
    assert "Play" not in text
    assert "Three experiments" not in text
    assert tab.run("return document.querySelectorAll('#chart-cost path.line').length") == 2
    assert tab.run("return document.querySelectorAll('#chart-signal .dot').length") == 6
    n_planes = 2 if found["data"]["n_inputs"] == 2 else 0
    assert (
        tab.run("return [...document.querySelectorAll('canvas')].filter(each => each.checkVisibility()).length")
        == n_planes
    )
    tab.press("#initializer-a", "zeros")
    tab.wait("return document.querySelector('#chart-cost .legend').textContent.includes('zeros')")
    assert tab.run("return errors") == []


@pytest.mark.parametrize(
    "changes",
    [
        {"network_hidden_sizes": []},
        {"network_hidden_sizes": [3] * 14, "network_activation": "tanh"},
        {"network_activation": ["hardtanh", "gelu"], "training_momentum": 0.9},
        {"initializers": {"only": {"recipe": "constant", "value": 0.5}}, "comparison_reference": "only"},
        {"training_iterations": 1, "training_record_every": 1},
    ],
)
def test_other_experiments_are_live(tab: browser.Browser, tmp_path: Path, changes: dict[str, Any]) -> None:
    P = changed(**changes)
    tab.open(f"{write(tmp_path, content(P))}#step={P.training.iterations}")
    tab.wait("return typeof view === 'object' && !view.running && view.step === arguments[0]", P.training.iterations)
    tab.wait("return charts.length === 5 && document.querySelector('#results-table td')")
    tab.run("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    tab.run("change({perturbed: 1, scale_a: 3}); play(true)")
    tab.wait("return !view.running && view.step === arguments[0]", P.training.iterations)
    assert not re.search(r"NaN|Infinity|undefined|null", tab.text())
    assert tab.run("return errors") == []


def test_a_recipe_that_the_page_cannot_draw_is_live_for_the_highlighted_seed(
    tab: browser.Browser, tmp_path: Path
) -> None:
    initializers = {"he": {"recipe": "he_normal"}, "lsuv": {"recipe": "lsuv"}}
    tab.open(write(tmp_path, content(changed(initializers=initializers))) + "#a=lsuv&b=he&step=40")
    tab.wait("return typeof view === 'object' && view.step === 40 && view.frames.a && view.frames.b")
    tab.run("change({seed: 7})")
    tab.wait("return view.frames.b && !view.frames.a")
    assert (
        tab.run("return document.querySelector('.panel.a .proof').textContent")
        == "This page can draw lsuv for seed 5 only."
    )
    assert tab.run("return errors") == []


def write(folder: Path, found: dict[str, Any]) -> str:
    path = folder / "laboratory.html"
    path.write_text(page.html(found))
    return path.as_uri()
