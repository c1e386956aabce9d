"""Tables of spreadsheets, of sweeps, and of machines that went down: read rightly, or refused with a reason."""

import gzip
import json
import os

import numpy as np
import pytest

from kerasvae.analysis.study import describe, load, total_correlation
from kerasvae.analysis.study.entries import LONGEST, number, plain, readable, whole_number

RUNS = [
    {"dataset": "dsprites", "method": method, "strength": strength, "seed": seed, "mig": 0.1 * seed + strength / 100}
    for method in ("beta_vae", "factor_vae")
    for strength in (1, 4)
    for seed in (1, 2, 3)
]


def text_of(lines, separator=",", end="\n"):
    rows = [separator.join(lines[0]), *(separator.join(map(str, line.values())) for line in lines)]
    return end.join([*rows, ""])


def told(table, words):
    return any(words in notice for notice in table.notices)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", text_of(RUNS).encode("utf-8-sig")),
        ("utf16.csv", text_of(RUNS, "\t").encode("utf-16")),
        ("old_mac.csv", text_of(RUNS, end="\r").encode()),
        ("windows.csv", text_of(RUNS, ";", "\r\n").encode()),
        ("excel.csv", ("sep=;\n" + text_of(RUNS, ";")).encode()),
        ("bars.txt", text_of(RUNS, "|").encode()),
        ("blank.csv", ("\n\n" + text_of(RUNS, "\t")).encode()),
        ("small.csv.gz", gzip.compress(text_of(RUNS).encode())),
        ("no_ending", gzip.compress(text_of(RUNS).encode())),
        ("lines.jsonl.gz", gzip.compress("\n".join(map(json.dumps, RUNS)).encode())),
        ("split.json", json.dumps({"columns": list(RUNS[0]), "data": [list(run.values()) for run in RUNS]}).encode()),
        ("table.json", json.dumps({"schema": {"fields": []}, "data": RUNS}).encode()),
        ("held.json", json.dumps({"runs": RUNS}).encode()),
        ("spaces.csv", text_of(RUNS, " , ").encode()),
        ("trailing.csv", (text_of(RUNS, ",", ",,\n") + ",,,,,,\n").encode()),
    ],
)
def test_the_same_table_in_other_clothes(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    table = load(tmp_path / name)
    assert table.equals(load(RUNS)), table.notices
    assert not [notice for notice in table.notices if "without any entry" not in notice]


def test_a_dictionary_of_runs_by_name(tmp_path):
    (tmp_path / "runs.json").write_text(json.dumps({f"run {place}": run for place, run in enumerate(RUNS)}))
    table = load(tmp_path / "runs.json")
    assert table.column("mig").tolist() == load(RUNS).column("mig").tolist() and "run 11" in table.run_id


def test_a_pipe_of_a_shell_is_a_file(tmp_path):
    # As <(command) is; one that lies in a folder may never have a writer.
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream:
        stream.write(text_of(RUNS))
    try:
        assert len(load(f"/dev/fd/{reader}")) == len(RUNS)
    finally:
        os.close(reader)
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(FileNotFoundError, match=r"no file or folder '.*pipe\.csv' \(it is no file but a pipe\)"):
        load(tmp_path / "pipe.csv")


def test_letters_of_western_europe(tmp_path):
    lines = [run | {"method": {"beta_vae": "bêta", "factor_vae": "béta"}[run["method"]]} for run in RUNS]
    (tmp_path / "a.csv").write_bytes(text_of(lines).encode("latin-1"))
    table = load(tmp_path / "a.csv")
    assert set(table.methods) == {"bêta", "béta"} and told(table, "Windows-1252")


def test_decimal_commas(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("method;seed;beta;mig;fun\nvae;1;0,5;0,25;1,5e3\nvae;2;1,5;;n/a\nvae;3;2;,125;3\n")
    table = load(path)
    assert table.strength.tolist() == [0.5, 1.5, 2] and told(table, "decimal points: beta, mig, fun")
    np.testing.assert_array_equal(table.column("mig"), [0.25, np.nan, 0.125])
    np.testing.assert_array_equal(table.column("fun"), [1500, np.nan, 3])
    # Between tabs, 1,234 may be a thousand: it is neither.
    path.write_text("method\tseed\tmig\nvae\t1\t1,234\n")
    with pytest.raises(ValueError, match="mig must be numbers, got '1,234' in row 1: write numbers without commas"):
        load(path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"PK\x03\x04\x00\x00", "is a spreadsheet or zip file, no text"),
        (b"method,seed,mig\nvae,1,\x000.5\n", "holds zero bytes"),
        (gzip.compress(text_of(RUNS).encode())[:-20], "compressed, and cut short or damaged"),
        (b'method,seed,mig\nvae,"1,0.5\nvae,2,0.5\n', "line 2 of .* opens a quote that is not closed"),
        (b'method,seed,mig\nvae,"1,0.5\nvae,2,0.5', "line 2 of .* opens a quote that is not closed"),
        (b'"method,seed', "opens a quote"),
        (b'method,seed\nvae,"1"2\n', "line 2 of .* is no CSV"),
        (b'method,seed,mig\n"a\n\nb",1,0.5\nvae,2\nvae,3,0.5\n', "line 5 of .* has 2 fields, the header 3"),
        (b"method,seed,,mig,\nvae,1,x,0.5,\n", "columns without a name: 3$"),
        (b"method,seed,schema\nvae,1,v1\n", "version v1"),
        (b"method,seed,mig,mig@mean\nvae,1,0.5,0.6\n", "two columns are the metric 'mig'"),
        (b"method,seed,mig\nvae,1,1_0\n", "mig must be numbers, got '1_0'"),
        (b"method,seed,mig\nvae,1,45%\n", "got '45%' in row 1: write numbers without commas and per cent signs"),
        (b"method,seed,mig\nvae,123456789012345678901,0.5\n", "seed must be whole numbers"),
        (b"method,seed,mig\nvae,1e300,0.5\n", "seed must be whole numbers, got '1e300' in row 1"),
        (b"method,seed,mig\nvae,s1,0.5\n", "seed must be whole numbers, got 's1'"),
    ],
)
def test_what_is_refused(tmp_path, data, message):
    (tmp_path / "a.csv").write_bytes(data)
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("[]", "at least one run"),
        ("3", "list of dictionaries"),
        ("{}", "list of dictionaries"),
        ("[" * 100_000, "too deep"),
        ('[{"method": "vae",\n "seed": 1', r"is no JSON \(line 2, column"),
        ('{"method": ["vae"], "seed": [1, 2]}', "same length, got {'method': 1, 'seed': 2}"),
        ('[{"1": 1, "method": "vae", "seed": 1, " 1": 2}]', "columns of the same name: '1'"),
    ],
)
def test_json_that_is_refused(tmp_path, text, message):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "a.json")


