"""fit_together: several models of one kind trained by one program, which uses an accelerator better than one does."""

from __future__ import annotations

import contextlib
import functools
import itertools

import keras
import numpy as np

from kerasvae.models.device_images import device_images_of
from kerasvae.models.hyperparameter import hyperparameters
from kerasvae.models.keras_internals import take_state
from kerasvae.models.training_data import batches_of, check_data, first_batch
from kerasvae.models.vae import VAE
from kerasvae.schedules import KerasSchedule


def fit_together(
    models, data, *, epochs=1, initial_epoch=0, steps_per_epoch=None, callbacks=None, verbose="auto", program=None
):
    """Train several models, each on its own data, as `fit` does, by one compiled program; JAX only.

    The models may differ in weights, seed, step, learning rate and in the numbers of their hyper-parameters and
    schedules, such as β; everything else must be equal: class, networks, loss, the optimizer's other arguments, shape
    of the batches. Each has the weights, logs and counters afterwards that `fit` gives it alone, to rounding: the last
    bits may depend on how many are trained together.

    The program maps the train step over the models' stacked states (`jax.vmap`) and runs `steps_per_execution` steps in
    a dispatch. A small network keeps an accelerator busy with starting kernels, of which several models need no more
    than one does; on a CPU it is mostly slower than one after the other. `recipes/bench_gpu.py` measures it.

    Args:
        models: built and compiled, at least 1.
        data: for each model a pipeline of `kerasvae.datasets`, or another `tf.data.Dataset` or
            `keras.utils.PyDataset` of batches; with `on_device=True` all of one data set, whose table is there once.
        epochs, initial_epoch: as for `fit`.
        steps_per_epoch: as for `fit`. Default None: all of `data`, from its start in each epoch.
        callbacks: for each model a list of callbacks of its own. Default None: none. At the same moment the first of
            every list is called, then the second of every list. A model whose `stop_training` they set stays as it is
            while the others go on.
        verbose: "auto" or 1: a progress bar, with the logs of the first model; 0: none.
        program: a `TogetherProgram()` that you keep, so that a later call with models of the same kind uses what this
            one has compiled. Default None: one for this call alone.

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
    if not isinstance(program, TogetherProgram | None):
        raise ValueError(f"program must be a TogetherProgram or None, got {program!r}")
    program = TogetherProgram() if program is None else program
    models, data = list(models), list(data)
    callbacks = [[] for _ in models] if callbacks is None else [list(each) for each in callbacks]
    for argument, values in (("data", data), ("callbacks", callbacks)):
        if len(values) != len(models):
            raise ValueError(f"{argument} must be one for each of {len(models)} models, got {len(values)}")
    _check_models(models)
    _check_data(models, data, steps_per_epoch)
    lengths = [_length(each) for each in data]
    if steps_per_epoch is None and (lengths[0] is None or len(set(lengths)) > 1):
        given = ", ".join("unknown" if length is None else str(length) for length in lengths)
        raise ValueError(f"data must have one known length, or steps_per_epoch must be given; got lengths {given}")
    steps_per_epoch = lengths[0] if steps_per_epoch is None else steps_per_epoch
    program.take_data(models, data)
    program.take_models(models)
    bars = [keras.callbacks.ProgbarLogger()] if verbose else []
    rows = [
        _Row(model, [*own, keras.callbacks.History(), *(bars if model is models[0] else [])])
        for model, own in zip(models, callbacks, strict=True)
    ]
    for row, pipeline in zip(rows, data, strict=True):
        row.begin({"epochs": epochs, "steps": steps_per_epoch, "verbose": int(bool(verbose))}, pipeline)
    _fit(program, rows, range(initial_epoch, epochs), steps_per_epoch)
    return [next(each for each in row.callbacks if type(each) is keras.callbacks.History) for row in rows]


class TogetherProgram:
    """Training steps of several models of one kind, compiled once for each number of models and of steps.

    What the models differ in (weights, optimizer, counters, seed, hyper-parameters) is state, and so an argument of the
    program, as a table of images is. It keeps one of the models, whose `train_step` is traced, and the table of images
    on the device.

    Example:

    ```python
    program = kv.models.TogetherProgram()
    for models, data in groups:  # on JAX: each a few models, and the pipeline of each
        kv.fit_together(models, data, steps_per_epoch=1000, program=program)
    ```
    """

    def __init__(self):
        self.template = self.kind = self.steps = None

    def take_data(self, models, data) -> None:
        """Have models find the images of their pipelines' indices in one table, and know their constants."""
        known = [model.device_images[True] for model in models]
        if self.template is not None:
            held = self.template.device_images[True]
            if held is not None and held.data is not getattr(data[0], "rendered_from", None):
                self.template = None  # not two tables in the device's memory
            else:
                known.insert(0, held)
        device_images = device_images_of(data[0], known)
        for model, pipeline in zip(models, data, strict=True):
            if device_images is not model.device_images[True]:
                model.device_images[True], model.train_function = device_images, None
            if not model.knows_pixel_constants and getattr(pipeline, "standardization", None) is not None:
                model.adapt(pipeline)

    def take_models(self, models) -> None:
        """Serve models of one kind; compiled again where they are of another than before.

        Raises:
            ValueError: for models that differ in more than their state, naming the first difference.
        """
        kinds = [_kind_of(model) for model in models]
        for number, kind in enumerate(kinds):
            if kind != kinds[0]:
                raise ValueError(
                    "models must be alike but for weights, seed, step, learning rate and the numbers of "
                    f"hyper-parameters; models[{number}] differs from models[0] in {_difference(kinds[0], kind)}"
                )
        serves = (
            self.template is not None
            and models[0].device_images[True] is self.template.device_images[True]
            # Its owner may have changed the template since.
            and self.kind == kinds[0] == _kind_of(self.template)
        )
        if not serves:
            import jax

            self.template, self.kind = models[0], kinds[0]
            self.steps = jax.jit(self._steps, donate_argnums=0)

    def __call__(self, state, batches, active=None):
        """Some steps: the state afterwards, and the logs, each of shape (models,).

        Args:
            state: of all models, each array (models, …); it is used up.
            batches: NumPy arrays (steps, models, batch, …).
            active: None for all, or boolean (models,): the state of the others stays as it is.
        """
        source = self.template.device_images[True]
        return self.steps(state, batches, active, None if source is None else source.table)

    def _steps(self, state, batches, active, table):
        import jax

        source = self.template.device_images[True]
        step = jax.vmap(self.template.train_step)

        def chosen(new, old):
            return jax.numpy.where(active.reshape(active.shape + (1,) * (new.ndim - 1)), new, old)

        def one(state, batch):
            _, after = step(state, batch)
            return (after if active is None else jax.tree.map(chosen, after, state)), None

        with contextlib.nullcontext() if table is None else source.holding(table):
            count = len(jax.tree.leaves(batches)[0])
            if count == 1:
                state, _ = one(state, jax.tree.map(lambda part: part[0], batches))
            else:
                # As for a single model: XLA's CPU convolutions are much slower inside a loop than in straight code.
                unroll = min(count, 8) if jax.default_backend() == "cpu" else 1
                state, _ = jax.lax.scan(one, state, batches, unroll=unroll)
            return state, jax.vmap(self.template._logs)(state[3])


