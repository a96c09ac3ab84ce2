"""Which calls a case makes, one letter each.

=====  ==========================================================================================
``f``  a forward; but for the first, on new contents in new arrays
``b``  the backward of the latest forward that has had none; where all have had one, of the latest
``i``  an inference, where the kernel has any, and its backward, where it has one
``w``  the caller writes new contents into the arrays of the latest call
``g``  the caller writes a new gamma and beta into theirs
``y``  the caller writes into the y that the latest forward returned, as an in-place ReLU does
``o``  forward, backward and inference on other shapes and dtypes: larger, then smaller
``e``  the same with another epsilon
=====  ==========================================================================================

A number before a letter, or before letters in parentheses, repeats: ``16f16b``, ``100(fb)``. What every call
returned is looked at when all have been made.
"""

from __future__ import annotations

import re

from bncli.errors import InputError

PLAIN = "fbi"
LETTERS = "fbiwgyoe"
MOST = 1000  # calls of one history

_PART = re.compile(rf"(\d{{0,4}})(?:([{LETTERS}])|\(([{LETTERS}]+)\))", re.ASCII)
_LOST = re.compile(r"[wg][^f]*b")  # a backward whose forward has had other contents, or is not there


def steps(text: str) -> str:
    """The letters of a history, one for each step. Raises InputError where ``text`` cannot be read."""
    letters = "".join(letters * count for count, letters in parts(text))
    if "".join(part[0] for part in _PART.finditer(text)) != text or not letters or len(letters) > MOST:
        raise InputError(f"cannot read the call history {text!r}: write letters of {LETTERS}, as 16f16b or 100(fb)")
    if _LOST.search(f"w{letters}"):
        raise InputError(
            f"the call history {text!r} has a backward that no forward on these arrays is before: write fb"
        )
    return letters


def parts(text: str) -> list[tuple[int, str]]:
    """The parts of a history: how often, and which letters."""
    return [(int(part[1] or 1), part[2] or part[3]) for part in _PART.finditer(text)]


def written(some: list[tuple[int, str]]) -> str:
    """The history that ``parts`` reads as ``some``."""
    return "".join(
        (str(count) if count > 1 else "") + (f"({letters})" if len(letters) > 1 and count > 1 else letters)
        for count, letters in some
    )


def readable(text: str) -> bool:
    """Whether ``text`` is a history."""
    try:
        return bool(steps(text))
    except InputError:
        return False
