"""Mean codes over a grid of two factors of a data set."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping

import numpy as np

from kerasvae.checks import check_integer, shown
from kerasvae.plots.checks import check_data, check_images_of, check_model

_PAIRS = (("x", "y"), ("position_x", "position_y"))
# Images held at once.
_CHUNK = 4096


def codes_over_factors(
    model, data, factors=None, *, at=None, average=None, seed: int = 0, progress: bool | None = None
):
    """Mean codes of the images at each value of two factors, the other factors fixed or averaged over.

    Args:
        model, data: as for all figures (`kerasvae.plots`).
        factors: names of two factors of two values or more: the one that runs along the columns, and the one that runs
            along the rows. Default None: x and y, or position_x and position_y.
        at: {name of another factor: its value, 0..size - 1}. Default None: none.
        average: over how many random combinations of the factors that `at` leaves open codes are averaged, at least
            1, or "all"; the same combinations at every place. Default None: these factors are at their middle value,
            size // 2.
        seed: of the choice of combinations. Default 0.
        progress: show it on the terminal, or not. Default None: when there is one and more than 4096 images to encode.

    Returns:
        Mean and standard deviation of the codes over the combinations (0 for a single one), both float32 (values of
        the second factor, values of the first, latents): like an image, the first factor grows to the right and the
        second downwards.

    Raises:
        ValueError: for factors, values or combinations that `data` lacks, or data that are no complete grid.

    Example:
        >>> mean, _ = codes_over_factors(model, data, at={"shape": 0})
        >>> mean.shape
        (32, 32, 10)
    """
    check_model(model)
    factors = check_factors(data, factors)
    combinations = fixed_factors(data, factors, at, average, seed)
    check_images_of(data, model)
    if progress is not None and not isinstance(progress, bool):
        raise ValueError(f"progress must be True, False or None, got {shown(progress)}")
    places = [data.factor_names.index(name) for name in factors]
    right, down = (data.factor_sizes[place] for place in places)
    grid = np.stack(np.meshgrid(np.arange(right), np.arange(down)), axis=-1).reshape(-1, 2)
    at_once = max(1, _CHUNK // len(grid))
    total = squares = 0.0
    first = None
    with _progress(len(combinations) * len(grid), progress) as advance:
        for start in range(0, len(combinations), at_once):
            part = np.repeat(combinations[start : start + at_once], len(grid), axis=0)
            part[:, places] = np.tile(grid, (len(part) // len(grid), 1))
            codes = model.encode(data.images(data.index(part))).astype("float64").reshape(-1, len(grid), model.latents)
            # Less the first, so that the difference of two large sums does not cancel.
            first = codes[0] if first is None else first
            total, squares = total + (codes - first).sum(axis=0), squares + ((codes - first) ** 2).sum(axis=0)
            advance(len(part))
    mean = total / len(combinations)
    spread = np.sqrt(np.maximum(squares / len(combinations) - mean**2, 0.0))
    return tuple(values.reshape(down, right, -1).astype("float32") for values in (first + mean, spread))


def check_factors(data, factors) -> tuple[str, str]:
    """Names of two factors of a complete grid, x and y unless given; ValueError otherwise."""
    check_data(data, "a map of codes over two factors")
    names = tuple(data.factor_names)
    sizes = dict(zip(names, data.factor_sizes, strict=True))
    if factors is None:
        factors = next((pair for pair in _PAIRS if set(pair) <= set(names)), None)
        if factors is None:
            raise ValueError(f"factors must name two of {', '.join(names)}: {type(data).__name__} has no x and y")
    given, factors = factors, tuple(factors) if isinstance(factors, list | tuple) else (factors,)
    if len(factors) != 2 or factors[0] == factors[1] or not all(factor in names for factor in factors):
        raise ValueError(f"factors must name two of {', '.join(names)}, got {shown(given)}")
    for name in factors:
        if sizes[name] < 2:
            raise ValueError(f"factors must have two values or more, {name} has {sizes[name]}")
    return factors


def fixed_factors(data, factors, at, average, seed) -> np.ndarray:
    """Combinations of the values of all factors, integer (combinations, factors); those of `factors` are 0."""
    check_integer(seed, "seed", 0)
    if at is not None and not isinstance(at, Mapping):
        raise ValueError(f"at must be {{name of a factor: its value}}, got {shown(at)}")
    names = tuple(data.factor_names)
    sizes = dict(zip(names, data.factor_sizes, strict=True))
    open_, at = [name for name in names if name not in factors], dict(at or {})
    for name, value in at.items():
        if name not in open_:
            raise ValueError(f"at must name factors other than {factors[0]} and {factors[1]}, {open_}, got {name!r}")
        check_integer(value, f"at: {name}", 0, sizes[name] - 1)
        open_.remove(name)
    if isinstance(average, str) and average != "all":
        raise ValueError(f'average must be None, "all" or an integer, at least 1, got {average!r}')
    base = np.array([at.get(name, 0 if name in factors else sizes[name] // 2) for name in names])
    if average is None:
        return base[None]
    open_sizes = [sizes[name] for name in open_]
    count = math.prod(open_sizes)
    chosen = np.arange(count)
    if average != "all" and check_integer(average, "average", 1) < count:
        chosen = np.sort(np.random.default_rng(seed).choice(count, size=average, replace=False))
    combinations = np.tile(base, (len(chosen), 1))
    if open_:
        combinations[:, [names.index(name) for name in open_]] = np.stack(np.unravel_index(chosen, open_sizes), axis=1)
    return combinations


def what_is_fixed(data, factors, at, average) -> str:
    """In words, what the other factors are."""
    at = dict(at or {})
    others = [pair for pair in zip(data.factor_names, data.factor_sizes, strict=True) if pair[0] not in factors]
    fixed = [f"{name} {at.get(name, size // 2)}" for name, size in others if average is None or name in at]
    averaged = [name for name, _ in others if average is not None and name not in at]
    return "; ".join(
        words for words in (", ".join(fixed), f"averaged over {', '.join(averaged)}" if averaged else "") if words
    )


@contextlib.contextmanager
def _progress(images: int, progress: bool | None):
    """A function to call with the number of images encoded."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    shown = images > _CHUNK and console.is_terminal if progress is None else progress
    with Progress(console=console, transient=True, disable=not shown) as bar:
        task = bar.add_task("images encoded", total=images)
        yield lambda encoded: bar.update(task, advance=encoded)
