"""Arrays that are right given another, wrong array of the kernel: the only mistake is in the other."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.verification._diagnosis.evidence import Candidate, Evidence
from bncli.verification._diagnosis.facts import SAMPLES, Facts, mean

Array = NDArray[Any]


def follows(evidence: Evidence) -> tuple[str, ...]:
    """dx and dgamma by their formulas from the wrong dgamma, dbeta or y that the kernel returned."""
    return evidence.explained_by(_candidates(evidence))


def _candidates(evidence: Evidence) -> Iterator[Candidate]:
    facts, others = evidence.facts, evidence.others
    right = {"dbeta": facts.samples * mean(facts.dy), "dgamma": facts.samples * mean(facts.dy * facts.x_hat)}
    if evidence.name == "dx":
        for names in (("dgamma",), ("dbeta",), ("dgamma", "dbeta")):
            if all(name in others for name in names):
                dgamma, dbeta = (others[name] if name in names else right[name] for name in ("dgamma", "dbeta"))
                prediction = facts.dx(dbeta / facts.samples, facts.x_hat * dgamma / facts.samples)
                yield Candidate(
                    (f"dx follows from the wrong {' and '.join(names)} that backward returned",), prediction
                )
    if evidence.name in ("dx", "dgamma") and "y" in others:
        changed = _of_y(facts, others["y"])
        dgamma = (changed.dy * changed.x_hat).sum(SAMPLES, keepdims=True)
        dx = changed.dx(mean(changed.dy), changed.x_hat * dgamma / facts.samples)
        says = f"{evidence.name} follows from the wrong x_hat that y shows: the mistake is in forward"
        yield Candidate((says,), {"dx": dx, "dgamma": dgamma}[evidence.name])


def _of_y(facts: Facts, y: Array) -> Facts:
    """``facts`` with the x_hat of ``y`` and the inv_std behind that x_hat."""
    x_hat = np.where(facts.gamma == 0, facts.x_hat, (y - facts.beta) / facts.gamma)
    share = mean(x_hat * facts.x_hat) / mean(facts.x_hat**2)
    return replace(facts, x_hat=x_hat, inv_std=np.where(np.isfinite(share), share, 1) * facts.inv_std)
