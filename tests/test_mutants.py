"""The mutations of `make mutants` can be made: each text that they replace stands once in its file."""

import ast

import pytest

from tests.mutants import MUTATIONS, ROOT, Mutation


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: f"{mutation.file}: {mutation.new}")
def test_the_text_stands_once_in_its_file(mutation: Mutation) -> None:
    text = (ROOT / "pipeline" / mutation.file).read_text(encoding="utf-8")
    assert text.count(mutation.old) == 1
    before, after = ast.parse(text), ast.parse(text.replace(mutation.old, mutation.new))
    assert ast.dump(before) != ast.dump(after)  # the mutant is Python, and another program


def test_there_are_mutations_in_every_folder() -> None:
    folders = {path.parent.name for path in (ROOT / "pipeline").glob("*/*.py")}
    assert folders <= {mutation.file.partition("/")[0] for mutation in MUTATIONS}
