"""Slopes of a kernel's own forward pass, each with the error that it may have.

A slope is the derivative of the loss sum(dy * y) of each feature. Features do not interact, so one
direction moves a sample of every feature at once, and a few evaluations differentiate the losses of
all features.

``central`` takes central differences with steps h, h/2 and h/4 and extrapolates them twice
(Richardson, 1911; Ridders, "Accurate computation of F'(x) and F'(x) F''(x)", 1982). The change by
the last extrapolation estimates the truncation error; it is the error of the less exact of two
values, so the estimate is too large rather than too small. The other part of the error is the
rounding of y divided by h, and h is chosen to make both parts about equal. Both orders are known,
since the Taylor series of x_hat converges for h < 1 standard deviation.

``complex-step`` evaluates at x + i h v: the imaginary part over h is the derivative to the last
digit, since nothing is subtracted (Squire and Trapp, "Using complex variables to estimate
derivatives of real functions", 1998). It needs a forward pass that computes an analytic function of
complex x; a comparison with a central difference shows whether it does.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.core.case import Case
from bncli.core.kernel import Kernel, Saved
from bncli.core.problem import OF_INFERENCE
from bncli.errors import KernelFault
from bncli.loading.registry import load_kernel
from bncli.verification import tolerance
from bncli.verification.tolerance import Magnitude

Array = NDArray[Any]

SAMPLES = (0, 2)
SMALLEST_STEP, LARGEST_STEP = 2.0**-10, 2.0**-3  # in standard deviations
COMPLEX_STEP = 2.0**-100
# Weights of the differences with h, h/2 and h/4 in a value extrapolated twice; their roundings add up to so many / h.
WEIGHTS = 1 / 45, -20 / 45, 64 / 45
ROUNDINGS_OVER_H = sum(abs(weight) * 2**k for k, weight in enumerate(WEIGHTS))


class Slope(NamedTuple):
    """The derivative of each feature's loss and the error that it may have; both (F,)."""

    value: Array
    error: Array


