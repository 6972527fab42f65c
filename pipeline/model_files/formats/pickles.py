"""Pickles as plain values, without calling anything that they name.

A pickle is a program that may import and call any function. Here its instructions build dictionaries, lists, tuples,
numbers and text only; what it names or calls is handed to the caller as text, who answers with a value.
"""

import pickletools
from collections.abc import Callable
from typing import Any, Protocol

from pipeline.model_files.formats.mapped import Damaged

PLAIN = (str, bytes, int, float, bool, type(None))


class Name(str):
    """The dotted name of a class or function that a pickle names."""


class Unknown:
    """The place of a value that is of no interest."""


class Stream(Protocol):
    """A binary file, or a memory map, which never allocates more than it has."""

    def read(self, n: int, /) -> bytes: ...

    def readline(self) -> bytes: ...

    def tell(self) -> int: ...


MARK = object()
SIMPLE = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
EMPTY: dict[str, Any] = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple, "EMPTY_SET": Unknown}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
IGNORED = ("PROTO", "FRAME", "NEXT_BUFFER", "READONLY_BUFFER")


def load(
    file: Stream,
    name: Callable[[Name], Any],
    call: Callable[[Any, Any], Any],
    persistent: Callable[[Any], Any] = lambda key: Unknown(),
) -> Any:
    """The value of the pickle that begins at the file's position.

    `name(dotted)` is what stands for a class or function, `call(function, arguments)` for the result of a call,
    `persistent(key)` for an object outside the pickle. Of dictionaries, keys that are no text or number are left out.
    Raises an exception of any kind if the pickle is damaged.
    """
    stack: list[Any] = []
    memo: dict[int, Any] = {}

    def popped_to_mark() -> list[Any]:
        items: list[Any] = []
        while (item := stack.pop()) is not MARK:
            items.append(item)
        return items[::-1]

    argument: Any
    for opcode, argument, _ in pickletools.genops(file):  # type: ignore[arg-type]  # it uses these three methods only
        code = opcode.name
        if code == "STOP":
            return stack.pop()
        if code in IGNORED:
            continue
        if code in SIMPLE:
            stack.append(SIMPLE[code])
        elif code in EMPTY:
            stack.append(EMPTY[code]())
        elif code == "MARK":
            stack.append(MARK)
        elif code in TUPLES:
            items = [stack.pop() for _ in range(TUPLES[code])]
            stack.append(tuple(items[::-1]))
        elif code in ("TUPLE", "LIST"):
            items = popped_to_mark()
            stack.append(tuple(items) if code == "TUPLE" else items)
        elif code == "DICT":
            stack.append(_updated({}, popped_to_mark()))
        elif code == "FROZENSET":
            popped_to_mark()
            stack.append(Unknown())
        elif code in ("APPENDS", "ADDITEMS", "APPEND"):
            items = [stack.pop()] if code == "APPEND" else popped_to_mark()
            if isinstance(stack[-1], list):
                stack[-1].extend(items)
        elif code in ("SETITEMS", "SETITEM"):
            items = [stack.pop(-2), stack.pop()] if code == "SETITEM" else popped_to_mark()
            _updated(stack[-1], items)
        elif code in ("POP", "BUILD"):  # BUILD sets the state of an object
            stack.pop()
        elif code == "POP_MARK":
            popped_to_mark()
        elif code == "DUP":
            stack.append(stack[-1])
        elif code in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(memo[int(argument)])
        elif code in ("PUT", "BINPUT", "LONG_BINPUT"):
            memo[int(argument)] = stack[-1]
        elif code == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif code == "GLOBAL":
            stack.append(name(Name(argument.replace(" ", ".", 1))))
        elif code == "STACK_GLOBAL":
            last, first = stack.pop(), stack.pop()
            stack.append(name(Name(f"{first}.{last}")))
        elif code in ("EXT1", "EXT2", "EXT4"):
            stack.append(name(Name(f"copyreg extension {argument}")))
        elif code == "INST":
            stack.append(call(name(Name(argument.replace(" ", ".", 1))), tuple(popped_to_mark())))
        elif code == "OBJ":
            function, *arguments = popped_to_mark()
            stack.append(call(function, tuple(arguments)))
        elif code in ("REDUCE", "NEWOBJ", "NEWOBJ_EX"):
            if code == "NEWOBJ_EX":
                stack.pop()  # arguments with names
            items = stack.pop()
            stack.append(call(stack.pop(), items))
        elif code in ("PERSID", "BINPERSID"):
            stack.append(persistent(stack.pop() if code == "BINPERSID" else argument))
        elif isinstance(argument, PLAIN):
            stack.append(argument)
        else:
            stack.append(Unknown())
    raise Damaged("its pickle has no end")


def _updated(target: Any, items: list[Any]) -> Any:
    """The target with items [key, value, key, value, ...] if it is a dictionary."""
    if isinstance(target, dict):
        target.update((key, item) for key, item in zip(items[::2], items[1::2], strict=True) if isinstance(key, PLAIN))
    return target
