"""The contract of `tests/contract.py`, for every objective of `tests/contract_objectives.py`."""

import functools
import sys

import contract
import keras
import pytest
from contract_objectives import OBJECTIVES, VARIANTS

import kerasvae as kv

# One optimizer, pairs, statistics of a batch, two optimizers: the others are left to `make test-slow`.
KINDS = [OBJECTIVES[1], OBJECTIVES[2], OBJECTIVES[5], OBJECTIVES[-1]]


def marks(objective, mode=""):
    return [] if objective in KINDS and "xla" not in mode else [pytest.mark.slow]


def every(objectives):
    objectives = [pytest.param(each, id=str(each), marks=marks(each)) for each in objectives]
    return pytest.mark.parametrize("objective", objectives)


every_objective = every(OBJECTIVES)
each_at_once = pytest.mark.parametrize("objective", OBJECTIVES, ids=str)  # what is quick
# For what another argument of the same class does not change.
every_class = every({each.cls: each for each in [*OBJECTIVES, *KINDS]}.values())


@each_at_once
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_step_is_the_gradient_of_the_formula(objective, reduction):
    contract.check_step_is_the_gradient_of_the_formula(objective, reduction)


@pytest.mark.parametrize("objective", VARIANTS, ids=str)
def test_step_of_a_variant_is_the_gradient_of_the_formula(objective):
    contract.check_step_is_the_gradient_of_the_formula(objective, "sum")


@each_at_once
def test_config_round_trip(objective):
    contract.check_config_round_trip(objective)


@every_objective
def test_saved_model_goes_on(objective, tmp_path):
    contract.check_saved_model_goes_on(objective, tmp_path)


COMBINED = dict(
    zip(map(str, KINDS), ["fused-xla", "float16-fused-xla", "float16-eager", "float16-fused-xla"], strict=True)
)


@pytest.mark.parametrize(
    ("objective", "mode"),
    [
        pytest.param(objective, mode, id=f"{objective}-{mode}", marks=marks(objective, mode))
        for objective in OBJECTIVES
        for mode in [*contract.MODES, *([COMBINED[str(objective)]] if str(objective) in COMBINED else [])]
    ],
)
def test_mode(objective, mode):
    compiled = mode in ("fused", "fused-xla", "float16-fused-xla")
    if keras.config.backend() == "torch" and compiled:
        with pytest.raises(ValueError, match=r"jit_compile must be False .* on the torch backend"):
            contract.check_mode(objective, mode)
    else:
        contract.check_mode(objective, mode)


@pytest.mark.parametrize("objective", KINDS, ids=str)
def test_overflow(objective):
    contract.check_overflow(objective)


@pytest.mark.parametrize("objective", [each for each in OBJECTIVES if each.weights], ids=str)
def test_reductions_agree(objective):
    contract.check_reductions_agree(objective)


@every_objective
def test_bfloat16(objective):
    contract.check_bfloat16(objective)


@every_objective
def test_losses(objective):
    contract.check_losses(objective)


@every_class
def test_epoch_means(objective):
    contract.check_epoch_means(objective)


@every_objective
def test_uint8(objective):
    contract.check_uint8(objective)


@every_class
def test_export(objective, tmp_path):
    if keras.config.backend() == "torch":
        with pytest.raises(ValueError, match="cannot be written from the torch backend, which writes torch: save"):
            contract.check_export(objective, tmp_path)
        assert list(tmp_path.iterdir()) == []
    else:
        pytest.importorskip("tensorflow", reason="a SavedModel needs it")
        contract.check_export(objective, tmp_path)


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="compiling the study's shapes takes JAX too long")
@pytest.mark.parametrize("objective", KINDS, ids=str)
def test_tuner(objective, tmp_path, monkeypatch):
    # Tracing would cost more than the steps do, and so would a discriminator of six layers of 1000.
    monkeypatch.setattr(kv.VAE, "compile", functools.partialmethod(kv.VAE.compile, run_eagerly=True))
    discriminator = functools.partial(kv.networks.mlp_discriminator, hidden=(4,))
    monkeypatch.setattr(sys.modules["kerasvae.models.factor_vae"], "mlp_discriminator", discriminator)
    contract.check_tuner(objective, tmp_path)


@each_at_once
def test_bad_input(objective):
    contract.check_bad_input(objective)
