"""Saved results, with something in them replaced, left out or added, anywhere."""

import json
import tempfile
from functools import cache
from pathlib import Path

from hypothesis import strategies as st

import results
from hostile.words import JUNK, TEXT
from hostile.world import damaged, rarely, run, write

FORMATS = ("table", "json", "csv", "markdown")
ODD = st.sampled_from(("nan", "inf", "-inf", -1, 0, [], {}, "\x1b]0;x\x07", "<script>", "verdict", "ratio"))


@cache
def documents():
    """What every command that has charts saves."""
    with tempfile.TemporaryDirectory() as folder:
        return [path.read_text(encoding="utf-8") for path in results.Results(Path(folder)).values()]


def saved(draw):
    for name in ("a.json", "b.json"):
        document = json.loads(draw(st.sampled_from(documents())))
        for _ in range(draw(st.integers(0, 3))):
            document = _altered(draw, document)
        content = json.dumps(document).encode()
        write(name, damaged(draw, content) if rarely(draw, 8) else content)
    if draw(st.booleans()):
        gate = ("--fail-slower", "1.1", "--allow-different-machine")
        run("compare", "a.json", "b.json", "--format", draw(st.sampled_from(FORMATS)), *gate)
    else:
        run("report", "a.json", "b.json", "--output", "r.html")


def _altered(draw, value):
    if isinstance(value, dict) and value and not rarely(draw, 6):
        key = draw(st.sampled_from(sorted(value)))
        if rarely(draw, 6):
            return {k: v for k, v in value.items() if k != key}
        if rarely(draw, 6):
            return {**value, draw(TEXT): draw(JUNK)}
        return {**value, key: _altered(draw, value[key])}
    if isinstance(value, list) and value and not rarely(draw, 6):
        at = draw(st.integers(0, len(value) - 1))
        changed = [] if rarely(draw, 6) else [_altered(draw, value[at])]
        return [*value[:at], *changed, *value[at + 1 :]]
    return draw(JUNK | ODD)
