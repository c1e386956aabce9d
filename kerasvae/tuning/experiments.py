"""The run of one row of the paper's experiments: train, score, and leave everything in the row's folder."""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
import importlib.util
import math
import numbers
import platform
import warnings
from pathlib import Path

import keras
import numpy as np

from kerasvae import datasets, export, files, metrics, runs
from kerasvae.callbacks import read_history
from kerasvae.datasets.sampling import check_changed
from kerasvae.math import convert_beta
from kerasvae.models import TogetherProgram
from kerasvae.tuning.checks import check_fields, check_flag, check_optimizer, check_place
from kerasvae.tuning.experiment_callbacks import RowProgress, ScoresInHistory, WholeHistory
from kerasvae.tuning.experiment_models import FRAMEWORKS, batches, build_model
from kerasvae.tuning.grids import NONE, augmented_loss
from kerasvae.tuning.row_files import SCORES, DamagedRowError, check_files, check_history, read_scores
from kerasvae.tuning.row_groups import train_together
from kerasvae.tuning.train_and_score import active_latents

FIELDS = tuple(augmented_loss()[0])
ENCODER, PICTURES = "encoder", ("reconstructions.png", "traversals.png", "history.png")


def _white_object(grid_spacing, square_size, image_size):
    return datasets.XYObject(grid_spacing, (square_size,), image_size, palette="grey", intensities=1)


# Data sets by name; they get the fields of the row that are their arguments.
DATASETS = {
    "xysquares": (
        datasets.XYSquares,
        ("grid_spacing", "grid_size", "square_size", "image_size", "num_squares", "rgb"),
    ),
    "xyobject": (_white_object, ("grid_spacing", "square_size", "image_size")),
    "dsprites": (datasets.DSprites, ("source",)),
    "shapes3d": (datasets.Shapes3D, ()),
    "cars3d": (datasets.Cars3D, ()),
    "smallnorb": (datasets.SmallNORB, ()),
}
# Steps in one dispatch where a dispatch costs more than a step does.
_FUSED = 48
# On a CPU more than this many are compiled as a loop, in which convolutions are three times as slow.
_UNROLLED = 8
# Of different rows, as long as they are alike in what decides whether a model can be built.
_BUILT_FROM = (
    "framework", "latents", "beta", "beta_warmup", "loss", "blur_radius", "blur_weight", "networks", "padding",
    "initializer", "averaging", "distance", "threshold",
)  # fmt: skip
# In which rows that are trained together may differ: what is state of the model, and what is done after training.
_STATE = ("seed", "beta", "beta_sum", "threshold", "learning_rate", "final_preset", "reported")


