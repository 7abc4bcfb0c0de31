"""What a pickle of torch.save calls while it is read, found out without calling it."""

from __future__ import annotations

import pickletools

__all__ = ["called_by"]

_MARK = object()
_MADE = object()
"""Stands for any object that is no global and no tuple."""

_CALLS_ITS_FIRST = "torch._tensor._rebuild_from_type_v2"
"""Makes a tensor that has attributes of its own, by the function that is its first argument."""

_ENCODED = object()
"""Bytes that the file holds as a text."""

_BYTES = ("builtins.bytearray", "__builtin__.bytearray")
"""They are made of those, or, by nobody's writer, of the number of zeros that they should have."""


def called_by(content: bytes) -> set[str]:
    """Names of the classes and functions that are called; one that is only named, as a value, is none.

    Args:
        content: a pickle. Its containers but tuples are not looked into: nothing is taken out of them again.

    Raises:
        ValueError: it is no whole pickle.
        LookupError: it takes what it never made.
    """
    found: set[str] = set()
    stack: list[object] = []
    memo: dict[object, object] = {}
    for opcode, argument, _ in pickletools.genops(content):
        if opcode.name == "MARK":
            stack.append(_MARK)
        elif opcode.name == "GLOBAL":
            stack.append(str(argument).replace(" ", "."))
        elif opcode.name in ("BINPUT", "LONG_BINPUT", "PUT"):
            memo[argument] = stack[-1]
        elif opcode.name in ("BINGET", "LONG_BINGET", "GET"):
            stack.append(memo[argument])
        elif opcode.name in ("REDUCE", "NEWOBJ"):
            arguments, function = stack.pop(), stack.pop()
            found |= _called(function, arguments)
            stack.append(_ENCODED if function == "_codecs.encode" else _MADE)
        else:
            taken = _taken(stack, opcode)
            if opcode.name.startswith("TUPLE"):
                stack.append(tuple(taken))
            else:
                stack += [_MADE] * len(opcode.stack_after)
    return found


def _called(function: object, arguments: object) -> set[str]:
    if function in _BYTES and arguments in ((), (_ENCODED,)):
        return set()
    names = {str(function)} if isinstance(function, str) else set()
    if function == _CALLS_ITS_FIRST:
        first = arguments[0] if isinstance(arguments, tuple) and arguments else None
        # As torch writes it there is a function; of anything else nobody knows what is called.
        names.add(first if isinstance(first, str) else "torch.Tensor")
    return names


def _taken(stack: list[object], opcode: pickletools.OpcodeInfo) -> list[object]:
    """What an opcode takes from the stack, in its order."""
    before = list(opcode.stack_before)
    taken: list[object] = []
    if pickletools.markobject in before:
        while (top := stack.pop()) is not _MARK:
            taken.append(top)
        before = before[: before.index(pickletools.markobject)]
    taken += [stack.pop() for _ in before]
    return taken[::-1]
