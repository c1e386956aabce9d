"""Rows of a study that a worker trains together, by one program on its device: which, and how."""

from __future__ import annotations

import contextlib
import numbers
import time
from pathlib import Path

from kerasvae import files, runs
from kerasvae.callbacks import HistoryFile
from kerasvae.models import fit_together, load
from kerasvae.tuning.holds import RowHold, RowWatch
from kerasvae.tuning.results import row_folder, stored_result
from kerasvae.tuning.rows import row_name


class RowGroups:
    """The rows of a study in groups that can be trained together.

    They depend on the list of rows alone, not on what is finished, so that all workers have the same. One whose row is
    the first of its group takes the rest of the group along; to Keras Tuner each stays a trial of its own, and workers
    can vanish as with single rows: whoever is given one of the rows next goes on with the group. (A group as one trial
    would not survive a change of `rows_per_device`, and could not be reported row by row.)

    Args:
        run: of `search`; with an attribute `rows_per_device` above 1 it needs the methods `together(row)`, equal for
            rows that can go together, and `train_together(rows, folders, verbose)`, which leaves in the folders what
            `run` goes on from.
        rows: of the study.

    Raises:
        ValueError: for a `run` without them.
    """

    def __init__(self, run, rows):
        size = getattr(run, "rows_per_device", 1)
        if isinstance(size, bool) or not isinstance(size, numbers.Integral) or size < 1:
            raise ValueError(f"rows_per_device must be an integer, at least 1, got {size!r}")
        if size > 1 and not all(callable(getattr(run, name, None)) for name in ("together", "train_together")):
            raise ValueError(f"rows_per_device must be 1 for a run that cannot train rows together, got {size}")
        self.groups, open_groups = [], {}
        for row in rows:
            key = run.together(row) if size > 1 else None
            group = open_groups.get(key)
            if group is None or len(group) == size:
                group = open_groups[key] = []
                self.groups.append(group)
            group.append(row)
        self._group = {row_name(row): group for group in self.groups for row in group}

    def others(self, row: dict) -> list[dict]:
        """The rows of a row's group without itself."""
        return [other for other in self._group[row_name(row)] if row_name(other) != row_name(row)]

    def order(self, several_workers: bool) -> list[dict]:
        """All rows, in the order in which to hand them out: group by group, or for several workers no two at a time.

        A worker that is given a row of a group that another works on can only wait.
        """
        if not several_workers:
            return [row for group in self.groups for row in group]
        return [group[0] for group in self.groups] + [row for group in self.groups for row in group[1:]]


@contextlib.contextmanager
def taking_along(folder, rows, timeout: float):
    """Hold those of some rows that are neither finished nor held by another process; a list of (row, hold).

    Args:
        folder: of the study.
        rows: of a group.
        timeout: as for `search`.
    """
    with contextlib.ExitStack() as stack:
        taken = []
        for row in rows:
            path = row_folder(folder, row)
            if stored_result(folder, row) or RowWatch(path).look() != "free":
                continue
            path.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(_HeldByAnotherError):
                taken.append((row, stack.enter_context(RowHold(path, timeout, _do_not_wait))))
        yield [(row, hold) for row, hold in taken if not stored_result(folder, row)]


def wait_for_group(folder, row, timeout: float) -> None:
    """Return when no living process holds a row: others of its group may be about to finish it.

    `RowHold` waits too, but where a file system has no locks it would take the row away from them.
    """
    watch, seen = RowWatch(row_folder(folder, row)), time.monotonic()
    while (look := watch.look()) != "free" and not stored_result(folder, row):
        seen = time.monotonic() if look == "held" else seen
        if time.monotonic() - seen > timeout:
            return
        time.sleep(0.2)


class _HeldByAnotherError(Exception):
    """Another process has taken a row since it was looked at."""


def _do_not_wait():
    raise _HeldByAnotherError


