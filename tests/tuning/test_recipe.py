"""recipes/tune.py: killed with -9 and started again, it ends with each row once."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


def start(folder):
    options = ["--steps", "60", "--betas", "0.01", "--latents", "2", "3", "--seeds", "1"]
    return subprocess.Popen(
        [sys.executable, str(ROOT / "recipes" / "tune.py"), "--folder", str(folder), *options],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def test_killed_in_the_middle_of_a_row_and_started_again(tmp_path):
    process = start(tmp_path)
    checkpoint = tmp_path / "rows" / "beta=0.01,latents=3,seed=1" / "checkpoint.keras"
    deadline = time.monotonic() + 240
    while not checkpoint.is_file() and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    done = (tmp_path / "rows" / "beta=0.01,latents=2,seed=1" / "result.json").stat().st_mtime_ns
    process = start(tmp_path)
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    assert "1 of 2 rows were finished before" in output
    assert (tmp_path / "rows" / "beta=0.01,latents=2,seed=1" / "result.json").stat().st_mtime_ns == done
    with open(tmp_path / "results.csv", encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert [(row["beta"], row["latents"], row["seed"], row["status"]) for row in table] == [
        ("0.01", "2", "1", "COMPLETED"),
        ("0.01", "3", "1", "COMPLETED"),
    ]
    assert (tmp_path / "mig.png").is_file()
