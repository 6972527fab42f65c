"""Who publishes, when several want to: the rules, step by step, at a store that keeps runs in memory."""

import os
import subprocess
import sys
import threading
from types import SimpleNamespace as Made

import pytest

from pipeline.tracking import locking


class Store:
    """As much of MlflowClient as claims need."""

    def __init__(self) -> None:
        self.runs: dict[str, Made] = {}
        self.lock = threading.Lock()

    def create(self, run_id: str, status: str = "RUNNING", **tags: str) -> str:
        self.runs[run_id] = Made(info=Made(run_id=run_id, status=status), data=Made(tags=tags))
        return run_id

    def search_runs(self, experiments: list[str], filter_string: str, *_: object, page_token: str | None) -> list:
        key, value = filter_string.removeprefix("tags.").split(" = ")
        with self.lock:
            found = [run for run in self.runs.values() if run.data.tags.get(key) == value.strip("'")]
        return Page(found)

    def delete_run(self, run_id: str) -> None:
        with self.lock:
            del self.runs[run_id]

    def set_tag(self, run_id: str, key: str, value: str) -> None:
        self.runs[run_id].data.tags[key] = value

    def set_terminated(self, run_id: str, status: str) -> None:
        self.runs[run_id].info.status = status


class Page(list):
    token = None


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(locking.random, "uniform", lambda low, high: 0.001)
    return Store()


def claim(store: Store, run_id: str) -> tuple[str, int | None]:
    return locking.claim(
        store, "1", "abc", lambda start: store.create(run_id, fingerprint="abc", publisher=locking.sign())
    )


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_the_first_publishes_and_the_next_finds_it_published(store: Store) -> None:
    parent, start = claim(store, "a")
    assert (parent, start is None) == ("a", False)
    store.set_terminated("a", "FINISHED")
    assert claim(store, "b") == ("a", None)
    assert list(store.runs) == ["a"]


def test_what_a_dead_process_left_is_deleted(store: Store) -> None:
    store.create("a", fingerprint="abc", publisher=f"{locking.platform.node()} {dead_process()} 1.0")
    store.create("b", status="KILLED", fingerprint="abc", publisher=locking.sign())
    store.create("c", status="FINISHED", pipeline="abc")  # their children
    store.create("d", status="FINISHED", pipeline="def")
    parent, start = claim(store, "z")
    assert parent == "z"
    assert start is not None
    assert sorted(store.runs) == ["d", "z"]


@pytest.mark.parametrize("theirs", ["a", "z"])
def test_a_living_one_is_waited_for(store: Store, theirs: str) -> None:
    """Whichever id is the larger: it went on before it could see ours."""
    store.create(theirs, fingerprint="abc", publisher=locking.sign())
    threading.Timer(0.3, store.set_terminated, (theirs, "FINISHED")).start()
    assert claim(store, "m") == (theirs, None)
    assert list(store.runs) == [theirs]


@pytest.mark.parametrize("theirs", ["a", "z"])
def test_of_two_that_see_each_other_the_larger_gives_way(store: Store, theirs: str) -> None:
    """Both have made their parents before either looked."""
    seen = []

    def create(start: int) -> str:
        if theirs not in store.runs:
            store.create(theirs, fingerprint="abc", publisher=locking.sign())
            threading.Timer(0.3, finish).start()
        return store.create("m", fingerprint="abc", publisher=locking.sign())

    def finish() -> None:
        seen.append(sorted(store.runs))
        store.set_terminated(theirs, "FINISHED")

    assert locking.claim(store, "1", "abc", create) == (theirs, None)
    assert seen == [["a"] if theirs == "a" else ["m", "z"]]
    assert list(store.runs) == [theirs]


def test_one_of_another_computer_is_dead_when_no_sign_comes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(locking.time, "monotonic", lambda: now[0])
    run = Made(info=Made(run_id="a", status="RUNNING"), data=Made(tags={locking.SIGN: "elsewhere 1 5.0"}))
    signs: dict = {}
    assert locking.is_alive(run, signs)
    now[0] += locking.DEAD - 1
    assert locking.is_alive(run, signs)
    run.data.tags[locking.SIGN] = "elsewhere 1 9.0"  # a new sign
    now[0] += locking.DEAD - 1
    assert locking.is_alive(run, signs)
    now[0] += locking.DEAD
    assert not locking.is_alive(run, signs)


def test_of_many_at_once_one_publishes(store: Store) -> None:
    publishing, together = [], []

    def work(name: str) -> None:
        parent, start = claim(store, name)
        if start is not None:
            publishing.append(name)
            together.append([run for run in store.runs.values() if run.info.status == "FINISHED"])
            store.set_terminated(parent, "FINISHED")

    threads = [threading.Thread(target=work, args=(f"{i:02}",)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(publishing) == 1
    assert together == [[]]
    assert list(store.runs) == publishing


def test_an_interrupted_wait_leaves_nothing_that_counts_as_alive(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.create("z", fingerprint="abc", publisher=locking.sign())

    def interrupted(seconds: float) -> None:
        store.create("a", fingerprint="abc", publisher=locking.sign())
        raise KeyboardInterrupt

    monkeypatch.setattr(locking.time, "sleep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        claim(store, "m")
    assert locking.is_alive(store.runs["z"], {})


def test_a_process_of_ours_is_running() -> None:
    assert locking.is_running(os.getpid())
    assert not locking.is_running(dead_process())
