"""Search: cases in one line, their arrays and calls, the oracle, the verdicts, and what is found."""

import dataclasses
import functools
import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bncli.core.kernel import Gradients, Kernel
from bncli.core.problem import DTYPES, Problem
from bncli.errors import InputError
from bncli.loading.registry import load_kernel
from bncli.verification import tolerance
from bncli.verification.search import call_history, contents, memory_layouts, oracle, sequence, trial
from bncli.verification.search.case_line import CaseLine
from bncli.verification.search.searching import search
from bncli.verification.search.sequence import Fixed
from bncli.verification.search.trial import CaseVerdict

SAMPLES = (0, 2)
FLOATS = ("float32", "float64")
WHOLE_LINE = (
    "48x7x5/channels-first/float32/eps=1e-05 data=x10,nan gamma=ones beta=zeros dy=x1000 "
    "memory=x[...,::2],read-only history=16f16b threads=2 repeats=3 seed=81"
)


# A case in one line


@pytest.mark.slow
@settings(max_examples=100)
@given(seed=st.integers(0, 10**9), first=st.integers(0, 3000))
def test_ten_thousand_drawn_cases_parse_back(seed, first):
    for i in range(first, first + 100):
        line = sequence.case(seed, i, DTYPES)
        assert CaseLine.parse(str(line)) == line


WORDS = {name: st.sampled_from([*words, "x1e-3", "x7"]) for name, words in contents.WORDS.items()}


@given(
    shape=st.lists(st.integers(1, 10**6), min_size=2, max_size=4),
    words=st.fixed_dictionaries({name: st.lists(word, min_size=1, max_size=3) for name, word in WORDS.items()}),
    memory=st.lists(st.sampled_from([*memory_layouts.WORDS, *memory_layouts.FLAGS]), min_size=1, max_size=4),
    history=st.sampled_from(sequence.HISTORIES),
    counts=st.tuples(st.integers(0, 64), st.integers(1, 500), st.integers(0, 2**31)),
)
def test_any_case_parses_back(shape, words, memory, history, counts):
    texts = {name: ",".join(some) for name, some in words.items()}
    line = CaseLine(Problem(shape), **texts, memory=",".join(memory), history=history, threads=counts[0],
                    repeats=counts[1], seed=counts[2])  # fmt: skip
    assert CaseLine.parse(str(line)) == line


def test_a_line_is_written_as_it_was_read_without_what_is_the_default():
    assert str(CaseLine.parse(WHOLE_LINE)) == WHOLE_LINE
    plain = "48x7x5/channels-first/float32/eps=1e-05"
    assert str(CaseLine.parse(f"{plain}  data=normal history=fbi seed=0")) == plain


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("data=wild", "cannot read 'wild' in data=wild"),
        ("data=x1e", "cannot read 'x1e'"),
        ("gamma=+1", "cannot read"),
        ("memory=gamma:fortran", "cannot read 'gamma:fortran'"),
        ("history=16q", "call history '16q'"),
        ("history=b", "backward before any forward"),
        ("history=9999f", "call history"),
        ("history=", "call history"),
        ("threads=two", "whole number"),
        ("threads=-1", "whole number"),
        ("repeats=0", "repeats=0"),
        ("seed", "cannot read 'seed'"),
        ("problem=3x3", "cannot read 'problem=3x3'"),
        ("seed=1 seed=2", "twice"),
    ],
)
def test_what_cannot_be_read_is_an_input_error_that_says_so(part, said):
    with pytest.raises(InputError, match=re.escape(said)):
        CaseLine.parse(f"4x3 {part}")


# Case i of a seed


def test_a_case_depends_on_seed_and_number_alone():
    some = [0, 5, 44, 300, 44, 5]
    lines = [str(sequence.case(3, i, FLOATS)) for i in some]
    assert lines == [str(sequence.case(3, i, FLOATS)) for i in some]
    assert lines[2] == lines[4]
    assert sequence.case(4, 44, FLOATS) != sequence.case(3, 44, FLOATS)


