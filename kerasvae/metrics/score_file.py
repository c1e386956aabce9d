"""Scores of codes that are there already: arrays, or a file of them. Neither Keras nor a backend is needed."""

import json
import math
import os
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import ArrayLike

from kerasvae.archives import read_npz
from kerasvae.files import why_no_file
from kerasvae.metrics.checks import check_posterior, check_sample, check_test, unfit_logvar
from kerasvae.metrics.evaluate import (
    NO_MODELS,
    check_options,
    compute_all,
    describe,
    possible,
    resolve,
    shown,
    versions,
)
from kerasvae.metrics.evaluation import Evaluation
from kerasvae.metrics.material import Material
from kerasvae.metrics.score import CHOSEN_FACTORS, MODELS, POSTERIORS, Pair

REQUIRED, OPTIONAL = ("codes", "factors"), ("logvar", "test_codes", "test_factors")


def evaluate_codes(
    codes: ArrayLike,
    factors: ArrayLike,
    scores: str | Iterable | Mapping = "all",
    *,
    test: Pair | None = None,
    logvar: ArrayLike | None = None,
    preset: str = "full",
    seed: int = 1,
    bootstrap: int = 0,
    jobs: int | None = None,
    progress: bool | None = None,
) -> Evaluation:
    """Scores of codes, whoever made them.

    Scores of codes and factors get all rows. Those that choose their own factor values can be computed where the
    rows are a complete grid, each combination of the factors' values once, in any order; those of posteriors where
    there are log-variances.

    Args:
        codes: finite real numbers, (samples, latents); for posteriors their means.
        factors: integers, (samples, factors).
        scores: as in `kerasvae.metrics.evaluate`.
        test: pair (codes, factors) that predictors are tested on. Default None: each holds out a third.
        logvar: log-variances of the posteriors, (samples, latents). Default: None.
        preset: `"full"` (default), or `"fast"`: the sizes of `kerasvae.metrics.evaluate`, where there are more rows the
            first. Shuffle rows that come in an order.
        seed, bootstrap, jobs, progress: as in `kerasvae.metrics.evaluate`.

    Returns:
        Evaluation, as `kerasvae.metrics.evaluate`.

    Raises:
        TypeError, ValueError: as `kerasvae.metrics.evaluate`, and for arrays of wrong shape or type.

    Example:

    >>> factors = np.stack(np.unravel_index(np.arange(64), (4, 4, 4)), axis=1)
    >>> result = evaluate_codes(factors.astype(float), factors, ["irs", "factor_vae_score", "flatness"])
    >>> [float(score) for score in result.values()]
    [1.0, 1.0, 1.0]
    """
    options = check_options(preset, seed, bootstrap, jobs)
    tasks, named = resolve(scores), not isinstance(scores, str)
    codes, factors, _ = check_sample(codes, factors)
    posterior, no_posterior = _posterior(codes, logvar, factors)
    test = None if test is None else check_test(test, codes, factors)
    sizes, order = _grid(factors)

    def reason_of(task):
        if task.info.needs == MODELS:
            return NO_MODELS
        if task.info.needs == POSTERIORS and posterior is None:
            return no_posterior
        if task.info.needs == CHOSEN_FACTORS and order is None:
            return "it chooses factor values itself: the rows must be each combination of the factors' values once"
        return None

    def generator():
        return (lambda chosen: codes[order[np.ravel_multi_index(tuple(chosen.T), sizes)]]), sizes, None

    tasks, left_out = possible(tasks, named, reason_of)
    material = Material((codes, factors), test, posterior, whole=order is not None, generator=generator)
    # All rows there are, but for a preset that asks for few.
    whole = {"train": len(codes), "test": None if test is None else len(test[0])}
    chosen = {task.name: task.sizes(preset) for task in tasks}
    for task in tasks:
        if preset != "fast" and task.info.needs != CHOSEN_FACTORS:
            chosen[task.name] |= whole
    with shown(progress, len(tasks)) as (_, started):
        results = compute_all(tasks, material, chosen, named, left_out, started, **options)
    settings = {
        "data": f"codes {codes.shape}, factors {factors.shape}" + ("" if order is None else ", a complete grid"),
        "preset": preset,
        "seed": seed,
        "bootstrap": bootstrap,
        "latents": codes.shape[1],
        "sizes": {task.name: describe(task, chosen[task.name], material) for task in tasks if task.name in results},
        "versions": versions(),
    }
    return Evaluation(results, settings, left_out)


