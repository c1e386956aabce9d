"""search: run the rows of a study, each in a folder of its own, and go on after a kill."""

from __future__ import annotations

import inspect
import math
import numbers

import keras
from rich.console import Console

from kerasvae import files, locks
from kerasvae.checks import shown
from kerasvae.tuning.checks import check_folder
from kerasvae.tuning.distributed import check_address, check_can_listen, check_not_starting, lead, pickled
from kerasvae.tuning.oracle import RowOracle
from kerasvae.tuning.results import ERROR, RESULTS, collect, row_folder, stored_result, write_results
from kerasvae.tuning.row_groups import RowGroups
from kerasvae.tuning.row_tuner import RowTuner, clear_when_full, without_chief
from kerasvae.tuning.rows import check_rows, row_name
from kerasvae.tuning.shared_oracle import SharedRowOracle
from kerasvae.tuning.study import STUDY, only_process, study_of
from kerasvae.tuning.worker import work


class FailedRowsError(RuntimeError):
    """Some rows of a study failed; the others are finished.

    Attributes:
        rows: the failed rows.
        results: as `search` returns them, with the failed rows among them.
    """

    def __init__(self, rows: list[dict], results: list[dict], folder):
        self.rows, self.results = rows, results
        lines = [f"{len(rows)} of {len(results)} rows failed; the same search again retries them:"]
        for row in rows:
            path = row_folder(folder, row) / ERROR
            text = path.read_text(encoding="utf-8").strip() if path.is_file() else "could not even write its error"
            lines.append(f"  {row_name(row)}: {text.splitlines()[-1]} ({path})")
        super().__init__("\n".join(lines))


def search(
    run,
    rows,
    folder,
    objective=("mig", "max"),
    *,
    verbose: int = 1,
    workers: int = 1,
    chief: str | None = None,
    role: str | None = None,
    timeout: float = 60.0,
    on_wait=None,
) -> list[dict]:
    """Run every row of a list once, through Keras Tuner; called again, go on where it was interrupted.

    The folder gets `results.csv`, replaced after every row, with the finished rows in the order of `rows`; a folder
    `rows/beta=…,seed=…` for each row, with its `result.json`, or `error.txt` with the traceback if it failed; `tuner`,
    Keras Tuner's state; and `study.json`, what the study began with. Rows that have a `result.json` are never run
    again: delete a row's folder to have it done anew. A row that was interrupted, also by kill -9, is run again, in
    the same folder.

    **Several rows at a time.** With `workers` above 1 this process is Keras Tuner's chief, which hands out the rows
    over a loopback port of its own choosing, and starts that many worker processes. They end with it, whatever ends
    it. What they print is in `logs/worker-1.txt` and so on; a line a row is printed here. A worker that dies is
    replaced and its row goes on in another at once; a row in which three workers died has failed. They share the
    machine's cores and accelerator: `run` has to leave room for the others.

    **Several machines.** Call it with the same arguments everywhere, and with `chief="HOST:PORT"`: once with
    `role="chief"` (the address to listen on, such as "0.0.0.0:5000"), and any number of times with `role="worker"`
    (the chief's address as seen from there). They must share the file system that `folder` is on. Workers may come and
    go at any time, also before the chief. A row whose worker gives no sign of life for `timeout` seconds goes on in
    another. When the chief is killed, workers finish the rows that they are doing and wait up to an hour for it to be
    started again. **The port is neither encrypted nor asks who is calling: use a private network.**

    Args:
        run: function of (row, folder, verbose) that does a row and returns its metrics, a dictionary of name to finite
            number; `kerasvae.tuning.train_and_score` makes one. It finds in `folder` what an interrupted run left
            there. If it has an attribute `check`, a function of a row, that is called with every row that is not
            finished, before the first is run, to raise what is wrong with it; an attribute `settings`, JSON-able, says
            what else determines the results. With `workers` above 1, or 1 beside a chief, it must be picklable: a
            function or an object of a class at the top of a module, or of a program whose own call of `search` is
            under `if __name__ == "__main__":`.
        rows: dictionaries, as `kerasvae.tuning.rows` makes them. A study may go on with rows added, in any order, but
            with none missing, and with the same `settings` (there may be more of them).
        folder: of the study; one process at a time, not counting workers.
        objective: the metric that Keras Tuner ranks rows by, and "min" or "max". Every row's metrics must have it.
        verbose: 0 silent, 1 a line a row (default), 2 also what `run` shows (it gets `verbose - 1`; worker processes
            show it in their logs).
        workers: rows at a time on this machine. Default 1: in this process, or, with `role="chief"`, in one process
            beside it, where 0 means that others do all rows. With `role="worker"` 1: start one for each.
        chief: "HOST:PORT" of the chief. Default None: no other machine takes part.
        role: "chief" or "worker", with `chief` only.
        timeout: seconds without a sign of life after which a worker that this process did not start counts as lost, at
            least 1. Default 60; less than the file system takes to show a change to other machines runs rows twice.
        on_wait: function of a line that says what is waited for: a chief, workers, or another process that does a row.
            Default None: printed, unless `verbose` is 0.

    Returns:
        A list of dictionaries in the order of `rows`: the row's fields, its metrics, `status` ("COMPLETED") and
        `seconds` (wall-clock of the run that finished it). A worker returns what is there when the chief sends it
        home, with status "FAILED" for failed rows.

    Raises:
        FailedRowsError: at the end, when rows failed: raised an exception, or returned a metric that is not finite.
        ValueError: for rows not allowed or given twice, another objective, a study that began with other rows or
            settings, a `run` that cannot be pickled and, after the first row, metrics without the objective or under a
            row's field names.
        RuntimeError: when another process is searching in the folder, worker processes do not start, or a worker's
            row was given to another or its chief does not answer.
        OSError: when the folder cannot be written or was removed during the search, the disk is full (what is finished
            stays finished), or the chief cannot listen on its port.
    """
    _check_run(run)
    if isinstance(verbose, bool) or not isinstance(verbose, numbers.Integral) or verbose not in (0, 1, 2):
        raise ValueError(f"verbose must be 0, 1 or 2, got {verbose!r}")
    if on_wait is not None and not callable(on_wait):
        raise ValueError(f"on_wait must be a function of a line, or None, got {on_wait!r}")
    rows, folder = check_rows(rows), check_folder(folder)
    address = _check_roles(workers, chief, role, timeout)
    alone = role is None and workers == 1
    shared = not alone and role != "worker"
    order = RowGroups(run, rows).order(several_workers=not alone)
    oracle = SharedRowOracle(order, objective, folder, timeout) if shared else RowOracle(order, objective)
    work_as = pickled(run) if shared and workers else None
    check_not_starting()
    console = Console(quiet=verbose == 0)
    settings = getattr(run, "settings", None) or {}
    files.check_writable(folder / STUDY, "folder")
    if role == "worker":
        # Or a machine without a data set would have row after row fail.
        _check_unfinished(run, rows, folder)
        with clear_when_full(folder):
            said = {"verbose": verbose, "console": console, "on_wait": on_wait}
            work(run, rows, folder, oracle, address, settings, timeout=timeout, **said)
        return collect(folder, rows)
    with only_process(folder) as lock, clear_when_full(folder):
        locks.remove_unfinished(folder, (STUDY, RESULTS))
        if chief:
            check_can_listen(address)
        study = study_of(folder, rows, settings)
        waiting = _check_unfinished(run, rows, folder)
        # Not before: rows that cannot be done would have to stay in the study for ever.
        files.write_json(folder / STUDY, study)
        if waiting < len(rows):
            console.print(f"{len(rows) - waiting} of {len(rows)} rows were finished before", highlight=False)
        write_results(folder / RESULTS, collect(folder, rows))
        with without_chief():
            tuner = RowTuner(run, oracle, folder, rows, verbose, console, timeout, on_wait, lock)
            tuner.go_on()
            if alone:
                tuner.search()
            else:
                lead(tuner, address, work_as, workers, timeout)
        lock.check()
        results = collect(folder, rows)
        write_results(folder / RESULTS, results)
        lock.check()
    failed = [row for row in rows if not stored_result(folder, row)]
    if failed:
        raise FailedRowsError(failed, results, folder)
    return results


