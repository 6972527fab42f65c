"""The figure of an audit: what is counted and drawn, which layers, and texts that can be read."""

import math

import numpy as np
import pytest
from scipy import stats

from pipeline.figures import audit_figure, style
from pipeline.figures.audit_figure import BINS, PANELS, Curve, chosen, density, histogram, panels, spaced
from tests.audited import audited, he
from tests.figures.test_training_figures import texts_of, unreadable
from tests.marks import slow


def test_the_histogram_counts_every_finite_weight_once() -> None:
    """Beside numpy.histogram, whose last bin includes its right edge; no value lies on an edge."""
    W = np.random.RandomState(0).standard_normal((70, 30)) * 0.6
    W[0, :4] = math.nan, math.inf, -9.0, 11.0  # 9 and 11 are 4.5 and 5.5 in units of 2
    expected, _ = np.histogram(W[np.isfinite(W)] / 0.2, np.linspace(-4.0, 4.0, BINS + 1))
    counts = histogram(W, 0.2)
    assert counts[1:-1].tolist() == expected.tolist()
    assert counts[0] == (W < -0.8).sum()
    assert counts[-1] == (W[np.isfinite(W)] > 0.8).sum()
    assert counts.sum() == W.size - 2


def test_of_a_large_layer_every_second_unit_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_figure, "WEIGHTS", 1000)
    W = np.random.RandomState(0).standard_normal((60, 30))  # 1,800 weights
    expected = histogram(W[::2].copy(), 1.0)
    assert histogram(W, 1.0).tolist() == expected.tolist()


@pytest.mark.parametrize("mean", [0.0, 1.25])
@pytest.mark.parametrize("std", [0.1, 1.0, 2.5])
def test_the_densities_are_those_of_scipy(std: float, mean: float) -> None:
    z = np.linspace(-4.0, 4.0, 160)  # no point lies on an edge of a support
    uncut = std / stats.truncnorm(-2.0, 2.0).std()
    laws = {
        "normal": stats.norm(mean, std),
        "uniform": stats.uniform(mean - math.sqrt(3.0) * std, 2.0 * math.sqrt(3.0) * std),
        "truncated": stats.truncnorm(-2.0, 2.0, mean, uncut),
    }
    for family, law in laws.items():
        assert density(Curve(family, std, mean), z) == pytest.approx(law.pdf(z), rel=1e-9, abs=1e-300)


def test_which_layers_are_drawn() -> None:
    alarm, fine = [True], [False]
    assert chosen([fine * 6]) == [list(range(6))]
    fifty = chosen([fine * 20 + alarm + fine * 28 + alarm])[0]
    assert len(fifty) == PANELS
    assert {0, 20, 49} < {*fifty}
    assert max(np.diff(fifty)) <= 3
    assert [len(places) for places in chosen([fine * 3, fine * 30, fine * 30])] == [3, 10, 11]
    assert sum(map(len, chosen([fine] * 30))) == PANELS
    assert chosen([]) == []
    assert chosen([[], fine * 2]) == [[], [0, 1]]
    assert spaced(alarm * 10 + fine * 2, 8) == [0, 2, 4, 5, 7, 9, 10, 11]  # two of eight are not alarms
    assert spaced(alarm * 10, 4) == [0, 3, 6, 9]


def test_the_laws_of_a_panel() -> None:
    """He's weights where they are expected, and one layer of half the standard deviation, which LeCun's / 2 is not."""
    rng = np.random.RandomState(0)
    audit = audited({"good": he(rng, 64, 100), "bad": he(rng, 64, 100) * 0.5, "zero": np.zeros((8, 8))}, "he_normal")
    (good, bad, zero), note = panels({"a.pt": audit})
    assert note == "3 layers"
    assert (good.title, good.is_alarm, good.named) == ("good", False, None)
    assert good.expected == Curve("normal", 1.0)
    assert good.lines[0].startswith("64 × 100, std 0.14")
    assert good.lines[0].endswith("expected 0.141")
    assert good.counts.sum() == 6400
    assert (bad.is_alarm, bad.expected) == (True, Curve("normal", 1.0))
    assert bad.named is not None
    assert bad.named.family == "normal"
    assert bad.named.std == pytest.approx(0.5, abs=3 * 0.5 / math.sqrt(2 * 6400))  # three standard errors
    assert zero.is_alarm
    assert zero.counts[BINS // 2 + 1] == 64  # the bin that begins at 0
    assert zero.lines[-1] == "zeros"


def test_without_an_expectation_the_law_found_is_drawn_in_its_own_unit() -> None:
    (panel,), note = panels({"a.pt": audited({"w": np.random.RandomState(1).uniform(-0.05, 0.05, (64, 100))})})
    assert note == "1 layer"
    assert (panel.expected, panel.is_alarm) == (None, False)
    assert panel.named is not None
    assert (panel.named.family, panel.named.std) == ("uniform", 1.0)
    beyond = math.sqrt(3.0) * BINS / 8.0  # bins on each side of 0 that have weights
    assert np.flatnonzero(panel.counts[1:-1]).tolist() == list(
        range(BINS // 2 - math.ceil(beyond), BINS // 2 + math.ceil(beyond))
    )


def test_weights_that_are_not_finite_are_drawn_as_far_as_they_are() -> None:
    W = he(np.random.RandomState(0), 20, 30)
    W[0] = math.nan
    (panel,), _ = panels({"a.pt": audited({"w": W}, "he_normal")})
    assert panel.lines[-1] == "non finite"
    assert panel.counts.sum() == 570


MANY = "W" * 40 + ".self_attention.in_proj"


@pytest.mark.parametrize(
    ("n_layers", "n_files", "name"),
    [(1, 1, "fc"), *slow((6, 1, "features"), (2, 3, "block"), (20, 3, MANY))],
)
def test_every_text_can_be_read(n_layers: int, n_files: int, name: str) -> None:
    rng = np.random.RandomState(0)
    audits = {}
    for k in range(n_files):
        weights = {f"{name}.{l}": he(rng, 20, 16) * (0.1, 1.0, 1.0, 10.0)[l % 4] for l in range(n_layers)}
        audits[f"network_{k}_{name}.safetensors"] = audited(weights, "he_normal")
    figure = audit_figure.audit(*panels(audits))
    assert unreadable(figure) == []
    assert len([ax for ax in figure.axes if ax.get_visible()]) == min(PANELS, n_layers * n_files)
    if n_layers == 1:
        assert style.png(figure) == style.png(audit_figure.audit(*panels(audits)))  # the same bytes each time


def test_a_figure_without_models() -> None:
    assert panels({}) == ([], "audits/ holds no models.")
    assert unreadable(audit_figure.audit(*panels({}))) == []


def test_weights_outside_the_axis_are_printed_where_they_are_unusual() -> None:
    """Beyond 4 standard deviations are 6 in 100,000 normal weights; of ten times the scale P(|N| > 0.4), 69 %."""
    rng = np.random.RandomState(0)
    audits = {"a.pt": audited({"fine": he(rng, 500, 200), "wide": he(rng, 500, 200) * 10.0}, "he_normal")}
    figure = audit_figure.audit(*panels(audits))
    assert panels(audits)[0][0].counts[[0, -1]].sum() > 0
    assert [text for text, _ in texts_of(figure) if text.endswith("outside")] == ["69 % outside"]
