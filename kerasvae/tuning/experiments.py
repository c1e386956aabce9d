"""The run of one row of the paper's experiments: train, score, and leave everything in the row's folder."""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
import importlib.util
import math
import numbers
import platform
from pathlib import Path

import keras
import numpy as np

from kerasvae import datasets, export, files, losses, metrics, networks, runs
from kerasvae.callbacks import read_history
from kerasvae.datasets.sampling import check_changed
from kerasvae.math import convert_beta
from kerasvae.models import AdaGVAE, BetaVAE
from kerasvae.schedules import Linear
from kerasvae.tuning.experiment_callbacks import RowProgress, ScoresInHistory
from kerasvae.tuning.grids import NONE, augmented_loss
from kerasvae.tuning.train_and_score import active_latents

FIELDS = tuple(augmented_loss()[0])
SCORES, ENCODER, PICTURES = "scores.json", "encoder", ("reconstructions.png", "traversals.png", "history.png")
FRAMEWORKS = {"betavae": BetaVAE, "adagvae": AdaGVAE}
NETWORKS = {
    "conv": (networks.conv_encoder, networks.conv_decoder),
    "mlp": (networks.mlp_encoder, networks.mlp_decoder),
}


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
# Of different rows, as long as they are alike in what decides whether a model can be built.
_BUILT_FROM = (
    "framework", "latents", "beta", "beta_warmup", "loss", "blur_radius", "blur_weight", "networks", "padding",
    "initializer", "averaging", "distance", "threshold",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class ExperimentRun:
    """A function for `kerasvae.tuning.search` that does a row of `kerasvae.tuning.grids` in the row's folder.

    The folder gets, besides what `kerasvae.runs.train` writes (`settings.json`, `history.csv` with the scores during
    training as `val_mig` and `val_dci`, `checkpoint.keras` while it goes on, `model.keras`): `scores.json` with the
    final scores, the best during training with their steps, times and versions; pictures of reconstructions, latent
    traversals and the history; `encoder`, the exported encoder, where the backend can write it; and `progress.json`,
    how far it is. A row that was killed goes on from its checkpoint, and its model, history and scores end bit for bit
    as if it had not been.

    It can be pickled. Its arguments have no influence on results, so that a study may go on with others.

    Args:
        data_dir, manual_dir: of the data sets that are files, see `kerasvae.datasets.prepared`. Default None.
        on_device: make or look up the images where the model trains. Default None: where that is faster, that is on
            JAX and on GPUs.
        steps_per_execution: training steps in one dispatch. Default None: up to 48 on JAX and, with TensorFlow, on
            GPUs, elsewhere 1.
        jobs: threads for scores, at least 1. Default None: 1.
        checkpoint_every: steps from one checkpoint to the next, at least 1. Default 600.
        pictures: write pictures and the encoder. Default True.

    Raises:
        ValueError: for an argument not allowed.

    Called with (row, folder, verbose=0) it returns the metrics: `mig` and `dci` after training, `best_mig` and
    `best_dci`, the largest during training, `reconstruction_loss` and `kl_loss` (nats per image, on images or pairs
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

    def __post_init__(self):
        for name in ("steps_per_execution", "jobs", "checkpoint_every"):
            value = getattr(self, name)
            if name == "checkpoint_every" or value is not None:
                if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
                    raise ValueError(f"{name} must be an integer, at least 1, got {value!r}")

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

    def __call__(self, row: dict, folder, verbose: int = 0) -> dict:
        # Models of earlier rows would otherwise stay in memory.
        keras.utils.clear_session()
        folder, data = Path(folder), self._data(row)
        every = {"mig": row["mig_every"], "dci": row["dci_every"]}
        epoch = math.gcd(*every.values())
        progress = RowProgress(folder, row["steps"], epoch)
        scores = ScoresInHistory(
            data, every, row["steps"], preset=row["score_preset"], seed=row["seed"], jobs=self.jobs
        )
        dispatch = self._steps_per_execution(epoch)
        model = runs.train(
            functools.partial(build_model, row, data.image_shape, dispatch),
            functools.partial(batches, row, data, on_device=self._on_device()),
            folder,
            steps=row["steps"],
            steps_per_epoch=epoch,
            checkpoint_every=self.checkpoint_every,
            # First of all, so that the time of the scores is not taken for training.
            callbacks=[progress, scores],
            settings=row,
            resume=True,
            verbose=verbose,
        )
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

    def _report(self, row, folder, data, model, progress) -> dict:
        """What `scores.json` holds, from the file where it is there already."""
        if (folder / SCORES).is_file():
            return files.read_json(folder / SCORES)
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
            **{name: float(terms[name]) for name in ("reconstruction_loss", "kl_loss")},
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
            export.encoder(model, folder / ENCODER, images=data.images(np.arange(4)), tolerance=tolerance)
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
            return max(count for count in range(1, _FUSED + 1) if epoch % count == 0)
        return 1


def build_model(row: dict, image_shape, steps_per_execution: int = 1):
    """The compiled model of a row.

    Args:
        row: of `kerasvae.tuning.grids`.
        image_shape: (height, width, channels) of the data set.
        steps_per_execution: as for `VAE.compile`.

    Returns:
        A `BetaVAE` or `AdaGVAE`.

    Raises:
        ValueError: for a field not allowed.
    """
    model_class, (encoder, decoder) = FRAMEWORKS[row["framework"]], NETWORKS[row["networks"]]
    seed, latents = row["seed"], row["latents"]
    padding = {} if row["padding"] == NONE else {"padding": row["padding"]}
    pair = encoder(image_shape, latents, seed=2 * seed, **padding), decoder(image_shape, latents, seed=2 * seed + 1)
    if row["initializer"] == "authors":
        for number, network in enumerate(pair):
            untruncated_weights(network, 2 * seed + number)
    loss = losses.MeanSquaredError()
    if row["loss"] == "boxblur":
        loss = losses.BoxBlurMSE(row["blur_radius"], row["blur_weight"])
    own = {name: row[name] for name in ("averaging", "distance", "threshold")} if model_class is AdaGVAE else {}
    beta = Linear(0.0, row["beta"], steps=row["beta_warmup"]) if row["beta_warmup"] else row["beta"]
    model = model_class(*pair, loss, beta=beta, reduction=row["reduction"], seed=seed, **own)
    optimizer = keras.optimizers.Adam(row["learning_rate"], row["beta_1"], row["beta_2"], epsilon=row["epsilon"])
    model.compile(optimizer, steps_per_execution=steps_per_execution)
    return model


def untruncated_weights(network, seed: int) -> None:
    """Draw a network's kernels anew from Glorot's normal distribution, not truncated, the two heads as one layer.

    Args:
        network: an encoder or decoder of `kerasvae.networks`; its biases stay 0.
        seed: an integer, at least 0.

    Source: the initialisation in the code of "Overlooked Implications": Xavier normal for all weights, where one dense
    layer makes mean and log-variance together. Keras's `GlorotNormal` has the same variance, but no value beyond two
    of its standard deviations.
    """
    rng = np.random.default_rng(seed)
    for layer in network.layers:
        if not hasattr(layer, "kernel"):
            continue
        *window, fan_one, fan_other = tuple(layer.kernel.shape)
        if layer.name.endswith(("_mean", "_logvar")):
            fan_other *= 2
        deviation = math.sqrt(2.0 / ((fan_one + fan_other) * math.prod(window)))
        layer.kernel.assign(rng.normal(0.0, deviation, layer.kernel.shape).astype("float32"))


def batches(row: dict, data, *, steps=None, seed=None, start: int = 0, on_device: bool = False):
    """The pipeline of a row: images, or pairs for Ada-GVAE; `steps` and `seed` are the row's where they are None."""
    options = {
        "steps": row["steps"] if steps is None else steps,
        "seed": row["seed"] if seed is None else seed,
        "start": start,
        "on_device": on_device,
    }
    if FRAMEWORKS[row["framework"]] is AdaGVAE:
        return datasets.pairs(data, row["batch_size"], changed=row["changed"], **options)
    return datasets.images(data, row["batch_size"], **options)


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
    if missing := [name for name in FIELDS if name not in row]:
        raise ValueError(f"row must have the fields of kerasvae.tuning.grids, it lacks {', '.join(missing)}")
    if unknown := [name for name in row if name not in FIELDS]:
        raise ValueError(f"row must have the fields of kerasvae.tuning.grids alone, got {', '.join(unknown)}")
    for name, allowed in (
        ("dataset", tuple(DATASETS)),
        ("framework", tuple(FRAMEWORKS)),
        ("networks", tuple(NETWORKS)),
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
