"""Several problems in one descriptor: a range in braces replaces an axis.

``64x{1000..1000000:x10}`` multiplies, ``64x{100..400:+100}`` adds; no value is beyond the end of the range.
Several ranges in a descriptor give all combinations.
"""

import re
from collections.abc import Sequence
from itertools import product
from math import prod

from bncli.core.problem import Problem
from bncli.errors import InputError

MOST_PROBLEMS = 100  # of one descriptor

_BRACES = re.compile(r"(\{[^{}]*\})")
_RANGE = re.compile(r"\{(\d{1,12})\.\.(\d{1,12}):([x+])(\d{1,12})\}", re.ASCII)


def problems(text: str, default: Problem | None = None) -> list[Problem]:
    """The problems that ``text`` describes: one, or all combinations of its ranges, the last range fastest.

    Raises InputError if a range cannot be read or never ends, if there are more than ``MOST_PROBLEMS``, and as
    ``Problem.parse`` does.
    """
    return [Problem.parse(each, default) for each in expand(text)]


def sweep(text: str, problem: Problem) -> str:
    """The complete descriptor of the sweep ``text``, of which ``problem`` is one problem; empty without ranges."""
    if not _BRACES.search(text):
        return ""
    return "/".join([text.strip().partition("/")[0], *str(problem).split("/")[1:]])


def expand(text: str) -> list[str]:
    """``text`` with each range replaced by each of its values."""
    parts: list[Sequence[int | str]] = [
        _range(part) if part.startswith("{") else [part] for part in _BRACES.split(text)
    ]
    count = prod(map(len, parts))
    if count > MOST_PROBLEMS:
        raise InputError(f"{text!r} gives {count:,} problems, more than {MOST_PROBLEMS}: take a larger step")
    return ["".join(map(str, values)) for values in product(*parts)]


def _range(text: str) -> Sequence[int]:
    found = _RANGE.fullmatch(text)
    if not found:
        raise InputError(
            f"cannot read the range {text!r}: write {{first..last:step}}, as {{1000..1000000:x10}} or {{100..400:+100}}"
        )
    first, last, step = int(found[1]), int(found[2]), int(found[4])
    if not first or step < (least := 2 if found[3] == "x" else 1):
        what = f"step by {found[3]}{least} or more" if first else "begin with 1 or more"
        raise InputError(f"the range {text!r} never ends: {what}")
    if last < first:
        raise InputError(f"the range {text!r} ends before it begins: write the smaller number first")
    return range(first, last + 1, step) if found[3] == "+" else _powers(first, last, step)


def _powers(first: int, last: int, factor: int) -> list[int]:
    values = [first]
    while values[-1] * factor <= last:
        values.append(values[-1] * factor)
    return values
