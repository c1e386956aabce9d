import numpy as np
import pytest
from sklearn.svm import LinearSVC

from kerasvae.metrics import sap, sap_from_matrix


def draw(*sizes, samples=600, seed=0):
    rng = np.random.default_rng(seed)
    return np.stack([rng.integers(0, size, samples) for size in sizes], axis=1)


def grid(*sizes):
    return np.stack(np.meshgrid(*map(range, sizes), indexing="ij"), axis=-1).reshape(-1, len(sizes))


FACTORS = draw(2, 3, 7)
CODES = FACTORS @ np.random.default_rng(1).normal(size=(3, 4)) + np.random.default_rng(2).normal(size=(600, 4))


@pytest.mark.parametrize("scale, shift", [(1, 0), (10, 0), (0.1, 3), (1, -50)])
def test_accuracies_are_those_of_liblinears_machines(scale, shift):
    codes = CODES * scale + shift
    score = sap(codes[:400], FACTORS[:400], test=(codes[400:], FACTORS[400:]))
    expected = np.empty((4, 3))
    for latent in range(4):
        for factor in range(3):
            machine = LinearSVC(C=0.01, class_weight="balanced", dual=False, tol=1e-10, max_iter=100_000)
            machine.fit(codes[:400, [latent]], FACTORS[:400, factor])
            expected[latent, factor] = machine.score(codes[400:, [latent]], FACTORS[400:, factor])
    np.testing.assert_allclose(score.parts["matrix"], expected, atol=1e-12)
    ranked = np.sort(expected, axis=0)
    np.testing.assert_allclose(score.parts["per_factor"], ranked[-1] - ranked[-2], atol=1e-12)
    assert float(score) == pytest.approx((ranked[-1] - ranked[-2]).mean())


def test_machines_minimise_the_objective():
    """No better weight and intercept near by, for the objective as written in the literature."""
    from kerasvae.metrics.sap import _SupportVectorMachines

    latent, label = CODES[:, 0], FACTORS[:, 1]
    machines = _SupportVectorMachines(latent)
    machines.fit_predict(label, latent)
    own = 0.01 * 600 / (3 * np.bincount(label))
    weight, intercept = machines._newton(own, np.full(3, 0.01))

    def objective(value, w, b):
        sign = np.where(label == value, 1, -1)
        penalty = np.where(label == value, own[value], 0.01)
        return (w**2 + b**2) / 2 + (penalty * np.maximum(0, 1 - sign * (w * latent + b)) ** 2).sum()

    for value in range(3):
        best = objective(value, weight[value], intercept[value])
        for dw, db in ((1e-4, 0), (-1e-4, 0), (0, 1e-4), (0, -1e-4), (1e-4, 1e-4), (1e-4, -1e-4)):
            assert objective(value, weight[value] + dw, intercept[value] + db) > best


def test_two_values_that_a_latent_tells_apart():
    factors = draw(2, 2)
    assert float(sap(factors * 8.0 - 4, factors)) == pytest.approx(0.5, abs=0.1)  # the other latent is at chance


def test_continuous_by_hand_and_perfect():
    factors = grid(4, 5)
    assert float(sap(factors * [-3.0, 0.1] + 5, factors, continuous=True)) == pytest.approx(1)
    assert float(sap(factors @ [[1.0, 1.0], [1.0, -1.0]], factors, continuous=True)) == pytest.approx(0)
    assert float(sap(factors[:, [0, 1, 0, 1]] * 1.0, factors, continuous=True)) == pytest.approx(0)
    score = sap(CODES, FACTORS, continuous=True)
    expected = np.corrcoef(CODES.T, FACTORS.T)[:4, 4:] ** 2
    np.testing.assert_allclose(score.parts["matrix"], expected, rtol=1e-10)


def test_invariances():
    score = float(sap(CODES, FACTORS))
    assert float(sap(CODES[:, [3, 1, 0, 2]], FACTORS)) == score
    assert float(sap(CODES, FACTORS * 3 - 5)) == score  # values are labels
    assert float(sap(-CODES, FACTORS)) == pytest.approx(score, abs=0.01)  # ties at the boundary
    continuous = float(sap(CODES, FACTORS, continuous=True))
    for codes in (CODES[:, ::-1], CODES * [1e-3, -7, 1e9, 2] + [4, -1e3, 0, 1]):
        assert float(sap(codes, FACTORS, continuous=True)) == pytest.approx(continuous, abs=1e-9)


def test_dead_latents():
    codes = np.insert(CODES, 2, 0.7, axis=1)
    assert float(sap(codes, FACTORS)) <= float(sap(CODES, FACTORS))
    continuous = sap(codes, FACTORS, continuous=True)
    assert continuous.parts["matrix"][2].tolist() == [0, 0, 0]
    assert float(continuous) == pytest.approx(float(sap(CODES, FACTORS, continuous=True)))
    nearly = np.insert(CODES, 2, 1e-7 * np.arange(600) / 600, axis=1)  # variance below 1e-12
    assert sap(nearly, FACTORS, continuous=True).parts["matrix"][2].tolist() == [0, 0, 0]
    for mode in (False, True):
        assert float(sap(np.zeros((600, 3)), FACTORS, continuous=mode)) == 0


def test_extreme_codes_leave_no_nan():
    for codes in (CODES + 1e10, CODES * 1e36, CODES * 1e-36, CODES * 1e-9 + 1e9):
        for mode in (False, True):
            assert np.isfinite(sap(codes, FACTORS, continuous=mode).parts["matrix"]).all()


def test_one_latent_has_no_second_best_and_constant_factors_are_left_out():
    score = sap(CODES[:, :1], FACTORS)
    np.testing.assert_array_equal(score.parts["per_factor"], score.parts["matrix"][0])
    more = sap(CODES, np.insert(FACTORS, 1, 4, axis=1))
    assert float(more) == float(sap(CODES, FACTORS)) and more.parts["factors"] == (0, 2, 3)


def test_from_matrix():
    gaps = sap_from_matrix([[0.9, 0.2], [0.5, 0.8], [0.6, 0.1]])
    np.testing.assert_allclose(gaps["per_factor"], [0.3, 0.6])
    assert gaps["sap"] == pytest.approx(0.45)


def test_refuses():
    with pytest.raises(ValueError, match="test must be None where continuous is true"):
        sap(CODES, FACTORS, continuous=True, test=(CODES, FACTORS))
    with pytest.raises(ValueError, match="codes must be within float32's range"):
        sap(CODES * 1e40, FACTORS)
