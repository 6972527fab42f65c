"""The replications of untrained networks, with small settings: theory, determinism, and rows that fail for a wrong law."""

import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad

from pipeline.config.schema import Network
from pipeline.initializers.recipes import Recipe
from pipeline.replications import paper
from pipeline.replications.measurement import Measurement, Replication
from pipeline.storage import atomic_files
from tests import small_papers
from tests.small_papers import UNTRAINED

ROOT = Path(__file__).parents[2]


def small(name: str, **changes: Any) -> tuple[Any, Any]:
    """The module of a replication, and its settings in a small version."""
    found = small_papers.small(name)
    return found.module, found.settings.model_copy(update=changes)


@cache
def once(name: str) -> Replication:
    """The results of the small version."""
    return run(name)[0]


def run(name: str, **changes: Any) -> tuple[Replication, list[int]]:
    """The results of the small version, and what it reported of its progress and announced."""
    module, settings = small(name, **changes)
    done: list[int] = []
    result: Replication = module.measure(settings, done.append)
    return result, [len(done), module.total(settings)]


def by_name(result: Replication) -> dict[str, Measurement]:
    return {one.quantity: one for one in result.measurements}


@pytest.mark.parametrize("name", UNTRAINED)
def test_results_are_finite_and_the_same_every_time(name: str) -> None:
    first, (second, progress) = once(name), run(name)
    assert progress[0] == progress[1]
    assert all(math.isfinite(one.measured) for one in first.measurements)
    assert repr(first.measurements) == repr(second.measurements)
    for key, table in first.tables.items():
        assert table.to_csv() == second.tables[key].to_csv()


@pytest.mark.parametrize("name", UNTRAINED)
def test_every_row_has_its_quantity_and_the_figure_its_tables(name: str) -> None:
    result = once(name)
    module, settings = small(name)
    published = paper.read_published(ROOT / "replications" / name / "published.csv")
    rows = paper.rows(paper.Paper(name, module, settings, published), result.measurements)
    assert len(rows) == len(published)
    assert module.draw(result.tables).get_axes()


# ---------------------------------------------------------------------------------------------------------------------
# Theory: numbers computed by quadrature or closed form, independently of the laboratory. They hold for any width if all
# layers have the same.

THEORY: dict[str, dict[str, str]] = {
    "glorot_bengio_2010": {
        "standard deviation of the activations of layer {}, standard initialization": "0.4603 0.2495 0.1412 0.0810 0.0467",
        "standard deviation of the activations of layer {}, normalized initialization": "0.6279 0.4863 0.4082 0.3576 0.3216",
        "back-propagated gradients of layer {} over layer 5, standard deviations, standard initialization": "0.0832 0.1764 0.3247 0.5736",
        "back-propagated gradients of layer {} over layer 5, standard deviations, normalized initialization": "0.4098 0.6014 0.7538 0.8842",
        "mean singular value of the weights of layer 2, standard initialization": "0.490070",
        "mean singular value of the weights of layer 2, normalized initialization": "0.848826",
    },
    "poole_2016": {
        "mean square q of the pre-activations of layer 8, σ_w = 1.3": "0.6070",
        "mean square q of the pre-activations of layer 8, σ_w = 2.5": "4.0791",
        "mean square q of the pre-activations of layer 8, σ_w = 4": "12.6041",
        "growth of the length of the curve per layer, σ_w = 1.3": "0.9694",
        "growth of the length of the curve per layer, σ_w = 2.5": "1.2591",
        "growth of the length of the curve per layer, σ_w = 4": "1.5386",
    },
    "pennington_2017": {
        f"variance over squared mean of s², {name} weights, {depth} layers, (σ_w², σ_b²) = ({point})": value
        for (name, depth, point), value in {
            ("orthogonal", 10, "1.05, 2.01·10⁻⁵"): "0.0427",
            ("orthogonal", 30, "1.05, 2.01·10⁻⁵"): "0.1281",
            ("orthogonal", 10, "1.761, 0.05"): "3.423",
            ("orthogonal", 30, "1.761, 0.05"): "10.268",
            ("Gaussian", 10, "1.05, 2.01·10⁻⁵"): "10.0427",
            ("Gaussian", 30, "1.761, 0.05"): "40.268",
        }.items()
    },
    "lu_2019": {
        "share of networks that are 0 on the whole line, width 2, 2 hidden layers": "0.15625",
        "share of networks that are 0 on the whole line, width 3, 2 hidden layers": "0.04297",
        "share of networks that are 0 at the input 1, width 2, 10 hidden layers": "0.94369",
        "share of networks that are 0 at the input 1, width 3, 20 hidden layers": "0.93079",
    },
    "hanin_rolnick_2018": {
        "standard deviation of ln(‖z_L‖² / ‖z_0‖²), width 20, 20 layers": "2.4970",
        "standard deviation of ln(‖z_L‖² / ‖z_0‖²), width 50, 50 layers": "2.3256",
    },
    "klambauer_2017": {
        "mean of the activations of layer 50, inputs of variance 1": "0.00000",
        "variance of the activations of layer 50, inputs of variance 1": "1.00000",
    },
    "balduzzi_2017": {},
    "hayou_2019": {
        "correlation of the pre-activations of two orthogonal inputs in layer {}": "- 0.318310 0.493731 0.604826",
    },
}


