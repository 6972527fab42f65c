"""params.yaml as DVC reads it: YAML 1.2, by ruamel.yaml. `1e-5`, `1e-05` and `0.00001` are the same number.

Aliases, merged sections and keys given twice are refused besides what is not YAML: `dvc exp run -S` does not set one
of two places that share a section, and DVC does not read a file in which a key is given twice.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from pipeline.config.messages import cut, dotted
from pipeline.errors import UserError


class StrictYamlError(UserError):
    """The file cannot be read; the message is one sentence for each thing that is wrong."""


def read(path: Path) -> Any:
    """The document that DVC reads in a file. Raises StrictYamlError with a sentence for each problem."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise StrictYamlError(f"{path} is missing; run in the folder that holds it.") from error
    except OSError as error:
        raise StrictYamlError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise StrictYamlError(f"{path.name} is not text in UTF-8.") from error
    except ValueError as error:
        raise StrictYamlError(f"{str(path)!r} is not the name of a file.") from error
    problems: list[str] = []
    try:
        yaml = YAML(typ="safe", pure=True)  # the parser in C crashes on a hundred thousand brackets
        node = yaml.compose(text)
        if node is not None:
            _look(node, "", yaml.constructor, problems, set())
        if not problems:
            return YAML(typ="safe").load(text)  # as DVC does: in C, where it is installed
    except RecursionError as error:
        raise _refusal(path.name, ["the file is nested too deeply."]) from error
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _refusal(path.name, [f"line {line} is not YAML: it holds a character that is not allowed."]) from error
    except YAMLError as error:
        mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
        where = f"line {mark.line + 1}" if mark else "the file"
        context = str(getattr(error, "context", None) or "")
        why = f"{context}, " if context.startswith("expected") else ""
        why += " ".join(str(getattr(error, "problem", None) or error).split())
        raise _refusal(path.name, [f"{where} is not YAML: {why}."]) from error
    except Exception as error:  # the parser raises whatever its own code stumbles on
        raise _refusal(path.name, ["the file cannot be read as YAML."]) from error
    raise _refusal(path.name, problems)


def _refusal(file: str, problems: Iterable[str]) -> StrictYamlError:
    return StrictYamlError("\n".join(f"{file}: {problem}" for problem in problems))


def _look(node: Any, key: str, constructor: Any, problems: list[str], seen: set[int]) -> None:
    """Add a sentence for every alias, key given twice, merged section and scalar that cannot be read below `node`."""
    if id(node) in seen:
        problems.append(f"{key or 'the file'} holds an alias; write the value itself.")
        return
    seen.add(id(node))
    if isinstance(node, MappingNode):
        lines: dict[str, int] = {}
        for name, value in node.value:
            here, line = dotted(key, name.value), name.start_mark.line + 1
            _look(name, here, constructor, problems, seen)
            if isinstance(name, ScalarNode) and name.value in lines:
                problems.append(f"{here} stands on line {lines[name.value]} and again on line {line}; once is enough.")
            else:
                lines[str(name.value)] = line
            _look(value, here, constructor, problems, seen)
    elif isinstance(node, SequenceNode):
        for index, value in enumerate(node.value):
            _look(value, dotted(key, index), constructor, problems, seen)
    elif isinstance(node, ScalarNode):
        kind = str(node.tag).rpartition(":")[2]
        if kind == "merge":
            problems.append(f"{key} merges another section; write its keys themselves.")
        elif kind in ("int", "float", "timestamp"):
            try:
                constructor.construct_object(node)
            except Exception:  # int(), float() and datetime fail each in its own way
                problems.append(f"{key} holds {cut(node.value)}, which cannot be read as {kind}; write it in full.")
