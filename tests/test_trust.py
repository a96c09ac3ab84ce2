"""What files say is only ever data: it steers no terminal, and runs nothing."""

import ast
import json
import re
from pathlib import Path
from typing import get_args
from xml.etree import ElementTree

import pytest
from PIL import Image

import bncli
from bncli.core.report import Kind
from bncli.output.drawing import figure, image_figure
from command_line import invoke, run

EVIL = "\x1b[31m\x07\u202e\x9b2J<script>alert(1)</script>\x00"
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]")
PACKAGE = Path(bncli.__file__).parent


def with_evil(value, kept):
    """Every text in ``value``, but for those in ``kept``, with control characters and a script behind it."""
    if isinstance(value, dict):
        return {key: with_evil(each, kept) for key, each in value.items()}
    if isinstance(value, list):
        return [with_evil(each, kept) for each in value]
    return value + EVIL if isinstance(value, str) and value not in kept else value


@pytest.fixture(scope="module")
def evil(saved_results, tmp_path_factory):
    """A result of bench in which every text is evil."""
    document = json.loads(saved_results["bench"].read_text(encoding="utf-8"))
    keys = {column["key"] for column in document["columns"]}
    path = tmp_path_factory.mktemp("evil") / f"{EVIL.replace('/', '').replace(chr(0), '')}.json"
    path.write_text(json.dumps(with_evil(document, {"bench", *keys, *get_args(Kind), "PASS"})))
    return path


@pytest.mark.parametrize("output", ["table", "markdown", "csv", "json"])
def test_no_text_of_a_file_steers_the_terminal(evil, saved_results, output):
    result = invoke("compare", saved_results["bench"], evil, "--format", output)
    assert result.exit_code == 0
    assert "alert(1)" in result.output
    assert not CONTROL.search(result.output)


def test_no_text_of_a_file_runs_in_the_page_or_steers_what_shows_it(evil, tmp_path):
    pytest.importorskip("jinja2")
    page = tmp_path / "page.html"
    run("report", evil, "--output", page)
    text = page.read_text(encoding="utf-8")
    assert "alert(1)" in text
    assert "<script>alert" not in text
    assert not CONTROL.search(text)


def test_no_text_of_a_file_is_markup_in_a_picture(evil, tmp_path):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "picture.svg"
    # With itself, since only rows of the same names are compared, and drawn.
    run("compare", evil, evil, "--plot", picture)
    text = picture.read_text(encoding="utf-8")
    assert "alert(1)" in text
    assert "<script>alert" not in text
    assert not CONTROL.search(text)


# What a file may be called, and nothing that shows it may obey; a leading _ hides a label from matplotlib's legends.
NAME = "_\x1b[31m\x07\u202e\x9b2J<b>alert(1)&$x^2$\u4e2d\n"
RIGHT = """
from bncli.kernels import numpy as own
forward = lambda x, gamma, beta, epsilon: own.forward(x, gamma, beta, epsilon)
backward = lambda dy, saved: own.backward(dy, saved)
"""
DRAWN = {
    "gradcheck": ("--shape", "4x3"),
    "verify": ("--shape", "4x3", "--dtype", "float64", "--random", "normal"),
    "verify --curve": ("--shape", "4x3", "--dtype", "float64"),
    "bench": ("--shape", "4x3", "--max-time", "0"),
    "bench {}": ("--shape", "4x{2..8:x2}", "--max-time", "0"),
}


@pytest.fixture
def drawn_texts(monkeypatch):
    """All the texts of the figures that are written, whatever the format."""
    pytest.importorskip("matplotlib")
    from matplotlib.text import Text

    found, write = [], figure.write

    def writing(drawn, file, suffix):
        write(drawn, file, suffix)
        found.extend(text.get_text() for text in drawn.findobj(Text))

    monkeypatch.setattr(figure, "write", writing)
    monkeypatch.setattr(image_figure, "write", writing)
    return found


