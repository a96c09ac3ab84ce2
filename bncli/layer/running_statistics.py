"""The running mean and variance of a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from bncli.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

RunningVariance = Literal["biased", "unbiased"]
KINDS = get_args(RunningVariance)


class RunningStatistics(NamedTuple):
    """Mean and variance of equal shape, one value per feature, in float64."""

    mean: Array
    var: Array

    def updated(
        self, mean: Array, var: Array, samples: int, momentum: float, variance: RunningVariance
    ) -> RunningStatistics:
        """running <- (1 - momentum) * running + momentum * batch, in new arrays.

        ``mean`` and ``var`` (biased) are the batch's, of the same shape as the running ones, over ``samples``
        values per feature. One sample has no unbiased variance and leaves the running one unchanged.
        """

        def moved(running: Array, batch: Array) -> Array:
            return (1 - momentum) * running + momentum * batch

        if variance == "biased":
            return RunningStatistics(moved(self.mean, mean), moved(self.var, var))
        if samples == 1:
            return RunningStatistics(moved(self.mean, mean), self.var)
        return RunningStatistics(moved(self.mean, mean), moved(self.var, var * (samples / (samples - 1))))


def require_convention(momentum: float, variance: str) -> None:
    """Raise InputError for a momentum outside [0, 1], or an unknown kind of running variance."""
    if not 0 <= momentum <= 1:
        raise InputError(f"running_momentum is {momentum!r}: give the new batch's weight, from 0 to 1")
    if variance not in KINDS:
        raise InputError(f"unknown running_variance {variance!r}: use {' or '.join(KINDS)}")
