"""What forward and backward compute: the arrays, and the report on them."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import naive
from bncli.errors import InputError
from bncli.loading.registry import load_kernel
from bncli.propagation import propagate
from bncli.propagation.jobs import Step
from bncli.propagation.x_hat import XHat

KERNELS = [load_kernel("numpy"), load_kernel("reference")]


def test_the_arrays_are_the_last_cases_and_those_of_the_first_kernel(make_case):
    cases = [make_case("6x5"), make_case("7x4")]
    found = propagate.backward(iter(cases), KERNELS, step=Step(lr=0.5, decay=0.25))
    case, arrays = found.last.case, found.last.arrays
    assert case is cases[1]
    for name in ("x", "dy", "gamma", "beta"):
        assert arrays[name] is getattr(case, name)
    own = {name: array.reshape(7, 4) if array.ndim == 3 else array for name, array in arrays.items()}
    expected = naive.batchnorm(*(own[name] for name in ("x", "gamma", "beta", "dy")), 1e-8, "per-activation")
    for name, value in expected.items():
        np.testing.assert_allclose(own[name], value, rtol=1e-11, atol=1e-12, err_msg=name)
    for name in ("gamma", "beta"):
        step = 0.5 * (own[f"d{name}"] + 0.25 * own[name])
        np.testing.assert_allclose(own[f"{name}_new"], own[name] - step, rtol=1e-11)


def test_every_case_has_rows_of_its_own_arrays_and_of_each_kernels(make_case):
    report = propagate.forward([make_case("6x5"), make_case("1x4")], KERNELS).report
    kernels = ["input", "numpy", "numpy", "reference", "reference"]
    assert [(row["problem"].partition("/")[0], row["kernel"]) for row in report.rows] == [
        (shape, kernel) for shape in ("6x5", "1x4") for kernel in kernels
    ]
    assert (report.command, {row["mode"] for row in report.rows}) == ("forward", {"train"})
    assert ["1x4/" in warning for warning in report.warnings] == [True]


def test_inference_needs_statistics_and_a_kernel_that_infers(make_case):
    case = make_case("6x5", mean=2.0)
    with pytest.raises(InputError, match="inference needs mean and var"):
        propagate.forward([case], KERNELS, infer=True)
    with pytest.raises(InputError, match="kernel 'numpynet' has no inference"):
        propagate.forward([case], [load_kernel("numpynet")], infer=True)


def test_x_hat_is_computed_block_by_block_or_as_a_whole(make_case):
    case = make_case("6x7x3/channels-first/float32", mean=3.0)
    mean, inv_std = case.x.mean((0, 2), dtype=float), 1 / case.x.std((0, 2), dtype=float)
    x_hat = XHat(case.x, mean, inv_std)
    whole = ((case.x - mean[:, None]) * inv_std[:, None]).astype(np.float32)
    np.testing.assert_array_equal(np.asarray(x_hat), whole)
    block = slice(2, 5), slice(1, 3), slice(0, 2)
    first, second = x_hat[block], x_hat[:, 3:4]
    np.testing.assert_array_equal(first, whole[block])
    np.testing.assert_array_equal(second, whole[:, 3:4])
    assert np.asarray(x_hat, dtype=np.float64).dtype == np.float64


@pytest.mark.parametrize("keep", [lambda mean, inv_std: (mean, inv_std), lambda *both: np.stack(both)])
def test_a_kernel_that_hides_its_statistics_has_no_x_hat_and_takes_a_step(make_case, keep):
    case, numpy = make_case("6x5"), KERNELS[0]

    def forward(*given):
        y, kept.saved = numpy.forward(*given)
        return y, keep(kept.saved.mean, kept.saved.inv_std)

    kept = SimpleNamespace()
    hiding = replace(numpy, forward=forward, backward=lambda dy, saved: numpy.backward(dy, kept.saved))
    arrays = propagate.backward([case], [hiding], step=Step(lr=0.5)).last.arrays
    assert not {"x_hat", "mean", "inv_std"} & arrays.keys()
    np.testing.assert_allclose(arrays["beta_new"], case.beta - 0.5 * arrays["dbeta"])


def test_progress_is_told_case_by_case(make_case):
    seen = []
    cases = [make_case("6x5"), make_case("7x4")]
    propagate.forward(cases, KERNELS, progress=lambda done, doing: seen.append((done, doing)))
    shares = [share for share, _ in seen]
    assert shares == sorted(shares)
    assert (shares[0], shares[len(seen) // 2]) == (0, 1)
    assert seen[1][1] == f"{cases[0].problem}: forward of numpy"
