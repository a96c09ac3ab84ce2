"""Every option of every command, with values that fit and values that do not."""

import click
from hypothesis import strategies as st

from bncli import plugins
from hostile.words import DESCRIPTOR, NUMBER, TEXT, WORD
from hostile.world import SMALL, run

COMMANDS = tuple(plugins.names("bncli.commands"))
FIRST = {
    "bench": (*SMALL, "--max-time", "0"),
    "gradcheck": SMALL,
    "verify": (*SMALL, "--random", "normal"),
    "forward": SMALL,
    "backward": SMALL,
    "selftest": ("--fault", "swapped", "--no-torch"),
}
LEFT_OUT = {"isolate", "help", "torch"}  # these take seconds, or are tested elsewhere
NAMES = st.sampled_from(
    (
        "x.json",
        "x.csv",
        "x.md",
        "x.npz",
        "x.html",
        "x.pyperf.json",
        ".",
        "nowhere/x.json",
        "x",
        "",
        "/dev/full",
        "d.json",
    )
)
DRAWN = st.sampled_from(("x.txt", "nowhere/x.svg", ".", "", "x.svg"))
LITTLE = ("0", "1", "2", "-1", "x", "", "nan", "99999999999999999999", "1e3")
VALUES = {
    "shape": st.sampled_from(("3x4", "2x2x2", "{2..4:x2}x3", "1x1", "2x3/float32")) | DESCRIPTOR,
    "random": st.sampled_from(("normal", "nan", "tiny")) | TEXT,
    "kernel": st.sampled_from(("numpy", "numpynet", "reference", "./k.py", "json", "os.path", "x.py", ".")) | TEXT,
    "fault": st.sampled_from(("swapped", "dx-zero")) | TEXT,
    "resize": st.sampled_from(("3x2", "0x1", "1x", "65536x1", "\u0663x3")) | TEXT,
    "image": st.sampled_from(("i.png", ".", "nowhere", "a.npy", "\x1b[2J.png")),
    "array": st.sampled_from(("a.npy", ".", "nowhere", "i.png")),
    "baseline": st.sampled_from(("a.json", ".", "nowhere", "i.png")),
    "max-time": st.sampled_from(("0", "1e-3", "-1", "nan", "x", "")),
    "timeout": st.sampled_from(("0", "nan", "-1", "x", "inf", "")),
    "seed": NUMBER.map(str) | TEXT,
    **dict.fromkeys(("plot", "picture"), DRAWN),
    **dict.fromkeys(("copies", "features", "threads"), st.sampled_from(LITTLE)),
    **dict.fromkeys(("export", "save", "save-images", "output"), NAMES),
}
ARGUMENTS = st.sampled_from(("a.json", "b.json", "--", "--no-such", "-x")) | TEXT


def options(draw):
    command = draw(st.sampled_from(COMMANDS))
    words = [command, *FIRST.get(command, ())]
    params = plugins.load("bncli.commands", command).COMMAND.params
    known = {max(each.opts, key=len).removeprefix("--"): each for each in params if isinstance(each, click.Option)}
    names = sorted(known.keys() - LEFT_OUT)
    for name in draw(st.lists(st.sampled_from(names), max_size=5)) if names else ():
        words.append(f"--{name}")
        if not known[name].is_flag:
            words.append(draw(_value(name, known[name])))
    words += draw(st.lists(ARGUMENTS, max_size=2))
    run(*filter(_can_be_typed, words))


def _value(name, option):
    if name in VALUES:
        return VALUES[name]
    choices = getattr(option.type, "choices", None)
    return st.sampled_from(sorted(choices)) | WORD if choices else WORD


def _can_be_typed(word):
    return "\x00" not in word and not any("\ud800" <= c <= "\udfff" for c in word)
