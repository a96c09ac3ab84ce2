"""What a mutant is, and on which problems it can be told from the right kernel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from bncli.core.kernel import Kernel
from bncli.core.problem import Problem

Kind = Literal["dx", "dgamma, dbeta", "y", "statistics", "precision", "infer", "contract", "parts", "layer"]
Needs = Literal[
    "",
    "a negative gamma",
    "x of both signs",
    "a gamma of 0",
    "a mean far above the deviation",
    "NaN in one feature",
    "a second call",
    "a second forward before the first one's backward",
    "other values in the same array",
    "a look at the inputs afterwards",
    "arrays to write into",
    "two threads",
    "read-only input",
    "input that is not contiguous",
    "a case of its own",
    "parts of a batch",
    "a layer",
]
Visible = Callable[[Problem], bool]


@dataclass(frozen=True)
class Mutant:
    """A right kernel with one fault.

    ``visible`` says on which problems the fault must show: with one sample per feature, say, dx
    is 0 for any kernel, and who divides by the features is right where there are as many
    samples. ``needs`` is what it takes beside such a problem; where it is empty, one call of each
    function does, on normal deviates of any mean but 0 with a random gamma, beta and dy.
    """

    name: str
    about: str
    kind: Kind
    kernel: Kernel
    visible: Visible
    needs: Needs = ""
    case: str = ""
    make: Callable[[], Kernel] | None = None

    def fresh(self) -> Kernel:
        """The kernel as if it had never been called."""
        return replace(self.make(), name=self.name, summary=self.about) if self.make else self.kernel


def always(problem: Problem) -> bool:
    return True


def never(problem: Problem) -> bool:
    """The plain calls on a small problem do not show it, or not on every one of its shape."""
    return False


def several_samples(problem: Problem) -> bool:
    """x_hat is 0 for one sample per feature, and ±1 for two, where batch norm's dx vanishes."""
    return problem.samples > 2


def several_features(problem: Problem) -> bool:
    return problem.features > 1


def several_positions(problem: Problem) -> bool:
    """A reduction over the batch alone is right where there is one inner position."""
    return problem.canonical_shape[2] > 1


def in_float32(problem: Problem) -> bool:
    return problem.dtype == "float32"


def in_float64(problem: Problem) -> bool:
    return problem.dtype == "float64"


def epsilon_differs(epsilon: float) -> Visible:
    """Where an epsilon of ``epsilon`` moves y, for a variance of about 1, by more than rounding does."""

    def visible(problem: Problem) -> bool:
        rounding = 1e-3 if problem.dtype == "float32" else 1e-10
        return problem.samples > 1 and abs(problem.epsilon - epsilon) >= rounding

    return visible


def mutant(
    name: str, about: str, kind: Kind, kernel: Kernel, visible: Visible = several_samples, needs: Needs = ""
) -> Mutant:
    """``kernel`` under the name of its fault."""
    return Mutant(name, about, kind, replace(kernel, name=name, summary=about), visible, needs)


def hidden(name: str, about: str, kind: Kind, make: Callable[[], Kernel], case: str) -> Mutant:
    """A fault that one small problem does not show, and ``case`` does."""
    found = mutant(name, about, kind, make(), never, "a case of its own")
    return replace(found, case=case, make=make)
