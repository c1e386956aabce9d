import gc

import pytest

pytest.register_assert_rewrite("contract", "study_processes")


def pytest_collection_finish():
    """Leave what was imported out of every later collection of garbage, which Keras asks for at each of its resets."""
    gc.collect()
    gc.freeze()
