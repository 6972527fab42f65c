"""Whether a clone is shallow: in one, DVC loses the results of queued experiments."""

from pathlib import Path

import pytest

from pipeline.tracking import provenance


def test_a_clone_of_depth_1_is_shallow_and_a_whole_one_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DVC_ROOT", raising=False)
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "A")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "a@example.org")
    origin, clone = tmp_path / "origin", tmp_path / "clone"
    provenance.git("init", "-q", str(origin))
    for message in ("first", "second"):
        provenance.git("-C", str(origin), "commit", "-q", "--allow-empty", "-m", message)
    provenance.git("clone", "-q", "--depth", "1", origin.as_uri(), str(clone))
    monkeypatch.chdir(origin)
    assert not provenance.is_shallow()
    monkeypatch.setenv("DVC_ROOT", str(clone))  # a queued experiment runs in a checkout of its own
    assert provenance.is_shallow()
    monkeypatch.delenv("DVC_ROOT")
    monkeypatch.chdir(clone)
    assert provenance.is_shallow()
    provenance.git("fetch", "-q", "--unshallow")
    assert not provenance.is_shallow()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert not provenance.is_shallow()  # no repository
