"""Results as files hold them: CSV, folders of `kerasvae experiment`, the aggregated JSON of disentanglement_lib.

Every reader returns `Source`: columns as they stand, and what is known of them.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path

from kerasvae.analysis.study.columns import SCHEMA
from kerasvae.analysis.study.json_records import records_of, records_of_lines
from kerasvae.analysis.study.text_files import read_table, read_text
from kerasvae.files import read_json as json_of
from kerasvae.files import why_no_file

# Of `kerasvae experiment`: columns of results.csv that are no settings of a row.
EXPERIMENT_METRICS = (
    "mig dci best_mig best_dci best_mig_step best_dci_step reconstruction_nats kl_nats active_latents seconds "
    "seconds_training steps_per_second"
).split()
EXPERIMENT_LABELS = ("row", "folder", "scale", "flavour")
# Arguments of its data sets.
EXPERIMENT_DATA = ("grid_spacing", "square_size", "num_squares", "rgb", "grid_size", "image_size", "source")
FRAMEWORKS = {"betavae": "beta_vae", "adagvae": "ada_gvae"}
# Regularisation of disentanglement_lib's methods.
LIBRARY_STRENGTHS = {
    "beta_vae": "vae.beta",
    "factor_vae": "factor_vae.gamma",
    "dip_vae_i": "dip_vae.lambda_od",
    "dip_vae_ii": "dip_vae.lambda_od",
    "beta_tc_vae": "beta_tc_vae.beta",
    "annealed_vae": "annealed_vae.c_max",
}
# Entries of its evaluation_results, whichever evaluation they are of, and of its train_results.
LIBRARY_RESULTS = {
    "discrete_mig": "mig",
    "disentanglement": "dci.disentanglement",
    "completeness": "dci.completeness",
    "informativeness_test": "dci.informativeness_test",
    "modularity_score": "modularity",
    "explicitness_score_test": "explicitness",
    "SAP_score": "sap",
    "IRS": "irs",
    "gaussian_total_correlation": "unsup.gaussian_tc",
    "gaussian_wasserstein_correlation": "unsup.gaussian_wasserstein",
    "gaussian_wasserstein_correlation_norm": "unsup.gaussian_wasserstein_normalised",
    "mutual_info_score": "unsup.mutual_info",
}
LIBRARY_LOSSES = {
    "reconstruction_loss": "loss.reconstruction",
    "kl_loss": "loss.kl",
    "elbo": "loss.elbo",
    "loss": "loss.total",
}


@dataclass
class Source:
    """Columns of some results, {name: list}, and what `columns.understand` is to know of them."""

    columns: dict
    mapping: dict = field(default_factory=dict)
    constants: dict = field(default_factory=dict)
    notices: list = field(default_factory=list)


def read_path(path) -> Source:
    """Whatever lies at `path`: a file, or the folder of an experiment.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: it cannot be read as a table, and why.
    """
    path = Path(path)
    if path.is_dir():
        return read_experiment(path)
    reason = why_no_file(path)
    if reason and not _is_open_pipe(path):
        because = "" if reason == "No such file or directory" else f" ({reason})"
        raise FileNotFoundError(f"source: there is no file or folder {str(path)!r}{because}")
    if path.name == "scores.json":
        raise ValueError(f"source: {str(path)!r} is of one run; give the folder of the experiment")
    if Path(path.name.lower().removesuffix(".gz")).suffix in (".json", ".jsonl", ".ndjson"):
        return read_json(path)
    source = read_csv(path)
    return _as_experiment(source) if _is_experiment(source.columns) else source


def _is_open_pipe(path) -> bool:
    """Whether it is a pipe that this process has open, such as a shell's <(command); no other has a writer for sure."""
    return path.is_fifo() and re.fullmatch(r"/dev/fd/\d+|/proc/(self|\d+)/fd/\d+", str(path)) is not None


def read_csv(path) -> Source:
    """A CSV file as `kerasvae.analysis.study.text_files.read_table` reads it, without a last line that is cut short.

    Raises:
        ValueError: an empty file, a name twice in the header, a column without a name, or as `read_table`.
    """
    path = Path(path)
    _check_side_file(path)
    header, body, notices = read_table(path)
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise ValueError(f"source: {str(path)!r} has columns of the same name: {', '.join(map(repr, twice))}")
    lists = [[row[place] for _, row in body] for place in range(len(header))]
    # The first may be of row numbers, as pandas writes it; at the end spreadsheets leave empty ones.
    nameless = [place + 1 for place, name in enumerate(header) if not name and place and any(lists[place])]
    if nameless:
        raise ValueError(f"source: {str(path)!r} has columns without a name: {', '.join(map(str, nameless))}")
    columns = {name: values for name, values in zip(header, lists, strict=True) if name}
    return Source(columns, notices=notices)


