"""Read a params.yaml with the parser that DVC uses: YAML 1.2, by ruamel.yaml. `1e-5`, `1e-05` and `0.00001` are equal.

Besides invalid YAML, aliases and merged sections are rejected: `dvc exp run -S` cannot set a value that two keys share.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from pipeline.config.messages import cut, dotted
from pipeline.errors import UserError


def read(path: Path) -> Any:
    """The document in a YAML file, as DVC reads it. Raises UserError: a line with the path for each problem."""
    file = path.as_posix()
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UserError(f"{file} does not exist; run the command in the folder that contains it.") from error
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is not UTF-8 text.") from error
    except ValueError as error:
        raise UserError(f"{str(path)!r} is not a valid file name.") from error
    problems: list[str] = []
    try:
        yaml = YAML(typ="safe", pure=True)  # the parser in C crashes on a hundred thousand brackets
        node = yaml.compose(text)
        if node is not None:
            _check_node(node, "", yaml.constructor, problems, set())
        if not problems:
            return YAML(typ="safe").load(text)  # as DVC does: in C, where it is installed
    except RecursionError as error:
        raise _error(file, ["the file is nested too deeply."]) from error
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _error(file, [f"line {line} is not valid YAML: it contains a character that is not allowed."]) from error
    except YAMLError as error:
        mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
        where = f"line {mark.line + 1}" if mark else "the file"
        context = str(getattr(error, "context", None) or "")
        reason = f"{context}, " if context.startswith("expected") else ""
        reason += " ".join(str(getattr(error, "problem", None) or error).split())
        raise _error(file, [f"{where} is not valid YAML: {reason}."]) from error
    except Exception as error:  # errors of the parser's own code, of any type
        raise _error(file, ["the file cannot be parsed as YAML."]) from error
    raise _error(file, problems)


def _error(file: str, problems: Iterable[str]) -> UserError:
    return UserError("\n".join(f"{file}: {problem}" for problem in problems))


def _check_node(node: Any, key: str, constructor: Any, problems: list[str], seen: set[int]) -> None:
    """Append a line to `problems` for every alias, duplicate key, merge and invalid scalar at or below `node`."""
    if id(node) in seen:
        problems.append(f"{key or 'the file'} is an alias; write the value in its place.")
        return
    seen.add(id(node))
    if isinstance(node, MappingNode):
        lines: dict[str, int] = {}
        for name, value in node.value:
            here, line = dotted(key, name.value), name.start_mark.line + 1
            _check_node(name, here, constructor, problems, seen)
            if isinstance(name, ScalarNode) and name.value in lines:
                problems.append(f"{here} is a duplicate key, on lines {lines[name.value]} and {line}; remove one.")
            else:
                lines[str(name.value)] = line
            _check_node(value, here, constructor, problems, seen)
    elif isinstance(node, SequenceNode):
        for index, value in enumerate(node.value):
            _check_node(value, dotted(key, index), constructor, problems, seen)
    elif isinstance(node, ScalarNode):
        kind = str(node.tag).rpartition(":")[2]
        if kind == "merge":
            problems.append(f"{key} merges another section; write the keys of that section in its place.")
        elif kind in ("int", "float", "timestamp"):
            try:
                constructor.construct_object(node)
            except Exception:  # int(), float() and datetime raise different errors
                problems.append(f"{key} holds {cut(node.value)}, which is not a valid {kind}.")
