"""Verify each kernel on each problem, then time it."""

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
from bncli.commands._groups import Group, command, option
from bncli.commands._live import Live, compilations
from bncli.commands._output import Output, output
from bncli.commands._runs import Runs, runs
from bncli.commands._types import Number
from bncli.comparison.compare import compare
from bncli.comparison.old_run import baseline as read_baseline
from bncli.comparison.old_run import gate_against, with_comparison
from bncli.core.report import Report
from bncli.core.rows.times import FRESH, WARM, BenchRow
from bncli.errors import InputError
from bncli.output.terminal import console
from bncli.verification import finding_rows

BOTH = "both"


@command(
    {
        "bncli bench numpy mine.py": "yours relative to NumPy's",
        "bncli bench mine.py torch --preset pytorch": "channels first, float32",
        "bncli bench old.py mine.py --fail-slower 1.10": "a gate for CI",
    }
)
@option(
    Group.RUN,
    "--pass",
    "directions",
    multiple=True,
    type=click.Choice(tuple(MOVED)),
    default=TRAINING,
    show_default=True,
    help="The pass to time; a step is a forward and its backward. Repeatable.",
)
@option(
    Group.RUN,
    "--outputs",
    type=click.Choice((FRESH, GIVEN, BOTH)),
    default=FRESH,
    show_default=True,
    help="Let kernels allocate their outputs (fresh), or write them into given arrays.",
)
@option(
    Group.TIME,
    "--max-time",
    type=Number(least=0),
    metavar="SECONDS",
    default=2.0,
    show_default=True,
    help="Seconds of sampling per problem, shared by all kernels.",
)
@option(
    Group.TIME,
    "--precision",
    type=Number(least=0),
    default=1.0,
    show_default=True,
    metavar="PERCENT",
    help="Stop early once every median is known to this precision (95 % interval); 0: always use --max-time.",
)
@option(
    Group.TIME,
    "--processes",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Split the time among this many processes, one after the other: compare then knows how much they differ.",
)
@option(
    Group.RUN,
    "--cache",
    type=click.Choice((WARM, COLD, BOTH)),
    default=WARM,
    show_default=True,
    help="Let calls find their arrays in the processor's caches (warm), or in memory (cold).",
)
@option(Group.OUTPUT, "--wide", is_flag=True, help="Print one line per pass, with every column.")
@option(
    Group.GATE,
    "--baseline",
    type=click.Path(path_type=Path),
    metavar="OLD.json",
    help="Compare with this earlier result of bench --export, as bncli compare does.",
)
@_options.FAIL_SLOWER
@option(
    Group.GATE,
    "--gate-time",
    type=Number(least=0),
    metavar="SECONDS",
    help=f"Sample until --fail-slower is decided, at most so long.  [default: {gate.TIMES_LONGER} times --max-time]",
)
@_options.UNSURE
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
    gate_time: float | None,
    unsure: str | None,
    digits: float | None,
    allow_different_machine: bool,
    workers: tuple[int, ...] | None,
) -> None:
    """Verify forward and backward of each kernel, then time them on the same arrays.

    A kernel that is WRONG gets no time; the table gives the reason and the command that shows it. The kernels
    take turns, in a new random order each round. ×limit is a time divided by the memory roofline, measured in
    the same rounds. ± of a speed-up is its 95 % interval. The first kernel is the baseline; noise is the difference
    of two timings of it.

    Exits 1 if a kernel is WRONG. --fail-slower FACTOR also exits 1 if a pass takes more than FACTOR times as long as
    the baseline in the same rounds, or as in the file of --baseline, and 4 if noise hides that even after
    --gate-time. Ctrl-C prints and saves the results so far.
    """
    _require_gate(runs, baseline, fail_slower, gate_time, unsure)
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
    if fail_slower is not None:
        longest = gate.TIMES_LONGER * max_time if gate_time is None else gate_time
        asked = gate_against(before, fail_slower) if before else gate.FirstKernelGate(fail_slower)
        settings = replace(settings, gate=asked, gate_time=longest)
    first = runs.kernels[0].name
    shown = partial(table.detailed if wide else table.brief, baseline=first, settings=settings)
    with output.of_interrupted():
        found = _measure(runs, settings, output, shown)
    output.show(summary(found.rows_of(BenchRow), settings))
    output.show(scaling(found.rows_of(BenchRow), settings))
    if workers:
        on_workers = _cluster.scaling(runs, workers, max_time)
        output.show(on_workers)
        found = replace(found, rows=[*found.rows, *on_workers.rows])
    wrong = () if fail_slower else found.failures  # a gate judges every pass without a time
    if before:
        comparison = compare(before, found, fail_slower=fail_slower, allow_different_machine=allow_different_machine)
        output.show(comparison)
        found = with_comparison(found, comparison)
    elif fail_slower is not None:
        found = gate.with_failures(found, first)
    else:
        found = replace(found, failures=())
    found = replace(found, failures=[*wrong, *found.failures, *finding_rows.too_few_digits(found.rows, digits)])
    output.emit(gate.settled(found, unsure))
    if not _options.names_problem():
        console.note("The seed's problem, per activation, is timed. For channels first: --preset pytorch")


def _require_gate(
    runs: Runs, baseline: Path | None, fail_slower: float | None, gate_time: float | None, unsure: str | None
) -> None:
    """Raise InputError for options of a gate without one, or for a gate without a baseline."""
    if fail_slower is None:
        for name, value in {"gate-time": gate_time, "unsure": unsure}.items():
            if value is not None:
                raise InputError(f"--{name} is for --fail-slower: add --fail-slower FACTOR, or leave it out")
    elif baseline is None:
        _require_second(runs)


def _require_second(runs: Runs) -> None:
    """Raise InputError unless another kernel is timed in the same rounds as the first, the gate's baseline."""
    if len(runs.kernels) < 2:
        raise InputError("--fail-slower needs a baseline: add --baseline OLD.json, or put another kernel first")
    if runs.isolated:
        raise InputError(
            "--fail-slower compares kernels with the first one in the same rounds, which --isolate and --timeout "
            "prevent: leave these out, or add --baseline OLD.json"
        )


def _measure(runs: Runs, settings: Settings, output: Output, shown: Callable[[Sequence[BenchRow]], Report]) -> Report:
    """Measure one problem after the other; print and save the rows of each when it is done."""
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