def test_files_that_end_too_soon(tmp_path):
    path, text = tmp_path / "a.csv", text_of(RUNS)
    for end, words in (
        (b'"factor', "last line of a.csv, which is cut short"),
        (b'factor_vae,4,"9', "last line of a.csv, which is cut short"),
        ("β".encode()[:1], "ends within a letter"),
        (b"\0" * 512, "zero bytes at the end"),
    ):
        path.write_bytes(text.encode() + end)
        table = load(path)
        assert len(table) == len(RUNS) and told(table, words), end


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        ({"method": "vae", "seed": 1}, ValueError, "method='vae'; a single run goes into a list"),
        ({"a": RUNS, "b": [{"method": "vae"}]}, ValueError, "study 'b': the table has no column 'seed'"),
        ([RUNS, "nothing.csv"], FileNotFoundError, r"source\[1\]: source: there is no file or folder 'nothing.csv'"),
        ({1: [1], "1": [2], "method": ["vae"], "seed": [1]}, ValueError, "columns of the same name: '1'"),
    ],
)
def test_sources_that_are_refused(source, kind, message):
    with pytest.raises(kind, match=message):
        load(source)


def test_a_study_without_runs_is_said():
    table = load({"a": RUNS, "b": {"method": [], "seed": [], "mig": []}})
    assert table.studies == ("a",) and told(table, "study 'b' holds no runs")


def test_notices_on_all_runs_are_of_all_runs():
    table = load({"a": [run | {"status": "failed"} for run in RUNS], "b": RUNS})
    assert [notice for notice in table.notices if "not ok" in notice] == [
        "12 of 24 runs are not ok: they are in no analysis."
    ]


