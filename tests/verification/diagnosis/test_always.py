"""There is always something to say, whatever the damage and the data; and how numbers are written."""

import dataclasses
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bncli.loading.registry import load_kernel
from bncli.verification import gradients as gradcheck
from bncli.verification._diagnosis.wording import number, ratio
from bncli.verification.diagnosis import diagnose
from bncli.verification.explanation import explain
from right_values import SEEDS

DAMAGE = {
    "zero": lambda a, rng: np.zeros_like(a),
    "ones": lambda a, rng: np.ones_like(a),
    "NaN": lambda a, rng: np.where(rng.random(a.shape) < 0.2, np.nan, a),
    "infinite": lambda a, rng: np.where(rng.random(a.shape) < 0.2, np.inf, a),
    "huge": lambda a, rng: a * 1e30,
    "tiny": lambda a, rng: a * 1e-30,
    "noise": lambda a, rng: a * (1 + 1e-4 * rng.standard_normal(a.shape)),
    "garbage": lambda a, rng: rng.standard_normal(a.shape),
    "reversed": lambda a, rng: a[::-1],
    "one element": lambda a, rng: a + (np.arange(a.size).reshape(a.shape) == rng.integers(a.size)),
}
DATA = {
    "constant feature": lambda case: {"x": np.where(np.arange(case.x.shape[1])[:, None] == 0, 3, case.x)},
    "no gamma": lambda case: {"gamma": 0 * case.gamma},
    "one gamma 0": lambda case: {"gamma": np.where(np.arange(case.gamma.size) == 0, 0, case.gamma)},
    "no dy": lambda case: {"dy": 0 * case.dy},
    "no beta": lambda case: {"beta": 0 * case.beta},
    "NaN in x": lambda case: {"x": np.where(np.arange(case.x.size).reshape(case.x.shape) == 0, np.nan, case.x)},
    "infinite dy": lambda case: {"dy": np.where(np.arange(case.x.size).reshape(case.x.shape) == 0, np.inf, case.dy)},
    "huge x": lambda case: {"x": case.x * 1e30},
    "tiny x": lambda case: {"x": case.x * 1e-30},
    "as drawn": lambda case: {},
}
TINY = ["1x1", "1x5", "2x1", "2x4", "3x3", "4x1", "3x2x4/channels-first", "2x3x2x2/channels-last", "7x6"]


@given(
    problem=st.sampled_from(TINY),
    dtype=st.sampled_from(["float32", "float64"]),
    epsilon=st.sampled_from(["0", "1e-8", "1.0"]),
    damage=st.sampled_from(list(DAMAGE)),
    data=st.sampled_from(list(DATA)),
    seed=SEEDS,
)
def test_there_is_always_something_to_say(make_case, problem, dtype, epsilon, damage, data, seed):
    rng = np.random.default_rng(seed)
    case = make_case(f"{problem}/{dtype}/eps={epsilon}", seed=seed)
    with np.errstate(all="ignore"):
        changed = {name: array.astype(dtype) for name, array in DATA[data](case).items()}
        case = dataclasses.replace(case, **changed)
        kernel = load_kernel("numpy")
        y, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
        arrays = dict(zip(("y", "dx", "dgamma", "dbeta"), (y, *kernel.backward(case.dy, saved)), strict=True))
        arrays = {name: DAMAGE[damage](array, rng).astype(dtype) for name, array in arrays.items()}
    said = diagnose(case, arrays, list(arrays))
    assert list(said) == ["y", "dx", "dgamma", "dbeta"]
    for sentences in said.values():
        assert sentences
        for sentence in sentences:
            assert re.match(r"[a-zE0-9-]", sentence)
            assert not re.search(r"[{}]|\.$", sentence)


def test_only_what_is_called_wrong_is_diagnosed(right):
    r = right("6x4")
    assert diagnose(r.case, {"dx": r.dx, "y": r.y}, []) == {}
    assert list(diagnose(r.case, {"dx": r.dx, "y": r.y}, ["y"])) == ["y"]


@pytest.mark.parametrize(
    ("value", "error", "written"),
    [
        (0.10416666, 0, "0.104"), (1 / 48, 0, "0.0208"), (2.0, 0, "2"), (1.001, 0, "1.001"), (0.99975, 0, "0.99975"),
        (1 / 30000, 0, "3.33e-05"), (1048576.0, 0, "1,048,576"), (12.3456, 0, "12.3"), (1234.56, 0, "1,230"),
        (-2.5, 0, "-2.5"), (0.0, 0, "0"), (1e30, 0, "1e+30"), (2 / 3, 0.004, "0.667"), (2 / 3, 0.04, "0.67"),
        (999999999.0, 0, "999,999,999"), (1e9, 0, "1e+09"),
        (999.6e6, 1e-9, "1e+09"), (999.4e6, 1e-9, "999,000,000"), (-1048576.0, 0, "-1,048,576"), (-1.001, 0, "-1.001"),
        (1.1, 0, "1.1"), (1.0999, 0, "1.0999"), (0.9001, 0, "0.9001"), (0.8999, 0, "0.9"), (0.12345, 0, "0.123"),
        (0.001, 0, "0.001"), (0.000999, 0, "0.000999"), (0.00012345, 0, "0.000123"), (0.099951, 0, "0.1"),
        (3.0, 1e-9, "3"), (30.04, 0.1, "30"), (1.0012345, 1e-6, "1.00123"),
        (1.0012345, 5e-4, "1.0012"), (64.49, 1.0, "64"), (np.inf, 0, "inf"),
    ],
)  # fmt: skip
def test_a_number_is_written_as_far_as_it_is_known(value, error, written):
    assert number(value, error) == written


def test_a_ratio_reads_as_a_part_or_as_times():
    assert (ratio(0.25), ratio(4.0), ratio(-0.25)) == ("0.25 of", "4 times", "-0.25 times")


def test_where_y_alone_is_wrong_backward_is_not_asked(make_case):
    case, numpy = make_case("6x5"), load_kernel("numpy")
    calls = []

    def forward(x, gamma, beta, epsilon):
        calls.append("forward")
        y, saved = numpy.forward(x, gamma, beta, epsilon)
        return y - beta[:, None], saved

    def backward(dy, saved):
        calls.append("backward")
        return numpy.backward(dy, saved)

    kernel = dataclasses.replace(numpy, forward=forward, backward=backward, name="without-beta")
    findings = gradcheck.check(kernel, case)
    calls.clear()
    assert explain(kernel, case, findings) == {"y": ("beta is forgotten",)}
    assert calls == ["forward"]


def test_what_raises_when_it_runs_again_has_no_diagnosis(make_case):
    case = make_case("5x4x4x3")
    findings = gradcheck.check(load_kernel("numpynet"), case)
    assert explain(load_kernel("numpynet"), case, findings).keys() == {"dx"}

    def forward(x, gamma, beta, epsilon):
        raise OverflowError("not again")

    assert explain(dataclasses.replace(load_kernel("numpynet"), forward=forward), case, findings) == {}
