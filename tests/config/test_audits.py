"""The section `audits` of params.yaml: what is valid, and the messages for what is not."""

import re
from pathlib import Path

import pytest

from pipeline.config import params
from pipeline.config.audits import AuditSettings
from pipeline.errors import UserError
from pipeline.networks.activations import ACTIVATIONS

COMMITTED = (Path(__file__).parents[2] / "params.yaml").read_text(encoding="utf-8")
EXPECT = "an initializer's name, such as he_normal, or a mapping from layers to such names"


def load(section: str, folder: Path) -> dict[str, AuditSettings]:
    """The settings of a section in YAML, within the committed file."""
    text = re.sub(r"(?ms)^audits:.*?(?=^\w|\Z)", "", COMMITTED)
    (folder / "params.yaml").write_text(f"{text}\naudits: {section}\n", encoding="utf-8")
    return params.load(folder / "params.yaml").audits


def test_a_valid_section(tmp_path: Path) -> None:
    section = """
  a.pt: {}
  sub/b.safetensors: {expect: he_normal, activation: relu, data: batch.npz}
  c d.npz:
    expect: {"2.10": he_normal, 3: xavier_normal, blocks.*: orthogonal}
"""
    assert load(section, tmp_path) == {
        "a.pt": AuditSettings(),
        "sub/b.safetensors": AuditSettings(expect="he_normal", activation="relu", data="batch.npz"),
        "c d.npz": AuditSettings(expect={"2.10": "he_normal", "3": "xavier_normal", "blocks.*": "orthogonal"}),
    }
    assert load("{}", tmp_path) == {}


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (
            "[a.pt]",
            "audits holds ['a.pt']; it must be a mapping from the names of files in audits/ to what is expected of "
            "them, or {} for no expectations.",
        ),
        (
            "{a.pt: he_normal}",
            "audits.a.pt holds the text 'he_normal'; it must be a mapping with any of the keys expect, activation, data.",
        ),
        (
            "{a.pt: {expected: he_normal}}",
            "audits.a.pt.expected is unknown; did you mean expect? It must be one of expect, activation, data.",
        ),
        ("{a.pt: {expect: [he_normal]}}", f"audits.a.pt.expect holds ['he_normal']; it must be {EXPECT}."),
        ("{a.pt: {expect: {}}}", f"audits.a.pt.expect holds {{}}; it must be {EXPECT}."),
        ("{a.pt: {expect: {fc: 2}}}", f"audits.a.pt.expect holds {{'fc': 2}}; it must be {EXPECT}."),
        (
            "{a.pt: {expect: {2.10: he_normal}}}",
            f"audits.a.pt.expect holds {{2.1: 'he_normal'}}; it must be {EXPECT}; "
            "layers such as 2.10 are numbers in YAML, write them in quotes.",
        ),
        (
            "{a.pt: {activation: rely}}",
            "audits.a.pt.activation holds the text 'rely'; did you mean relu? "
            f"It must be one of {', '.join(ACTIVATIONS)}.",
        ),
        (
            "{a.pt: {data: ../batch.npz}}",
            "audits.a.pt.data holds the text '../batch.npz'; it must be the name of a file in audits/ with a batch of inputs.",
        ),
        ("{../a.pt: {}}", "audits: the text '../a.pt' is not a valid name; it must be that of a file in audits/."),
        ("{/a.pt: {}}", "audits: the text '/a.pt' is not a valid name; it must be that of a file in audits/."),
        ("{7: {}}", "audits: 7 is not a valid name; it must be that of a file in audits/."),
    ],
)
def test_an_invalid_section_gives_one_message(section: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as raised:
        load(section, tmp_path)
    assert str(raised.value) == f"{(tmp_path / 'params.yaml').as_posix()}: {message}"


def test_without_the_section_params_yaml_is_invalid(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(re.sub(r"(?ms)^audits:.*?(?=^\w|\Z)", "", COMMITTED), encoding="utf-8")
    with pytest.raises(UserError, match=r"^\S+/params\.yaml: audits is missing; it must be a mapping from the names"):
        params.load(tmp_path / "params.yaml")
