"""What `compile` may be given: an optimizer, and none of Keras's arguments for losses and metrics."""

from __future__ import annotations

import keras


def checked_optimizer(optimizer, argument: str):
    """The optimizer that an object, a name or None (the default) stands for; ValueError naming `argument` otherwise."""
    if optimizer is None:
        return keras.optimizers.Adam(1e-3, epsilon=1e-8)
    try:
        return keras.optimizers.get(optimizer)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{argument} must be a Keras optimizer, such as keras.optimizers.Adam(1e-3), or its name, got {optimizer!r}"
        ) from error


def refuse_other_arguments(model: str, arguments) -> None:
    """TypeError for arguments that the class named `model` does not take, with what to write instead."""
    loss = f"the reconstruction loss is an argument of the model: {model}(encoder, decoder, reconstruction=...)"
    scores = "scores of the codes are a callback of fit: kv.callbacks.DisentanglementScores(data, ['mig'])"
    remedies = {"loss": loss, "loss_weights": loss, "metrics": scores, "weighted_metrics": scores}
    for name, value in arguments.items():
        if name not in remedies:
            raise TypeError(
                f"compile() takes no {name!r}; it takes optimizer, steps_per_execution, jit_compile, run_eagerly and "
                "auto_scale_loss"
            )
        if value is not None:
            raise TypeError(f"compile() takes no {name}: {remedies[name]}")
