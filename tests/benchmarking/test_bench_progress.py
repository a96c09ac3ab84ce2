"""What bench says on a terminal while it compiles and measures."""

import io

import numba
import pytest
from rich.console import Console

from bncli.benchmarking.bench import rows_of
from bncli.commands import _live
from bncli.output.terminal import console, progress_bar
from short_runs import SHORT, kernel

pytestmark = pytest.mark.usefixtures("_in_an_empty_folder")


@pytest.mark.compiled
def test_numba_is_named_when_it_compiles_and_not_when_it_has():
    told = []
    twice = numba.njit(lambda x: 2 * x)
    with _live.compilations(told.append):
        assert twice(3) == 6
        assert told == [__name__]
        assert twice(4) == 8
    assert twice(0.5) == 1.0  # anew, and nobody listens
    assert told == [__name__]


def test_compiling_is_told_of_by_whose_code_it_is():
    told = []
    live = _live.Live([None] * 4, lambda share, doing, detail=str: told.append((share, doing)))
    live.kind = "per-activation float64"
    live(1.5, "verifying")
    live.compiling("bncli.kernels._numba.whole")
    live.compiling("numba.np.arrayobj")
    live.compiling("mine")
    assert told == [
        (0.375, "verifying"),
        (0.375, "compiling numba's kernels for per-activation float64, once per machine"),
        (0.375, "compiling mine for per-activation float64"),
    ]


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of 80 columns, whose clock is what ``now`` holds."""
    screen = io.StringIO()
    screen.isatty = lambda: True
    file = Console(force_terminal=True, width=80, file=screen)
    file.now = [100.0]
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(console, "stderr", lambda: file)
    monkeypatch.setattr(progress_bar, "monotonic", lambda: file.now[0])
    return file


def test_the_bar_tells_the_time_left_of_all(terminal):
    with console.progress(quietly=True) as update:
        update(0.0, "verifying")
        assert "left" not in terminal.file.getvalue()
        terminal.now[0] += 30
        update(0.25, "timing", lambda: "forward numpy 360 µs")
        shown = terminal.file.getvalue()
    assert "timing: forward numpy 360 µs" in shown
    assert "25 %" in shown
    assert "1:30 left" in shown


def test_the_bar_asks_for_details_only_when_it_is_drawn(terminal):
    asked = []
    with console.progress(quietly=True) as update:
        for _ in range(100):
            update(0.5, "timing", lambda: asked.append(1) or "now")
        assert len(asked) == 1
        terminal.now[0] += 1
        update(0.5, "timing", lambda: asked.append(1) or "later")
    assert len(asked) == 2


def test_the_bar_makes_room_for_tables(terminal):
    with console.progress(quietly=True) as update:
        update(0.5, "timing")
        with update.hidden():
            terminal.file.truncate(0)
            update(0.75, "verifying")
            assert "verifying" not in terminal.file.getvalue()
        assert "75 %" in terminal.file.getvalue()


def test_a_short_run_has_no_bar(terminal):
    with console.progress(after=2.0) as update:
        terminal.now[0] += 1.5
        update(0.5, "reading")
        assert "reading" not in terminal.file.getvalue()
        terminal.now[0] += 1.0
        update(0.75, "forward")
        assert "forward" in terminal.file.getvalue()


def test_nothing_is_drawn_where_there_is_no_terminal(monkeypatch):
    file = io.StringIO()
    monkeypatch.setattr(console, "stderr", lambda: Console(file=file))
    with console.progress(quietly=True) as update:
        update(0.5, "timing", lambda: pytest.fail("asked"))
        with update.hidden():
            pass
    assert file.getvalue() == ""


def test_each_step_of_a_problem_is_told(make_case):
    told = {}
    case = make_case("5x4")
    rows_of(case, [kernel()], SHORT, lambda share, doing, detail=str: told.setdefault(doing, share))
    assert list(told) == [f"{case.problem}: verifying mine", "timing 5x4", f"{case.problem}: verifying again"]
    assert list(told.values()) == [0, 0, 1]