@dataclasses.dataclass(frozen=True)
class ExperimentRun:
    """A function for `kerasvae.tuning.search` that does a row of `kerasvae.tuning.grids` in the row's folder.

    The folder gets, besides what `kerasvae.runs.train` writes (`settings.json`, `history.csv` with the scores during
    training as `val_mig` and `val_dci`, `checkpoint.keras` while it goes on, `model.keras`): `scores.json` with the
    final scores, the best during training with their steps, times and versions; pictures of reconstructions, latent
    traversals and the history; `encoder`, the exported encoder, where the backend can write it; and `progress.json`,
    how far it is. A row that was killed goes on from its checkpoint, and its model, history and scores end bit for bit
    as if it had not been. One whose files are damaged or gone, so that it could not, begins anew with a UserWarning.

    It can be pickled. Its arguments have no influence on results but for the rounding that `rows_per_device` brings, so
    that a study may go on with others.

    **Rows together.** With `rows_per_device` above 1, which needs JAX, `search` has rows that differ in β, seed,
    threshold or learning rate alone trained together by one program, each in its own folder with the same files. Their
    results are those of single rows to rounding: the last bits may depend on how many are trained together, and what
    they come to in thousands of steps. Rows that a kill has left at different steps are brought together: those that
    are behind train until they reach the next. `seconds` and `seconds_training` are then the time of all rows of the
    group. It is for GPUs, where a small network's step is mostly the starting of kernels; on a CPU it is slower (two
    busy cores, β-VAE of the small scale of `augmented_loss`, four steps a dispatch: 24 ms of processor time for each
    row's step with one row, 30 with two, 32 with four).

    Args:
        data_dir, manual_dir: of the data sets that are files, see `kerasvae.datasets.prepared`. Default None.
        on_device: make or look up the images where the model trains. Default None: where that is faster, that is on
            JAX and on GPUs.
        steps_per_execution: training steps in one dispatch. Default None: up to 48 on JAX and, with TensorFlow, on
            GPUs, elsewhere 1.
        jobs: threads for scores, at least 1. Default None: 1.
        checkpoint_every: steps from one checkpoint to the next, at least 1. Default 600.
        pictures: write pictures and the encoder. Default True.
        rows_per_device: how many rows a worker trains together at most, at least 1. Default 1.

    Raises:
        ValueError: for an argument not allowed, among them `rows_per_device` above 1 on another backend than JAX.

    Called with (row, folder, verbose=0) it returns the metrics: `mig` and `dci` after training, `best_mig` and
    `best_dci`, the largest during training, `reconstruction_nats` and `kl_nats` (nats per image, on images or pairs
    drawn otherwise than in training), `active_latents` (variance of the mean above 0.01) and `seconds_training`.
    `check(row)` raises a ValueError that names the field for a row that cannot be done, and an OSError where the files
    of its data set cannot be had.
    """

    data_dir: str | None = None
    manual_dir: str | None = None
    on_device: bool | None = None
    steps_per_execution: int | None = None
    jobs: int | None = None
    checkpoint_every: int = 600
    pictures: bool = True
    rows_per_device: int = 1

    def __post_init__(self):
        for name in ("steps_per_execution", "jobs", "checkpoint_every", "rows_per_device"):
            value = getattr(self, name)
            if name in ("checkpoint_every", "rows_per_device") or value is not None:
                if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
                    raise ValueError(f"{name} must be an integer, at least 1, got {value!r}")
        check_flag("on_device", self.on_device, optional=True)
        check_flag("pictures", self.pictures)
        for name in ("data_dir", "manual_dir"):
            check_place(name, getattr(self, name))
        if self.rows_per_device > 1 and keras.config.backend() != "jax":
            raise ValueError(
                f"rows_per_device must be 1 on the backend {keras.config.backend()}, as only jax trains rows together, "
                f"got {self.rows_per_device}"
            )

    @property
    def settings(self) -> dict:
        """What determines results besides a row: nothing."""
        return {}

    def check(self, row: dict) -> None:
        _check_fields(row)
        data = self._data(row)
        side = data.image_shape
        if not math.isclose(row["beta_sum"], convert_beta(row["beta"], side, row["latents"], to="sum"), rel_tol=1e-4):
            raise ValueError(
                f"row['beta_sum'] must be {convert_beta(row['beta'], side, row['latents'], to='sum'):.6g} for its beta "
                f"{row['beta']}, got {row['beta_sum']}"
            )
        if row["framework"] == "adagvae":
            check_changed(data, row["changed"])
        _check_model(side, tuple((name, row[name]) for name in _BUILT_FROM))

    def together(self, row: dict):
        """Equal for rows that can be trained together."""
        alike = {name: value for name, value in row.items() if name not in _STATE}
        # Its length is one of the schedule's numbers, but another schedule is another program.
        return tuple(sorted({**alike, "beta_warmup": alike["beta_warmup"] > 0}.items()))

    def train_together(self, rows: list[dict], folders, verbose: int = 0) -> None:
        """Train rows that are equal in `together`; each goes on in its folder as if it had been trained there alone.

        Args:
            rows: of one group, with the same steps and intervals.
            folders: of the rows.
            verbose: as for `fit`.

        Raises:
            ValueError: when the models cannot be trained together.
            OSError: when a folder cannot be written.
        """
        keras.utils.clear_session()
        plans = [self._plan(row, folder) for row, folder in zip(rows, folders, strict=True)]
        train_together(
            *([plan[name] for plan in plans] for name in ("build", "pipeline", "folder")),
            callbacks=[plan["callbacks"] for plan in plans],
            settings=[plan["settings"] for plan in plans],
            **{name: plans[0][name] for name in ("steps", "steps_per_epoch", "checkpoint_every")},
            program=self._program,
            verbose=verbose,
        )

    @functools.cached_property
    def _program(self) -> TogetherProgram:
        """What the first group compiles, for the groups after it."""
        return TogetherProgram()

    def __getstate__(self):
        return {name: value for name, value in self.__dict__.items() if name != "_program"}

    def __call__(self, row: dict, folder, verbose: int = 0) -> dict:
        # Models of earlier rows would otherwise stay in memory.
        keras.utils.clear_session()
        folder, data = Path(folder), self._data(row)
        try:
            model, progress = self._train(row, folder, verbose)
        except DamagedRowError as error:
            warnings.warn(f"row {folder.name} begins anew, as {error}", stacklevel=2)
            for name in (runs.SETTINGS, runs.CHECKPOINT, runs.MODEL, runs.HISTORY, SCORES):
                (folder / name).unlink(missing_ok=True)
            model, progress = self._train(row, folder, verbose)
        report = self._report(row, folder, data, model, progress)
        if self.pictures:
            progress.stage("pictures")
            draw_pictures(row, model, data, folder)
        progress.stage("done")
        return {
            **report["final"],
            **{f"best_{name}": best["score"] for name, best in report["best"].items()},
            "seconds_training": report["seconds_training"],
        }

    def _train(self, row, folder, verbose):
        plan = self._plan(row, folder)
        model = runs.train(**plan, resume=True, verbose=verbose)
        check_history(folder, row["steps"], row["steps"], plan["steps_per_epoch"])
        return model, plan["callbacks"][0]

    def _plan(self, row, folder) -> dict:
        """What `kerasvae.runs.train` needs to know of a row; DamagedRowError where it cannot go on in its folder."""
        check_files(folder)
        data, every = self._data(row), {"mig": row["mig_every"], "dci": row["dci_every"]}
        epoch = math.gcd(*every.values())
        scores = ScoresInHistory(
            data, every, row["steps"], preset=row["score_preset"], seed=row["seed"], jobs=self.jobs
        )
        # Streams of indices cost several rows less without tf.data.
        feed = {"on_device": self._on_device(), "form": "pydataset" if self.rows_per_device > 1 else None}
        return {
            "build": functools.partial(build_model, row, data.image_shape, self._steps_per_execution(epoch)),
            "pipeline": functools.partial(batches, row, data, **feed),
            "folder": Path(folder),
            "steps": row["steps"],
            "steps_per_epoch": epoch,
            "checkpoint_every": self.checkpoint_every,
            # Progress first, so that the time of the scores is not taken for training.
            "callbacks": [
                RowProgress(folder, row["steps"], epoch),
                scores,
                WholeHistory(folder, row["steps"], epoch),
            ],
            "settings": row,
        }

    def _report(self, row, folder, data, model, progress) -> dict:
        """What `scores.json` holds, from the file where it is there already."""
        if report := read_scores(folder):
            return report
        progress.stage("scores")
        final = metrics.evaluate(
            model,
            data,
            {"mig": {}, "dci": {}, "active_latents": active_latents},
            preset=row["final_preset"],
            seed=row["seed"],
            jobs=self.jobs,
            progress=False,
        )
        # Another seed, so that the images come in an order that the training did not see.
        unseen = batches({**row, "batch_size": 250}, data, steps=4, seed=row["seed"] + 2**31)
        terms = model.evaluate(unseen, return_dict=True, verbose=0)
        numbers_of = {
            **{name: float(score) for name, score in final.items()},
            "active_latents": int(float(final["active_latents"])),
            **{name: float(terms[name]) for name in ("reconstruction_nats", "kl_nats")},
        }
        report = {
            "final": numbers_of,
            "best": best_scores(read_history(folder / runs.HISTORY)),
            "encoder": self._export(model, data, folder) if self.pictures else "not asked for",
            "seconds_training": round(progress.training, 3),
            "seconds": round(progress.seconds, 3),
            "versions": versions(),
            "details": final.to_json(),
        }
        files.write_json(folder / SCORES, report)
        return report

    def _export(self, model, data, folder) -> str:
        """Export the encoder; what came of it."""
        if keras.config.backend() == "torch" or not importlib.util.find_spec("tensorflow"):
            return "this backend cannot write it: load model.keras under TensorFlow and call kerasvae.export.encoder"
        try:
            # A GPU multiplies with fewer digits than the CPU that checks the export.
            tolerance = 1e-2 if has_gpu() else 1e-4
            images = data.images(np.arange(4))
            export.encoder(model, folder / ENCODER, images=images, tolerance=tolerance, overwrite=True)
        except (ImportError, RuntimeError) as error:
            # The row's numbers do not depend on it.
            return f"{type(error).__name__}: {error}"
        return ENCODER

    def _data(self, row):
        data_class, arguments = DATASETS[row["dataset"]]
        values = {name: row[name] for name in arguments}
        if row["dataset"] in ("shapes3d", "cars3d", "smallnorb") or row["source"] == "original":
            values |= {"data_dir": self.data_dir, "manual_dir": self.manual_dir}
        return _data_set(data_class, tuple(values.items()))

    def _on_device(self) -> bool:
        accelerated = keras.config.backend() == "jax" or has_gpu()
        return accelerated if self.on_device is None else self.on_device

    def _steps_per_execution(self, epoch: int) -> int:
        if self.steps_per_execution is not None:
            return self.steps_per_execution
        backend = keras.config.backend()
        if backend == "jax" or (backend == "tensorflow" and has_gpu()):
            # Whole dispatches in an epoch, or the last one of each would be compiled for itself.
            return max(count for count in range(1, (_FUSED if has_gpu() else _UNROLLED) + 1) if epoch % count == 0)
        return 1


