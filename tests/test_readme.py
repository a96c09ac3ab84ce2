"""The pages are true: commands run, output is today's, every option stands on one, and links lead somewhere."""

import re
import shlex
from itertools import chain
from pathlib import Path

import click
import pytest

import pages
from bncli import plugins
from bncli.cli import main
from bncli.verification.mutants import MUTANTS, RIGHT
from pages import PAGES, ROOT, Block, blocks, console, lines, text

LONGEST, WIDEST = 120, 120
OF_THE_TOP = 150
# What measures, searches a file, starts processes, or compiles numba for other shapes than those of activations.
TAKES_LONG = re.compile(
    r"\bbncli (?:bench|report|compare|selftest)|\bbncli (?:verify|gradcheck) \S*(?:numba|mine|dask|torch|bncli:)"
    r"|bncli\.(?:bench|verify)\(|/channels-last|kernel=.numba|--workers|--isolate|--timeout|--curve|--picture"
    r"|--search [1-9]"
)
# Packages that a command needs, by what stands in it.
NEEDS = {
    r"(?<![\w-])torch(?!\w)": "torch",
    r"(?<![\w-])jax(?!\w)": "jax",
    r"(?<![\w-])dask(?!\w)": "distributed",
    r"\.(?:png|svg)\b": "matplotlib",
    r"\bbncli report\b": "jinja2",
}
# Commands in sentences that are not run here: files that other tests write, and a batch of 400 MB.
ELSEWHERE = ("mine.py:bn", "sync.py", "both.py", "before=mine", "256x64x56x56")
GATES = "--fail-slower"  # a time decides these: any exit code of a gate is right
INDEX = re.compile(r"\(\d+(?:, \d+)*\)")
ARRAY = re.compile(r"\b(?:y|dx|dgamma|dbeta|mean|inv_std|infer)\b")
BARS = re.compile(r"[▁-█][ ▁-█]*")
NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?(?: [mµn]?s\b)?")
LINK = re.compile(r"\[[^]]*\]\(([^)\s]+)\)")
FIGURE = re.compile(r"\d (?:ns|µs|ms)\b")


def needs(block):
    return sorted({package for pattern, package in NEEDS.items() if re.search(pattern, block.body)})


def named(found):
    """``found`` by their first lines and the packages that they need."""
    return [
        pytest.param(
            each, id=" ".join([str(each), *needs(each)]), marks=pytest.mark.slow if TAKES_LONG.search(each.body) else []
        )
        for each in found
    ]


def require(block):
    for package in needs(block):
        pytest.importorskip(package, reason=f"the command needs {package}")


def shape_of(output):
    """The output without what differs from run to run and machine to machine: digits, widths, where it is worst."""
    plain = INDEX.sub("(#)", BARS.sub("# ", output))
    plain = ARRAY.sub("@", NUMBER.sub("#", plain)).replace("─", "")
    for noisy in (" ±#", "#–", "NOT RELIABLE: ", "# to "):  # what a busy machine adds, or leaves out
        plain = plain.replace(noisy, "")
    return [line.split() for line in plain.splitlines() if line.strip()]


