"""Pipelines of indices, whose images the step makes or looks up, give what pipelines of images give."""

import keras
import numpy as np
import pytest
from PIL import Image

import kerasvae as kv
from kerasvae.models.device_images import DeviceImages

SQUARES = kv.datasets.XYSquares(grid_size=3, square_size=2, grid_spacing=2, image_size=8, num_squares=2)
TABLE = kv.datasets.ImageTable(
    SQUARES.images(np.arange(81)), SQUARES.factor_names, SQUARES.factor_sizes, SQUARES.mean, SQUARES.std
)


def build(cls=kv.BetaVAE, steps_per_execution=1, **options):
    networks = (kv.networks.mlp_encoder, 1), (kv.networks.mlp_decoder, 2)
    model = cls(*(network((8, 8, 3), 2, hidden=(5,), seed=seed) for network, seed in networks), seed=3)
    model.compile(keras.optimizers.SGD(0.001, momentum=0.9), steps_per_execution=steps_per_execution, **options)
    return model


def train(model, pipeline, data, on_device):
    return model.fit(
        pipeline(data, 16, 7, on_device=on_device),
        validation_data=pipeline(data, 16, 3, seed=9, on_device=on_device),
        epochs=2,
        verbose=0,
    ).history


@pytest.mark.parametrize(
    "data",
    [
        SQUARES,
        kv.datasets.XYSquares(grid_size=4, square_size=3, image_size=9, grid_spacing=2),
        kv.datasets.XYSquares(grid_size=2, square_size=3, image_size=9, grid_spacing=1, rgb=False),
        kv.datasets.XYSquares(grid_size=2, square_size=3, image_size=5, grid_spacing=1, num_squares=1),
        TABLE,
    ],
    ids=str,
)
def test_device_images_are_the_images(data):
    indices = np.random.default_rng(0).permutation(len(data))[:50]
    table = data.device_table()
    table = None if table is None else keras.ops.convert_to_tensor(table)
    images = data.device_images(keras.ops.convert_to_tensor(indices.astype("int32")), table)
    images = keras.ops.convert_to_numpy(images)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, data.images(indices))


@pytest.mark.slow
def test_sprites_on_the_device(tmp_path):
    file = tmp_path / "background.png"
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, size=(90, 110, 3), dtype="uint8")).save(file)
    indices, draws = rng.integers(0, 737_280, size=20), rng.integers(0, 2**31, size=20)
    sprites = keras.ops.convert_to_tensor(kv.datasets.DSprites().device_table())
    on_device = [keras.ops.convert_to_tensor(numbers.astype("int32")) for numbers in (indices, draws)]

    def images(data, table):
        return keras.ops.convert_to_numpy(data.device_images(on_device[0], table, on_device[1]))

    data = kv.datasets.DSprites()
    np.testing.assert_array_equal(images(data, sprites), data.images(indices))
    for data in (
        kv.datasets.ColorDSprites(seed=3),
        kv.datasets.NoisyDSprites(seed=2**31 - 1),
        kv.datasets.ScreamDSprites(file, seed=4),
    ):
        table = {"sprites": sprites, "background": keras.ops.convert_to_tensor(getattr(data, "background", 0))}
        np.testing.assert_array_equal(images(data, table), data.images(indices, draws))


class Drawn(kv.datasets.GroundTruthData):
    """Images of one pixel that show their draw, on the device and off it."""

    factor_names, factor_sizes, image_shape, random = ("place",), (10,), (1, 1, 1), True
    mean, std = np.array([0.4]), np.array([0.2])

    def render(self, factors, draws=None):
        return np.asarray(draws).astype("uint8").reshape(-1, 1, 1, 1)

    def device_table(self):
        return None

    def device_images(self, indices, table, draws=None):
        return keras.ops.cast(keras.ops.reshape(draws, (-1, 1, 1, 1)), "uint8")


def test_draws_reach_the_device():
    pipelines = [kv.datasets.pairs(Drawn(), 6, 3, on_device=on_device, form="pydataset") for on_device in (False, True)]
    source = DeviceImages(Drawn(), *pipelines[0].standardization)
    for step in range(3):
        images, found = pipelines[0][step], source(pipelines[1][step])
        for key in ("first", "second"):
            np.testing.assert_array_equal(keras.ops.convert_to_numpy(found[key]), images[key])


