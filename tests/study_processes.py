"""Processes that search in a study's folder, and can be killed."""

import csv
import os
import socket
import textwrap
import time
from pathlib import Path

from kerasvae import tuning

ROWS = tuning.rows(seed=[1, 2, 3, 4, 5, 6])
STEPS = 4
WAIT = 120.0

# Rows take STEPS naps and leave a checkpoint after each; `fails` in the study's folder names one that fails, and with
# `full` the disk is. A file of its own, so that all processes can import it.
PROGRAM = textwrap.dedent("""
    import json, os, runpy, signal, sys, time, traceback
    from pathlib import Path
    from kerasvae import cli
    from kerasvae import tuning

    STEPS = 4

    def note(folder, *words):
        with open(Path(folder) / "log", "a") as file:
            file.write(" ".join(map(str, words)) + "\\n")

    def run(row, folder, verbose):
        study, checkpoint = folder.parents[1], folder / "checkpoint"
        done = int(checkpoint.read_text()) if checkpoint.is_file() else 0
        note(study, "begin", row["seed"], done, os.getpid())
        for step in range(done, STEPS):
            time.sleep(float((study / "nap").read_text()))
            checkpoint.with_suffix(".new").write_text(str(step + 1))
            checkpoint.with_suffix(".new").rename(checkpoint)
        if (study / "fails").is_file() and row["seed"] == int((study / "fails").read_text()):
            raise ArithmeticError("no luck")
        if (study / "full").exists():
            raise OSError(28, "No space left on device", "checkpoint")
        print("said by run")
        note(study, "end", row["seed"])
        return {"mig": row["seed"] / 7}

    def write_to(output):
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, 1), os.dup2(file, 2)

    def script(output, path, *arguments):
        write_to(output)
        sys.argv = [path, *arguments]
        runpy.run_path(path, run_name="__main__")

    def run_of_an_experiment(row, folder, verbose):
        mig = run(row, folder, verbose)["mig"]
        final = dict.fromkeys(["dci", "reconstruction_nats", "kl_nats", "active_latents"], 0.5) | {"mig": mig}
        best = {name: {"score": mig, "step": 1} for name in ("mig", "dci")}
        report = {"final": final, "best": best, "seconds": 1, "seconds_training": 1, "versions": {}}
        (folder / "scores.json").write_text(json.dumps(report))
        return final | {"best_mig": mig, "best_dci": mig}

    def command(output, *arguments):
        # What a row of an experiment does, without the hours.
        tuning.ExperimentRun = lambda *arguments, **options: run_of_an_experiment
        write_to(output)
        sys.exit(cli.main(arguments))

    def main(folder, output, seeds, options):
        write_to(output)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            tuning.search(run, tuning.rows(seed=seeds), folder, **options)
        except KeyboardInterrupt:
            os._exit(130)
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
""")


class Study:
    """A folder, and processes that search in it; they are forks of one that has imported the package."""

    def __init__(self, folder, context, program, nap=0.05, rows=ROWS):
        self.folder, self.context, self.program, self.processes = folder, context, program, []
        self.seeds = [row["seed"] for row in rows]
        folder.mkdir()
        (folder / "nap").write_text(str(nap))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"

    def start(self, role=None, **options):
        if role:
            options = {"role": role, "chief": self.address, "workers": 0 if role == "chief" else 1, **options}
        arguments = (str(self.folder), str(self.folder / "output"), self.seeds, options)
        process = self.context.Process(target=self.program.main, args=arguments)
        process.start()
        self.processes.append(process)
        return process

    def call(self, function, *arguments):
        """Start a process with a function of the program and its arguments, as strings."""
        process = self.context.Process(target=function, args=(str(self.folder / "output"), *map(str, arguments)))
        process.start()
        self.processes.append(process)
        return process

    def log(self, word=""):
        path = self.folder / "log"
        lines = [line.split() for line in path.read_text().splitlines()] if path.is_file() else []
        return [line for line in lines if line[0].startswith(word)]

    def output(self):
        path = self.folder / "output"
        return path.read_text() if path.is_file() else ""

    def until(self, condition, what=""):
        deadline = time.monotonic() + WAIT
        while not condition():
            assert time.monotonic() < deadline, (what, self.log(), self.output())
            time.sleep(0.01)

    def at_work(self):
        """Rows that began after they last ended, with the process that does them."""
        last = {}
        for line in self.log():
            last[int(line[1])] = int(line[3]) if line[0] == "begin" else None
        return {seed: pid for seed, pid in last.items() if pid and is_alive(pid)}

    def check_finished(self):
        """Every row ended once, and went on from where it was."""
        assert sorted(int(line[1]) for line in self.log("end")) == self.seeds, self.log()
        with open(self.folder / "results.csv", encoding="utf-8", newline="") as file:
            table = [(int(row["seed"]), float(row["mig"]), row["status"]) for row in csv.DictReader(file)]
        assert table == [(seed, seed / 7, "COMPLETED") for seed in self.seeds]


def is_alive(pid):
    try:
        os.kill(pid, 0)
        # A zombie counts as dead.
        return not Path("/proc/self").exists() or ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False


def ends(process, code=0, seconds=WAIT):
    process.join(seconds)
    assert process.exitcode == code
