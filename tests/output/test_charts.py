"""What charts show, whatever draws them: points where their numbers are, and nothing taken on trust."""

import itertools
import math
import warnings
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bncli.comparison import saved
from bncli.core.chart import Axis
from bncli.core.problem import shared_parts
from bncli.core.report import Column, Report
from bncli.output.charts import charts
from bncli.output.drawing import subrows, svg
from bncli.output.drawing.scale import Scale
from bncli.output.drawing.style import LIMIT, STYLES
from planted import typed

LOGARITHMIC, LINEAR = Axis("time", "seconds"), Axis("kernels", "count", logarithmic=False)


def bench(*rows):
    return charts(Report("bench", (), typed(rows)))


def timed(kernel, problem, median, **more):
    moved = {"bytes": 1000, "direction": "forward", "input": "--seed 0"}
    return {"kernel": kernel, "problem": problem, "median": median, **moved, **more}


def series(chart, name):
    return next(each for each in chart.series if each.name == name)


def test_every_command_with_figures_has_charts(saved_results):
    for name, path in saved_results.items():
        found = charts(saved.load(path))
        assert found, name
        assert all(any(each.points for each in chart.series) for chart in found), name


def test_times_stand_in_the_row_of_their_problem_with_the_memory_roofline():
    [chart] = bench(
        timed("numpy", "4x3/float32", 2e-3, low=1e-3, high=3e-3, of_limit=20.0),
        timed("numba", "4x3/float32", 5e-4),
        timed("numpy", "8x3/float32", 4e-3),
        timed("copy", "4x3/float32", 1e-4, direction="limit"),
        timed("add", "4x3/float32", 2e-4, direction="limit", bytes=1500),
    )
    assert chart.rows == ["4x3", "8x3"]
    assert chart.setting == "float32"
    assert [(p.at, p.value, p.low, p.high) for p in series(chart, "numpy").points] == [
        (0, 2e-3, 1e-3, 3e-3), (1, 4e-3, None, None),
    ]  # fmt: skip
    assert [(p.at, p.value) for p in series(chart, "memory roofline").points] == [(0, 1e-4)]
    assert series(chart, "numpy").points[0].says == (
        "numpy forward 4x3/float32: 2.00 ms (95 %: 1.00 ms to 3.00 ms), 20.0× the limit, 0.000500 GB/s"
    )


def test_what_differs_in_how_it_was_timed_is_in_the_name_of_the_row():
    [chart] = bench(timed("numpy", "4x3", 1e-3, cache="warm"), timed("numpy", "4x3", 2e-3, cache="cold"))
    assert chart.rows == ["4x3  cache warm", "4x3  cache cold"]


def test_a_range_of_shapes_has_a_chart_of_its_growth_and_a_roofline():
    rows = [timed("numpy", f"{n}x3/float32", n * 1e-6, bytes=n * 24) for n in (400, 100, 200)]
    limits = [timed("copy", f"{n}x3/float32", n * 1e-8, bytes=n * 24, direction="limit") for n in (100, 200, 400)]
    times, growth, roofline = bench(*rows, *limits)
    assert times.rows == ["400x3", "100x3", "200x3"]
    assert growth.setting == "float32"
    assert [each.name.partition(" ±")[0] for each in growth.series] == ["numpy, k = 1.0", "memory roofline, k = 1.0"]
    assert [(p.at, p.value) for p in growth.series[0].points] == [
        (300, pytest.approx(1e-4)), (600, pytest.approx(2e-4)), (1200, pytest.approx(4e-4)),
    ]  # fmt: skip
    assert [p.at for p in growth.series[1].points] == [300, 600, 1200]
    assert [p.value for p in series(roofline, "memory roofline").points] == pytest.approx([2.4e9] * 3)
    assert sorted(p.at for p in series(roofline, "numpy").points) == [2400, 4800, 9600]


def test_a_kernel_without_a_time_at_some_sizes_grows_without_an_exponent():
    rows = [timed("numpy", f"{n}x3", n * 1e-6) for n in (100, 200, 400)]
    growth = next(chart for chart in bench(*rows, *(timed("mine", f"{n}x3", 1e-6) for n in (100, 400))) if chart.along)
    assert [each.name.partition(" ±")[0] for each in growth.series] == ["numpy, k = 1.0", "mine"]
    assert [point.at for point in series(growth, "mine").points] == [300, 1200]


@pytest.mark.parametrize(
    "problems", [["4x3", "8x3"], ["4x3", "8x3", "8x6"], ["4x3", "8x3/float32", "16x3"], ["4x3", "8x3", "what"]]
)
def test_problems_that_are_no_range_have_no_growth(problems):
    assert [chart.title for chart in bench(*(timed("numpy", each, 1e-3) for each in problems))] == ["forward: time"]


