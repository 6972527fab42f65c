"""The params.yaml of each paper: a value works, or one message names its key before anything is measured."""

import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.config.params import checked
from pipeline.errors import UserError
from pipeline.replications import paper, run
from tests import small_papers
from tests.small_papers import FOLDER, SMALL

PAPERS = sorted(path.parent.name for path in FOLDER.glob("*/params.yaml"))
ZERO = ("sigma_w2.first", "sigma_b2.first", "depth_panel.sigma_b2", "momentum")  # keys that may be 0
# Values that no key in the section `replication` of any paper may have, except those of ALLOWED and ANY_ORDER
REFUSED: tuple[Any, ...] = (
    *(0, -1, -0.5, 1e300, 10**12, math.nan, math.inf, True, "text", None),
    *([], {}, [0], [-1], [2, 1], [3, 3], [math.nan], [True], ["text"], [[1]], [10**12]),
)
ALLOWED = {("phase_diagram", f"replication.{key}") for key in ZERO}
ANY_ORDER = ("shapes", "points", "rates", "variances", "starts", "singular_values")  # lists that need not ascend
SECTIONS = {"shapes", "points"}  # lists of sections, of which each that is wrong has a message


@cache
def document(name: str) -> dict[str, Any]:
    """The committed params.yaml."""
    found: dict[str, Any] = yaml.safe_load((FOLDER / name / "params.yaml").read_text(encoding="utf-8"))
    return found


def leaves(section: dict[str, Any], *path: str) -> Iterator[tuple[str, ...]]:
    """The paths of the values in a section."""
    for key, value in section.items():
        if isinstance(value, dict):
            yield from leaves(value, *path, key)
        else:
            yield (*path, key)