def is_harmless(path, texts):
    """The name is in the picture, as text, and steers nothing."""
    assert any("alert(1)" in text for text in texts), texts
    assert not CONTROL.search("".join(texts).replace("\n", ""))
    if path.suffix == ".svg":
        content = path.read_text(encoding="utf-8")
        assert "alert(1)" in "".join(ElementTree.fromstring(content).itertext())
        assert not CONTROL.search(content)


# What is drawn is the same in all formats.
@pytest.mark.parametrize(
    ("words", "suffix"),
    [
        *((words, ".svg") for words in DRAWN if words != "bench {}"),
        *(pytest.param(*each, marks=pytest.mark.slow) for each in (("bench {}", ".svg"), ("gradcheck", ".png"))),
        ("gradcheck", ".pdf"),
    ],
)
def test_no_name_of_a_kernel_steers_what_shows_a_plot(words, suffix, tmp_path, monkeypatch, drawn_texts):
    monkeypatch.chdir(tmp_path)
    Path(f"{NAME}.py").write_text(RIGHT)
    command, *flags = words.replace(" {}", "").split()
    plot = Path(f"out{suffix}")
    result = invoke(
        command, *flags, "--kernel", f"./{NAME}.py", *DRAWN[words], "--plot", str(plot), "--export", "out.json"
    )
    assert result.exit_code == 0, result.output
    assert not CONTROL.search(result.output)
    is_harmless(plot, drawn_texts)
    if suffix == ".svg":
        run("report", "out.json", "--output", "out.html")
        page = Path("out.html").read_text(encoding="utf-8")
        assert "alert(1)" in page
        assert "<b>alert" not in page
        assert not CONTROL.search(page)


@pytest.mark.parametrize(("command", "suffix"), [("forward", ".svg"), ("backward", ".svg"), ("backward", ".png")])
def test_no_name_of_an_image_or_a_kernel_steers_what_shows_a_picture(
    command, suffix, tmp_path, monkeypatch, drawn_texts
):
    monkeypatch.chdir(tmp_path)
    Path(f"{NAME}.py").write_text(RIGHT)
    for number in range(2):
        Image.new("RGB", (5, 4), (50 * number, 9, 200)).save(f"{NAME[:9]}{number}<b>alert(1).png")
    picture = Path(f"out{suffix}")
    words = [command, *(word for path in sorted(Path().glob("*.png")) for word in ("--image", str(path)))]
    result = invoke(*words, "--kernel", f"./{NAME}.py", "--picture", str(picture), "--save-images", "out", "--preview")
    assert result.exit_code == 0, result.output
    assert not CONTROL.search(result.output)
    is_harmless(picture, drawn_texts)


def test_a_preset_runs_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("evil.py").write_text("open('ran', 'w')")
    for spec in ("evil.py", "./evil.py", "evil", str(Path("evil.py").resolve())):
        Path("p.toml").write_text(f"kernel = [{json.dumps(spec)}]\n")
        run("gradcheck", "--preset", "p.toml", code=2)
    assert not Path("ran").exists()


def calls(path):
    """The functions that a file calls, as they are written."""
    return {
        ast.unparse(node.func)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    }


def test_nothing_calls_a_shell_or_runs_text():
    """What is unpickled comes from a process of bncli's own, or is a copy of a layer that was just pickled."""
    forbidden = re.compile(
        r"(os\.(system|popen|exec\w*|spawn\w*|startfile)|subprocess\..*|eval|exec|pickle\.loads?|np\.load)"
    )
    found = {
        (path.relative_to(PACKAGE).as_posix(), call)
        for path in PACKAGE.rglob("*.py")
        for call in calls(path)
        if forbidden.fullmatch(call)
    }
    copied = {(f"loading/kinds/{name}.py", "pickle.loads") for name in ("_torch_layer", "_object_layer")}
    assert found == {("isolation/transfer.py", "pickle.loads"), *copied}


def test_a_call_of_a_shell_would_be_found(tmp_path):
    file = tmp_path / "file.py"
    file.write_text("import os\ndef f(name):\n    os.system('ls ' + name)\n")
    assert "os.system" in calls(file)