@pytest.mark.slow
@pytest.mark.parametrize("cls, pipeline", [(kv.BetaVAE, kv.datasets.images), (kv.AdaGVAE, kv.datasets.pairs)])
def test_training_is_the_same(cls, pipeline):
    fused = 1 if keras.config.backend() == "torch" else 3
    models = build(cls), build(cls), build(cls, fused)
    expected = train(models[0], pipeline, SQUARES, on_device=False)
    # XLA on the CPU may order sums otherwise in another program.
    rounding = 1e-6 if keras.config.backend() == "jax" else 0.0
    for model, data in zip(models[1:], (SQUARES, TABLE), strict=True):
        history = train(model, pipeline, data, on_device=True)
        for name in expected:
            np.testing.assert_allclose(history[name], expected[name], rtol=rounding)
        for a, b in zip(model.get_weights(), models[0].get_weights(), strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=rounding)
        assert (model.pixel_mean, model.pixel_std) == (tuple(SQUARES.mean), tuple(SQUARES.std))


@pytest.mark.slow
def test_images_may_follow_indices_and_other_data_other_data():
    # Tracing for each kind of data takes TensorFlow longer than two steps.
    model, plain = (build(run_eagerly=keras.config.backend() == "tensorflow") for _ in range(2))
    others = kv.datasets.ImageTable(TABLE.table[::-1].copy(), tuple("abcd"), (3,) * 4, TABLE.mean, TABLE.std)
    for data, on_device in ((TABLE, True), (others, True), (SQUARES, False), (SQUARES, True)):
        pipelines = (kv.datasets.images(data, 16, 2, on_device=each) for each in (on_device, False))
        losses = [each.fit(p, verbose=0).history["loss"] for each, p in zip((model, plain), pipelines, strict=True)]
        np.testing.assert_allclose(losses[0], losses[1], rtol=1e-6)
        scores = [
            each.evaluate(kv.datasets.images(data, 16, 2, on_device=on), verbose=0)
            for each, on in ((model, on_device), (plain, False))
        ]
        np.testing.assert_allclose(scores[0], scores[1], rtol=1e-6)


def test_the_table_is_nowhere_but_on_the_device(tmp_path):
    table = np.random.default_rng(0).integers(0, 256, size=(5000, 8, 8, 3), dtype="uint8")
    data = kv.datasets.ImageTable(table, ("number",), (5000,), TABLE.mean, TABLE.std)
    model = build()
    model.fit(kv.datasets.images(data, 16, 2, on_device=True), verbose=0)
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    assert max(path.stat().st_size for path in tmp_path.iterdir()) < table.nbytes / 4
    assert model.count_params() == build().count_params()
    source = model.device_images[True]
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        program = tf.function(source).get_concrete_function(tf.TensorSpec((16,), "int32"))
        assert program.graph.as_graph_def().ByteSize() < table.nbytes / 4
    # The program in use reads the table: with another one in its place, and nothing compiled again, it sees that one.
    if keras.config.backend() == "jax":
        function = model.train_function
        source.table = keras.ops.zeros_like(source.table)
        blank = model.fit(kv.datasets.images(data, 16, 2, on_device=True), verbose=0).history["reconstruction_nats"]
        assert model.train_function is function
        images = kv.datasets.ImageTable(np.zeros_like(table), ("number",), (5000,), TABLE.mean, TABLE.std)
        expected = model.evaluate(kv.datasets.images(images, 16, 2), verbose=0, return_dict=True)
        assert blank[0] == pytest.approx(expected["reconstruction_nats"], rel=0.2)


def test_data_that_do_not_fit_are_refused():
    model = build()
    with pytest.raises(ValueError, match="shape"):
        model.fit(kv.datasets.images(kv.datasets.XYSquares(num_squares=1), 4, 2, on_device=True), verbose=0)
    with pytest.raises(ValueError, match="pairs"):
        build(kv.AdaGVAE).fit(kv.datasets.images(TABLE, 4, 2, on_device=True), verbose=0)
    with pytest.raises(ValueError, match="x never ends"):
        model.fit(kv.datasets.images(TABLE, 4, form="pydataset"), verbose=0)
    assert int(model.step) == 0


def test_py_datasets_train():
    models = build(), build()
    for model, form in zip(models, ("pydataset", None), strict=True):
        model.fit(kv.datasets.images(SQUARES, 16, 5, form=form), epochs=2, verbose=0)
    for a, b in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