def read_json(path) -> Source:
    """JSON of one dictionary a run: a list, a line each, columns or rows (pandas), or disentanglement_lib's.

    Raises:
        ValueError: JSON that is damaged, or holds something else.
    """
    path = Path(path)
    _check_side_file(path)
    text, notices = read_text(path)
    if not text.strip():
        raise ValueError(f"source: {str(path)!r} is empty")
    try:
        records = records_of(json.loads(text))
    except json.JSONDecodeError as error:
        records, more = records_of_lines(path, text, error)
        notices += more
    except RecursionError:
        raise ValueError(f"source: {str(path)!r} is no table: its JSON is too deep") from None
    except ValueError as error:
        reason = str(error).removeprefix("source").removeprefix(":").strip()
        raise ValueError(f"source: {str(path)!r}: {reason}") from error
    if any(key.startswith(("evaluation_results.", "train_config.")) for record in records for key in record):
        source = from_disentanglement_lib(records)
        source.notices[:0] = notices
        return source
    return Source(columns_of(records), notices=notices)


def columns_of(records) -> dict:
    """Dictionaries, one a row, as columns; what a row has not got is None."""
    for place, record in enumerate(records):
        if not isinstance(record, dict):
            raise ValueError(f"source[{place}] must be a dictionary, got {record!r:.80}")
    names = list(dict.fromkeys(name for record in records for name in record))
    check_names(names)
    return {str(name): [record.get(name) for record in records] for name in names}


def check_names(names) -> None:
    """ValueError for two columns of the same name, of which one would hide the other: 1 and "1", too."""
    texts = list(map(str, names))
    twice = sorted({name for name in texts if texts.count(name) > 1}) if len(set(texts)) < len(texts) else []
    if twice:
        raise ValueError(f"source has columns of the same name: {', '.join(map(repr, twice))}")


def read_experiment(folder) -> Source:
    """The folder of `kerasvae experiment`, or of `kerasvae.tuning.search`: its results.csv, or else its rows.

    Raises:
        ValueError: a folder that holds neither.
    """
    folder = Path(folder)
    if (folder / "results.csv").is_file():
        source = read_csv(folder / "results.csv")
        return _as_experiment(source) if _is_experiment(source.columns) else source
    rows = sorted(path for path in (folder / "rows").glob("*") if path.is_dir())
    if not rows:
        found = sorted(folder.rglob("aggregate/evaluation.json"))
        if found:
            return _library_folder(folder, found)
        raise ValueError(
            f"source: {str(folder)!r} holds no results: there is no results.csv in it, no rows/, and no "
            "aggregate/evaluation.json below it"
        )
    records, notices, damaged = [], [], []
    for path in rows:
        try:
            record = _row_of(path)
        except DamagedRunError as error:
            damaged.append(f"rows/{path.name} ({error})")
            continue
        if record is None:
            notices.append(f"Left out: rows/{path.name}, of which no settings can be read.")
        else:
            records.append(record)
    more = f" and {len(damaged) - 5} more" * (len(damaged) > 5)
    named = f"{', '.join(damaged[:5])}{more}"
    if not records:
        because = f": {named}" * bool(damaged)
        raise ValueError(
            f"source: {str(folder)!r} holds no results: no settings can be read of any folder in rows/{because}"
        )
    if damaged:
        notices.append(f"Left out, as damaged: {named}.")
        # At once, too: whoever compares runs must know that some are not among them.
        warnings.warn(
            f"source: {len(damaged)} of {len(rows)} runs in {str(folder)!r} are damaged and left out: {named}; mend or "
            "remove their files, or run them again",
            UserWarning,
            stacklevel=5,  # whoever called load
        )
    source = Source(columns_of(records), notices=notices)
    return _as_experiment(source) if _is_experiment(source.columns) else source