def _check_run(run) -> None:
    """ValueError unless `run` can be called with a row, a folder and `verbose`."""
    wanted = "run must be a function of (row, folder, verbose)"
    if isinstance(run, type):
        raise ValueError(f"{wanted}, got the class {run.__name__}: call it, {run.__name__}()")
    if not callable(run) or isinstance(run, keras.Model):
        raise ValueError(f"{wanted}, got {shown(run)}")
    try:
        inspect.signature(run).bind({}, "", 0)
    except TypeError as error:
        raise ValueError(f"{wanted}, got {getattr(run, '__qualname__', run)!r}: {error}") from error
    except ValueError:  # of a function in C, of which nothing is known
        return


def _check_unfinished(run, rows, folder) -> int:
    """Have `run` check the rows that are not finished; their number."""
    waiting = [row for row in rows if not stored_result(folder, row)]
    for row in waiting if hasattr(run, "check") else ():
        run.check(dict(row))
    return len(waiting)


def _check_roles(workers, chief, role, timeout) -> tuple[str, int]:
    """The chief's (host, port), port 0 for any; ValueError for arguments that do not go together."""
    if isinstance(workers, bool) or not isinstance(workers, numbers.Integral) or workers < (role != "chief"):
        raise ValueError(f'workers must be an integer, at least 1 (0 with role="chief"), got {workers!r}')
    if role not in ("chief", "worker") and (role is not None or chief is not None):
        raise ValueError(f'role must be "chief" or "worker" where chief is given, got {role!r}')
    if role is not None and chief is None:
        raise ValueError(f'chief must be "HOST:PORT" where role is given, got {chief!r}')
    if role == "worker" and workers != 1:
        raise ValueError(f'workers must be 1 with role="worker", got {workers!r}: start one process for each')
    if isinstance(timeout, bool) or not isinstance(timeout, numbers.Real) or not 1 <= timeout < math.inf:
        raise ValueError(f"timeout must be a number of seconds, at least 1, got {timeout!r}")
    return ("127.0.0.1", 0) if chief is None else check_address(chief, role)
