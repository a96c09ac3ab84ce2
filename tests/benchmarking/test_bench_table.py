"""The tables of a benchmark, of planted rows."""

import io

import pytest
from rich.console import Console

from bncli.benchmarking import table
from bncli.benchmarking.settings import Settings
from bncli.output.terminal import tables
from planted import typed

PROBLEM = {"problem": "50x64x112x112/channels-first/float32/eps=1e-05", "input": "--random normal --seed 0"}
TIMES = {"forward": 123.4e-6, "backward": 12.34e-3, "infer": 1.234}
WRONG = "wrong is not timed: dx is WRONG: at (1, 2) it is 3 and should be 4"
AGAIN = "reproduce: bncli gradcheck --kernel wrong --shape 50x64x112x112/channels-first/float32/eps=1e-05 --seed 0"
OPERATION = {"forward": "copy", "backward": "add", "infer": "copy"}


def timed(kernel, direction, **more):
    row = PROBLEM | {
        "kernel": kernel, "direction": direction, "outputs": "fresh", "cache": "warm", "threads": None,
        "verdict": "PASS", "digits": {"forward": 6.94, "backward": 6.25, "infer": 7.2}[direction], "note": "",
        "median": TIMES[direction], "low": 1e-4, "high": 2e-4, "speedup": 12.34, "speedup_low": 12.1,
        "speedup_high": 12.74, "of_limit": 23.45, "memory_passes": 46.9, "noise_floor": 0.021, "rounds": 1234,
        "stopped": "precise", "reproduce": "", "samples": [1.0], "spread": 0.02, "bandwidth": 1e10, "minimum": 1e-4,
        "calls": 8, "outliers": 3, "first": 0.5, "bytes": 1 << 20, "way": "",
    }  # fmt: skip
    return row | more


def limit(operation, **more):
    known = timed(operation, "forward") | {"direction": "limit", "median": 1e-6, "speedup": None, "of_limit": None}
    for key in ("verdict", "digits", "outputs"):
        del known[key]
    return known | more


def untimed(kernel, direction, verdict, note=""):
    row = {key: value for key, value in timed(kernel, direction).items() if key in (*PROBLEM, "outputs", "cache")}
    judged = {"verdict": verdict, "digits": 2.0} if verdict else {}
    failed = {"reproduce": AGAIN if verdict != "PASS" else ""}
    return row | {"kernel": kernel, "direction": direction, "note": note} | judged | failed


def rows(*kernels, directions=("forward", "backward"), **more):
    found = [timed(kernel, direction, **more) for kernel in kernels for direction in directions]
    return found + [limit(name) for name in dict.fromkeys(OPERATION[direction] for direction in directions)]


def shown(report, width=80):
    console = Console(width=width, file=io.StringIO(), highlight=False)
    tables.show(report, console)
    text = console.file.getvalue()
    assert all(len(line) <= width or line.startswith("reproduce") for line in text.splitlines())
    return text


def brief(found, **settings):
    return table.brief(typed(found), "numpy", Settings(**settings))


def test_a_kernel_is_a_line_with_both_passes():
    report = brief(rows("numpy", "numba", "torch", "onednn", "inductor", "jax"))
    lines = [" ".join(line.split()) for line in shown(report).splitlines()]
    assert lines[1] == "kernel digits forward vs numpy ×limit backward vs numpy ×limit"
    assert lines[4] == "numba 6.2 123 µs 12.3× ±0.4 23.4× 12.3 ms 12.3× ±0.4 23.4×"
    assert [line.split()[0] for line in lines[3:9]] == ["numpy", "numba", "torch", "onednn", "inductor", "jax"]
    assert lines[9] == "limit – 1.00 µs – – 1.00 µs – –"
    assert lines[10] == "1,234 samples each, until every median was precise; noise 2.1 %"


@pytest.mark.parametrize("passes", [("forward",), ("infer",), ("backward", "forward")])
def test_the_passes_stand_in_the_order_that_was_asked_for(passes):
    header = shown(brief(rows("numpy", "numba", directions=passes), directions=passes)).splitlines()[1].split()
    assert [word for word in header if word in TIMES] == list(passes)


def test_a_wrong_kernel_has_a_verdict_for_digits_and_the_command_that_shows_it():
    found = [*rows("numpy"), untimed("wrong", "forward", "PASS"), untimed("wrong", "backward", "WRONG", WRONG)]
    text = shown(brief(found))
    line = next(line for line in text.splitlines() if line.startswith("wrong "))
    assert line.split() == ["wrong", "WRONG", *"––––––"]
    assert WRONG in " ".join(text.split())
    assert text.count(AGAIN) == 1
    assert AGAIN in text.splitlines()  # whole, to be copied


