"""VAE as a Keras model: construction, use on arrays, evaluation, data on every kind of pipeline."""

import keras
import numpy as np
import pytest

import kerasvae as kv

SHAPE = (4, 6, 3)
IMAGES = np.random.default_rng(0).normal(size=(10, *SHAPE)).astype("float32")


def networks(shape=SHAPE, latents=2, decoder_shape=None, decoder_latents=None):
    return (
        kv.networks.mlp_encoder(shape, latents, hidden=(5,), seed=1),
        kv.networks.mlp_decoder(decoder_shape or shape, decoder_latents or latents, hidden=(5,), seed=2),
    )


def make(cls=kv.VAE, **arguments):
    model = cls(*networks(), **{"seed": 0, **arguments})
    model.compile(keras.optimizers.SGD(1e-3))
    return model


@pytest.mark.slow
def test_beta_one_is_the_vae():
    for reduction in ("sum", "mean"):
        models = [make(kv.VAE, reduction=reduction), make(kv.BetaVAE, beta=1.0, reduction=reduction)]
        histories = [model.fit(IMAGES, batch_size=5, epochs=3, shuffle=False, verbose=0).history for model in models]
        for name, values in histories[0].items():
            # Two compiled programs, which may round otherwise.
            assert histories[1][name] == pytest.approx(values, rel=1e-6)


def test_the_default_is_the_negative_evidence_lower_bound():
    history = make().fit(IMAGES, batch_size=10, verbose=0).history
    assert history["loss"][0] == pytest.approx(history["reconstruction_nats"][0] + history["kl_nats"][0], rel=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (networks(decoder_latents=3), "decoder must take as many latents"),
        (networks(decoder_shape=(4, 6, 1)), "decoder must return images"),
        (networks()[::-1], "encoder must take one image"),
        ((networks()[0], None), "decoder must be a built"),
        (("encoder", networks()[1]), "encoder must be a built"),
        ((keras.Sequential([keras.layers.Input(SHAPE), keras.layers.Flatten()]), networks()[1]), "encoder must return"),
    ],
)
def test_networks_that_do_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        kv.VAE(*arguments)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("reconstruction", "mce"),
        ("reduction", "none"),
        ("seed", -1),
        ("seed", 1.5),
        ("pixel_std", 0.0),
        ("pixel_std", [1.0, 2.0]),
        ("pixel_mean", float("nan")),
    ],
)
def test_bad_arguments(argument, value):
    with pytest.raises(ValueError, match=argument):
        kv.VAE(*networks(), **{argument: value})


def test_encode_does_not_depend_on_the_batch_size():
    model = make()
    mean, logvar = model.encode(IMAGES, return_logvar=True)
    for batch_size in (1, 3, 10, 64):
        np.testing.assert_allclose(model.encode(IMAGES, batch_size=batch_size), mean, rtol=1e-5, atol=1e-6)
    outputs = model.encoder(IMAGES)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(outputs["mean"]), mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(outputs["logvar"]), logvar, rtol=1e-5, atol=1e-6)
    assert mean.dtype == np.float32 and model.encode(IMAGES[:0]).shape == (0, 2)


def test_reconstruct_is_decode_of_encode_and_call():
    model = make()
    expected = model.decode(model.encode(IMAGES))
    np.testing.assert_array_equal(model.reconstruct(IMAGES), expected)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(model(IMAGES)), expected, rtol=1e-5, atol=1e-6)


def test_sample_is_a_function_of_its_seed():
    model = make()
    first = model.sample(4, seed=1)
    assert first.shape == (4, *SHAPE)
    np.testing.assert_array_equal(first, model.sample(4, seed=1))
    assert np.abs(first - model.sample(4, seed=2)).max() > 0


def test_bernoulli_decodes_to_probabilities():
    model = make(reconstruction=kv.losses.BernoulliNLL())
    logits = keras.ops.convert_to_numpy(model.decoder(np.ones((1, 2), "float32")))
    np.testing.assert_allclose(model.decode(np.ones((1, 2))), 1 / (1 + np.exp(-logits.astype("float64"))), rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model: model.encode(IMAGES[0]), "images must be .* shape"),
        (lambda model: model.encode(IMAGES[..., :1]), "images must be .* shape"),
        (lambda model: model.encode(IMAGES.astype("int32")), "images must be .* dtype"),
        (lambda model: model.encode(np.where(IMAGES > 1, np.inf, IMAGES)), "images must be finite"),
        (lambda model: model.encode(IMAGES, batch_size=0), "batch_size"),
        (lambda model: model.decode(np.zeros((2, 3))), "latents must be"),
        (lambda model: model.decode(np.full((2, 2), np.nan)), "latents must be"),
        (lambda model: model.sample(0), "count"),
    ],
)
def test_bad_arrays(call, message):
    with pytest.raises(ValueError, match=message):
        call(make())


