"""The chief of a search with several workers, and the worker processes that it starts."""

from __future__ import annotations

import contextlib
import io
import mmap
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent import futures
from multiprocessing import spawn
from pathlib import Path

import grpc
import numpy as np
from keras_tuner.src import protos

# Keras Tuner's own server waits for ever for workers that died, and cannot be stopped: only its answers are used.
from keras_tuner.src.distribute.oracle_chief import OracleServicer

from kerasvae.tuning.results import RESULTS, collect, stored_result, write_results
from kerasvae.tuning.worker import STARTING, new_tuner_id

LOGS = "logs"
# Where to find a chief on this machine that listens everywhere.
LOOPBACK = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}
TICK = 0.1
# Seconds for workers to be told that nothing is left.
FAREWELL = 5.0
# Processes in a row that may end before they have a row.
FALSE_STARTS = 3
START = """
import pickle, sys
from multiprocessing import spawn
spawn.prepare(pickle.load(sys.stdin.buffer))
from kerasvae.tuning.worker import main
main()
"""


def check_address(chief, role) -> tuple[str, int]:
    """ "HOST:PORT" as (host, port); ValueError for anything else."""
    host, _, port = chief.rpartition(":") if isinstance(chief, str) else ("", "", "")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f'chief must be "HOST:PORT", such as "0.0.0.0:5000", with a port up to 65535, got {chief!r}')
    return host, int(port)


def check_not_starting() -> None:
    """RuntimeError in a worker process that imports the program that started it, and finds another search there."""
    if STARTING in os.environ:
        raise RuntimeError(
            'workers: a program must call search under `if __name__ == "__main__":`, since every worker process '
            "imports it"
        )


def pickled(run) -> bytes:
    """`run` as bytes for worker processes; ValueError if they could not make it out."""
    try:
        data = _dumps(run)
    except Exception as error:
        raise ValueError(
            "run must be picklable to be done by worker processes: functions and classes at the top of a module, not "
            f"within a function, and no lambdas; got {run!r}{_culprit(run)} ({type(error).__name__}: {error})"
        ) from error
    file = getattr(sys.modules["__main__"], "__file__", None)
    if b"__main__" in data and not (file and Path(file).is_file()):
        raise ValueError(
            "run must be defined in a file that worker processes can import, not in an interactive session, a "
            f"notebook or the command line; got {run!r}"
        )
    return data


class _Pickler(pickle.Pickler):
    """Pickles memory-mapped arrays as the place of their file, whatever their size."""

    def reducer_override(self, value):
        # Whole and read-only; others may not be what the file holds.
        if type(value) is np.memmap and isinstance(value.base, mmap.mmap) and value.mode == "r":
            order = "C" if value.flags.c_contiguous else "F"
            return np.memmap, (str(value.filename), value.dtype, value.mode, value.offset, value.shape, order)
        return NotImplemented


def _dumps(value) -> bytes:
    file = io.BytesIO()
    _Pickler(file).dump(value)
    return file.getvalue()


def _culprit(run) -> str:
    """Which attribute of `run` cannot be pickled, in words; nothing where that is not what is wrong."""
    for name, value in getattr(run, "__dict__", {}).items():
        try:
            _dumps(value)
        except Exception:
            return f", because of its {name}"
    return ""


def lead(tuner, address, run: bytes, workers: int, timeout: float) -> None:
    """Hand out the rows of a `RowTuner` with a `SharedRowOracle` until all have ended.

    Args:
        tuner: reloaded.
        address: (host, port) to listen on; port 0 for any.
        run: pickled.
        workers: processes to start here, at least 0.
        timeout: as for `search`.

    Raises:
        OSError: when the port cannot be had.
        RuntimeError: when worker processes do not start.
        What `SharedRowOracle.failure` holds.
    """
    oracle, folder = tuner.oracle, tuner.folder
    oracle.take_in_hand()
    if oracle.is_finished():
        return
    before = [row for row in tuner.rows if stored_result(folder, row)]
    # One thread asks the oracle everything, for workers and for this loop.
    thread = futures.ThreadPoolExecutor(max_workers=1)
    server, port = _listen(oracle, address, thread)
    processes = WorkerProcesses(folder / LOGS)
    try:
        arguments = {
            "run": run,
            "rows": tuner.rows,
            "folder": folder.resolve(),
            "objective": (oracle.objective.name, oracle.objective.direction),
            "address": (LOOPBACK.get(address[0], address[0]), port),
            "verbose": tuner.verbose,
            "timeout": timeout,
        }
        if not workers:
            tuner.say_waiting(f"waiting for workers at {address[0]}:{port}")
        with tuner.console.status("") as status:
            finished = False
            while not finished:
                # Asked before the rows that ended are taken, so that none that ends in between goes unsaid.
                finished = oracle.is_finished()
                thread.submit(oracle.look_after, *processes.look()).result()
                if oracle.ended:
                    while oracle.ended:
                        row = oracle.ended.popleft()
                        if row not in before:
                            tuner.say_ended(row)
                    write_results(folder / RESULTS, collect(folder, tuner.rows))
                if oracle.failure:
                    raise oracle.failure
                processes.check_starts(oracle.asked)
                left = len(oracle.rows) - len(oracle.end_order)
                processes.start(min(workers, left), arguments)
                status.update(
                    f"{len(oracle.end_order)} of {len(oracle.rows)} rows done, {len(oracle.ongoing_trials)} at work"
                )
                time.sleep(TICK)
        deadline = time.monotonic() + FAREWELL
        while oracle.tuner_ids and time.monotonic() < deadline:
            time.sleep(TICK)
        processes.wait(oracle.asked, FAREWELL)
    finally:
        processes.kill()
        server.stop(None)
        thread.shutdown(cancel_futures=True)


