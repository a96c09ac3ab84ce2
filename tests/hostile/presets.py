"""Presets: keys that there are and are not, with values of every type."""

import json

from hypothesis import strategies as st

from bncli import plugins
from hostile.words import JUNK, TEXT
from hostile.world import QUICK, SMALL, damaged, rarely, run, write

COMMANDS = ("bench", "gradcheck", "verify", "forward", "backward")
SLOW = {"max-time", "plot", "isolate", "timeout", "help"}
PLAUSIBLE = st.sampled_from(
    (
        *(True, 1, 2, 0.5, "numpy", ["numpy"], "3x4", ["3x4", "4x3/float32"], "uniform", ["normal"], "nan", "float32"),
        *("channels-last", "table", "json", "x.json", "i.png", "a.npy", "evil.py", "./evil.py", ["evil.py"], "evil"),
    )
)


def presets(draw):
    command = draw(st.sampled_from(COMMANDS))
    params = plugins.load("bncli.commands", command).COMMAND.params
    keys = st.sampled_from(sorted({each.opts[0].removeprefix("--") for each in params} - SLOW)) | TEXT
    content = draw(st.dictionaries(keys, PLAUSIBLE | JUNK, max_size=4))
    tables = draw(st.dictionaries(st.sampled_from((command, "bench")) | TEXT, st.dictionaries(keys, JUNK, max_size=3)))
    lines = _lines(content)
    for name, table in tables.items():
        lines += [f"[{json.dumps(name)}]", *_lines(table)]
    text = "\n".join(lines).encode(errors="surrogatepass")
    write("p.toml", damaged(draw, text) if rarely(draw, 4) else text)
    # Without a kernel of its own, the preset's is used, which must not be a file's.
    small = SMALL if draw(st.booleans()) else SMALL[2:]
    run(command, "--preset", "p.toml", *small, *QUICK.get(command, ()))


def _lines(table):
    return [f"{json.dumps(key)} = {_toml(value)}" for key, value in table.items()]


def _toml(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(_lines(value))}}}"
    return json.dumps("" if value is None else value)
