"""What forward and backward compute: the arrays, and the report on them."""

import numpy as np
import pytest

import naive
from bncli.errors import InputError
from bncli.loading.registry import load_kernel
from bncli.propagation import propagate
from bncli.propagation.jobs import Step

KERNELS = [load_kernel("numpy"), load_kernel("reference")]


def test_the_arrays_are_the_last_cases_and_those_of_the_first_kernel(make_case):
    cases = [make_case("6x5"), make_case("7x4")]
    found = propagate.backward(iter(cases), KERNELS, step=Step(lr=0.5, decay=0.25))
    case, arrays = found.last
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
