"""What all sections of a report are made of: the table, its analyses, each computed once, and what to call things."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from kerasvae.analysis.study import roles
from kerasvae.analysis.study.comparison import compare_methods
from kerasvae.analysis.study.correlations import metric_correlations
from kerasvae.analysis.study.describe import describe
from kerasvae.analysis.study.downstream import downstream_correlations
from kerasvae.analysis.study.efficiency import task_label
from kerasvae.analysis.study.frame import Analysis, Frame
from kerasvae.analysis.study.losses import loss_correlations
from kerasvae.analysis.study.medians import setting_medians
from kerasvae.analysis.study.replication import replication
from kerasvae.analysis.study.selection import selection_odds
from kerasvae.analysis.study.table import METHOD_LABELS, ResultsTable
from kerasvae.analysis.study.total_correlation import total_correlation
from kerasvae.analysis.study.transfer import transfer
from kerasvae.analysis.study.unsupervised_selection import unsupervised_selection
from kerasvae.analysis.study.variance import variance_shares
from kerasvae.plots.study_style import method_colours

# Most data sets, scores and methods that figures show; tables hold all.
MOST_DATASETS, MOST_SCORES, MOST_METHODS = 8, 8, 12
# Names that are shorter than the registry's, and of what is no metric.
NAMES = {
    "lr": "Logistic regression",
    "gbt": "Boosted trees",
    "unsup.gaussian_tc": "Total correlation",
    "unsup.gaussian_tc@sampled": "Total correlation, sampled",
    "unsup.gaussian_tc_active": "Total correlation, active",
    "unsup.mutual_info": "Mutual information",
    "unsup.mutual_info@sampled": "Mutual information, sampled",
}


class Labels(dict):
    """{name: what to call it}, of metrics that an analysis adds to the table, too."""

    def get(self, name, default=None):
        if name in self or not isinstance(name, str):
            return super().get(name, default)
        if name.startswith("downstream."):
            return task_label(name)
        return roles.label_of(name) if roles.role_of(name).known else default


@dataclass
class Material:
    """A table and what is computed of it.

    Args:
        table: of one study or several, with runs that are not ok, too.
        title: of the page.
        beside: name of the published study whose tables stand beside, or None.
        replicates, seed: of the bootstrap.
        images: folder of pictures of runs, or None.
        date: as printed on the page.
        working: called with the name of an analysis before it is computed.
    """

    table: ResultsTable
    title: str
    beside: str | None = None
    replicates: int = 2000
    seed: int = 1
    images: object = None
    date: str = ""
    working: Callable = lambda name: None
    figures: int = 0
    embedded: dict = field(default_factory=dict)
    _known: dict = field(default_factory=dict)

    def __post_init__(self):
        self.ok = self.table.ok()
        metrics = {metric: self.table.label(metric) for metric in self.table.metrics}
        metrics = {metric: label for metric, label in metrics.items() if not metric.startswith("downstream.")}
        self.labels = Labels(metrics | METHOD_LABELS | NAMES)
        self.colours = method_colours(self.table.methods)
        self.scores = self.ok.metrics_of("score")

    @property
    def look(self) -> dict:
        """Names and colours, as figures take them."""
        return {"labels": self.labels, "colours": self.colours}

    @property
    def shown_scores(self) -> list[str]:
        return self.scores[:MOST_SCORES]

    @property
    def shown_methods(self) -> list[str]:
        return list(self.ok.methods[:MOST_METHODS])

    def datasets(self, study: str) -> list[str]:
        """Data sets of a study that figures show."""
        return list(self.ok.select(study=study).datasets[:MOST_DATASETS])

    def analysis(self, name: str) -> Analysis | Frame:
        """An analysis by name, computed when first asked for; ValueError, saying why, where it is not possible."""
        if name not in self._known:
            self.working(ANALYSES[name][0])
            try:
                self._known[name] = ANALYSES[name][1](self)
            except ValueError as error:
                self._known[name] = error
        if isinstance(self._known[name], ValueError):
            raise self._known[name]
        return self._known[name]

    def possible(self) -> dict:
        """The analyses that were possible, by name."""
        found = {}
        for name in ANALYSES:
            try:
                found[name] = self.analysis(name)
            except ValueError:
                continue
        return found

    @property
    def bootstrap(self) -> dict:
        return {"replicates": self.replicates, "seed": self.seed}

    @property
    def description(self):
        if "describe" not in self._known:
            self._known["describe"] = describe(self.table)
        return self._known["describe"]


# Name -> what it is, for those who wait, and how it is computed.
ANALYSES = {
    "agreement": (
        "correlation of scores",
        lambda m: metric_correlations(m.ok, beside=m.beside, **m.bootstrap),
    ),
    "losses": ("losses against scores", lambda m: loss_correlations(m.ok, **m.bootstrap)),
    "shares": ("method, strength and seed", lambda m: variance_shares(m.ok, **m.bootstrap)),
    "medians": ("medians of settings", lambda m: setting_medians(m.ok, **m.bootstrap)),
    "selection": ("selection", lambda m: selection_odds(m.ok, **m.bootstrap)),
    "unsupervised": ("selection without labels", lambda m: unsupervised_selection(m.ok, by=None, **m.bootstrap)),
    "transfer": ("transfer", lambda m: transfer(m.ok, beside=m.beside, **m.bootstrap)),
    "tc": ("total correlation", lambda m: total_correlation(m.ok, **m.bootstrap)),
    "downstream": (
        "downstream tasks",
        lambda m: downstream_correlations(m.ok, beside=m.beside, **m.bootstrap),
    ),
    "comparison": ("comparison of methods", lambda m: compare_methods(m.ok, **m.bootstrap)),
    "replication": ("replication", lambda m: replication(m.ok, **m.bootstrap)),
}