def _posterior(codes, logvar, factors):
    """Posteriors as scores take them, or None and why there are none."""
    if logvar is None:
        return None, "there are no log-variances"
    if np.shape(logvar) == codes.shape and np.asarray(logvar).dtype.kind == "f" and (unfit := unfit_logvar(logvar)):
        return None, f"logvar {unfit}"
    return check_posterior(codes, logvar, factors)[:3], None


def score_file(path: str | os.PathLike, scores: str | Iterable | Mapping = "all", **options) -> Evaluation:
    """Scores of the codes in an npz file.

    Args:
        path: file of the arrays `codes` (samples, latents) and `factors` (samples, factors), and if you like
            `test_codes` and `test_factors`, `logvar` (samples, latents). Others are ignored.
        scores, options: as in `evaluate_codes`.

    Returns:
        Evaluation.

    Raises:
        OSError: when there is no such file. ValueError: when it is no npz file or lacks an array. TypeError,
            ValueError: as `evaluate_codes`.

    Example:

    ```python
    np.savez("codes.npz", codes=codes, factors=factors)
    print(kv.metrics.score_file("codes.npz", bootstrap=100))
    ```
    """
    arrays = read_arrays(path)
    test = (arrays["test_codes"], arrays["test_factors"]) if "test_codes" in arrays else None
    return evaluate_codes(arrays["codes"], arrays["factors"], scores, test=test, logvar=arrays.get("logvar"), **options)


def read_arrays(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The arrays of a file for `score_file`, by name; raises as it does."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path must be an npz file, a str or Path, got {type(path).__name__}")
    if reason := why_no_file(path):
        raise FileNotFoundError(f"path must be an npz file, got {str(path)!r}, which is no file ({reason})")
    try:
        arrays, found = read_npz(path, (*REQUIRED, *OPTIONAL))
    except ValueError as error:
        raise ValueError(f"path must be an npz file of arrays of numbers, got {str(path)!r}: {error}") from error
    if missing := [name for name in REQUIRED if name not in arrays]:
        raise ValueError(
            f"path must hold the arrays codes and factors, {str(path)!r} lacks {missing[0]!r}, has {found}"
        )
    if ("test_codes" in arrays) != ("test_factors" in arrays):
        raise ValueError(f"path must hold both test_codes and test_factors or neither, {str(path)!r} has one")
    return arrays


def score_and_print(
    *, path: str | os.PathLike, scores: str | Iterable[str] = "all", as_json: bool = False, **options
) -> Evaluation:
    """What `kerasvae score CODES.npz` does: prints the scores of the file, as a table or as JSON, and returns them."""
    result = score_file(path, scores if scores == "all" else list(scores), **options)
    if as_json:
        print(json.dumps(result.to_json(), indent=2, allow_nan=False))
    else:
        from rich.console import Console

        Console().print(result)
    return result


def _grid(factors):
    """Sizes of the factors and the row of each point of their grid in its order, or None where it is not complete."""
    labels = np.stack([np.unique(column, return_inverse=True)[1] for column in factors.T], axis=1)
    sizes = tuple((labels.max(axis=0) + 1).tolist())
    if math.prod(sizes) != len(factors):
        return sizes, None
    points = np.ravel_multi_index(tuple(labels.T), sizes)
    order = np.argsort(points, kind="stable")
    return sizes, order if (points[order] == np.arange(len(points))).all() else None