def _library_folder(folder, paths) -> Source:
    """The evaluations in a folder of disentanglement_lib, without those that cannot be read."""
    records = {path: _json_or_none(path) for path in paths}
    damaged = [str(path.relative_to(folder)) for path, record in records.items() if record is None]
    if len(damaged) == len(paths):
        raise ValueError(f"source: {str(folder)!r} holds no results that can be read: {damaged[0]} is no JSON")
    source = from_disentanglement_lib([record for record in records.values() if record is not None])
    if damaged:
        more = ", ..." if len(damaged) > 5 else ""
        source.notices.insert(0, f"Left out, as no JSON: {', '.join(damaged[:5])}{more}.")
    return source


class DamagedRunError(ValueError):
    """The files of a run do not hold what they should; the message names the file and what is wrong with it."""


def _row_of(path) -> dict | None:
    """A row's folder as a line of results.csv; None for one without settings, DamagedRunError for a damaged one."""
    result, settings, scores = (_object_of(path, f"{name}.json") for name in ("result", "settings", "scores"))
    failed = (path / "error.txt").is_file()
    if result is not None:
        row = _entry(result, "result.json", "row")
        if not row:
            raise DamagedRunError("result.json has no row")
        final = _entry(scores or {}, "scores.json", "final") or {}
        metrics = {**(_entry(result, "result.json", "metrics") or {}), **final, "seconds": result.get("seconds")}
        _check_fields(row, "result.json")
        for name, value in metrics.items():
            if value is not None and not isinstance(value, int | float):
                raise DamagedRunError(f"{name} in result.json or scores.json must be a number, it is {value!r:.40}")
        return {**row, **metrics, "status": "finished", "folder": path.name}
    if settings:
        settings = {name: value for name, value in settings.items() if name not in ("steps_per_epoch", "data_set")}
        _check_fields(settings, "settings.json")
        return {**settings, "status": "failed" if failed else "begun", "folder": path.name}
    fields = dict(part.split("=", 1) for part in path.name.split(",") if "=" in part)
    if "seed" not in fields:
        return None
    return {**fields, "status": "failed" if failed else "begun", "folder": path.name}


def _object_of(folder, name) -> dict | None:
    """The object in a file of JSON, None where there is no such file."""
    if why_no_file(folder / name) == "No such file or directory":
        return None
    try:
        value = json_of(folder / name)
    except (OSError, ValueError) as error:
        raise DamagedRunError(str(error)) from error
    if not isinstance(value, dict):
        raise DamagedRunError(f"{name} must hold an object, it holds {value!r:.40}")
    return value


def _entry(value: dict, name: str, key: str) -> dict | None:
    held = value.get(key)
    if held is not None and not isinstance(held, dict):
        raise DamagedRunError(f"{key} in {name} must be an object, it is {held!r:.40}")
    return held


def _check_fields(row: dict, file: str) -> None:
    """The fields that tell runs apart; others may be anything."""
    for name in {"framework", "dataset", "beta"} & {*row}:
        if isinstance(row[name], dict | list):
            raise DamagedRunError(f"{name} in {file} must be a number or text, it is {row[name]!r:.40}")
    if "seed" in row and (isinstance(row["seed"], bool) or not isinstance(row["seed"], int)):
        raise DamagedRunError(f"seed in {file} must be a whole number, it is {row['seed']!r:.40}")


def _json_or_none(path):
    try:
        value = json_of(path)
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _is_experiment(columns) -> bool:
    return {"framework", "beta", "seed", "dataset"} <= set(columns)


def _as_experiment(source) -> Source:
    """Columns of `kerasvae experiment`, understood."""
    columns, notices = dict(source.columns), list(source.notices)
    missing = [place for place, status in enumerate(columns.get("status", [])) if status == "missing"]
    if missing:
        kept = sorted(set(range(len(columns["status"]))) - set(missing))
        columns = {name: [values[place] for place in kept] for name, values in columns.items()}
        notices.append(f"{len(missing)} rows of the experiment have not begun.")
    columns["dataset"] = _experiment_datasets(columns)
    columns["method"] = [FRAMEWORKS.get(value, value) for value in columns.pop("framework")]
    columns["strength"] = columns.pop("beta")
    labels = [name for name in columns if name in EXPERIMENT_LABELS or name.startswith("version_")]
    known = {"dataset", "method", "strength", "seed", "status", *labels}
    metrics = [name for name in EXPERIMENT_METRICS if name in columns]
    settings = [name for name in columns if name not in known and name not in metrics]
    mapping = {"metrics": metrics, "hp": settings}
    return Source(columns, mapping, {"strength_name": "beta"}, notices)


