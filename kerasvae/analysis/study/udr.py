"""UDR of the runs of a table, from their codes of the same images."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import numpy as np

from kerasvae.analysis.study.bootstrap import FEWEST_SEEDS
from kerasvae.analysis.study.table import ResultsTable
from kerasvae.checks import check_integer, check_seed
from kerasvae.metrics.udr import udr

AMONG = {"setting": "udr", "all": "udr@all"}


def add_udr(
    table: ResultsTable,
    codes: Mapping,
    kl: Mapping | None = None,
    *,
    among: str = "setting",
    partners: int | None = None,
    seed: int = 1,
    progress: bool | None = None,
    **options,
) -> ResultsTable:
    """The table with unsupervised disentanglement ranking, which needs codes but no labels.

    Every run is compared with others of its data set: those of the same setting, which differ in their seed alone, or
    all. Runs that are not ok, have no codes, or fewer than 2 others to compare with have none.

    Args:
        table: of `kerasvae.analysis.study.load`.
        codes: {run_id: mean codes, (samples, latents)} of the same images, some thousand, in the same order for all
            runs of a data set. Any mapping: one that reads from disk has the runs of one group in memory at a time.
        kl: {run_id: mean Kullback-Leibler divergence of each latent to its prior in nats, (latents,)}; latents that do
            not exceed 0.01 are left out. Default None: the columns `kl.z0`, `kl.z1`, ... where every run with codes has
            them, else only constant latents are left out.
        among: "setting" (default) adds `udr`; "all" adds `udr@all`: all runs of the data set, whose number of pairs
            grows with the square of the runs.
        partners: how many others each run is at least compared with: runs are divided at random into groups. Default
            None: with all. 5 are said to suffice.
        seed: of that division, 0..2^32-1. Default 1.
        progress: whether to show it on the terminal. Default None: where there is one.
        **options: of `kerasvae.metrics.udr`: method, penalty, threshold, direction, weighting, jobs.

    Raises:
        TypeError: `codes` or `kl` is no mapping, or an option of another type.
        ValueError: no run of the table has codes, run ids that are of several studies, codes or divergences that do not
            fit, or an option that is not allowed.

    Source: Duan et al. 2020, "Unsupervised Model Selection for Variational Disentangled Representation Learning",
    section 4, which calls the comparison with all UDR-A2A.
    """
    if among not in AMONG:
        raise ValueError(f"among must be {' or '.join(map(repr, AMONG))}, got {among!r}")
    if partners is not None:
        partners = check_integer(partners, "partners", 2)
    check_seed(seed)
    for name, given in (("codes", codes), ("kl", kl)):
        if not isinstance(given, Mapping) and not (name == "kl" and given is None):
            raise TypeError(f"{name} must be a mapping from run_id, got {type(given).__name__}")
    usable = np.array([run_id in codes for run_id in table.run_id.tolist()], bool) & table.is_ok
    if not usable.any():
        raise ValueError("codes must have the run_id of runs that are ok: the table has none of them")
    chosen = table.run_id[usable].tolist()
    if len(set(chosen)) < len(chosen):
        raise ValueError("run_id must tell runs apart: some are in several studies; select one study first")
    notices, divergences = _divergences(table, usable, codes, kl)
    groups, alone = _groups(table, usable, among, partners, seed)
    missing = int((table.is_ok & ~usable).sum())
    if missing:
        notices.append(f"{missing} runs have no codes, so no UDR.")
    if alone:
        notices.append(f"{alone} runs have fewer than 2 others to be compared with, so no UDR.")
    values = np.full(len(table), np.nan)
    with _shown(progress, len(groups)) as advance:
        for group in groups:
            read = [np.asarray(codes[run_id]) for run_id in table.run_id[group].tolist()]
            try:
                scores = udr(read, None if divergences is None else divergences(group, read), **options)
            except (TypeError, ValueError) as error:
                told = f"{table.dataset[group[0]]}, {table.settings[table.setting_code[group[0]]].label}"
                ids = ", ".join(table.run_id[group[:5]].tolist())
                raise type(error)(f"UDR of {told} (run_id {ids}): {error}") from error
            values[group] = [float(score) for score in scores]
            advance()
    return table.with_metrics({AMONG[among]: values}, notices=notices)


def _divergences(table, usable, codes, kl):
    """Notices, and a function of runs and their codes that returns the divergences of each; or None for the latter."""
    if kl is not None:
        lacking = [run_id for run_id in table.run_id[usable].tolist() if run_id not in kl]
        if lacking:
            raise ValueError(f"kl must have every run that codes has, {len(lacking)} are missing: {lacking[:5]}")
        return [], lambda group, read: [kl[run_id] for run_id in table.run_id[group].tolist()]
    names = sorted((name for name in table.metrics if _latent(name) is not None), key=_latent)
    if [_latent(name) for name in names] == list(range(len(names))) and names:
        columns = table.columns(names)
        if np.isfinite(columns[usable, 0]).all():
            return [], lambda group, read: [
                columns[run, : each.shape[1]] if each.ndim == 2 else columns[run]
                for run, each in zip(group.tolist(), read, strict=True)
            ]
    return ["UDR without the latents' KL: collapsed latents take part, as only constant ones could be left out."], None


def _latent(name):
    """Number of the latent that "kl.z3" is of; None of another metric."""
    number = name.removeprefix("kl.z")
    return int(number) if name.startswith("kl.z") and number.isdigit() else None


def _groups(table, usable, among, partners, seed):
    """Arrays of runs that are compared with each other, and the number of runs without enough others."""
    keys = list(zip(table.study.tolist(), table.dataset.tolist(), strict=True))
    if among == "setting":
        keys = list(zip(keys, table.setting_code.tolist(), strict=True))
    found, alone, draws = {}, 0, np.random.default_rng(seed)
    for run in np.flatnonzero(usable).tolist():
        found.setdefault(keys[run], []).append(run)
    groups = []
    for runs in found.values():
        if len(runs) < FEWEST_SEEDS:
            alone += len(runs)
            continue
        parts = 1 if partners is None else max(1, len(runs) // (partners + 1))
        order = np.array(runs) if parts == 1 else draws.permutation(runs)
        groups += [np.sort(part) for part in np.array_split(order, parts)]
    return groups, alone


@contextlib.contextmanager
def _shown(progress, total):
    """A bar of the groups done, and a function to call after each."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    hidden = not (console.is_terminal if progress is None else progress)
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task("UDR, groups of runs", total=total)
        yield lambda: bar.advance(task)
