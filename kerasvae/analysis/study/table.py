"""Runs and their metrics: the table that every analysis of a study takes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from kerasvae.analysis.study import roles
from kerasvae.analysis.study.frame import Frame

OK = "ok"
STATUSES = (OK, "failed", "diverged", "running")
FIELDS = ("study", "dataset", "method", "strength", "strength_name", "seed", "run_id", "status")
# Order of all tables and figures; what is not here comes after, by name.
METHODS = ("vae", "beta_vae", "factor_vae", "beta_tc_vae", "dip_vae_i", "dip_vae_ii", "annealed_vae")
METHOD_LABELS = dict(
    zip(METHODS, ("VAE", "β-VAE", "FactorVAE", "β-TCVAE", "DIP-VAE-I", "DIP-VAE-II", "AnnealedVAE"), strict=True)
)
DATASETS = ("dsprites", "colordsprites", "noisydsprites", "screamdsprites", "smallnorb", "cars3d", "shapes3d")


@dataclass(frozen=True)
class Setting:
    """What a run was trained with, apart from its seed: method, strength and the hyper-parameters that vary.

    Args:
        method: name of the objective.
        strength: of its regularisation, a float, a str, or None where none is known.
        strength_name: what the strength is: "beta", "gamma". Not compared. Default "".
        hyper_parameters: ((name, value), ...), sorted. Default: none.
    """

    method: str
    strength: float | str | None = None
    strength_name: str = field(default="", compare=False)
    hyper_parameters: tuple = ()

    @property
    def label(self) -> str:
        """In few words: "beta_vae beta=4, latent_dim=10"."""
        parts = [] if self.strength is None else [f"{self.strength_name or 'strength'}={strength_text(self.strength)}"]
        parts += [f"{name}={strength_text(value)}" for name, value in self.hyper_parameters]
        return f"{self.method} {', '.join(parts)}".strip()

    @property
    def order(self):
        """Key that sorts settings: methods in their fixed order, strengths as numbers."""
        hyper_parameters = tuple((name, value_order(value)) for name, value in self.hyper_parameters)
        return method_order(self.method), value_order(self.strength), hyper_parameters


@dataclass(frozen=True, eq=False)
class ResultsTable:
    """Runs x metrics. `kerasvae.analysis.study.load` makes one of anybody's results.

    The runs stand in a fixed order, whatever order they came in: study, data set, method, strength, hyper-parameters,
    seed. So do the metrics. Nothing of a table changes; `select` and `ok` return others.

    Args:
        study, dataset, method, run_id, strength_name, status: arrays of str, (runs,).
        strength: array of objects, (runs,): float, str or None.
        seed: int64, (runs,).
        hyper_parameters: {name: array of objects (runs,)}, names without "hp.".
        metrics: names, (metrics,), those of sampled codes ending in "@sampled".
        values: float64, (runs, metrics), nan where missing.
        labels: {name: array of objects (runs,)}: columns that were kept, but say nothing to any analysis.
        varying: names of the hyper-parameters that are part of a setting.
        roles: {metric: MetricRole} that come before the registry.
        notices: sentences on what was left out or taken to mean what.
        non_finite: numbers that were nan or infinite, and count as missing.
    """

    study: np.ndarray
    dataset: np.ndarray
    method: np.ndarray
    strength: np.ndarray
    strength_name: np.ndarray
    seed: np.ndarray
    run_id: np.ndarray
    status: np.ndarray
    hyper_parameters: dict
    metrics: tuple
    values: np.ndarray
    labels: dict = field(default_factory=dict)
    varying: tuple = ()
    roles: dict = field(default_factory=dict)
    notices: tuple = ()
    non_finite: int = 0

    def __len__(self):
        return len(self.seed)

    # Axes, in their fixed order, and where each run is on them.

    @cached_property
    def studies(self) -> tuple[str, ...]:
        return tuple(sorted(set(self.study.tolist())))

    @cached_property
    def datasets(self) -> tuple[str, ...]:
        return tuple(sorted(set(self.dataset.tolist()), key=dataset_order))

    @cached_property
    def methods(self) -> tuple[str, ...]:
        return tuple(sorted(set(self.method.tolist()), key=method_order))

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        return tuple(sorted(set(self.seed.tolist())))

    @cached_property
    def _setting_of_runs(self) -> list[Setting]:
        hyper = [[(name, value) for value in self.hyper_parameters[name].tolist()] for name in sorted(self.varying)]
        pairs = zip(*hyper, strict=True) if hyper else ((),) * len(self)
        lists = self.method.tolist(), self.strength.tolist(), self.strength_name.tolist()
        return [Setting(*start, tuple(end)) for *start, end in zip(*lists, pairs, strict=True)]

    @cached_property
    def settings(self) -> tuple[Setting, ...]:
        """The settings that occur, in their fixed order."""
        return tuple(sorted(set(self._setting_of_runs), key=lambda setting: setting.order))

    @cached_property
    def setting_code(self) -> np.ndarray:
        """Each run's place in `settings`, int64 (runs,)."""
        return codes_of(self._setting_of_runs, self.settings)

    @cached_property
    def dataset_code(self) -> np.ndarray:
        """Each run's place in `datasets`, int64 (runs,)."""
        return codes_of(self.dataset.tolist(), self.datasets)

    @cached_property
    def method_code(self) -> np.ndarray:
        """Each run's place in `methods`, int64 (runs,)."""
        return codes_of(self.method.tolist(), self.methods)

    @cached_property
    def seed_code(self) -> np.ndarray:
        """Each run's place in `seeds`, int64 (runs,)."""
        return codes_of(self.seed.tolist(), self.seeds)

    # Metrics.

    def column(self, metric: str) -> np.ndarray:
        """Values of a metric, float64 (runs,), nan where missing; KeyError for an unknown one."""
        return self.values[:, self._place(metric)]

    def columns(self, metrics) -> np.ndarray:
        """Values of several metrics, float64 (runs, metrics)."""
        return self.values[:, [self._place(metric) for metric in metrics]]

    def _place(self, metric):
        if metric not in self._places:
            raise KeyError(f"no metric {metric!r}: there are {', '.join(map(repr, self.metrics)) or 'none'}")
        return self._places[metric]

    @cached_property
    def _places(self):
        return {metric: number for number, metric in enumerate(self.metrics)}

    def role(self, metric: str) -> roles.MetricRole:
        """What a metric is, see `kerasvae.analysis.study.roles`."""
        return roles.role_of(metric, self.roles)

    def label(self, metric: str) -> str:
        """What to call a metric on a page."""
        return roles.label_of(metric, self.roles)

    def metrics_of(self, role: str, representation: str | None = "mean") -> list[str]:
        """Names of the metrics of a role that have numbers, in order.

        Args:
            role: see `kerasvae.analysis.study.roles`.
            representation: "mean" (default), "sampled", or None for both.
        """
        if role not in roles.ROLES:
            raise ValueError(f"role must be one of {', '.join(map(repr, roles.ROLES))}, got {role!r}")
        return [
            metric
            for metric in self.metrics
            if self.role(metric).role == role
            and representation in (None, roles.representation(metric))
            and np.isfinite(self.column(metric)).any()
        ]

    def find(self, name: str, representation: str = "mean") -> str | None:
        """The metric whose name in the registry is `name` ("mig", "loss.elbo"), as the table calls it; or None."""
        suffix = roles.SAMPLED if representation == "sampled" else ""
        if name + suffix in self._places:
            return name + suffix
        wanted = roles.canonical(name)
        for metric in self.metrics:
            if roles.canonical(metric) == wanted and roles.representation(metric) == representation:
                return metric
        return None

    # Parts.

    @cached_property
    def is_ok(self) -> np.ndarray:
        """Which runs came to an end, bool (runs,)."""
        return self.status == OK

    def ok(self) -> ResultsTable:
        """The runs that came to an end: those that analyses take."""
        return self if self.is_ok.all() else self.where(self.is_ok)

    def where(self, mask) -> ResultsTable:
        """The runs of a mask, bool (runs,), or of indices that increase. What varies stays as it was."""
        mask = np.asarray(mask)
        return self._with(
            **{name: getattr(self, name)[mask] for name in FIELDS},
            hyper_parameters={name: values[mask] for name, values in self.hyper_parameters.items()},
            labels={name: values[mask] for name, values in self.labels.items()},
            values=self.values[mask],
        )

    def select(
        self, *, study=None, dataset=None, method=None, strength=None, seed=None, setting=None, metrics=None
    ) -> ResultsTable:
        """The runs whose fields have the given value, or one of a list of them, and the named metrics.

        Args:
            study, dataset, method, strength, seed, setting: a value or a list; None (default) for all.
            metrics: list of names; None (default) for all.

        Raises:
            KeyError: an unknown metric.
        """
        mask = np.ones(len(self), bool)
        wanted = {"study": study, "dataset": dataset, "method": method, "strength": strength, "seed": seed}
        for name, choice in wanted.items():
            if choice is not None:
                choices = choice if isinstance(choice, list | tuple | set | frozenset | np.ndarray) else [choice]
                mask &= np.fromiter((value in choices for value in getattr(self, name).tolist()), bool, len(self))
        if setting is not None:
            choices = {setting} if isinstance(setting, Setting) else set(setting)
            mask &= np.fromiter((each in choices for each in self._setting_of_runs), bool, len(self))
        part = self.where(mask)
        if metrics is None:
            return part
        return part._with(metrics=tuple(metrics), values=part.columns(metrics))

    def with_metrics(self, columns: dict, roles=None, notices=()) -> ResultsTable:
        """This table with further metrics.

        Args:
            columns: {name: float (runs,)}, nan where missing; a name that is there already is replaced.
            roles: {name: MetricRole} of them. Default: the registry's.
            notices: further sentences.
        """
        kept = [metric for metric in self.metrics if metric not in columns]
        values = np.column_stack([self.columns(kept), *(np.asarray(v, np.float64) for v in columns.values())])
        return self._with(
            metrics=(*kept, *columns), values=values, roles={**self.roles, **(roles or {})}, notices=notices, sort=True
        )

    def _with(self, sort=False, notices=(), **changes) -> ResultsTable:
        now = {name: getattr(self, name) for name in self.__dataclass_fields__} | changes
        now["notices"] = (*self.notices, *notices)
        if sort:
            order = sorted(range(len(now["metrics"])), key=lambda place: metric_order(now["metrics"][place]))
            now["metrics"] = tuple(now["metrics"][place] for place in order)
            now["values"] = now["values"][:, order]
        return ResultsTable(**now)

    # The grid.

    @cached_property
    def cell_code(self) -> np.ndarray:
        """Each run's (data set, setting), counted over all pairs of them, int64 (runs,)."""
        return self.dataset_code * len(self.settings) + self.setting_code

    @cached_property
    def seeds_per_setting(self) -> tuple[int, int]:
        """Fewest and most runs of a setting that occurs on a data set; (0, 0) without runs."""
        counts = np.bincount(self.cell_code)
        counts = counts[counts > 0]
        return (int(counts.min()), int(counts.max())) if len(counts) else (0, 0)

    @cached_property
    def complete(self) -> bool:
        """Whether every setting has the same seeds, each once, on every data set. Of one study, that is."""
        counts = np.zeros((len(self.datasets) * len(self.settings), len(self.seeds)), np.int64)
        np.add.at(counts, (self.cell_code, self.seed_code), 1)
        return len(self) > 0 and len(self.studies) == 1 and bool((counts == 1).all())

    def counts(self) -> Frame:
        """How many runs of every setting there are, by data set: ok, and not ok and why."""
        rows = {}
        for code in sorted(set(zip(self.study.tolist(), self.cell_code.tolist(), strict=True))):
            rows[code] = dict.fromkeys(("runs", *STATUSES), 0)
        for study, cell, status in zip(self.study.tolist(), self.cell_code.tolist(), self.status.tolist(), strict=True):
            rows[study, cell]["runs"] += 1
            rows[study, cell][status] += 1
        found = []
        for (study, cell), counted in rows.items():
            place, setting = divmod(cell, len(self.settings))
            setting = self.settings[setting]
            named = {"study": study, "dataset": self.datasets[place], "method": setting.method}
            found.append({**named, "strength": setting.strength, "setting": setting.label, **counted})
        names = ["study", "dataset", "method", "strength", "setting", "runs", *STATUSES]
        return Frame.from_rows(found, names, title="Runs by setting", shown=["dataset", "setting", "runs", *STATUSES])

    # The exchange formats.

    def to_long(self) -> Frame:
        """One line a number, as `load` takes it back without any loss.

        A missing number has no line, but a run or a metric without any number has one, empty; a table without runs, or
        without metrics, has no lines.
        """
        present = np.isfinite(self.values)
        if self.metrics and len(self):
            present[~present.any(axis=1), 0] = True
            present[0, ~present.any(axis=0)] = True
        runs, places = np.nonzero(present)
        names = np.array([metric.removesuffix(roles.SAMPLED) for metric in self.metrics], object)
        kinds = np.array([roles.representation(metric) for metric in self.metrics], object)
        start = {name: values[runs] for name, values in self._run_columns().items()}
        end = {"representation": kinds[places], "metric": names[places], "value": self.values[runs, places]}
        return Frame(start | end)

    def to_wide(self) -> Frame:
        """One line a run, then a column a metric, as `load` takes it back without any loss."""
        values = {metric: self.values[:, place] for place, metric in enumerate(self.metrics)}
        return Frame(self._run_columns() | values)

    def _run_columns(self) -> dict:
        columns = {name: getattr(self, name) for name in FIELDS}
        columns["strength"] = _plain(columns["strength"])
        columns |= {f"hp.{name}": _plain(values) for name, values in self.hyper_parameters.items()}
        return columns | self.labels

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all runs and numbers, 12 hexadecimal digits: the same data in another order has the same."""
        return hashlib.sha256(self.to_long().to_csv().encode()).hexdigest()[:12]

    def equals(self, other: ResultsTable) -> bool:
        """Whether another table holds the same runs, metrics and numbers."""
        return self.metrics == other.metrics and self.to_wide().to_csv() == other.to_wide().to_csv()

    def __repr__(self):
        return (
            f"<ResultsTable: {len(self)} runs ({int(self.is_ok.sum())} ok), {len(self.datasets)} data sets, "
            f"{len(self.settings)} settings, {len(self.metrics)} metrics>"
        )


metric_order = roles.metric_order


def codes_of(values: Iterable, axis) -> np.ndarray:
    """Each value's place in `axis`, int64."""
    places = {value: number for number, value in enumerate(axis)}
    return np.array([places[value] for value in values], np.int64)


