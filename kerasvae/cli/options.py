"""What the subcommands' options are made of: types for argparse, and options that only some choices have."""

from __future__ import annotations

import argparse
import json
import math
import os
import re
from pathlib import Path

SETTINGS = "settings.json"
# Devices hold steps, sizes and seeds in 32 bits; beyond them a number is a slip of the finger.
MOST = 2**31 - 1


class Parser(argparse.ArgumentParser):
    """Answers a wrong argument in one line, without the usage, which for `train` fills half a screen.

    An argument of type `Path` is one that can be a path: see `path`.
    """

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.register("type", Path, path)

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def listed(values) -> str:
    """`values` as "a, b or c"."""
    *others, last = values
    return f"{', '.join(others)} or {last}" if others else last


def integer(least: int, most: int = MOST):
    """A type for argparse: an integer from `least` to `most`."""

    def convert(text):
        try:
            value = int(text)
        except ValueError:
            value = None
        if value is None or not least <= value <= most:
            small = most == MOST and (value is None or value < least)
            allowed = f"at least {least}" if small else f"from {least} to {most}"
            raise argparse.ArgumentTypeError(f"must be an integer, {allowed}, got {text!r}")
        return value

    return convert


def number(text, above_zero: bool = False) -> float:
    """A type for argparse: a finite number, at least 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0 or (above_zero and value == 0):
        raise argparse.ArgumentTypeError(f"must be a number, {'above' if above_zero else 'at least'} 0, got {text!r}")
    return value


def hyperparameter(least: float = 0.0, most: float = math.inf):
    """A type for argparse: a number from `least` to `most`, or a ramp of such numbers, START:STOP:STEPS.

    A ramp stays text, in its shortest form; `number_or_ramp` makes a schedule of it.
    """
    limits = [f"at least {least:g}"] * math.isfinite(least) + [f"at most {most:g}"] * math.isfinite(most)
    allowed = ", ".join(["must be a number, or a ramp START:STOP:STEPS", *limits])

    def convert(text):
        *ends, steps = text.split(":") if text.count(":") == 2 else (text, "1")
        try:
            values = [float(end) for end in ends]
            if int(steps) < 1 or not all(math.isfinite(value) and least <= value <= most for value in values):
                raise ValueError
        except ValueError:
            raise argparse.ArgumentTypeError(f"{allowed}, got {text!r}") from None
        if len(values) == 1:
            return values[0]
        return ":".join([*(repr(value).removesuffix(".0") for value in values), str(int(steps))])

    return convert


def changed(text):
    """A type for argparse: how many factors of a pair differ. A range stays text, LEAST:MOST."""
    if text in ("uniform", "authors", "random"):
        return text
    numbers = text.split(":")
    if all(number.isdecimal() for number in numbers):
        numbers = [int(number) for number in numbers]
        if len(numbers) == 1 and numbers[0] >= 1:
            return numbers[0]
        if len(numbers) == 2 and numbers[0] <= numbers[1]:
            return f"{numbers[0]}:{numbers[1]}"
    raise argparse.ArgumentTypeError(
        f"must be uniform, authors, random, an integer, at least 1, or a range LEAST:MOST, got {text!r}"
    )


def image_size(text):
    """A type for argparse: the side of images, or HEIGHTxWIDTH, which stays text."""
    sides = text.split("x")
    if len(sides) > 2 or not all(side.isdecimal() and int(side) >= 1 for side in sides):
        raise argparse.ArgumentTypeError(f"must be an integer, at least 1, or HEIGHTxWIDTH, got {text!r}")
    return int(text) if len(sides) == 1 else "x".join(str(int(side)) for side in sides)


def md5(text):
    """A type for argparse: an MD5 digest."""
    if not re.fullmatch("[0-9a-fA-F]{32}", text):
        raise argparse.ArgumentTypeError(f"must be 32 hexadecimal digits, got {text!r}")
    return text.lower()


def path(text) -> Path:
    """A type for argparse: a path, which an empty shell variable is not; one that begins with ~ is in a home folder."""
    if not text.strip():
        raise argparse.ArgumentTypeError(f"must be a path, got {text!r}")
    found = Path(os.path.expanduser(text))
    try:
        found.lstat()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        pass
    except (OSError, ValueError) as error:  # too long, a link to itself, a NUL
        reason = getattr(error, "strerror", None) or error
        raise argparse.ArgumentTypeError(f"must be a path, got {_shortened(text)} ({reason})") from error
    return found


def new_file(text) -> Path:
    """A type for argparse: as `path`, of a file that can be written, replacing one that is there."""
    found = path(text)
    if found.is_dir() or text.endswith(("/", os.sep)):
        raise argparse.ArgumentTypeError(f"must be a file, got the folder {text!r}")
    return _writable(found, text)


def new_folder(text) -> Path:
    """A type for argparse: as `path`, of a folder to write to, which may be there."""
    found = path(text)
    if os.path.lexists(found) and not found.is_dir():
        what = "link that leads to no folder" if found.is_symlink() else "file"
        raise argparse.ArgumentTypeError(f"must be a folder, got the {what} {text!r}")
    return _writable(found, text)


def _writable(found: Path, text: str) -> Path:
    """The path, if the folder that it would be made in is one that may be written to; nothing is made."""
    there = found.absolute() if found.is_dir() else found.absolute().parent
    while not os.path.lexists(there):
        there = there.parent
    if not there.is_dir():
        raise argparse.ArgumentTypeError(f"cannot write {text!r}: {str(there)!r} is no folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise argparse.ArgumentTypeError(f"cannot write {text!r}: no permission to write to {str(there)!r}")
    return found


def _shortened(text: str) -> str:
    return repr(text) if len(text) <= 100 else f"{text[:40]!r}... of {len(text)} characters"


def place(text) -> str:
    """A type for argparse: as `path`, made absolute, so that what is kept of a run holds from any folder."""
    return os.path.abspath(path(text))


def folder_place(text) -> str:
    """A type for argparse: as `place`, of a folder, which need not be there."""
    if os.path.lexists(place(text)) and not os.path.isdir(place(text)):
        raise argparse.ArgumentTypeError(f"must be a folder, got the file {text!r}")
    return place(text)


def existing_file(text) -> str:
    """A type for argparse: as `place`, of a file that is there."""
    if not os.path.isfile(place(text)):
        instead = ", it is a folder" if os.path.isdir(place(text)) else ""
        raise argparse.ArgumentTypeError(f"there is no file {text!r}{instead}")
    return place(text)


def existing_folder(text) -> str:
    """A type for argparse: as `place`, of a folder that is there."""
    if not os.path.isdir(place(text)):
        instead = ", it is a file" if os.path.isfile(place(text)) else ""
        raise argparse.ArgumentTypeError(f"there is no folder {text!r}{instead}")
    return place(text)


def run_folder(text) -> Path:
    """A type for argparse: a folder in which `kerasvae train` has begun a run."""
    folder = path(text)
    try:
        settings = read_settings(folder)
    except (ValueError, OSError) as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix("--resume: ")) from error
    if settings is None:
        raise argparse.ArgumentTypeError(f"{text!r} holds no run of `kerasvae train` (there is no {SETTINGS} in it)")
    return folder


def read_settings(folder: Path) -> dict | None:
    """What the run in a folder began with, None for a folder without one; ValueError for a damaged file."""
    path = folder / SETTINGS
    if not path.is_file():
        return None
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"--resume: {str(path)!r} is damaged: it is no JSON ({error})") from error
    if not isinstance(settings, dict):
        raise ValueError(f"--resume: {str(path)!r} must hold a dictionary of settings, it holds {str(settings)[:60]}")
    return settings


def add_only_with(group, only_with: dict, name: str, text: str, **arguments) -> None:
    """An option that only some choices have, with these and their defaults in its help.

    Args:
        group: of argparse.
        only_with: {option: (of which option these are choices, {choice: default})}; a default is None where the class
            behind the choice works it out. For other choices the option is None.
        name: of the option, with underscores.
        text: of the help.
        arguments: further ones of `add_argument`.
    """
    defaults = only_with[name][1]
    shown = {choice: _shown(default) for choice, default in defaults.items()}
    if len(set(shown.values())) == 1:
        (default,) = set(shown.values())
        known = ", ".join(defaults) + (f" (default {default})" if default else "")
    else:
        first = next(choice for choice in shown if shown[choice])
        known = ", ".join(
            f"{choice} ({'default ' * (choice == first)}{default})" if default else choice
            for choice, default in shown.items()
        )
    group.add_argument(flag(name), help=f"{text}; for {known}", **arguments)


def _shown(default) -> str:
    if default is None or default is False:
        return ""
    return f"{default:g}" if isinstance(default, float) else str(default)


def fill_in(given: dict, defaults: dict, only_with: dict) -> dict:
    """All settings from those given; ValueError for one that the choices made have not got."""
    settings = {**defaults, **given}
    for name, (choice, known) in only_with.items():
        if settings[choice] in known:
            settings.setdefault(name, known[settings[choice]])
        elif name in given:
            raise ValueError(f"{flag(name)} is only for {flag(choice)} {listed(known)}, not {settings[choice]}")
        else:
            settings[name] = None
    return settings
