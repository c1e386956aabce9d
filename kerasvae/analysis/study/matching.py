"""Names of two studies that mean the same: data sets that are spelt differently, metrics under another study's name."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kerasvae.analysis.study import roles


def matched_names(first: Iterable[str], second: Iterable[str], key: Callable) -> list[tuple[str, str]]:
    """Pairs of a name of each study, in the order of the first.

    Equal names are a pair. Of the others, two are where their keys are equal and no other name of either study that is
    left has this key.

    Args:
        first, second: names, each once.
        key: function of a name, such as `metric_key` or `kerasvae.analysis.study.table.plain_dataset`; an empty one
            is nobody's.
    """
    first, second = list(first), list(second)
    pairs = {name: name for name in first if name in second}
    left = [[name for name in names if name not in pairs] for names in (first, second)]
    keys = [[key(name) for name in names] for names in left]
    for name, of_name in zip(left[0], keys[0], strict=True):
        if of_name and keys[0].count(of_name) == keys[1].count(of_name) == 1:
            pairs[name] = left[1][keys[1].index(of_name)]
    return [(name, pairs[name]) for name in first if name in pairs]


def metric_key(metric: str) -> tuple:
    """What is the same for two names of a metric: the registry's name, sizes and representation.

    "mig.score@2000" and "mig@2000" have the same key, "mig@2000" and "mig@10000" have not.
    """
    sizes = metric.removesuffix(roles.SAMPLED).split("@")[1:]
    return roles.canonical(metric), tuple(sizes), roles.representation(metric)


def renamed_notices(pairs, what: str, study_a: str, study_b: str) -> list[str]:
    """A sentence on each pair of different names that are taken to mean the same."""
    return [
        f"Taken to be the same {what}: {a} of {quoted(study_a)} and {b} of {quoted(study_b)}."
        for a, b in pairs
        if a != b
    ]


def quoted(study: str) -> str:
    """A study's name in a sentence; the one without a name is called so."""
    return repr(study) if study else "the study without a name"