def method_order(method: str):
    """Key that sorts methods: the fixed order, then by name."""
    return METHODS.index(method) if method in METHODS else len(METHODS), method.lower(), method


def dataset_order(dataset: str):
    """Key that sorts data sets: those of Locatello et al. 2019 in their order, then by name."""
    plain = plain_dataset(dataset)
    return DATASETS.index(plain) if plain in DATASETS else len(DATASETS), dataset.lower(), dataset


def plain_dataset(dataset: str) -> str:
    """A data set's name as it is compared with published tables: "Color-dSprites" -> "colordsprites"."""
    plain = "".join(letter for letter in dataset.lower().removesuffix("_full") if letter.isalnum())
    return "smallnorb" if plain == "norb" else plain


def value_order(value):
    """Key that sorts strengths and hyper-parameters: missing, numbers, then text."""
    if value is None:
        return 0, 0.0, ""
    return (1, float(value), "") if isinstance(value, int | float) else (2, 0.0, str(value))


def strength_text(value) -> str:
    """A strength or hyper-parameter without needless digits; "" for None."""
    return "" if value is None else f"{value:g}" if isinstance(value, int | float) else str(value)


def _plain(values):
    """Whole numbers without a point, so that a file reads as it was written by hand."""
    column = np.empty(len(values), object)
    whole = [isinstance(value, float) and value.is_integer() and abs(value) < 2**53 for value in values]
    column[:] = [int(value) if each else value for value, each in zip(values, whole, strict=True)]
    return column
