"""Perceived distances: how far apart a reconstruction loss sees two images that differ in one factor, or at random."""

from __future__ import annotations

import contextlib
import os
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import keras
import numpy as np
from keras import ops
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from kerasvae import files, tables
from kerasvae.checks import check_choice, check_flag, check_integer, check_seed
from kerasvae.losses import BoxBlurMSE
from kerasvae.perception import figures
from kerasvae.perception.pairs import (
    AUTHORS_SEED,
    Pairs,
    authors_pairs,
    factor_pairs,
    ground_truth_distances,
    random_pairs,
    varying_factors,
)

FACTOR_IMPORTANCE = {
    "Cars3D": {
        "random": (0.0519, 0.0188),
        "azimuth": (0.0355, 0.0185),
        "object": (0.0349, 0.0176),
        "elevation": (0.0174, 0.0100),
    },
    "Shapes3D": {
        "random": (0.2432, 0.0918),
        "wall_hue": (0.1122, 0.0661),
        "floor_hue": (0.1086, 0.0623),
        "object_hue": (0.0416, 0.0292),
        "shape": (0.0207, 0.0161),
        "scale": (0.0182, 0.0153),
        "orientation": (0.0116, 0.0079),
    },
    "SmallNORB": {
        "random": (0.0535, 0.0529),
        "lighting": (0.0531, 0.0563),
        "category": (0.0113, 0.0066),
        "azimuth": (0.0090, 0.0071),
        "instance": (0.0068, 0.0048),
        "elevation": (0.0034, 0.0030),
    },
    "DSprites": {
        "random": (0.0754, 0.0289),
        "position_y": (0.0584, 0.0378),
        "position_x": (0.0559, 0.0363),
        "scale": (0.0250, 0.0148),
        "shape": (0.0214, 0.0095),
        "orientation": (0.0172, 0.0106),
    },
    "XYSquares": {
        "random": (0.0308, 0.0022),
        "y_R": (0.0104, 0.0000),
        "y_G": (0.0104, 0.0000),
        "y_B": (0.0104, 0.0000),
        "x_R": (0.0104, 0.0000),
        "x_G": (0.0104, 0.0000),
        "x_B": (0.0104, 0.0000),
    },
}
"""{class of the data set: {factor, or "random": (mean, population standard deviation)}}, of the mean squared error on
images in 0..1. The same as `assets/published_factor_importance.csv`. In the text that is extracted from the paper's PDF
the names are shifted against the numbers; here each stands with its own, as in the comments of the authors' code."""


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
            different value of that one, uniform too, for each pair; at random, two uniform indices. "authors": what the
            paper's code drew, with its random numbers: see `kerasvae.perception.pairs.authors_pairs`. There the pairs
            of one traversal have the other factors in common, so that the means scatter more: on dSprites the published
            position y is 0.0025 above position x, and independent pairs put them level.
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
        >>> distances = kv.perception.perceived_distances(kv.datasets.XYSquares(), kv.losses.MeanSquaredError())
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


def published_distances(data) -> dict[str, tuple[float, float]] | None:
    """The published mean and standard deviation for each factor of a data set, and "random".

    Args:
        data: a ground-truth data set.

    Returns:
        {name: (mean, std)}; None for a data set that Table 1 does not have: another class, XYSquares with other
        arguments than the default, or SmallNORB other than its training half with five factors.
    """
    table = FACTOR_IMPORTANCE.get(type(data).__name__)
    if table is None or {*data.factor_names, "random"} != set(table) or tuple(data.image_shape[:2]) != (64, 64):
        return None
    if type(data).__name__ == "XYSquares":
        arguments = data.grid_spacing, data.grid_size, data.square_size, data.rgb
        return dict(table) if arguments == (8, 8, 8, True) else None
    if type(data).__name__ == "SmallNORB" and data.split != "train":
        return None
    return dict(table)


def pair_distances(data, loss, first, second, *, batch_size: int = 256, progress: bool = True) -> np.ndarray:
    """What a reconstruction loss sees between given pairs of images.

    Args:
        data: a data set of `kerasvae.datasets`, or anything with its interface.
        loss: a `keras.losses.Loss`; the distance is `loss.call(first image, second image)` on raw float32 images in
            0..1, averaged over what it leaves of an image.
        first, second: indices of the images, integers (n,) in 0..len(data) - 1. In data with random parts an image's
            draw is its index.
        batch_size: pairs that are compared at a time, at least 1. Default 256.
        progress: show a progress bar where the standard error is a terminal. Default True.

    Returns:
        float64 (n,).

    Raises:
        ValueError: for arguments of another kind, a loss that does not give a value for each image, or a distance that
            is not finite.

    Example:
        >>> data = XYSquares(num_squares=1)
        >>> pair_distances(data, MeanSquaredError(), [0, 0], [1, 7])    # one step in y, and seven
        array([0.01041667, 0.01041667])
    """
    check_data(data)
    check_loss(loss)
    batch_size = check_integer(batch_size, "batch_size", 1)
    check_flag(progress, "progress")
    first, second = _indices(data, "first", first), _indices(data, "second", second)
    if first.shape != second.shape:
        raise ValueError(f"first and second must hold as many indices, got {len(first)} and {len(second)}")
    pairs = Pairs(np.stack([first, second], axis=1))
    with progress_bar("distances", len(first), progress) as advance:
        return measure(data, [loss], pairs, batch_size, advance)[0]


