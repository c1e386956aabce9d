"""The contract of `tests/contract.py`, for every objective."""

import contract
import keras
import pytest

every_objective = pytest.mark.parametrize("objective", contract.OBJECTIVES, ids=str)


@every_objective
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_step_is_the_gradient_of_the_formula(objective, reduction):
    contract.check_step_is_the_gradient_of_the_formula(objective, reduction)


@every_objective
def test_config_round_trip(objective):
    contract.check_config_round_trip(objective)


@every_objective
def test_saved_model_goes_on(objective, tmp_path):
    contract.check_saved_model_goes_on(objective, tmp_path)


@every_objective
def test_fused_steps(objective):
    if keras.config.backend() == "torch":
        with pytest.raises(ValueError, match="steps_per_execution"):
            contract.check_fused_steps(objective)
    else:
        contract.check_fused_steps(objective)


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="JAX always uses XLA, Torch never")
@pytest.mark.parametrize("objective", contract.OBJECTIVES[1:3], ids=str)
def test_fused_steps_with_xla_on_tensorflow(objective):
    contract.check_fused_steps(objective, jit_compile=True)


@pytest.mark.parametrize("objective", [each for each in contract.OBJECTIVES if each.weights], ids=str)
def test_reductions_agree(objective):
    contract.check_reductions_agree(objective)


@every_objective
def test_bfloat16(objective):
    contract.check_bfloat16(objective)


@every_objective
def test_losses(objective):
    contract.check_losses(objective)


@every_objective
def test_epoch_means(objective):
    contract.check_epoch_means(objective)


@every_objective
def test_uint8(objective):
    contract.check_uint8(objective)


@every_objective
def test_bad_input(objective):
    contract.check_bad_input(objective)