@pytest.mark.parametrize("name", THEORY)
def test_theory_is_that_of_independent_computations(name: str) -> None:
    """To half a unit of the last digit."""
    found = by_name(once(name))
    for quantity, values in THEORY[name].items():
        for l, value in enumerate(values.split(), 1):
            if value != "-":
                half = 0.5 * 0.1 ** len(value.partition(".")[2])
                assert abs(found[quantity.format(l)].theory - float(value)) <= half * 1.001, quantity.format(l)


def test_the_correlation_map_over_its_asymptotic_law() -> None:
    """1 - c of the map c -> (sqrt(1 - c^2) + (pi - arccos c) c) / pi in extended precision."""
    mpmath = pytest.importorskip("mpmath")
    found = by_name(once("hayou_2019"))
    with mpmath.workdps(30):
        c = mpmath.mpf(0)
        for l in range(1, 1001):
            c = (mpmath.sqrt(1 - c * c) + (mpmath.pi - mpmath.acos(c)) * c) / mpmath.pi
            if l in (100, 1000):
                law = float((1 - c) * 2 * l * l / (9 * mpmath.pi**2))
                row = found[f"1 - c after {l} iterations of the correlation map over 9π² / (2 l²)"]
                assert abs(row.measured - law) < 1e-8  # 1000 roundings of c, over 1 - c = 4e-5


def test_the_gradients_at_an_angle_in_wide_networks() -> None:
    """prod_l (1 - alpha_l / pi) with NumPy's arccos, over the angles of the arc-cosine kernel."""
    found = by_name(once("balduzzi_2017"))
    for depth in (2, 10, 50):
        alpha, product = math.pi / 8, 1.0
        for _ in range(depth):
            product *= 1 - alpha / math.pi
            alpha = np.arccos((np.sin(alpha) + (math.pi - alpha) * np.cos(alpha)) / math.pi)
        quantity = f"cosine of the gradients at two inputs at an angle of 22.5 degrees, He, {depth} ReLU layers"
        assert found[quantity].theory == pytest.approx(product, abs=1e-9)


def test_the_curves_of_gradients_have_no_visible_corners() -> None:
    """A chord deviates from prod_l (1 - alpha_l / pi) between its ends by less than a line's width, 1 % of the axis."""
    module, settings = small("balduzzi_2017")
    curves = module.measure(settings, lambda n: None).tables["theory"]
    for depth in (2, 10, 50):
        part = curves[(curves["initializer"] == "he") & (curves["depth"] == depth)]
        ends = np.radians(part["degrees"].to_numpy())
        assert (ends[0], ends[-1]) == pytest.approx((0.0, math.pi / 2))
        alpha, exact = (ends[1:] + ends[:-1]) / 2, np.ones(len(ends) - 1)
        for _ in range(depth):
            exact *= 1 - alpha / math.pi
            alpha = np.arccos((np.sin(alpha) + (math.pi - alpha) * np.cos(alpha)) / math.pi)
        values = part["cosine"].to_numpy()
        assert np.abs((values[1:] + values[:-1]) / 2 - exact).max() < 0.01


def test_the_spread_in_proportion_to_the_depth_has_slope_1_in_the_figure() -> None:
    """Theory's lines on logarithmic axes, from the first to the last depth, at every point of the critical line."""
    module, _ = small("pennington_2017")
    for ax in module.draw(once("pennington_2017").tables).get_axes():
        assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
        for line in ax.get_lines()[::2]:
            x, y = (np.log(values.astype(float)) for values in line.get_data())
            assert np.diff(y) / np.diff(x) == pytest.approx(1.0, abs=1e-9)


# ---------------------------------------------------------------------------------------------------------------------
# Faults: with a wrong law or activation, rows leave their bands by far; with the right one, small networks are near.

