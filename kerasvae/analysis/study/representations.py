"""Which codes a metric is of: in its name, or in a column beside it."""

from __future__ import annotations

from kerasvae.analysis.study import roles


def metric_name(name: str) -> str:
    """A metric's name as tables hold it: sizes, then the representation; the mean one goes without saying."""
    base, *notes = name.split("@")
    sizes = [note for note in notes if note not in ("mean", "sampled")]
    return "@".join([base, *sizes]) + (roles.SAMPLED if "sampled" in notes else "")


def are_representations(values) -> bool:
    """Whether a column says "mean" or "sampled" in every line."""
    return bool(values) and {str(value).strip().lower() for value in values} <= {"mean", "sampled"}


def by_representation(metrics, kinds):
    """Metrics of a table with a line for the mean and one for the sampled representation of each run.

    Args:
        metrics: {name: list, one entry a line}.
        kinds: "mean" or "sampled" of each line.

    Returns:
        {name: list}, those of sampled codes ending in "@sampled", None in the lines of the other representation.
    """
    found, sampled = {}, [str(kind).strip().lower() == "sampled" for kind in kinds]
    for name, values in metrics.items():
        for end, kept in ((roles.SAMPLED, True), ("", False)):
            if kept in sampled:
                column = [value if each is kept else None for value, each in zip(values, sampled, strict=True)]
                found[metric_name(name + end)] = column
    return found
