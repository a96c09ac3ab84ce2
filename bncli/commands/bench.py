"""Verify each kernel on the very problem, then time it."""

from functools import partial

import click

from bncli.benchmarking.passes import FRESH, GIVEN, MOVED, TRAINING
from bncli.commands import _cluster
from bncli.commands._output import Output, output
from bncli.commands._runs import Runs, runs
from bncli.core.report import Report
from bncli.render import console
from bncli.reports import bench as reports

BOTH = "both"


@click.command(epilog="Example: bncli bench --shape 64x32x56x56 --layout channels-first --dtype float32")
@click.option(
    "--pass",
    "directions",
    multiple=True,
    type=click.Choice(tuple(MOVED)),
    default=TRAINING,
    show_default=True,
    help="What to time. Repeatable.",
)
@click.option(
    "--outputs",
    type=click.Choice((FRESH, GIVEN, BOTH)),
    default=FRESH,
    show_default=True,
    help="Whether kernels make their outputs or write into given ones.",
)
@click.option(
    "--max-time",
    type=click.FloatRange(0),
    default=2.0,
    show_default=True,
    help="Seconds to sample a problem, all kernels together.",
)
@_cluster.WORKERS
@runs("numpy", "numba")
@output
def bench(
    runs: Runs, output: Output, directions: tuple[str, ...], outputs: str, max_time: float,
    workers: tuple[int, ...] | None,
) -> None:  # fmt: skip
    """Time forward and backward of each kernel, once it is verified on the very same arrays.

    A kernel that is wrong gets no time, and the row says why. Kernels are timed in turns, in an
    order drawn anew each round; the first call, with its compilation, stands apart. ± is the median
    absolute deviation; the speed-up is the median ratio of samples of the same round; GB/s counts x,
    y, dy and dx once each.

    The limit is what the memory can do, timed in the same rounds: the best of several copies of x, for
    forward and inference, and of additions of x and dy, for backward. Their outputs are given, and so
    are a kernel's with --outputs given; some can only copy into them. Over several problems a summary
    compares each kernel with the fastest of the others on each.

    With --workers, x and dy are sent to the workers' memory, which is not timed with the rest, and y and
    dx stay there; what workers did is told apart: computing blocks, moving what is merged, and the rest,
    which is scheduling and waiting.

    Exits 0 also where a kernel is wrong: gradcheck is the gate.
    """
    if workers:
        _cluster.require_kernel(runs)
    settings = reports.Settings(
        directions=tuple(dict.fromkeys(directions)),
        outputs=(FRESH, GIVEN) if outputs == BOTH else (outputs,),
        max_time=max_time,
    )
    columns = reports.columns(runs.kernels[0], settings)
    rows, warnings = [], []
    for number, case in enumerate(runs):
        with console.progress() as update:
            found = reports.measure(case, runs.kernels, settings, partial(_part, update, number, len(runs)))
        rows += found
        warnings += case.warnings()
        output.show(Report("bench", columns, found, ("problem", "input")))
    output.show(reports.summary(rows, settings))
    if workers:
        scaling = _cluster.scaling(runs, workers, max_time)
        output.show(scaling)
        rows += [dict(row) for row in scaling.rows]
    output.emit(Report("bench", columns, rows, ("problem", "input"), warnings=warnings))


def _part(update: console.Update, number: int, of: int, share: float, doing: str) -> None:
    update((number + share) / of, doing)


COMMAND = bench
