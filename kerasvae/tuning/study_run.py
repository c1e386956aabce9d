"""The run of one row of a published study: train, score, and leave everything in the row's folder."""

from __future__ import annotations

import dataclasses
import functools
import math
import numbers
from pathlib import Path

import keras
import numpy as np

from kerasvae import datasets, files, runs
from kerasvae.callbacks import LatentKL
from kerasvae.datasets.mini_sprites import MiniSprites
from kerasvae.networks import NETWORKS
from kerasvae.tuning import studies
from kerasvae.tuning.checks import check_fields, check_flag, check_optimizer, check_place
from kerasvae.tuning.experiment_callbacks import RowProgress
from kerasvae.tuning.experiments import has_gpu, versions
from kerasvae.tuning.grids import NONE
from kerasvae.tuning.study_models import METHODS, build_model, objective_numbers, program_of, study_model
from kerasvae.tuning.study_scores import ACTIVE, study_scores

FIELDS = tuple(studies.challenging_assumptions("tiny")[0])
SCORES, CODES = "scores.json", "codes.npz"
# Of `search`: every run has it, also one that diverged.
OBJECTIVE = ("diverged", "min")
# Codes of so many images are kept: enough to compare runs by.
KEPT = 4000
# Data sets by name; they get the fields of the row that are their arguments.
DATASETS = {
    "mini_sprites": (MiniSprites, ()),
    "xysquares": (
        datasets.XYSquares,
        ("grid_spacing", "grid_size", "square_size", "image_size", "num_squares", "rgb"),
    ),
    "dsprites": (datasets.DSprites, ("source",)),
    "color_dsprites": (datasets.ColorDSprites, ("source",)),
    "noisy_dsprites": (datasets.NoisyDSprites, ("source",)),
    "scream_dsprites": (datasets.ScreamDSprites, ("source",)),
    "shapes3d": (datasets.Shapes3D, ()),
    "cars3d": (datasets.Cars3D, ()),
    "smallnorb": (datasets.SmallNORB, ()),
}
# Steps in one dispatch where a dispatch costs more than a step does.
_FUSED = 50
_POSITIVE = (
    "latents", "batch_size", "steps", "log_every", "code_images", "train", "test", "points_train", "points_test",
    "stages", "sampled_codes", "seed",
)  # fmt: skip
_KEPT_TO_CHECK = 8
_built = {}
_NUMBERS = ("strength", "learning_rate", "beta_1", "beta_2", "epsilon")


