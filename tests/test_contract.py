"""The contract: each check says what is broken, and nothing of a kernel that keeps to it."""

import dataclasses
import inspect
import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from bncli.core.kernel import Gradients, Kernel
from bncli.core.problem import Problem
from bncli.errors import InputError
from bncli.loading import adapter
from bncli.loading.registry import load_kernel
from bncli.verification import contract
from bncli.verification._contract import array_memory, state, values
from bncli.verification._contract.calls import Remark
from bncli.verification.finding import Verdict
from bncli.verification.mutants import MUTANTS, RIGHT

NUMPY = load_kernel("numpy")
BROKEN = {
    "x-damaged": ("inputs-unchanged", "forward writes into its x"),
    "gamma-damaged": ("inputs-unchanged", "forward writes into its gamma"),
    "dy-damaged": ("inputs-unchanged", "backward writes into dy"),
    "dx-in-float32": ("dtypes", "dx is float32 where x is float64"),
    "out-ignored": ("out", "with out= given, its y is not filled and returned"),
    "y-is-x": ("inputs-unchanged", "forward writes into its x"),
    "dx-is-dy": ("inputs-unchanged", "backward writes into dy"),
    "dx-buffer-reused": ("own-memory", "a later call overwrites the first call's dx"),
    "y-buffers-take-turns": ("own-memory", "a later call overwrites the first call's y"),
    "stale-statistics": ("two-forwards", "use the state of the latest forward instead of the `saved` they were given"),
    "stale-cache": ("same-arrays", "are those of the previous call, although the same arrays hold new values"),
    "random-order": ("repeatable", "differ from call to call, on the same data"),
    "thread-drops": ("thread-count", "differ between 1 thread and 2"),
    "read-only-refused": ("read-only", "read-only input is refused: "),
    "strides-ignored": ("strided", "x and dy that are not contiguous give a different y"),
    "epsilon-ignored": ("epsilon", "with an epsilon as large as the variance, "),
    "x-hat-from-y": ("zero-gamma", "with a gamma of 0, dx and dgamma are wrong"),
    "shows-var": ("statistics", "saved.inv_std is "),
    "shows-unbiased": ("statistics", ", the biased variance"),
    "infer-from-batch": ("inference", "infer gives "),
    "infer-without-epsilon": ("inference", "infer gives "),
    "var-damaged": ("infer-memory", "infer writes into its var"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_named_and_said(make_case, name):
    check, said = BROKEN[name]
    kernel = next(mutant.kernel for mutant in MUTANTS if mutant.name == name)
    # float32 hides a wrong epsilon that is as small as this.
    finding = contract.check(
        kernel, make_case("12x6/eps=1e-09" + "/float32" * (name in ("epsilon-ignored", "infer-without-epsilon")))
    )
    assert finding.verdict is Verdict.WRONG
    assert check in finding.broken
    assert said in finding.reason
    assert finding.checked == finding.total - len(finding.broken)


@pytest.mark.parametrize("problem", ["12x6", "3x5x4x4/channels-first/float32", "1x4", "2x3/eps=0.0", "6x1"])
@pytest.mark.parametrize("kernel", [NUMPY, *RIGHT], ids=lambda kernel: kernel.name)
def test_who_keeps_to_it_passes(make_case, kernel, problem):
    if Problem.parse(problem).dtype not in kernel.dtypes:
        problem += "/float32"
    finding = contract.check(kernel, make_case(problem))
    assert finding.broken == ()
    assert finding.verdict is Verdict.PASS


def test_a_finding_counts_the_checks_and_joins_what_they_say(make_case):
    right = contract.check(NUMPY, make_case("12x6"))
    assert (right.kernel, right.array, right.method) == ("numpy", "contract", f"{len(contract.CHECKS)} checks")
    assert (right.error, right.budget, right.checked, right.total) == (0, 0, len(contract.CHECKS), len(contract.CHECKS))
    assert (right.reason, right.broken) == ("", ())

    def backward(dy, saved):
        raise ValueError("no")

    wrong = contract.check(Kernel(NUMPY.forward, backward, name="raises"), make_case("12x6"))
    assert (wrong.error, wrong.budget, wrong.broken[0]) == (np.inf, 0, "inputs-unchanged")
    assert wrong.reason.startswith("kernel 'raises': backward raised ValueError: no")
    assert wrong.reason.count("raised") == 1  # what several checks say is said once

    def forward(x, gamma, beta, epsilon):
        y, saved = NUMPY.forward(x, gamma, beta, epsilon)
        return y.astype(float), saved

    def infer(x, *arguments):
        return NUMPY.infer(x, *arguments) + 1

    kernel = Kernel(forward, NUMPY.backward, infer, name="wide")
    several = contract.check(kernel, make_case("12x6/float32"))
    assert (several.broken, several.checked) == (("dtypes", "inference"), len(contract.CHECKS) - 2)
    first, second = several.reason.split("; ")
    assert first == "y is float64 where x is float32"
    assert second.startswith("infer gives ")


def test_of_a_large_problem_some_features_suffice(make_case):
    shapes = set()

    def forward(x, gamma, beta, epsilon):
        shapes.add(x.shape)
        return NUMPY.forward(x, gamma, beta, epsilon)

    kernel = Kernel(forward, NUMPY.backward, name="recorded")
    for descriptor, features in (
        ("4096x6", 4),
        ("5000x6", 3),
        ("10000x6", 2),
        ("20000x6", 2),
        ("10000x1", 1),
        ("9x6", 6),
    ):
        shapes.clear()
        contract.check(kernel, make_case(descriptor))
        assert {shape[1] for shape in shapes} == {features}


def test_every_check_fails_for_some_fault(make_case):
    hard = make_case("12x6/float32/eps=1e-09", mean=1e4), make_case("12x6")
    broken = {name for case in hard for mutant in MUTANTS for name in contract.check(mutant.fresh(), case).broken}
    # The mutants' unwritten memory is always 0; the next test has one whose is not.
    assert broken == set(contract.CHECKS) - {"written-in-full"}


def test_who_damages_its_input_is_told_that_alone(make_case):
    kernel = next(mutant.kernel for mutant in MUTANTS if mutant.name == "x-damaged")
    finding = contract.check(kernel, make_case("12x6"))
    assert finding.reason == "forward writes into its x"
    assert finding.broken == ("inputs-unchanged",)


@pytest.mark.parametrize("problem", ["12x6", "64x30"])
def test_what_is_never_written_is_found_without_out(make_case, problem):
    def forward(x, gamma, beta, epsilon):
        right, saved = NUMPY.forward(x, gamma, beta, epsilon)
        y = np.empty_like(x)
        y[:, :-1] = right[:, :-1]
        return y, saved

    finding = contract.check(Kernel(forward, NUMPY.backward, name="short"), make_case(problem))
    assert "written-in-full" in finding.broken
    assert "values of y are never written: the memory keeps its old contents" in finding.reason


def test_what_is_never_written_is_found_in_memory_that_numpy_did_not_give_as_empty(make_case):
    # Memory of that size has just been freed, and held NaN.
    def forward(x, gamma, beta, epsilon):
        y = np.ndarray(x.shape, x.dtype)
        right, saved = NUMPY.forward(x, gamma, beta, epsilon)
        y[:, :-1] = right[:, :-1]
        return y, saved

    def backward(dy, saved):
        dgamma = np.ndarray(saved.gamma.shape, dy.dtype)
        dx, right, dbeta = NUMPY.backward(dy, saved)
        dgamma[1:] = right[1:]
        return dx, dgamma, dbeta

    said = array_memory.written_in_full(Kernel(forward, backward), make_case("12x6"))
    assert said == "12 values of y and 1 values of dgamma are never written: the memory keeps its old contents"


def test_backward_may_be_called_once_for_each_forward(make_case):
    # As an autograd engine that frees its graph has it.
    def backward(dy, saved):
        if not saved:
            raise RuntimeError("backward through the graph a second time")
        return NUMPY.backward(dy, saved.pop())

    def forward(x, gamma, beta, epsilon):
        y, saved = NUMPY.forward(x, gamma, beta, epsilon)
        return y, [saved]

    assert contract.check(Kernel(forward, backward, name="once"), make_case("12x6")).broken == ()


def test_a_kernel_may_refuse_what_is_not_contiguous(make_case):
    def forward(x, gamma, beta, epsilon):
        if not x.flags.c_contiguous:
            raise ValueError("contiguous, please")
        return NUMPY.forward(x, gamma, beta, epsilon)

    assert contract.check(Kernel(forward, NUMPY.backward, name="strict"), make_case("12x6")).broken == ()


def test_last_bits_that_depend_on_threads_are_said_and_pass(make_case):
    threads = [1]

    def set_threads(count):
        before, threads[0] = threads[0], count
        return before

    def backward(dy, saved):
        dx, dgamma, dbeta = NUMPY.backward(dy, saved)
        return dx, dgamma, dbeta * (1 + (threads[0] - 1) * np.finfo(dbeta.dtype).eps)

    finding = contract.check(Kernel(NUMPY.forward, backward, set_threads=set_threads, name="bits"), make_case("12x6"))
    assert finding.verdict is Verdict.PASS
    assert finding.reason == "the last bits of dbeta differ between 1 thread and 2"
    assert threads == [1]  # as it was before


def test_a_number_of_threads_that_a_kernel_refuses_is_passed_over(make_case):
    threads = [4]

    def set_threads(count):
        if count == 3:
            raise InputError("not three")
        before, threads[0] = threads[0], count
        return before

    def forward(x, gamma, beta, epsilon):
        y, saved = NUMPY.forward(x, gamma, beta, epsilon)
        return y * (1 + (threads[0] == wrong)), saved

    kernel = Kernel(forward, NUMPY.backward, set_threads=set_threads, name="choosy")
    for wrong in (0, 4):
        finding = contract.check(kernel, make_case("12x6"))
        assert ("thread-count" in finding.broken) is (wrong == 4), finding.reason
        assert threads == [4]


def test_the_case_is_left_as_it_was(make_case):
    case = make_case("12x6")
    writable = {name: getattr(case, name).copy() for name in ("x", "gamma", "beta", "dy")}
    for mutant in MUTANTS:
        contract.check(mutant.kernel, dataclasses.replace(case, **writable))
    for name, array in writable.items():
        np.testing.assert_array_equal(array, getattr(case, name))


# What is said, word for word: each kernel breaks one thing.

EPS = np.finfo(float).eps


def gradients(dy, saved):
    return Gradients(*NUMPY.backward(dy, saved))


def kernel(forward=NUMPY.forward, backward=NUMPY.backward, infer=NUMPY.infer, **options):
    return Kernel(forward, backward, infer, **options)


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

    says = "{} values of y and 1 values of dbeta are never written: the memory keeps its old contents"
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


def test_what_infer_does_beside_the_right_numbers_is_said(make_case):
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

    says = "y and dx differ from call to call, on the same data"
    assert state.repeatable(kernel(forward, backward), make_case("12x6")) == says
    assert len(calls) == call


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
        "with an epsilon as large as the variance, y and dx and dgamma are wrong: epsilon is ignored, as if it were 0"
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


BY_CHANCE = "dx differ from call to call, on the same data"


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
