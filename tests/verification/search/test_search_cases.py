"""Cases in one line, the sequence that a seed gives, their arrays and the oracle."""

import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bncli.core.kernel import Gradients
from bncli.core.layout import Layout
from bncli.core.problem import DTYPES, Problem
from bncli.errors import InputError
from bncli.loading.registry import load_kernel
from bncli.verification import tolerance
from bncli.verification.search import contents, memory_layouts, oracle, sequence
from bncli.verification.search.case_line import ALL, CaseLine
from bncli.verification.search.contents import NONE
from bncli.verification.search.sequence import Fixed
from bncli.verification.search.written_cases import PARTIAL

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
        line = sequence.case(seed, i, DTYPES, partial=PARTIAL)
        assert CaseLine.parse(str(line)) == line


WORDS = {name: st.sampled_from([*words, "x1e-3", "x7"]) for name, words in contents.WORDS.items()}


@given(
    shape=st.lists(st.integers(1, 10**6), min_size=2, max_size=4),
    words=st.fixed_dictionaries({name: st.lists(word, min_size=1, max_size=3) for name, word in WORDS.items()}),
    memory=st.lists(st.sampled_from([*memory_layouts.WORDS, *memory_layouts.FLAGS]), min_size=1, max_size=4),
    history=st.sampled_from(sequence.HISTORIES),
    grads=st.sampled_from([ALL, "x", "x,gamma", "x,beta"]),
    counts=st.tuples(st.integers(0, 64), st.integers(1, 500), st.integers(0, 2**31)),
)
def test_any_case_parses_back(shape, words, memory, history, grads, counts):
    texts = {name: NONE if NONE in some else ",".join(some) for name, some in words.items()}
    line = CaseLine(Problem(shape), **texts, memory=",".join(memory), history=history, grads=grads, threads=counts[0],
                    repeats=counts[1], seed=counts[2])  # fmt: skip
    assert CaseLine.parse(str(line)) == line


def test_a_kernel_that_takes_no_none_gets_the_same_cases_as_ever():
    plain = [sequence.case(0, i, FLOATS) for i in range(300)]
    assert {(line.gamma == NONE or line.beta == NONE, line.grads) for line in plain} == {(False, ALL)}
    partial = [sequence.case(0, i, FLOATS, partial=PARTIAL) for i in range(300)]
    assert {line.choice for line in partial} == {CaseLine.parse(f"1x1 {each}").choice for each in ("", *PARTIAL)}


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
        ("gamma=none,x2", "nothing can be added to none"),
        ("data=none", "cannot read 'none'"),
        ("grads=beta,x", "cannot read grads=beta,x: write some of x,gamma,beta, in this order"),
        ("grads=gamma gamma=none", "asks for the gradient of what is none"),
        ("memory=gamma:fortran", "cannot read 'gamma:fortran'"),
        ("history=16q", "call history '16q'"),
        ("history=b", "a backward that no forward"),
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


def test_a_search_starts_with_small_problems_of_every_layout():
    """So that a kernel is tried on all of them where no problem is named."""
    first = [sequence.case(0, i, ("float32", "float64")).problem for i in range(4)]
    assert {problem.layout for problem in first} == set(Layout)
    assert all(problem.size < 10_000 for problem in first)
