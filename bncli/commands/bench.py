"""Verify each kernel on the very problem, then time it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import click

from bncli.benchmarking import gate, table
from bncli.benchmarking.bench import report
from bncli.benchmarking.buffers import COLD
from bncli.benchmarking.passes import GIVEN, MOVED, TRAINING
from bncli.benchmarking.processes import require_several
from bncli.benchmarking.scaling import scaling
from bncli.benchmarking.settings import Settings
from bncli.benchmarking.summary import summary
from bncli.commands import _cluster, _options
from bncli.commands._live import Live, compilations, termination_as_interrupt
from bncli.commands._output import Output, output
from bncli.commands._runs import Runs, runs
from bncli.commands._types import Number
from bncli.comparison.compare import baseline as read_baseline
from bncli.comparison.compare import compare, with_comparison
from bncli.core.report import Report
from bncli.core.rows.times import FRESH, WARM, BenchRow, timed_rows
from bncli.errors import InputError
from bncli.output.terminal import console
from bncli.verification import finding_rows

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
    type=Number(least=0),
    default=2.0,
    show_default=True,
    help="Seconds to sample a problem, all kernels together.",
)
@click.option(
    "--precision",
    type=Number(least=0),
    default=1.0,
    show_default=True,
    metavar="PERCENT",
    help="Stop before, once the 95 % interval of every median is narrower; 0 never stops before.",
)
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="COUNT",
    help="Share the time among so many processes, one after the other: compare then knows by how much they differ.",
)
@click.option(
    "--cache",
    type=click.Choice((WARM, COLD, BOTH)),
    default=WARM,
    show_default=True,
    help="Whether calls find their arrays in the processor's caches, or in memory.",
)
@click.option("--wide", is_flag=True, help="A line for each pass, with every detail.")
@click.option(
    "--baseline",
    type=click.Path(path_type=Path),
    metavar="OLD.json",
    help="Compare with what bench --export wrote before, as bncli compare does.",
)
@_options.FAIL_SLOWER
@_options.DIGITS
@_options.ALLOW_DIFFERENT_MACHINE
@_cluster.WORKERS
@runs("numpy", "numba", several_threads=True)
@output
def bench(
    runs: Runs,
    output: Output,
    directions: tuple[str, ...],
    outputs: str,
    max_time: float,
    precision: float,
    processes: int,
    cache: str,
    wide: bool,
    baseline: Path | None,
    fail_slower: float | None,
    digits: float | None,
    allow_different_machine: bool,
    workers: tuple[int, ...] | None,
) -> None:
    """Time forward and backward of each kernel, once it is verified on the very same arrays.

    A kernel that is wrong gets no time, but the reason, and the command that shows it. Kernels are
    timed in turns, in an order drawn anew each round; the first call, with its compilation, stands
    apart. ± of a speed-up is its 95 % interval, from samples of the same round; the line below the table
    says why there are no more samples, and the noise: how far apart the baseline timed twice was.

    The limit is what the memory can do, timed in the same rounds: the best of several copies of x, for
    forward and inference, and of additions of x and dy, for backward. ×limit is how many times longer a
    kernel takes. The outputs of these moves are given, and so are a kernel's with --outputs given; some
    can only copy into them. Over several problems a summary compares each kernel with the fastest of the
    others on each, and over a sweep, such as --shape '64x{1000..1000000:x10}', it says how times grow.

    With --workers, x and dy are sent to the workers' memory, which is not timed with the rest, and y and
    dx stay there; what workers did is told apart: computing blocks, moving what is merged, and the rest,
    which is scheduling and waiting.

    Files are written anew after each problem, so nothing is lost to Ctrl-C: it prints and saves what is
    measured, and exits 130. Exits 0 also where a kernel is wrong: gradcheck is the gate of that. With
    --fail-slower, what is slower than that exits 1: beside OLD.json with --baseline, else beside the first
    kernel, in the same rounds, where what slows the machine slows both. So does what has no time, unless
    OLD.json has none of it either.
    """
    if fail_slower is not None and baseline is None:
        _require_rival(runs)
    if workers:
        _cluster.require_kernel(runs)
    settings = Settings(
        directions=tuple(dict.fromkeys(directions)),
        outputs=(FRESH, GIVEN) if outputs == BOTH else (outputs,),
        max_time=max_time,
        precision=precision / 100,
        caches=(WARM, COLD) if cache == BOTH else (cache,),
        threads=runs.threads or (None,),
        processes=processes,
    )
    if processes > 1:
        require_several(runs.kernels)
    before = read_baseline(baseline, fail_slower, allow_different_machine) if baseline else None
    first = runs.kernels[0].name
    shown = partial(table.detailed if wide else table.brief, baseline=first, settings=settings)
    with output.of_interrupted(), termination_as_interrupt():
        found = _measure(runs, settings, output, shown)
    output.show(summary(found.rows_of(BenchRow), settings))
    output.show(scaling(found.rows_of(BenchRow), settings))
    if workers:
        on_workers = _cluster.scaling(runs, workers, max_time)
        output.show(on_workers)
        found = replace(found, rows=[*found.rows, *on_workers.rows])
    if before:
        comparison = compare(before, found, fail_slower=fail_slower, allow_different_machine=allow_different_machine)
        output.show(comparison)
        found = with_comparison(found, comparison)
    else:
        failures = gate.failures(timed_rows(found.rows), first, fail_slower) if fail_slower else ()
        found = replace(found, failures=failures)
    found = replace(found, failures=[*found.failures, *finding_rows.too_few_digits(found.rows, digits)])
    output.emit(found)


def _require_rival(runs: Runs) -> None:
    """Raise InputError where no kernel is timed in turns with the first, which the gate holds them against."""
    if len(runs.kernels) < 2:
        raise InputError(
            "--fail-slower needs something to compare with: add --baseline OLD.json, or put another kernel first"
        )
    if runs.isolated:
        raise InputError(
            "--fail-slower holds kernels against the first, in turns with it, which --isolate and --timeout prevent: "
            "leave these out, or add --baseline OLD.json"
        )


def _measure(runs: Runs, settings: Settings, output: Output, shown: Callable[[Sequence[BenchRow]], Report]) -> Report:
    """Measure problem after problem; print and save each when it is done."""
    with console.progress(quietly=True) as update:
        live = Live(runs, update)

        def finished(rows: Sequence[BenchRow], so_far: Report) -> None:
            try:
                with update.hidden():
                    output.show(shown(rows))
            finally:
                output.save(replace(so_far, failures=()))

        with compilations(live.compiling):
            return report(live.cases(), runs.kernels, settings, live, finished)


COMMAND = bench
