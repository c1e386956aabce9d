"""The custom train_step, one thin mixin a backend; the one in use is `TrainStep`.

Each mixin gives a model `train_step`, `test_step` and `make_train_function` around its `compute_loss(x, training=...)`,
which holds all of the mathematics, and `replica()` and `run_network(network, batch)`.
"""

import keras

if keras.config.backend() == "tensorflow":
    from kerasvae.models.train_step.tensorflow import TensorFlowTrainStep as TrainStep
elif keras.config.backend() == "jax":
    from kerasvae.models.train_step.jax import JAXTrainStep as TrainStep
elif keras.config.backend() == "torch":
    from kerasvae.models.train_step.torch import TorchTrainStep as TrainStep
else:
    raise ImportError(
        f"kerasvae trains on the Keras backends tensorflow, jax and torch; KERAS_BACKEND is {keras.config.backend()!r}"
    )

__all__ = ["TrainStep"]
