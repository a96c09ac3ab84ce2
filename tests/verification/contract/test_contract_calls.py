"""The contract of threads, dtypes, strides and benign data, and kernels that differ from call to call."""

import dataclasses
import inspect
import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from bncli.loading import adapter
from bncli.verification import contract
from bncli.verification._contract import state, values
from bncli.verification._contract.calls import Remark
from contract_kernels import EPS, NUMPY, gradients, kernel


@pytest.fixture
def threaded(monkeypatch):
    """threaded(before, off) -> a kernel that says ``before`` first; and the list of all numbers that it was set to."""
    monkeypatch.setattr(state, "cpu_count", lambda: 3)

    def make(before, off):
        counts = []

        def set_threads(count):
            counts.append(count)
            return before

        def forward(x, gamma, beta, epsilon):
            y, saved = NUMPY.forward(x, gamma, beta, epsilon)
            return y * (1 + off.get(counts[-1], 0)), saved

        def backward(dy, saved):
            found = gradients(dy, saved)
            return found._replace(dgamma=found.dgamma * (1 + off.get(counts[-1], 0)))

        return kernel(forward, backward, set_threads=set_threads), counts

    return make


@pytest.mark.parametrize(
    ("before", "off", "said", "set_to"),
    [
        (4, {}, "", [1, 2, 3, 4, 4]),
        (1, {}, "", [1, 2, 1]),  # two are tried in any case
        (None, {}, "", [1, 2, 3, 3]),  # as many as there are processors, where the kernel does not say
        (4, {3: 1e-3}, "y and dgamma differ between 1 thread and 3", [1, 2, 3, 4]),
        (4, {3: EPS}, "the last bits of y and dgamma differ between 1 thread and 3", [1, 2, 3, 4, 4]),
    ],
)
def test_every_number_of_threads_is_tried_and_the_first_one_set_again(make_case, threaded, before, off, said, set_to):
    made, counts = threaded(before, off)
    found = state.thread_count(made, make_case("12x6"))
    assert (found, counts) == (said, set_to)
    assert isinstance(found, Remark) is not (3 in off and off[3] > EPS)


def test_every_array_of_another_type_is_named(make_case):
    def backward(dy, saved):
        dx, dgamma, dbeta = NUMPY.backward(dy, saved)
        return dx.astype(np.float32), dgamma, dbeta.astype(np.float16)

    says = "dx is float32 where x is float64; dbeta is float16 where x is float64"
    assert values.dtypes(kernel(backward=backward), make_case("12x6")) == says


def test_a_refusal_is_said_only_of_what_is_read_only(make_case):
    def forward(x, gamma, beta, epsilon):
        if not beta.flags.writeable:
            raise ValueError("beta, please")
        return NUMPY.forward(x, gamma, beta, epsilon)

    case = make_case("12x6")
    finding = contract.check(kernel(forward, name="picky"), case)
    assert finding.reason.startswith(
        "read-only input is refused: kernel 'picky': forward raised ValueError: beta, please"
    )
    assert finding.reason.count("beta, please") == 1
    assert finding.broken == ("read-only",)


def test_what_strides_change_is_named(make_case):
    def backward(dy, saved):
        found = gradients(dy, saved)
        return found if dy.flags.c_contiguous else found._replace(dgamma=2 * found.dgamma, dbeta=-found.dbeta)

    finding = contract.check(kernel(backward=backward), make_case("3x6x4/channels-first"))
    assert finding.reason == "x and dy that are not contiguous give a different dgamma and dbeta"


def test_wrong_statistics_and_inference_are_told_with_their_values(make_case):
    case = make_case("2x1/eps=0", x=np.array([[1.0], [5.0]]))
    case = dataclasses.replace(case, gamma=np.array([2.0]), beta=np.array([0.5]))

    def forward(x, gamma, beta, epsilon):
        y, saved = NUMPY.forward(x, gamma, beta, epsilon)
        return y, saved._replace(mean=saved.mean + 0.25, inv_std=saved.inv_std * 3)

    said = values.statistics(kernel(forward), case)
    assert said == "saved.mean is 3.25 and should be 3; saved.inv_std is 1.5 and should be 0.5"
    assert values.statistics(kernel(), case) == ""

    def infer(*arguments):
        y = NUMPY.infer(*arguments)
        y[1] += 0.5
        return y

    # From a mean half a deviation higher and twice the deviation: 2 * (5 - 4) / 4 + 0.5.
    assert values.inference(kernel(infer=infer), case) == "infer gives 1.5 and should give 1"
    assert values.inference(kernel(), case) == ""


