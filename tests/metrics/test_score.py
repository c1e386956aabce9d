import copy
import dataclasses
import json
import pickle

import numpy as np
import pytest

from kerasvae.metrics import Score


def test_number_repr_and_order():
    low, high = Score("mig", 0.25), Score("mig", np.float32(0.5))
    assert float(high) == 0.5 and type(high.value) is float
    assert repr(Score("mig", 0.51301)) == "Score(mig=0.513)"
    assert low < high and high > low and low <= low and high >= 0.5 and low < 0.3 and 0.3 > low
    assert low == Score("dci", 0.25, {"a": np.ones(2)}) and low == 0.25 and low != high and low != "mig"
    assert max([low, high]) is high and len({low, Score("mig", 0.25)}) == 1
    with pytest.raises(TypeError):
        low < "mig"  # noqa: B015


def test_frozen_with_its_own_parts():
    array = np.zeros(3)
    parts = {"array": array}
    score = Score("mig", 0.5, parts)
    array[0], parts["more"] = 1, 2
    assert score.parts["array"].tolist() == [0, 0, 0] and list(score.parts) == ["array"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        score.value = 1.0
    with pytest.raises(ValueError, match="read-only"):
        score.parts["array"][0] = 1


def test_survives_copy_and_pickle():
    score = Score("mig", 0.5, {"array": np.arange(3), "factors": (0, 2)})
    for twin in (copy.deepcopy(score), pickle.loads(pickle.dumps(score))):
        assert twin.to_json() == score.to_json()


def test_json():
    parts = {
        "array": np.arange(4).reshape(2, 2),
        "factors": (0, np.int64(2)),
        "nested": {"x": np.float32(0.5)},
        "none": None,
        "flag": np.bool_(True),
        "name": "kl",
        "bad": (np.inf, -np.inf, np.nan),
        "inner": Score("b", 2),
    }
    written = Score("a", 1, parts).to_json()
    assert written == {
        "name": "a",
        "value": 1.0,
        "parts": {
            "array": [[0, 1], [2, 3]],
            "factors": [0, 2],
            "nested": {"x": 0.5},
            "none": None,
            "flag": True,
            "name": "kl",
            "bad": ["inf", "-inf", "nan"],
            "inner": {"name": "b", "value": 2.0, "parts": {}},
        },
    }
    assert json.loads(json.dumps(written, allow_nan=False)) == written
    with pytest.raises(TypeError, match=r"parts\['f'\]\[0\] is of type function"):
        Score("a", 1, {"f": (test_json,)}).to_json()


def test_interval_and_warnings():
    plain = Score("mig", 0.5)
    assert plain.interval is None and plain.warnings == () and set(plain.to_json()) == {"name", "value", "parts"}
    score = Score("mig", 0.5, interval=np.array([0, 0.75]), warnings=["few samples"])
    assert score.interval == (0.0, 0.75) and score.warnings == ("few samples",) and score == plain
    written = score.to_json()
    assert written["interval"] == [0.0, 0.75] and written["warnings"] == ["few samples"]
    assert json.loads(json.dumps(written, allow_nan=False)) == written
    assert dataclasses.replace(plain, interval=(0.5, np.inf)).to_json()["interval"] == [0.5, "inf"]


@pytest.mark.parametrize(
    "arguments, error, match",
    [
        (("mig", 1, {}, 0.5), TypeError, "interval must be a pair of real numbers or None, got 0.5"),
        (("mig", 1, {}, ("a", "b")), TypeError, "interval must be a pair"),
        (("mig", 1, {}, (2, 1)), ValueError, "interval must have low at most high"),
        (("mig", 1, {}, (np.nan, 1)), ValueError, "interval must have low at most high"),
        (("mig", 1, {}, None, "few"), TypeError, "warnings must be a sequence of str, got 'few'"),
        (("mig", 1, {}, None, (1,)), TypeError, "warnings must be a sequence of str"),
        (("", 1), ValueError, "name must be a str"),
        ((3, 1), ValueError, "name must be a str"),
        (("mig", "high"), TypeError, "value must be a real number, got 'high'"),
        (("mig", 1j), TypeError, "value must be a real number"),
        (("mig", np.ones(2)), TypeError, "value must be a real number"),
        (("mig", None), TypeError, "value must be a real number, got None"),
        (("mig", 1, [1]), TypeError, "parts must be a mapping"),
        (("mig", 1, {1: 1}), TypeError, "parts must be a mapping with str keys"),
    ],
)
def test_refuses(arguments, error, match):
    with pytest.raises(error, match=match):
        Score(*arguments)
