"""Gradients along directions beside the slopes of forward: what they find."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.core.case import Case
from bncli.core.kernel import Kernel
from bncli.verification import tolerance
from bncli.verification.differentiation import Slope
from bncli.verification.finding import Finding, Verdict

Array = NDArray[Any]


class Comparison(NamedTuple):
    """A gradient along one direction, (F,): what backward says, and the slope of forward."""

    actual: Array
    slope: Slope
    element: Array | None  # the flat sample that was moved in each feature; None for a probe


class Judge:
    """Turns comparisons into findings, in the numbering of the whole case of which ``features`` were compared."""

    def __init__(self, kernel: Kernel, case: Case, features: Array) -> None:
        self.kernel, self.case, self.features = kernel, case, features

    def finding(self, array: str, method: str, comparisons: list[Comparison]) -> Finding:
        """The verdict on ``array``, (F,) or more of them, of all ``comparisons`` of it; the worst is named."""
        actual = np.stack([c.actual for c in comparisons])
        expected = np.stack([c.slope.value for c in comparisons])
        allowed = np.stack([c.slope.error for c in comparisons])
        judged = np.isfinite(expected) & np.isfinite(allowed)  # NaN or infinity in a feature: nothing to expect
        size = np.abs(expected, where=judged, out=np.zeros_like(expected))
        difference = np.abs(actual - expected)
        # A direction may be 0 in a feature of few samples: nothing is expected, and nothing allowed.
        share = np.divide(difference, allowed, where=judged & (difference != 0), out=np.zeros_like(expected))
        share[judged & np.isnan(share)] = np.inf
        at = _worst(share, comparisons)
        verdict = Verdict.PASS if share[at] <= 1 else Verdict.WRONG
        reason = ""
        undecidable = (size <= tolerance.DECIDABLE * allowed).all(0) | ~judged.any(0)
        if verdict is Verdict.PASS and undecidable.all():
            verdict, reason = Verdict.UNDECIDED, self._too_small(size.max(), allowed)
        elif verdict is Verdict.PASS and undecidable.any():
            reason = f"{undecidable.sum():,} of {undecidable.size:,} features have too small a gradient to be judged"
        scale = size.max() or 1.0
        moved = sum(c.element is not None for c in comparisons) or 1
        total = self.case.x.size if array == "dx" else self.case.gamma.size
        return Finding(
            self.kernel.name, array, str(method), verdict,
            error=float(np.abs(actual[at] - expected[at]) / scale), budget=float(allowed[at] / scale),
            checked=min(moved * self.features.size, total), total=total,
            index=self._index(comparisons[at[0]], int(at[1]), array),
            actual=float(actual[at]), expected=float(expected[at]), reason=reason,
            wrong_features=tuple(self.features[(share > 1).any(0)].tolist()),
        )  # fmt: skip

    def _index(self, comparison: Comparison, number: int, array: str) -> tuple[int, ...]:
        feature = int(self.features[number])
        problem = self.case.problem
        if array != "dx":
            return tuple(int(i) for i in np.unravel_index(feature, problem.feature_shape))
        if comparison.element is None:
            return ()
        outer, inner = divmod(int(comparison.element[number]), self.case.x.shape[2])
        return problem.position(outer, feature, inner)

    def _too_small(self, size: float, allowed: Array) -> str:
        samples = self.case.problem.samples
        if samples <= 2:
            return (
                f"with {samples} sample{'s' * (samples > 1)} per feature it is 0 whatever the kernel does: "
                "give 3 or more"
            )
        return (
            f"the expected gradient, at most {size:.2g}, is too small beside the tolerance, {np.nanmin(allowed):.2g}, "
            "to tell right from wrong: give a dy that is not constant, nor a multiple of x"
        )


def _worst(share: Array, comparisons: list[Comparison]) -> tuple[int, int]:
    """Where the discrepancy is largest; a wrong element says more than a wrong direction."""
    elements = [i for i, comparison in enumerate(comparisons) if comparison.element is not None]
    rows = elements if elements and (share[elements].max() > 1 or share.max() <= 1) else range(len(comparisons))
    row = max(rows, key=lambda i: share[i].max())
    return row, int(share[row].argmax())
