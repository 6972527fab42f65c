"""YAML that every reader reads alike.

DVC reads YAML 1.2, PyYAML and most others YAML 1.1: `1e-3` is a number to one and text to the other, `on` text or
true, `010` ten or eight. Here such a value is refused, with advice how to write it, instead of being taken one way.
"""

import json
import math
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.wording import UserError, cut, dotted, shown, word


class StrictYamlError(UserError):
    """The file cannot be read; the message is one sentence for each thing that is wrong."""


def read(path: Path) -> Any:
    """The document, if YAML 1.2 and YAML 1.1 read the same in it. Raises StrictYamlError with a sentence a problem."""
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
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is not None:
            _look(node, "", loader, problems, set())
        if not problems:
            old = None if node is None else loader.construct_document(node)
            new = YAML(typ="safe", pure=True).load(text)
            _compare(new, old, "", problems)
    except RecursionError as error:
        raise _refusal(path.name, ["the file is nested too deeply."]) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _refusal(path.name, [f"line {line} is not YAML: it holds a character that is not allowed."]) from error
    except (YAMLError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark else "the file"
        context = str(getattr(error, "context", None) or "")
        why = f"{context}, " if context.startswith("expected") else ""
        why += " ".join(str(getattr(error, "problem", None) or error).split())
        raise _refusal(path.name, [f"{where} is not YAML: {why}."]) from error
    except Exception as error:  # the parsers raise whatever their own code stumbles on
        raise _refusal(path.name, ["the file cannot be read as YAML."]) from error
    if problems:
        raise _refusal(path.name, problems)
    return new


def _refusal(file: str, problems: Iterable[str]) -> StrictYamlError:
    return StrictYamlError("\n".join(f"{file}: {problem}" for problem in problems))


def _look(node: yaml.Node, key: str, loader: yaml.SafeLoader, problems: list[str], seen: set[int]) -> None:
    """A sentence for every alias, every key given twice, and every scalar that is not what it seems."""
    if id(node) in seen:
        problems.append(f"{key or 'the file'} holds an alias; write the value itself.")
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for name, value in node.value:
            here, line = dotted(key, name.value), name.start_mark.line + 1
            _look(name, here, loader, problems, seen)
            if isinstance(name, yaml.ScalarNode) and name.value in lines:
                problems.append(f"{here} stands on line {lines[name.value]} and again on line {line}; once is enough.")
            else:
                lines[str(name.value)] = line
            _look(value, here, loader, problems, seen)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _look(value, dotted(key, index), loader, problems, seen)
    elif isinstance(node, yaml.ScalarNode):
        kind = node.tag.rpartition(":")[2]
        if kind == "merge":
            problems.append(f"{key} merges another section; write its keys themselves.")
        elif kind in ("int", "float") and "_" in node.value:
            advice = f"write {cut(node.value.replace('_', ''))}"
            problems.append(
                f"{key} holds {cut(node.value)}, a number to some YAML readers and text to others; {advice}."
            )
        elif kind in ("int", "float", "timestamp"):
            try:
                loader.construct_object(node)
            except Exception:  # int(), float() and datetime fail each in its own way
                problems.append(f"{key} holds {cut(node.value)}, which cannot be read as {kind}; write it in full.")


def _compare(new: Any, old: Any, key: str, problems: list[str]) -> None:
    """A sentence for every leaf that YAML 1.2 and YAML 1.1 read differently."""
    if isinstance(new, dict) and isinstance(old, dict):
        if len(new) != len(old):
            problems.append(f"{key or 'the file'} holds keys that YAML 1.2 and YAML 1.1 read differently; rename them.")
            return
        for (name, value), (old_name, other) in zip(new.items(), old.items(), strict=True):
            if repr(name) != repr(old_name):
                readings = f"{shown(name)} in YAML 1.2 and {shown(old_name)} in YAML 1.1"
                problems.append(f"{dotted(key, word(name))} is a key that is {readings}; choose another name.")
            _compare(value, other, dotted(key, word(name)), problems)
    elif isinstance(new, list) and isinstance(old, list) and len(new) == len(old):
        for index, (value, other) in enumerate(zip(new, old, strict=True)):
            _compare(value, other, dotted(key, index), problems)
    elif type(new) is not type(old) or (new != old and new == new):
        readings = f"{shown(new)} in YAML 1.2 and {shown(old)} in YAML 1.1"
        problems.append(f"{key or 'the file'} holds what is {readings}; {_one_reading(new, old)}.")


def _one_reading(new: Any, old: Any) -> str:
    """How to write a value so that both YAMLs read the same: 0.0000001 for 1e-7, which PyYAML takes for text."""
    if type(new) is int or (type(new) is float and math.isfinite(new)):
        mantissa, e, exponent = repr(new).partition("e")
        plain = f"{Decimal(repr(new)):f}".removesuffix(".0")
        if e and len(plain) > 20:
            plain = f"{mantissa}{'' if '.' in mantissa else '.0'}e{exponent}"
        return f"write {plain}" + (" by hand, which dvc exp run -S cannot" if e and old == repr(new) else "")
    if isinstance(new, str):
        return f"write {json.dumps(new, ensure_ascii=False)} with quotes or {shown(old)}"
    return "write it so that it has one reading"