def frame_of(output):
    """The rows and columns of times: on a busy machine ranges stand for times, and a table may be split."""
    lines = [line.split() for line in output.replace("─", "").splitlines() if "samples each" not in line]
    return {words[0] for words in lines if words}, {
        word for words in lines if words[:1] == ["kernel"] for word in words
    }


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the files that commands read."""
    pages.make_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "block", named(each for each in blocks("console") if any(out for _, out in console(each.body)))
)
@pytest.mark.usefixtures("folder")
def test_console_blocks_show_what_the_commands_print(block):
    require(block)
    for command, expected in console(block.body):
        shape = frame_of if command.startswith("bncli bench") else shape_of
        assert shape(pages.printed(command)) == shape(expected), command


@pytest.mark.parametrize("block", named(blocks("sh")))
@pytest.mark.usefixtures("folder")
def test_commands_run_and_end_as_the_page_says(block, saved_results):
    require(block)
    if block.body.startswith("bncli verify sync.py"):
        pytest.skip("test_parts_page.py runs it with its files")
    for name in ("old.json", "new.json"):
        if name in block.body:
            Path(name).write_bytes(Path(saved_results["bench"]).read_bytes())
    for line, code in lines(block.body):
        if line.split()[0] in pages.NOT_RUN:
            continue
        result = pages.run(pages.shortly(line))
        assert result.exit_code in ((0, 1, 4) if GATES in line else (code,)), (line, result.output, result.exception)


@pytest.mark.parametrize(
    "block", named(each for each in blocks("python") if "import bncli" in each.body or "from bncli import" in each.body)
)
def test_programs_run(block):
    names = {}
    exec(compile(block.body, block.name, "exec"), names)  # noqa: S102, the page's own code
    for name in [name for name in names if name.startswith("test_")]:
        names[name]()


INLINE = [
    Block(page, "sh", line)
    for page in PAGES
    for line in pages.inline(page)
    if len(line.split()) > 2 and not pages.PLACEHOLDER.search(line) and not any(each in line for each in ELSEWHERE)
]


@pytest.mark.parametrize("block", named(dict.fromkeys(INLINE)))
@pytest.mark.usefixtures("folder")
def test_commands_in_sentences_run(block):
    require(block)
    result = pages.run(pages.shortly(block.body))
    assert result.exit_code in (0, 1, 4), (result.output, result.exception)


def test_what_is_not_run_here_is_run_by_ci():
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for part in ("pip install --quiet .", "python -m pytest", "ruff check", "mypy bncli", "-m slow"):
        assert part in ci


@pytest.mark.parametrize(("page", "line"), list(dict.fromkeys(pages.every_command())))
def test_every_command_of_a_page_is_understood(page, line):
    if pages.PLACEHOLDER.search(line):
        return
    words = shlex.split(line.partition(" > ")[0])[1:]
    if words == ["version"] or not words:
        return
    try:
        with main.make_context("bncli", words) as ctx:
            name, command, arguments = main.resolve_command(ctx, words)
            if arguments:  # a name alone, such as that of compare, is no call
                command.make_context(name, arguments, parent=ctx)
    except click.exceptions.Exit:
        pass  # --help and --template print and end


def test_every_command_and_every_option_stands_on_a_page():
    whole = "\n".join(map(text, PAGES))
    commands = {name: plugins.load("bncli.commands", name).COMMAND for name in plugins.names("bncli.commands")}
    assert [name for name in commands if f"bncli {name}" not in whole] == []
    missing = [
        (name, option)
        for name, command in commands.items()
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for option in chain(parameter.opts, parameter.secondary_opts)
        if not re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", whole)
    ]
    assert missing == []


def test_every_room_has_a_page_and_the_top_page_has_them_all():
    rooms = [path.parent for path in (ROOT / "bncli").glob("*/__init__.py")]
    assert [room.name for room in rooms if not (room / "README.md").is_file()] == []
    linked = {(ROOT / target).resolve() for target in LINK.findall(text("readme"))}
    assert [name for name, path in PAGES.items() if name != "readme" and path.resolve() not in linked] == []


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_short(page):
    found = text(page).splitlines()
    assert len(found) <= (OF_THE_TOP if page == "readme" else LONGEST)
    assert [(number, len(line)) for number, line in enumerate(found, 1) if len(line) > WIDEST] == []


def anchors(path):
    """The anchors of the headings of a page, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", pages.BLOCK.sub("", path.read_text(encoding="utf-8")), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page):
    for target in LINK.findall(pages.BLOCK.sub("", text(page))):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (PAGES[page].parent / path).resolve() if path else PAGES[page]
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


@pytest.mark.parametrize("page", PAGES)
def test_a_page_with_times_says_when_and_where_they_were_measured(page):
    if any(FIGURE.search(body) for _, body in pages.BLOCK.findall(text(page))):
        assert re.search(r"20\d\d-\d\d-\d\d", text(page))
        assert re.search(r"AMD|Intel|Apple", text(page))


def test_the_top_page_explains_every_column_that_it_shows():
    words = pages.BLOCK.sub("", text("readme"))
    for block in blocks("console"):
        if block.name == "readme":
            header = next(line for line in block.body.splitlines() if line.startswith("kernel "))
            for title in set(re.split(r" {2,}", header.strip())) - {"kernel", "array", "verdict"}:
                assert f"`{title}`" in words, title


def test_the_top_page_has_the_two_commands_that_do_all_the_set_up():
    assert "python -m pip install . && bncli bench" in text("readme")
    assert "python -m pip install '.[test]' && python -m pytest" in text("readme")


def test_the_seeded_faults_are_counted_truly():
    words = " ".join(text("verification").split())
    assert f"runs {len(MUTANTS)} kernels with one fault each, and {len(RIGHT)} right ones" in words


def test_the_comparison_sees_another_verdict_and_not_another_number():
    assert shape_of("numpy dx PASS 1.2e-16 3 µs\n───") == shape_of("numpy  dx PASS 55 12 ms\n\n─────")
    assert shape_of("numpy dx PASS 1") != shape_of("numpy dx WRONG 1")
    table = "kernel forward backward\nnumpy 3 µs 1.00× 5 µs\n7 samples each, until time was up; noise 3 %"
    split = "kernel forward\nnumpy 3–40 µs\nkernel backward\nnumpy 5 µs\nNOT RELIABLE: 3 samples each, until"
    assert frame_of(table) == frame_of(split)
    assert frame_of(table) != frame_of(table.replace("numpy", "numba"))
    assert frame_of(table) != frame_of(table.replace("backward", ""))
