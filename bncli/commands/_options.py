"""The options that several commands share, each declared once."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import click
from click.core import ParameterSource

from bncli import plugins
from bncli.commands import _presets
from bncli.commands._groups import Group, Option, option
from bncli.commands._types import Counts, Factor, KernelSpec, Named, Number, OneOf, Size
from bncli.core.kernel import OWN
from bncli.core.layout import ALIASES, Layout
from bncli.core.problem import DTYPE_ALIASES, DTYPES, EPSILON
from bncli.core.source import ALL, FIRST, OF_IMAGES, PACKAGE, Source, load_source, source_of
from bncli.errors import UNSURE_IS

SHAPE = "5x100x100x3"
POSITIONAL = "kernels"
TYPED = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)
NAMING = ("shape", "layout", "array", "image")
SHARED = ("shape", "layout", "dtype", "params", "epsilon", "seed", *OF_IMAGES)


PRESET = option(
    Group.DATA,
    "--preset",
    type=Named("preset", _presets.shipped, or_file=True),
    metavar="NAME|FILE.toml",
    is_eager=True,
    expose_value=False,
    callback=_presets.apply,
    help="Take option defaults from this preset; typed options win. See bncli presets.",
)


FAIL_SLOWER = option(
    Group.GATE,
    "--fail-slower",
    type=Factor(),
    metavar="FACTOR",
    help="Exit 1 if a pass is slower by more than FACTOR, such as 1.10 or 10%, or has lost its time; 4 if noise would "
    "hide that.",
)
UNSURE = option(
    Group.GATE,
    "--unsure",
    type=click.Choice(UNSURE_IS),
    help="Exit 0 or 1 where --fail-slower cannot decide.  [default: 4]",
)
DIGITS = option(
    Group.GATE,
    "--digits",
    type=Number(least=0),
    metavar="N",
    help="Exit 1 if fewer than N decimal digits are correct.",
)
ALLOW_DIFFERENT_MACHINE = option(
    Group.GATE,
    "--allow-different-machine",
    is_flag=True,
    help="Let --fail-slower judge times of different machines.",
)


def is_typed(option: str) -> bool:
    """Whether ``option`` of the running command comes from the command line, and from no default."""
    return click.get_current_context().get_parameter_source(option) in TYPED


def is_default(option: str) -> bool:
    """Whether ``option`` of the running command has its own default: neither typed nor of a preset."""
    return click.get_current_context().get_parameter_source(option) is ParameterSource.DEFAULT


def names_problem() -> bool:
    """Whether the command line of the running command names a problem."""
    return bool(click.get_current_context().default_map) or any(map(is_typed, NAMING))


def problem(
    shape: str = SHAPE,
    layout: str | None = Layout.PER_ACTIVATION.value,
    dtype: str = "float64 where the kernel takes it, or that of the array",
    epsilon: float = EPSILON,
    of_images: float | None = None,
) -> tuple[Any, ...]:
    """The options of problems; ``shape`` and ``dtype`` are texts that describe the defaults.

    ``of_images`` is the default epsilon for images, if they have their own.
    """
    return (
        option(
            Group.DATA,
            "--shape",
            "-s",
            multiple=True,
            metavar="SHAPE",
            help="Axes, batch first; or a whole problem, as tables print it. {1000..1000000:x10} or {100..400:+100} "
            f"in place of an axis sweeps over it. Repeatable.  [default: {shape}]",
        ),
        option(
            Group.DATA,
            "--layout",
            "-l",
            type=OneOf([layout.value for layout in Layout], ALIASES),
            default=layout,
            help="The axes of the features: all but the batch, the last (nhwc), or axis 1 (nchw).  "
            f"[default: {layout or 'all'}]",
        ),
        option(
            Group.DATA,
            "--dtype",
            "-d",
            type=OneOf(DTYPES, DTYPE_ALIASES),
            help=f"The dtype of x; also fp16, bf16, fp32, fp64.  [default: {dtype}]",
        ),
        PRESET,
        option(
            Group.DATA,
            "--epsilon",
            "--eps",
            type=Number(least=0),
            metavar="NUMBER",
            default=epsilon,
            help=f"Added to the variance.  [default: {epsilon:g}{f'; {of_images:g} for images' if of_images else ''}]",
        ),
        option(
            Group.DATA,
            "--params",
            type=click.Choice((OWN, "float32")),
            help="The dtype of gamma, beta and their gradients for x in half precision: float32, or x's own.  "
            "[default: float32 where the kernels take it]",
        ),
        option(
            Group.DATA,
            "--seed",
            type=click.IntRange(0),
            metavar="N",
            default=0,
            show_default=True,
            help="The seed of all random numbers.",
        ),
    )


def source(several: Sequence[str] = ()) -> tuple[Any, ...]:
    """An option for every file in ``bncli/inputs``, and the options of images.

    The options of the sources ``several`` are repeatable; by default they take all their choices.
    """
    return (
        *(_source_option(name, load_source(name), name in several) for name in plugins.names(PACKAGE)),
        option(Group.DATA, "--resize", type=Size(), metavar="WxH", help="Resize every image to this many pixels."),
        option(
            Group.DATA,
            "--copies",
            type=click.IntRange(1),
            default=1,
            metavar="N",
            help="Make N copies of each image, brightened and shifted at random.",
        ),
        option(
            Group.DATA,
            "--frames",
            type=click.Choice((FIRST, ALL)),
            default=FIRST,
            show_default=True,
            help="Which frames or pages of an image file to read.",
        ),
        option(Group.DATA, "--recursive", is_flag=True, help="Read the images in the folders of a folder, too."),
        option(Group.DATA, "--skip-broken", is_flag=True, help="Leave out, and name, images that cannot be read."),
    )


def _source_option(name: str, source: Source, several: bool) -> Any:
    kind: dict[str, Any] = {"type": click.Choice(source.choices)}
    if not source.choices:
        kind = {"type": click.Path(), "metavar": source.metavar}
    more = " Repeatable.  [default: all]" if several else ""
    return option(
        Group.DATA,
        f"--{name}",
        name,
        cls=_Data,
        multiple=source.repeatable or several,
        help=source.help + more,
        **kind,
    )


def _positional(opts: Mapping[str, Any]) -> tuple[str, ...]:
    """The words that stand by themselves; Click has a mark of its own for none."""
    words = opts.get(POSITIONAL)
    return words if isinstance(words, tuple) else ()


def _is_data(word: str, source: str, opts: Mapping[str, Any]) -> bool:
    """Whether ``word``, typed by itself, is one more file for the option of ``source``, which is typed too."""
    return bool(opts.get(source)) and source_of(word) == source and os.path.exists(word)


class _Data(Option):
    """The option of a source, together with the files among the positional words: the shell makes ``*.jpg`` such."""

    def consume_value(self, ctx: click.Context, opts: Mapping[str, Any]) -> tuple[Any, ParameterSource]:
        """The value that ``click.Option`` finds, and the files."""
        name = self.name or ""
        more = [word for word in _positional(opts) if self.multiple and _is_data(word, name, opts)]
        return super().consume_value(ctx, {**opts, name: [*opts[name], *more]} if more else opts)


class _Kernels(Option):
    """--kernel, together with the positional kernels. Typed kernels replace those of a preset and the default.

    Positional kernels come first: Click does not know where an argument stood among the options.
    """

    def consume_value(self, ctx: click.Context, opts: Mapping[str, Any]) -> tuple[Any, ParameterSource]:
        """The typed kernels, positional and --kernel; without any, the value that ``click.Option`` finds."""
        value, source = super().consume_value(ctx, opts)
        files = [each for each in plugins.names(PACKAGE) if load_source(each).repeatable]
        positional = [word for word in _positional(opts) if not any(_is_data(word, each, opts) for each in files)]
        if not positional:
            return value, source
        return (*positional, *(value if source in TYPED else ())), ParameterSource.COMMANDLINE


def kernel(default: Sequence[str], several_threads: bool = False) -> tuple[Any, ...]:
    """KERNEL..., --kernel, --isolate, --timeout and --threads, which takes several counts if ``several_threads``."""
    one = option(
        Group.RUN,
        "--threads",
        type=click.IntRange(1),
        metavar="N",
        help="Threads a kernel may use.  [default: its own choice]",
    )
    several = option(
        Group.RUN,
        "--threads",
        type=Counts("threads"),
        metavar="N[,N…]",
        help="Threads a kernel may use; several counts, such as 1,2,4, are each timed.  [default: its own choice]",
    )
    return (
        click.argument(POSITIONAL, nargs=-1, type=KernelSpec(), metavar="[KERNEL]...", expose_value=False),
        option(
            Group.RUN,
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
        option(
            Group.ISOLATION,
            "--isolate",
            is_flag=True,
            help="Run each kernel in a process of its own. A kernel that crashes is WRONG, and the others go on.",
        ),
        option(
            Group.ISOLATION,
            "--timeout",
            type=Number(above=0),
            metavar="SECONDS",
            help="Implies --isolate. End a kernel that takes longer to load, or for one check."
            + (" Sampling may take as much longer as --max-time says." if several_threads else ""),
        ),
    )
