"""fit_together: several models of one kind trained by one program, which uses an accelerator better than one does."""

from __future__ import annotations

import itertools

import keras
import numpy as np

from kerasvae.models.device_images import device_images_of
from kerasvae.models.images import channel_constants
from kerasvae.models.training_data import check_data, first_batch, pipeline_attribute
from kerasvae.models.vae import VAE


def fit_together(models, data, *, epochs=1, initial_epoch=0, steps_per_epoch=None, callbacks=None, verbose="auto"):
    """Train several models, each on its own data, as `fit` does, by one compiled program; JAX only.

    The models may differ in weights, seed, step, learning rate and in the numbers of their hyper-parameters and
    schedules, such as β; everything else must be equal: class, networks, loss, the optimizer's other arguments, shape
    of the batches. Each has the weights, logs and counters afterwards that `fit` gives it alone, to rounding: the last
    bits may depend on how many are trained together.

    The program maps the train step over the models' stacked states (`jax.vmap`) and runs `steps_per_execution` steps in
    a dispatch. It is compiled once for each number of models and of steps; other models of the same kind and data use
    it again. A small network keeps an accelerator busy with starting kernels, of which several models need no more
    than one does; on a CPU it is mostly slower than one after the other. `recipes/bench_gpu.py` measures it.

    Args:
        models: built and compiled, at least 1.
        data: for each model a pipeline of `kerasvae.datasets`, or another `tf.data.Dataset` or
            `keras.utils.PyDataset` of batches; with `on_device=True` all of one data set, whose table is there once.
        epochs, initial_epoch: as for `fit`.
        steps_per_epoch: as for `fit`. Default None: all of `data`, anew in each epoch.
        callbacks: for each model a list of callbacks of its own. Default None: none. At the same moment the first of
            every list is called, then the second of every list. A model whose `stop_training` they set stays as it is
            while the others go on.
        verbose: "auto" or 1: a progress bar, with the logs of the first model; 0: none.

    Returns:
        A `keras.callbacks.History` for each model.

    Raises:
        ValueError: on another backend, when the models or their data cannot go together, naming what differs, or, as
            for `fit`, when the data do not fit; before anything is trained. Also when data end too early.
    """
    if keras.config.backend() != "jax":
        raise ValueError(f"models are trained together on the backend jax alone, this is {keras.config.backend()}")
    if verbose not in ("auto", 0, 1):
        raise ValueError(f'verbose must be "auto", 0 or 1, got {verbose!r}')
    models, data = list(models), list(data)
    callbacks = [[] for _ in models] if callbacks is None else [list(each) for each in callbacks]
    for argument, values in (("data", data), ("callbacks", callbacks)):
        if len(values) != len(models):
            raise ValueError(f"{argument} must be one for each of {len(models)} models, got {len(values)}")
    program = _prepared(models, data, steps_per_epoch)
    lengths = [_length(each) for each in data]
    if steps_per_epoch is None and (lengths[0] is None or len(set(lengths)) > 1):
        told = ", ".join("unknown" if length is None else str(length) for length in lengths)
        raise ValueError(f"data must have one known length, or steps_per_epoch must be given; got lengths {told}")
    steps_per_epoch = lengths[0] if steps_per_epoch is None else steps_per_epoch
    bars = [keras.callbacks.ProgbarLogger()] if verbose else []
    rows = [
        _Row(model, [*own, keras.callbacks.History(), *(bars if model is models[0] else [])])
        for model, own in zip(models, callbacks, strict=True)
    ]
    for row, pipeline in zip(rows, data, strict=True):
        row.begin({"epochs": epochs, "steps": steps_per_epoch, "verbose": int(bool(verbose))}, pipeline)
    _fit(program, rows, range(initial_epoch, epochs), steps_per_epoch)
    return [next(each for each in row.callbacks if type(each) is keras.callbacks.History) for row in rows]


class _Row:
    """A model among others: its callbacks, and its batches."""

    def __init__(self, model, callbacks):
        self.model, self.callbacks, self.logs = model, callbacks, {}

    def begin(self, parameters, pipeline):
        self.pipeline, self.model.stop_training = pipeline, False
        self.rewind()
        for callback in self.callbacks:
            callback.set_model(self.model)
            callback.set_params(parameters)

    def rewind(self):
        self.batches = iter(_batches(self.pipeline))


def _fit(program, rows, epochs, steps_per_epoch):
    from kerasvae.models.train_step.stacked import StackedModels

    together = rows[0].model.steps_per_execution
    stack = StackedModels(program, [row.model for row in rows])
    stacked = rows
    try:
        _call(rows, "on_train_begin")
        for epoch in epochs:
            going = [row for row in rows if not row.model.stop_training]
            if 2 * len(going) <= len(stacked) and going:
                # Those that have stopped cost as much as the others: worth another program.
                stack.release()
                stack, stacked = StackedModels(program, [row.model for row in going]), going
            for row in going:
                stack.give_back(row.model)
                row.model.reset_metrics()
                if _length(row.pipeline) == steps_per_epoch:
                    row.rewind()
            _call(going, "on_epoch_begin", epoch)
            done = 0
            while done < steps_per_epoch and (active := [row for row in going if not row.model.stop_training]):
                _call(active, "on_train_batch_begin", done)
                count = min(together, steps_per_epoch - done)
                batches = _next(stacked, active, count, done, steps_per_epoch)
                logs = stack.run(batches, [row in active for row in stacked])
                done += count
                if any(_wants_logs(callback) for row in active for callback in row.callbacks):
                    for place, row in enumerate(stacked):
                        row.logs = {name: float(values[place]) for name, values in logs.items()}
                    _call(active, "on_train_batch_end", done - 1)
            for row in going:
                stack.give_back(row.model)
                row.logs = {name: float(value) for name, value in row.model.get_metrics_result().items()}
            _call(going, "on_epoch_end", epoch)
    finally:
        stack.release()
    for row in rows:
        row.model.optimizer.finalize_variable_values(row.model.trainable_weights)
    _call(rows, "on_train_end")


