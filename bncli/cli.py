"""The lazy group of commands, and the only place that turns an error into a line and an exit code."""

from __future__ import annotations

import ast
import codecs
import contextlib
import os
import sys
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from io import TextIOWrapper
from types import FrameType
from typing import TYPE_CHECKING, Any, Never, TextIO

import click

from bncli import __version__, numba_settings, plugins, signals, supervised
from bncli.core.units import printable
from bncli.errors import BncliError, CheckFailed, InputError, Unavailable

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

PACKAGE, KERNELS = "bncli.commands", "bncli.kernels"
EXAMPLES = {
    "bncli gradcheck mine.py": "Are its gradients right?",
    "bncli verify mine.py": "How exact is it, on data of every kind?",
    "bncli bench numpy mine.py": "How fast is it, and how far from the limit?",
}
WRITERS = ("click", "rich")  # the packages that write to stdout
MOST_DIGITS = 6  # of a terminal's size
SIMILAR = "bncli.similar"  # the name of an error handler
ASCII = str.maketrans("µ×±–≤≥→…·÷²─━│▀▁▂▃▄▅▆▇█", "ux~-<>>../2--|#.:-=+*#@")
INTERRUPTED = "interrupted", signals.INTERRUPTED, "bncli: "
CLOSED_PIPE = 141  # the shell's exit code of a process ended by SIGPIPE; 1 would be a failed check


class _ClosedPipe(Exception):
    """The reader of bncli's output has closed the pipe; Click would exit with 1."""


@contextlib.contextmanager
def _pipes() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise _ClosedPipe from error


class Commands(click.Group):
    """One file per command; a file is imported only when its command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the files in the room of commands."""
        return list(plugins.names(PACKAGE))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        """Import the command's file. Raises InputError for an unknown command."""
        if cmd_name not in plugins.names(PACKAGE) and (plugins.is_path(cmd_name) or cmd_name in plugins.names(KERNELS)):
            raise InputError(f"no command is called {cmd_name!r}: did you mean bncli gradcheck {cmd_name}?")
        command: click.Command = plugins.load(PACKAGE, cmd_name).COMMAND
        command.name = cmd_name
        return command

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write examples, the options and the commands."""
        with formatter.section("Examples"):
            for line, question in EXAMPLES.items():
                formatter.write(f"  {line:{max(map(len, EXAMPLES))}}  # {question}\n")
        super().format_options(ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one line per command, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, _summary(name)) for name in self.list_commands(ctx)])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The names that start with ``incomplete``; Click's own list imports every command."""
        from click.shell_completion import CompletionItem  # the shell alone needs it

        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [*(CompletionItem(name, help=_summary(name)) for name in names), *options]

    def make_context(self, *arguments: Any, **settings: Any) -> click.Context:
        """Read the command line, which may print help."""
        with _pipes():
            return super().make_context(*arguments, **settings)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        supervised.end_with_supervisor()
        with _pipes():
            return super().invoke(ctx)

    def main(  # type: ignore[override]  # Click's overloads distinguish return types; this method never returns
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **settings: Any
    ) -> Never:
        """Run the command line; like every Click command, it ends in SystemExit."""
        settings["standalone_mode"] = False
        words = _as_options(list(sys.argv[1:] if args is None else args))
        try:
            with signals.as_interrupts():
                code = self._code(words, prog_name or "bncli", settings)
        except KeyboardInterrupt:  # it came while an error was told
            code = signals.INTERRUPTED
        sys.exit(code)

    def _code(self, words: list[str], name: str, settings: Mapping[str, Any]) -> int:
        """Run the command line, say in one line what has stopped it, and return the exit code."""
        try:
            numba_settings.set_aside()
            _set_aside_sizes()
            for stream in (sys.stdout, sys.stderr):
                _accept_every_character(stream)
            with warnings.catch_warnings():
                warnings.showwarning = _show_warning
                code: int = super().main(words, name, **settings)
                if sys.stdout:  # it may be closed
                    sys.stdout.flush()
        except (click.Abort, KeyboardInterrupt):
            return _fail(*INTERRUPTED)
        except BaseException as error:  # noqa: BLE001  # what has no line is raised again
            return _fail(*INTERRUPTED) if signals.came() else _told(error)
        return code


def _set_aside_sizes() -> None:
    """Unset the size of the terminal where it is no number, or none that rich can read."""
    for name in ("COLUMNS", "LINES"):
        value = os.environ.get(name, "1")
        if not (value.isascii() and value.isdecimal() and len(value) <= MOST_DIGITS):
            del os.environ[name]