@dataclasses.dataclass(frozen=True)
class StudyRun:
    """A function for `kerasvae.tuning.search` that does a row of `kerasvae.tuning.studies` in the row's folder.

    The folder gets, besides what `kerasvae.runs.train` writes (`settings.json`, `history.csv` with the mean KL of every
    latent as `kl.z0` and so on and the number of those above 0.1 nats as `active_latents`, `model.keras`):
    `scores.json` with all numbers and versions, `codes.npz` with the mean codes of up to 4000 images, the same for all
    rows of a data set, and `progress.json`. A row that was killed goes on from its checkpoint and ends bit for bit as
    if it had not been.

    Rows of a method that differ in strength, warm-up, learning rate and seed are done one after the other by one model
    in one compiled program, which a process keeps; each begins as a new model would, bit for bit. (A row that goes on
    from a checkpoint has a model of its own.)

    It can be pickled. Its arguments have no influence on results, so that a study may go on with others.

    Args:
        data_dir, manual_dir: of the data sets that are files, see `kerasvae.datasets.prepared`. Default None.
        background: of scream_dsprites, the path of a picture, as for `kerasvae.datasets.ScreamDSprites`. Default None:
            its rows cannot be done.
        on_device: look the images up where the model trains. Default None: where that is faster, that is on JAX, on
            GPUs and, with TensorFlow, for fully connected networks.
        steps_per_execution: training steps in one dispatch. Default None: up to 50 wherever `on_device` is by default,
            elsewhere 1. On TensorFlow several are compiled by XLA, which on a CPU took a third of the processor's time
            for fully connected networks of images of 16 x 16 pixels, and is slower for convolutions.
        jobs: threads for scores, at least 1. Default None: 1.
        checkpoint_every: steps from one checkpoint to the next, at least 1. Default 5000; one more is written with
            every row of the history.
        keep_models: leave `model.keras` in the folder. Default True; without, a study of hundreds of rows takes
            megabytes instead of gigabytes.

    Raises:
        ValueError: for an argument not allowed.

    Called with (row, folder, verbose=0) it returns the metrics, named as `kerasvae.analysis.study` reads them, with
    `diverged`, 0, and `seconds_training`. Of a run whose loss stops being a number it returns `diverged`, 1, and the
    step, `diverged_at`, alone. `check(row)` raises a ValueError that names the field for a row that cannot be done, and
    an OSError where the files of its data set cannot be had. `OBJECTIVE`, ("diverged", "min"), is for `search`.
    """

    data_dir: str | None = None
    manual_dir: str | None = None
    background: str | None = None
    on_device: bool | None = None
    steps_per_execution: int | None = None
    jobs: int | None = None
    checkpoint_every: int = 5000
    keep_models: bool = True

    def __post_init__(self):
        for name in ("steps_per_execution", "jobs", "checkpoint_every"):
            value = getattr(self, name)
            if name == "checkpoint_every" or value is not None:
                if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
                    raise ValueError(f"{name} must be an integer, at least 1, got {value!r}")

        check_flag("on_device", self.on_device, optional=True)
        check_flag("keep_models", self.keep_models)
        for name in ("data_dir", "manual_dir", "background"):
            check_place(name, getattr(self, name))

    @property
    def settings(self) -> dict:
        """What determines results besides a row: nothing."""
        return {}

    @staticmethod
    def label(row: dict) -> str:
        """A row in few words."""
        return f"{row['dataset']} {row['method']} {row['strength_name']}={row['strength']:g} seed={row['seed']}"

    def check(self, row: dict) -> None:
        _check_fields(row)
        data = self.data(row)
        if len(data) < row["train"] + row["test"] or row["code_images"] < row["train"] + row["test"]:
            raise ValueError(
                f"row['code_images'] must be at least train + test ({row['train'] + row['test']}), and the data set "
                f"have as many images, got {row['code_images']} of {len(data)}"
            )
        if max(map(int, row["downstream"].split(","))) > row["train"]:
            raise ValueError(f"row['downstream'] must be at most train ({row['train']}), got {row['downstream']!r}")
        _check_model(row, data)

    def __call__(self, row: dict, folder, verbose: int = 0) -> dict:
        folder, data = Path(folder), self.data(row)
        if (folder / SCORES).is_file():
            return files.read_json(folder / SCORES)["metrics"]
        progress = RowProgress(folder, row["steps"], row["log_every"])
        on_device, compiled = self._compiled(row)
        try:
            model = runs.train(
                functools.partial(study_model, row, data, **compiled),
                functools.partial(_batches, row, data, on_device),
                folder,
                steps=row["steps"],
                steps_per_epoch=row["log_every"],
                checkpoint_every=self.checkpoint_every,
                callbacks=[progress, LatentKL(data, samples=1000, threshold=ACTIVE)],
                settings=row,
                resume=True,
                verbose=verbose,
            )
        except runs.DivergedError as error:
            found = {"diverged": 1, "diverged_at": error.step}
        else:
            progress.stage("scores")
            found, codes = study_scores(model, data, row, self.jobs)
            found |= {"diverged": 0, "seconds_training": round(progress.training, 3)}
            with files.replacing(folder / CODES) as temporary:
                np.savez(
                    temporary, **{name: values[: KEPT if name != "kl" else None] for name, values in codes.items()}
                )
            files.write_json(folder / SCORES, {"metrics": found, "versions": versions()})
        progress.stage("done")
        if not self.keep_models:
            (folder / runs.MODEL).unlink(missing_ok=True)
        return found

    def data(self, row: dict):
        """The data set of a row; the same object for all rows of it in a process."""
        data_class, arguments = DATASETS[row["dataset"]]
        values = {name: row[name] for name in arguments}
        if row["dataset"] in ("shapes3d", "cars3d", "smallnorb") or row["source"] == "original":
            values |= {"data_dir": self.data_dir, "manual_dir": self.manual_dir}
        if row["dataset"] == "scream_dsprites":
            if self.background is None:
                raise ValueError("background must be given to StudyRun for the rows of scream_dsprites, got None")
            values["background"] = str(self.background)
        return _data_set(data_class, tuple(values.items()))

    def _compiled(self, row) -> tuple[bool, dict]:
        """Whether images are found on the device, and what `compile` is called with."""
        backend, dense = keras.config.backend(), row["networks"] == "mlp"
        fast = backend == "jax" or has_gpu() or (backend == "tensorflow" and dense)
        fused = self.steps_per_execution
        if fused is None:
            # Whole dispatches in an epoch, or the last one of each would be compiled for itself.
            fused = max(count for count in range(1, _FUSED + 1) if row["log_every"] % count == 0)
            fused = fused if fast and backend != "torch" else 1
        compiled = {"steps_per_execution": fused}
        if backend == "tensorflow" and dense and fused > 1:
            compiled["jit_compile"] = True
        return (fast if self.on_device is None else self.on_device), compiled


