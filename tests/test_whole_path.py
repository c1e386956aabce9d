"""README's first script, at a small size: without a warning, twice the same, loaded and exported; on every backend."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import pytest

pytestmark = pytest.mark.slow
README = Path(__file__).parents[1] / "README.md"
SMALLER = {
    "batch_size=256, steps=57_600": "batch_size=4, steps=2",
    '["mig", "dci"], seed=0': '{"mig": {}, "dci": {"stages": 2}}, seed=0, train=40, test=20',
}
SHOW = """
import json
images = data.images([0, 70, 4097])
print(json.dumps([{name: float(score) for name, score in scores.items()}, model.encode(images).tolist()]))
"""
LOAD = """
import keras, kerasvae
images = kerasvae.datasets.XYSquares().images([0, 70, 4097])
import json
model = keras.saving.load_model("vae.keras")
suffix = ".pt2" if keras.config.backend() == "torch" else ""
exported = kerasvae.export.run("encoder" + suffix, images)["mean"]
codes = [each.encode(images).tolist() for each in (model, kerasvae.load("vae.keras"))]
print(json.dumps([*codes, exported.tolist()]))
"""


def run(code, folder):
    """What a program prints in the end; it must print no warning."""
    environment = {**os.environ, "PYTHONPATH": str(README.parent), "KERAS_BACKEND": keras.config.backend()}
    process = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert "Warning" not in process.stderr, process.stderr
    return json.loads(process.stdout.splitlines()[-1])


def test_the_whole_path(tmp_path):
    if keras.config.backend() != "torch":
        pytest.importorskip("tensorflow", reason="a SavedModel needs it")
    (script,) = re.findall(
        r"^## The whole path\n+```python\n(.*?)^```$", README.read_text(encoding="utf-8"), re.M | re.S
    )
    for large, small in SMALLER.items():
        assert large in script
        script = script.replace(large, small)
    assert 8 <= len(script.strip().splitlines()) <= 12
    printed = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        printed.append(run(script + SHOW, tmp_path / name))
    assert printed[0] == printed[1]
    loaded, by_us, exported = run(LOAD, tmp_path / "first")
    assert loaded == by_us == printed[0][1]
    for codes, same in zip(exported, loaded, strict=True):
        assert codes == pytest.approx(same, abs=1e-4)
