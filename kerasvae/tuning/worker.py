"""A worker: asks a chief for rows, one after the other, and does them."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import sys
import threading
import time
import uuid

import grpc
import keras_tuner as kt
from keras_tuner.engine.trial import TrialStatus
from rich.console import Console

from kerasvae.tuning.holds import LostRowError
from kerasvae.tuning.oracle import RowOracle
from kerasvae.tuning.results import stored_result
from kerasvae.tuning.row_tuner import RowTuner, chief_variables
from kerasvae.tuning.rows import row_name
from kerasvae.tuning.shared_oracle import FATAL
from kerasvae.tuning.study import check_study

# Seconds between two questions for a row, and between two attempts to reach a chief that does not answer.
ASK_EVERY = 0.5
# Seconds that a worker waits for a chief, as long as Keras Tuner waits for an answer.
PATIENCE = 3600.0
# Seconds in which a chief that has just been started, on a busy machine, takes up a connection.
GREETING = 30.0
# What a chief may be doing when it is killed.
GONE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
# In the environment of a worker process until it has begun.
STARTING = "KERASVAE_WORKER_STARTING"


class StudyEnded(Exception):  # noqa: N818 - says that all is well
    """The chief is gone, as every row is finished."""


def work(
    run, rows, folder, oracle, address, settings, *, verbose, console, timeout, tuner_id=None, on_wait=None
) -> None:
    """Do rows until the chief has none left; arguments as for `search`, `oracle` a new `RowOracle`."""
    host, port = address
    tuner_id = tuner_id or new_tuner_id()
    variables = {"KERASTUNER_TUNER_ID": tuner_id, "KERASTUNER_ORACLE_IP": host, "KERASTUNER_ORACLE_PORT": str(port)}
    # gRPC would ask a proxy for the way to a chief on the same machine.
    no_proxy = os.environ.get("no_grpc_proxy", os.environ.get("no_proxy", ""))
    variables["no_grpc_proxy"] = ",".join(filter(None, [no_proxy, host.strip("[]")]))
    with chief_variables(variables), contextlib.suppress(StudyEnded):
        WorkerTuner(run, oracle, folder, rows, verbose, console, timeout, on_wait, address, settings).search()


def new_tuner_id() -> str:
    # Hexadecimal: Keras Tuner takes whoever has "chief" in the name for one.
    return f"worker-{uuid.uuid4().hex[:12]}"


class WorkerTuner(RowTuner):
    """`RowTuner` whose rows come from a chief's oracle; see `work`."""

    def __init__(self, run, oracle, folder, rows, verbose, console, timeout, on_wait, address, settings):
        super().__init__(run, oracle, folder, rows, verbose, console, timeout, on_wait)
        self.settings, self.was_idle = settings, False
        # Keras Tuner has put its client in the place of the oracle.
        self.oracle = PatientOracle(self.oracle, Chief(address, self._is_finished, self.say_waiting))

    def on_search_begin(self):
        self.oracle.chief.greet()
        check_study(self.folder, self.rows, self.settings)

    def pre_create_trial(self):
        # Keras Tuner asks again at once.
        if self.was_idle:
            time.sleep(ASK_EVERY)
        self.was_idle = True

    def on_trial_begin(self, trial):
        self.was_idle = False

    def run_trial(self, trial):
        name = row_name(trial.hyperparameters.values)
        if name not in self.position:
            host, port = self.oracle.chief.address
            raise kt.errors.FatalRuntimeError(
                f"chief: {host}:{port} hands out rows of another study than that in {str(self.folder)!r}, such as "
                f"{name}"
            )
        try:
            return super().run_trial(trial)
        except LostRowError:
            raise
        except kt.errors.FatalError as error:
            trial.status = TrialStatus.FAILED
            kind = "OSError" if isinstance(error, OSError) else "ValueError"
            trial.hyperparameters.values = {FATAL: f"{kind}: {error}"}
            # Without waiting: the chief may have ended, having been told the same by another.
            if self.oracle.chief.is_reachable():
                with contextlib.suppress(grpc.RpcError):
                    self.oracle.client.end_trial(trial)
            raise

    def on_trial_end(self, trial):
        self.oracle.end_trial(trial)

    def save(self):
        pass

    def _is_finished(self):
        return all(stored_result(self.folder, row) for row in self.rows)


