"""Throw bytes at bncli's readers, led by the lines they reach: ``python tests/guided.py --reader images``.

It needs atheris, which is not in the extra ``test``, since it is not built for every system. What a reader can read is
altered again and again, and what reaches new code of bncli, Pillow or tomllib is altered further. The first failure
ends the run: its bytes and its traceback are printed, and exit 1.
"""

import multiprocessing
import os
import tempfile
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pkgutil import walk_packages

import click

WATCHED = ["bncli", "PIL", "tomllib"]
COMPILED = ["bncli.benchmarking.clock", "bncli.benchmarking.roofline", "bncli.numba_cache"]  # Numba reads their code
LONGEST = 40_000  # bytes of an input


def fuzz(name, seconds, folder):
    """Give ``name`` altered seeds; libFuzzer then ends the process, so this is run in one of its own."""
    import atheris

    with atheris.instrument_imports(include=WATCHED, exclude=COMPILED):
        _import_everything()  # now, because it says on stderr what it imports
    from hostile.readers import READERS
    from hostile.saved import documents
    from hostile.world import playground

    def one(content):
        try:
            reader.read(content)
        except BaseException:
            click.echo(f"bytes.fromhex({content.hex()!r})")
            raise

    reader = READERS[name]
    with playground(documents()):
        for number, seed in enumerate(reader.seeds()):
            Path(folder, f"{number}").write_bytes(seed)
        limits = [f"-max_total_time={seconds}", f"-max_len={LONGEST}", "-timeout=1000", "-rss_limit_mb=0"]
        atheris.Setup(["guided", *limits, f"-artifact_prefix={folder}/", folder], one)
        atheris.Fuzz()


def _import_everything():
    import bncli

    for module in walk_packages(bncli.__path__, "bncli."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    import_module("PIL.Image").init()


@click.command()
@click.option("--reader", required=True, type=click.Choice(("descriptors", "saved", "presets", "images", "arrays")))
@click.option("--seconds", type=click.IntRange(1), default=600, show_default=True)
def main(reader, seconds):
    if not find_spec("atheris"):
        raise click.ClickException("it needs atheris: pip install atheris")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TMPDIR"] = folder  # libFuzzer leaves what it does not know of
        seeds = Path(folder, "seeds")
        seeds.mkdir()
        process = multiprocessing.get_context("spawn").Process(target=fuzz, args=(reader, seconds, str(seeds)))
        process.start()
        process.join()
    raise SystemExit(bool(process.exitcode))


if __name__ == "__main__":
    main()