def test_the_first_dozen_show_most():
    first = [sequence.case(0, i, FLOATS) for i in range(12)]
    shapes = [line.problem.canonical_shape for line in first]
    for shows in (
        lambda n, f, s: s > 1 and s % 2 == 0,
        lambda n, f, s: s > 1 and s % 2 == 1,
        lambda n, f, s: f == 64,
        lambda n, f, s: f == 7,
        lambda n, f, s: n == f,
        lambda n, f, s: f == s,
        lambda n, f, s: n == 1,
        lambda n, f, s: n * s == 1,
        lambda n, f, s: n * s == 300,
        lambda n, f, s: n * s == 1500,
    ):
        assert any(itertools.starmap(shows, shapes))
    assert any(line.gamma == "ones" and line.beta == "zeros" for line in first)
    assert any("x[::2]" in line.memory for line in first)
    assert any("20f" in line.history for line in first)


def test_sizes_grow_past_two_million_elements():
    sizes = [sequence.case(0, i, FLOATS).problem.size for i in range(500)]
    assert max(sizes[:12]) < 1 << 16
    assert max(sizes) > 1 << 21
    assert np.median(sizes) < 1 << 12


def test_every_type_layout_memory_and_history_is_drawn():
    lines = [sequence.case(1, i, DTYPES) for i in range(2500)]
    assert {line.problem.dtype for line in lines} == set(DTYPES)
    assert len({line.problem.layout for line in lines}) == 3
    assert {line.memory for line in lines} >= set(sequence.MEMORY)
    assert {line.history for line in lines} >= set(sequence.HISTORIES)
    for name in ("data", "gamma", "beta", "dy"):
        assert {getattr(line, name) for line in lines} >= set(getattr(sequence, name.upper()))
    assert {line.problem.epsilon for line in lines} >= {0.0, 1.0, 1e-12}


def test_what_is_fixed_is_the_same_in_every_case():
    fixed = Fixed(dtype="float32", epsilon=0.5, layout="channels-last", threads=3)
    for i in range(120):
        line = sequence.case(0, i, FLOATS, fixed)
        problem = line.problem
        assert (problem.dtype, problem.epsilon, str(problem.layout), line.threads) == (
            "float32",
            0.5,
            "channels-last",
            3,
        )


# Its arrays


@pytest.mark.parametrize("layout", memory_layouts.LAYOUTS)
def test_a_layout_keeps_the_values_and_has_nan_between_them(layout):
    array = np.arange(4 * 3 * 5, dtype="float32").reshape(4, 3, 5)
    placed = memory_layouts.place("x", array, f"x{layout}")
    assert (placed == array).all()
    assert placed.flags.c_contiguous == (layout in memory_layouts.DENSE)
    raw = np.ctypeslib.as_array(
        np.ctypeslib.ctypes.cast(placed.ctypes.data, np.ctypeslib.ctypes.POINTER(np.ctypeslib.ctypes.c_float)),
        (array.size,),
    ).reshape(array.shape)
    if layout not in memory_layouts.DENSE:  # what a kernel sees that ignores strides, all of it memory of its own
        assert not np.array_equal(raw, array)
    assert not memory_layouts.shown(placed, f"x{layout},read-only").flags.writeable


def test_data_hold_what_their_words_say():
    def x(data, dtype="float64", **words):
        line = CaseLine(Problem((40, 6), dtype=dtype), data=data, **words)
        return contents.make(line.problem, {name: getattr(line, name) for name in contents.WORDS}, 7)

    assert np.abs(x("+1000").x.mean(0)).min() > 990
    assert np.ptp(x("constant").x, axis=0).max() == 0
    assert 0 < np.ptp(x("nearly-constant").x, axis=0).max() < 1e-13
    assert np.abs(x("outlier-first").x).argmax(0).max() == 0
    assert np.isnan(x("nan").x).sum() == 1
    assert np.isfinite(x("nan").dy).all()
    assert (x("grid").x % 1 == 0).all()
    assert 0 < np.abs(x("subnormal", "float32").x).max() < np.finfo("float32").tiny
    assert np.log10(x("decades-6").x.std(0)).std() > 1
    assert (x("normal", gamma="one-zero").gamma == 0).sum() == 1
    assert np.abs(x("normal", dy="no-mean").dy.mean(0)).max() < 1e-12
    assert np.isfinite(x("x1e20", "float16").x).all()


