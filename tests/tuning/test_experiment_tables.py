"""Tables, figures and the display of an experiment, of whatever rows are finished."""

import csv
import itertools
import json

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from kerasvae import files, tuning
from kerasvae.tuning import experiment_tables, grids
from kerasvae.tuning.experiment_callbacks import RowProgress, read_progress
from kerasvae.tuning.experiment_progress import GridProgress
from kerasvae.tuning.results import row_folder


def finish(folder, row, mig, dci=0.5):
    """Write what a finished row leaves, as far as tables and figures read it."""
    path = row_folder(folder, row)
    path.mkdir(parents=True)
    metrics = {"mig": mig, "dci": dci, "reconstruction_nats": 1.0, "kl_nats": 2.0, "active_latents": 3}
    files.write_json(path / "result.json", {"row": row, "metrics": metrics, "seconds": 1.5})
    best = {name: {"score": metrics[name] + 0.1, "step": 4} for name in ("mig", "dci")}
    versions = {"python": "3.11", "keras": "3.15"}
    report = {"final": metrics, "best": best, "seconds": 2.5, "seconds_training": 2.0, "versions": versions}
    files.write_json(path / "scores.json", report)


def partial_study(folder, name, flavour="corrected"):
    rows = grids.GRIDS[name]("small", flavour)
    experiment_tables.begin_experiment(folder, name, "small", flavour, rows)
    rng = np.random.default_rng(0)
    for row in rows[2:-1]:
        finish(folder, row, *rng.uniform(0, 0.9, 2))
    failed = row_folder(folder, rows[0])
    failed.mkdir()
    (failed / "error.txt").write_text("Traceback\nValueError: no luck")
    return rows


