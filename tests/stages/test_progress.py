"""What a stage prints: on a terminal, in a log, and when it fails."""

import io
import json
import os
import re
import subprocess
import sys

import pytest

from pipeline.stages import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    """Seconds that pass only where a test says so."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress.time, "monotonic", clock)
    return clock


def test_a_log_has_lines_at_intervals(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress.task("Training 1,200 models of he.", 1200, "model") as advance:
        for seconds in (9.0, 2.0, 3.0, 7.0, 1.0, 30.0):  # finished after 9, 11, 14, 21, 22 and 52 s
            clock.now += seconds
            advance(200)
    out, err = capsys.readouterr()
    assert err.splitlines() == [
        "Training 1,200 models of he.",
        "400 of 1,200 models, 11 s",
        "800 of 1,200 models, 21 s",
        "Finished in 52.0 s.",
    ]
    assert out == ""


def test_a_terminal_has_a_bar_that_disappears(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr(progress, "DELAY", 0.0)
    with progress.task("Training 4 models of he.", 4, "model") as advance:
        advance(3)
        advance(1)
    first, *bars, last = re.split(r"[\r\n]+", terminal.getvalue().strip())
    assert first == "Training 4 models of he."
    assert re.match(r" *0%\|.*\| 0/4 ", bars[0])
    assert "Finished" in last
    assert not any("Finished" in bar for bar in bars)


def test_a_short_task_shows_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with progress.task("Drawing.", 4) as advance:
        advance(4)
    assert re.fullmatch(r"Drawing\.\nFinished in 0\.\d s\.\n", terminal.getvalue())


def test_a_task_that_fails_is_not_finished(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="no"), progress.task("Drawing."):
        raise ValueError("no")
    assert capsys.readouterr().err == "Drawing.\n"


def test_one_is_singular() -> None:
    assert [progress.count(n, "model") for n in (0, 1, 2, 1000)] == ["0 models", "1 model", "2 models", "1,000 models"]


@pytest.mark.parametrize(("setting", "threads"), [({}, 1), ({"OPENBLAS_NUM_THREADS": "2"}, 2)])
def test_blas_has_one_thread_unless_the_user_sets_another_number(setting: dict[str, str], threads: int) -> None:
    """Two threads of OpenBLAS on two busy cores took 20 times the time of one for the spectra of 100 x 100 weights."""
    code = (
        "import json, threadpoolctl, pipeline.stages.diagnose as d; print(json.dumps(threadpoolctl.threadpool_info()))"
    )
    environment = {key: value for key, value in os.environ.items() if key != "OPENBLAS_NUM_THREADS"} | setting
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    found = [pool["num_threads"] for pool in json.loads(done.stdout) if pool["internal_api"] == "openblas"]
    if found:  # NumPy of this platform has OpenBLAS
        assert set(found) == {min(threads, os.cpu_count() or 1)}


BAR = """
import multiprocessing, sys
import psutil
multiprocessing.set_start_method("forkserver")  # the default on Linux since Python 3.14
from pipeline.stages import progress
sys.stderr.isatty = lambda: True
with progress.task("Training.", 2, "model") as advance:
    advance(2)
print("tqdm" in sys.modules, psutil.Process().children())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no forkserver")
def test_a_bar_starts_no_process() -> None:
    """With the lock of tqdm's own it starts one, which writes a warning if the stage is interrupted."""
    done = subprocess.run([sys.executable, "-c", BAR], capture_output=True, text=True, check=True)
    assert done.stdout == "True []\n"