# The oracle


@pytest.mark.parametrize("data", ["normal", "+1e6", "decades-6", "outlier-first", "x1e20", "nearly-constant"])
@pytest.mark.parametrize("shape", ["6x5x7", "3000x2", "1x4x900"])
def test_the_oracle_is_within_its_own_roundings_of_the_reference(data, shape):
    line = CaseLine(Problem.parse(f"{shape}/channels-first/float64/eps=1e-05"), data=data, seed=3)
    case = contents.make(line.problem, {name: getattr(line, name) for name in contents.WORDS}, 3)
    reference = load_kernel("reference")
    wide = np.empty(case.x.shape, np.longdouble)
    _, saved = reference.forward(case.x, case.gamma, case.beta, line.problem.epsilon, out=wide)
    into = Gradients(np.empty_like(wide), *(np.empty(case.gamma.shape, np.longdouble) for _ in range(2)))
    reference.backward(case.dy, saved, out=into)
    unit = tolerance.unit_roundoff("float64")
    for name, value in {"y": wide, "var": saved.var, **into._asdict()}.items():
        expected = oracle.training(case)[name]
        off = np.abs(expected.value - oracle.rows(value)) / expected.magnitude.whole
        assert off.max() <= oracle.OWN * unit, name


# Kernels, right and wrong: the formulas, with what a fault changes


def statistics(x, epsilon):
    wide = x.astype("float64")
    centred = wide - wide.mean(SAMPLES, keepdims=True)
    var = (centred * centred).mean(SAMPLES)
    return centred, var, 1 / np.sqrt(var + epsilon)


def forward(x, gamma, beta, epsilon, *, out=None):
    centred, _, inv_std = statistics(x, epsilon)
    x_hat = centred * inv_std[:, None]
    y = np.empty_like(x) if out is None else out
    y[...] = gamma[:, None] * x_hat + beta[:, None]
    return y, (x_hat, gamma, inv_std)


def backward(dy, saved, *, out=None):
    x_hat, gamma, inv_std = saved
    wide = dy.astype("float64")
    dgamma, dbeta = (wide * x_hat).mean(SAMPLES), wide.mean(SAMPLES)
    count = dy.shape[0] * dy.shape[2]
    dx = (gamma * inv_std)[:, None] * (wide - dbeta[:, None] - x_hat * dgamma[:, None])
    found = Gradients(*(a.astype(dy.dtype) for a in (dx, count * dgamma, count * dbeta)))
    if out is None:
        return found
    for into, array in zip(out, found, strict=True):
        into[...] = array
    return out


def infer(x, gamma, beta, mean, var, epsilon, *, out=None):
    y = np.empty_like(x) if out is None else out
    y[...] = gamma[:, None] * ((x - mean[:, None]) / np.sqrt(var + epsilon)[:, None]) + beta[:, None]
    return y


RIGHT = Kernel(forward, backward, infer, name="right")


def changed(when=lambda x: True, change=lambda y: None, of="y"):
    """A kernel that is wrong where ``when(x or dy)``: it then changes an array in place."""

    def wrong_forward(x, gamma, beta, epsilon, *, out=None):
        y, saved = forward(x, gamma, beta, epsilon, out=out)
        if of == "y" and when(x):
            change(y)
        return y, saved

    def wrong_backward(dy, saved, *, out=None):
        found = backward(dy, saved, out=out)
        if of != "y" and when(dy):
            change(getattr(Gradients(*found), of))
        return found

    return dataclasses.replace(RIGHT, forward=wrong_forward, backward=wrong_backward, name="wrong")


