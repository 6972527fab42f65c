"""docs/audit.md and audits/README.md: the outputs are those of the command, and the code runs."""

import json
import re
import shlex
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from pipeline.audit import audit
from pipeline.audit.command.main import main
from pipeline.config.audits import AuditSettings
from pipeline.distributions.power import std_factor
from tests.audited import he

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")
EXAMPLE = (ROOT / "audits" / "example.py").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
COMMANDS = re.findall(r"```console\n\$ python -m pipeline\.audit (.*)\n((?s:.*?))```", DOCS)
BLOCKS = re.findall(r"```python\n((?s:.*?))```", DOCS)
PARAMS = YAML(typ="safe").load(ROOT / "params.yaml")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the example and the student's file."""
    shutil.copytree(ROOT / "audits", tmp_path / "audits")
    (submission,) = (block for block in BLOCKS if block.startswith("# submission.py\n"))
    (tmp_path / "submission.py").write_text(submission)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("arguments", "output"), COMMANDS, ids=[arguments for arguments, _ in COMMANDS])
def test_the_outputs_are_those_of_the_command(
    arguments: str, output: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(shlex.split(arguments))
    assert capsys.readouterr() == (output, "")
    assert code == (0 if output.startswith("OK") else 1)


def test_the_page_has_a_failing_and_a_fixed_network_and_a_grade() -> None:
    assert [arguments.split()[0] for arguments, _ in COMMANDS] == ["audits/failing.pt", "audits/fixed.pt", "--grade"]


def test_the_network_is_that_of_the_example() -> None:
    """Its lines are in audits/example.py, where `modules` replaces `children` in the fixed one."""
    for line in BLOCKS[0].splitlines()[:2]:
        made = line.partition(" = ")[2].removesuffix("model")
        assert made in EXAMPLE.replace("return ", "")
    for line in ('nn.init.kaiming_normal_(module.weight, nonlinearity="relu")', "nn.init.zeros_(module.bias)"):
        assert line in BLOCKS[0]
        assert line in EXAMPLE
    assert '("failing", nn.Module.children), ("fixed", nn.Module.modules)' in EXAMPLE
    assert "steps: int = 1000, every: int = 100" in EXAMPLE
    tables = re.findall(r"(?m)^\| loss \|(.*)\|$", DOCS)
    assert [len(table.split("|")) for table in tables] == [11, 11]


def test_the_code_runs() -> None:
    rng = np.random.RandomState(0)
    model = [he(rng, 64, 32), he(rng, 64, 64), he(rng, 10, 64)]
    (shown,) = (block for block in BLOCKS if "result = audit(model" in block)
    namespace = {"model": model}
    exec(shown, namespace)
    assert namespace["result"].ok  # type: ignore[attr-defined]
    (test,) = (block for block in BLOCKS if "def test_" in block)
    namespace = {"make_model": lambda: model}
    exec(test, namespace)
    namespace["test_initial_weights"]()  # type: ignore[operator]
    model[1] *= 2.0
    with pytest.raises(AssertionError, match="ALARM"):
        namespace["test_initial_weights"]()  # type: ignore[operator]


def test_the_fields_of_the_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audits/failing.pt", "--activation", "relu", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert set(document) == {"version", "audits", "errors"}
    (audited,) = document["audits"]
    table = dict(re.findall(r"(?m)^\| (`.*?) \| (.*) \|$", DOCS.partition("## JSON")[2].partition("\n## ")[0]))
    named = {field for cell in table for field in re.findall(r"`(\w+)`", cell)}
    assert named == set(audited)
    for key, content in table.items():
        value = audited[re.findall(r"`(\w+)`", key)[0]]
        value = value[0] if isinstance(value, list) and value else value
        if isinstance(value, dict):
            assert set(re.findall(r"`(\w+)`", content)) <= set(value) | {"law", "p", "share"}


def test_the_formats_name_the_extras() -> None:
    named = set(re.findall(r"extra `(\w+)`", DOCS))
    assert named
    assert named <= set(PROJECT["optional-dependencies"])
    assert [dependency.partition(">")[0] for dependency in PROJECT["dependencies"]] == ["numpy"]
    assert "audit-weights" in PROJECT["scripts"]


def test_the_factors_that_are_detected() -> None:
    """As printed, to the last digit."""
    (sentence,) = re.findall(r"for a network of a single layer, it is ((?s:.*?))\.\n", DOCS)
    found = re.findall(r"([\d.]+)(?:\s+with\s+)([\d,]+)", sentence)
    assert len(found) == 4
    for factor, n in found:
        digits = len(factor.partition(".")[2])
        assert round(std_factor(int(n.replace(",", "")), 0.01), digits) == float(factor)
    assert std_factor(80, 1e-6) < 2.0
    assert "in layers of 80 weights" in DOCS


def test_the_rates_are_those_of_the_benchmark() -> None:
    report = (ROOT / "reports" / "audit_benchmark.md").read_text(encoding="utf-8")
    (networks, alarms, *others), *_ = [
        [cell.strip(" %") for cell in row.split("|")] for row in re.findall(r"(?m)^\| all +\|(.*)\|$", report)
    ]
    faults = report.partition("\n## Faults")[2].partition("\n## ")[0]
    detected = [cell.strip(" %") for cell in re.findall(r"(?m)^\| mean +\|(.*)\|$", faults)[0].split("|")]
    expected = [
        (f"{100 * int(alarms) / int(networks):.1f}", detected[1]),
        *((f"{float(rate):.1f}", found) for rate, found in zip(others[1:], detected[-2:], strict=True)),
    ]
    tools = DOCS.partition("## Other tools")[2]
    assert re.findall(r"(?m)\| ([\d.]+) % \| ([\d.]+) % \|$", tools) == expected
    n_kinds = len(re.findall(r"(?m)^\| ", faults)) - 2  # without the heading and the mean
    assert f"over {n_kinds} kinds" in tools
    assert f"of {int(networks):,} correct networks" in tools


def test_the_sections_of_params_yaml() -> None:
    (section,) = re.findall(r"```yaml\n(audits:(?s:.*?))```", DOCS)
    assert YAML(typ="safe").load(section)["audits"] == PARAMS["audits"]
    (section,) = re.findall(r"```yaml\n((?s:.*?))```", (ROOT / "audits" / "README.md").read_text(encoding="utf-8"))
    for settings in YAML(typ="safe").load(section)["audits"].values():
        AuditSettings.model_validate(settings)


def test_the_wrong_layers_of_the_example_are_those_of_the_inner_sequential() -> None:
    found = audit(ROOT / "audits" / "failing.pt", expect="he_normal", activation="relu")
    wrong = {finding.layer for finding in found.findings if finding.cause == "wrong_law"}
    assert wrong == {f"2.{2 * l}" for l in range(16)}
    assert audit(ROOT / "audits" / "fixed.pt", expect="he_normal", activation="relu").ok
