"""List the kernels, and why one is not available."""

import click

from bncli.commands._output import Output, output
from bncli.core.kernel import kernel_names, registered_kernel
from bncli.core.report import Column

COLUMNS = (
    Column("kernel", "kernel"),
    Column("dtypes", "dtypes"),
    Column("inference", "infers"),
    Column("available", "available", "prose"),
    Column("summary", "summary", "prose"),
)


@click.command(epilog="Example: bncli kernels --format markdown")
@output
def kernels(output: Output) -> None:
    """List the kernels that --kernel takes by name, and why one cannot run here."""
    rows = [
        {
            "kernel": kernel.name,
            "dtypes": " ".join(kernel.dtypes),
            "inference": kernel.infer is not None,
            "available": kernel.available() or "yes",
            "summary": kernel.summary,
        }
        for kernel in map(registered_kernel, kernel_names())
    ]
    output.emit(COLUMNS, rows)


COMMAND = kernels
