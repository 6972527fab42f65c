"""The mutations of `make mutants` can be made: each text that they replace stands once in its file."""

import ast
from functools import cache

from tests.mutants import MUTATIONS, ROOT, Mutation


@cache
def program(text: str) -> str:
    """What a module does, without its layout."""
    return ast.dump(ast.parse(text))


def is_possible(mutation: Mutation, text: str) -> bool:
    """Whether the mutation changes one place of `text`, and gives Python, and another program."""
    try:
        return text.count(mutation.old) == 1 and program(text.replace(mutation.old, mutation.new)) != program(text)
    except SyntaxError:
        return False


def test_each_mutation_changes_one_place() -> None:
    texts = {mutation.file: (ROOT / "pipeline" / mutation.file).read_text(encoding="utf-8") for mutation in MUTATIONS}
    assert [mutation for mutation in MUTATIONS if not is_possible(mutation, texts[mutation.file])] == []


def test_what_is_no_mutation() -> None:
    text = "a = 1 + 2\nb = 3 + 2\n"
    assert is_possible(Mutation("", "1 + 2", "1 - 2"), text)
    for old, new in (("+ 2", "- 2"), ("absent", "a"), ("1 + 2", "1 +"), ("1 + 2", "(1 + 2)")):
        assert not is_possible(Mutation("", old, new), text)


def test_there_are_mutations_in_every_folder() -> None:
    folders = {path.parent.name for path in (ROOT / "pipeline").glob("*/*.py")}
    assert folders <= {mutation.file.partition("/")[0] for mutation in MUTATIONS}