def in_forward(prepare):
    """A kernel whose forward sees other arguments than it was given."""
    return dataclasses.replace(RIGHT, forward=lambda *given, out=None: forward(*prepare(*given), out=out))


def doubled(array):
    array *= 2


def ring(turns):
    buffers = {}

    def wrong_forward(x, gamma, beta, epsilon, *, out=None):
        y, (x_hat, *rest) = forward(x, gamma, beta, epsilon, out=out)
        kept = buffers.setdefault(x.shape, itertools.cycle([np.empty(x.shape) for _ in range(turns)]))
        into = next(kept)
        into[...] = x_hat
        return y, (into, *rest)

    return dataclasses.replace(RIGHT, forward=wrong_forward)


def adds_up():
    total = {}

    def wrong_backward(dy, saved, *, out=None):
        dx, dgamma, dbeta = backward(dy, saved)
        total[dy.shape[1]] = total.get(dy.shape[1], 0) + dgamma
        return dx, total[dy.shape[1]].astype(dy.dtype), dbeta

    return dataclasses.replace(RIGHT, backward=wrong_backward)


def first_epsilon():
    plans = {}
    return in_forward(lambda x, gamma, beta, epsilon: (x, gamma, beta, plans.setdefault(x.shape, epsilon)))


def later(after):
    calls = itertools.count()
    return changed(lambda dy: next(calls) >= after, doubled, of="dx")


def by_identity():
    kept = {}

    def wrong(x, gamma, beta, mean, var, epsilon, *, out=None):
        kept.setdefault(gamma.ctypes.data, (gamma, gamma.copy()))
        return infer(x, kept[gamma.ctypes.data][1], beta, mean, var, epsilon, out=out)

    return dataclasses.replace(RIGHT, infer=wrong)


def dense(array):
    """What a function in C sees that takes the memory for contiguous."""
    return np.lib.stride_tricks.as_strided(array, array.shape, np.empty(array.shape, array.dtype).strides)


def raw_dy():
    return dataclasses.replace(RIGHT, backward=lambda dy, saved, *, out=None: backward(dense(dy), saved, out=out))


def raw_infer():
    return dataclasses.replace(RIGHT, infer=lambda x, *rest, out=None: infer(dense(x), *rest, out=out))


def one_pass(x, gamma, beta, epsilon, *, out=None):
    mean = x.mean(SAMPLES)
    var = np.maximum((x * x).mean(SAMPLES) - mean * mean, 0)
    inv_std = 1 / np.sqrt(var + x.dtype.type(epsilon))
    x_hat = (x - mean[:, None]) * inv_std[:, None]
    return gamma[:, None] * x_hat + beta[:, None], (x_hat, gamma, inv_std)


def saved_y():
    def wrong_forward(x, gamma, beta, epsilon, *, out=None):
        y, (_, *rest) = forward(x, gamma, beta, epsilon, out=out)
        return y, (y, beta.copy(), *rest)

    def wrong_backward(dy, saved, *, out=None):
        y, beta, gamma, inv_std = saved
        safe = np.where(gamma == 0, 1, gamma)
        return backward(dy, ((y - beta[:, None].astype("float64")) / safe[:, None], gamma, inv_std), out=out)

    return dataclasses.replace(RIGHT, forward=wrong_forward, backward=wrong_backward)


def damages_saved():
    def wrong_backward(dy, saved, *, out=None):
        found = backward(dy, saved, out=out)
        saved[0][...] *= 2
        return found

    return dataclasses.replace(RIGHT, backward=wrong_backward)


def crashes_again():
    used = []

    def wrong_backward(dy, saved, *, out=None):
        if any(each is saved for each in used):
            raise IndexError("pop from empty list")
        used.append(saved)
        return backward(dy, saved, out=out)

    return dataclasses.replace(RIGHT, backward=wrong_backward)