def test_a_ratio_is_drawn_with_its_noise():
    row = {"kernel": "numba", "problem": "4x3", "direction": "forward", "verdict": "SLOWER"}
    rows = [row | {"ratio": 1.5, "low": 1.4, "high": 1.6, "floor": 0.25}, row]
    [chart] = charts(Report("compare", (), typed(rows, "compare")))
    [noise] = series(chart, "noise").points
    assert (noise.low, noise.high) == (0.8, 1.25)
    [point] = series(chart, "SLOWER").points
    assert (point.value, *point.ends) == (1.5, 1.4, 1.6)
    drawn = ElementTree.fromstring(svg.picture(chart))
    [band] = [each for each in drawn.iter("rect") if each.get("class") == "band"]
    left, right = float(band.get("x")), float(band.get("x")) + float(band.get("width"))
    [same] = [each.get("d") for each in drawn.iter("path") if each.get("class") == "mark"]
    assert float(same[1:].split()[0]) == pytest.approx((left + right) / 2, abs=0.1)  # 1, of which both ends are as far
    [slower] = [each for each in drawn.iter("circle") if each.get("class") == "reach"]
    assert float(slower.get("transform")[len("translate(") :].split()[0]) > right


def test_the_share_of_the_budget_is_drawn_for_all_that_was_measured():
    row = {"kernel": "numpy", "problem": "4x3", "method": "central", "verdict": "PASS"}
    rows = [
        row | {"array": array, "share": share} for array, share in (("dx", 0.5), ("dbeta", math.inf), ("all", None))
    ]
    [chart] = charts(Report("gradcheck", (), typed(rows, "gradcheck")))
    assert chart.rows == ["dx against central", "dbeta against central"]
    assert [p.value for p in chart.series[0].points] == [0.5, math.inf]


def test_selftest_counts_what_each_check_rejects():
    columns = [Column("slopes", "slopes", "count"), Column("torch_fast", "fast", "count")]
    rows = [{"group": "faults", "kernel": "k", "verdict": "PASS", "slopes": slopes} for slopes in (2, None, 1)]
    [chart] = charts(Report("selftest", columns, typed(rows, "selftest")))
    assert chart.rows == ["slopes"]
    assert chart.series[0].points[0].value == 2
    assert chart.marks[0].value == 3


def test_a_command_without_charts_has_none():
    assert charts(Report("kernels", (), [{"kernel": "numpy"}])) == []


NUMBER = st.none() | st.floats()
SECONDS = st.floats(1e-12, 1e9)
WORD = st.text(max_size=5)
# Whatever a file may hold once it is read: the types of its columns, and nothing more.
STRANGE = {
    "bench": {
        "kernel": WORD, "problem": WORD, "direction": WORD | st.just("limit"), "input": WORD, "cache": WORD,
        "median": SECONDS, "low": SECONDS, "high": SECONDS, "samples": st.lists(SECONDS, max_size=4),
        "bytes": st.integers(-(10**20), 10**20), "of_limit": NUMBER, "sweep": WORD,
    },
    "compare": {
        "kernel": WORD, "problem": WORD, "direction": WORD, "verdict": WORD | st.just("SLOWER"), "old": NUMBER,
        "new": NUMBER, "ratio": st.floats(), "low": st.floats(), "high": st.floats(), "floor": NUMBER, "beside": WORD,
    },
    "gradcheck": {
        "kernel": WORD, "problem": WORD, "array": WORD, "method": WORD, "verdict": WORD, "share": NUMBER,
        "error": NUMBER,
    },
    "verify": {"kernel": WORD, "problem": WORD, "check": WORD, "dtype": WORD, "verdict": WORD, "share": NUMBER},
    "curve": {"kernel": WORD, "problem": WORD, "ratio": st.floats(), "y": st.floats(), "dx": st.floats()},
    "selftest": {"kernel": WORD, "group": WORD, "verdict": WORD, "slopes": st.none() | st.integers()},
}  # fmt: skip


