"""Every objective in every mode: what trains, what is refused, and how far the losses are from the usual ones.

    python recipes/modes.py              # KERAS_BACKEND=jax or torch for the other backends

Modes are dtype policies, XLA, eager steps, fused steps, their combinations and, on TensorFlow, two replicas. Networks
are tiny, so the time is that of compiling.
"""

import functools
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import kerasvae as kv

SHAPE, LATENTS = (6, 5, 2), 3
OBJECTIVES = {
    "VAE": (kv.VAE, {}),
    "BetaVAE": (kv.BetaVAE, {"beta": 0.7}),
    "AnnealedVAE": (kv.AnnealedVAE, {"gamma": 2.0, "capacity": 0.5}),
    "BetaTCVAE mws": (kv.BetaTCVAE, {"dataset_size": 50}),
    "BetaTCVAE mss": (kv.BetaTCVAE, {"dataset_size": 50, "estimator": "mss"}),
    "DIPVAE i": (kv.DIPVAE, {"kind": "i"}),
    "DIPVAE ii": (kv.DIPVAE, {"kind": "ii"}),
    "InfoVAE": (kv.InfoVAE, {"alpha": 0.3, "lambda_mmd": 5.0}),
    "AdaGVAE": (kv.AdaGVAE, {"beta": 0.3}),
    "AdaMLVAE": (kv.AdaMLVAE, {"beta": 0.3}),
    "FactorVAE alternating": (kv.FactorVAE, {"gamma": 2.0}),
    "FactorVAE simultaneous": (kv.FactorVAE, {"gamma": 2.0, "update": "simultaneous"}),
}
MODES = {
    "eager": ("float32", {"run_eagerly": True}),
    "fused": ("float32", {"steps_per_execution": 3}),
    "xla": ("float32", {"jit_compile": True}),
    "fused xla": ("float32", {"steps_per_execution": 3, "jit_compile": True}),
    "bfloat16": ("mixed_bfloat16", {}),
    "float16": ("mixed_float16", {}),
    "float16 fused xla": ("mixed_float16", {"steps_per_execution": 3, "jit_compile": True}),
}


def trained(cls, arguments, policy="float32", **options):
    """The mean losses of two epochs of 5 steps."""
    keras.config.set_dtype_policy(policy)
    if cls is kv.FactorVAE:
        arguments = {**arguments, "discriminator": kv.networks.mlp_discriminator(LATENTS, hidden=(4,), seed=4)}
    encoder = kv.networks.mlp_encoder(SHAPE, LATENTS, hidden=(7,), seed=1)
    decoder = kv.networks.mlp_decoder(SHAPE, LATENTS, hidden=(7,), seed=2)
    model = cls(encoder, decoder, seed=3, **arguments)
    model.compile(keras.optimizers.Adam(0.01), **options)
    if policy == "mixed_float16":
        model.optimizer.dynamic_scale.assign(16.0)  # or the first steps are left out until it is small enough
    images = np.random.default_rng(0).normal(size=(40, *SHAPE)).astype("float32")
    data = {"first": images, "second": images[::-1].copy()} if cls.images_per_example == 2 else images
    return np.array(model.fit(data, batch_size=8, epochs=2, shuffle=False, verbose=0).history["loss"])


@functools.cache
def strategy():
    """Two replicas on the CPU. One strategy for all: TensorFlow numbers the collectives of a second one alike."""
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def replicas(cls, arguments):
    """The same on two replicas, as far as TensorFlow has them."""
    with strategy().scope():
        return trained(cls, arguments)


refusals = []  # in full, for below the table


def outcome(usual, function, *arguments, **options):
    try:
        return f"{np.abs(function(*arguments, **options) / usual - 1).max():.0e}"
    except (ValueError, RuntimeError) as error:
        refusals.append(f"{type(error).__name__}: {error}")
        return f"refused [{len(refusals)}]"
    finally:
        keras.config.set_dtype_policy("float32")


def main():
    tensorflow = keras.config.backend() == "tensorflow"
    if tensorflow:
        import tensorflow as tf

        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    modes = [*MODES, *(["2 replicas"] if tensorflow else [])]
    print(f"on {keras.config.backend()}: largest relative difference of the losses from the usual ones")
    print(f"{'':24}", *(f"{mode:>18}" for mode in modes))
    for name, objective in OBJECTIVES.items():
        # Compiled functions of other objectives are of no use any more, and take memory.
        keras.utils.clear_session()
        usual = trained(*objective)
        print(f"{name:24}", end="", flush=True)
        for policy, options in MODES.values():
            print(f" {outcome(usual, trained, *objective, policy, **options):>18}", end="", flush=True)
        print(f" {outcome(usual, replicas, *objective):>18}" if tensorflow else "", flush=True)
    for number, refusal in enumerate(refusals, start=1):
        print(f"[{number}] {refusal}")


if __name__ == "__main__":
    main()
