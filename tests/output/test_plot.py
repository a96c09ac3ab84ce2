"""--plot: pictures by matplotlib, in each of their formats."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from PIL import Image

from bncli import plugins
from bncli.comparison import saved
from bncli.output.charts import charts
from bncli.output.drawing import figure
from command_line import run
from planted import typed

SVG = "{http://www.w3.org/2000/svg}"
NUMPY = ("--kernel", "numpy", "--shape", "8x6")
pytestmark = pytest.mark.usefixtures("_in_an_empty_folder")


@pytest.fixture
def _matplotlib():
    pytest.importorskip("matplotlib", reason="a plot needs the extra plot")


def words(path):
    """What stands in a picture as text."""
    return [element.text for element in ET.parse(path).iter(f"{SVG}text")]


@pytest.mark.usefixtures("_matplotlib")
def test_a_benchmark_is_drawn_as_well_as_printed(tmp_path):
    result = run("bench", *NUMPY, "--max-time", "0", "--plot", "out.svg")
    assert "numpy" in result.stdout
    found = words(tmp_path / "out.svg")
    assert any(word.startswith("bncli bench, ") and word.endswith("cores") for word in found)
    assert {
        "forward: time",
        "per-activation/float64/eps=1e-08",
        "8x6",
        "numpy",
        "memory roofline",
        "time of a call",
    } <= {*found}
    assert any(word.endswith((" µs", " ns", " ms")) for word in found)


@pytest.mark.usefixtures("_matplotlib")
def test_a_curve_is_drawn_over_the_ratio(tmp_path):
    run("verify", "--curve", *NUMPY, "--dtype", "float32", "--plot", "out.svg")
    found = words(tmp_path / "out.svg")
    assert {"error of y", "8x6/per-activation/float32/eps=1e-05", "|mean| / std of x", "two digits", "1e8"} <= {*found}


@pytest.mark.usefixtures("_matplotlib")
@pytest.mark.parametrize("name", ["bench", "gradcheck", "verify", "curve", "selftest", "compare"])
def test_every_result_can_be_drawn(saved_results, name):
    figure.save(Path("out.svg"), charts(saved.load(saved_results[name])), name)
    assert name in words("out.svg")


# What is drawn is the same in all formats.
@pytest.mark.usefixtures("_matplotlib")
@pytest.mark.parametrize("name", ["gradcheck", pytest.param("bench", marks=pytest.mark.slow)])
def test_a_result_can_be_drawn_in_every_format(saved_results, tmp_path, name):
    report = saved.load(saved_results[name])
    for suffix in figure.SUFFIXES:
        figure.save(tmp_path / f"out{suffix}", charts(report), name)
    with Image.open("out.png") as picture:
        assert picture.width > 800
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 20
    assert (tmp_path / "out.pdf").read_bytes().startswith(b"%PDF")
    assert name in words("out.svg")


@pytest.mark.usefixtures("_matplotlib")
@pytest.mark.parametrize("result", ["gradcheck", pytest.param("curve", marks=pytest.mark.slow)])
def test_the_same_figures_are_the_same_bytes(saved_results, tmp_path, result):
    found = charts(saved.load(saved_results[result]))
    for suffix in figure.SUFFIXES:
        for name in ("a", "b"):
            figure.save(tmp_path / f"{name}{suffix}", found, "title")
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


@pytest.mark.usefixtures("_matplotlib")
def test_a_kernel_named_in_mathematics_or_markup_is_drawn_as_it_is(saved_results, tmp_path):
    report = saved.load(saved_results["gradcheck"])
    names = ["_$\\frac{$ <b>\x07", "核"]
    rows = typed(({**row, "kernel": name} for row in report.rows for name in names), "gradcheck")
    for suffix in figure.SUFFIXES:
        figure.save(tmp_path / f"out{suffix}", charts(type(report)("gradcheck", (), rows)), "$x^{")
    assert {"_$\\frac{$ <b>\\x07", "核", "$x^{"} <= {*words(tmp_path / "out.svg")}


@pytest.mark.usefixtures("_matplotlib")
def test_a_failed_check_is_drawn_and_still_fails(tmp_path):
    run("gradcheck", "--kernel", "numpynet", "--shape", "5x4x3", "--plot", "out.svg", code=1)
    assert "numpynet" in words(tmp_path / "out.svg")


@pytest.mark.usefixtures("_matplotlib")
def test_where_nothing_was_timed_there_is_nothing_to_draw(tmp_path):
    result = run("bench", "--kernel", "numpynet", "--shape", "5x4x3", "--max-time", "0", "--plot", "out.svg", code=1)
    assert "there is nothing to draw: 'out.svg' is not written" in result.stderr
    assert not (tmp_path / "out.svg").exists()


@pytest.mark.parametrize(
    ("path", "message"), [("out.gif", "use one of .svg, .png, .pdf"), ("none/out.svg", "there is no folder 'none'")]
)
def test_what_cannot_be_drawn_is_said_before_any_work(path, message):
    result = run("bench", *NUMPY, "--plot", path, code=2)
    assert message in result.stderr
    assert not result.stdout


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = run("bench", *NUMPY, "--plot", "out.svg", code=2)
    assert result.stderr == "bncli: error: a plot needs the package matplotlib: pip install 'bncli[plot]'\n"


@pytest.mark.slow
@pytest.mark.usefixtures("_matplotlib")
def test_matplotlibs_settings_change_no_plot_and_say_nothing(tmp_path):
    words = [sys.executable, "-m", "bncli", "gradcheck", *NUMPY, "--plot", "out.svg"]
    settings = {**os.environ, "MPLBACKEND": "no-such", "MPLCONFIGDIR": os.devnull}
    done = subprocess.run(words, cwd=tmp_path, env=settings, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "wrote 'out.svg'\n")


def test_commands_with_charts_offer_to_plot_them_and_no_others():
    offering = {name for name in plugins.names("bncli.commands") if "--plot" in run(name, "--help").stdout}
    assert (
        offering == {*plugins.names("bncli.output.charts")} == {"bench", "compare", "gradcheck", "selftest", "verify"}
    )