def test_benign_data_are_what_they_are_said_to_be(make_case):
    seen = []

    def forward(x, gamma, beta, epsilon):
        seen.append((round(float(x.mean()), 1), round(float(x.std()), 1), epsilon, x.dtype.name))
        return NUMPY.forward(x, gamma, beta, epsilon)

    case = make_case("4000x3/float32/eps=0.25", mean=1e3)
    values.right_on_benign_data(kernel(forward), case)
    values.obeys_epsilon(kernel(forward), case)
    given = (1000, 1, 0.25, "float32")
    assert seen == [(0.5, 1, 0.25, "float32"), given, (0.5, 1, 1, "float32"), given]


def test_several_arrays_are_wrong_where_epsilon_shows(make_case):
    def forward(x, gamma, beta, epsilon):
        y, saved = NUMPY.forward(x, gamma, beta, epsilon if epsilon < 0.1 else 0)
        return y, saved

    case = make_case("12x6/eps=0.01")
    assert values.obeys_epsilon(kernel(forward), case) == (
        "with an epsilon as large as the variance, y, dx and dgamma are wrong: epsilon is ignored, as if it were 0"
    )
    assert values.right_on_benign_data(kernel(forward), case) == ""


def test_what_is_wrong_already_is_not_said_again_of_benign_data(make_case):
    def backward(dy, saved):
        found = gradients(dy, saved)
        benign = abs(saved.mean.mean() - 0.5) < 1
        return found._replace(dx=2 * found.dx, dbeta=-found.dbeta if benign else found.dbeta)

    case = make_case("40x6", mean=1e3)
    said = "on data of mean 0.5 and deviation 1, dbeta is wrong: dbeta has the wrong sign"
    assert values.right_on_benign_data(kernel(backward=backward), case) == said


BY_CHANCE = "dx differs from call to call, on the same data"


@pytest.fixture
def chance():
    """A kernel whose dx is wrong every third time, with threads, and without out or with it."""

    def made(out=False):
        calls = itertools.count()

        def backward(dy, saved, *, out=None):
            dx, dgamma, dbeta = NUMPY.backward(dy, saved, out=out)
            dx *= 1 + (next(calls) % 3 == 1)
            return dx, dgamma, dbeta

        def without(dy, saved):
            return backward(dy, saved)

        threads = {"set_threads": lambda count: count}
        return kernel(backward=backward, **threads) if out else kernel(NUMPY.forward, without, **threads)

    return made


@pytest.mark.parametrize("name", ["two-forwards", "same-arrays", "out", "thread-count", "strided"])
def test_chance_is_named_where_two_runs_differ(make_case, chance, name):
    assert contract.CHECKS[name](chance(out=True), make_case("12x6")) == BY_CHANCE


def test_what_chance_breaks_has_one_cause_and_no_out_that_is_not_there(make_case, chance):
    finding = contract.check(adapter.adapt(chance()), make_case("12x6"))
    assert "repeatable" in finding.broken
    assert "out" not in finding.broken
    assert finding.reason == BY_CHANCE


def test_of_a_file_without_out_the_check_of_out_is_left_out(make_case):
    def forward(x, gamma, beta, epsilon):
        return NUMPY.forward(x, gamma, beta, epsilon)

    def backward(dy, saved):
        return NUMPY.backward(dy, saved)

    def with_out(dy, saved, *, out=None):
        return NUMPY.backward(dy, saved)

    def asked(backward):
        source = SimpleNamespace(forward=forward, backward=backward, __name__="k")
        return "out" in inspect.signature(adapter.adapt(source).backward).parameters

    assert (asked(backward), asked(with_out)) == (False, True)