def _batches(row, data, on_device, start):
    return datasets.images(
        data, row["batch_size"], row["steps"], row["seed"], start=start, standardize=False, on_device=on_device
    )


@functools.lru_cache(maxsize=8)
def _data_set(data_class, arguments: tuple):
    return data_class(**dict(arguments))


def _check_model(row, data) -> None:
    """ValueError unless the row's model can be built with its numbers; of many rows one model of a program is."""
    key = program_of(row)
    if key not in _built:
        if len(_built) == _KEPT_TO_CHECK:
            _built.clear()
        _built[key] = build_model(row, data)
    for name, value in objective_numbers(row).items():
        setattr(_built[key], name, value)


def _check_fields(row) -> None:
    """ValueError unless a row has the fields of the studies, with values that there are."""
    check_fields(row, FIELDS, "kerasvae.tuning.studies")
    check_optimizer(row)
    factor, tc = row["method"] == "factor_vae", row["method"] == "beta_tc_vae"
    for name, allowed in (
        ("dataset", tuple(DATASETS)),
        ("method", tuple(METHODS)),
        ("networks", tuple(NETWORKS)),
        ("likelihood", ("bernoulli",)),
        ("optimizer", ("adam",)),
        ("estimator", ("mws", "mss", "mss_legacy") if tc else (NONE,)),
        ("discriminator_update", ("alternating", "simultaneous") if factor else (NONE,)),
        ("reconstruction_from", ("mean", "sample")),
    ):
        if row[name] not in allowed:
            raise ValueError(f"row[{name!r}] must be {' or '.join(map(repr, allowed))}, got {row[name]!r}")
    whole = [*_POSITIVE, *(("discriminator_width", "discriminator_layers") if factor else ())]
    zero = [name for name in ("warmup_steps", "capacity_steps", "scores_seed") if row[name] != NONE]
    for name in (*whole, *zero):
        least = 0 if name in zero else 1
        if isinstance(row[name], bool) or not isinstance(row[name], numbers.Integral) or row[name] < least:
            raise ValueError(f"row[{name!r}] must be an integer, at least {least}, got {row[name]!r}")
    for name in (*_NUMBERS, *METHODS[row["method"]][1]):
        if isinstance(row[name], bool) or not isinstance(row[name], numbers.Real) or not math.isfinite(row[name]):
            raise ValueError(f"row[{name!r}] must be a finite number, got {row[name]!r}")
    if row.get(row["strength_name"]) != row["strength"]:
        raise ValueError(
            f"row['strength'] must be the row's {row['strength_name']!r}, {row.get(row['strength_name'])!r}, got "
            f"{row['strength']!r}"
        )
    for name in ("downstream", *(("hidden",) if row["networks"] == "mlp" else ())):
        parts = row[name].split(",") if isinstance(row[name], str) else []
        if not parts or not all(part.isdigit() and int(part) > 0 for part in parts):
            raise ValueError(f"row[{name!r}] must be whole numbers such as '10,100', got {row[name]!r}")