class _Stack:
    """Models whose state is in the program's hands while they are trained, and their own when it is asked for.

    A model that is part of it takes its state back by itself when a callback reads `callback.model`
    (`JAXTrainStep.jax_state_sync`).
    """

    def __init__(self, program, models):
        self.program, self.models, self.state = program, list(models), None
        self._own = set(range(len(self.models)))  # those that hold their state themselves
        for model in self.models:
            model.stacked = self

    def run(self, batches, active) -> dict[str, np.ndarray]:
        """Train all models, or those that are `active`, on batches as for the program; logs of shape (models,)."""
        if self._own:
            for model in self.models:
                self.give_back(model)
            stack, _ = _stack_and_take()
            self.state = stack([take_state(model) for model in self.models])
            self._own = set()
        self.state, logs = self.program(self.state, batches, None if all(active) else np.asarray(active))
        return logs

    def give_back(self, model) -> None:
        """Have a model hold its state itself."""
        place = next(place for place, each in enumerate(self.models) if each is model)
        if place not in self._own:
            _, take = _stack_and_take()
            for variables, values in zip(_variables(model), take(self.state, place), strict=True):
                for variable, value in zip(variables, values, strict=True):
                    variable.assign(value)
            self._own.add(place)

    def release(self) -> None:
        """Give all models back for good; not after a failure on the device that has taken their state with it."""
        lost = any(array.is_deleted() for array in keras.tree.flatten(self.state) if array is not None)
        for model in self.models:
            if not lost:
                self.give_back(model)
            model.stacked = None


