"""List the kernels, and why one is not available."""

from importlib.resources import files

import click

from bncli.commands._groups import Group, command, option
from bncli.commands._output import Output, output
from bncli.core.report import Column, Report
from bncli.core.rows.lists import KernelRow
from bncli.loading.registry import kernel_names, registered_kernel

TEMPLATES = files(__package__) / "_templates"
COLUMNS = (
    Column("kernel", "kernel"),
    Column("dtypes", "dtypes"),
    Column("inference", "infers"),
    Column("available", "available", "prose"),
    Column("summary", "summary", "prose"),
)


def _print_template(ctx: click.Context, parameter: click.Parameter, wanted: str | None) -> None:
    if wanted:
        click.echo((TEMPLATES / f"{wanted}.txt").read_text(encoding="utf-8"), nl=False)
        ctx.exit()


@command(
    {
        "bncli kernels": "their names",
        "bncli kernels --template > mine.py": "start your own",
        "bncli kernels --template torch-module > mine.py": "in PyTorch",
    }
)
@option(
    Group.OUTPUT,
    "--template",
    type=click.Choice(sorted(entry.name.removesuffix(".txt") for entry in TEMPLATES.iterdir())),
    is_flag=False,
    flag_value="numpy",
    is_eager=True,
    expose_value=False,
    callback=_print_template,
    help="Print a file to start a kernel of your own from, and nothing else. Without a word: numpy.",
)
@output
def kernels(output: Output) -> None:
    """List the kernels that commands take by name, and why one cannot run here."""
    rows = [
        KernelRow(
            kernel=kernel.name,
            dtypes=" ".join(kernel.dtypes),
            inference=kernel.infer is not None,
            available=kernel.available() or "yes",
            summary=kernel.summary,
        )
        for kernel in map(registered_kernel, kernel_names())
    ]
    output.emit(Report("kernels", COLUMNS, rows))


COMMAND = kernels
