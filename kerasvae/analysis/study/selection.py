"""Choosing a setting by a score: how much better than at random, on other seeds, data sets and scores?"""

from __future__ import annotations

import numpy as np

from kerasvae.analysis.study.bootstrap import REPLICATES, Resamples, resamples, wilson_interval
from kerasvae.analysis.study.cells import row_medians, run_cube, values_of
from kerasvae.analysis.study.correlations import check_metrics
from kerasvae.analysis.study.frame import Frame
from kerasvae.analysis.study.published import SLIDES, published_values
from kerasvae.analysis.study.roles import family
from kerasvae.analysis.study.table import ResultsTable
from kerasvae.checks import check_integer

RULES = ONE_SEED, MEDIAN = "best of one seed", "best median"
TIES = {"wins": 1.0, "half": 0.5}
KINDS = (("same", "same"), ("same", "other"), ("other", "same"), ("other", "other"))
_COLUMNS = "study rule data metric ties estimate lo hi n baseline published provenance".split()


def selection_odds(
    table: ResultsTable,
    metrics=None,
    *,
    trials: int | None = None,
    replicates: int = REPLICATES,
    seed: int = 1,
    over: str = "seeds",
) -> Frame:
    """Probability that a setting chosen by its score beats one drawn at random.

    A trial draws a data set, a score and a seed, takes the setting that is best among the runs of that seed, and one of
    its runs with another seed (on another data set: with any seed), on the same or another data set and by the same or
    another score. It wins against a random run of that data set. The table holds the exact expectation of that, which
    is an average over a finite number of trials; settings tied for the best count alike. Only settings with runs on
    both data sets take part, as choices and as opponents. Another score is one of another family (DCI's completeness is
    none to DCI's disentanglement).

    With ties = "half" the probability is at the same time the mean percentile, among all runs, of the run that is
    chosen. The rule "best median" takes the setting with the best median over seeds, on the same data set without the
    seed of the run that is drawn; for the same data and score that is an oracle, which no rule that names a setting can
    be expected to exceed. Its interval holds the choices fixed.

    Args:
        table: runs of any number of studies, which are never pooled.
        metrics: names of scores. Default: all of the mean representation.
        trials: draw that many trials of every kind instead, as published (10 000), with Wilson's interval of their
            mean. Default None: exact.
        replicates, seed, over: of the bootstrap, see `kerasvae.analysis.study.bootstrap.Resamples`; `seed` also of the
            trials. `over` "datasets" is not possible here.

    Returns:
        Frame: study, rule ("best of one seed", "best median"), data and metric ("same", "other"), ties (what a tie
        counts: "wins", as published, or "half"), estimate, lo, hi, n (choices that were averaged, or trials), baseline
        (of a setting that is drawn at random itself), published, provenance. Kinds that are not possible are left out
        and named in the notices.

    Raises:
        ValueError: no scores, no runs that are ok, no study with 2 seeds, or another argument that is not allowed.
        KeyError: an unknown metric.

    Source: Locatello et al. 2019, "Challenging Common Assumptions", section 5.6 and Table 2.
    """
    table, metrics = check_metrics(table, metrics, 1, "scores")
    if over != "seeds":
        raise ValueError(f'over must be "seeds": choices need their data sets, got {over!r}')
    if trials is not None:
        check_integer(trials, "trials", 1)
    look_up = published_values(SLIDES, "selection_odds", ("data", "metric"))
    marks = {kind: "reported" if kind == ("same", "other") else "printed" for kind in KINDS}
    rows, notices = [], []
    for study in table.studies:
        part = table.select(study=study)
        if len(part.seeds) < 2:
            notices.append(f"{study or 'The table'} has one seed only: a choice cannot be tried on another.")
            continue
        draws = resamples(part, replicates, seed)
        choices = _Choices(part, metrics)
        notices += [*draws.notices, *choices.notices()]
        for rule, each in choices.odds(draws, trials, seed):
            for place, found in each:
                kind = KINDS[place]
                beside = rule == ONE_SEED and found["ties"] == "wins"
                rows.append(
                    {"study": study, "rule": rule, "data": kind[0], "metric": kind[1], **found}
                    | ({"published": look_up.get(kind), "provenance": marks[kind]} if beside else {})
                )
    if not rows:
        raise ValueError("selection: " + (" ".join(notices) or "there is nothing to choose from"))
    percent = dict.fromkeys(("estimate", "lo", "hi", "baseline", "published"), lambda value: f"{100 * value:.1f}")
    shown = [name for name in _COLUMNS if name != "study" or len(table.studies) > 1]
    title = "Probability of beating random selection, %"
    return Frame.from_rows(
        rows, _COLUMNS, title=title, formats=percent, shown=shown, notices=list(dict.fromkeys(notices))
    )