def test_single_entries():
    assert number("#DIV/0!") != number("#DIV/0!") and number(" n.a. ") is None and number("#N/A") is None
    assert plain("1_0") == "1_0" and plain(float("nan")) is None and plain(True) == "True" and plain("4.0") == 4
    assert whole_number(2**53 + 1) == whole_number(str(2**53 + 1)) == 2**53 + 1 and whole_number("-3.0") == -3
    assert [whole_number(each) for each in (True, 1.5, "", None, "1_0", 1e17, "x", float("inf"))] == [None] * 8
    assert readable(" a\n b\x07\ud800\u202e ") == "a  b\ufffd\ufffd\ufffd" and readable("β-VAE 漢字") == "β-VAE 漢字"
    assert len(readable("x" * 5000)) == LONGEST and readable("x" * 5000) != readable("x" * 5001)


def test_seeds_that_floats_cannot_tell_apart():
    table = load([{"method": "vae", "seed": str(2**53 + extra), "mig": 0.5} for extra in (0, 1)])
    assert table.seeds == (2**53, 2**53 + 1)


def test_names_of_a_page_and_of_files():
    lines = [run | {"method": run["method"] + "\ud800\x00", "dataset": "a\nb"} for run in RUNS]
    table = load(lines)
    assert table.methods[0] == "beta_vae\ufffd\ufffd" and table.datasets == ("a b",)
    assert load(table.to_long()).equals(table) and len(table.fingerprint) == 12
    assert load([RUNS[0] | {"run_id": "r" * 200}]).run_id.tolist() == ["r" * 200]


def test_what_is_missing_is_no_name():
    nan = float("nan")
    table = load([run | {"status": nan, "dataset": nan if run["seed"] == 1 else "dsprites"} for run in RUNS])
    assert (table.status == "ok").all() and table.datasets == ("dsprites", "data")
    assert told(table, "4 of 12 lines have no dataset: it was called 'data'")
    with pytest.raises(ValueError, match="method must not be empty: it is in row 1"):
        load([run | {"method": nan} for run in RUNS])
    assert told(load([run | {"method": "None"} for run in RUNS[:3]]), "A method is called 'None'")
    assert load([run | {"note": nan if run["seed"] == 1 else "x"} for run in RUNS]).labels["note"].tolist()[0] is None


def test_two_columns_that_are_one_thing():
    with pytest.raises(ValueError, match="columns: 'm' is named for 'method' and for 'dataset'"):
        load([{"m": "vae", "seed": 1, "mig": 0.5}], {"method": "m", "dataset": "m"})
    lines = [run | {"hp.lr": 1, "params_lr": run["seed"] % 2, "config.lr": 1} for run in RUNS]
    table = load(lines)
    assert set(table.hyper_parameters) == {"lr", "params_lr"}, "that which says another thing keeps its name"


def test_representations_in_a_column_and_in_names():
    lines = [run | {"representation": kind, "mig@2000": 0.5} for run in RUNS for kind in ("mean", "Sampled")]
    lines = [line | {"mig": 0.9 if line["representation"] == "Sampled" else 0.1} for line in lines]
    table = load(lines)
    assert table.metrics == ("mig", "mig@sampled", "mig@2000", "mig@2000@sampled") and len(table) == 12
    assert (table.column("mig@sampled") == 0.9).all() and (table.column("mig") == 0.1).all()
    assert load([RUNS[0] | {"sap@sampled@500": 1}]).metrics == ("mig", "sap@500@sampled")


def test_long_tables_with_capitals():
    lines = [{"Method": "vae", "Seed": seed, "Metric": "mig", "Value": 0.5} for seed in (1, 2)]
    assert load(lines).metrics == ("mig",) and len(load(lines)) == 2


def test_columns_that_programs_count_by():
    lines = [
        {"number": run["seed"], "value": run["mig"], "params_model": run["method"], "params_beta": run["strength"],
         "user_attrs_seed": run["seed"], "user_attrs_mig": run["mig"], "state": "COMPLETE", "Runtime": 12.5, "_step": 9,
         "Unnamed: 0": 3, "summary/sap": run["mig"], "@": 4}
        for run in RUNS
    ]  # fmt: skip
    table = load(lines)
    assert table.metrics == ("mig", "sap", "value") and table.seeds == (1, 2, 3)
    assert told(table, "of no meaning to any analysis: number, Runtime, _step, Unnamed: 0, @")
    assert told(table, "Unknown metrics") and table.column("mig").tolist() == load(RUNS).column("mig").tolist()


def test_a_metric_that_one_entry_spoils():
    table = load([run | {"fun": "oops" if run["seed"] == 2 else 1.0} for run in RUNS])
    assert table.metrics == ("mig",)
    assert told(table, "fun is no metric: 4 of 12 entries are no numbers, such as 'oops' in row 2")


