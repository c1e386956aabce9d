"""What the columns of somebody's table mean: fields of runs, hyper-parameters, metrics."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from kerasvae.analysis.study import roles
from kerasvae.analysis.study.entries import (
    LONGEST,
    NO_VALUE,
    is_nothing,
    is_numeric,
    number,
    plain,
    readable,
    whole_number,
)
from kerasvae.analysis.study.representations import are_representations, by_representation, metric_name
from kerasvae.analysis.study.table import FIELDS, STATUSES

LONG = ("representation", "metric", "value")
SCHEMA = 1
# Other names of a field, tried in this order where it has no column of its own name.
SYNONYMS = {
    "dataset": ("data_set", "data"),
    "method": ("model", "objective", "framework", "algorithm", "model_name"),
    "seed": ("random_seed", "model_seed", "random_state"),
    "status": ("state",),
    "strength": ("regularisation", "regularization", "reg_strength"),
}
# Columns that are the regularisation of one method each.
STRENGTHS = ("beta", "gamma", "lambda_od", "c_max", "capacity")
HYPER_PARAMETERS = (
    "latents latent_dim latent_size z_dim num_latents learning_rate lr batch_size epochs training_steps optimizer loss "
    "architecture networks activation weight_decay"
).split()
PREFIXES = ("hp.", "params_", "params.", "config.", "config/", "hyperparameters/", "hp/")
# What else comes before names of fields and metrics: of numbers that a trial was given, and of a run's last ones.
ATTRIBUTES = ("user_attrs_", "user_attrs.", "summary.", "summary/", "metrics.", "metrics/")
# Columns that programs count and time trials by: kept, but no metrics.
COUNTERS = (
    "number trial trial_id trial_number id index level_0 runtime _runtime _step _timestamp step global_step epoch "
    "best_step created timestamp"
).split()
ALL_DATASETS = "all"
# Unknown columns of numbers above which none is taken for a score: correlations are of all pairs.
MOST_UNKNOWN = 100
# What other programs call the four statuses.
STATUS_WORDS = {
    **{status: status for status in STATUSES},
    **dict.fromkeys("completed complete finished success succeeded done".split(), "ok"),
    **dict.fromkeys("fail error crashed crash killed pruned stopped invalid".split(), "failed"),
    **dict.fromkeys("nan exploded".split(), "diverged"),
    **dict.fromkeys("begun waiting pending missing preempted".split(), "running"),
}


@dataclass
class Lines:
    """A table whose columns are understood; all lists have one entry a line.

    Attributes:
        fields: {name of FIELDS: list}, of those there are.
        hyper_parameters: {name: list}.
        metrics: {name: list of float or None}; of a long table none.
        long: (metric names, values), lists, or None for a wide table.
        labels: {name: list}, kept but without meaning.
        roles: {metric: MetricRole} that the caller gave.
        notices: what was taken to mean what.
    """

    fields: dict
    hyper_parameters: dict
    metrics: dict
    long: tuple | None
    labels: dict
    roles: dict = field(default_factory=dict)
    notices: list = field(default_factory=list)


def understand(columns: dict, mapping=None, constants=None, own_roles=None) -> Lines:
    """Say what each column is.

    Args:
        columns: {name: list of values}, all of one length.
        mapping: {field: the table's name of it}; also "metrics": list of names, or {name to give: name there}, and
            "hp": the same for hyper-parameters. Default: guess.
        constants: {field: value} for fields without a column.
        own_roles: {metric: MetricRole}.

    Raises:
        ValueError: names that are not there, fields that are missing, or values of another kind.
    """
    columns, notices, fields = _readable_names(columns), [], {}
    mapping, constants = _checked_mapping(mapping, columns), dict(constants or {})
    chosen = {name: mapping[name] for name in (*FIELDS, *LONG) if name in mapping}
    metrics = {name: columns[there] for name, there in mapping["metrics"].items()} if "metrics" in mapping else None
    hyper = {name: columns[there] for name, there in mapping.get("hp", {}).items()}
    used = {*chosen.values(), *mapping.get("metrics", {}).values(), *mapping.get("hp", {}).values()}
    fields = {name: columns[there] for name, there in chosen.items()}
    rest = {name: values for name, values in columns.items() if name not in used}
    _check_schema(rest.pop("schema", None))
    for name in (*FIELDS, *LONG):
        if name not in fields and name in rest:
            fields[name] = rest.pop(name)
    for name in [name for name in rest if name.startswith("hp.")]:
        _add(hyper, name[3:], name, rest.pop(name))
    length = len(next(iter(columns.values()), ()))
    unknown = [name for name in constants if name not in FIELDS]
    if unknown:
        raise ValueError(f"constants must name fields ({', '.join(FIELDS)}), got {unknown}")
    for name, value in constants.items():
        if name in fields:
            raise ValueError(f"constants[{name!r}]: the table has a column for it")
        fields[name] = [value] * length
    _guess(fields, rest, notices, () if metrics is not None else LONG)
    is_long = "metric" in fields and "value" in fields
    if not is_long:
        # An Optuna table has a column "value", of the number that was optimised.
        rest |= {name: fields.pop(name) for name in LONG if name in fields}
    elif metrics is not None:
        raise ValueError("columns['metrics'] is for wide tables; this one is long: it has columns metric and value")
    _guess_hyper_parameters(fields, hyper, rest, notices)
    for name in ("method", "seed"):
        if name not in fields:
            raise ValueError(
                f"the table has no column {name!r}: say which one it is, columns={{{name!r}: NAME}} (--column "
                f"{name}=NAME), or give one value for all, constants={{{name!r}: VALUE}} (--constant {name}=VALUE); "
                f"there are {_listed(columns)}"
            )
    long = _long_values(fields, length) if is_long else None
    labels = rest
    if not is_long:
        kinds = rest.pop("representation", None) if are_representations(rest.get("representation", ())) else None
        metrics, labels = _metrics(metrics, rest, own_roles or {}, notices)
        if kinds is not None:
            metrics = by_representation(metrics, kinds)
    hyper = {name: list(map(plain, values)) for name, values in hyper.items()}
    return Lines(_parsed(fields, length, notices), hyper,
                 metrics or {}, long, labels, dict(own_roles or {}), notices)  # fmt: skip


def _readable_names(columns):
    found = {readable(name): values for name, values in columns.items()}
    if len(found) < len(columns):
        names = [readable(name) for name in columns]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"the table has columns of the same name: {_listed(twice)}")
    return found


def _checked_mapping(mapping, columns):
    mapping = dict(mapping or {})
    allowed = (*FIELDS, *LONG, "metrics", "hp")
    unknown = [name for name in mapping if name not in allowed]
    if unknown:
        raise ValueError(f"columns must name fields of {', '.join(allowed)}, got {', '.join(map(repr, unknown))}")
    for name in ("metrics", "hp"):
        if name in mapping:
            names = mapping[name]
            if isinstance(names, str):
                names = [names]
            names = names if isinstance(names, dict) else {each: each for each in names}
            mapping[name] = {readable(own): readable(there) for own, there in names.items()}
        for name in mapping.keys() & {*FIELDS, *LONG}:
            mapping[name] = readable(mapping[name])
    taken = {}
    for name, there in mapping.items():
        for each in there.values() if isinstance(there, dict) else [there]:
            if each not in columns:
                raise ValueError(f"columns[{name!r}]: no column {each!r}; there are {_listed(columns)}")
            other = taken.setdefault(each, name)
            if other != name:
                raise ValueError(f"columns: {each!r} is named for {other!r} and for {name!r}; a column is one of them")
    return mapping


def _check_schema(values):
    for value in dict.fromkeys(map(str, values or ())):
        version = number(value) if is_numeric([value]) else SCHEMA + 1
        if version is not None and not version <= SCHEMA:
            raise ValueError(f"schema: the table is of version {value}, this package reads up to {SCHEMA}: update it")


def _add(hyper, name, column, values):
    """A hyper-parameter by its short name; by the column's where another, not equal to it, has that already."""
    if name not in hyper:
        hyper[name] = values
    elif list(map(plain, hyper[name])) != list(map(plain, values)):
        hyper[column] = values


def _guess(fields, rest, notices, long):
    """Fields under other names; those of a long table, `long`, in other letters only."""
    plain_names = {name.lower(): name for name in rest}
    if long and all(name in fields or name in plain_names for name in ("metric", "value")):
        for name in long:
            if name not in fields and name in plain_names:
                fields[name] = rest.pop(plain_names[name])
    for prefix in (*PREFIXES, *ATTRIBUTES):
        plain_names |= {
            name[len(prefix) :].lower(): name
            for name in rest
            if name.lower().startswith(prefix) and name[len(prefix) :].lower() not in plain_names
        }
    for name in ("study", "dataset", "method", "strength", "strength_name", "seed", "status"):
        for synonym in (name, *SYNONYMS.get(name, ())):
            there = plain_names.get(synonym)
            if name not in fields and there in rest:
                fields[name] = rest.pop(there)
                notices.append(f"Column {there!r} is taken for the {name}.")


def _guess_hyper_parameters(fields, hyper, rest, notices):
    for prefix in PREFIXES:
        for name in [name for name in rest if name.lower().startswith(prefix)]:
            _add(hyper, name[len(prefix) :], name, rest.pop(name))
    if "strength" not in fields:
        _guess_strength(fields, hyper, rest, notices)
    # "loss" is a setting where it names one, and a metric where it is a number.
    named = [name for name in rest if name.lower() in HYPER_PARAMETERS]
    named = [name for name in named if name.lower() != "loss" or not is_numeric(rest[name])]
    hyper.update({name: rest.pop(name) for name in named if name not in hyper})
    if named:
        notices.append(f"Taken for hyper-parameters: {', '.join(named)}.")


def _guess_strength(fields, hyper, rest, notices):
    found = {name: (rest if name in rest else hyper)[name] for name in STRENGTHS if name in rest or name in hyper}
    if not found:
        return
    lines = list(zip(*([plain(value) for value in values] for values in found.values()), strict=True))
    if any(sum(value is not None for value in line) > 1 for line in lines):
        notices.append(f"No column is taken for the strength: {', '.join(found)} are filled in the same lines.")
        for name in found:
            hyper.setdefault(name, rest.pop(name, None) or hyper.get(name))
        return
    names = list(found)
    places = [next((place for place, value in enumerate(line) if value is not None), None) for line in lines]
    fields["strength"] = [None if place is None else line[place] for line, place in zip(lines, places, strict=True)]
    fields.setdefault("strength_name", ["" if place is None else names[place] for place in places])
    for name in names:
        rest.pop(name, None)
        hyper.pop(name, None)
    notices.append(f"Taken for the strength: {', '.join(names)}.")


def _long_values(fields, length):
    kinds = fields.pop("representation", [None] * length)
    names = []
    for line, (metric, kind) in enumerate(zip(fields.pop("metric"), kinds, strict=True), start=1):
        metric = "" if is_nothing(metric) else readable(metric)
        kind = "mean" if is_nothing(kind) else str(kind).strip().lower() or "mean"
        if not roles.base_name(metric):
            told = f"be a name, got {metric!r} in" if metric else "not be empty: it is in"
            raise ValueError(f"metric must {told} row {line}")
        if kind not in ("mean", "sampled"):
            raise ValueError(f'representation must be "mean" or "sampled", got {kind!r} in row {line}')
        names.append(metric_name(f"{metric}@{kind}"))
    return names, _numbers("value", fields.pop("value"))


def _metrics(chosen, rest, own_roles, notices):
    """Columns of metrics, by name, and those that are none."""
    if chosen is not None:
        return _by_name({name: _numbers(name, values) for name, values in chosen.items()}), rest
    metrics, labels, unknown, spoilt = {}, {}, [], []
    for name, values in rest.items():
        known = any(roles.role_of(each, own_roles).known for each in (name, _attribute(name)))
        counts = name.lower() in COUNTERS or name.lower().startswith("unnamed:") or not roles.base_name(name)
        if (known or not counts) and (known or is_numeric(values)):
            metrics[name] = _numbers(name, values)
            unknown += [] if known else [name]
        else:
            labels[name] = values
            spoilt += _spoilt(name, values)
    if labels:
        notices.append(f"Kept, but of no meaning to any analysis: {_listed(labels, form=str)}.")
    notices += spoilt
    if len(unknown) > MOST_UNKNOWN:
        labels |= {name: rest[name] for name in unknown}
        metrics = {name: values for name, values in metrics.items() if name not in labels}
        notices.append(
            f"{len(unknown)} columns of numbers have unknown names ({_listed(unknown, 3)}), and more than "
            f"{MOST_UNKNOWN} are not taken for scores: name those that are, with columns={{'metrics': [...]}}."
        )
    return _by_name({_attribute(name): values for name, values in metrics.items()}), labels


def _attribute(name):
    """A metric's name without what a program put before it, where that is a metric's."""
    for prefix in ATTRIBUTES:
        if name.lower().startswith(prefix) and roles.role_of(name[len(prefix) :]).known:
            return name[len(prefix) :]
    return name


def _by_name(metrics):
    """Metrics as tables call them, none of them twice."""
    found = {}
    for name, values in metrics.items():
        if not roles.base_name(name):
            raise ValueError(f"columns['metrics'] must be names, got {name!r}")
        if metric_name(name) in found:
            raise ValueError(f"two columns are the metric {metric_name(name)!r}: leave one out, or name both otherwise")
        found[metric_name(name)] = values
    return found


def _spoilt(name, values):
    """What to say of a column that would be a metric but for a few entries."""
    others = [(line, value) for line, value in enumerate(values, start=1) if not is_numeric([value])]
    if not others or 2 * len(others) > len(values) or len(others) + _missing(values) == len(values):
        return []
    line, value = others[0]
    told = f"{len(others)} of {len(values)} entries are no numbers, such as {str(value)!r:.42} in row {line}"
    return [f"{name:.60} is no metric: {told}."]


def _missing(values):
    return sum(is_nothing(value) or str(value).strip().lower() in NO_VALUE for value in values)


def _numbers(name, values):
    found = []
    for line, value in enumerate(values, start=1):
        try:
            found.append(number(value))
        except (ValueError, TypeError, OverflowError):
            hint = ": write numbers without commas and per cent signs" if {*",%"} & {*str(value)} else ""
            raise ValueError(f"{name:.80} must be numbers, got {value!r:.80} in row {line}{hint}") from None
    return found


def _parsed(fields, length, notices):
    def text(name, default):
        values = fields.get(name, [default] * length)
        # Files are found by the names of runs, which are kept whole.
        longest = math.inf if name == "run_id" else LONGEST
        return [default if is_nothing(value) else readable(value, longest) or default for value in values]

    parsed = {name: text(name, "") for name in ("study", "strength_name", "run_id")}
    parsed["dataset"] = text("dataset", "data")
    parsed["method"] = text("method", "")
    for line, method in enumerate(parsed["method"], start=1):
        if not method:
            raise ValueError(f"method must not be empty: it is in row {line}")
    for name in ("method", "dataset"):
        if odd := sorted({value for value in parsed[name] if value.lower() in NO_VALUE | {"nan"}}):
            notices.append(f"A {name} is called {' and '.join(map(repr, odd))}: it was taken for a name.")
    # Numbers of all data sets together are under that name.
    if ALL_DATASETS in parsed["dataset"]:
        parsed["dataset"] = [
            f"{ALL_DATASETS} (data set)" if name == ALL_DATASETS else name for name in parsed["dataset"]
        ]
        notices.append(f"The data set {ALL_DATASETS!r} is called '{ALL_DATASETS} (data set)' here.")
    nowhere = sum(is_nothing(value) or not str(value).strip() for value in fields.get("dataset", ()))
    if nowhere:
        notices.append(f"{nowhere} of {length} lines have no dataset: it was called 'data'.")
    parsed["strength"] = [plain(value) for value in fields.get("strength", [None] * length)]
    parsed["seed"] = []
    for line, value in enumerate(fields["seed"], start=1):
        seed = whole_number(value)
        if seed is None:
            raise ValueError(f"seed must be whole numbers, got {value!r:.80} in row {line}; they have up to 18 digits")
        parsed["seed"].append(seed)
    words, unknown = text("status", "ok"), {}
    parsed["status"] = []
    for word in words:
        status = STATUS_WORDS.get(word.lower().rsplit(".", 1)[-1])
        if status is None:
            unknown[word] = unknown.get(word, 0) + 1
        parsed["status"].append(status or "failed")
    if unknown:
        counts = ", ".join(f"{word!r} ({count})" for word, count in unknown.items())
        notices.append(f"Unknown status, taken for failed: {counts}.")
    return parsed


def _listed(columns, most=30, form=repr) -> str:
    names = [f"{form(name):.60}" for name in columns]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
