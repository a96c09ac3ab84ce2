"""Which arrays of a file with several become those of the case."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bncli.core.case import ARRAYS
from bncli.errors import InputError

LISTED = 8


def chosen(held: Iterable[str]) -> Mapping[str, str]:
    """The names in the file by those in the case, such as x and gamma; a lone array is x, whatever its name.

    Raises InputError if several arrays are there and none of them is called x.
    """
    names = list(held)
    if len(names) == 1:
        return {"x": names[0]}
    if "x" not in names:
        listed = ", ".join(map(repr, names[:LISTED])) or "nothing"
        more = ", ..." if len(names) > LISTED else ""
        raise InputError(f"it holds {listed}{more} but no x; save the batch under that name")
    return {name: name for name in ARRAYS if name in names}
