"""What is said where a package is missing: all of it, and a command that brings it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import kerasvae
from kerasvae.extras import require

SOURCES = Path(kerasvae.__file__).parents[1]


def test_what_is_there():
    require("this", ["numpy", "json"], "export")


def test_all_that_is_missing_is_named():
    with pytest.raises(ImportError) as caught:
        require("format 'onnx'", ["no_such_one", "numpy", "no_such_two", "no_such_three"], "export")
    assert str(caught.value) == (
        "format 'onnx' needs no-such-one, no-such-two and no-such-three, which are not installed: "
        "pip install no-such-one no-such-two no-such-three; or, in a checkout of kerasvae: pip install -e '.[export]'"
    )


def test_no_extra_and_another_way():
    with pytest.raises(ImportError, match=r"^out needs no-such, which is not installed: pip install no-such$"):
        require("out", ["no_such"])
    with pytest.raises(ImportError, match=r"pip install no-such; or, in a checkout of kerasvae: make serve$"):
        require("out", ["no_such"], "serve", checkout="make serve")


def test_a_package_that_is_hidden(monkeypatch):
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(ImportError, match="out needs numpy, which is not installed"):
        require("out", ["numpy"])


def test_a_package_that_is_broken(monkeypatch, tmp_path):
    (tmp_path / "broken_package.py").write_text("import no_such_module_at_all")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match="which is there but cannot be imported: No module named 'no_such_module"):
        require("out", ["broken_package"], "export")


def test_no_advice_asks_an_index_for_kerasvae():
    for folder in ("kerasvae", "recipes"):
        for path in (SOURCES / folder).rglob("*.py"):
            assert not re.search(r"pip install ['\"`]*kerasvae", path.read_text(encoding="utf-8")), path


def test_it_loads_neither_keras_nor_numpy():
    program = (
        "import sys\nfrom kerasvae.extras import require\nrequire('x', ['json'])\n"
        "assert not {'keras', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": str(SOURCES)}, check=True)