@pytest.mark.parametrize(
    ("name", "flavour"), [*zip(grids.GRIDS, itertools.repeat("corrected")), ("overlap", "authors")]
)
def test_tables_and_figures_of_partial_grids(tmp_path, name, flavour):
    rows = partial_study(tmp_path, name, flavour)
    experiment = tuning.read_experiment(tmp_path)
    assert experiment == {"name": name, "scale": "small", "flavour": flavour, "rows": rows}
    results = tuning.experiment_results(tmp_path, experiment["rows"])
    assert experiment_tables.unfinished(results) == {"failed": [1], "missing": [2, len(rows)]}
    experiment_tables.write_table(tmp_path / "table.csv", results)
    with open(tmp_path / "table.csv", newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert [int(line["row"]) for line in table] == list(range(1, len(rows) + 1))
    for line, row in zip(table, rows, strict=True):
        assert {field: line[field] for field in row} == {field: str(value) for field, value in row.items()}
    assert (table[0]["status"], table[0]["mig"]) == ("failed", "")
    assert float(table[2]["best_mig"]) == pytest.approx(float(table[2]["mig"]) + 0.1)
    assert (table[2]["steps_per_second"], table[2]["version_keras"]) == (str(rows[2]["steps"] / 2), "3.15")
    figure = tuning.draw_experiment(name, results, tmp_path / "figure.png")
    with Image.open(tmp_path / "figure.png") as image:
        assert image.size[0] >= 1500
    texts = [text.get_text() for text in figure.texts]
    assert f"failed: rows 1; missing: rows 2,{len(rows)}" in texts
    assert f"{len(rows) - 3} of {len(rows)} runs" in figure.get_suptitle()
    assert ("best scores during" if flavour == "authors" else "scores after training") in figure.get_suptitle()
    # As many points are drawn as there are finished rows, for each of the two scores.
    points = sum(len(collection.get_offsets()) for axes in figure.axes for collection in axes.collections
                 if type(collection).__name__ == "PathCollection")  # fmt: skip
    assert points == 2 * (len(rows) - 3)


def test_nothing_to_draw_is_said(tmp_path):
    rows = grids.augmented_loss("small")
    results = tuning.experiment_results(tmp_path, rows)
    with pytest.raises(ValueError, match="results must hold at least one finished row, got none of 40"):
        tuning.draw_experiment("augmented_loss", results, tmp_path / "figure.png")
    with pytest.raises(ValueError, match="name must be 'adversarial', 'overlap', 'augmented_loss', got 'other'"):
        tuning.draw_experiment("other", results, tmp_path / "figure.png")


def test_a_folder_holds_one_experiment(tmp_path):
    rows = grids.augmented_loss("small")
    # Before its first row it can still become another.
    experiment_tables.begin_experiment(tmp_path, "augmented_loss", "small", "authors", rows)
    experiment_tables.begin_experiment(tmp_path, "augmented_loss", "small", "corrected", rows)
    (tmp_path / "study.json").touch()
    experiment_tables.begin_experiment(tmp_path, "augmented_loss", "small", "corrected", rows)
    with pytest.raises(ValueError, match="holds an experiment with flavour 'corrected' \\(now 'authors'\\)"):
        experiment_tables.begin_experiment(tmp_path, "augmented_loss", "small", "authors", rows)
    with pytest.raises(ValueError, match="holds an experiment with other rows"):
        experiment_tables.begin_experiment(tmp_path, "augmented_loss", "small", "corrected", rows[1:])
    for content in ("{}", "", '{"rows": ['):
        (tmp_path / "experiment.json").write_text(content)
        with pytest.raises(ValueError, match=r"is damaged .*; delete it and go on"):
            tuning.read_experiment(tmp_path)
        with pytest.raises(ValueError, match=r"is damaged .*; delete it and go on"):
            experiment_tables.begin_experiment(tmp_path, "augmented_loss", "small", "corrected", rows)
    with pytest.raises(FileNotFoundError, match="holds no experiment"):
        tuning.read_experiment(tmp_path / "none")


def test_numbers_as_ranges_and_back():
    from kerasvae.cli.experiment import row_numbers

    for text, numbers in (("3,7-12", [3, *range(7, 13)]), ("1", [1]), ("1-2,4", [1, 2, 4])):
        assert row_numbers(text) == numbers
        assert experiment_tables.ranges(numbers) == text
    assert row_numbers("7-9,8,1") == [1, 7, 8, 9]


def test_the_display_tells_what_the_folder_holds(tmp_path):
    rows = grids.augmented_loss("small")[:4]
    finish(tmp_path, rows[0], 0.25)
    with open(tmp_path / "shown.txt", "w+", encoding="utf-8") as file:
        display = GridProgress(tmp_path, rows, [1, 2, 3, 4], "a title", console=Console(file=file, width=200))
        with display:
            finish(tmp_path, rows[1], 0.75)
            folder = row_folder(tmp_path, rows[2])
            folder.mkdir()
            RowProgress(folder, 100, 10)
            files.write_json(folder / "progress.json", {"step": 40, "steps": 100, "stage": "training", "seconds": 1.0})
            display._report()
            Console(file=file, width=200).print(display._display())
            failed = row_folder(tmp_path, rows[3])
            failed.mkdir()
            (failed / "error.txt").write_text("Traceback")
        file.seek(0)
        shown = file.read()
    assert "1 of 4 rows were finished before" in shown
    assert "a title  2 of 4 rows" in shown and "best mig 0.750 (row 2)" in shown
    assert "row 3  seed=" in shown and "40/100 steps" in shown and " left" in shown
    assert "row 2  seed=" in shown and "mig 0.750  2 s" in shown
    assert "row 4  seed=" in shown and "FAILED, see " in shown


def test_damaged_progress_is_none(tmp_path):
    for content in ("", "{", "[]", "{}", json.dumps({"step": "x", "steps": 1})):
        (tmp_path / "progress.json").write_text(content)
        assert read_progress(tmp_path) is None
    assert read_progress(tmp_path / "none") is None