class _Choices:
    """The choices of a study, and what they are worth."""

    def __init__(self, part, metrics):
        self.part, self.metrics = part, metrics
        self.cube = run_cube(part)
        signs = [part.role(metric).sign or 1 for metric in metrics]
        self.columns = [sign * part.column(metric) for sign, metric in zip(signs, metrics, strict=True)]
        # (data sets, settings, seeds) of every metric.
        self.cubes = [values_of(self.cube, column) for column in self.columns]
        self.present = [np.isfinite(cube).any(axis=2) for cube in self.cubes]
        self.families = [family(metric) for metric in metrics]
        self._made = {}
        self._pairs = [
            (source, target)
            for source in np.ndindex(len(part.datasets), len(metrics))
            for target in np.ndindex(len(part.datasets), len(metrics))
            if source[1] == target[1] or self.families[source[1]] != self.families[target[1]]
        ]

    def notices(self):
        found = []
        if len(self.part.datasets) < 2:
            found.append("One data set only: nothing can be said of transfer to another.")
        if len(set(self.families)) < 2:
            found.append("One score only: nothing can be said of another score.")
        missing = sum(int((~both).sum()) for both in self.present)
        if missing:
            found.append(f"{missing} settings without a number on some data set take no part there.")
        return found

    def odds(self, draws: Resamples, trials, seed):
        """Each rule with its rows, as pairs of the place in KINDS and the row."""
        kinds = [self._kind(*pair) for pair in self._pairs]
        if trials:
            for rule in RULES:
                yield rule, self._tried(rule, kinds, trials, seed)
            return

        def statistic(weights):
            totals = np.zeros((len(RULES), len(KINDS), len(TIES), weights.shape[1]))
            counts = np.zeros((len(RULES), len(KINDS), weights.shape[1]))
            tables = _Percentiles(self, weights)
            # Both rules are judged by the same runs.
            for pair, kind in zip(self._pairs, kinds, strict=True):
                for place, rule in enumerate(RULES):
                    worth, weight = self._worth(tables, rule, *pair)
                    if worth is not None:
                        totals[place, kind] += worth
                        counts[place, kind] += weight
            with np.errstate(invalid="ignore"):
                # Rounding alone takes a probability beyond 1.
                return np.clip(totals / counts[:, :, None], 0, 1)

        numbers = draws.estimate(statistic)
        baseline = self._baselines(kinds)
        for place, rule in enumerate(RULES):
            yield rule, self._rows(rule, kinds, *(each[place] for each in numbers), baseline)

    def _rows(self, rule, kinds, estimate, lo, hi, baseline):
        for place in range(len(KINDS)):
            if not np.isfinite(estimate[place]).all():
                continue
            pairs = [pair for pair, kind in zip(self._pairs, kinds, strict=True) if kind == place]
            n = sum(len(self._chosen(rule, *pair)[0]) for pair in pairs)
            for at, ties in enumerate(TIES):
                yield (
                    place,
                    {
                        "ties": ties,
                        "estimate": float(estimate[place, at]),
                        "lo": float(lo[place, at]),
                        "hi": float(hi[place, at]),
                        "n": n,
                        "baseline": float(baseline[place][at]),
                    },
                )

    def _kind(self, source, target):
        return KINDS.index(tuple("same" if a == b else "other" for a, b in zip(source, target, strict=True)))

    def allowed(self, source, target):
        """Which settings have runs with both scores on both data sets, bool (settings,)."""
        return self.present[source[1]][source[0]] & self.present[target[1]][target[0]]

    def _chosen(self, rule, source, target):
        """Settings chosen, the seeds of the runs by which they were, and the share of each choice among those tied.

        With the rule "best median" on the same data set the seed is that of the run to be drawn, which has no part in
        the choice; on another data set it is -1.
        """
        # Neither the target's score, unless its settings differ, nor the replicate has a part in the choice.
        key = rule, source, source[0] == target[0], self.allowed(source, target).tobytes()
        if key not in self._made:
            self._made[key] = self._choose(rule, source, target)
        return self._made[key]

    def _choose(self, rule, source, target):
        allowed = self.allowed(source, target)
        values = self.values(source, allowed)
        if rule == MEDIAN:
            same = source[0] == target[0]
            kept = [np.delete(values, seed, axis=1) for seed in range(values.shape[1])] if same else [values]
            scores = np.stack([row_medians(each) for each in kept], axis=1)
        else:
            scores = values
        best = np.nanmax(np.where(np.isfinite(scores), scores, -np.inf), axis=0, initial=-np.inf)
        tied = np.isfinite(scores) & (scores == best)
        settings, seeds = np.nonzero(tied)
        shares = 1 / tied.sum(axis=0)[seeds] if len(seeds) else np.zeros(0)
        if rule == MEDIAN and source[0] != target[0]:
            seeds = np.full(len(settings), -1)
        return settings, seeds, shares

    def _worth(self, tables, rule, source, target):
        """Sum over choices of their chance to win, (ties, replicates), and of their weights, (replicates,)."""
        settings, seeds, shares = self._chosen(rule, source, target)
        if not len(settings):
            return None, None
        by_setting, by_run, run_weights = tables.of(target, self.allowed(source, target))
        if source[0] != target[0]:
            weight = tables.choice_weights(
                rule, source, self.allowed(source, target), self._chosen(rule, source, target)
            )
            weight = weight * (by_setting[1] > 0)
            return np.einsum("tsr,sr->tr", by_setting[0], weight), weight.sum(axis=0)
        own, chances = run_weights[settings, seeds], by_run[:, settings, seeds]
        if rule == MEDIAN:
            # The run with the very seed that was left out.
            weight = own * shares[:, None]
            return (chances * weight).sum(axis=1), weight.sum(axis=0)
        sums, counts = by_setting[0][:, settings] * by_setting[1][settings], by_setting[1][settings]
        left = counts - own
        weight = tables.weights[self.cube[source[0], settings, seeds]] * shares[:, None] * (left > 0.5)
        return ((sums - chances * own) / np.maximum(left, 1) * weight).sum(axis=1), weight.sum(axis=0)

    def _baselines(self, kinds):
        """Chance of a random run against a random run, (kinds, ties)."""
        tied = {}
        for dataset, metric in np.ndindex(len(self.part.datasets), len(self.metrics)):
            values = self.cubes[metric][dataset]
            counts = np.unique(values[np.isfinite(values)], return_counts=True)[1]
            tied[dataset, metric] = float((counts**2).sum() / max(counts.sum(), 1) ** 2)
        found = []
        for place in range(len(KINDS)):
            targets = [target for (_, target), kind in zip(self._pairs, kinds, strict=True) if kind == place]
            mass = float(np.mean([tied[target] for target in targets])) if targets else np.nan
            found.append([0.5 + (ties - 0.5) * mass for ties in TIES.values()])
        return found

    def _tried(self, rule, kinds, trials, seed):
        draws = np.random.default_rng(seed)
        for place in range(len(KINDS)):
            pairs = [pair for pair, kind in zip(self._pairs, kinds, strict=True) if kind == place]
            pairs = [pair for pair in pairs if len(self._chosen(rule, *pair)[0])]
            if not pairs:
                continue
            wins = [self._trial(draws, rule, *pairs[draws.integers(len(pairs))]) for _ in range(trials)]
            wins = np.array([win for win in wins if win is not None])
            if not len(wins):
                continue
            baseline = self._baselines(kinds)[place]
            for at, ties in enumerate(TIES):
                mean = wins[:, at].mean()
                lo, hi = wilson_interval(mean, len(wins))
                found = {"estimate": float(mean), "lo": float(lo), "hi": float(hi), "n": len(wins)}
                yield place, {"ties": ties, **found, "baseline": baseline[at]}

    def values(self, target, allowed):
        """Values of a score on a data set, nan for settings that take no part, (settings, seeds)."""
        return np.where(allowed[:, None], self.cubes[target[1]][target[0]], np.nan)

    def _opponents(self, target, allowed):
        key = *target, allowed.tobytes()
        if key not in self._made:
            values = self.values(target, allowed)
            self._made[key] = values, values[np.isfinite(values)]
        return self._made[key]

    def _trial(self, draws, rule, source, target):
        settings, seeds, _ = self._chosen(rule, source, target)
        source_seed = draws.choice(np.unique(seeds))
        of_seed = np.flatnonzero(seeds == source_seed)
        setting = settings[draws.choice(of_seed)]
        values, opponents = self._opponents(target, self.allowed(source, target))
        targets = np.flatnonzero(np.isfinite(values[setting]))
        if source[0] == target[0]:
            targets = targets[targets == source_seed] if rule == MEDIAN else targets[targets != source_seed]
        if not len(targets):
            return None
        value, opponent = values[setting, draws.choice(targets)], opponents[draws.integers(len(opponents))]
        return [float(value > opponent) + ties * (value == opponent) for ties in TIES.values()]


