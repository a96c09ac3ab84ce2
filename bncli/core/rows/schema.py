"""The classes of the rows that each command saves."""

from __future__ import annotations

from collections.abc import Collection

from bncli.core.rows.checks import CurveRow, GradcheckRow, SearchRow, SelftestRow, VerifyRow
from bncli.core.rows.lists import ArrayRow, BlocksRow, InfoRow, KernelRow, PresetRow
from bncli.core.rows.ratios import ComparisonRow
from bncli.core.rows.row import PlainRow, Row
from bncli.core.rows.times import BenchRow, WorkersRow

# Classes with a MARK come first.
TABLES: dict[str, tuple[type[Row], ...]] = {
    "backward": (BlocksRow, ArrayRow),
    "bench": (WorkersRow, BenchRow),
    "compare": (ComparisonRow,),
    "forward": (BlocksRow, ArrayRow),
    "gradcheck": (SearchRow, GradcheckRow),
    "info": (InfoRow,),
    "kernels": (KernelRow,),
    "presets": (PresetRow,),
    "selftest": (SelftestRow,),
    "verify": (SearchRow, CurveRow, VerifyRow),
}


def row_class(command: str, keys: Collection[str]) -> type[Row]:
    """The class of a saved row of ``command`` with these keys."""
    return next((each for each in TABLES.get(command, ()) if not each.MARK or each.MARK in keys), PlainRow)