def nested(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """{a: {b: value}} for the path a, b."""
    for key in reversed(path):
        value = {key: value}
    return dict(value)


def refusal(name: str, changes: dict[str, Any]) -> str:
    """The message for changed settings, without the file with which each of its lines begins; empty if they load."""
    file, settings = f"replications/{name}/params.yaml", paper.load_module(name).Settings
    try:
        checked(small_papers.merged(document(name), changes), settings, file, "")
    except UserError as error:
        lines = str(error).splitlines()
        assert all(line.startswith(f"{file}: ") and line.endswith(".") for line in lines)
        return "\n".join(line.removeprefix(f"{file}: ") for line in lines)
    return ""


@pytest.mark.parametrize("name", PAPERS)
def test_an_impossible_value_gives_one_message_that_names_its_key(name: str) -> None:
    for path in leaves({"replication": document(name)["replication"]}):
        key = ".".join(path)
        for value in REFUSED:
            if (
                (value == 0 and (name, key) in ALLOWED)
                or (value == [2, 1] and path[-1] in ANY_ORDER)
                or (path[-1] in SECTIONS and isinstance(value, list) and len(value) > 1)
            ):
                continue
            said = refusal(name, nested(path, value) if value != {} else nested(path[:-1], {path[-1]: None}))
            assert said.count("\n") == 0, (key, value, said)
            assert said.startswith((f"{key} holds ", f"{key}[0] holds ")), (key, value, said)
            assert "; it must be " in said


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("hayou_2019", {"n_samples": 1}, "n_samples holds 1; it must be a whole number from 2 to 1000000."),
        (
            "hayou_2019",
            {"n_samples": 2000},
            "n_samples holds 2000; it must be at most replication.n_inputs, 1000: more inputs cannot be mutually",
        ),
        ("hayou_2019", {"layers": [2, 9]}, "layers holds 9; it must be at most 8, the number of layers of network."),
        ("balduzzi_2017", {"depths": [2, 51]}, "depths holds 51; it must be at most 50, the number of ReLU layers"),
        ("balduzzi_2017", {"n_points": 11}, "n_points holds 11; it must be 4 k + 1 for a whole number k from 1 to"),
        ("glorot_bengio_2010", {"n_spectra": 11}, "n_spectra holds 11; it must be at most 10, the number of seeds."),
        ("glorot_bengio_2010", {"bin_width": 0.0001}, "bin_width holds 0.0001; it must be a number from 0.001 to 0.5."),
        ("hanin_rolnick_2018", {"earlier": 50}, "earlier holds 50; it must be less than the depth of the last entry"),
        (
            "hanin_rolnick_2018",
            {"shapes": [{"width": 1, "depth": 20}, {"width": 1, "depth": 20}]},
            "shapes holds [{'width': 1, 'depth': 20}, {'width': 1, 'depth': 20}]; it must be a list of one or more diff",
        ),
        (
            "hanin_rolnick_2018",
            {"shapes": [{"width": 20, "depth": 20}, {"width": 20, "depth": 40}]},
            "shapes holds [{'width': 20, 'depth': 20}, {'width': 20, 'depth': 40}]; it must be a list whose first and",
        ),
        # of width 1, 1 / 2^20 of the networks are not 0 after 20 layers
        (
            "hanin_rolnick_2018",
            {"shapes": [{"width": 1, "depth": 20}, {"width": 2, "depth": 40}]},
            "shapes[0] holds {'width': 1, 'depth': 20}; it must be of a width at which 10 or more of replication.n_net",
        ),
        ("he_2015", {"early": 90}, "early holds 90; it must be a multiple of training.record_every, which is 60, up"),
        ("he_2015", {"early": 540}, "early holds 540; it must be a multiple of training.record_every, which is 60, up"),
        ("he_2015", {"deep": 22}, "deep holds 22; it must be greater than replication.shallow, which is 22."),
        ("he_2015", {"shallow": 1}, "shallow holds 1; it must be a whole number from 2 to 1000000."),
        ("lu_2019", {"depths": [2, 25]}, "depths holds 25; it must be at most replication.n_layers, 20."),
        ("lu_2019", {"reported": [2, 7]}, "reported holds 7; it must be one of replication.widths, 2, 3, 4, 5."),
        ("mishkin_matas_2016", {"n_samples": 1501}, "n_samples holds 1501; it must be at most data.n_train, 1500."),
        ("mishkin_matas_2016", {"depths": [1, 30]}, "depths holds 1; it must be at least 2: a hidden layer and the"),
        ("pennington_2017", {"depths": [10, 30, 31]}, "depths holds 31; it must be at most 30, the number of layers"),
        ("pennington_2017", {"reported": [7, 30]}, "reported holds 7; it must be one of replication.depths, 1, 2, 3,"),
        ("phase_diagram", {"batch_size": 1001}, "batch_size holds 1001; it must be at most data.n_train, 1000."),
        ("phase_diagram", {"trained": 1.5}, "trained holds 1.5; it must be a number greater than 0 and at most 1."),
        ("phase_diagram", {"ridge_up_to": 0.001}, "ridge_up_to holds 0.001; it must be at least replication.sigma_b2."),
        ("phase_diagram", {"sigma_w2": {"last": 0.4}}, "sigma_w2.last holds 0.4; it must be greater than replication."),
        ("phase_diagram", {"sigma_b2": {"n": 1}}, "sigma_b2.n holds 1; it must be a whole number from 2 to 1000."),
        ("phase_diagram", {"sigma_w2": {"n": 2}}, "sigma_w2.n holds 2; it must be at least 3: the panel of depths has"),
        ("phase_diagram", {"depth_panel": {"n_seeds": 5}}, "depth_panel.n_seeds holds 5; it must be at most 4, the"),
        (
            "phase_diagram",
            {"activation": "relu"},
            "activation holds the text 'relu'; it must be one whose variance has one stable fixed point at sigma_w2 = ",
        ),
        ("poole_2016", {"n_points": 2}, "n_points holds 2; it must be a whole number from 3 to 1000000."),
        (
            "saxe_2013",
            {"modes": {"hidden": 3}},
            "modes.hidden holds 3; it must be at least 4, the number of entries of",
        ),
        (
            "saxe_2013",
            {"modes": {"initial": 0.5}},
            "modes.initial holds 0.5; it must be less than half of the smallest",
        ),
        (
            "saxe_2013",
            {"modes": {"record_every": 7}},
            "modes.record_every holds 7; it must be a divisor of replication",
        ),
        (
            "saxe_2013",
            {"modes": {"singular_values": [3.0, 2.0, 1.0]}},
            "modes.singular_values holds [3.0, 2.0, 1.0]; it must be a list of 4, 8, 12, ... different entries",
        ),
        ("saxe_2013", {"depth": {"width": 6}}, "depth.width holds 6; it must be a multiple of 4: the inputs are in"),
        ("saxe_2013", {"depth": {"depths": [2, 8]}}, "depth.depths holds [2, 8]; it must be a list of numbers of at"),
        (
            "schoenholz_2017",
            {"depths": [1, 20]},
            "depths holds 1; it must be at least 2: a hidden layer and the output",
        ),
        ("schoenholz_2017", {"sigma_w2": [1.0]}, "sigma_w2 holds [1.0]; it must be a list of two or more entries in"),
        ("tutorial", {"n_seeds": 100_001}, "n_seeds holds 100001; it must be a whole number from 1 to 100000."),
    ],
)
def test_relations_between_keys(name: str, changes: dict[str, Any], said: str) -> None:
    found = refusal(name, {"replication": changes})
    assert found.startswith(f"replication.{said}")
    assert "\n" not in found


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        (
            "hayou_2019",
            {"network": {"activation": "tanh"}},
            "network.activation holds the text 'tanh'; it must be relu",
        ),
        ("poole_2016", {"network": {"hidden_sizes": [100, 50]}}, "network.hidden_sizes holds [100, 50]; it must be a"),
        ("pennington_2017", {"network": {"hidden_sizes": [1] * 30}}, "network.hidden_sizes holds [1, 1,"),
        ("balduzzi_2017", {"network": {"hidden_sizes": [31] * 51}}, "network.hidden_sizes holds [31, 31,"),
        (
            "lu_2019",
            {"initializers": {"he": {"recipe": "orthogonal"}}},
            "initializers.he.recipe holds the text 'orthog",
        ),
        (
            "lu_2019",
            {"initializers": {"he": {"recipe": "xavier_normal"}}},
            "initializers.he.recipe holds the text 'xavi",
        ),
        ("lu_2019", {"initializers": {"he": {"bias": 0.1}}}, "initializers.he.bias holds 0.1; it must be 0"),
        ("he_2015", {"initializers": {"he": {"layers": {3: {"gain": 2.0}}}}}, "initializers.he.layers is not allowed"),
        ("hayou_2019", {"initializers": {"b": {"recipe": "zeros"}}}, "initializers holds he, b; it must hold one init"),
        (
            "he_2015",
            {"initializers": {"b": {"recipe": "zeros"}}},
            "initializers holds xavier, he, b; it must hold the in",
        ),
        (
            "poole_2016",
            {"initializers": {"ordered": {"gain": 2.5}}},
            "initializers.chaotic.gain holds 2.5; it must be a",
        ),
        (
            "poole_2016",
            {"initializers": {"ordered": {"gain": 1e12}}},
            "initializers.ordered.gain holds 1000000000000.0",
        ),
        (
            "glorot_bengio_2010",
            {"initializers": {"normalized": {"gain": 1e9}}},
            "initializers.normalized holds the text 'xavier_u",
        ),
        (
            "glorot_bengio_2010",
            {"initializers": {"b": {"recipe": "zeros"}}},
            "initializers.b holds the text 'zeros'; it must be weights whose variance times fan",
        ),
        (
            "he_2015",
            {"data": {"name": "circles"}},
            "data.name holds the text 'circles'; it must be a data set of 10 cl",
        ),
        ("he_2015", {"data": {"noise": 1e300}}, "data.noise holds 1e+300; it must be a number from 0 to 1000."),
        (
            "he_2015",
            {"training": {"iterations": 490}},
            "training.record_every holds 60; it must be a divisor of traini",
        ),
        (
            "he_2015",
            {"training": {"iterations": 60 * 10**9}},
            "training.record_every holds 60; it must be a divisor of",
        ),
        ("schoenholz_2017", {"training": {"batch_size": 1501}}, "training.batch_size holds 1501; it must be at most"),
        ("tutorial", {"training": {"batch_size": 20}}, "training.batch_size holds 20; it must be full, as in the tuto"),
        (
            "tutorial",
            {"training": {"iterations": 13_000}},
            "training.iterations holds 13000; it must be at least 14000",
        ),
        (
            "tutorial",
            {"training": {"record_every": 300}},
            "training.record_every holds 300; it must be a divisor of 10",
        ),
        ("tutorial", {"seeds": [3, 4]}, "seeds holds [3, 4]; it must be a list of one seed."),
        (
            "he_2015",
            {"network": {"hidden_sizes": [4]}},
            "network is unknown; the file has data, training, seeds, initi",
        ),
    ],
)
def test_sections_that_a_paper_cannot_use(name: str, changes: dict[str, Any], said: str) -> None:
    found = refusal(name, changes)
    assert found.startswith(said)
    assert "\n" not in found


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        *((name, {"seeds": [4]}) for name in ("hayou_2019", "lu_2019", "klambauer_2017", "schoenholz_2017")),
        ("hayou_2019", {"replication": {"n_samples": 100, "layers": [1, 4], "map_depths": [1]}}),
        ("lu_2019", {"replication": {"n_networks": 1, "n_layers": 1, "widths": [1], "depths": [1], "reported": [1]}}),
        ("balduzzi_2017", {"replication": {"n_points": 5, "n_combinations": 1, "depths": [1, 2, 3, 5, 50]}}),
        ("klambauer_2017", {"replication": {"n_inputs": 1, "n_samples": 1, "variances": [5.0, 1.0, 0.2, 2.0]}}),
        ("he_2015", {"training": {"learning_rate": 1e300}}),
        ("phase_diagram", {"replication": {"sigma_b2": {"first": 0.0}, "trained": 1.0}}),
        ("poole_2016", {"initializers": {"fourth": {"recipe": "lecun_normal", "gain": 3.0}}}),
    ],
)
def test_extremes_that_work(name: str, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = small_papers.changed(name, small_papers.merged(SMALL[name], changes))
    monkeypatch.setattr(loaded.module, "LINE_POINTS", small_papers.LINE_POINTS, raising=False)
    result = paper.measure(loaded, lambda n: None)
    assert paper.draw(loaded, result.tables).startswith(b"\x89PNG")
    if name not in small_papers.TRAINED:  # which may diverge, or none of them be trained
        assert all(math.isfinite(one.measured) for one in result.measurements)


@pytest.mark.parametrize("name", [name for name in SMALL if name not in ("tutorial", "phase_diagram")])
def test_the_quantities_are_known_before_anything_is_measured(name: str) -> None:
    """Those that `measure` returns; with settings that published.csv does not fit it is not called."""
    loaded = small_papers.small(name)
    measured = small_papers.measured(name).measurements
    assert sorted(loaded.module.quantities(loaded.settings)) == sorted(one.quantity for one in measured)
    committed = small_papers.changed(name, {})
    paper.check_quantities(committed)
    with pytest.raises(UserError, match=r"published\.csv and the quantities that measure returns differ: only in pub"):
        paper.check_quantities(committed._replace(settings=small_papers.changed(name, OTHER[name]).settings))


OTHER: dict[str, dict[str, Any]] = {
    "balduzzi_2017": {"replication": {"depths": [2, 11]}},
    "glorot_bengio_2010": {"network": {"hidden_sizes": [100] * 4}},
    "hanin_rolnick_2018": {"replication": {"earlier": 11}},
    "hayou_2019": {"replication": {"layers": [2, 3]}},
    "he_2015": {"seeds": [0, 1]},
    "klambauer_2017": {"replication": {"variances": [1.0, 0.2]}},
    "lu_2019": {"replication": {"reported": [2]}},
    "mishkin_matas_2016": {"replication": {"depths": [10, 22]}},
    "pennington_2017": {"replication": {"points": [{"sigma_w2": 1.05, "sigma_b2": 0.01}]}},
    "poole_2016": {"initializers": {"ordered": {"gain": 1.4}}},
    "saxe_2013": {"replication": {"depth": {"steps": 1600}}},
    "schoenholz_2017": {"replication": {"depths": [20, 40]}},
}


def test_nothing_is_measured_if_published_csv_does_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = small_papers.changed("hayou_2019", OTHER["hayou_2019"])
    monkeypatch.setattr(paper, "load", lambda name: loaded)
    monkeypatch.setattr(paper, "measure", lambda *arguments: pytest.fail("measured"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"^replications/hayou_2019: published\.csv and the quantities"):
        run.replicate("hayou_2019")
    assert list(tmp_path.iterdir()) == []


def test_every_curve_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """More curves than the figure has of its own colours: each has its line in the legend."""
    changes = {"network": {"hidden_sizes": [12] * 51}, "seeds": [0], "replication": {"depths": [1, 2, 3, 5, 50]}}
    loaded = small_papers.changed("balduzzi_2017", changes)
    monkeypatch.setattr(loaded.module, "LINE_POINTS", small_papers.LINE_POINTS)
    figure = loaded.module.draw(paper.measure(loaded, lambda n: None).tables)
    assert len(figure.axes[0].get_lines()) == 2 * 6


def test_a_diverged_model_has_an_infinite_cost() -> None:
    """After one step of an enormous rate costs are NaN; seeds with such costs count as above any cost."""
    loaded = small_papers.changed(
        "he_2015", small_papers.merged(SMALL["he_2015"], {"training": {"learning_rate": 1e300}})
    )
    found = {one.quantity: one.measured for one in paper.measure(loaded, lambda n: None).measurements}
    (stalled,) = [value for quantity, value in found.items() if "above" in quantity]
    assert stalled == len(SMALL["he_2015"]["seeds"])


def test_a_network_beyond_the_memory(tmp_path: Path) -> None:
    """2^20 units per layer have 2^40 weights; two copies take 16 TiB."""
    loaded = small_papers.changed(
        "he_2015", small_papers.merged(SMALL["he_2015"], {"replication": {"width": 1_000_000}})
    )
    with pytest.raises(
        UserError, match=r"^replications/he_2015/params.yaml: the memory is too small \(at least .* TiB"
    ):
        paper.measure(loaded, lambda n: None)
