"""The rows of gradcheck, verify and selftest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bncli.core.rows.row import Row, optional


@dataclass(frozen=True, kw_only=True, eq=False)
class FindingPart(Row):
    """The finding of a check on one array of a kernel: see ``verification.finding.Finding``.

    ``error``, ``budget`` and ``share`` are None if nothing was measured, for instance because the kernel raised.
    """

    kernel: str
    array: str = ""
    verdict: str
    method: str = ""
    checked: int = 0
    total: int = 0
    error: float | None = None
    budget: float | None = None
    share: float | None = None
    index: Sequence[int] | None = None
    actual: float | None = None
    expected: float | None = None
    reason: str = ""
    broken: Sequence[str] = ()
    reproduce: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class GradcheckRow(Row):
    """One array of a kernel, against one method."""

    problem: str
    input: str = ""
    finding: FindingPart
    digits: float | None = optional()
    diagnosis: Sequence[str] = ()
    note: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class VerifyRow(Row):
    """The worst finding of one check in one dtype, of ``findings`` in all."""

    check: str
    problem: str
    input: str = ""
    dtype: str
    layout: str = ""
    finding: FindingPart
    digits: float | None = None
    findings: int = 0
    note: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class SearchRow(Row):
    """The result of a search, or of one case.

    ``problems`` were tried, the largest with ``elements``; ``histories`` of them had more than one forward, backward
    and inference. The next four fields count the verdicts. ``case`` is the smallest WRONG one,
    and ``rule`` says where the kernel is wrong and where it is right.
    """

    MARK = "histories"

    problem: str
    input: str = ""
    check: str
    kernel: str
    array: str = ""
    verdict: str
    problems: int
    elements: int
    histories: int
    refused: int = 0
    inexact: int = 0
    undecided: int = 0
    not_tried: int = 0
    single_use: bool = False
    seconds: float
    seed: int
    case: str = ""
    rule: str = ""
    note: str = ""
    reproduce: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class CurveRow(Row):
    """The relative errors of y and dx at one ratio |mean| / std; ``breakdown`` is where two digits are lost."""

    MARK = "ratio"

    problem: str
    input: str = ""
    kernel: str
    ratio: float
    y: float
    dx: float
    digits: float | None = None
    breakdown: float | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class SelftestRow(Row):
    """One faulty or right kernel; ``caught_by`` counts the problems on which each check rejects it; None for 0."""

    group: str
    kernel: str
    verdict: str
    caught: str = ""
    caught_by: Mapping[str, int | None]
    torch_slow: int | None = None
    torch_fast: int | None = None
    about: str = ""
    note: str = ""
    reproduce: str = ""