class PatientOracle:
    """Keras Tuner's client of a chief's oracle, which waits for a chief that was killed to be started again.

    Args:
        client: Keras Tuner's.
        chief: the `Chief` that it asks.
    """

    def __init__(self, client, chief):
        self.client, self.chief = client, chief
        self.objective = client.objective

    def create_trial(self, tuner_id):
        return self._ask(self.client.create_trial, tuner_id)

    def get_trial(self, trial_id):
        return self._ask(self.client.get_trial, trial_id)

    def update_trial(self, trial_id, metrics, step=0):
        return self._ask(self.client.update_trial, trial_id, metrics, step)

    def end_trial(self, trial):
        return self._ask(self.client.end_trial, trial)

    def _ask(self, question, *arguments):
        while True:
            self.chief.wait()
            try:
                return question(*arguments)
            except grpc.RpcError as error:
                if error.code() not in GONE:
                    host, port = self.chief.address
                    raise RuntimeError(f"chief: {host}:{port} answered with an error: {error.details()}") from error
            time.sleep(ASK_EVERY)


class Chief:
    """Where a chief is, or will be.

    Args:
        address: (host, port).
        is_finished: function that says whether nothing is left to ask the chief for.
        say: function of a line for the user.
    """

    def __init__(self, address, is_finished, say):
        self.address, self.is_finished, self.say = address, is_finished, say

    def check_host(self) -> None:
        """ValueError for a host that this machine does not know."""
        host, port = self.address
        try:
            socket.getaddrinfo(host.strip("[]"), port)
        except socket.gaierror as error:
            raise ValueError(f"chief: no host {host!r} is known to this machine ({error.strerror})") from error

    def greet(self) -> None:
        """`wait`, once `check_host` has passed; RuntimeError where something else than a chief listens."""
        self.check_host()
        host, port = self.address
        while True:
            self.wait()
            with grpc.insecure_channel(f"{host}:{port}") as channel, contextlib.suppress(grpc.FutureTimeoutError):
                grpc.channel_ready_future(channel).result(GREETING)
                return
            if self.is_reachable():
                raise RuntimeError(f"chief: what listens at {host}:{port} is no chief; give the port that it was given")

    def is_reachable(self) -> bool:
        """Whether somebody listens at the chief's address."""
        host, port = self.address
        try:
            socket.create_connection((host.strip("[]"), port), timeout=5).close()
        except OSError:
            return False
        return True

    def wait(self) -> None:
        """Return when the chief can be reached; StudyEnded when it need not be, RuntimeError after an hour."""
        host, port = self.address
        deadline, said = time.monotonic() + PATIENCE, False
        while not self.is_reachable():
            if self.is_finished():
                raise StudyEnded
            if not said:
                self.say(f"waiting for the chief at {host}:{port}")
            said = True
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"chief: {host}:{port} has not answered for {PATIENCE:.0f} s; start the chief again and then this "
                    "worker"
                )
            time.sleep(ASK_EVERY)


def main() -> None:
    """What a worker process does that `kerasvae.tuning.distributed` has started."""
    os.environ.pop(STARTING, None)
    arguments = pickle.load(sys.stdin.buffer)
    _end_with_parent()
    run, rows, objective = pickle.loads(arguments.pop("run")), arguments.pop("rows"), arguments.pop("objective")
    settings = getattr(run, "settings", None) or {}
    work(run, rows=rows, oracle=RowOracle(rows, objective), settings=settings, console=Console(quiet=True), **arguments)


def _end_with_parent() -> None:
    """End this process and its children when the parent, however it ends, lets go of this one's input."""
    pipe, nothing = os.dup(0), os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)

    def wait():
        os.read(pipe, 1)
        if hasattr(os, "killpg"):
            os.killpg(os.getpgrp(), signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
