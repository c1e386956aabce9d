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
@pytest.mark.parametrize("jit_compile", [True, "auto"])
def test_fused_steps(objective, jit_compile):
    if keras.config.backend() == "torch":
        with pytest.raises(ValueError, match="steps_per_execution"):
            contract.check_fused_steps(objective, False)
    else:
        contract.check_fused_steps(objective, jit_compile)


@every_objective
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
