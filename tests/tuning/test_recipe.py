"""recipes/tune.py: killed with -9 and started again, it ends with each row once."""

import csv
import signal
from pathlib import Path

import pytest
from study_processes import ends

RECIPE = Path(__file__).parents[2] / "recipes" / "tune.py"


@pytest.mark.slow
def test_killed_in_the_middle_of_a_row_and_started_again(study, tmp_path):
    folder = tmp_path / "tune"
    arguments = ["--folder", folder, "--steps", "60", "--betas", "0.01", "--latents", "2", "3", "--seeds", "1"]
    process = study.call(study.program.script, RECIPE, *arguments)
    checkpoint = folder / "rows" / "beta=0.01,latents=3,seed=1" / "checkpoint.keras"
    study.until(lambda: checkpoint.is_file() or not process.is_alive())
    process.kill()
    ends(process, -signal.SIGKILL)
    done = (folder / "rows" / "beta=0.01,latents=2,seed=1" / "result.json").stat().st_mtime_ns
    ends(study.call(study.program.script, RECIPE, *arguments))
    assert "1 of 2 rows were finished before" in study.output()
    assert (folder / "rows" / "beta=0.01,latents=2,seed=1" / "result.json").stat().st_mtime_ns == done
    with open(folder / "results.csv", encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert [(row["beta"], row["latents"], row["seed"], row["status"]) for row in table] == [
        ("0.01", "2", "1", "COMPLETED"),
        ("0.01", "3", "1", "COMPLETED"),
    ]
    assert (folder / "mig.png").is_file()
