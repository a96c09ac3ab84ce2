"""The options that several commands share, each declared once."""

from collections.abc import Mapping, Sequence
from typing import Any

import click
from click.core import ParameterSource

from bncli import plugins
from bncli.benchmarking.gate import UNSURE_IS
from bncli.commands import _presets
from bncli.commands._types import Counts, Factor, KernelSpec, Number, OneOf, Size
from bncli.core.kernel import OWN
from bncli.core.layout import ALIASES, Layout
from bncli.core.problem import DTYPE_ALIASES, DTYPES, EPSILON
from bncli.core.source import PACKAGE, Source, load_source

SHAPE = "5x100x100x3"
POSITIONAL = "kernels"
TYPED = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)
SHARED = ("shape", "layout", "dtype", "params", "epsilon", "seed", "resize", "copies")


PRESET = click.option(
    "--preset",
    metavar="NAME|FILE.toml",
    is_eager=True,
    expose_value=False,
    callback=_presets.apply,
    help="Take option defaults from this preset; typed options win. See bncli presets.",
)


FAIL_SLOWER = click.option(
    "--fail-slower",
    type=Factor(),
    metavar="FACTOR",
    help="Exit 1 if a pass is slower by more than FACTOR, such as 1.10 or 10% (its whole 95 % interval), or has no "
    "time; exit 4 if noise hides a slowdown by FACTOR. A pass without a time in OLD never fails.",
)
UNSURE = click.option(
    "--unsure",
    type=click.Choice(UNSURE_IS),
    help="Let a pass that --fail-slower cannot decide on pass, or fail with exit 1.  [default: exit 4]",
)
DIGITS = click.option(
    "--digits", type=Number(least=0), metavar="N", help="Exit 1 if fewer than N decimal digits are correct."
)
ALLOW_DIFFERENT_MACHINE = click.option(
    "--allow-different-machine", is_flag=True, help="Let --fail-slower judge times of different machines."
)


def problem(
    shape: str = SHAPE,
    layout: str | None = Layout.PER_ACTIVATION.value,
    dtype: str = "float64 where the kernel takes it, or that of the array",
    epsilon: float = EPSILON,
) -> tuple[Any, ...]:
    """The options of problems; ``shape`` and ``dtype`` are texts that describe the defaults."""
    return (
        click.option(
            "--shape",
            "-s",
            multiple=True,
            help="Axes, batch first; or a whole problem, as tables print it. {1000..1000000:x10} or {100..400:+100} "
            f"in place of an axis sweeps over it. Repeatable.  [default: {shape}]",
        ),
        click.option(
            "--layout",
            "-l",
            type=OneOf([layout.value for layout in Layout], ALIASES),
            default=layout,
            show_default=layout or "all",
            help="The axes of the features: all but the batch, the last, or axis 1.",
        ),
        click.option("--dtype", "-d", type=OneOf(DTYPES, DTYPE_ALIASES), help=f"The dtype of x.  [default: {dtype}]"),
        click.option(
            "--params",
            type=click.Choice((OWN, "float32")),
            help="The dtype of gamma, beta and their gradients for x in half precision: float32, or x's own.  "
            "[default: float32 where the kernels take it]",
        ),
        click.option(
            "--epsilon",
            "--eps",
            type=Number(least=0),
            default=epsilon,
            show_default=True,
            help="Added to the variance.",
        ),
        click.option(
            "--seed", type=click.IntRange(0), default=0, show_default=True, help="The seed of all random numbers."
        ),
    )


def source(several: Sequence[str] = ()) -> tuple[Any, ...]:
    """An option for every file in ``bncli/inputs``, and --resize and --copies for images.

    The options of the sources ``several`` are repeatable; by default they take all their choices.
    """
    return (
        *(_source_option(name, load_source(name), name in several) for name in plugins.names(PACKAGE)),
        click.option("--resize", type=Size(), metavar="WxH", help="Resize every image to this many pixels."),
        click.option(
            "--copies",
            type=click.IntRange(1),
            default=1,
            metavar="N",
            help="Make N copies of each image, brightened and shifted at random.",
        ),
    )


def _source_option(name: str, source: Source, several: bool) -> Any:
    kind: dict[str, Any] = {"type": click.Choice(source.choices)} if source.choices else {"metavar": source.metavar}
    more = " Repeatable.  [default: all]" if several else ""
    return click.option(f"--{name}", name, multiple=source.repeatable or several, help=source.help + more, **kind)


class _Kernels(click.Option):
    """--kernel, together with the positional kernels. Typed kernels replace those of a preset and the default.

    Positional kernels come first: Click does not know where an argument stood among the options.
    """

    def consume_value(self, ctx: click.Context, opts: Mapping[str, Any]) -> tuple[Any, ParameterSource]:
        """The typed kernels, positional and --kernel; without any, the value that ``click.Option`` finds."""
        value, source = super().consume_value(ctx, opts)
        positional = opts.get(POSITIONAL)
        if not isinstance(positional, tuple):
            return value, source
        return (*positional, *(value if source in TYPED else ())), ParameterSource.COMMANDLINE


def kernel(default: Sequence[str], several_threads: bool = False) -> tuple[Any, ...]:
    """KERNEL..., --kernel, --isolate, --timeout and --threads, which takes several counts if ``several_threads``."""
    one = click.option("--threads", type=click.IntRange(1), help="Threads a kernel may use.  [default: its own choice]")
    several = click.option(
        "--threads",
        type=Counts("threads"),
        metavar="N[,N…]",
        help="Threads a kernel may use; several counts, such as 1,2,4, are each timed.  [default: its own choice]",
    )
    return (
        click.argument(POSITIONAL, nargs=-1, type=KernelSpec(), metavar="[KERNEL]...", expose_value=False),
        click.option(
            "--kernel",
            "-k",
            cls=_Kernels,
            multiple=True,
            type=KernelSpec(),
            metavar="NAME|FILE.py|MODULE",
            default=default,
            show_default=True,
            help="A name that bncli kernels lists, all of them (all), or your own file or module, whose code is run. "
            "Repeatable. KERNEL without -k is the same, and comes first.",
        ),
        several if several_threads else one,
        click.option(
            "--isolate",
            is_flag=True,
            help="Run each kernel in a process of its own. A kernel that crashes is WRONG, and the others go on.",
        ),
        click.option(
            "--timeout",
            type=Number(above=0),
            metavar="SECONDS",
            help="Implies --isolate. End a kernel that takes longer to load or for one check (in bench: longer than "
            "this plus --max-time).",
        ),
    )