def describe(loss) -> str:
    """What to call a loss in a table."""
    if isinstance(loss, BoxBlurMSE):
        weight = "" if loss.pixel_weight == 1 else f", pixel_weight={loss.pixel_weight:g}"
        return f"{type(loss).__name__}(radius={loss.radius}, weight={loss.weight:g}{weight})"
    return type(loss).__name__


def check_data(data) -> None:
    """ValueError unless `data` is a data set with images."""
    wanted = ("images", "factor_names", "factor_sizes", "complete")
    if isinstance(data, type) or not all(hasattr(data, name) for name in wanted):
        given = (
            f"the class {data.__name__}, to be called"
            if isinstance(data, type)
            else f"{type(data).__name__}: {reprlib.repr(data)}"
        )
        raise ValueError(f"data must be a data set such as kerasvae.datasets.XYSquares(), got {given}")
    if "random" in data.factor_names:
        raise ValueError('data: "random" stands for random pairs here and cannot be the name of a factor; rename it')
    if len(data) == 0:
        raise ValueError(f"data must hold at least one image, got {data!r}")


def check_loss(loss) -> None:
    """ValueError unless `loss` is a `keras.losses.Loss` that compares images with images."""
    if not isinstance(loss, keras.losses.Loss):
        raise ValueError(
            f"loss must be a keras.losses.Loss such as kerasvae.losses.MeanSquaredError(), got {type(loss).__name__}"
        )
    if hasattr(loss, "expected_image"):
        raise ValueError(
            f"loss must compare two images, and {type(loss).__name__} compares an image with the parameters of a "
            "distribution (logits); take keras.losses.BinaryCrossentropy(), or a loss of pixels"
        )


def check_name(name) -> None:
    """ValueError unless it is what a data set can be called, or None."""
    if name is not None and not isinstance(name, str):
        raise ValueError(f"name must be a text, or None, got {name!r}")


def check_folder(folder) -> Path:
    """A path; ValueError for an empty text, or what is none."""
    if not isinstance(folder, str | os.PathLike) or not str(folder).strip():
        raise ValueError(f"folder must be the path of a folder, got {reprlib.repr(folder)}")
    return Path(folder)


def measure(data, losses, pairs: Pairs, batch_size: int, advance) -> np.ndarray:
    """The distances that some losses see between the same pairs, float64 (losses, n).

    Args:
        data, batch_size: as in `pair_distances`.
        losses: some `keras.losses.Loss`.
        pairs: of the data set's images.
        advance: function that takes the number of pairs done.
    """
    keys = pairs.indices if pairs.draws is None else np.concatenate([pairs.indices, pairs.draws], axis=1)
    # Small data sets repeat pairs, each of which is measured once; sorted, the others are neighbours in a file.
    distinct, inverse = np.unique(keys, axis=0, return_inverse=True)
    values, done = np.empty((len(losses), len(distinct))), 0
    for start in range(0, len(distinct), batch_size):
        batch = distinct[start : start + batch_size]
        count = len(batch)
        if start and count < batch_size:
            # All batches of one shape, for backends that compile for each.
            batch = np.concatenate([batch, batch[-1:].repeat(batch_size - count, axis=0)])
        images = _images(data, batch)
        for row, loss in enumerate(losses):
            values[row, start : start + count] = _of_each_image(loss, *images)[:count]
        after = len(keys) * (start + count) // len(distinct)
        advance(after - done)
        done = after
    return values[:, inverse.reshape(-1)]


def _images(data, batch):
    """The two images of each pair as float32 0..1, each image loaded once."""
    wanted = np.concatenate([batch[:, 0::2], batch[:, 1::2]])
    distinct, inverse = np.unique(wanted, axis=0, return_inverse=True)
    loaded = data.images(distinct[:, 0], *distinct.T[1:])
    # The backend divides on all cores, and NumPy moves bytes instead of floats.
    return [
        ops.divide(ops.cast(ops.convert_to_tensor(loaded[part]), "float32"), 255.0) for part in inverse.reshape(2, -1)
    ]


def _of_each_image(loss, first, second) -> np.ndarray:
    values = ops.convert_to_numpy(loss.call(first, second))
    if not values.shape or values.shape[0] != len(first):
        raise ValueError(
            f"loss: the call of {type(loss).__name__} must give a value for each image of a batch (or for each of its "
            f"elements), got shape {values.shape} for {len(first)} images"
        )
    values = values.reshape(len(values), -1).astype("float64").mean(axis=1)
    if not np.isfinite(values).all():
        raise ValueError(f"loss: {type(loss).__name__} gives distances that are not finite on images in 0..1")
    return values


def _indices(data, argument: str, indices) -> np.ndarray:
    try:
        return data.check_indices(indices)
    except ValueError as error:
        raise ValueError(f"{argument}: {error}") from error


@contextlib.contextmanager
def progress_bar(what: str, total: int, shown: bool):
    """Yield a function that takes how much more is done of `total`; the bar appears where stderr is a terminal."""
    console = Console(stderr=True)
    if not (shown and console.is_terminal):
        yield lambda count: None
        return
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda count: bar.advance(task, count)


def centred_deviation(samples) -> float:
    """The population standard deviation, exactly 0 for equal samples, which rounding of their mean would make 1e-18."""
    return float(np.std(np.asarray(samples) - samples[0]))