def writes_into_x():
    def wrong_forward(x, gamma, beta, epsilon, *, out=None):
        result = forward(x, gamma, beta, epsilon, out=out)
        if x.flags.writeable:
            x[...] = 0
        return result

    return dataclasses.replace(RIGHT, forward=wrong_forward)


def half_sums():
    def wrong_backward(dy, saved, *, out=None):
        dx, dgamma, _ = backward(dy, saved)
        flat = dy.transpose(1, 0, 2).reshape(dy.shape[1], -1)
        return dx, dgamma, np.add.accumulate(flat, axis=1, dtype=dy.dtype)[:, -1]

    return dataclasses.replace(RIGHT, backward=wrong_backward, dtypes=("float16", "float32"))


WRONG = {
    "inner a multiple of 4": lambda: changed(lambda x: x.shape[2] % 4 == 0, doubled),
    "inner odd and above 1": lambda: changed(lambda x: x.shape[2] % 2 == 1 < x.shape[2], doubled, of="dx"),
    "F a multiple of 32": lambda: changed(lambda dy: dy.shape[1] % 32 == 0, doubled, of="dgamma"),
    "more than 256 samples": lambda: changed(lambda dy: dy.shape[0] * dy.shape[2] > 256, doubled, of="dbeta"),
    "more than 1,024 items": lambda: changed(lambda x: x.shape[0] > 1024, doubled),
    "more than 32,767 samples": lambda: changed(lambda x: x.shape[0] * x.shape[2] > 32767, doubled),
    "more than 65,535 features": lambda: changed(lambda x: x.shape[1] > 65535, doubled),
    "more than 32,768 elements": lambda: changed(lambda x: x.size > 32768, doubled),
    "N == F": lambda: changed(lambda x: x.shape[0] == x.shape[1], doubled),
    "inner == F": lambda: changed(lambda x: x.shape[2] == x.shape[1], doubled),
    "one item": lambda: changed(lambda x: x.shape[0] == 1 < x.shape[2], doubled),
    "one sample": lambda: changed(lambda x: x.shape[0] * x.shape[2] == 1, doubled),
    "gamma all 1": lambda: in_forward(lambda x, g, b, e: (x, 2 * g if (g == 1).all() else g, b, e)),
    "gamma all 0": lambda: in_forward(lambda x, g, b, e: (x, g, b + 1 if not g.any() else b, e)),
    "gamma clipped at 10": lambda: in_forward(lambda x, g, b, e: (x, np.clip(g, -10, 10), b, e)),
    "x clipped at 65,504": lambda: in_forward(lambda x, g, b, e: (np.clip(x, -65504, 65504), g, b, e)),
    "dy clipped at 100": lambda: changed(lambda dy: np.abs(dy).max() > 100, lambda dx: dx.fill(0), of="dx"),
    "epsilon at least 1e-12": lambda: in_forward(lambda x, g, b, e: (x, g, b, max(e, 1e-12))),
    "NaN becomes 0": lambda: in_forward(lambda x, g, b, e: (np.nan_to_num(x), g, b, e)),
    "subnormal x becomes 0": lambda: in_forward(
        lambda x, g, b, e: (np.where(np.abs(x) < np.finfo(x.dtype).tiny, x.dtype.type(0), x), g, b, e)
    ),
    "variance in one pass": lambda: dataclasses.replace(RIGHT, forward=one_pass),
    "the first epsilon is kept": first_epsilon,
    "saved lies in 8 buffers": lambda: ring(8),
    "dgamma adds up": adds_up,
    "wrong from the 101st call on": lambda: later(101),
    "infer keeps gamma by its address": by_identity,
    "backward takes dy for contiguous": raw_dy,
    "infer takes x for contiguous": raw_infer,
    "backward needs y as it was": saved_y,
    "backward damages saved": damages_saved,
    "a second backward crashes": crashes_again,
    "forward writes into x": writes_into_x,
    "sums in float16": half_sums,
    "y is float64": lambda: dataclasses.replace(
        RIGHT, forward=lambda *given, out=None: (forward(*given)[0].astype("float64"), forward(*given)[1])
    ),
}