@pytest.mark.parametrize("command", STRANGE)
@given(st.data())
def test_no_row_however_strange_is_a_crash(command, data):
    from bncli.output.drawing import svg

    name = "verify" if command == "curve" else command
    rows = typed(data.draw(st.lists(st.fixed_dictionaries(STRANGE[command]), max_size=4)), name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of medians of numbers near the end of all floats
        for chart in charts(Report(name, (Column("slopes", "slopes", "count"),), rows)):
            assert svg.picture(chart).startswith("<svg ")
            assert all(svg.key(each).startswith("<svg ") for each in chart.series)


@pytest.mark.parametrize("axis", [LOGARITHMIC, LINEAR])
@example(values=[1.0, 2.5e296], other=0.0)
@example(values=[1e-139, 1e139], other=0.0)
@given(values=st.lists(st.floats(allow_nan=False), max_size=5), other=st.floats(allow_nan=False))
def test_every_value_has_a_place_on_its_axis(axis, values, other):
    scale = Scale.over(axis, values)
    shares = [scale.share(value) for value in sorted([*values, other])]
    assert shares == sorted(shares)
    assert all(0 <= share <= 1 for share in shares)
    assert all(scale.low <= tick <= scale.high for tick in scale.ticks)
    assert len(scale.ticks) <= 12


@pytest.mark.parametrize(
    ("axis", "values", "expected"),
    [
        (LOGARITHMIC, [2e-6, 3e-2], ["10 µs", "100 µs", "1 ms", "10 ms"]),
        (LOGARITHMIC, [1.1e-6, 1.1e-5], ["2 µs", "5 µs", "10 µs"]),
        (Axis("", "times"), [0.9, 1.3], ["0.9×", "1×", "1.1×", "1.2×", "1.3×"]),
        (Axis("", "error"), [1e-16, 1], ["1e-15", "1e-12", "1e-9", "1e-6", "0.001", "1"]),
        (Axis("", "bytes"), [1000, 9e6], ["4 KiB", "32 KiB", "256 KiB", "2 MiB"]),
        (Axis("", "bytes/s"), [3e8, 2e11], ["1 GB/s", "10 GB/s", "100 GB/s"]),
        (LINEAR, [84], ["0", "20", "40", "60", "80"]),
        (LINEAR, [0.0], ["0", "0.5", "1"]),
    ],
)
def test_ticks_are_round_and_have_units(axis, values, expected):
    assert Scale.over(axis, values).labels() == expected


def test_series_are_distinguished_without_colour():
    for aspect in ("letter", "path", "dashes"):
        values = [getattr(style, aspect) for style in (*STYLES, LIMIT)]
        assert len(set(values)) == len(values), aspect


def luminance(colour):
    """Relative luminance, as WCAG 2.2 defines it."""
    channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_series_stand_out_from_a_white_and_from_a_dark_page():
    for style in (*STYLES, LIMIT):
        assert 1.05 / (luminance(style.light) + 0.05) >= 4.5, style
        assert (luminance(style.dark) + 0.05) / (luminance("#14171a") + 0.05) >= 4.5, style
    for one, other in itertools.combinations(STYLES, 2):
        assert one.light != other.light


def test_points_of_one_row_lie_in_subrows_of_their_own():
    [chart] = bench(
        timed("numpy", "4x3", 1e-3), timed("numba", "4x3", 2e-3), timed("copy", "4x3", 1e-4, direction="limit")
    )
    assert [subrows.offset(chart, each) for each in chart.series] == [-0.25, 0.25, 0.0]
    [apart] = bench(timed("numpy", "4x3", 1e-3), timed("numba", "8x3", 2e-3))
    assert [subrows.offset(apart, each) for each in apart.series] == [0.0, 0.0]


def test_descriptors_without_their_shared_parts():
    assert shared_parts(["4x3/a/float32", "4x3/b/float32"]) == (["4x3/a", "4x3/b"], "float32")
    assert shared_parts(["4x3/a"]) == (["4x3"], "a")
    assert shared_parts([]) == ([], "")


def test_each_sweep_has_a_growth_of_its_own_with_the_slope_of_its_times():
    def swept(sweep, exponent, **more):
        return [
            timed("numpy", f"{n}x{n}/float32", 1e-9 * (n * n) ** exponent, sweep=sweep, **more)
            for n in (10, 20, 40, 80)
        ]

    rows = [
        *swept("first", 1.5, cache="warm"),
        *swept("second", 0.5, cache="warm"),
        *swept("second", 1.0, cache="cold"),
    ]
    found = [chart for chart in bench(*rows) if chart.title == "forward: growth"]
    names = [(chart.setting, chart.series[0].name.partition(" ±")[0]) for chart in found]
    assert names == [
        ("first  cache warm", "numpy, k = 1.5"),
        ("second  cache warm", "numpy, k = 0.50"),
        ("second  cache cold", "numpy, k = 1.0"),
    ]
    assert [p.at for p in found[0].series[0].points] == [100, 400, 1600, 6400]


def test_the_limit_of_a_row_is_that_of_its_cache_and_its_threads():
    limit = {"direction": "limit"}
    rows = [
        timed("numba", "4x3", 1e-3, cache="warm", threads=1),
        timed("numba", "4x3", 2e-3, cache="cold", threads=1),
        timed("numpy", "4x3", 3e-3, cache="warm", threads=None),
        timed("copy", "4x3", 1e-5, cache="warm", threads=2, **limit),
        timed("copy", "4x3", 2e-5, cache="warm", threads=1, **limit),
        timed("copy", "4x3", 9e-5, cache="cold", threads=1, **limit),
    ]
    [chart] = bench(*rows)
    assert chart.rows == ["4x3  threads 1  cache warm", "4x3  threads 1  cache cold", "4x3  threads any  cache warm"]
    assert [p.value for p in series(chart, "memory roofline").points] == [2e-5, 9e-5, 1e-5]


def test_each_way_of_timing_has_its_own_roofline():
    rows = [
        timed("numpy", f"{n}x3/float32", n * 1e-6, bytes=n * 24, cache=cache)
        for cache in ("warm", "cold")
        for n in (1, 2, 3)
    ]
    found = [chart for chart in bench(*rows) if chart.title == "forward: roofline"]
    assert [(chart.setting, len(chart.series[0].points)) for chart in found] == [("cache warm", 3), ("cache cold", 3)]