def train_together(
    builds, pipelines, folders, *, steps, steps_per_epoch, checkpoint_every, callbacks, settings, program, verbose=0
) -> None:
    """As `kerasvae.runs.train` with `resume=True`, for several runs of as many steps that one program can train.

    Every folder gets the files that a run of its own leaves, at the same steps. Runs that a kill has left at different
    steps are brought together: the ones that are behind train until they reach the next, and go on with it from there.
    Runs that are finished are left alone.

    Args:
        builds, pipelines, folders, callbacks, settings: for each run what `runs.train` takes.
        steps, steps_per_epoch, checkpoint_every: as for `runs.train`.
        program: a `kerasvae.models.TogetherProgram` that the caller keeps for its next runs of this kind.
        verbose: as for `kerasvae.models.fit_together`.

    Raises:
        ValueError: as `runs.train` and `fit_together`.
        OSError: when a folder cannot be written.
    """
    going = []
    for build, pipeline, folder, own, setting in zip(builds, pipelines, folders, callbacks, settings, strict=True):
        folder = Path(folder)
        setting = runs.all_settings(setting, pipeline, steps, steps_per_epoch)
        files.check_writable(folder / runs.SETTINGS, "folder")
        runs.check_settings(folder, setting, resume=True)
        if not (folder / runs.MODEL).is_file():
            model = load(folder / runs.CHECKPOINT) if (folder / runs.CHECKPOINT).is_file() else build()
            files.write_json(folder / runs.SETTINGS, setting, "folder")
            going.append(_Run(model, pipeline, folder, own, setting, checkpoint_every))
    while waiting := [run for run in going if run.step < steps]:
        behind = min(run.step for run in waiting)
        until = min((run.step for run in going if run.step > behind), default=steps)
        _advance([run for run in waiting if run.step == behind], until, steps, steps_per_epoch, program, verbose)
    for run in going:
        runs.save(run.model, run.folder / runs.MODEL, run.settings)
        (run.folder / runs.CHECKPOINT).unlink(missing_ok=True)


class _Run:
    """A run among several: its model, at some step, and what `runs.train` would do with it."""

    def __init__(self, model, pipeline, folder, callbacks, settings, checkpoint_every):
        self.model, self.pipeline, self.folder, self.callbacks = model, pipeline, folder, list(callbacks)
        self.settings, self.checkpoint_every = settings, checkpoint_every

    @property
    def step(self) -> int:
        return int(self.model.step.numpy())

    def callbacks_of_epochs(self) -> list:
        checkpoint = runs.EpochCheckpoint(self.folder / runs.CHECKPOINT, self.checkpoint_every, self.settings)
        return [*self.callbacks, HistoryFile(self.folder / runs.HISTORY), checkpoint]

    def callbacks_within_epoch(self) -> list:
        return [_CheckpointWithinEpoch(self.folder / runs.CHECKPOINT, self.checkpoint_every, self.settings)]


class _CheckpointWithinEpoch(runs.EpochCheckpoint):
    """For a part of an epoch that the run goes on from: with the epoch's means, as they are not in the history yet."""

    def on_epoch_end(self, epoch, logs=None):
        self.save()


def _advance(group, until, steps, steps_per_epoch, program, verbose):
    """Train runs that are at one step until another; epochs lie as in `runs.train`."""
    while (step := group[0].step) < until:
        epoch = step // steps_per_epoch
        end = min(steps_per_epoch * (epoch + 1), steps)
        length, epochs, callbacks = end - step, epoch + 1, _Run.callbacks_of_epochs
        if until < end:
            length, callbacks = until - step, _Run.callbacks_within_epoch
        elif length == steps_per_epoch:
            epochs = until // steps_per_epoch
        fit_together(
            [run.model for run in group],
            [run.pipeline(start=step) for run in group],
            initial_epoch=epoch,
            epochs=epochs,
            steps_per_epoch=length,
            callbacks=[callbacks(run) for run in group],
            verbose=verbose,
            program=program,
        )
