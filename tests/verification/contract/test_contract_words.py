"""What the contract says, word for word: each kernel breaks one thing."""

import dataclasses

import numpy as np
import pytest

from bncli.verification import contract
from bncli.verification._contract import array_memory, state
from contract_kernels import EPS, NUMPY, gradients, kernel


def after_forward(change):
    """forward, and then ``change(y, x, gamma, beta, saved)``."""

    def forward(x, gamma, beta, epsilon):
        y, saved = NUMPY.forward(x, gamma, beta, epsilon)
        change(y, x, gamma, beta, saved)
        return y, saved

    return forward


def after_backward(change):
    """backward, and then ``change(dx, dgamma, dbeta, dy, saved)``, all of which it may write to."""

    def backward(dy, saved):
        found = gradients(dy, saved)
        change(*found, dy, saved)
        return found

    return backward


def put(array):
    array[...] = 7


@pytest.mark.parametrize(
    ("forward", "backward", "says"),
    [
        (lambda y, x, gamma, beta, saved: (put(gamma), put(beta)), None, "forward writes into its gamma and beta"),
        (None, lambda dx, dgamma, dbeta, dy, saved: (put(dy), put(saved.x)), "backward writes into x and dy"),
        (None, lambda dx, dgamma, dbeta, dy, saved: put(saved.gamma), "backward writes into gamma"),
    ],
)
def test_every_input_that_is_written_to_is_named(make_case, forward, backward, says):
    change = {"forward": forward and after_forward(forward), "backward": backward and after_backward(backward)}
    finding = contract.check(kernel(**{name: made for name, made in change.items() if made}), make_case("12x6"))
    assert finding.reason == says


def test_an_output_that_backward_writes_to_is_named(make_case):
    def forward(x, gamma, beta, epsilon):
        y, saved = NUMPY.forward(x, gamma, beta, epsilon)
        return y, (y, saved)

    def backward(dy, saved):
        put(saved[0])
        return NUMPY.backward(dy, saved[1])

    assert contract.check(kernel(forward, backward), make_case("12x6")).reason == "backward writes into y"


def test_values_that_are_never_written_are_counted(make_case):
    def forward(x, gamma, beta, epsilon):
        right, saved = NUMPY.forward(x, gamma, beta, epsilon)
        y = np.empty_like(x)
        y[:, 2:] = right[:, 2:]
        return y, saved

    def backward(dy, saved):
        dx, dgamma, dbeta = NUMPY.backward(dy, saved)
        short = np.empty(dbeta.shape)
        short[1:] = dbeta[1:]
        numbers = np.empty(3, int)  # which holds no NaN
        numbers[:] = 1
        return dx, dgamma * numbers[0], short

    says = "{} values of y and 1 value of dbeta are never written: the memory keeps its old contents"
    case = make_case("12x6")
    assert array_memory.written_in_full(kernel(forward, backward), case) == says.format(24)
    # NaN is no sign of it where NaN is right.
    x = case.x.copy()
    x[3, 0] = np.nan
    with np.errstate(all="ignore"):
        assert array_memory.written_in_full(kernel(), dataclasses.replace(case, x=x)) == ""
        said = array_memory.written_in_full(kernel(forward, backward), dataclasses.replace(case, x=x))
    assert said == says.format(12)


def with_out(write_y=True, write_dx=True, return_y=True, return_dbeta=True):
    """A kernel with out=, but for what it neither writes nor returns."""

    def forward(x, gamma, beta, epsilon, *, out=None):
        y, saved = NUMPY.forward(x, gamma, beta, epsilon)
        if out is None:
            return y, saved
        if write_y:
            out[...] = y
        return (out if return_y else y), saved

    def backward(dy, saved, *, out=None):
        found = gradients(dy, saved)
        if out is None:
            return found
        for name, array in zip(("dx", "dgamma", "dbeta"), found, strict=True):
            if name != "dx" or write_dx:
                getattr(out, name)[...] = array
        return out if return_dbeta else out._replace(dbeta=found.dbeta)

    return kernel(forward, backward)


@pytest.mark.parametrize(
    ("missing", "names"),
    [
        ({}, ""),
        ({"write_y": False}, "y"),
        ({"write_dx": False}, "dx"),
        ({"return_y": False}, "y"),
        ({"return_dbeta": False}, "dbeta"),
        ({"write_y": False, "return_y": False, "return_dbeta": False}, "y and dbeta"),
    ],
)
def test_out_must_be_filled_and_returned(make_case, missing, names):
    finding = contract.check(with_out(**missing), make_case("12x6"))
    verb = "are" if " and " in names else "is"
    assert finding.reason == (f"with out= given, its {names} {verb} not filled and returned" if names else "")
    assert finding.broken == (("out",) if names else ())


