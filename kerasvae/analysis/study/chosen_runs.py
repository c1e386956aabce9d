"""What runs chosen by a number are worth: the chance of each against a random run, for all replicates at once."""

from __future__ import annotations

import numpy as np

from kerasvae.analysis.study.selection import TIES
from kerasvae.analysis.study.weighted import group_medians

BEST_RUN, ONE_SEED, SETTING = "best run", "best of one seed", "best setting"
RULES = (BEST_RUN, ONE_SEED, SETTING)


class Choice:
    """What the rules choose of some runs by a number, the highest being the best.

    Args:
        values: (runs,), none missing.
        seeds, settings: each run's seed and setting, integers from 0, (runs,).

    Attributes:
        of_seeds: share of each run among those tied for the best of its seed, 0 for others, (runs,).
        of_settings: a row for each setting with the best median: 1 for its runs, else 0, (settings, runs).
    """

    def __init__(self, values, seeds, settings):
        # Places among the values, equal ones alike.
        self._ranks = np.unique(values, return_inverse=True)[1]
        self._order = np.argsort(-self._ranks, kind="stable")
        self._tied = np.bincount(self._ranks)
        best = np.full(seeds.max() + 1, -1)
        np.maximum.at(best, seeds, self._ranks)
        tied = self._ranks == best[seeds]
        self.of_seeds = tied / np.maximum(np.bincount(seeds, tied), 1)[seeds]
        medians = group_medians(values, settings, np.ones((len(values), 1)), int(settings.max()) + 1)[:, 0]
        chosen = np.flatnonzero(medians == np.nanmax(medians))
        self.of_settings = (settings == chosen[:, None]).astype(np.float64)

    def best(self, weights):
        """The best of the runs that were drawn at all: one in each replicate, and where others are tied with it.

        Args:
            weights: (runs, replicates).

        Returns:
            runs (replicates,), and pairs (runs that are tied, replicates in which they are the best).
        """
        chosen = self._order[(weights[self._order] > 0).argmax(axis=0)]
        ranks = self._ranks[chosen]
        several = np.flatnonzero(self._tied[ranks] > 1)
        tied = [(np.flatnonzero(self._ranks == rank), several[ranks[several] == rank]) for rank in set(ranks[several])]
        return chosen, tied


class Opponents:
    """The runs that a chosen one of them is compared with, by a score.

    Args:
        score: (runs,), none missing; higher is better.
    """

    def __init__(self, score):
        self._order = np.argsort(score, kind="stable")
        self._ends = [np.searchsorted(score[self._order], score, side) for side in ("left", "right")]

    def worth(self, choices, weights, best) -> np.ndarray:
        """Chance of each rule's choice against a random run, the chosen one among them.

        Args:
            choices: of `Choice`, all of these runs.
            weights: how many times each run counts, (runs, replicates).
            best: of `Choice.best`, of every choice.

        Returns:
            float64 (choices, rules, ties, replicates); nan where no run is chosen.
        """
        counted = np.zeros((len(weights) + 1, weights.shape[1]), weights.dtype)
        np.cumsum(weights[self._order], axis=0, out=counted[1:])
        below, up_to = (counted[ends] for ends in self._ends)
        total = counted[-1].astype(np.float64)
        # One product of matrices serves all choices; which of its rows are whose.
        shares = np.vstack([each for choice in choices for each in (choice.of_seeds, choice.of_settings)])
        shares = shares.astype(weights.dtype)
        starts = np.cumsum([0, *(1 + len(choice.of_settings) for choice in choices)])
        drawn = (shares @ weights).astype(np.float64)
        found = np.empty((len(choices), len(RULES), len(TIES), weights.shape[1]))
        with np.errstate(invalid="ignore", divide="ignore"):
            for at, ties in enumerate(TIES.values()):
                # Runs that the run is at least as good as: whole numbers and halves, which nothing rounds.
                beaten = below + weights.dtype.type(ties) * (up_to - below)
                sums = (shares @ (beaten * weights)).astype(np.float64)
                for place, start in enumerate(starts[:-1]):
                    settings = slice(start + 1, starts[place + 1])
                    found[place, 0, at] = _of_best(beaten, weights, *best[place])
                    found[place, 1, at] = sums[start] / drawn[start]
                    found[place, 2, at] = _mean_of_drawn(sums[settings], drawn[settings])
            # Rounding alone takes a probability beyond 1.
            return np.clip(found / total, 0, 1)


def _of_best(beaten, weights, chosen, tied):
    found = beaten[chosen, np.arange(len(chosen))].astype(np.float64)
    for runs, replicates in tied:
        counted = weights[np.ix_(runs, replicates)].astype(np.float64)
        found[replicates] = (beaten[np.ix_(runs, replicates)] * counted).sum(axis=0) / counted.sum(axis=0)
    return found


def _mean_of_drawn(sums, drawn):
    """Tied settings count alike, however many of their runs were drawn, (replicates,)."""
    if len(sums) == 1:
        return sums[0] / drawn[0]
    there = drawn > 0
    return (np.where(there, sums, 0) / np.maximum(drawn, 1)).sum(axis=0) / there.sum(axis=0)
