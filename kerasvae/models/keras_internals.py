"""The private names of Keras that this package uses, all in this file; read in Keras 3.15.

None of them has a public counterpart. `tests/models/test_keras_internals.py` says what each must do, so that a Keras
that renames one fails there first.
"""

from __future__ import annotations

from keras.src.utils.rng_utils import get_random_seed


def has_global_seed() -> bool:
    """Whether `keras.utils.set_random_seed` was called, since when layers without a seed are repeatable, too."""
    return get_random_seed() is not None


def is_evaluation_by_fit(arguments: dict) -> bool:
    """Whether the arguments of `evaluate` are those with which `fit` calls it after each epoch."""
    return bool(arguments.get("_use_cached_eval_dataset"))


def variables_of(optimizer) -> list:
    """The model's variables that an optimizer moves."""
    return optimizer._trainable_variables


def has_value(variable) -> bool:
    """Whether a variable holds a value; on JAX `fit` takes it away while it trains."""
    return variable._value is not None


def state_in_training(model) -> dict:
    """On JAX, what `fit` has taken out of the variables and is training; empty before its first step."""
    return getattr(model, "_jax_state", None) or {}


def take_state(model) -> tuple:
    """On JAX, the state that `train_step` takes, in groups; the variables lose their values, as in `fit`."""
    return model._get_jax_state(
        trainable_variables=True,
        non_trainable_variables=True,
        optimizer_variables=True,
        metrics_variables=True,
        purge_model_variables=True,
    )


def state_sharding(model) -> tuple:
    """On JAX under a `keras.distribution`, how the groups of that state lie on the devices."""
    return model._get_state_sharding_spec()