def test_buffers_of_an_earlier_call_are_named(make_case):
    buffers = {}

    def reused(name, array):
        buffer = buffers.setdefault((name, array.shape), np.empty_like(array))
        buffer[...] = array
        return buffer

    def forward(x, gamma, beta, epsilon):
        y, saved = NUMPY.forward(x, gamma, beta, epsilon)
        return reused("y", y), saved

    def backward(dy, saved):
        found = gradients(dy, saved)
        return found._replace(dbeta=reused("dbeta", found.dbeta))

    says = "a later call overwrites the first call's y and dbeta"
    assert array_memory.own_memory(kernel(forward, backward), make_case("12x6")) == says


def test_side_effects_of_infer_are_reported(make_case):
    case, buffers = make_case("12x6/float32"), {}

    def wide(*arguments):
        return NUMPY.infer(*arguments).astype(float)

    def reused(x, *arguments):
        buffer = buffers.setdefault(x.shape, np.empty_like(x))
        buffer[...] = NUMPY.infer(x, *arguments)
        return buffer

    def centred(x, gamma, beta, mean, var, epsilon):
        y = NUMPY.infer(x, gamma, beta, mean, var, epsilon)
        put(x)
        put(mean)
        return y

    for infer, broken, says in (
        (wide, "dtypes", "y of infer is float64 where x is float32"),
        (reused, "infer-memory", "a later infer overwrites the first infer's y"),
        (centred, "infer-memory", "infer writes into its x and mean"),
    ):
        finding = contract.check(kernel(infer=infer), case)
        assert (finding.broken, finding.reason) == ((broken,), says)


def keeping_the_last():
    """forward, and where what it saved last is to be found."""
    last = []

    def forward(x, gamma, beta, epsilon):
        y, saved = NUMPY.forward(x, gamma, beta, epsilon)
        last[:] = [saved]
        return y, saved

    return forward, last


def test_results_of_another_forward_are_named(make_case):
    forward, last = keeping_the_last()

    def backward(dy, saved):
        stale = gradients(dy, last[0])
        return gradients(dy, saved)._replace(dx=stale.dx, dgamma=stale.dgamma)

    says = "dx and dgamma use the state of the latest forward instead of the `saved` they were given"
    assert state.two_forwards(kernel(forward, backward), make_case("12x6")) == says


@pytest.mark.parametrize(
    ("kept", "problem", "seed"), [("gamma", "12x6", 1), ("x", "1x3x4x5/channels-first/float32", 0)]
)
def test_the_last_forwards_are_seen_with_any_seed_and_in_a_batch_of_one(make_case, kept, problem, seed):
    forward, last = keeping_the_last()

    def backward(dy, saved):
        if kept == "gamma":
            return NUMPY.backward(dy, saved._replace(gamma=last[0].gamma))
        x_hat = (last[0].x - last[0].mean[:, None]) * last[0].inv_std[:, None]  # in a workspace of all calls
        return NUMPY.backward(dy, saved._replace(x=x_hat / saved.inv_std[:, None] + saved.mean[:, None]))

    assert "state of the latest forward" in state.two_forwards(kernel(forward, backward), make_case(problem, seed=seed))


def test_results_remembered_by_the_array_are_named(make_case):
    known = {}

    def forward(x, gamma, beta, epsilon):
        y, saved = NUMPY.forward(x, gamma, beta, epsilon)
        kept = known.setdefault(id(x), (x, y))  # kept alive, so that no other array gets its number
        return kept[1].copy(), saved

    def backward(dy, saved):
        found = gradients(dy, saved)
        return found._replace(dbeta=known.setdefault(id(dy), (dy, found.dbeta))[1].copy())

    says = "y and dbeta are those of the previous call, although the same arrays hold new values"
    assert state.same_arrays(kernel(forward, backward), make_case("12x6")) == says


@pytest.mark.parametrize("call", [2, 3, 4])
def test_any_of_four_calls_may_be_the_one_that_differs(make_case, call):
    calls = []

    def forward(x, gamma, beta, epsilon):
        y, saved = NUMPY.forward(x, gamma, beta, epsilon)
        calls.append(None)
        return y * (1 + EPS * (len(calls) == call)), saved

    def backward(dy, saved):
        found = gradients(dy, saved)
        return found._replace(dx=found.dx * (1 + EPS * (len(calls) == call)))

    says = "the last bits of y and dx differ from call to call, on the same data"
    assert state.repeatable(kernel(forward, backward), make_case("12x6")) == says
    assert len(calls) == call
