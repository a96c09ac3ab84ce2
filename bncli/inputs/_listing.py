"""Which images a request names: the files of its folders, their frames, and what is left out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from bncli.core.source import ALL, Request
from bncli.errors import InputError
from bncli.inputs import _deep, _folder, _picture
from bncli.inputs._picture import Facts

LISTED = 8  # broken files that have a warning of their own


class Frame(NamedTuple):
    """Frame ``number``, from 0, of those of the file ``path`` that are read, ``of`` in all."""

    path: Path
    number: int = 0
    of: int = 1

    def __str__(self) -> str:
        return f"{str(self.path)!r}" + (f", frame {self.number + 1}," if self.of > 1 else "")

    @property
    def name(self) -> str:
        """The name of the file, with the number of the frame, from 1, if several are read."""
        return numbered(self.path.name, self.number + 1) if self.of > 1 else self.path.name


def numbered(name: str, number: int) -> str:
    """``name`` with ``number`` before its suffix."""
    path = Path(name)
    return f"{path.stem}-{number}{path.suffix}"


@dataclass
class Listing:
    """Frames in the order of the batch, the facts of each, and warnings."""

    frames: list[Frame] = field(default_factory=list)
    facts: list[Facts] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def listing(request: Request, *, upright: bool) -> Listing:
    """The images of ``request``, of which only headers are read; all of a file where broken ones are left out.

    Without ``upright``, sizes are the stored ones: Pillow reads all of a PNG to find out how it is turned.
    Raises InputError as ``_folder.files`` does, and for a file that cannot be read unless it is left out.
    """
    found, paths, broken = Listing(), [], []
    for value in request.values:
        files, remarks = _folder.files(Path(value), request.recursive)
        paths += files
        found.warnings += remarks
    for path in paths:
        try:
            with hinted(len(paths), request):
                facts = _picture.facts(path, every=request.frames == ALL, upright=upright)
                numbers = range(facts.frames if request.frames == ALL else 1)
                if request.skip_broken:
                    _picture.read(path, numbers)
        except InputError as error:
            if not request.skip_broken:
                raise
            broken.append(str(error))
        else:
            found.frames += [Frame(path, number, len(numbers)) for number in numbers]
            found.facts += [facts] * len(numbers)
    if not found.frames:
        raise InputError(f"no image is left: {broken[0]}")
    found.warnings += _left_out(broken, len(paths)) + _more_frames(found, request)
    return found


@contextmanager
def hinted(count: int, request: Request) -> Iterator[None]:
    """Add to the error of one of ``count`` files that --skip-broken leaves it out."""
    try:
        yield
    except InputError as error:
        if count == 1 or request.skip_broken:
            raise
        raise InputError(f"{error}; or leave out what cannot be read: --skip-broken") from error


def _left_out(broken: list[str], count: int) -> list[str]:
    if not broken:
        return []
    more = [f"… and {len(broken) - LISTED} more"] if len(broken) > LISTED else []
    return [f"{len(broken)} of {count} image files left out", *broken[:LISTED], *more]


def _more_frames(found: Listing, request: Request) -> list[str]:
    held = [frame for frame, facts in zip(found.frames, found.facts, strict=True) if facts.frames > 1]
    if not held or request.frames == ALL:
        return []
    total = sum(facts.frames for facts in found.facts) - len(found.facts)
    counted = f"{total} more frames are not read, such as those" if total > 1 else "1 more frame is not read, that"
    return [f"{counted} of {str(held[0].path)!r}: --frames all reads {'them' if total > 1 else 'it'}"]


def precision_lost(frames: list[Frame], lost: list[int]) -> list[str]:
    """The warning that colours have more bits than the 8 that are read; ``lost`` has those of each frame, or 0."""
    held = [(frame, bits) for frame, bits in zip(frames, lost, strict=True) if bits]
    if not held:
        return []
    frame, bits = held[0]
    hint = "" if _deep.is_here() else "; pip install 'bncli[colour16]' reads 16 from PNG, TIFF, PPM and JPEG 2000"
    return [
        f"of colours in more than 8 bits, 8 are read: {len(held)} of {len(frames)} images, such as {str(frame.path)!r} "
        f"with {bits}{hint}"
    ]
