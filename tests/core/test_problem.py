"""Problems, layouts and cases."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import naive
from bncli import Problem
from bncli.core.case import complete, generator
from bncli.core.layout import Layout
from bncli.core.problem import finfo
from bncli.errors import InputError

problems = st.builds(
    Problem,
    st.lists(st.integers(1, 9), min_size=2, max_size=5).map(tuple),
    st.sampled_from(list(Layout)),
    st.sampled_from(["float16", "float32", "float64"]),
    st.floats(0, 1e300),
)


@given(problems)
def test_a_descriptor_parses_back(problem):
    assert Problem.parse(str(problem)) == problem


def test_a_descriptor_is_one_familiar_line():
    problem = Problem((50, 64, 112, 112), "channels-first", "float32", 1e-5)
    assert str(problem) == "50x64x112x112/channels-first/float32/eps=1e-05"
    assert str(Problem((5, 100, 100, 3))) == "5x100x100x3/per-activation/float64/eps=1e-08"


def test_parts_left_out_are_those_of_the_default():
    default = Problem((1, 1), "channels-last", "float32", 0.5)
    assert Problem.parse("3x4/float64", default) == Problem((3, 4), "channels-last", "float64", 0.5)


@given(problems)
def test_the_canonical_view_gathers_the_samples_of_a_feature(problem):
    index = np.arange(problem.size).reshape(problem.shape)
    canonical = problem.canonical(index)
    assert np.shares_memory(canonical, index)
    assert (problem.own(canonical) == index).all()
    expected = naive.groups(problem.shape, str(problem.layout))
    assert len(expected) == problem.features == np.prod(problem.feature_shape)
    for feature, members in enumerate(expected):
        assert len(members) == problem.samples
        assert sorted(canonical[:, feature].ravel()) == sorted(index[i] for i in members)


@given(problems, st.data())
def test_positions_lead_back_to_the_problems_own_shape(problem, data):
    outer, feature, inner = (data.draw(st.integers(0, n - 1)) for n in problem.canonical_shape)
    index = np.arange(problem.size).reshape(problem.shape)
    assert index[problem.position(outer, feature, inner)] == problem.canonical(index)[outer, feature, inner]


def test_sizes():
    problem = Problem.parse("50x64x7x7/channels-first/float32")
    assert (problem.samples, problem.features, problem.size) == (50 * 49, 64, 50 * 64 * 49)
    assert problem.nbytes == 4 * problem.size


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot read the shape ''"),
        ("12", "the shape '12' has one axis"),
        ("5x", "cannot read the shape '5x'"),
        ("axb", "cannot read the shape 'axb'"),
        ("5x-3", "cannot read the shape"),
        ("٣x٣", "cannot read the shape"),
        ("9" * 5000 + "x2", "cannot read the shape"),
        ("5x0", "is empty"),
        ("5x3/sideways", "cannot read 'sideways'"),
        ("5x3/float8", "cannot read 'float8'"),
        ("5x3/eps=small", "epsilon 'small' is not a number"),
        ("5x3/eps=-1", "must be finite and not negative"),
        ("5x3/eps=nan", "must be finite and not negative"),
    ],
)
def test_wrong_words_are_one_line(text, message):
    with pytest.raises(InputError, match=message) as error:
        Problem.parse(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((5,),), "has no feature axis"),
        (((5, 3), "sideways"), "unknown layout"),
        (((5, 3), "per-activation", "int8"), "unknown dtype"),
    ],
)
def test_wrong_problems_are_one_line(arguments, message):
    with pytest.raises(InputError, match=message):
        Problem(*arguments)


def test_what_is_not_given_is_drawn_and_reproducible():
    problem = Problem((50, 6))
    x = generator(3, "x").random(problem.shape)
    case, again = complete(problem, {"x": x}, 3), complete(problem, {"x": x}, 3)
    for name in ("gamma", "beta", "dy"):
        np.testing.assert_array_equal(getattr(case, name), getattr(again, name))
    assert case.mean is None
    assert case.var is None
    assert (complete(problem, {"x": x}, 4).dy != case.dy).any()


def test_drawn_parameters_hide_nothing():
    problem = Problem((5, 1000))
    case = complete(problem, {"x": generator(0, "x").random(problem.shape)}, 0)
    assert (np.abs(case.gamma) >= 0.5).all()
    assert 400 < (case.gamma > 0).sum() < 600
    assert np.abs(case.beta).min() > 0


def test_drawn_dy_has_part_in_every_term_of_dx():
    # A mean of 200,000 random signs is 0 to three digits: a wrong mean term would weigh nothing.
    problem = Problem((200_000, 3))
    x = 100 + generator(0, "x").standard_normal(problem.shape)
    case = complete(problem, {"x": x}, 0)
    x_hat = (case.x - case.x.mean((0, 2))[:, None]) / case.x.std((0, 2))[:, None]
    assert (np.abs(case.dy.mean((0, 2))) > 0.4).all()
    assert (np.abs((case.dy * x_hat).mean((0, 2))) > 0.4).all()
    rest = case.dy - case.dy.mean((0, 2))[:, None] - x_hat * (case.dy * x_hat).mean((0, 2))[:, None]
    np.testing.assert_allclose(rest.std((0, 2)), 1, atol=0.01)


def test_each_array_has_a_generator_of_its_own():
    draws = [generator(0, name).standard_normal(20_000) for name in ("x", "gamma", "beta", "dy", "probe")]
    correlations = np.corrcoef(draws)[np.triu_indices(5, 1)]
    assert np.abs(correlations).max() < 0.03


def test_given_arrays_are_taken_in_either_shape():
    problem = Problem((4, 2, 3), "channels-first", "float32")
    rng = np.random.default_rng(0)
    x, dy, gamma = rng.random((4, 2, 3)), rng.random((4, 2, 3)), rng.random(2)
    case = complete(problem, {"x": x, "dy": problem.canonical(dy), "gamma": gamma, "mean": gamma, "var": gamma}, 0)
    assert case.x.shape == case.dy.shape == (4, 2, 3)
    assert case.x.dtype == case.gamma.dtype == np.float32
    assert case.mean.dtype == case.var.dtype == np.float64


def test_an_array_that_does_not_fit_is_one_line():
    problem = Problem((4, 2, 3))
    with pytest.raises(InputError, match=r"gamma has shape \(5,\), but .* needs \(2, 3\) or \(6,\)"):
        complete(problem, {"x": np.zeros((4, 2, 3)), "gamma": np.zeros(5)}, 0)


def test_bfloat16_says_which_package_it_needs(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr("bncli.core.problem.import_module", missing)
    with pytest.raises(InputError, match=r"bfloat16 needs the package ml_dtypes: pip install 'bncli\[bfloat16\]'"):
        Problem.parse("5x3/bfloat16")


def test_bfloat16_is_known_to_numpy_by_its_name():
    pytest.importorskip("ml_dtypes", reason="NumPy has bfloat16 from ml_dtypes")
    problem = Problem.parse("5x3/bfloat16")
    assert problem.nbytes == 30
    assert finfo(problem.dtype).eps == 2**-7
    assert np.zeros(3, problem.dtype).itemsize == 2
