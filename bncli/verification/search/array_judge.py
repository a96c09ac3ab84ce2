"""Compare an array with what it should be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bncli.core.case import Case
from bncli.core.problem import Problem, finfo
from bncli.verification import tolerance
from bncli.verification.accuracy import STATISTICS
from bncli.verification.finding import Finding, Verdict
from bncli.verification.reference_judge import METHOD
from bncli.verification.search.oracle import Expected, rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

HIDES = 1 / tolerance.DECIDABLE  # of an element's terms: what may be off by more could hide a mistake


def judge(name: str, case: Case, actual: Array, expected: Expected) -> Finding:
    """Compare what a kernel computed, in canonical form, with what it should have.

    UNDECIDED: it passes, but what rounding may cost here could hide a mistake.
    """
    if actual.dtype != case.problem.dtype_of(name) and name not in STATISTICS:
        return _finding(name, case, Verdict.WRONG, f"{name} is {actual.dtype} where x is {case.problem.types}")
    value, magnitude, budget = expected
    found = rows(actual).astype(np.float64)
    # Where nothing finite is expected, nothing is compared: see ``spreads``.
    finite = np.isfinite(value)
    error = np.abs(found - value)
    whole = np.broadcast_to(magnitude.whole, error.shape)
    passes = (error <= budget * whole) | ~finite
    if not passes.all():
        most = float(finfo(case.problem.dtype).max)
        passes |= np.isinf(found) & ((found > 0) == (value > 0)) & (np.abs(value) + budget * whole > most)
    if passes.all():
        if not finite.any():
            return _finding(name, case, Verdict.UNDECIDED, "no element of it is expected to be finite")
        hides, judged = max(budget, HIDES), finite & np.isfinite(error)  # without what overflows as it should
        plain = float(np.max(error / magnitude.usual, where=judged, initial=0.0))
        verdict = Verdict.UNDECIDED if plain > hides else Verdict.PASS
        worst = float(np.max(error / whole, where=judged, initial=0.0))
        return Finding("", name, METHOD, verdict, worst, budget, finite.sum(), finite.size, plain_error=plain)
    share = np.where(passes, -1.0, np.where(np.isnan(error), np.inf, error / whole))
    at = np.unravel_index(int(share.argmax()), share.shape)
    features = passes.reshape(-1, value.shape[-1]) if passes.ndim == 3 else passes[:, None]
    wrong = np.flatnonzero(~features.all(1))
    return Finding(
        "", name, METHOD, Verdict.WRONG, float(share[at]), budget, int(finite.sum()), finite.size,
        _position(case.problem, at), float(found[at]), float(value[at]), "", float((error / magnitude.plain)[at]),
        tuple(wrong.tolist()),
    )  # fmt: skip


def spreads(case: Case, arrays: Mapping[str, Array]) -> list[Finding]:
    """Whether NaN in x reaches all that is made of it: y, dx and dgamma of that feature; an infinity, y."""
    odd = ~np.isfinite(case.x).all((0, 2))
    if not odd.any():
        return []
    nan = np.isnan(case.x).any((0, 2))
    found = []
    for name in ("y", "dx", "dgamma"):
        if name not in arrays:
            continue
        array = arrays[name]
        kept = np.isfinite(array) if array.ndim == 1 else np.isfinite(array).any((0, 2))
        if name == "y":  # with an infinity the rest of the feature may be finite
            kept = np.where(nan, kept, np.isfinite(array).all((0, 2)))
        else:
            kept &= nan
        if (kept & odd).any():
            what = "NaN" if nan.any() else "an infinity"
            found.append(_finding(name, case, Verdict.WRONG, f"{what} in x leaves {name} of that feature finite"))
    return found


def stays(case: Case, actual: Array, expected: Expected) -> list[Finding]:
    """Whether what is not finite in x is not finite in the y of inference."""
    if (np.isfinite(rows(actual)) & ~np.isfinite(expected.value)).any():
        return [_finding("infer", case, Verdict.WRONG, "what is not finite in x leaves y finite")]
    return []


def _finding(name: str, case: Case, verdict: Verdict, reason: str) -> Finding:
    return Finding("", name, METHOD, verdict, np.inf, 0.0, total=case.problem.size, reason=reason)


def _position(problem: Problem, at: tuple[Any, ...]) -> tuple[int, ...]:
    if len(at) == 3:
        inner = problem.canonical_shape[2]
        return problem.position(int(at[2]) // inner, int(at[1]), int(at[2]) % inner)
    return tuple(int(i) for i in np.unravel_index(int(at[0]), problem.feature_shape))