def _told(error: BaseException) -> int:
    """The exit code of ``error``, which is told in one line. Raises it if it is none that bncli expects."""
    match error:
        case CheckFailed():
            return _fail(str(error), error.exit_code, "bncli: ")
        case BncliError():
            return _fail(str(error), error.exit_code)
        case click.ClickException():
            return _fail(error.format_message(), error.exit_code)
        case _ClosedPipe() | BrokenPipeError():
            _drop_output(sys.stdout, sys.stderr)
            return CLOSED_PIPE
        case OSError():
            code = _fail(*_of_system(error))
            _drop_output(sys.stdout)
            return code
        case MemoryError():
            return _fail("out of memory: use a smaller --shape or fewer --kernel", BncliError.exit_code)
    if said := _of_import(error):
        return _fail(said, Unavailable.exit_code)
    raise error


def _of_import(error: BaseException) -> str:
    """The line for ``error`` if a package raised it while bncli imported it; else empty."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    own = max(number for number, frame in enumerate(frames) if _package(frame) == "bncli")
    imported = [_package(frame) for frame in frames[own + 1 :] if frame.f_code.co_name == "<module>"]
    missing = (error.name or "").partition(".")[0] if isinstance(error, ImportError) else ""
    package = next(iter(imported), missing)
    if package in ("", "bncli"):
        return ""
    kind = type(error).__name__
    return f"the package {package} cannot be imported: {kind}: {error}: see pip check, or install it anew"


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _as_options(words: list[str]) -> list[str]:
    """``words`` with version, which people type as a command, as the option that it is; without words, --help."""
    if not words:
        return ["--help"]
    return ["--version"] if words == ["version"] else words


def _of_system(error: OSError) -> tuple[str, int]:
    """The message and the code for an error that no command has explained: of the output, of a file or of a call."""
    reason = (error.strerror or str(error)).lower()
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    module = frame.f_globals["__name__"]
    if module == "tempfile":
        return f"{reason}: set TMPDIR to a folder that can be written", Unavailable.exit_code
    if error.filename is not None:
        return f"cannot use {os.fsdecode(error.filename)!r}: {reason}", BncliError.exit_code
    if module.partition(".")[0] in WRITERS or module == __name__:
        return f"the output cannot be written: {reason}", BncliError.exit_code
    return f"the system refused a call in {module}.{frame.f_code.co_name}: {reason}", Unavailable.exit_code


def _drop_output(*streams: TextIO) -> None:
    """Discard unwritten output, which Python would try to write again on exit and fail."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        with contextlib.suppress(OSError, ValueError):  # a test's stream has no file descriptor
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _summary(name: str) -> str:
    """The first line of the docstring of a command's file, read without importing the file."""
    from importlib.resources import files  # takes 10 ms to import, and help alone needs it

    source = files(PACKAGE).joinpath(f"{name.replace('-', '_')}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


def _accept_every_character(stream: Any) -> None:
    """Let tables be printed if the system's encoding, as on Windows, lacks lines and bars.

    A file or a pipe gets UTF-8; a terminal, or an encoding set by PYTHONIOENCODING, gets the most similar characters.
    """
    if not isinstance(stream, TextIOWrapper) or stream.encoding.lower() in ("utf-8", "utf8"):
        return
    if stream.isatty() or os.environ.get("PYTHONIOENCODING"):
        stream.reconfigure(errors=SIMILAR)
    else:
        stream.reconfigure(encoding="utf-8")


def _similar(error: UnicodeError) -> tuple[str, int]:
    """An error handler of codecs: characters that an encoding lacks become similar ones, of the same width."""
    assert isinstance(error, UnicodeEncodeError)  # it is registered for output
    lacking = error.object[error.start : error.end].translate(ASCII)
    return lacking.encode("ascii", "backslashreplace").decode(), error.end


codecs.register_error(SIMILAR, _similar)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: Any = None,
    line: str | None = None,
) -> None:
    text = str(message).partition("\nThe parse failed")[0]  # of a variable of Numba, with a traceback
    click.echo(f"warning: {_one_line(text)}", err=True)


def _fail(message: str, code: int, prefix: str = "bncli: error: ") -> int:
    with contextlib.suppress(OSError):  # if stderr cannot be written either, the exit code remains
        click.echo(prefix + _one_line(message), err=True)
    return code


def _one_line(message: str) -> str:
    return printable(" ".join(message.split()))


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="bncli")
def main() -> None:
    """Prove a batch-normalization kernel right, say how exact it is, and only then how fast."""