def test_thousands_of_unknown_columns_are_no_scores():
    more = {f"pixel {place}": 0.5 for place in range(101)}
    table = load([run | more for run in RUNS])
    assert table.metrics == ("mig",) and told(table, "101 columns of numbers have unknown names ('pixel 0', 'pixel 1'")
    assert len(load([run | more for run in RUNS], {"metrics": list(more)}).metrics) == 101


def test_attempts_that_did_not_end_well():
    first = RUNS[0] | {"status": "crashed", "mig": 0.9}
    table = load([first, *(run | {"status": "finished"} for run in RUNS)])
    assert len(table.ok()) == 12 and table.column("mig")[0] == RUNS[0]["mig"]
    assert told(table, "failed attempts of 1 runs that have finished since")
    table = load([first, first | {"status": "running", "mig": 0.8}, *(run | {"status": "ok"} for run in RUNS[1:])])
    assert len(table) == 12 and table.status.tolist().count("running") == 1 and table.column("mig")[0] == 0.8
    assert told(table, "all but the last attempt of 1 runs")
    # A number that the finished attempt has not got is not thrown away.
    with pytest.raises(ValueError, match=r"row 2 \(dsprites, beta_vae, 1, seed 1\): a run has one status"):
        load([first | {"sap": 0.5}, RUNS[0] | {"status": "ok"}])


def test_runs_that_come_twice():
    with pytest.raises(ValueError, match="All are equal: leave the copies out"):
        load([*RUNS, RUNS[0]])
    with pytest.raises(ValueError, match=r"apart: seed, hp.NAME or run_id; if they are of one, at several steps, keep"):
        load([*RUNS, RUNS[0] | {"mig": 0.5}])
    table = load([run | {"run_id": place} for place, run in enumerate([*RUNS, RUNS[0]])])
    assert told(table, "1 runs have the same settings and seed as another (dsprites, beta_vae, 1, seed 1)")


def test_numbers_that_cannot_be_computed_with():
    table = load([run | {"mig": 1e300 if run["seed"] == 1 else run["mig"]} for run in RUNS])
    assert np.isnan(table.column("mig")).sum() == 4 and table.non_finite == 4
    assert told(table, "4 numbers are nan or infinite, or beyond ±1e+30 (4)")
    assert told(load([run | {"mig": 100 * run["mig"]} for run in RUNS]), "Scores above 1: mig (up to 34). Are they per")


def test_a_data_set_that_is_called_all():
    table = load([run | {"dataset": "all"} for run in RUNS])
    assert table.datasets == ("all (data set)",) and told(table, "'all' is called 'all (data set)'")
    assert load(table.to_wide()).equals(table)


def test_damaged_folders_and_records(tmp_path):
    folder = tmp_path / "rows" / "a"
    folder.mkdir(parents=True)
    (folder / "settings.json").write_text("[1]")
    with pytest.raises(ValueError, match="no settings can be read of any folder in rows/"):
        load(tmp_path)
    record = {"train_config.model.name": "'vae'", "train_config.model.random_seed": "1", "evaluation_results.IRS": 0.5}
    for name, text in (("a", json.dumps(record)), ("b", '{"train_')):
        (tmp_path / "library" / name / "aggregate").mkdir(parents=True)
        (tmp_path / "library" / name / "aggregate" / "evaluation.json").write_text(text)
    table = load(tmp_path / "library")
    assert len(table) == 1 and told(table, "Left out, as no JSON: b/aggregate/evaluation.json")
    lines = [{name: value for name, value in record.items() if "seed" not in name}, record]
    (tmp_path / "a.json").write_text(json.dumps(lines))
    assert told(load(tmp_path / "a.json"), "1 of 2 records, which have no train_config.model.random_seed: 1.")


def test_curves_of_total_correlation_are_drawn_as_they_are():
    names = {"unsup.gaussian_tc": 0.5, "unsup.gaussian_tc@sampled": 0.1, "unsup.gaussian_tc_active": 0.2}
    found = total_correlation(load([run | names for run in RUNS]), replicates=10)["curves"]
    assert set(found["curve"].tolist()) == {"sampled codes", "mean codes", "mean codes, active latents"}


@pytest.mark.parametrize("runs", [RUNS[:1], RUNS[:2], [RUNS[0] | {"status": "failed"}]])
def test_hardly_any_runs_are_described(runs):
    description = describe(load(runs))
    assert str(description) and description._repr_html_() and "transfer" not in " ".join(description.possible)
