"""What an evaluation found: scores by name, how they were computed, and forms to print and to keep them in."""

import io
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np

from kerasvae.metrics.score import Score


class Evaluation(Mapping):
    """Scores by name, in the order they were asked for, with the settings that gave them.

    A mapping of str to `Score`. `print` shows a table; `to_json()` gives a dict for `json.dumps`, `row()` a flat one
    for a table of runs (`csv.DictWriter`, a pandas DataFrame).

    Args:
        scores: mapping of name to `Score`.
        settings: mapping of str to what JSON takes: preset, seed, representation, sizes of samples, versions.
        left_out: mapping of the names of scores that could not be computed to the reason. Default: none.

    Example:

    >>> result = Evaluation({"mig": Score("mig", 0.5, {"bins": 20, "per_factor": np.array([0.4, 0.6])})}, {"seed": 1})
    >>> float(result["mig"]), result.row()
    (0.5, {'mig': 0.5, 'mig.bins': 20, 'mig.per_factor.0': 0.4, 'mig.per_factor.1': 0.6})
    """

    def __init__(
        self, scores: Mapping[str, Score], settings: Mapping[str, Any], left_out: Mapping[str, str] | None = None
    ):
        self._scores, self.settings, self.left_out = dict(scores), dict(settings), dict(left_out or {})

    def __getitem__(self, name):
        if name in self.left_out:
            raise KeyError(f"{name} was not computed: {self.left_out[name]}")
        return self._scores[name]

    def __iter__(self):
        return iter(self._scores)

    def __len__(self):
        return len(self._scores)

    def __contains__(self, name):
        return name in self._scores

    def get(self, name: str, default: Any = None) -> Any:
        """The score of that name, or `default` where there is none."""
        return self._scores.get(name, default)

    def to_json(self) -> dict[str, Any]:
        """A dict that `json.dumps` takes: `scores` by name, as `Score.to_json` gives them, `settings`, `left_out`."""
        return {
            "scores": {name: score.to_json() for name, score in self._scores.items()},
            "settings": self.settings,
            "left_out": self.left_out,
        }

    def row(self, parts: bool = True) -> dict[str, Any]:
        """The numbers in one flat dict: the scores by name, `NAME.low` and `NAME.high` of those with an interval.

        Args:
            parts: also their parts, as `NAME.PART`; of vectors, of parts with parts of their own, each entry, as
                `NAME.PART.ENTRY`. Matrices are left to `to_json`. Default: true.
        """
        found = {}
        for name, score in self._scores.items():
            found[name] = float(score)
            if score.interval is not None:
                found[f"{name}.low"], found[f"{name}.high"] = score.interval
            if parts:
                for key, part in score.parts.items():
                    found.update(_numbers(f"{name}.{key}", part))
        return found

    def __str__(self):
        from rich.console import Console

        text = io.StringIO()
        Console(file=text, width=120, color_system=None).print(self.__rich__())
        return text.getvalue().rstrip("\n")

    __repr__ = __str__

    def __rich__(self):
        """The table of scores: `rich.print(result)` shows it in colours and the terminal's width."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        intervals = any(score.interval for score in self._scores.values())
        table = Table("score")
        table.add_column("value", justify="right")
        if intervals:
            table.add_column("95 % interval", justify="right")
        table.add_column("parts")
        for name, score in self._scores.items():
            interval = "" if score.interval is None else f"{score.interval[0]:.4f} .. {score.interval[1]:.4f}"
            shown = ", ".join(f"{key} {part:.4f}" for key, part in score.parts.items() if isinstance(part, float))
            table.add_row(name, f"{float(score):.4f}", *([interval] if intervals else []), shown)
        notes = [(name, f"not computed, {reason}") for name, reason in self.left_out.items()]
        notes += [(name, warning) for name, score in self._scores.items() for warning in score.warnings]
        names = {}
        for name, note in notes:
            names.setdefault(note, []).append(name)
        return Group(table, *(Text(f"{', '.join(of_note)}: {note}") for note, of_note in names.items()))

    def _repr_html_(self):
        """The table for a notebook."""
        from html import escape

        return f"<pre>{escape(str(self))}</pre>"


def _numbers(name, part):
    if isinstance(part, Mapping):
        return {key: value for entry, each in part.items() for key, value in _numbers(f"{name}.{entry}", each).items()}
    if isinstance(part, np.generic):
        part = part.item()
    if isinstance(part, Real) and not isinstance(part, bool):
        return {name: part}
    if isinstance(part, tuple | list | np.ndarray) and np.ndim(part) == 1:
        return {
            key: value for place, each in enumerate(part) for key, value in _numbers(f"{name}.{place}", each).items()
        }
    return {}
