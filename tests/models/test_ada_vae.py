"""AdaGVAE against a computation latent by latent in NumPy, for hand-made posteriors."""

import keras
import numpy as np
import pytest

import kerasvae as kv


def given_posteriors(mean, logvar, **arguments):
    """An AdaGVAE whose encoder returns exactly these posteriors: image i is the number i, its code row i of a table."""
    count, latents = mean.shape
    image = keras.layers.Input((1, count, 1), name="image")
    flat = keras.layers.Flatten()(image)
    heads = {
        name: keras.layers.Dense(latents, use_bias=False, kernel_initializer="zeros", name=name)
        for name in ("mean", "logvar")
    }
    encoder = keras.Model(image, {name: head(flat) for name, head in heads.items()})
    for name, table in (("mean", mean), ("logvar", logvar)):
        heads[name].set_weights([table.astype("float32")])
    model = kv.AdaGVAE(encoder, kv.networks.mlp_decoder((1, count, 1), latents, hidden=(), seed=1), seed=0, **arguments)
    one_hot = np.eye(count, dtype="float32").reshape(count, 1, count, 1)
    half = count // 2
    return model, model.gather_images({"first": one_hot[:half], "second": one_hot[half:]})


def by_hand(mean, logvar, distance="symmetric", threshold=0.5, averaging="gvae"):
    """The rule of Locatello et al. 2020, section 4, one pair and one latent at a time, in float64."""
    mean, logvar = mean.astype("float64"), logvar.astype("float64")
    new_mean, new_logvar = mean.copy(), logvar.copy()
    half = len(mean) // 2
    for pair in range(half):
        a, b = pair, half + pair
        deltas = []
        for j in range(mean.shape[1]):
            va, vb, squared = np.exp(logvar[a, j]), np.exp(logvar[b, j]), (mean[a, j] - mean[b, j]) ** 2
            forward = 0.5 * (va / vb + squared / vb - 1 - np.log(va / vb))
            backward = 0.5 * (vb / va + squared / va - 1 - np.log(vb / va))
            deltas.append(forward if distance == "forward" else 0.5 * forward + 0.5 * backward)
        border = min(deltas) + threshold * (max(deltas) - min(deltas))
        for j, delta in enumerate(deltas):
            if delta < border:
                average = mean[b, j] if averaging == "authors" else (mean[a, j] + mean[b, j]) / 2
                new_mean[[a, b], j] = average
                new_logvar[[a, b], j] = np.log((np.exp(logvar[a, j]) + np.exp(logvar[b, j])) / 2)
    return new_mean, new_logvar


def posterior(model, images):
    return [keras.ops.convert_to_numpy(part) for part in model.posterior(images)]


