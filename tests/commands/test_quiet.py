"""What is said on stderr: what was written, and less of it with --quiet and --no-progress."""

import io

import pytest
from rich.console import Console

from bncli.commands import _arrays
from bncli.output.terminal import console
from command_line import SMALL, fails, run

pytestmark = pytest.mark.usefixtures("_in_an_empty_folder")
FORWARD = ("forward", "numpy", *SMALL)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_what_is_written_is_said(tmp_path):
    written = ("-o", "a.json", "--export", "b.csv", "--save", "c.npz", "--picture", "d.png", "--save-images", "e")
    told = run(*FORWARD, *written).stderr
    for name in ("a.json", "b.csv", "c.npz", "d.png"):
        assert f"wrote {name!r}\n" in told
        assert (tmp_path / name).is_file()
    assert "wrote 5 images of y into 'e'" in told
    assert run("gradcheck", "numpy", *SMALL, "--plot", "f.svg").stderr == "wrote 'f.svg'\n"


def test_quiet_prints_the_report_and_nothing_else_but_warnings_and_errors():
    with open("mine.py", "w", encoding="utf-8") as file:
        file.write("class Own:\n def forward(self, x, *_): return x\n def backward(self, dy): return dy, dy, dy\n")
    loud, quiet = run(*FORWARD, "-o", "a.json"), run(*FORWARD, "-o", "a.json", "-q")
    assert quiet.stdout == loud.stdout
    assert (loud.stderr, quiet.stderr) == ("wrote 'a.json'\n", "")
    assert run("kernels", "--quiet", "-o", "b.json").stderr == ""
    assert run(*FORWARD, "-o", "a.json").stderr == "wrote 'a.json'\n", "the next command is as loud as ever"
    failed = run("gradcheck", "numpynet", *SMALL, "--quiet", code=1)
    assert failed.stderr == "bncli: numpynet: dx is WRONG\n"


@pytest.mark.parametrize("place", ["-", "/dev/stdout"])
def test_an_export_to_stdout_names_the_option_for_that(place):
    said = fails(*FORWARD, "--export", place)
    assert said.endswith(f"--export {place}: the report is on stdout already: choose its format with --format")


def test_one_file_is_not_written_twice():
    assert fails(*FORWARD, "-o", "a.json", "-o", "b.csv", "-o", "./a.json").endswith(
        "the file 'a.json' twice: give two names"
    )


@pytest.mark.parametrize("option", ["--quiet", "--no-progress"])
def test_quiet_and_no_progress_hide_the_bar(option, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    terminal = Terminal()
    monkeypatch.setattr(console, "stderr", lambda: Console(force_terminal=True, width=80, file=terminal))
    run("gradcheck", "numpy", *SMALL)
    assert "checking numpy" in terminal.getvalue()
    terminal.truncate(0)
    run("gradcheck", "numpy", *SMALL, option)
    assert "checking" not in terminal.getvalue()


def test_a_log_of_a_ci_service_gets_no_bar(monkeypatch):
    monkeypatch.setenv("CI", "true")
    terminal = Terminal()
    monkeypatch.setattr(console, "stderr", lambda: Console(force_terminal=True, width=80, file=terminal))
    run("gradcheck", "numpy", *SMALL)
    assert terminal.getvalue() == ""


def test_colours_that_are_forced_into_a_log_bring_no_bar_there(monkeypatch):
    log = io.StringIO()
    monkeypatch.setattr(console, "stderr", lambda: Console(force_terminal=True, width=80, file=log))
    with console.progress() as update:
        update(0.5, "checking")
    assert log.getvalue() == ""


@pytest.mark.parametrize(
    ("words", "step"),
    [
        (("forward", "numpy"), "statistics of the results of numpy"),
        (("backward", "numpy"), "backward of numpy"),
        (("gradcheck", "numpy"), "checking numpy"),
        (("verify", "numpy", "--search", "0"), "numpy: "),
        (("bench", "numpy", "--max-time", "0"), "timing 5x4x4x3"),
        (("bench", "numpy", "--max-time", "0"), "verifying again"),
    ],
)
def test_a_command_that_may_take_long_shows_its_steps(words, step, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(_arrays, "PATIENCE", 0.0)
    terminal = Terminal()
    monkeypatch.setattr(console, "stderr", lambda: Console(force_terminal=True, width=120, file=terminal))
    run(*words, *SMALL)
    assert step in terminal.getvalue()