def test_validation_does_not_change_training():
    runs = []
    for validation in (None, IMAGES[:4]):
        model = make()
        model.fit(IMAGES, batch_size=5, epochs=3, shuffle=False, verbose=0, validation_data=validation)
        runs.append([variable.numpy() for variable in model.trainable_variables])
    for a, b in zip(*runs, strict=True):
        np.testing.assert_array_equal(a, b)


def test_evaluation_is_another_draw_each_time_but_reproducible():
    first, second = make(), make()
    losses = [
        [model.evaluate(IMAGES, verbose=0, return_dict=True)["loss"] for _ in range(2)] for model in (first, second)
    ]
    assert losses[0] == losses[1] and losses[0][0] != losses[0][1]


def test_generators_and_pydatasets():
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return IMAGES[5 * index : 5 * index + 5]

    histories = []
    for data in (IMAGES, Batches(), ((IMAGES[5 * step :][:5],) for step in range(2))):
        # Steps are said, or Keras would warn that the generator ends.
        arguments = {"batch_size": 5, "shuffle": False} if data is IMAGES else {"steps_per_epoch": 2}
        histories.append(make().fit(data, verbose=0, **arguments).history)
    assert histories[0] == histories[1] == histories[2]


def test_tf_data_and_its_constants():
    tf = pytest.importorskip("tensorflow")
    data = kv.datasets.XYSquares(image_size=16, square_size=4, grid_size=2, num_squares=1)
    model = kv.VAE(*networks(data.image_shape), seed=0)
    model.compile()
    raw = data.images(np.arange(4))
    before = model.encode(raw)
    # What tf.data makes of a pipeline of ours no longer has its attributes, and the model says so when it matters.
    model.fit(kv.datasets.images(data, 4, steps=2).take(1), verbose=0)
    with pytest.warns(UserWarning, match=r"constants that it does not know.*model\.adapt\(data\)"):
        model.encode(raw)
    with pytest.raises(ValueError, match=r"got indices, int32 of shape \(4,\): give the pipeline with on_device"):
        model.fit(kv.datasets.images(data, 4, steps=2, on_device=True).take(1), verbose=0)
    model.fit(kv.datasets.images(data, 4, steps=1), verbose=0)
    assert model.pixel_std == tuple(data.std)
    np.testing.assert_allclose(model.encode(raw), model.encode(data.standardize(raw)), rtol=1e-4, atol=1e-5)
    assert np.abs(before - model.encode(raw)).max() > 1e-3
    fixed = kv.VAE(*networks(data.image_shape), seed=0, pixel_mean=0.5, pixel_std=0.5)
    fixed.compile()
    with pytest.warns(UserWarning, match=r"x standardises images with mean .*, but the model's pixel_mean is \[0.5"):
        fixed.fit(kv.datasets.images(data, 4, steps=1), verbose=0)
    assert fixed.pixel_mean == (0.5,) * 3  # what was given stays
    with pytest.raises(ValueError, match="x never ends"):
        model.fit(kv.datasets.images(data, 4), verbose=0)
    with pytest.raises(ValueError, match="AdaGVAE"):
        model.fit(kv.datasets.pairs(data, 4, steps=1), verbose=0)
    with pytest.raises(ValueError, match="x is empty"):
        model.fit(tf.data.Dataset.from_tensor_slices(data.standardize(raw)).batch(2).take(0), verbose=0)
    ada = kv.AdaGVAE(*networks(data.image_shape), seed=0)
    ada.compile()
    with pytest.raises(ValueError, match=r"kerasvae\.datasets\.pairs"):
        ada.fit(kv.datasets.images(data, 4, steps=1), verbose=0)


def test_without_optimizer_or_loss_argument():
    model = kv.VAE(*networks(), seed=0)
    model.compile()
    assert isinstance(model.optimizer, keras.optimizers.Adam) and float(model.optimizer.epsilon) == pytest.approx(1e-8)
    with pytest.raises(TypeError, match="loss"):
        model.compile(loss="mse")
