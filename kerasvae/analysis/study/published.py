"""The published tables of the two studies, to stand beside anybody's own.

Two marks, column `provenance`: "printed", read off the document; "reported", known of the paper at second hand, no
target of any test.
"""

from __future__ import annotations

from kerasvae.analysis.study.frame import Analysis, Frame, hundredfold
from kerasvae.analysis.study.table import plain_dataset

SLIDES, POSTER = "locatello2019-slides", "dubois2019-poster"
STUDIES = {
    SLIDES: 'Slides on Locatello et al. 2019, "Challenging Common Assumptions in the Unsupervised Learning of '
    'Disentangled Representations" (arXiv 1811.12359)',
    POSTER: 'Poster "Understanding Disentangling in VAE" 2019, Table 1: single runs on dSprites',
}
# The poster's losses were summed over 738 batches of 1000 images and divided by the number of images.
POSTER_UNIT = 737_280 / 738
"""Nats per image in one unit of the poster's Table 1 (999.02); its variance of KL is in squares of that."""

SCORES = ("beta_vae_score", "factor_vae_score", "mig", "dci.disentanglement", "modularity", "sap")
DATASETS = ("dsprites", "color_dsprites", "noisy_dsprites", "scream_dsprites", "smallnorb", "cars3d", "shapes3d")
_METRIC_CORRELATIONS = (
    (100, 80, 44, 41, 46, 37),
    (80, 100, 49, 52, 25, 38),
    (44, 49, 100, 76, 6, 42),
    (41, 52, 76, 100, -8, 38),
    (46, 25, 6, -8, 100, 13),
    (37, 38, 42, 38, 13, 100),
)
_TRANSFER = (
    (100, 95, 65, 65, 34, 64, 46),
    (95, 100, 61, 60, 21, 63, 47),
    (65, 61, 100, 68, 17, 64, 59),
    (65, 60, 68, 100, 36, 93, 69),
    (34, 21, 17, 36, 100, 21, -9),
    (64, 63, 64, 93, 21, 100, 85),
    (46, 47, 59, 69, -9, 85, 100),
)
TASKS = (
    *(f"downstream.{task}.{size}" for task in ("lr", "gbt") for size in (10, 100, 1000, 10000)),
    "downstream.lr.efficiency.100.10000",
    "downstream.gbt.efficiency.100.10000",
)
_DOWNSTREAM = (
    (18, 65, 28, 28, 67, 78, 75, 76, 50, 50),
    (13, 49, 13, 12, 58, 73, 71, 71, 43, 46),
    (18, 63, 20, -1, 71, 86, 86, 87, 62, 47),
    (19, 65, 18, 4, 75, 94, 94, 94, 62, 54),
    (-3, -9, 15, 18, -6, -17, -19, -13, -19, -14),
    (12, 64, 20, 12, 71, 77, 74, 75, 56, 49),
)
_ODDS = (
    ("same", "same", 0.807, "printed"),
    ("other", "same", 0.593, "printed"),
    ("other", "other", 0.549, "printed"),
    ("same", "other", 0.620, "reported"),
)
_SHARES = (("method", 0.37), ("method and strength", 0.59), ("seed", 0.41))
# Method, strength and its name, then the columns as printed. The second β-VAE aims at a capacity of 25 nats.
_POSTER = (
    ("vae", "VAE", "beta", 1, 0.20, 7.0e-4, 0.025, -0.001, 0.034, 1.5e-5),
    ("beta_vae", "β-VAE₁ (β = 4)", "beta", 4, 0.65, 3.3e-2, 0.025, -0.015, 0.086, 1.1e-6),
    ("beta_vae", "β-VAE₁ (β = 50)", "beta", 50, 0.08, 4.0e-4, 0.003, -0.140, 0.316, 3.6e-7),
    ("annealed_vae", "β-VAE₂", "c_max", 25, 0.12, 2.0e-4, 0.025, -0.096, 0.108, 1.5e-5),
    ("factor_vae", "FactorVAE", "gamma", None, 0.87, 3.3e-2, 0.028, -0.036, 0.064, 5.7e-6),
)
POSTER_COLUMNS = ("aam", "mmig", "loss.kl", "loss.reconstruction", "loss.total", "unsup.var_dim_kl")
POSTER_NOTICES = (
    f"Losses are in units of {POSTER_UNIT:.2f} nats per image, the variance of KL in squares of that; log-likelihood "
    "is minus the reconstruction error.",
    "Single runs. AAM and MMIG come of an estimator that mixes samples and latents: no target.",
    "Rows that contradict themselves: VAE, KL + error = 26 nats and not its loss of 34; β = 4, error + 4 KL = 115 nats "
    "and not 86; VAE's variance of KL would need about 3 active latents, where its figure shows 10.",
)