def _experiment_datasets(columns):
    """Names of data sets, with what tells variants of one apart: "xysquares grid_spacing=4"."""
    names = [str(name) for name in columns["dataset"]]
    for field_name in (name for name in EXPERIMENT_DATA if name in columns):
        values = list(map(str, columns[field_name]))
        variants = {name: {v for n, v in zip(names, values, strict=True) if n == name} for name in names}
        names = [
            f"{name} {field_name}={value}" if len(variants[name]) > 1 else name
            for name, value in zip(names, values, strict=True)
        ]
    return names


def from_disentanglement_lib(records) -> Source:
    """Its evaluations, one dictionary each: those of one model are one run, told by its configuration and seed.

    Source: `disentanglement_lib/utils/aggregate_results.py` and `config/unsupervised_study_v1`. Values of
    configurations are text in gin's notation. What it calls elbo is reconstruction + KL: the negative ELBO.
    """
    lines, notices, unknown = [], [], []
    for place, record in enumerate(records, start=1):
        config = {
            key.removeprefix("train_config."): _gin(value)
            for key, value in record.items()
            if key.startswith("train_config.") and value is not None
        }
        if "model.random_seed" not in config:
            unknown.append(str(place))
            continue
        method = config.get("model.name") or str(config.get("model.model", "")).strip("@()")
        name = LIBRARY_STRENGTHS.get(method)
        line = {
            "dataset": str(config.get("dataset.name", "data")).removesuffix("_full"),
            "method": method,
            "strength": config.get(name),
            "strength_name": (name or "").split(".")[-1],
            "seed": config["model.random_seed"],
            "hp.steps": config.get("model.training_steps"),
            "hp.batch_size": config.get("model.batch_size"),
            "hp.latent_dim": config.get("encoder.num_latent"),
        }
        lines += [{**line, "metric": metric, "value": value, **kind} for metric, value, kind in _library_values(record)]
    if len(unknown) == len(records):
        raise ValueError("source: no record has a train_config.model.random_seed")
    if unknown:
        more = ", ..." if len(unknown) > 5 else ""
        notices.append(
            f"Left out: {len(unknown)} of {len(records)} records, which have no train_config.model.random_seed: "
            f"{', '.join(unknown[:5])}{more}."
        )
    if not lines:
        raise ValueError("source: no record has a known evaluation_results entry")
    # Each evaluation repeats the losses of its model.
    unique = {repr(line): line for line in lines}
    return Source(columns_of(list(unique.values())), notices=notices)


def _library_values(record):
    function = _gin(record.get("evaluation_config.evaluation.evaluation_fn")) or ""
    predictor = str(_gin(record.get("evaluation_config.predictor.predictor_fn")) or "")
    task = "gbt" if "boosting" in predictor else "lr" if "logistic" in predictor else predictor.strip("@")
    postprocess = str(_gin(record.get("postprocess_config.postprocess.postprocess_fn")) or "")
    kind = {"representation": "sampled" if "sampled" in postprocess else "mean"}
    score = {"beta_vae": "beta_vae_score", "factor_vae": "factor_vae_score"}
    for key, value in record.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        space, _, name = key.partition(".")
        if space == "evaluation_results":
            accuracy = next((metric for start, metric in score.items() if start in str(function)), None)
            if name == "eval_accuracy" and accuracy:
                yield accuracy, value, kind
            elif name in LIBRARY_RESULTS:
                yield LIBRARY_RESULTS[name], value, kind
            elif name.endswith(":mean_test_accuracy") and task:
                yield f"downstream.{task}.{name.split(':')[0]}", value, kind
        elif space == "train_results" and name in LIBRARY_LOSSES:
            yield LIBRARY_LOSSES[name], value, {"representation": "mean"}


def _gin(value):
    """A value of a gin configuration, which is Python's notation for all but references."""
    try:
        return ast.literal_eval(value) if isinstance(value, str) else value
    except (ValueError, SyntaxError):
        return value


def _check_side_file(path) -> None:
    """The version of the table where a file `NAME.schema` beside it says one."""
    side = path.with_name(path.name + ".schema")
    if side.is_file():
        text = side.read_text(encoding="utf-8").strip()
        if not text.isdigit() or int(text) > SCHEMA:
            raise ValueError(
                f"schema: {str(side)!r} says version {text!r}, this package reads up to {SCHEMA}: update it"
            )
