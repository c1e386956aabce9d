"""Every door of a model treats raw, standardised, paired and indexed images alike."""

import warnings

import keras
import numpy as np
import pytest

import kerasvae as kv

DATA = kv.datasets.XYSquares(grid_spacing=4, image_size=12, square_size=4, grid_size=3, num_squares=1)
RAW = DATA.images(np.arange(9))
STANDARDISED = DATA.standardize(RAW)
HALVES = {"first": RAW[:4], "second": RAW[4:8]}


def make(cls=kv.BetaVAE, reconstruction=None, **arguments):
    model = cls(
        kv.networks.mlp_encoder(DATA.image_shape, 2, hidden=(5,), seed=1),
        kv.networks.mlp_decoder(DATA.image_shape, 2, hidden=(5,), seed=2),
        reconstruction,
        **{"seed": 0, **arguments},
    )
    model.compile(keras.optimizers.SGD(1e-2), run_eagerly=keras.config.backend() == "tensorflow")
    return model


def trained(cls=kv.BetaVAE, **arguments):
    model = make(cls, **arguments)
    pipeline = kv.datasets.pairs if cls is kv.AdaGVAE else kv.datasets.images
    model.fit(pipeline(DATA, 4, steps=2), verbose=0)
    return model


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def assert_close(first, second):
    np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cls", [kv.BetaVAE, kv.AdaGVAE])
def test_one_picture_through_every_door(cls):
    model = trained(cls)
    codes = model.encode(STANDARDISED)
    expected = model.decode(codes)
    assert np.abs(expected[0] - expected[1]).max() > 1e-4
    for images in (RAW, STANDARDISED):
        assert_close(model.encode(images), codes)
        for door in (model, model.reconstruct, lambda images: model.predict(images, batch_size=4, verbose=0)):
            assert_close(numpy(door(images)), expected)
        assert_close(numpy(model(keras.ops.convert_to_tensor(images))), expected)


@pytest.mark.parametrize("cls", [kv.BetaVAE, kv.AdaGVAE])
def test_losses_of_raw_images_are_those_of_standardised_ones(cls):
    losses = []
    for images in (RAW, STANDARDISED):
        model = trained(cls)
        data = images if cls is kv.BetaVAE else {"first": images, "second": images[::-1].copy()}
        losses.append(list(model.evaluate(data, verbose=0, return_dict=True).values()))
        losses.append(list(model.fit(data, shuffle=False, verbose=0).history.values()))
    np.testing.assert_allclose(losses[0], losses[2], rtol=1e-4)
    np.testing.assert_allclose(losses[1], losses[3], rtol=1e-4)


def test_pairs_give_what_their_images_give():
    model = trained(kv.AdaGVAE)
    pairs = {"encode": model.encode, "reconstruct": model.reconstruct, "call": model}
    pairs["predict"] = lambda images: model.predict(images, verbose=0)
    for name, door in pairs.items():
        got = door(HALVES)
        for key in ("first", "second"):
            single = model.encode(HALVES[key]) if name == "encode" else model.reconstruct(HALVES[key])
            assert_close(numpy(got[key]), single)


@pytest.mark.parametrize("form", ["tf.data", "pydataset"])
@pytest.mark.parametrize("on_device", [False, True])
def test_pipelines_give_what_their_images_give(form, on_device):
    if form == "tf.data":
        pytest.importorskip("tensorflow")
    model = trained()
    order = kv.datasets.images(DATA, 4, steps=2, on_device=True, form="pydataset")
    indices = np.concatenate([order[0], order[1]])
    pipeline = kv.datasets.images(DATA, 4, steps=2, form=form, on_device=on_device)
    assert_close(model.encode(pipeline), model.encode(RAW[indices]))
    assert_close(model.reconstruct(pipeline), model.reconstruct(RAW[indices]))
    assert_close(model.predict(pipeline, verbose=0), model.reconstruct(RAW[indices]))
    mean, logvar = model.encode(pipeline, return_logvar=True)
    assert mean.shape == logvar.shape == (8, 2)
    ada = trained(kv.AdaGVAE)
    pairs = kv.datasets.pairs(DATA, 4, steps=1, form=form, on_device=on_device)
    images = kv.datasets.pairs(DATA, 4, steps=1, form="pydataset")[0]
    for got in (ada.predict(pairs, verbose=0), ada.reconstruct(pairs)):
        assert_close(got["second"], ada.reconstruct(images["second"]))


