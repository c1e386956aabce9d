"""Perceived distances: how far apart a reconstruction loss sees two images that differ in one factor, or at random."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from kerasvae import files
from kerasvae.analysis import figures, tables
from kerasvae.analysis.measuring import (
    centred_deviation,
    check_data,
    check_folder,
    check_loss,
    check_name,
    describe,
    measure,
    progress_bar,
)
from kerasvae.analysis.pairs import (
    AUTHORS_SEED,
    Pairs,
    authors_pairs,
    factor_pairs,
    ground_truth_distances,
    random_pairs,
    varying_factors,
)
from kerasvae.analysis.published import published_distances
from kerasvae.checks import check_choice, check_flag, check_integer, check_seed


@dataclass(frozen=True, eq=False)
class DistanceRow:
    """The perceived distances of some pairs of images.

    Attributes:
        samples: one distance a pair, float64 (pairs,).
        ground_truth: how far apart the two are in their factors, float64 (pairs,): steps between the values of the one
            factor that differs; for "random", over all factors, the sum of the steps as shares of a factor's range.
            None for data without factors.
        pairs: their indices, `.indices` int64 (pairs, 2), and the draws of random parts, `.draws`, or None.
        mean: of the samples.
        std: their population standard deviation, exactly 0 when all are equal.
    """

    samples: np.ndarray
    ground_truth: np.ndarray | None
    pairs: Pairs
    mean: float = field(init=False)
    std: float = field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "std", centred_deviation(self.samples))
        mean = self.samples[0] + np.mean(self.samples - self.samples[0])
        object.__setattr__(self, "mean", float(mean))

    def __repr__(self):
        return f"<DistanceRow: mean {self.mean:.4f}, std {self.std:.4f}, {len(self.samples)} pairs>"


class PerceivedDistances(Mapping):
    """The rows of `perceived_distances`: a mapping from each factor's name, and "random", to a `DistanceRow`.

    It prints as the paper's Table 1, the factor of the largest mean first, in notebooks too.

    Attributes:
        order: names of the factors from the largest mean distance to the smallest: their importance. Equal ones are in
            the order of the data set.
        data_name, loss_name: the name given, or the class, of the data set; the class of the loss, with what a
            BoxBlurMSE was made of.
        protocol, seed: how the pairs were drawn.
        left_out: why a factor has no row: {name: reason}.
        published: {name: (mean, std)} from Table 1, where it has this data set and the loss is the mean squared error;
            or None.
    """

    def __init__(self, rows, *, data_name, loss_name, protocol, seed, left_out, published):
        self._rows = dict(rows)
        self.data_name, self.loss_name, self.protocol, self.seed = data_name, loss_name, protocol, seed
        self.left_out, self.published = dict(left_out), published

    def __getitem__(self, name):
        if name in self._rows:
            return self._rows[name]
        if name in self.left_out:
            raise KeyError(f"no distances along {name!r}: {self.left_out[name]}")
        raise KeyError(f"no distances along {name!r}: there are {', '.join(map(repr, self._rows))}")

    def __contains__(self, name):
        return name in self._rows

    def __iter__(self):
        return iter(self._rows)

    def __len__(self):
        return len(self._rows)

    @cached_property
    def order(self) -> tuple[str, ...]:
        return tuple(sorted((name for name in self if name != "random"), key=lambda name: -self[name].mean))

    @property
    def title(self) -> str:
        return f"{self.data_name}, {self.loss_name}"

    def to_json(self) -> dict:
        """As a dictionary that `json.dumps` takes, without the samples, but with the percentiles 0..100 of each row."""
        published = self.published or {}
        return {
            "data": self.data_name,
            "loss": self.loss_name,
            "protocol": self.protocol,
            "seed": self.seed,
            "pairs": len(self["random"].samples),
            "order": list(self.order),
            "left_out": self.left_out,
            "distances": {
                name: {
                    "mean": row.mean,
                    "std": row.std,
                    "percentiles": np.percentile(row.samples, range(101)).tolist(),
                    **({"published": list(published[name])} if name in published else {}),
                }
                for name, row in self.items()
            },
        }

    def save(self, folder) -> Path:
        """Write distances.json and distances.png (Figure 1) to a folder, each whole or not at all.

        Args:
            folder: made where it is missing.

        Returns:
            The folder.

        Raises:
            OSError: when it cannot be written to.
        """
        folder = check_folder(folder)
        files.check_writable(folder / "distances.json", "folder")
        figures.cumulative_distances({self.data_name: self}, path=folder / "distances.png")
        files.write_json(folder / "distances.json", self.to_json(), "folder")
        return folder

    def _table(self):
        header = ["factor", "mean", "std"]
        if self.published:
            header += ["published mean", "std", "difference"]
        rows = []
        for name in ("random", *self.order):
            row = self[name]
            cells = [name, f"{row.mean:.4f}", f"{row.std:.4f}"]
            if self.published:
                mean, std = self.published[name]
                cells += [f"{mean:.4f}", f"{std:.4f}", f"{row.mean - mean:+.4f}".replace("-0.0000", "+0.0000")]
            rows.append(cells)
        title = f"Perceived distances of {self.title}"
        if self.protocol == "authors":
            title += ", the authors' pairs"
        return title, header, rows, left_out_note(self.left_out)

    def __str__(self):
        return tables.as_text(*self._table())

    def _repr_html_(self):
        return tables.as_html(*self._table())

    def __repr__(self):
        means = ", ".join(f"{name} {self[name].mean:.4f}" for name in (*self.order, "random"))
        return f"<PerceivedDistances: {self.title}: {means}>"


def perceived_distances(
    data,
    loss,
    pairs: int = 50_000,
    seed: int = 1,
    *,
    protocol: str = "independent",
    shared_draws: bool = True,
    batch_size: int = 256,
    progress: bool = True,
    name: str | None = None,
) -> PerceivedDistances:
    """How far apart a reconstruction loss sees images that differ in one factor, for each factor, and at random.

    A VAE that can encode little learns first the factor that costs the most when it is wrong: the one of the largest
    mean distance. `result.order` is that order, before anything is trained.

    Args:
        data: a data set of `kerasvae.datasets`. Without a complete grid of factors there are random pairs only.
        loss: any `keras.losses.Loss`; the distance is `loss.call(first image, second image)` on raw float32 images in
            0..1 (not standardised, as in the paper), averaged over what it leaves of an image.
        pairs: for each factor, and at random, at least 1. Default 50 000, the paper's.
        seed: of the pairs, an integer in 0..2^32 - 1. The authors' pairs have their own, 777, whatever this one is.
        protocol: how pairs are drawn. "independent" (default): for a factor, all factors uniform, and a second,
            different value of that one, uniform too, anew for each pair; at random, two uniform indices. "authors":
            what the paper's code drew, with its random numbers: see `kerasvae.analysis.pairs.authors_pairs`. There the
            pairs of one traversal have the other factors in common, so that the means scatter more: on dSprites the
            published position y is 0.0025 above position x, and independent pairs put them level.
        shared_draws: for data with random parts: both images of a factor's pair have the same ones (True, default: they
            differ in the factor alone), or each its own (as in training). Random pairs always have their own.
        batch_size: pairs that are compared at a time, at least 1. Default 256.
        progress: show a progress bar where the standard error is a terminal. Default True.
        name: what to call the data set in tables and figures. Default: its class.

    Returns:
        A mapping from the name of each factor with more than one value, and "random", to a row with `.mean`, `.std` and
        `.samples`, float64 (pairs,). Printed, it is a table, with the published numbers where there are any.

    Raises:
        ValueError, TypeError: for arguments of another kind or out of range; a loss that does not give a value for each
            image, or a distance that is not finite.

    Example:
        >>> distances = kv.analysis.perceived_distances(kv.datasets.XYSquares(), kv.losses.MeanSquaredError())
        >>> distances["x_R"].mean, distances["x_R"].std      # 128 of 12 288 values differ, however far it moves
        (0.010416666977107525, 0.0)

    Source: "Overlooked Implications", supplement A, equations 1 and 2 and Table 1. The standard deviation is that of
    the population, as there. Random pairs may be of an image with itself, as in the authors' code; equation 2 excludes
    them.
    """
    check_data(data)
    check_loss(loss)
    pairs, seed = check_integer(pairs, "pairs", 1), check_seed(seed)
    batch_size = check_integer(batch_size, "batch_size", 1)
    check_flag(shared_draws, "shared_draws")
    check_flag(progress, "progress")
    check_name(name)
    check_choice(protocol, "protocol", ("independent", "authors"))
    if protocol == "authors":
        drawn, seed = authors_pairs(data, pairs, shared_draws), AUTHORS_SEED
    else:
        drawn = {
            factor: factor_pairs(data, column, pairs, seed, shared_draws=shared_draws)
            for factor, column in varying_factors(data).items()
        }
        drawn["random"] = random_pairs(data, pairs, seed)
    with progress_bar("perceived distances", pairs * len(drawn), progress) as advance:
        rows = measured_rows(data, loss, drawn, batch_size, advance)
    published = published_distances(data) if type(loss).__name__ == "MeanSquaredError" else None
    return PerceivedDistances(
        rows,
        data_name=type(data).__name__ if name is None else name,
        loss_name=describe(loss),
        protocol=protocol,
        seed=seed,
        left_out=left_out(data),
        published=published,
    )


def measured_rows(data, loss, drawn: dict[str, Pairs], batch_size: int, advance) -> dict[str, DistanceRow]:
    """The row of each set of pairs: one for each factor, by name, and "random"."""
    columns = varying_factors(data)
    return {
        name: DistanceRow(
            measure(data, [loss], pairs, batch_size, advance)[0],
            ground_truth_distances(data, pairs, columns.get(name)),
            pairs,
        )
        for name, pairs in drawn.items()
    }


def left_out(data) -> dict[str, str]:
    """Factors whose traversals cannot be drawn, and why."""
    reason = "it has one value" if data.complete else "the data set has no complete grid of factors"
    return {name: reason for name in data.factor_names if name not in varying_factors(data)}


def left_out_note(names: dict[str, str]) -> str:
    return "\n".join(f"left out: {name}, {reason}" for name, reason in names.items())