def published_tables(study: str) -> Analysis:
    """All tables of a published study.

    Args:
        study: "locatello2019-slides" (metric_correlations, selection_odds, transfer, downstream_correlations,
            variance_shares) or "dubois2019-poster" (table_1).

    Returns:
        Analysis: {name: Frame}; correlations and shares are in -1..1.

    Raises:
        ValueError: another study.
    """
    check_study(study)
    if study == POSTER:
        return Analysis(STUDIES[study], {"table_1": _poster()})
    frames = {
        "metric_correlations": _matrix(
            "Correlation of scores (Spearman × 100), Noisy-dSprites",
            ("metric_a", SCORES), ("metric_b", SCORES), _METRIC_CORRELATIONS, {"dataset": "noisy_dsprites"},
        ),
        "selection_odds": Frame.from_rows(
            [dict(zip(("data", "metric", "estimate", "provenance"), row, strict=True)) for row in _ODDS],
            title="Probability of beating random selection, %",
            formats={"estimate": lambda value: f"{100 * value:.1f}"},
        ),
        "transfer": _matrix(
            "Transfer between data sets (Spearman of settings × 100), DCI disentanglement",
            ("dataset_a", DATASETS), ("dataset_b", DATASETS), _TRANSFER, {"metric": "dci.disentanglement"},
        ),
        "downstream_correlations": _matrix(
            "Correlation of scores with downstream tasks (Spearman × 100), dSprites",
            ("metric", SCORES), ("task", TASKS), _DOWNSTREAM, {"dataset": "dsprites"},
        ),
        "variance_shares": Frame.from_rows(
            [{"source": name, "estimate": share, "provenance": "reported"} for name, share in _SHARES],
            title="Share of variance, mean over data sets and scores, %",
            formats={"estimate": hundredfold},
        ),
    }  # fmt: skip
    return Analysis(STUDIES[study], frames)


def published_table(study: str, table: str) -> Frame:
    """One table of `published_tables`; KeyError for an unknown one."""
    return published_tables(study)[table]


def published_values(study: str, table: str, keys) -> dict:
    """A published table as a look-up: {(values of `keys`): estimate}, data sets as `plain_dataset` writes them.

    Args:
        study, table: of `published_table`; a study that has no such table gives an empty look-up.
        keys: names of columns.
    """
    frames = published_tables(study)
    if table not in frames:
        return {}
    return {
        tuple(plain_dataset(row[key]) if key.startswith("dataset") else row[key] for key in keys): row["estimate"]
        for row in frames[table].rows()
    }


def runs_of(study: str) -> dict:
    """A published study as columns of runs, in nats; ValueError for one that publishes none."""
    check_study(study)
    if study != POSTER:
        raise ValueError(f"source: {study!r} has tables, but no runs: see kerasvae.analysis.study.published_tables")
    units = {"loss.kl": POSTER_UNIT, "loss.reconstruction": -POSTER_UNIT, "loss.total": POSTER_UNIT,
             "unsup.var_dim_kl": POSTER_UNIT**2}  # fmt: skip
    columns = {
        "study": [study] * len(_POSTER),
        "dataset": ["dsprites"] * len(_POSTER),
        "method": [row[0] for row in _POSTER],
        "strength": [row[3] for row in _POSTER],
        "strength_name": [row[2] for row in _POSTER],
        "seed": [1234] * len(_POSTER),
    }
    return columns | {
        name: [row[place] * units.get(name, 1) for row in _POSTER] for place, name in enumerate(POSTER_COLUMNS, start=4)
    }


def in_poster_units(metric: str, value: float) -> float:
    """A loss in nats per image (the variance of KL in nats²) in the poster's units; other numbers as they are."""
    if metric == "unsup.var_dim_kl":
        return value / POSTER_UNIT**2
    return value / POSTER_UNIT if metric.startswith("loss.") else value


def check_study(study, argument: str = "study") -> None:
    """ValueError unless `study` names a published one."""
    if not isinstance(study, str) or study not in STUDIES:
        raise ValueError(f"{argument} must be one of {', '.join(map(repr, STUDIES))}, got {study!r}")


def _matrix(title, rows, columns, values, constants):
    (row_name, row_labels), (column_name, column_labels) = rows, columns
    lines = [
        {**constants, row_name: row, column_name: column, "estimate": value / 100, "provenance": "printed"}
        for row, line in zip(row_labels, values, strict=True)
        for column, value in zip(column_labels, line, strict=True)
    ]
    return Frame.from_rows(lines, title=title, formats={"estimate": hundredfold})


def _poster():
    names = ("method", "model", "strength_name", "strength", "aam", "mmig", "kl", "log_likelihood", "total_loss",
             "var_dim_kl")  # fmt: skip
    rows = [dict(zip(names, row, strict=True)) | {"provenance": "printed"} for row in _POSTER]
    return Frame.from_rows(rows, title="Table 1, as printed", notices=POSTER_NOTICES)