def test_an_endless_pipeline_is_refused_where_all_of_it_is_wanted():
    model = trained()
    for call in (model.encode, model.reconstruct, model.predict):
        with pytest.raises(ValueError, match="never end"):
            call(kv.datasets.images(DATA, 4))
    assert model.predict(kv.datasets.images(DATA, 4), steps=2, verbose=0).shape == (8, *DATA.image_shape)


@pytest.mark.parametrize("loss", [kv.losses.BernoulliNLL(), keras.losses.BinaryCrossentropy(from_logits=True)])
def test_reconstructions_are_images_where_the_loss_takes_logits(loss):
    model = make(reconstruction=loss)
    model.fit(kv.datasets.images(DATA, 4, steps=1, standardize=False), verbose=0)
    codes = model.encode(RAW)
    logits = numpy(model.decoder(codes)).astype("float64")
    for images in (model.decode(codes), model.reconstruct(RAW), numpy(model(RAW)), model.predict(RAW, verbose=0)):
        assert_close(images, 1.0 / (1.0 + np.exp(-logits)))


def test_adapt_takes_constants_by_hand():
    for source in (DATA, kv.datasets.images(DATA, 4, steps=1)):
        model = make()
        model.adapt(source)
        assert model.knows_pixel_constants
        np.testing.assert_allclose(model.pixel_std, DATA.std, rtol=1e-6)
        assert_close(model.encode(RAW), model.encode(STANDARDISED))
    model.adapt(RAW)
    np.testing.assert_allclose(model.pixel_mean, RAW.mean(axis=(0, 1, 2)) / 255.0)
    np.testing.assert_allclose(model.pixel_std, [RAW[..., 0].std() / 255.0, 1.0, 1.0])
    for wrong in (STANDARDISED, "photos", None):
        with pytest.raises(ValueError, match="data must be a data set"):
            make().adapt(wrong)


def test_adapt_after_use_reaches_compiled_functions():
    model = make()
    before = model.predict(RAW, verbose=0)
    model.adapt(DATA)
    after = model.predict(RAW, verbose=0)
    assert np.abs(after - before).max() > 1e-4
    assert_close(after, model.reconstruct(STANDARDISED))


def test_raw_images_after_training_on_standardised_arrays_are_warned_of():
    model = make()
    model.fit(STANDARDISED, verbose=0)
    with pytest.warns(UserWarning, match=r"images: the model was trained on floating images outside 0..1"):
        model.encode(RAW)
    model.encode(RAW)  # once
    model.adapt(DATA)
    in_unit_range = make()
    in_unit_range.fit((RAW / 255.0).astype("float32"), verbose=0)
    assert_close(in_unit_range.encode(RAW), in_unit_range.encode((RAW / 255.0).astype("float32")))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (RAW.astype("float32"), r"floating images .* go from 0 to 255.*uint8"),
        (RAW.astype("float32") - 128.0, r"floating images .* go from -128 to 127"),
        ((RAW > 0).astype("uint8"), r"uint8 images .* 0 and 1 alone.*multiply them by 255"),
    ],
)
def test_images_on_another_scale_are_warned_of_once(images, message):
    doors = {
        "fit": lambda model: model.fit(images, verbose=0),
        "evaluate": lambda model: model.evaluate(images, verbose=0),
        "encode": lambda model: model.encode(images),
        "reconstruct": lambda model: model.reconstruct(images),
        "predict": lambda model: model.predict(images, verbose=0),
        "call": lambda model: model(images),
    }
    for call in doors.values():
        model = make()
        # Codes near 0, whatever the scale.
        model.encoder.set_weights([1e-4 * weights for weights in model.encoder.get_weights()])
        model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
        with pytest.warns(UserWarning, match=message):
            call(model)
        call(model)


