"""One progress display for a whole grid, read off its folder, whoever works on it."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from kerasvae.tuning.experiment_callbacks import PROGRESS, read_progress
from kerasvae.tuning.experiment_tables import row_label, varying_fields
from kerasvae.tuning.results import ERROR, row_folder, stored_result

# Seconds from one look to the next, and how long a row that says nothing is shown as running.
_LOOK, _SILENT = 0.5, 600.0
# What the scores and pictures of a row take, in shares of the row; a guess for the bar alone.
_AFTER_TRAINING = 0.1


class GridProgress:
    """Shows rows done, the rows that are running, the time left and the best score while it is entered.

    On a terminal a display that is redrawn; elsewhere a line for each row that ends. It looks at the rows' files alone,
    so it shows what other processes and machines do in the same folder, too.

    Args:
        folder: of the study.
        rows: that are to be run.
        numbers: of these in the grid.
        title: of the display.
        metric: the one whose best is shown.
        console: of rich. Default: stdout.
    """

    def __init__(self, folder, rows, numbers, title: str, metric: str = "mig", console: Console | None = None):
        self.folder, self.rows, self.numbers = Path(folder), list(rows), list(numbers)
        self.title, self.metric, self.console = title, metric, console or Console()
        self.fields = varying_fields(self.rows) if len(self.rows) > 1 else ["framework", "beta", "loss", "seed"]
        self.scores: dict[int, float] = {}
        self.failed: set[int] = set()
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._seconds: dict[int, float] = {}
        self._share = self._share_before = 0.0

    def __enter__(self):
        self._began, self._began_at = time.monotonic(), time.time()
        self._look()
        self._share_before = self._share
        if self.scores:
            self.say(f"{len(self.scores)} of {len(self.rows)} rows were finished before")
        self._live = Live(self._display(), console=self.console, auto_refresh=False, transient=True)
        if self.console.is_terminal:
            self._live.start()
        self._thread = threading.Thread(target=self._watch, name="grid-progress", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self._stop.set()
        self._thread.join()
        if self.console.is_terminal:
            self._live.stop()
        self._report()

    def _watch(self):
        while not self._stop.wait(_LOOK):
            self._report()
            if self.console.is_terminal:
                self._live.update(self._display(), refresh=True)

    def _report(self):
        with self._lock:
            self._look_and_tell()

    def _look_and_tell(self):
        scored, failed = {*self.scores}, {*self.failed}
        self._look()
        for place in sorted({*self.scores} - scored):
            text = f"{self.metric} {self.scores[place]:.3f}  {self._seconds[place]:.0f} s  {self._time_left()}"
            self.say(f"{self._label(place)}  {text}")
        for place in sorted(self.failed - failed):
            self.say(f"{self._label(place)}  FAILED, see {row_folder(self.folder, self.rows[place]) / ERROR}")

    def _look(self):
        self._running, shares = {}, []
        for place, row in enumerate(self.rows):
            if place in self.scores:
                shares.append(1.0)
                continue
            folder = row_folder(self.folder, row)
            result = stored_result(self.folder, row) if folder.is_dir() else None
            if result:
                self.scores[place] = float(result["metrics"].get(self.metric, float("nan")))
                self._seconds[place] = result["seconds"]
                self.failed.discard(place)
                shares.append(1.0)
                continue
            error = folder / ERROR
            if error.is_file() and _changed_after(error, self._began_at):
                self.failed.add(place)
                shares.append(1.0)
                continue
            progress = read_progress(folder)
            share = progress["step"] / progress["steps"] * (1 - _AFTER_TRAINING) if progress else 0.0
            if progress and _changed_after(folder / PROGRESS, max(self._began_at, time.time() - _SILENT)):
                self._running[place] = progress
            shares.append(share)
        self._share = sum(shares) / len(shares)

    def _display(self):
        done = len(self.scores) + len(self.failed)
        head = Text(f"{self.title}  {done} of {len(self.rows)} rows")
        head.append(f", {len(self.failed)} failed" if self.failed else "")
        head.append(f"  {self._time_left()}")
        if best := self._best():
            head.append(f"  {best}")
        table = Table.grid(padding=(0, 2))
        for place, progress in sorted(self._running.items()):
            step, steps = progress["step"], progress["steps"]
            stage = "" if progress["stage"] == "training" else f"  {progress['stage']}"
            table.add_row(
                Text(self._label(place)),
                ProgressBar(steps, step, width=20),
                Text(f"{step}/{steps} steps{stage}"),
            )
        return Group(head, ProgressBar(1.0, self._share, width=60), table)

    def _best(self) -> str:
        finite = {place: score for place, score in self.scores.items() if score == score}
        if not finite:
            return ""
        place = max(finite, key=finite.get)
        return f"best {self.metric} {finite[place]:.3f} (row {self.numbers[place]})"

    def _time_left(self) -> str:
        progress = self._share - self._share_before
        if self._share >= 1 or progress <= 0:
            return "" if self._share >= 1 else "time left unknown yet"
        seconds = round((time.monotonic() - self._began) / progress * (1 - self._share))
        hours, minutes = divmod(seconds // 60, 60)
        return f"{hours} h {minutes:02d} min left" if hours else f"{minutes} min {seconds % 60:02d} s left"

    def _label(self, place) -> str:
        return f"row {self.numbers[place]}  {row_label(self.rows[place], self.fields)}"

    def say(self, line: str) -> None:
        """Print a line above the display."""
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)


def _changed_after(path, moment: float) -> bool:
    try:
        return path.stat().st_mtime >= moment
    except OSError:
        return False
