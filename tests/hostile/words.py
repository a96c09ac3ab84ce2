"""Text and numbers that parsers trip on, and the descriptors of problems."""

from hypothesis import strategies as st

from bncli.core import ranges
from bncli.core.problem import Problem
from bncli.errors import InputError

NASTY = (
    *("", " ", "\x00", "\x1b[2J", "\n", "\r", "\t", "\u202eabc", "\u00e9", "\u0663", "\U0001d7db", "\u017f", "\ud800"),
    *("-1", "0", "1e999", "nan", "inf", "0x10", "1_0", "+1", " 1", "1 ", "9" * 30, "9" * 5000, "a" * 5000),
    *("../../x", "/", "~", "$(reboot)", "; ls", "%s", "{}", "{1..2:x2}", "[red]"),
)
TEXT = st.one_of(st.sampled_from(NASTY), st.text(max_size=20))
LARGE = (2**31, 2**63, 2**64, -(2**63), 1e300)
NUMBER = st.one_of(st.integers(-3, 12), st.integers(), st.floats(), st.sampled_from(LARGE))
WORD = st.one_of(TEXT, NUMBER.map(str))
JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBER, TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=8,
)

RANGE = st.tuples(NUMBER, NUMBER, st.sampled_from("x+*"), NUMBER).map("{{{0[0]}..{0[1]}:{0[2]}{0[3]}}}".format)
SIZE = st.integers(0, 6) | st.integers(0, 10**13)
PARTS = (
    "per-activation",
    "channels-last",
    "float16",
    "float32",
    "bfloat16",
    "float128",
    "eps=1e-5",
    "eps=nan",
    "eps=",
    "",
)
DESCRIPTOR = st.builds(
    lambda axes, parts: "/".join(["x".join(axes), *parts]),
    st.lists(st.one_of(SIZE.map(str), TEXT, RANGE), max_size=5),
    st.lists(st.one_of(st.sampled_from(PARTS), NUMBER.map("eps={}".format), TEXT), max_size=4),
)


def descriptors(draw):
    read_back(draw(DESCRIPTOR))


def read_back(text):
    """What can be read is written as it was meant, and reads back."""
    try:
        found = ranges.problems(text)
    except InputError:
        return
    assert 0 < len(found) <= ranges.MOST_PROBLEMS
    for problem in found[::10]:
        assert Problem.parse(str(problem)) == problem