class Slopes:
    """Derivatives of the forward pass of ``kernel`` on ``case``, which is float64.

    ``magnitudes`` are those of ``tolerance`` for the case. Methods raise KernelFault if the kernel fails.
    """

    def __init__(self, kernel: Kernel, case: Case) -> None:
        _, saved = load_kernel("reference").forward(case.x, case.gamma, case.beta, case.problem.epsilon)
        magnitudes = tolerance.magnitudes(case.dy, saved, case.beta, case.problem.dtype)
        self._prepare(kernel, case, saved, magnitudes, magnitudes["mean"].plain)

    def _prepare(
        self, kernel: Kernel, case: Case, saved: Saved, magnitudes: dict[str, Magnitude], size_of_mean: Array
    ) -> None:
        self.kernel, self.case, self.magnitudes = kernel, case, magnitudes
        self.std = (1 / saved.inv_std).astype(np.float64)
        self.x_hat = ((case.x - saved.mean[:, None]) * saved.inv_std[:, None]).astype(np.float64)
        self.conditioning = (size_of_mean / self.std).astype(np.float64)
        # Roundings of y are independent in each sample; a rounding of the mean or of inv_std moves all
        # samples of a feature together.
        sums = _dot(case.dy, self.x_hat), case.dy.sum(SAMPLES)
        self.amplification = np.sqrt(_dot(case.dy, case.dy)) + np.abs(sums[0]) + np.abs(sums[1])
        self.sum_size_dy = np.abs(case.dy).sum(SAMPLES)

    def central(self, direction: Array) -> Slope:
        """Along ``direction``, (N, F, S), in units of each feature's standard deviation."""
        rounding = self._rounding(self.case.gamma, self.case.beta, self.amplification)
        # This h balances truncation h**4 / 64 and rounding ROUNDINGS_OVER_H * r / h, both relative to the loss.
        size = np.abs(self.case.gamma) * self.amplification
        relative = rounding / np.where(size > 0, size, np.inf)
        h = np.clip((64 * ROUNDINGS_OVER_H * relative) ** 0.2, SMALLEST_STEP, LARGEST_STEP)
        coarse, middle, fine = (self._difference(direction, h / 2**k) for k in range(3))
        once = (4 * middle - coarse) / 3
        twice = (4 * fine - middle) / 3
        value = (16 * twice - once) / 15
        error = np.abs(value - twice) + ROUNDINGS_OVER_H * rounding / h
        return Slope(value / self.std, error / self.std + self._own_rounding(direction))

    def complex_step(self, direction: Array) -> Slope:
        """Like ``central``; raises KernelFault for a kernel that does not take complex x."""
        step = (COMPLEX_STEP * self.std)[:, None] * direction
        y = self._y(self.case.x + 1j * step, self.case.gamma, self.case.beta)
        if not np.iscomplexobj(y):
            raise KernelFault(f"kernel {self.kernel.name!r}: forward returned real y for complex x")
        value = _dot(self.case.dy, y.imag) / (COMPLEX_STEP * self.std)
        # The derivative is computed from the same terms as dx along the direction, so its rounding is the same.
        return Slope(value, 2 * self._own_rounding(direction))

    def takes_complex(self) -> bool:
        """Whether complex x gives the derivative; False if the kernel refuses it, or takes its absolute value."""
        direction = np.random.default_rng(0).choice((-1.0, 1.0), self.x_hat.shape)
        try:
            exact = self.complex_step(direction)
        except KernelFault:
            return False
        near = self.central(direction)
        wrong = np.abs(exact.value - near.value) > exact.error + near.error
        return not (wrong | ~np.isfinite(exact.value) & np.isfinite(near.value)).any()

    def unseen_terms(self, budget: float) -> list[str]:
        """The terms of dx that are within ``budget`` in every feature, so that dx would pass without them."""
        dy, x_hat = self.case.dy, self.x_hat
        scale = (np.abs(self.case.gamma) / self.std)[:, None]
        terms = {
            "mean": scale * np.abs(dy.mean(SAMPLES))[:, None],
            "x_hat": scale * np.abs((dy * x_hat).mean(SAMPLES))[:, None] * np.abs(x_hat),
        }
        least = 2 * budget * self.magnitudes["dx"].plain
        return [name for name, term in terms.items() if not (term >= least).any()]

    # y is linear in gamma and in beta, so there is no truncation error, and the step may be large.

    def along_gamma(self) -> Slope:
        """The slope of sum(dy * y) along each gamma, (F,), by central differences: exact up to rounding."""
        gamma, beta = self.case.gamma, self.case.beta
        h = 1 + np.abs(gamma)
        change = self._y(self.case.x, gamma + h, beta) - self._y(self.case.x, gamma - h, beta)
        rounding = self._rounding(np.abs(gamma) + h, beta, self.sum_size_dy)
        return Slope(_dot(self.case.dy, change) / (2 * h), rounding / h)

    def along_beta(self) -> Slope:
        """The slope of sum(dy * y) along each beta, (F,), by central differences: exact up to rounding."""
        gamma, beta = self.case.gamma, self.case.beta
        h = 1 + np.abs(beta)
        change = self._y(self.case.x, gamma, beta + h) - self._y(self.case.x, gamma, beta - h)
        rounding = self._rounding(gamma, np.abs(beta) + h, self.sum_size_dy)
        return Slope(_dot(self.case.dy, change) / (2 * h), rounding / h)

    def _rounding(self, gamma: Array, beta: Array, amplification: Array) -> Array:
        """The largest change of the loss by roundings of y."""
        magnitude = np.abs(gamma) * (1 + self.conditioning) + np.abs(beta)
        return np.asarray(tolerance.budget(self.case.problem) * magnitude * amplification)

    def _own_rounding(self, direction: Array) -> Array:
        """The largest change of the product of dx and ``direction`` by roundings of dx itself."""
        return np.asarray(_dot(np.abs(direction), self.magnitudes["dx"].whole) * tolerance.budget(self.case.problem))

    def _difference(self, direction: Array, h: Array) -> Array:
        step = (h * self.std)[:, None] * direction
        ahead, behind = self.case.x + step, self.case.x - step
        gamma, beta = self.case.gamma, self.case.beta
        return np.asarray(_dot(self.case.dy, self._y(ahead, gamma, beta) - self._y(behind, gamma, beta)) / (2 * h))

    def _y(self, x: Array, gamma: Array, beta: Array) -> Array:
        return np.asarray(self.kernel.forward(x, gamma, beta, self.case.problem.epsilon)[0])


class SlopesOfInference(Slopes):
    """Derivatives of the inference of ``kernel``; ``statistics`` are the given mean and variance, both (F,)."""

    def __init__(self, kernel: Kernel, case: Case, statistics: tuple[Array, Array]) -> None:
        self.statistics = statistics
        infer_forward = load_kernel("reference").infer_forward
        assert infer_forward is not None  # for the type checker
        _, saved = infer_forward(case.x, case.gamma, case.beta, *statistics, case.problem.epsilon)
        sizes = tolerance.magnitudes_of_inference(case.dy, saved, case.problem.dtype)
        own = {name.removesuffix(OF_INFERENCE): size for name, size in sizes.items()}
        self._prepare(kernel, case, saved, own, np.abs(saved.mean))

    def central(self, direction: Array) -> Slope:
        """Like that of training, by one difference: y is affine in x, so there is no truncation error."""
        rounding = self._rounding(self.case.gamma, self.case.beta, self.amplification)
        value = self._difference(direction, np.full_like(self.std, LARGEST_STEP))
        return Slope(value / self.std, rounding / LARGEST_STEP / self.std + self._own_rounding(direction))

    def _y(self, x: Array, gamma: Array, beta: Array) -> Array:
        assert self.kernel.infer is not None  # for the type checker
        return np.asarray(self.kernel.infer(x, gamma, beta, *self.statistics, self.case.problem.epsilon))


def _dot(a: Array, b: Array) -> Array:
    """Sum of products over the samples of each feature."""
    return np.asarray((a * b).sum(SAMPLES, dtype=np.float64))