# name: (wrong recipes; a row that they change; how near the right one must be to the middle of the band, in half widths
# of the band: the standard errors of the small version are about ten times larger)
FAULTS: dict[str, tuple[dict[str, Any], str, float]] = {
    "glorot_bengio_2010": (
        {"standard": Recipe("xavier_normal")},
        "standard deviation of the activations of layer 5, standard initialization",
        3.0,
    ),
    "poole_2016": (
        {"ordered": Recipe("he_normal", gain=1.3)},
        "growth of the length of the curve per layer, σ_w = 1.3",
        1.0,
    ),
    "pennington_2017": (
        {"orthogonal": Recipe("lecun_normal")},
        "variance over squared mean of s², orthogonal weights, 30 layers, (σ_w², σ_b²) = (1.05, 2.01·10⁻⁵)",
        1.5,
    ),
    "lu_2019": (
        {"he": Recipe("constant", {"value": 1.0})},
        "share of networks that are 0 on the whole line, width 3, 20 hidden layers",
        4.0,
    ),
    "hanin_rolnick_2018": (
        {"he": Recipe("lecun_normal")},
        "mean of ln(‖z_L‖² / ‖z_0‖²), width 20, 20 layers",
        10.0,
    ),
    "klambauer_2017": (
        {"lecun": Recipe("xavier_normal", gain=1.1)},
        "variance of the activations of layer 50, inputs of variance 1",
        6.0,
    ),
    "balduzzi_2017": (
        {"looks_linear": Recipe("he_normal")},
        "largest difference of the outputs from the linear map, over the largest output, looks-linear initialization",
        1.0,
    ),
}


def outside(name: str, one: Measurement) -> float:
    """How far a number is from the middle of its band, in half widths of the band."""
    table = atomic_files.read_table(ROOT / "replications" / name / "published.csv").set_index("quantity")
    least, most = (float(table.loc[one.quantity, end]) for end in ("least", "most"))
    return abs(one.measured - 0.5 * (least + most)) / (0.5 * (most - least))


@pytest.mark.parametrize("name", FAULTS)
def test_a_wrong_initializer_leaves_its_band(name: str) -> None:
    recipes, quantity, limit = FAULTS[name]
    _, settings = small(name)
    right, wrong = once(name), run(name, initializers={**settings.initializers, **recipes})[0]
    near, far = (outside(name, by_name(result)[quantity]) for result in (right, wrong))
    assert near <= limit
    assert far > 3.0 * max(near, 1.0)


def test_other_activations_leave_the_correlation_map() -> None:
    quantity = "correlation of the pre-activations of two orthogonal inputs in layer 4"
    network = Network(hidden_sizes=[100] * 4, activation="tanh")
    right, wrong = once("hayou_2019"), run("hayou_2019", network=network)[0]
    near, far = (outside("hayou_2019", by_name(result)[quantity]) for result in (right, wrong))
    assert far > 30.0  # 0 instead of 0.6
    assert near < 12.0  # ten times fewer units, pairs and seeds


def test_the_growth_of_the_curve_is_that_of_a_layer() -> None:
    """To the power of the seven layers between the first and the last, it is the growth of the length.

    The geometric and the arithmetic mean over two seeds differ by less than 1 %.
    """
    result = once("poole_2016")
    layers = result.tables["layers"]
    for gain in (1.3, 2.5, 4.0):
        growth = by_name(result)[f"growth of the length of the curve per layer, σ_w = {gain:g}"].measured
        length = layers[(layers["sigma_w"] == gain) & (layers["layer"] == 8)]["length"].item()
        assert growth**7 == pytest.approx(length, rel=0.01)


def test_theory_of_a_selu_layer_by_adaptive_quadrature() -> None:
    layers = once("klambauer_2017").tables["layers"]
    row = layers[(layers["input_variance"] == 5.0) & (layers["layer"] == 1)].iloc[0]

    def moment(power: int) -> float:
        def integrand(z: float) -> float:
            x = math.sqrt(5.0) * z
            selu = 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * math.expm1(x))
            return float(selu**power * math.exp(-z * z / 2) / math.sqrt(2 * math.pi))

        return float(quad(integrand, -12, 12, points=[0.0])[0])

    assert row.mean_theory == pytest.approx(moment(1), rel=1e-7)
    assert row.variance_theory == pytest.approx(moment(2) - moment(1) ** 2, rel=1e-7)


def test_all_rows_of_lu_lie_between_the_bounds() -> None:
    """Sampling error: 5 standard deviations of a share of 400 networks."""
    shares = once("lu_2019").tables["shares"]
    for row in shares.itertuples():
        assert row.line_least - 5 * 0.5 / 20 <= row.line <= row.line_most + 5 * 0.5 / 20
        assert row.line <= row.point + 1e-12  # 0 on the whole line is 0 at one input
