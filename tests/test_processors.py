"""`make processors`: what it compares, and what it prints where a byte differs."""

import subprocess
from collections.abc import Mapping

import pytest

from pipeline.replications import paper
from tests import processors, small_papers
from tests.processors import HERE, NAMES, NUMBERS

COMMITTED = {"hayou_2019.csv": "a", "hayou_2019.png": "b"}


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(processors.ROOT)


def test_every_paper_is_among_the_small_ones_and_its_files_are_known() -> None:
    assert sorted(small_papers.SMALL) == paper.names()
    for name in paper.names():
        files = [] if name in processors.REDUCED else [f"{name}.csv", f"{name}.png"]
        assert list(processors.committed(name)) == files


def test_digests_of_a_fast_paper_are_those_of_the_committed_files() -> None:
    found = processors.digests_of("lu_2019")
    assert found.pop(NUMBERS)
    assert found == processors.committed("lu_2019")


def imitate(monkeypatch: pytest.MonkeyPatch, **others: str) -> None:
    """The digests of a paper are COMMITTED, and with Numba for the generic processor `others` instead."""

    def digests_under(name: str, environment: Mapping[str, str]) -> dict[str, str]:
        generic = environment.get("NUMBA_CPU_NAME") == "generic"
        return COMMITTED | {NUMBERS: "c"} | (others if generic else {})

    monkeypatch.setattr(processors, "digests_under", digests_under)
    monkeypatch.setattr(processors, "committed", lambda name: {} if name in processors.REDUCED else COMMITTED)


def printed(capsys: pytest.CaptureFixture[str], *names: str) -> tuple[list[str], object]:
    """The lines that the command prints without their times, and its exit code."""
    with pytest.raises(SystemExit) as end:
        processors.main(names)
    return [line.rpartition(" (")[0] for line in capsys.readouterr().out.splitlines()], end.value.code


def test_a_line_for_each_paper_and_processor(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    imitate(monkeypatch)
    lines, code = printed(capsys, "hayou_2019", "phase_diagram")
    files = "hayou_2019.csv, hayou_2019.png"
    assert lines == [
        f"hayou_2019 (in full), {HERE}: equal: {files}",
        *(f"hayou_2019 (in full), {name}: equal: {files}, {NUMBERS}" for name in NAMES),
        f"phase_diagram (a part of it), {HERE}: measured",
        *(f"phase_diagram (a part of it), {name}: equal: {files}, {NUMBERS}" for name in NAMES),
    ]
    assert code == 0


@pytest.mark.parametrize("file", [*COMMITTED, NUMBERS])
def test_a_byte_that_differs_is_named(
    file: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    imitate(monkeypatch, **{file: "another"})
    lines, code = printed(capsys, "hayou_2019")
    assert lines[NAMES.index("generic") + 1] == f"hayou_2019 (in full), generic: DIFFERENT: {file}"
    assert len([line for line in lines if "DIFFERENT" in line]) == 1
    assert code == 1


@pytest.mark.parametrize("others", [[], ["replications/hayou_2019", "pipeline/config"]])
def test_committed_files_of_other_settings(
    others: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are no difference of this processor, with which the other processors are compared."""
    imitate(monkeypatch)
    monkeypatch.setattr(processors, "committed", lambda name: {**COMMITTED, "hayou_2019.csv": "old"})
    monkeypatch.setattr(processors, "changed", lambda name: others)
    (here, *lines), code = printed(capsys, "hayou_2019")
    start = f"hayou_2019 (in full), {HERE}: "
    if others:
        said = "not compared: the committed results are of another replications/hayou_2019, pipeline/config; "
        assert here == f"{start}{said}`make replications NAME=hayou_2019` makes those of the present one"
        assert all(": equal: hayou_2019.csv, " in line for line in lines)
    else:
        assert here == f"{start}DIFFERENT: hayou_2019.csv"
        assert all("DIFFERENT: hayou_2019.csv" in line for line in lines)
    assert code == 1


def test_what_changed_since_the_committed_results_is_what_dvc_says(monkeypatch: pytest.MonkeyPatch) -> None:
    said = '{"replications/dvc.yaml:replicate@lu_2019": [{"changed deps": {"replications/lu_2019": "modified"}}, "changed command"]}'

    def status(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        assert command[-3:] == ["status", "--json", "replications/dvc.yaml:replicate@lu_2019"]
        return subprocess.CompletedProcess(command, 0, said, "")

    monkeypatch.setattr(processors.subprocess, "run", status)
    committed = (processors.ROOT / "replications/code/lu_2019.sha256").read_text().strip()
    monkeypatch.setattr(processors.targets, "digest_of", lambda name: committed)
    assert processors.changed("lu_2019") == ["replications/lu_2019"]
    monkeypatch.setattr(processors.targets, "digest_of", lambda name: "another")
    assert processors.changed("lu_2019") == ["code", "replications/lu_2019"]


def test_a_paper_that_does_not_exist(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        processors.main(["hayou_2018"])
    assert end.value.code == 2
    assert (
        "There is no replication hayou_2018; did you mean hayou_2019? There are balduzzi_2017, "
        in capsys.readouterr().err
    )