def test_plausible_images_are_not_warned_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        for images in (RAW, STANDARDISED, (RAW / 255.0).astype("float32"), np.zeros_like(RAW), STANDARDISED * 0.0):
            make().fit(images, verbose=0)


@pytest.mark.parametrize(
    ("loss", "allowed"),
    [
        (kv.losses.BernoulliNLL(), r"BernoulliNLL is made for images in 0..1"),
        (keras.losses.BinaryCrossentropy(from_logits=True), r"BinaryCrossentropy is made for images in 0..1"),
        (keras.losses.Poisson(), r"Poisson is made for images at least 0"),
    ],
)
def test_losses_of_images_in_a_range_are_warned_of_on_others(loss, allowed):
    model = make(reconstruction=loss)
    for data in (STANDARDISED, kv.datasets.images(DATA, 4, steps=1)):
        model = make(reconstruction=loss)
        model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
        with pytest.warns(UserWarning, match=allowed + ".*standardize=False"):
            model.evaluate(data, verbose=0)


def test_a_loss_of_probabilities_wants_a_decoder_of_probabilities():
    images = (RAW / 255.0).astype("float32")
    model = make(reconstruction=keras.losses.BinaryCrossentropy())
    with pytest.warns(UserWarning, match="takes the decoder.s outputs for probabilities.*BernoulliNLL"):
        model.fit(images, verbose=0)
    decoder = kv.networks.mlp_decoder(DATA.image_shape, 2, hidden=(5,), seed=2)
    decoder = keras.Model(decoder.input, keras.layers.Activation("sigmoid")(decoder.output))
    model = kv.BetaVAE(model.encoder, decoder, keras.losses.BinaryCrossentropy())
    model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    model.fit(images, verbose=0)


def test_the_exported_model_is_the_model(tmp_path):
    if keras.config.backend() == "torch":
        with pytest.raises(ValueError, match="tf_saved_model cannot be written from the torch backend"):
            make().export(tmp_path / "model")
        return
    tf = pytest.importorskip("tensorflow")
    for model, images in ((trained(), RAW), (make(), STANDARDISED)):
        path = tmp_path / images.dtype.name
        model.export(str(path))
        served = tf.saved_model.load(str(path)).signatures["serving_default"](image=tf.constant(images))
        assert_close(next(iter(served.values())).numpy(), model.reconstruct(images))


@pytest.mark.slow
def test_seeds_repeat_a_run_on_arrays_and_resume_its_order(tmp_path):
    def run(epochs, model=None):
        model = make() if model is None else model
        history = model.fit(STANDARDISED, batch_size=2, epochs=epochs, verbose=0).history["loss"]
        return model, history

    (first, history), (second, again) = run(4), run(4)
    assert history == again
    halfway, begun = run(2)
    halfway.save(tmp_path / "model.keras")
    resumed, rest = run(2, kv.load(tmp_path / "model.keras"))
    assert begun + rest == history
    for a, b, c in zip(first.get_weights(), second.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)
    # Another order in each epoch, and every image once in each.
    model = make()
    model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    losses = model.fit(STANDARDISED, batch_size=9, epochs=2, verbose=0).history["reconstruction_nats"]
    assert np.ptp(losses) / losses[0] < 1.0


def test_a_seed_with_networks_that_have_none_is_warned_of():
    encoder = kv.networks.mlp_encoder(DATA.image_shape, 2, hidden=(5,))
    decoder = kv.networks.mlp_decoder(DATA.image_shape, 2, hidden=(5,), seed=2)
    with pytest.warns(UserWarning, match="weights or layers of encoder are random without a seed.*seed=1"):
        model = kv.BetaVAE(encoder, decoder, seed=1)
    kv.BetaVAE(encoder, decoder)  # without a seed nothing was promised
    try:
        keras.utils.set_random_seed(1)
        kv.BetaVAE(encoder, decoder, seed=1)  # Keras's own seed repeats them
    finally:
        keras.utils.clear_session()
    again = kv.BetaVAE.from_config(model.get_config())
    assert again.seed == 1
    with pytest.warns(UserWarning, match="of discriminator are random"):
        kv.FactorVAE(make().encoder, decoder, discriminator=kv.networks.mlp_discriminator(2, hidden=(3,)), seed=1)


