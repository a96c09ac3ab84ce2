"""faults of layers: in running statistics, in the modes, and in the state that calls leave behind"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.kernel import Gradients
from bncli.core.stateful import Running
from bncli.verification._mutants.layer_steps import SAMPLES, RightLayer, layer_fault

Array = NDArray[Any]
Quantity = Callable[[RightLayer, Array, Array, Array], Array]  # of the layer, x, the batch's mean and its variance

RIGHT_STEP = RightLayer.step


def _samples(x: Array) -> int:
    return int(x.shape[0] * x.shape[2])


def _unbiased(own: RightLayer, x: Array, mean: Array, var: Array) -> Array:
    return var * (_samples(x) / max(_samples(x) - 1, 1))


def _mean(own: RightLayer, x: Array, mean: Array, var: Array) -> Array:
    return mean


def _stepping(
    mean: Quantity = _mean,
    var: Quantity = _unbiased,
    weights: Callable[[float], tuple[float, float]] = lambda weight: (weight, weight),
) -> Callable[..., None]:
    """a step that averages other quantities; ``weights`` turns the right weight into those of mean and variance"""

    def step(self: RightLayer, x: Array, batch_mean: Array, batch_var: Array) -> None:
        self.steps += 1
        of_mean, of_var = weights(self.weight())
        new_mean, new_var = mean(self, x, batch_mean, batch_var), var(self, x, batch_mean, batch_var)
        self.mean = (1 - of_mean) * self.mean + of_mean * new_mean
        self.var = (1 - of_var) * self.var + of_var * new_var

    return step


def _twice(self: RightLayer, x: Array, mean: Array, var: Array) -> None:
    RIGHT_STEP(self, x, mean, var)
    RIGHT_STEP(self, x, mean, var)
    self.steps -= 1


def _not_counted(self: RightLayer, x: Array, mean: Array, var: Array) -> None:
    steps = self.steps
    RIGHT_STEP(self, x, mean, var)
    self.steps = steps


def _plus_the_new(self: RightLayer, x: Array, mean: Array, var: Array) -> None:
    old = self.mean
    RIGHT_STEP(self, x, mean, var)
    self.mean = old + self.weight() * mean


def _of_the_batch_before(self: RightLayer, x: Array, mean: Array, var: Array) -> None:
    last = vars(self).get("last", mean)
    self.last = mean  # type: ignore[attr-defined]  # a fault has state of its own
    RIGHT_STEP(self, x, last, var)


def _without_care_for_one_sample(self: RightLayer, x: Array, mean: Array, var: Array) -> None:
    with np.errstate(all="ignore"):
        _stepping(var=lambda own, x, mean, var: var * np.divide(_samples(x), np.float64(_samples(x) - 1)))(
            self, x, mean, var
        )
    self.mean, self.var = self.mean.astype(x.dtype), self.var.astype(x.dtype)


def _in_float16(self: RightLayer, x: Array, mean: Array, var: Array) -> None:
    RIGHT_STEP(self, x, mean, var)
    self.mean = self.mean.astype("float16" if x.dtype != "float64" else "float32")


def _with_an_axis(self: RightLayer, x: Array, mean: Array, var: Array) -> None:
    RIGHT_STEP(self, x, mean, var)
    self.mean = self.mean.reshape((1, -1))


def _of_eval_with_an_axis(self: RightLayer, x: Array, mean: Array, var: Array) -> tuple[Array, Array]:
    return self.mean.reshape(-1), self.var


def _eval_that_updates(self: RightLayer, x: Array, mean: Array, var: Array) -> tuple[Array, Array]:
    used = self.mean, self.var
    RIGHT_STEP(self, x, mean, var)
    self.steps -= 1
    return used


def _eval_that_counts(self: RightLayer, x: Array, mean: Array, var: Array) -> tuple[Array, Array]:
    self.steps += 1
    return self.mean, self.var


def _of_the_batch_at_first(self: RightLayer, x: Array, mean: Array, var: Array) -> tuple[Array, Array]:
    return (self.mean, self.var) if self.steps else (mean, var)


def _shared(self: RightLayer, x: Array, mean: Array, var: Array) -> None:
    RIGHT_STEP(self, x, mean, var)
    type(self).shared = Running(self.mean, self.var, self.steps)


def _running_of_the_class(self: RightLayer) -> Running:
    return type(self).shared or Running(self.mean, self.var, self.steps)


def _running_after_three_steps(self: RightLayer, mean: Array, var: Array, training: bool) -> tuple[Array, Array]:
    return (self.mean, self.var) if training and self.steps > 3 else (mean, var)


def _in_eval_for_ever(self: RightLayer, mean: Array, var: Array, training: bool) -> tuple[Array, Array]:
    self.evaluated = vars(self).get("evaluated", False) or not training  # type: ignore[attr-defined]
    return (self.mean, self.var) if self.evaluated else (mean, var)  # type: ignore[attr-defined]


def _parameters_of_the_first_eval(self: RightLayer, training: bool) -> tuple[Array, Array]:
    if training:
        return self.gamma, self.beta
    kept: tuple[Array, Array] = vars(self).setdefault("kept", (self.gamma.copy(), self.beta.copy()))
    return kept


def _backward_that_updates(self: RightLayer, dy: Array, call: Any) -> Gradients:
    self.mean = self.mean + 0.01
    return RightLayer.backward(self, dy, call)


def _backward_of_the_last_call(self: RightLayer, dy: Array, call: Any) -> Gradients:
    return RightLayer.backward(self, dy, vars(self)["last_call"])


def _forward_that_keeps(self: RightLayer, x: Array, training: bool) -> tuple[Array, Any]:
    y, call = RightLayer.forward(self, x, training)
    self.last_call = call  # type: ignore[attr-defined]
    return y, call


def _only_dbeta_adds(self: RightLayer, dgamma: Array, dbeta: Array) -> None:
    self.dgamma, self.dbeta = dgamma, self.dbeta + dbeta


def _copied_without_statistics(self: RightLayer, memo: Any) -> RightLayer:
    made = type(self)(self.gamma.size, self.gamma.dtype.name, self.epsilon, self.momentum)
    made.gamma, made.beta = self.gamma.copy(), self.beta.copy()
    return made


def _copied_with_the_same_arrays(self: RightLayer, memo: Any) -> RightLayer:
    made = type(self).__new__(type(self))
    vars(made).update(vars(self))
    return made


def _step_in_place(self: RightLayer, x: Array, mean: Array, var: Array) -> None:
    old = self.mean
    RIGHT_STEP(self, x, mean, var)
    old[...], self.mean = self.mean, old


MUTANTS = (
    layer_fault("running-never", "the running statistics are never updated", step=lambda *given: None),
    layer_fault(
        "running-mean-alone", "the running variance is never updated",
        step=_stepping(weights=lambda weight: (weight, 0)),
    ),
    layer_fault(
        "running-var-alone", "the running mean is never updated", step=_stepping(weights=lambda weight: (0, weight))
    ),
    layer_fault(
        "momentum-swapped-in-var", "momentum weighs the old value in the running variance alone",
        step=_stepping(weights=lambda weight: (weight, 1 - weight)),
    ),
    layer_fault(
        "momentum-squared-in-var", "the running variance is updated with the square of momentum",
        step=_stepping(weights=lambda weight: (weight, weight**2)),
    ),
    layer_fault("momentum-ignored", "the weight of the new batch is always 0.1", weight=lambda self: 0.1),
    layer_fault("running-twice", "a training step updates the running statistics twice", step=_twice),
    layer_fault("running-sum", "the old running mean is not scaled down", step=_plus_the_new),
    layer_fault(
        "running-inv-std", "the running variance holds inv_std",
        step=_stepping(var=lambda own, x, mean, var: 1 / np.sqrt(var + own.epsilon)),
        of_eval=lambda self, x, mean, var: (self.mean, 1 / self.var**2 - self.epsilon),
    ),
    layer_fault(
        "running-var-with-epsilon", "epsilon is added to the variance that is averaged",
        step=_stepping(var=lambda own, x, mean, var: _unbiased(own, x, mean, var) + own.epsilon),
    ),
    layer_fault(
        "running-std", "the running variance averages the standard deviation",
        step=_stepping(var=lambda own, x, mean, var: np.sqrt(var)),
    ),
    layer_fault(
        "running-second-moment", "the running variance averages x squared",
        step=_stepping(var=lambda own, x, mean, var: var + mean**2),
    ),
    layer_fault(
        "running-var-about-running-mean", "the variance that is averaged is taken about the running mean",
        step=_stepping(var=lambda own, x, mean, var: var + (mean - own.mean) ** 2),
    ),
    layer_fault("running-mean-of-the-last-batch", "the running mean averages the batch before",
                step=_of_the_batch_before),
    layer_fault(
        "running-mean-of-one-item", "the running mean averages the first item alone",
        step=_stepping(mean=lambda own, x, mean, var: x[:1].mean(SAMPLES)),
    ),
    layer_fault(
        "running-var-of-items", "the running variance averages the items' own variances",
        step=_stepping(var=lambda own, x, mean, var: x.var(2).mean(0)),
    ),
    layer_fault(
        "bessel-of-items", "the unbiased variance counts the items in place of the samples",
        step=_stepping(var=lambda own, x, mean, var: var * (x.shape[0] / max(x.shape[0] - 1, 1))),
    ),
    layer_fault(
        "bessel-twice", "the unbiased variance is corrected twice",
        step=_stepping(var=lambda own, x, mean, var: _unbiased(own, x, mean, _unbiased(own, x, mean, var))),
    ),
    layer_fault(
        "running-sum-of-squares", "the running variance averages a sum that is not divided",
        step=_stepping(var=lambda own, x, mean, var: var * _samples(x)),
    ),
    layer_fault("one-sample-nan", "a batch of one sample leaves NaN in the running variance",
                step=_without_care_for_one_sample),
    layer_fault("running-narrowed", "a training step narrows the running mean", step=_in_float16),
    layer_fault(
        "running-with-an-axis", "a training step adds an axis to the running mean",
        step=lambda self, x, mean, var: _with_an_axis(self, x, mean, var), of_eval=_of_eval_with_an_axis,
    ),
    layer_fault("steps-not-counted", "the number of steps stays the same", step=_not_counted),
    layer_fault("eval-counts", "eval counts as a training step", of_eval=_eval_that_counts),
    layer_fault("eval-updates", "eval updates the running statistics", of_eval=_eval_that_updates),
    layer_fault("backward-updates", "backward changes the running mean", backward=_backward_that_updates),
    layer_fault("running-shared", "all layers share their running statistics", step=_shared,
                running=_running_of_the_class),
    layer_fault("eval-of-the-batch", "eval uses the batch's statistics",
                of_eval=lambda self, x, mean, var: (mean, var)),
    layer_fault("eval-of-the-batch-at-first", "eval uses the batch's statistics before the first training step",
                of_eval=_of_the_batch_at_first),
    layer_fault(
        "eval-bessel", "eval multiplies the running variance by n / (n - 1)",
        of_eval=lambda self, x, mean, var: (self.mean, _unbiased(self, x, self.mean, self.var)),
    ),
    layer_fault("eval-epsilon", "eval uses an epsilon of 1e-5",
                used_epsilon=lambda self, training: self.epsilon if training else 1e-5),
    layer_fault("eval-gradient-of-training", "the gradient of eval is that of training",
                differentiates=lambda self, call: True),
    layer_fault("eval-parameters-kept", "eval keeps the gamma and beta of its first call",
                parameters=_parameters_of_the_first_eval),
    layer_fault("training-by-running", "training uses the running statistics after three steps",
                normalizing=_running_after_three_steps),
    layer_fault("eval-for-ever", "after an eval the layer stays in eval mode", normalizing=_in_eval_for_ever),
    layer_fault("last-call", "backward uses the last forward, whichever call it is for",
                forward=_forward_that_keeps, backward=_backward_of_the_last_call),
    layer_fault("dbeta-adds-alone", "two backwards add up in dbeta, and not in dgamma", collect=_only_dbeta_adds),
    layer_fault("copy-loses-statistics", "a deepcopy has fresh running statistics",
                __deepcopy__=_copied_without_statistics),
    layer_fault("copy-shares-statistics", "a deepcopy shares its running statistics with the layer",
                __deepcopy__=_copied_with_the_same_arrays, step=_step_in_place),
    layer_fault("momentum-none-is-0", "momentum=None leaves the running statistics unchanged",
                weight=lambda self: self.momentum or 0.0),
    layer_fault("no-tracking-is-ignored", "without running statistics eval uses a mean of 0 and a variance of 1",
                normalizing=lambda self, mean, var, training: (
                    (mean, var) if training or self.tracks else (0 * mean, 0 * var + 1))),
)  # fmt: skip
