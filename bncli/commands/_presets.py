"""Presets: TOML files of option defaults, given to Click as its default map."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

import bncli
from bncli import plugins
from bncli.errors import InputError

PACKAGE = "bncli.commands"
SUMMARY = "summary"


def folder() -> Path:
    """The folder of the shipped presets: in the package if installed, next to the package in a clone."""
    package = Path(bncli.__file__).parent
    shipped = package / "configs"
    return shipped if shipped.is_dir() else package.parent / "configs"


def shipped() -> dict[str, Path]:
    return {path.stem: path for path in sorted(folder().glob("*.toml"))}


def load(name: str) -> dict[str, Any]:
    """The content of the preset ``name``, a shipped one or the path of a TOML file.

    Raises InputError if there is no such preset, or if it is not TOML.
    """
    known = shipped()
    path = known.get(name) or Path(name)
    if path.suffix != ".toml":
        raise InputError(plugins.unknown("preset", name, known))
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"cannot read the preset {name!r}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"the preset {name!r} is not TOML: {error}") from error


def apply(ctx: click.Context, parameter: click.Parameter, name: str | None) -> None:
    """The callback of --preset: its values become the defaults of the other options."""
    if name is not None:
        ctx.default_map = _defaults(ctx.command, name)


def _defaults(command: click.Command, name: str) -> dict[str, Any]:
    """The preset's values for ``command``: its top-level keys, and those of the command's own table."""
    values = {key: value for key, value in load(name).items() if key != SUMMARY}
    commands = {stem: plugins.load(PACKAGE, stem).COMMAND for stem in plugins.names(PACKAGE)}
    known = {stem: _options(each) for stem, each in commands.items()}
    everywhere = set().union(*known.values())
    for key, value in values.items():
        if isinstance(value, Mapping):
            if key not in known:
                raise InputError(f"preset {name!r}: {plugins.unknown('command', key, known)}")
            for inner in value:
                _require(inner, known[key], f"preset {name!r}, table [{key}]")
        else:
            _require(key, everywhere, f"preset {name!r}")
    own = _options(command)
    chosen = {key: value for key, value in values.items() if key in own and not isinstance(value, Mapping)}
    chosen |= values.get(command.name or "", {})
    where = f"preset {name!r}"
    return {own[key].name or key: _as_typed(own[key], value, f"{where}: {key}") for key, value in chosen.items()}


def _options(command: click.Command) -> dict[str, click.Option]:
    """The options that a preset may set, by their names without the dashes."""
    options = (p for p in command.params if isinstance(p, click.Option) and not p.is_eager)
    return {option.opts[0].removeprefix("--"): option for option in options}


def _require(key: str, known: Mapping[str, Any] | set[str], where: str) -> None:
    if key not in known:
        raise InputError(f"{where}: {plugins.unknown('option', key, known)}")


def _as_typed(option: click.Option, value: Any, where: str) -> Any:
    """``value`` as words for Click; the option's own type converts them like typed words."""
    values = value if isinstance(value, list) else [value]
    if any(isinstance(each, (list, dict)) for each in values) or (isinstance(value, list) and not option.multiple):
        hint = "a value or a list of them" if option.multiple else "one value"
        raise InputError(f"{where} is {value!r}: give {hint}")
    if option.is_flag:
        if not isinstance(value, bool):
            raise InputError(f"{where} is {value!r}: give true or false")
        return value
    words = [str(each) for each in values]
    return words if option.multiple else words[0]
