"""Names of initializers become names of files: none may leave its folder or reach a shell."""

from pathlib import Path

import pytest

from pipeline.config import params
from pipeline.errors import UserError
from pipeline.stages import train
from tests.conftest import MINIATURE


@pytest.mark.parametrize(
    "name", ["../outside", "/outside", "a/b", "nul", "he; mkdir pwned", "$(mkdir pwned)", "-h", ""]
)
def test_a_name_that_is_no_file_name_is_rejected(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the check of params.yaml, and by training, called by hand, because there is no job. test_reliability.py runs DVC."""
    folder = tmp_path / "repository"
    folder.mkdir()
    monkeypatch.chdir(folder)
    name = f"{tmp_path}{name}" if name.startswith("/") else name
    Path("params.yaml").write_text(MINIATURE.replace("  he: {", f'  "{name}": {{recipe: zeros}}\n  he: {{'))
    before = set(tmp_path.rglob("*"))
    with pytest.raises(UserError, match="names are used in file names and must be a letter, then up to 63 letters"):
        params.load()
    with pytest.raises(UserError, match=r"\.json does not exist"):
        train.train(name)
    assert set(tmp_path.rglob("*")) == before