def _call(rows, hook, *arguments):
    """Call the first callback of every row, then the second: one that takes its time is not between two clocks."""
    for callbacks in itertools.zip_longest(*([(row, callback) for callback in row.callbacks] for row in rows)):
        for row, callback in filter(None, callbacks):
            # One dictionary for all callbacks of a row, which they may add to.
            getattr(callback, hook)(*arguments, row.logs if hook.endswith("_end") else None)


def _wants_logs(callback) -> bool:
    """Whether a callback does anything at the end of batches, where logs would have to come from the device."""
    hooks = [(name, getattr(callback, name)) for name in ("on_train_batch_end", "on_batch_end")]
    return any(getattr(hook, "__func__", hook) is not getattr(keras.callbacks.Callback, name) for name, hook in hooks)


def _next(stacked, active, count, done, steps):
    """The next batches, stacked to (count, rows, batch, …)."""
    parts = {}
    for number, row in enumerate(stacked):
        if row in active:
            parts[number] = list(itertools.islice(row.batches, count))
            if len(parts[number]) < count:
                raise ValueError(f"data[{number}] ended after {done + len(parts[number])} of {steps} steps of an epoch")
    # The others take no step, whatever they get.
    filler = next(iter(parts.values()))
    flat = [parts.get(number, filler)[step] for step in range(count) for number in range(len(stacked))]

    def stack(*arrays):
        return np.stack(arrays).reshape(count, len(stacked), *arrays[0].shape)

    return keras.tree.map_structure(stack, *flat)


def _batches(pipeline):
    """The batches of a pipeline as NumPy arrays."""
    if hasattr(pipeline, "as_numpy_iterator"):
        return pipeline.as_numpy_iterator()
    numbers = itertools.count() if pipeline.num_batches is None else range(pipeline.num_batches)
    return (keras.tree.map_structure(np.asarray, pipeline[number]) for number in numbers)


def _length(pipeline) -> int | None:
    """Batches of a pipeline; None for an endless one, or one that does not know."""
    if hasattr(pipeline, "cardinality"):
        return int(pipeline.cardinality()) if int(pipeline.cardinality()) >= 0 else None
    return pipeline.num_batches


def _prepared(models, data, steps_per_epoch):
    """The program for these models, which are ready for their data; ValueError unless they can go together."""
    from kerasvae.models.train_step import stacked

    if not models or not all(isinstance(model, VAE) for model in models):
        raise ValueError(f"models must be at least one model of kerasvae, got {models!r}")
    if len({id(model) for model in models}) < len(models):
        raise ValueError("models must differ: the same object is among them twice")
    if keras.distribution.distribution() is not None:
        raise ValueError("models cannot be trained together under a keras.distribution: they have one device")
    for number, model in enumerate(models):
        if not model.compiled or model.run_eagerly:
            raise ValueError(f"models[{number}] must be compiled, and not with run_eagerly=True")
    for number, (model, pipeline) in enumerate(zip(models, data, strict=True)):
        if not hasattr(pipeline, "element_spec") and not hasattr(pipeline, "num_batches"):
            raise ValueError(f"data[{number}] must be a tf.data.Dataset or a PyDataset, got {type(pipeline).__name__}")
        check_data(model, pipeline, f"data[{number}]", steps_per_epoch)
    shapes = [keras.tree.map_structure(lambda part: tuple(part.shape), first_batch(each, "data")) for each in data]
    sources = [_source(pipeline) for pipeline in data]
    for number in range(1, len(data)):
        if shapes[number] != shapes[0]:
            raise ValueError(f"data must have batches of one shape: {shapes[0]}, but data[{number}] {shapes[number]}")
        if sources[number][0] is not sources[0][0] or sources[number][1] != sources[0][1]:
            raise ValueError(f"data must be of one data set with on_device=True: data[{number}] is of another")
    # One table for all of them.
    known = stacked.known_device_images(sources[0][0]) + [model.device_images[True] for model in models]
    device_images = device_images_of(data[0], known)
    for model, (_, constants) in zip(models, sources, strict=True):
        if device_images is not model.device_images[True]:
            model.device_images[True], model.train_function = device_images, None
        if not model.knows_pixel_constants and constants is not None:
            model.pixel_mean, model.pixel_std = channel_constants(*constants, model.image_shape[-1])
            model.knows_pixel_constants = True
    kinds = [stacked.kind_of(model) for model in models]
    for number, kind in enumerate(kinds):
        if kind != kinds[0]:
            raise ValueError(
                "models must be alike but for weights, seed, step, learning rate and the numbers of hyper-parameters; "
                f"models[{number}] differs from models[0] in {_difference(kinds[0], kind)}"
            )
    return stacked.stacked_program(models[0], kinds[0])


def _source(pipeline):
    return pipeline_attribute(pipeline, "rendered_from"), pipeline_attribute(pipeline, "standardization")


def _difference(a, b, where="") -> str:
    """The first place at which two nested values differ, with both of them."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in [*a, *(key for key in b if key not in a)]:
            if a.get(key) != b.get(key):
                return _difference(a.get(key), b.get(key), f"{where}.{key}" if where else str(key))
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for number, (one, other) in enumerate(zip(a, b, strict=True)):
            if one != other:
                return _difference(one, other, f"{where}[{number}]")
    return f"{where}: {a!r} and {b!r}"