@functools.cache
def _stack_and_take():
    """Compiled: the states of models stacked, and that of one taken out again."""
    import jax

    return (
        jax.jit(lambda states: jax.tree.map(lambda *parts: jax.numpy.stack(parts), *states)),
        jax.jit(lambda state, place: jax.tree.map(lambda array: array[place], state)),
    )


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
        self.batches = _batches(self.pipeline)


def _fit(program, rows, epochs, steps_per_epoch):
    together = rows[0].model.steps_per_execution
    stack = _Stack(program, [row.model for row in rows])
    stacked = rows
    try:
        _call(rows, "on_train_begin")
        for epoch in epochs:
            going = [row for row in rows if not row.model.stop_training]
            if 2 * len(going) <= len(stacked) and going:
                # Those that have stopped cost as much as the others: worth another compilation.
                stack.release()
                stack, stacked = _Stack(program, [row.model for row in going]), going
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
    return (keras.tree.map_structure(np.asarray, batch) for batch in batches_of(pipeline))


def _length(pipeline) -> int | None:
    """Batches of a pipeline; None for an endless one, or one that does not know."""
    if hasattr(pipeline, "cardinality"):
        return int(pipeline.cardinality()) if int(pipeline.cardinality()) >= 0 else None
    return pipeline.num_batches


def _check_models(models) -> None:
    if not models or not all(isinstance(model, VAE) for model in models):
        raise ValueError(f"models must be at least one model of kerasvae, got {models!r}")
    if len({id(model) for model in models}) < len(models):
        raise ValueError("models must differ: the same object is among them twice")
    if keras.distribution.distribution() is not None:
        raise ValueError("models cannot be trained together under a keras.distribution: they have one device")
    for number, model in enumerate(models):
        if not model.compiled or model.run_eagerly:
            raise ValueError(f"models[{number}] must be compiled, and not with run_eagerly=True")


def _check_data(models, data, steps_per_epoch) -> None:
    for number, (model, pipeline) in enumerate(zip(models, data, strict=True)):
        if not hasattr(pipeline, "element_spec") and not hasattr(pipeline, "num_batches"):
            raise ValueError(f"data[{number}] must be a tf.data.Dataset or a PyDataset, got {type(pipeline).__name__}")
        check_data(model, pipeline, f"data[{number}]", steps_per_epoch)
    shapes = [keras.tree.map_structure(lambda part: tuple(part.shape), first_batch(each, "data")) for each in data]
    sources = [[getattr(each, name, None) for name in ("rendered_from", "standardization")] for each in data]
    for number in range(1, len(data)):
        if shapes[number] != shapes[0]:
            raise ValueError(f"data must have batches of one shape: {shapes[0]}, but data[{number}] {shapes[number]}")
        if sources[number][0] is not sources[0][0] or sources[number][1] != sources[0][1]:
            raise ValueError(f"data must be of one data set with on_device=True: data[{number}] is of another")


def _kind_of(model):
    """What models must have in common to be trained by one program, as nested plain values.

    Classes, configurations and optimizers, without what is state: names, seeds, learning rates, and the numbers of
    hyper-parameters.
    """
    config = model.get_config()
    for name in hyperparameters(type(model)):
        schedule = model.__dict__[f"_schedule_{name}"]
        if not isinstance(schedule, KerasSchedule):
            config[name] = f"{type(schedule).__name__} of {len(schedule.parameters)}"
    kind = {
        "class": f"{type(model).__module__}.{type(model).__qualname__}",
        **config,
        "optimizer": keras.saving.serialize_keras_object(model.optimizer),
        "steps_per_execution": model.steps_per_execution,
        "shapes": [[(tuple(v.shape), v.dtype) for v in variables] for variables in _variables(model)],
    }
    return _without_state(kind, {})


def _without_state(value, names):
    if isinstance(value, dict):
        found = {}
        for key, part in value.items():
            if key == "name" and isinstance(part, str):
                # Keras numbers what has no name of its own; references to it follow.
                names.setdefault(part, f"name {len(names) + 1}")
            if key == "learning_rate" and isinstance(part, float):
                part = "a number"
            if key not in ("seed", "shared_object_id"):
                found[key] = _without_state(part, names)
        return found
    if isinstance(value, list | tuple):
        return [_without_state(part, names) for part in value]
    return names.get(value, value) if isinstance(value, str) else value


def _variables(model):
    return (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )


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
