"""Every option of every command, given what is no sensible value for it."""

import click
import pytest

from bncli import plugins
from bncli.commands._types import Number
from command_line import invoke

OPTIONS = {
    (command, option.opts[0]): option.type
    for command in plugins.names("bncli.commands")
    for option in plugins.load("bncli.commands", command).COMMAND.params
    if isinstance(option, click.Option) and not option.is_flag
}
NUMBERS = [key for key, kind in OPTIONS.items() if isinstance(kind, Number)]
NO_NUMBERS = ("nan", "-nan", "inf", "-inf", "1e999", "infinity", "")
NEEDED = {"compare": ("a.json", "b.json"), "report": ("a.json",)}
pytestmark = pytest.mark.usefixtures("_in_an_empty_folder")


def refused(*words):
    """The one line with which a command line is refused."""
    result = invoke(*words)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1, result.stderr
    return result.stderr


def test_the_numbers_that_there_are_were_found():
    assert {("bench", "--max-time"), ("backward", "--lr"), ("compare", "--fail-slower")} <= set(NUMBERS)


def test_every_option_that_takes_a_number_is_of_the_shared_type():
    """Click's own lets NaN through every range."""
    assert not [key for key, kind in OPTIONS.items() if isinstance(kind, click.types.FloatParamType)]


@pytest.mark.parametrize(("command", "option"), NUMBERS)
def test_no_number_is_refused_before_any_work(command, option):
    for value in NO_NUMBERS:
        said = refused(command, *NEEDED.get(command, ()), f"{option}={value}")
        assert said.startswith(f"bncli: error: Invalid value for '{option}'")
        assert f": {value!r} is not a " in said


@pytest.mark.parametrize(("command", "option"), [key for key in NUMBERS if (key[0], "--preset") in OPTIONS])
def test_no_number_is_refused_in_a_preset_too(command, option, tmp_path):
    for value in ("nan", "inf", "-inf", "true"):
        (tmp_path / "p.toml").write_text(f"{option.removeprefix('--')} = {value}\n")
        assert f"Invalid value for '{option}'" in refused(command, "--preset", "p.toml")


@pytest.mark.parametrize(("command", "option"), OPTIONS)
def test_thousands_of_digits_are_refused_in_one_line(command, option):
    # Python itself will not read so many.
    refused(command, *NEEDED.get(command, ()), option, "9" * 5000)
