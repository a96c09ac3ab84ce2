"""What frameworks do with running statistics, and how a layer's rule compares."""

from __future__ import annotations

from typing import NamedTuple

from bncli.verification._diagnosis.wording import listing
from bncli.verification.layers.running_quantities import BIASED, UNBIASED

NEW, OLD = "the new batch", "the old value"


class Convention(NamedTuple):
    """Which of the two values momentum is the weight of, and which variance is stored; None for either."""

    momentum: str | None
    variance: str


# Measured, as the page of this package shows, but for Paddle, whose documentation says so.
FRAMEWORKS = {
    "PyTorch": Convention(NEW, UNBIASED),
    "Keras": Convention(OLD, BIASED),
    "Flax": Convention(OLD, BIASED),
    "ONNX": Convention(OLD, BIASED),
    "Paddle": Convention(OLD, BIASED),
}
# The words for --running, each with its name in sentences.
REQUIRABLE = {
    "pytorch": ("PyTorch's", FRAMEWORKS["PyTorch"]),
    "keras": ("Keras's", FRAMEWORKS["Keras"]),
    "onnx": ("ONNX's", FRAMEWORKS["ONNX"]),
    BIASED: ("the one asked for", Convention(None, BIASED)),
    UNBIASED: ("the one asked for", Convention(None, UNBIASED)),
}


class Rule(NamedTuple):
    """running <- (1 - weight) * running + weight * batch.

    ``weight`` is None for a cumulative average, of the weights 1, 1/2, 1/3. ``momentum`` is NEW or OLD; None if the
    layer has no momentum that shows which. ``replaces``: the first batch replaces the initial values.
    """

    weight: float | None
    momentum: str | None
    variance: str
    replaces: bool = False


def described(rule: Rule) -> str:
    """The rule in words, and the frameworks that do the same."""
    if rule.weight is None:
        said = f"the running statistics are averages over all batches; the variance is {rule.variance}"
    elif rule.momentum is None:
        said = f"the new batch weighs {rule.weight:.4g}; the variance is {rule.variance}"
    else:
        said = f"momentum is the weight of {rule.momentum}; the variance is {rule.variance}"
    alike = [name for name, own in FRAMEWORKS.items() if own == Convention(rule.momentum, rule.variance)]
    if rule.momentum is not None:
        said += f", as in {listing(alike)}" if alike else f", as in none of {listing(list(FRAMEWORKS))}"
    return said + ("; the first batch replaces the initial values" if rule.replaces else "")


def broken(rule: Rule, required: str, samples: int) -> list[str]:
    """What in ``rule`` differs from the ``required`` convention, a key of REQUIRABLE; ``samples`` of an example."""
    whose, wanted = REQUIRABLE[required]
    said = []
    if wanted.variance != rule.variance:
        said.append(
            f"the running variance is the {rule.variance} one, where {whose} is {wanted.variance}: "
            f"they differ by a factor of n / (n - 1), {samples / (samples - 1):.3g} at n = {samples}"
        )
    if None not in (wanted.momentum, rule.momentum) and wanted.momentum != rule.momentum:
        said.append(f"momentum is the weight of {rule.momentum}, where {whose} is that of {wanted.momentum}")
    return said