@pytest.mark.parametrize("distance", ["symmetric", "forward"])
@pytest.mark.parametrize("threshold", [0.0, 0.25, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("averaging", ["gvae", "authors"])
def test_random_posteriors(distance, threshold, averaging):
    rng = np.random.default_rng(0)
    mean, logvar = rng.normal(size=(12, 5)).astype("float32"), rng.normal(size=(12, 5)).astype("float32")
    rule = {"distance": distance, "threshold": threshold, "averaging": averaging}
    model, images = given_posteriors(mean, logvar, **rule)
    for got, expected in zip(posterior(model, images), by_hand(mean, logvar, **rule), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_worked_example():
    # Unit variances: the symmetric divergence is half the squared difference of the means: 0, 0.5, 2. Border: 1.
    mean, logvar = np.array([[1.0, 0.0, 4.0], [1.0, 1.0, 2.0]]), np.zeros((2, 3))
    model, images = given_posteriors(mean, logvar)
    got, variance = posterior(model, images)
    np.testing.assert_allclose(got, [[1.0, 0.5, 4.0], [1.0, 0.5, 2.0]], rtol=1e-6)
    np.testing.assert_allclose(variance, 0.0, atol=1e-6)


def test_variances_are_averaged_not_their_logarithms():
    mean = np.array([[0.0, 0.0], [0.0, 9.0]])
    logvar = np.log(np.array([[1.0, 1.0], [3.0, 1.0]]))
    _, got = posterior(*given_posteriors(mean, logvar))
    np.testing.assert_allclose(np.exp(got[:, 0]), [2.0, 2.0], rtol=1e-6)


def test_a_latent_at_the_border_is_not_shared():
    # Unit variances: half of 1², 5² and 7², exact in float32; 12.5 is halfway from 0.5 to 24.5.
    mean = np.array([[0.0, 0.0, 0.0], [1.0, 5.0, 7.0]])
    got, _ = posterior(*given_posteriors(mean, np.zeros((2, 3))))
    np.testing.assert_array_equal(got, [[0.5, 0.0, 0.0], [0.5, 5.0, 7.0]])


def test_latents_tied_at_the_largest_distance_stay():
    mean = np.array([[0.0, 0.0, 0.0], [0.0, 2.0, 2.0]])
    got, _ = posterior(*given_posteriors(mean, np.zeros((2, 3))))
    np.testing.assert_array_equal(got, mean)


@pytest.mark.parametrize("distance", ["symmetric", "forward"])
def test_identical_pairs_share_nothing_and_change_nothing(distance):
    rng = np.random.default_rng(1)
    mean, logvar = (np.tile(rng.normal(size=(3, 4)), (2, 1)).astype("float32") for _ in range(2))
    got_mean, got_logvar = posterior(*given_posteriors(mean, logvar, distance=distance))
    np.testing.assert_array_equal(got_mean, mean)
    np.testing.assert_array_equal(got_logvar, logvar)


def test_one_latent_is_never_shared():
    mean, logvar = np.array([[0.0], [0.1]]), np.zeros((2, 1))
    got, _ = posterior(*given_posteriors(mean, logvar))
    np.testing.assert_allclose(got, mean)


def test_identical_images_make_it_a_beta_vae():
    images = np.random.default_rng(2).normal(size=(8, 4, 4, 1)).astype("float32")

    def networks():
        return kv.networks.mlp_encoder((4, 4, 1), 3, hidden=(5,), seed=1), kv.networks.mlp_decoder(
            (4, 4, 1), 3, hidden=(5,), seed=2
        )

    ada, beta = kv.AdaGVAE(*networks(), beta=0.5, seed=0), kv.BetaVAE(*networks(), beta=0.5, seed=0)
    for model in (ada, beta):
        model.compile(keras.optimizers.SGD(0.0))
    pair = ada.fit({"first": images, "second": images}, batch_size=8, verbose=0, shuffle=False).history
    # The same noise: a pair's two images take the rows that a batch of twice the size has.
    single = beta.fit(np.concatenate([images, images]), batch_size=16, verbose=0, shuffle=False).history
    for name in single:
        assert pair[name][0] == pytest.approx(single[name][0], rel=1e-6)


def masked(shared, ada=kv.AdaGVAE):
    """A compiled model of 3 latents and 8 random pairs with this mask."""
    shape = (4, 4, 1)
    model = ada(
        kv.networks.mlp_encoder(shape, 3, hidden=(), seed=1), kv.networks.mlp_decoder(shape, 3, hidden=(), seed=2)
    )
    model.compile()
    first, second = np.random.default_rng(4).normal(size=(2, 8, *shape)).astype("float32")
    return model, {"first": first, "second": second, "shared": shared}


@pytest.mark.parametrize("ada", [kv.AdaGVAE, kv.AdaMLVAE])
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int32", "int64"])
def test_masks_that_are_not_boolean_are_refused(ada, dtype):
    numbers = np.random.default_rng(5).integers(0, 2, size=(8, 3)).astype(dtype)
    for shared in (numbers, keras.ops.convert_to_tensor(numbers)):
        model, data = masked(shared, ada)
        got = str(shared.dtype).removeprefix("torch.").removeprefix("<dtype: '").removesuffix("'>")
        message = rf'x\["shared"\] must be boolean \(batch, 3\), got dtype {got}$'
        with pytest.raises(ValueError, match=message):
            model.gather_images(data)
    with pytest.raises(ValueError, match="must be boolean"):
        model.fit(data, verbose=0)
    assert int(model.step) == 0


@pytest.mark.parametrize("ada", [kv.AdaGVAE, kv.AdaMLVAE])
def test_boolean_masks_are_taken(ada):
    numbers = np.random.default_rng(5).random((8, 3)) < 0.5
    results = []
    for shared in (numbers, keras.ops.convert_to_tensor(numbers)):
        model, data = masked(shared, ada)
        results.append([keras.ops.convert_to_numpy(p) for p in model.posterior(model.gather_images(data), x=data)])
        mean, _ = results[-1]
        np.testing.assert_array_equal(mean[:8] == mean[8:], numbers)
    np.testing.assert_array_equal(*results)


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="masks come as tf.data tensors on TensorFlow alone")
def test_masks_of_a_pipeline():
    import tensorflow as tf

    for shared, dtype in ((np.ones((8, 3), "float32"), "float32"), (np.ones((8, 3), bool), None)):
        model, data = masked(shared)
        pipeline = tf.data.Dataset.from_tensor_slices(data).batch(4)
        if dtype is None:
            model.fit(pipeline, verbose=0)
            assert int(model.step) == 2
        else:
            with pytest.raises(ValueError, match=rf'x\["shared"\] must be boolean .*, got dtype {dtype}$'):
                model.fit(pipeline, verbose=0)


def test_a_mask_that_is_no_array_is_refused():
    model, data = masked([[True] * 3] * 8)
    with pytest.raises(ValueError, match=r'x\["shared"\] must be boolean \(batch, 3\), got list'):
        model.gather_images(data)


@pytest.mark.parametrize(
    ("argument", "value"), [("averaging", "mlvae"), ("distance", "kl"), ("threshold", 1.5), ("threshold", -0.1)]
)
def test_bad_arguments(argument, value):
    with pytest.raises(ValueError, match=argument):
        given_posteriors(np.zeros((2, 2)), np.zeros((2, 2)), **{argument: value})