def best_scores(history: list[dict]) -> dict[str, dict]:
    """The largest of each score in a history, and at which step it was reached first.

    Args:
        history: rows as from `kerasvae.callbacks.read_history`.

    Returns:
        {name: {"score", "step"}} for the names after `val_`.
    """
    best = {}
    for row in history:
        for key, score in row.items():
            name = key.removeprefix("val_")
            if name != key and (name not in best or score > best[name]["score"]):
                best[name] = {"score": score, "step": row["step"]}
    return best


def draw_pictures(row: dict, model, data, folder) -> None:
    """Write a row's pictures: what the model makes of images, what each latent does, and how training went."""
    from kerasvae import plots

    shown = np.random.default_rng(0).choice(len(data), size=min(len(data), 200), replace=False)
    images = data.images(shown)
    plots.reconstructions(model, images, path=folder / PICTURES[0])
    plots.latent_traversals(model, images, path=folder / PICTURES[1])
    name = f"{row['framework']}, β {row['beta']:g}, {row['loss']}, {row['dataset']}, seed {row['seed']}"
    plots.history({name: read_history(folder / runs.HISTORY)}, path=folder / PICTURES[2])


def versions() -> dict[str, str]:
    """What a row ran on: Python, packages, backend and device."""
    backend = keras.config.backend()
    found = {"python": platform.python_version(), "backend": backend, "device": "gpu" if has_gpu() else "cpu"}
    for package in ("kerasvae", "keras", backend, "numpy", "scikit-learn"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:  # a checkout that is not installed, or another distribution
            found[package] = ""
    return found


def has_gpu() -> bool:
    """Whether the backend has a GPU."""
    if keras.config.backend() == "torch":  # where Keras lists no devices
        return str(keras.ops.zeros(()).device).startswith("cuda")
    try:
        return len(keras.distribution.list_devices("gpu")) > 0
    except RuntimeError:  # JAX without one
        return False


@functools.lru_cache(maxsize=8)
def _data_set(data_class, arguments: tuple):
    return data_class(**dict(arguments))


@functools.lru_cache(maxsize=64)
def _check_model(image_shape, fields: tuple) -> None:
    row = {**augmented_loss()[0], **dict(fields), "seed": 1}
    build_model(row, image_shape)


def _check_fields(row) -> None:
    """ValueError unless a row has the fields of the grids, with values that there are."""
    check_fields(row, FIELDS, "kerasvae.tuning.grids")
    check_optimizer(row)
    for name, allowed in (
        ("dataset", tuple(DATASETS)),
        ("framework", tuple(FRAMEWORKS)),
        ("networks", ("conv", "mlp")),
        ("loss", ("mse", "boxblur")),
        ("padding", ("same", "authors") if row["networks"] == "conv" else (NONE,)),
        ("initializer", ("glorot_normal", "authors")),
        ("reduction", ("mean",)),
        ("optimizer", ("adam",)),
        ("score_preset", ("fast", "full")),
        ("final_preset", ("fast", "full")),
        ("reported", ("final", "best")),
        *(
            (name, (NONE,))
            for name in ("averaging", "distance", "threshold", "changed")
            if row["framework"] != "adagvae"
        ),
        *((name, (NONE,)) for name in ("blur_radius", "blur_weight") if row["loss"] != "boxblur"),
    ):
        if row[name] not in allowed:
            raise ValueError(f"row[{name!r}] must be {' or '.join(map(repr, allowed))}, got {row[name]!r}")
    for name in ("latents", "batch_size", "steps", "mig_every", "dci_every", "seed", "beta_warmup"):
        least = 0 if name == "beta_warmup" else 1
        if isinstance(row[name], bool) or not isinstance(row[name], numbers.Integral) or row[name] < least:
            raise ValueError(f"row[{name!r}] must be an integer, at least {least}, got {row[name]!r}")
