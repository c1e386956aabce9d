"""Every snippet of the README runs, in order and in one namespace, at a size that tests can afford."""

import functools
import re
import shlex
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import kerasvae as kv
from kerasvae.metrics import evaluate

README = Path(__file__).parents[1] / "README.md"
# Only numbers change.
SMALLER = {
    "57_600": "2",
    "batch_size=256": "batch_size=8",
    "epochs=50, steps_per_epoch=1000": "epochs=2, steps_per_epoch=1",
    "steps=50_000": "steps=3",
    "pairs=50_000": "pairs=20",
    "pairs=10_000": "pairs=20, radii=[]",
    '"bundles/squares", data,': '"bundles/squares", data, samples=16,',
}


def blocks(language, path=README):
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def small_evaluate(encode, data, scores, **arguments):
    options = {"dci": {"stages": 2}}
    scores = {each: options.get(each, {}) if isinstance(each, str) else each for each in scores}
    options = {name if isinstance(name, str) else name.__name__: what for name, what in scores.items()}
    if "bootstrap" in arguments:
        arguments["bootstrap"] = 2
    return evaluate(encode, data, options, train=40, test=20, **arguments)


@pytest.mark.slow
def test_python_snippets(tmp_path, monkeypatch):
    pytest.importorskip("tensorflow")
    if keras.config.backend() == "tensorflow":
        # Tracing would cost more than a few steps do.
        monkeypatch.setattr(kv.VAE, "compile", functools.partialmethod(kv.VAE.compile, run_eagerly=True))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(kv.metrics, "evaluate", small_evaluate)
    monkeypatch.setattr(kv.callbacks, "evaluate", small_evaluate_of_callbacks)
    (tmp_path / "photos").mkdir()
    for number in range(8):
        Image.new("RGB", (80, 70), (number, 0, 9)).save(tmp_path / "photos" / f"{number}.png")
    snippets = blocks("python")
    if keras.config.backend() != "tensorflow":
        # TensorFlow alone writes ONNX.
        snippets = [snippet for snippet in snippets if "bundle" not in snippet]
    text = "\n".join(snippets)
    for large, small in SMALLER.items():
        assert large in README.read_text(encoding="utf-8")
        text = text.replace(large, small)
    if keras.config.backend() == "torch":
        text = re.sub(r"^kv\.export.*$", "", text, flags=re.MULTILINE)  # Torch cannot write this format
    namespace = {}
    exec(compile(text, str(README), "exec"), namespace)
    assert int(namespace["model"].step.numpy()) == 3
    assert (tmp_path / "vae.keras").is_file() and (tmp_path / "traversals-002.png").is_file()


def test_what_contributors_are_shown():
    """The examples of CONTRIBUTING.md make one program; the bans show the bad next to the good and are read alone."""
    examples = [block for block in blocks("python", README.with_name("CONTRIBUTING.md")) if "# bad" not in block]
    namespace = {}
    exec(compile("\n".join(examples), "CONTRIBUTING.md", "exec"), namespace)
    data, model = namespace["Bars"](), namespace["model"]
    assert data.images([17]).sum() == 255 * 8 * (2 + 2)
    model.compile(run_eagerly=True)
    model.fit(kv.datasets.images(data, 4, steps=1), verbose=0)
    assert np.isfinite(model.encode(data.images([17]))).all()


def small_evaluate_of_callbacks(encode, data, scores, *, seed, train, test, progress):
    return evaluate(encode, data, scores, seed=seed, train=40, test=20, progress=progress)


def test_commands(tmp_path, monkeypatch):
    from kerasvae import cli

    # The parser itself refuses folders that hold no run, and files and folders that are not there.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "codes.npz").touch()
    (tmp_path / "sweep.csv").touch()
    for name in ("squares", "other"):
        (tmp_path / "bundles" / name).mkdir(parents=True)
        (tmp_path / "bundles" / name / "bundle.json").write_text("{}")
    (tmp_path / "runs/a").mkdir(parents=True)
    (tmp_path / "runs/a/settings.json").write_text("{}")
    parser = cli.parser()
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("kerasvae ")]
    assert {shlex.split(line)[1] for line in lines} == set(cli.COMMANDS)
    for line in lines:
        parser.parse_args(shlex.split(line, comments=True)[1:])


def test_files_it_names_exist():
    text = README.read_text(encoding="utf-8")
    for path in re.findall(r"(?:assets|recipes)/[\w./-]+\.\w+", text):
        assert (README.parent / path).is_file(), path


def test_every_name_of_the_table_exists():
    text = README.read_text(encoding="utf-8")
    names = re.findall(r"`kv\.([\w.]+)`", text)
    assert len(names) > 10
    for name in names:
        owner = kv
        for part in name.split("."):
            owner = getattr(owner, part)