class _Percentiles:
    """Chance of every run against a random run of its data set, for some replicates; kept, as pairs ask again."""

    def __init__(self, choices: _Choices, weights):
        self.choices, self.weights, self._kept, self._choices = choices, weights, {}, {}

    def of(self, target, allowed):
        """((mean over seeds, (ties, settings, replicates), and its weights), chances of runs, weights of runs)."""
        key = *target, allowed.tobytes()
        if key not in self._kept:
            self._kept[key] = self._computed(target, allowed)
        return self._kept[key]

    def choice_weights(self, rule, source, allowed, chosen):
        """How often each setting is chosen, (settings, replicates)."""
        key = rule, source, allowed.tobytes()
        if key not in self._choices:
            settings, seeds, shares = chosen
            weights = np.ones((len(settings), self.weights.shape[1]), np.float32)
            if rule == ONE_SEED:
                weights = self.weights[self.choices.cube[source[0], settings, seeds]]
            found = np.zeros((len(allowed), weights.shape[1]), np.float32)
            np.add.at(found, settings, weights * shares[:, None].astype(np.float32))
            self._choices[key] = found
        return self._choices[key]

    def _computed(self, target, allowed):
        dataset, _metric = target
        values = self.choices.values(target, allowed)
        there = np.isfinite(values)
        drawn = self.weights[self.choices.cube[dataset][there]].astype(np.float32, copy=False)
        flat = values[there]
        order = np.argsort(flat, kind="stable")
        ordered = flat[order]
        counted = np.zeros((len(flat) + 1, drawn.shape[1]), np.float32)
        np.cumsum(drawn[order], axis=0, out=counted[1:])
        left = np.searchsorted(ordered, flat, "left")
        below = counted[left]
        if len(flat) > 1 and (ordered[1:] == ordered[:-1]).any():
            equal = counted[np.searchsorted(ordered, flat, "right")] - below
        else:
            equal = drawn
        total = np.maximum(counted[-1], 1)
        chances = np.stack([(below + ties * equal) / total for ties in TIES.values()])
        shape = *there.shape, drawn.shape[1]
        if there.all():
            chances, weights = chances.reshape(len(TIES), *shape), drawn.reshape(shape)
        else:
            laid_out, weights = np.zeros((len(TIES), *shape), np.float32), np.zeros(shape, np.float32)
            laid_out[:, there], weights[there] = chances, drawn
            chances = laid_out
        counts = weights.sum(axis=1)
        return ((chances * weights).sum(axis=2) / np.maximum(counts, 1), counts), chances, weights