@pytest.mark.parametrize("fault", WRONG)
def test_a_fault_is_found(fault):
    outcome = search(WRONG[fault](), 60, cases=len(sequence.TELLING) + len(sequence.PATHS))
    assert outcome.wrong is not None, fault
    assert outcome.counts[CaseVerdict.WRONG] == 1
    assert outcome.wrong.findings or outcome.wrong.reason


# Right kernels


def own_type(x, gamma, beta, epsilon):
    centred = x - x.mean(SAMPLES, keepdims=True)
    std = ((centred * centred).mean(SAMPLES, keepdims=True) + epsilon) ** 0.5
    x_hat = centred / std
    return gamma[:, None] * x_hat + beta[:, None], (x_hat, gamma[:, None] / std)


def own_type_back(dy, saved):
    x_hat, scale = saved
    mean_dy, mean_dy_x_hat = dy.mean(SAMPLES, keepdims=True), (dy * x_hat).mean(SAMPLES, keepdims=True)
    return scale * (dy - mean_dy - x_hat * mean_dy_x_hat), (dy * x_hat).sum(SAMPLES), dy.sum(SAMPLES)


OWN_TYPE = Kernel(own_type, own_type_back, name="own-type")


def refuses(x, gamma, beta, epsilon, *, out=None):
    if x.shape[0] * x.shape[2] == 1:
        raise ValueError("Expected more than 1 value per channel when training")
    if not x.flags.c_contiguous:
        raise NotImplementedError("x is not contiguous")
    return forward(x, gamma, beta, epsilon, out=out)


def once(dy, saved, *, out=None):
    if len(saved) == 4:
        raise RuntimeError("Trying to backward through the graph a second time")
    found = backward(dy, saved, out=out)
    saved.append("used")
    return found


def listed(*given, out=None):
    y, saved = forward(*given, out=out)
    return y, list(saved)


GOOD = {
    "float64 inside": RIGHT,
    "x's own type": OWN_TYPE,
    "refuses": dataclasses.replace(RIGHT, forward=refuses),
    "single use": dataclasses.replace(RIGHT, forward=listed, backward=once),
    "folded": dataclasses.replace(
        RIGHT,
        infer=lambda x, g, b, m, v, e, *, out=None: (
            x * (g / np.sqrt(v + e))[:, None] + (b - m * (g / np.sqrt(v + e)))[:, None]
        ).astype(x.dtype) if out is None else infer(x, g, b, m, v, e, out=out),
    ),
    "half precision": dataclasses.replace(RIGHT, dtypes=("float16",)),
}  # fmt: skip


@pytest.mark.parametrize(
    ("seed", "name"),
    [
        pytest.param(seed, name, marks=[] if name in ("float64 inside", "refuses", "single use") else pytest.mark.slow)
        for seed, name in enumerate(GOOD)
    ],
)
def test_a_right_kernel_is_never_wrong(name, seed):
    outcome = search(GOOD[name], 60, seed, cases=90)
    assert outcome.wrong is None, f"{outcome.wrong.line}: {outcome.wrong.findings[:1]} {outcome.wrong.reason}"
    assert outcome.problems == 90
    assert outcome.single_use == (name == "single use")
    assert (outcome.counts[CaseVerdict.REFUSED] > 0) == (name == "refuses")


# Verdicts


def verdict(kernel, text):
    return trial.run(kernel, CaseLine.parse(text))


def test_digits_lost_far_from_0_are_inexact_and_one_pass_is_wrong():
    far = "200x4/per-activation/float32/eps=1e-05 data=+1e6"
    assert verdict(OWN_TYPE, far).verdict is CaseVerdict.INEXACT
    assert verdict(RIGHT, far).verdict is CaseVerdict.PASS
    assert verdict(dataclasses.replace(OWN_TYPE, forward=one_pass), far).verdict is CaseVerdict.WRONG