def check_can_listen(address) -> None:
    """OSError unless a chief could listen at (host, port), found out before it writes anything."""
    host, port = address
    try:
        family, *_, place = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
        socket.create_server(place[:2], family=family).close()
    except OSError as error:
        raise _cannot_listen(address) from error


def _cannot_listen(address) -> OSError:
    return OSError(
        f"chief: cannot listen on {address[0]}:{address[1]}; name an address of this machine and a port that is free"
    )


def _listen(oracle, address, thread):
    """The server, started, and its port."""
    # Two chiefs at one port would each get some of the questions.
    server = grpc.server(thread, options=[("grpc.so_reuseport", 0)])
    protos.get_service_grpc().add_OracleServicer_to_server(OracleServicer(oracle), server)
    host, port = address
    try:
        port = server.add_insecure_port(f"{host}:{port}")
    except RuntimeError as error:
        raise _cannot_listen(address) from error
    server.start()
    return server, port


class WorkerProcesses:
    """Processes that run `kerasvae.tuning.worker.main`, each with a log file.

    Not of `multiprocessing`, whose processes show in the terminal what they say while they import the program, survive
    its being killed, and get its Ctrl-C; how they come to know the program is.

    Args:
        logs: folder for the logs.
    """

    def __init__(self, logs):
        self.logs, self.processes, self.false_starts = Path(logs), {}, 0
        self.dead = {}

    def start(self, count: int, arguments: dict) -> None:
        """Start processes until `count` are there; `arguments` as `main` takes them."""
        while len(self.processes) < count:
            tuner_id = new_tuner_id()
            numbers = {number for _, number in self.processes.values()}
            number = next(number for number in range(1, count + 1) if number not in numbers)
            preparation = spawn.get_preparation_data(tuner_id)
            preparation.pop("authkey")
            message = pickle.dumps(preparation) + pickle.dumps({**arguments, "tuner_id": tuner_id})
            self.logs.mkdir(parents=True, exist_ok=True)
            with open(self._log(number), "ab") as log:
                process = subprocess.Popen(
                    [spawn.get_executable(), "-c", START],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, STARTING: "1", "PYTHONUNBUFFERED": "1"},
                    # So that Ctrl-C does not reach it, and its own children can be ended with it.
                    **({"process_group": 0} if os.name == "posix" else {}),
                )
            self.processes[tuner_id] = process, number
            # Reading takes as long as importing the program, so that this may wait for it.
            threading.Thread(target=_send, args=(process.stdin, message), daemon=True).start()

    def look(self) -> tuple[list[str], list[str]]:
        """Tuner ids of the processes that live, and of those that ended since the last look."""
        self.dead = {}
        for tuner_id, (process, number) in list(self.processes.items()):
            if process.poll() is not None:
                del self.processes[tuner_id]
                _kill(process)
                _close(process)
                self.dead[tuner_id] = process.returncode, number
        return list(self.processes), list(self.dead)

    def check_starts(self, asked: set[str]) -> None:
        """RuntimeError if processes end without having asked for a row."""
        if any(tuner_id in asked for tuner_id in self.processes):
            self.false_starts = 0
        for tuner_id, (code, number) in self.dead.items():
            self.false_starts += tuner_id not in asked
            if tuner_id not in asked and (code > 0 or self.false_starts > FALSE_STARTS):
                text = self._log(number).read_text(encoding="utf-8", errors="replace").strip()
                raise RuntimeError(
                    f"workers: a worker process ended with exit code {code} before its first row: "
                    f"{text.splitlines()[-1] if text else 'it said nothing'} ({self._log(number)})"
                )

    def wait(self, tuner_ids: set[str], seconds: float) -> None:
        """Wait until those of the processes have ended by themselves."""
        deadline = time.monotonic() + seconds
        for tuner_id, (process, _) in self.processes.items():
            if tuner_id in tuner_ids:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(max(deadline - time.monotonic(), 0))

    def kill(self) -> None:
        """End all that are left, at once."""
        processes, self.processes = [process for process, _ in self.processes.values()], {}
        for process in processes:
            _kill(process)
        for process in processes:
            _close(process)

    def _log(self, number):
        return self.logs / f"worker-{number}.txt"


def _kill(process) -> None:
    """Kill a process and its children, which may outlive it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def _close(process) -> None:
    process.wait()
    with contextlib.suppress(OSError):
        process.stdin.close()


def _send(pipe, message: bytes) -> None:
    # It stays open: the process ends when it is closed.
    with contextlib.suppress(OSError, ValueError):
        pipe.write(message)
        pipe.flush()
