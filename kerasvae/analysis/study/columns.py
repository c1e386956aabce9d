"""What the columns of somebody's table mean: fields of runs, hyper-parameters, metrics."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from numbers import Real

import numpy as np

from kerasvae.analysis.study import roles
from kerasvae.analysis.study.table import FIELDS, STATUSES

LONG = ("representation", "metric", "value")
SCHEMA = 1
# Other names of a field, tried in this order where it has no column of its own name.
SYNONYMS = {
    "dataset": ("data_set", "data"),
    "method": ("model", "objective", "framework", "algorithm", "model_name"),
    "seed": ("random_seed", "model_seed"),
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
# What other programs call the four statuses.
STATUS_WORDS = {
    **{status: status for status in STATUSES},
    **dict.fromkeys("completed complete finished success succeeded done".split(), "ok"),
    **dict.fromkeys("fail error crashed crash killed pruned stopped invalid".split(), "failed"),
    **dict.fromkeys("nan exploded".split(), "diverged"),
    **dict.fromkeys("begun waiting pending missing preempted".split(), "running"),
}
NO_VALUE = {"", "na", "n/a", "none", "null", "-", "–", "<na>"}


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
    columns, notices, fields = dict(columns), [], {}
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
        hyper.setdefault(name[3:], rest.pop(name))
    length = len(next(iter(columns.values()), ()))
    unknown = [name for name in constants if name not in FIELDS]
    if unknown:
        raise ValueError(f"constants must name fields ({', '.join(FIELDS)}), got {unknown}")
    for name, value in constants.items():
        if name in fields:
            raise ValueError(f"constants[{name!r}]: the table has a column for it")
        fields[name] = [value] * length
    _guess(fields, rest, notices)
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
                f"the table has no column {name!r}: say which one it is, load(..., columns={{{name!r}: NAME}}), or "
                f"give one value for all, load(..., constants={{{name!r}: VALUE}}); there are {_listed(columns)}"
            )
    long = _long_values(fields, length) if is_long else None
    labels = rest
    if not is_long:
        metrics, labels = _metrics(metrics, rest, own_roles or {}, notices)
    return Lines(_parsed(fields, length, notices), {name: list(map(plain, values)) for name, values in hyper.items()},
                 metrics or {}, long, labels, dict(own_roles or {}), notices)  # fmt: skip


def number(value):
    """A float, None for nothing; ValueError for what is neither."""
    # Before the slow question whether it is a number of any kind: tables have many lines.
    if value is None or type(value) is float:
        return value
    if isinstance(value, Real):
        return float(value)
    text = str(value).strip()
    return None if text.lower() in NO_VALUE else float(text)


def plain(value):
    """A strength or hyper-parameter: float where it is a number, None for nothing, else str."""
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    try:
        value = number(value)
    except ValueError:
        return str(value).strip()
    return None if value is None or math.isnan(value) else value


def is_numeric(values) -> bool:
    """Whether all values are numbers or nothing; truth values are not numbers."""
    for value in values:
        if isinstance(value, bool | np.bool_):
            return False
        try:
            number(value)
        except ValueError:
            return False
    return True


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
            mapping[name] = dict(names) if isinstance(names, dict) else {each: each for each in names}
    for name, there in mapping.items():
        for each in there.values() if isinstance(there, dict) else [there]:
            if each not in columns:
                raise ValueError(f"columns[{name!r}]: no column {each!r}; there are {_listed(columns)}")
    return mapping


def _check_schema(values):
    for value in set(values or ()):
        if number(value) is not None and number(value) > SCHEMA:
            raise ValueError(f"schema: the table is of version {value}, this package reads up to {SCHEMA}: update it")


def _guess(fields, rest, notices):
    """Fields under other names."""
    plain_names = {name.lower(): name for name in rest}
    for prefix in PREFIXES:
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
            hyper.setdefault(name[len(prefix) :], rest.pop(name))
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
        metric, kind = str(metric or "").strip(), str(kind or "").strip() or "mean"
        if not metric:
            raise ValueError(f"metric must not be empty: it is in row {line}")
        if kind not in ("mean", "sampled"):
            raise ValueError(f'representation must be "mean" or "sampled", got {kind!r} in row {line}')
        names.append(metric_name(metric) + (roles.SAMPLED if kind == "sampled" and roles.SAMPLED not in metric else ""))
    return names, _numbers("value", fields.pop("value"))


def metric_name(name: str) -> str:
    """A metric's name as tables hold it: the mean representation goes without saying."""
    return name.removesuffix("@mean")


def _metrics(chosen, rest, own_roles, notices):
    """Columns of metrics, by name, and those that are none."""
    if chosen is not None:
        return {metric_name(name): _numbers(name, values) for name, values in chosen.items()}, rest
    metrics, labels = {}, {}
    for name, values in rest.items():
        known = roles.role_of(name, own_roles).known
        if known or is_numeric(values):
            metrics[metric_name(name)] = _numbers(name, values)
        else:
            labels[name] = values
    if labels:
        notices.append(f"Kept, but of no meaning to any analysis: {', '.join(labels)}.")
    return metrics, labels


def _numbers(name, values):
    found = []
    for line, value in enumerate(values, start=1):
        try:
            found.append(number(value))
        except (ValueError, TypeError):
            raise ValueError(f"{name} must be numbers, got {value!r} in row {line}") from None
    return found


def _parsed(fields, length, notices):
    def text(name, default):
        values = fields.get(name, [default] * length)
        return [default if value is None or str(value).strip() == "" else str(value).strip() for value in values]

    parsed = {name: text(name, "") for name in ("study", "strength_name", "run_id")}
    parsed["dataset"] = text("dataset", "data")
    parsed["method"] = text("method", "")
    for line, method in enumerate(parsed["method"], start=1):
        if not method:
            raise ValueError(f"method must not be empty: it is in row {line}")
    parsed["strength"] = [plain(value) for value in fields.get("strength", [None] * length)]
    parsed["seed"] = []
    for line, value in enumerate(fields["seed"], start=1):
        try:
            seed = number(value)
            whole = seed is not None and not isinstance(value, bool) and seed == int(seed)
        except (ValueError, OverflowError, TypeError):
            whole = False
        if not whole:
            raise ValueError(f"seed must be whole numbers, got {value!r} in row {line}")
        parsed["seed"].append(int(seed))
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


def _listed(columns) -> str:
    names = list(map(repr, columns))
    return ", ".join(names[:30]) + (f" and {len(names) - 30} more" if len(names) > 30 else "")
