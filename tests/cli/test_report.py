"""`kerasvae report`: one page of anybody's results, made without Keras."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kerasvae import cli
from kerasvae.cli import report

REPORT = """
import json, sys
from kerasvae import cli
from kerasvae.cli.options import Parser
from kerasvae.cli import report
main_parser = Parser("kerasvae")
parser = report.add(main_parser.add_subparsers())
report.run(report.check(vars(main_parser.parse_args(sys.argv[1:]))))
heavy = sorted({"keras", "tensorflow", "jax", "torch", "sklearn"} & set(sys.modules))
print(json.dumps(heavy))
"""


@pytest.fixture
def sweep(tmp_path):
    """A sweep's CSV with names of its own."""
    draws, path = np.random.default_rng(0), tmp_path / "sweep.csv"
    lines = ["params_model,params_beta,trial_seed,val_mig,val_sap,note"]
    lines += [f"beta_vae,{beta},{seed},{draws.random()},{draws.random()},x" for beta in (1, 4) for seed in range(3)]
    path.write_text("\n".join(lines) + "\n")
    return path


COLUMNS = "--column method=params_model --column strength=params_beta --column seed=trial_seed --column metrics=val_mig"


@pytest.mark.slow
def test_the_page_is_written_without_keras(sweep, tmp_path):
    arguments = [str(sweep), *COLUMNS.split(), "--out", str(tmp_path / "report.html"), "--replicates", "5", "--quiet"]
    process = subprocess.run(
        [sys.executable, "-c", REPORT, "report", *arguments, "--title", "My sweep"],
        env={**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[2])},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    *said, last = process.stdout.splitlines()
    assert json.loads(last) == [] and said[0].startswith(f"{tmp_path / 'report.html'}: 6 runs, ")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<title>My sweep</title>" in page and "beta_vae: strength 1, 4 (6 runs)." in page
    assert not process.stderr


def checked(*arguments):
    from kerasvae.cli.options import Parser

    main_parser = Parser("kerasvae")
    report.add(main_parser.add_subparsers())
    return report.check(vars(main_parser.parse_args(["report", *map(str, arguments)])))


def test_what_the_arguments_mean(sweep):
    values = checked(sweep, "--out", "a.html", "--column", "hp.latents=params_latents", "--column", "metrics=a,b")
    assert values["source"] == str(sweep)
    assert values["columns"] == {"metrics": ["a", "b"], "hp": {"latents": "params_latents"}}
    assert checked(sweep, sweep, "--out", "a.html")["source"] == [str(sweep)] * 2
    named = checked(f"mine={sweep}", "poster=dubois2019-poster", "--out", "a.html")["source"]
    assert named == {"mine": str(sweep), "poster": "dubois2019-poster"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.csv"], "there is no file or folder 'nowhere.csv'"),
        (["locatello2019-slides"], "has tables, but no runs"),
        (["SWEEP", "--out", "report.pdf"], "must end in .html"),
        (["SWEEP", "--beside", "nobody"], "invalid choice"),
        (["SWEEP", "--replicates", "1"], "at least 2"),
        (["SWEEP", "--column", "method"], "must be FIELD=NAME"),
        (["SWEEP", "--column", "colour=red"], "must be FIELD=NAME"),
        (["SWEEP", "--column", "hp.=a"], "must be FIELD=NAME"),
        (["SWEEP", "--column", "metrics=,"], "must be FIELD=NAME"),
        (["SWEEP", "--constant", "seed"], "must be FIELD=VALUE"),
        (["SWEEP", "--constant", "metric=mig"], "must be FIELD=VALUE"),
        (["SWEEP", "--constant", "seed=1", "--constant", "seed=2"], "one value only"),
        (["SWEEP", "--column", "seed=a", "--column", "seed=b"], "one name only"),
        (["SWEEP", "mine=SWEEP"], "give all of them"),
        (["mine=SWEEP", "mine=SWEEP"], "different names"),
        (["SWEEP", "--images", "nowhere"], "there is no folder"),
    ],
)
def test_wrong_arguments(sweep, arguments, words, capsys):
    arguments = [each.replace("SWEEP", str(sweep)) for each in arguments]
    try:
        checked(*([] if "--out" in arguments else ["--out", "report.html"]), *arguments)
    except ValueError as error:
        told = str(error)
    except SystemExit:
        told = capsys.readouterr().err
    assert words in told


def test_constants_and_columns_of_a_long_table(tmp_path):
    path = tmp_path / "long.csv"
    path.write_text("beta,what,v,s\n" + "".join(f"{beta},mig,0.{beta}{s},{s}\n" for beta in (1, 4) for s in (1, 2)))
    given = "--column metric=what --column value=v --column seed=s --constant method=beta_vae --replicates 2".split()
    report.run(checked(path, "--out", tmp_path / "a.html", *given, "--quiet"))
    assert "beta_vae: beta 1, 4 (4 runs)." in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_a_place_that_cannot_be_written_is_named_as_the_option(sweep, tmp_path):
    values = checked(sweep, "--out", tmp_path / "file" / "a.html", *COLUMNS.split())
    # Only then, or the arguments would be refused.
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"^--out: cannot write"):
        report.run(values)


def test_a_column_that_is_not_there(sweep, tmp_path):
    values = checked(sweep, "--out", tmp_path / "a.html", "--column", "method=model_name")
    with pytest.raises(ValueError, match="model_name"):
        report.run(values)
    assert not (tmp_path / "a.html").exists()
