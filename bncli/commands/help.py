"""Show a page of the manual, or the options of a command."""

import click
from click.shell_completion import CompletionItem

from bncli import plugins
from bncli.commands import _pages
from bncli.commands._groups import command
from bncli.errors import InputError
from bncli.output.terminal import console


def _complete(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in _names() if name.startswith(incomplete)]


def _names() -> list[str]:
    return sorted({*_pages.pages(), *plugins.names(__package__)})


@command(
    {
        "bncli help": "the commands and the pages",
        "bncli help readme": "the first ten minutes",
        "bncli help bench": "a command's options",
    }
)
@click.argument("page", required=False, shell_complete=_complete)
@click.pass_context
def help_(ctx: click.Context, page: str | None) -> None:
    """Show a PAGE, or the options of a command. Without a word: the commands, and the pages.

    A page is the README.md of a folder of bncli. kernels is a page and a command: bncli kernels --help shows
    its options.
    """
    pages = _pages.pages()
    whole = ctx.find_root()
    if page is None:
        click.echo(whole.get_help())
        formatter = ctx.make_formatter()
        with formatter.section("Pages, shown by bncli help PAGE"):
            formatter.write_dl([(name, _pages.title(path)) for name, path in pages.items()])
        click.echo(f"\n{formatter.getvalue().rstrip()}")
    elif page in pages:
        from bncli.output.terminal import manual  # rich takes long to import its Markdown

        manual.show(_pages.for_terminal(pages[page].read_text(encoding="utf-8")), console.stdout())
    elif page in plugins.names(__package__):
        group = whole.command
        assert isinstance(group, click.Group)
        of_page = group.get_command(whole, page)
        assert of_page
        click.echo(of_page.get_help(click.Context(of_page, whole, page, **group.context_settings)))
    else:
        raise InputError(plugins.unknown("page or command", page, _names()))


COMMAND = help_