def test_squares_beyond_the_range_of_the_type_are_inexact_and_said():
    tried = verdict(OWN_TYPE, "20x4/per-activation/float32/eps=1e-05 data=x1e20")
    assert tried.verdict is CaseVerdict.INEXACT
    assert "squares of deviations are beyond the 3.4e+38" in tried.reason


@pytest.mark.parametrize("error", [ValueError, TypeError, NotImplementedError, np.linalg.LinAlgError])
def test_a_kernel_may_refuse_what_not_every_kernel_does_and_nothing_else(error):
    def refuse(*given, out=None):
        raise error("no")

    kernel = dataclasses.replace(RIGHT, forward=refuse)
    for text in ("1x9", "9x3/eps=0", "9x3 memory=x[::2]", "9x3 data=nan"):
        assert verdict(kernel, text).verdict is CaseVerdict.REFUSED
    for text in ("9x3", "9x3 memory=read-only", "9x3 history=20f20b"):
        assert verdict(kernel, text).verdict is CaseVerdict.WRONG


def test_another_exception_is_wrong():
    def fail(*given, out=None):
        raise ZeroDivisionError("division by zero")

    tried = verdict(dataclasses.replace(RIGHT, forward=fail), "1x9")
    assert tried.verdict is CaseVerdict.WRONG
    assert "ZeroDivisionError: division by zero" in tried.reason


def test_data_that_show_nothing_are_undecided():
    assert verdict(dataclasses.replace(RIGHT, infer=None), "1x9/eps=0").verdict in (
        CaseVerdict.UNDECIDED,
        CaseVerdict.PASS,  # dbeta can be judged
    )


def test_memory_that_there_is_not_is_not_tried(monkeypatch):
    monkeypatch.setattr(trial, "MOST_BYTES", 1)
    tried = verdict(RIGHT, "300x300")
    assert tried.verdict is CaseVerdict.NOT_TRIED


def test_results_that_are_overwritten_are_named():
    y = {}

    def shared(x, gamma, beta, epsilon, *, out=None):
        into = y.setdefault((x.shape, x.dtype), np.empty_like(x))
        return forward(x, gamma, beta, epsilon, out=into)

    tried = verdict(dataclasses.replace(RIGHT, forward=shared), "6x4 history=3f3b")
    assert tried.reason == "a later call overwrites y"


def test_chance_is_named_with_the_repeats_that_show_it():
    rng = np.random.default_rng(1)
    kernel = changed(lambda dy: rng.random() < 0.02, doubled, of="dgamma")
    outcome = search(kernel, 60, cases=44)
    assert outcome.odds > 0
    assert "differs from call to call, on the same data" in outcome.wrong.reason
    assert trial.run(kernel, CaseLine.parse(str(outcome.wrong.line))).verdict is CaseVerdict.WRONG


# The search as a whole


def test_a_search_ends_in_time_and_counts():
    seen = []
    outcome = search(RIGHT, 0.3, 5, progress=lambda outcome: seen.append(outcome.problems))
    assert 0.3 <= outcome.seconds < 5
    assert seen == list(range(1, outcome.problems + 1))
    assert outcome.largest > 0
    assert outcome.histories > 0


def test_threads_are_set_for_the_calls_and_put_back():
    counts = []
    kernel = dataclasses.replace(RIGHT, set_threads=lambda count: counts.append(count) or 5)
    assert verdict(kernel, "6x4 threads=3").verdict is CaseVerdict.PASS
    assert counts == [3, 5]


def test_the_calls_of_a_history_are_those_it_says():
    calls = []

    def noted(name, function):
        @functools.wraps(function)
        def call(*given, **options):
            calls.append(name)
            return function(*given, **options)

        return call

    kernel = dataclasses.replace(
        RIGHT, forward=noted("f", forward), backward=noted("b", backward), infer=noted("i", infer)
    )
    verdict(kernel, "6x4 history=3f3b2(fb)i")
    assert "".join(calls) == "fffbbbfbfbi" == call_history.steps("3f3b2(fb)i")
