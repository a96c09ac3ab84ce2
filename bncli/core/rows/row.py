"""The base of the rows of all tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from functools import cached_property
from typing import Any, ClassVar

OPTIONAL = "optional"


def optional() -> Any:
    """A field that is omitted from the row's keys if it is None."""
    return field(default=None, metadata={OPTIONAL: True})


class Row(Mapping[str, Any]):
    """A frozen dataclass that can be read like a dictionary.

    A field that holds a mapping, such as another row, is a part: its keys are keys of the whole row.
    """

    MARK: ClassVar[str] = ""  # the key that shows that a saved row is of this class, or has this part

    @cached_property
    def _cells(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for each in _fields(type(self)):
            value = getattr(self, each.name)
            if isinstance(value, Mapping):
                found.update(value)
            elif value is not None or OPTIONAL not in each.metadata:
                found[each.name] = value
        return found

    def __getitem__(self, key: str) -> Any:
        return self._cells[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._cells)

    def __len__(self) -> int:
        return len(self._cells)


def _fields(kind: Any) -> tuple[Field[Any], ...]:
    return fields(kind)


@dataclass(frozen=True, kw_only=True, eq=False)
class PlainRow(Row):
    """A row of a command that this version does not know."""

    cells: Mapping[str, Any]