def test_a_loss_that_is_no_number_stops_the_training_at_its_step():
    images = np.concatenate([STANDARDISED, STANDARDISED])[:12].copy()

    def batches():
        for step in range(6):
            batch = images[2 * step : 2 * step + 2].copy()
            if step == 3:
                batch[0, 0, 0, 0] = np.nan
            yield (batch,)

    model = make()
    saved = []
    watcher = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: saved.append(batch))
    with pytest.raises(FloatingPointError, match="the loss became nan in training step 4"):
        model.fit(batches(), steps_per_epoch=6, callbacks=[watcher], verbose=0)
    assert saved == [0, 1, 2]  # later callbacks do not see what has diverged


def test_weights_that_are_no_numbers_are_neither_saved_nor_loaded(tmp_path):
    model = make()
    weights = model.encoder.get_weights()
    weights[0][0, 0] = np.nan
    model.encoder.set_weights(weights)
    for call in (
        lambda: model.save(tmp_path / "model.keras"),
        lambda: model.save_weights(tmp_path / "model.weights.h5"),
        lambda: model.export(str(tmp_path / "model"), format="onnx"),
    ):
        with pytest.raises(ValueError, match=r"1 of \d+ numbers of its weight encoder_dense_1/kernel are NaN"):
            call()
    assert list(tmp_path.iterdir()) == []
    keras.Model.save(model, tmp_path / "other.keras")
    with pytest.raises(ValueError, match=r"other.keras' holds a model that is of no use: 1 of"):
        kv.load(tmp_path / "other.keras")


def test_a_posterior_that_degenerates_is_warned_of():
    model = make(beta=0.0)
    bias = model.encoder.get_layer("encoder_logvar").bias
    bias.assign(np.full(2, -400.0, "float32"))
    with pytest.warns(UserWarning, match=r"the posterior degenerates: the KL is 1\d\d(\.\d)? nats per latent"):
        model.fit(STANDARDISED, epochs=2, verbose=0)


@pytest.mark.skipif(keras.config.backend() == "torch", reason="Torch takes one step at a time")
@pytest.mark.parametrize("data", ["pipeline", pytest.param("array", marks=pytest.mark.slow)])
def test_fused_steps_are_as_many_as_were_asked_for(data):
    histories = []
    for together in (1, 4):
        model = make()
        model.compile(keras.optimizers.Adam(1e-2), steps_per_execution=together)
        if data == "array":
            history = model.fit(STANDARDISED, batch_size=2, epochs=3, verbose=0).history
        else:
            history = model.fit(kv.datasets.images(DATA, 2), epochs=3, steps_per_epoch=5, verbose=0).history
        assert int(model.step) == 15 and model.steps_per_execution == together
        histories.append(history)
    assert histories[0] == histories[1]
    with pytest.raises(ValueError, match=r"steps_per_epoch must be a multiple of steps_per_execution \(4\)"):
        model.fit(kv.datasets.images(DATA, 2, steps=20), epochs=2, steps_per_epoch=10, verbose=0)


def test_a_fit_that_fails_leaves_the_model_as_it_was():
    def batches(good):
        for _ in range(good):
            yield (STANDARDISED[:2],)
        raise RuntimeError("the disk is gone")

    for good in (0, 2):
        model, others = make(), make()
        model.compile(keras.optimizers.SGD(1e-2))
        with pytest.raises(Exception, match="the disk is gone"):
            model.fit(batches(good), steps_per_epoch=5, verbose=0)
        if good == 0:
            np.testing.assert_array_equal(model.encode(RAW), others.encode(RAW))
        assert np.isfinite(model.encode(RAW)).all()
        # TensorFlow's graph may count a step whose batch then does not come.
        assert int(model.step) in (good, good + (keras.config.backend() == "tensorflow"))