def test_a_pass_that_a_kernel_lacks_is_said_and_is_no_failure():
    lacking = untimed("mine", "infer", None, "mine is not timed: it has no infer") | {"reproduce": ""}
    text = shown(brief([timed("mine", "forward"), lacking, limit("copy")], directions=("forward", "infer")))
    assert next(line for line in text.splitlines() if line.startswith("mine ")).split()[:2] == ["mine", "6.9"]
    assert "it has no infer" in text


def test_a_way_of_timing_is_a_column_where_there_are_several():
    found = [row for count in (1, 2) for row in rows("numpy", threads=count)]
    lines = shown(brief(found, threads=(1, 2))).splitlines()
    assert lines[1].split()[:3] == ["kernel", "threads", "digits"]
    assert [line.split()[:2] for line in lines[3:5]] == [["numpy", "1"], ["limit", "–"]]
    assert "threads" not in shown(brief(rows("numpy", threads=2), threads=(2,)))


@pytest.mark.parametrize(
    "settings",
    [
        {"directions": ("forward", "backward", "infer")},
        {"outputs": ("fresh", "given"), "caches": ("warm", "cold")},
        {"outputs": ("fresh", "given"), "caches": ("warm", "cold"), "threads": (1, 2), "directions": tuple(TIMES)},
    ],
)
def test_where_a_line_a_kernel_would_be_too_wide_there_is_a_line_a_pass(settings):
    directions = settings.get("directions", ("forward", "backward"))
    text = shown(brief(rows("numpy", "inductor", directions=directions), **settings))
    header = text.splitlines()[1].split()
    assert header[:2] == ["kernel", "pass"]
    assert header[-4:] == ["median", "vs", "numpy", "×limit"]
    assert sum(line.startswith("inductor") for line in text.splitlines()) == len(directions)


def test_wide_shows_every_column_however_narrow_the_terminal():
    settings = Settings()
    found = [*rows("numpy", "inductor"), untimed("wrong", "backward", "WRONG", WRONG)]
    report = table.detailed(typed(found), "numpy", settings)
    for width in (80, 160, 300):
        text = shown(report, width)
        for title in ("GB/s", "must move", "noise", "outliers", "stopped", "first call", "samples", "passes"):
            assert text.partition("1,234 samples each")[0].count(f" {title}") == 1, (width, title)
        assert text.count("12.3× ±0.4") == 4
        assert AGAIN in text
    # Each of the tables that continue one another says which rows these are.
    assert shown(report, 80).count("inductor  backward") == shown(report, 80).count("kernel    pass") > 1


def test_the_last_line_says_what_ended_the_sampling():
    for stopped, said in (("time", "--max-time was up"), ("interrupted", "it was interrupted"), ("stable", "stable")):
        assert said in shown(brief([timed("numpy", "forward", stopped=stopped, noise_floor=None)]))
    nothing = shown(brief([untimed("wrong", "forward", "WRONG", WRONG)]))
    assert "samples each" not in nothing


def test_an_interval_that_spans_more_than_a_factor_of_2_is_from_to_and_not_reliable():
    found = rows("numpy", "numba", directions=("forward",))
    noisy = {"low": 1.19e-5, "high": 5.67e-3, "speedup_low": 0.9, "speedup_high": 78.0}
    shaken = [found[0], found[1] | noisy | {"of_limit_low": 3.0, "of_limit_high": 390.0}, found[2]]
    for report in (brief(shaken, directions=("forward",)), table.detailed(typed(shaken), "numpy", Settings())):
        text = shown(report, 300)
        assert "11.9 µs–5.67 ms" in text
        assert "0.90–78×" in text
        assert "3.0–390×" in text
        assert text.rstrip().splitlines()[-1].startswith("NOT RELIABLE: 1,234 samples each, until")
    for steady in (brief(found), table.detailed(typed(found), "numpy", Settings())):
        assert "NOT RELIABLE" not in shown(steady, 300)
    assert "NOT RELIABLE" in shown(brief(rows("numpy", noise_floor=1.35)))


def test_what_is_not_reliable_is_dim():
    text = io.StringIO()
    tables.show(brief([timed("numpy", "forward", low=1e-5)]), Console(width=80, file=text, force_terminal=True))
    assert "\x1b[2m10.0–200 µs\x1b[0m" in text.getvalue()


def test_a_gate_says_how_many_samples_it_took_and_what_it_would_have_seen():
    gate = {"gate": "PASS", "gate_seen": 1.12}
    first = timed("numpy", "forward", stopped="decided")
    found = [first, timed("mine", "forward", rounds=9999, **gate), limit("copy")]
    last = shown(brief(found, directions=("forward",)), 120).rstrip().splitlines()[-1]
    assert last.startswith(
        "1,234 to 9,999 samples each, until every ratio was decided; noise 2.1 %; a slowdown of 1.12×"
    )
    unsure = [*found, timed("other", "forward", gate="UNSURE", gate_seen=1.5)]
    assert "would have been seen" not in shown(brief(unsure, directions=("forward",)), 120)
