"""What differs from call to call, grows with each call, is computed as NaN or never written: told by calling again."""

import numpy as np

from bncli.core.kernel import Gradients, Kernel
from bncli.loading.registry import load_kernel
from bncli.verification import contract
from bncli.verification._contract import array_memory, state

NUMPY = load_kernel("numpy")


def gradients(dy, saved):
    return Gradients(*NUMPY.backward(dy, saved))


def test_a_sum_that_is_never_set_to_zero_grows_with_each_call(make_case):
    kept = {}

    def backward(dy, saved):
        found = gradients(dy, saved)
        kept["dbeta"] = kept.get("dbeta", 0) + found.dbeta
        return found._replace(dbeta=kept["dbeta"].copy())

    says = "dbeta grows, as each call adds to the last one's, from call to call, on the same data"
    assert state.repeatable(Kernel(NUMPY.forward, backward), make_case("12x6")) == says
    assert state.two_forwards(Kernel(NUMPY.forward, backward), make_case("12x6")) == says


def test_what_grows_by_chance_differs_from_call_to_call(make_case):
    rng = np.random.default_rng(0)

    def backward(dy, saved):
        found = gradients(dy, saved)
        return found._replace(dbeta=found.dbeta + rng.random(), dgamma=found.dgamma + rng.random())

    says = "dgamma and dbeta differ from call to call, on the same data"
    assert state.repeatable(Kernel(NUMPY.forward, backward), make_case("12x6")) == says


def test_a_computed_nan_is_not_memory_that_was_never_written(make_case):
    def forward(x, gamma, beta, epsilon):
        y, saved = NUMPY.forward(x, gamma, beta, epsilon)
        y[:, 1] *= np.nan
        return y, saved

    kernel = Kernel(forward, NUMPY.backward)
    assert array_memory.written_in_full(kernel, make_case("12x6")) == ""
    assert "never written" not in contract.check(kernel, make_case("12x6")).reason


def test_memory_that_is_never_written_is_counted(make_case):
    def backward(dy, saved):
        found = gradients(dy, saved)
        dx = np.empty(dy.shape)
        dx[1:] = found.dx[1:]
        dx[0, 1:] = found.dx[0, 1:]
        return found._replace(dx=dx)

    says = "1 value of dx is never written: the memory keeps its old contents"
    assert array_memory.written_in_full(Kernel(NUMPY.forward, backward), make_case("12x6")) == says
