"""Who may import whom (design.md, section 2), read off the source of every file."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import kerasvae

PACKAGE = Path(kerasvae.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
COMMAND = sorted((PACKAGE.parent / "kerasvae_command").glob("*.py"))
RECIPES = sorted((PACKAGE.parent / "recipes").glob("*.py"))
HEAVY = {"tensorflow_datasets", "keras_tuner", "matplotlib", "sklearn"}
BACKENDS = {"tensorflow", "jax", "torch"}

# Room -> the rooms, and the packages outside the standard library, that its files may import.
ALLOWED = {
    "__init__": (["registration"], []),
    "registration": ([], []),
    "checks": ([], ["numpy"]),
    "files": ([], []),
    "batch_stream": ([], ["keras"]),
    # h5py to look into the weights of a model, in a function
    "archives": ([], ["h5py", "numpy"]),
    "extras": ([], []),
    "locks": ([], []),
    "image_files": ([], ["numpy", "PIL"]),
    "math": (["checks"], ["keras"]),
    "schedules": (["checks"], ["keras", "numpy"]),
    "random_numbers": ([], ["keras"]),
    "networks": (["checks", "math"], ["keras", "numpy"]),
    "losses": (["checks", "math"], ["keras", "numpy"]),
    # networks for FactorVAE's default discriminator alone; encoders and decoders come as arguments
    "models": (
        "archives batch_stream checks files losses math networks random_numbers schedules".split(),
        ["keras", "numpy"],
    ),
    "metrics": (["archives", "checks", "files"], "joblib numba numpy rich scipy sklearn threadpoolctl".split()),
    # keras for PyDataset and for images made on the device
    "datasets": (
        ["archives", "batch_stream", "checks", "extras", "files", "image_files", "random_numbers"],
        "keras numpy PIL rich scipy tensorflow tensorflow_datasets".split(),
    ),
    "analysis": (
        ["archives", "checks", "math", "losses", "datasets", "metrics", "extras", "files"],
        "keras matplotlib numpy pandas rich scipy".split(),
    ),
    "callbacks": (["checks", "files", "math", "metrics", "models", "plots"], ["keras", "numpy"]),
    # rich for the progress of heat maps that average over many images
    "plots": (["checks", "files", "math", "metrics"], ["keras", "numpy", "scipy", "matplotlib", "rich"]),
    "runs": (["callbacks", "checks", "files", "locks", "models"], ["keras", "numpy"]),
    # serving to verify what was written; plots, in functions, for the model card
    "export": (
        "checks datasets extras files locks math metrics models plots serving".split(),
        "keras numpy rich scipy tensorflow onnx onnxruntime tf2onnx ai_edge_litert".split(),
    ),
    "report": (["analysis", "checks", "files", "metrics", "plots"], ["matplotlib", "numpy", "rich", "PIL"]),
    "serving": (
        ["checks", "extras", "files", "image_files", "locks"],
        "fastapi grpc mlserver numpy onnxruntime orjson PIL prometheus_client pyarrow pydantic rich starlette uvicorn "
        "uvloop".split(),
    ),
    "tuning": (None, None),
    "cli": (None, None),
}
# Where a backend's own package may be named, and how deep: at the top of the file, or in functions alone.
BACKEND_FILES = {
    "models/train_step/tensorflow.py": ("tensorflow", "anywhere"),
    "models/train_step/jax.py": ("jax", "anywhere"),
    "models/train_step/torch.py": ("torch", "anywhere"),
    "datasets/pipelines.py": ("tensorflow", "functions"),
    "datasets/prepared.py": ("tensorflow", "functions"),
    "export/artefacts.py": ("tensorflow", "functions"),
    "export/onnx_file.py": ("tensorflow", "functions"),
    "export/torch_program.py": ("torch", "functions"),
    "models/train_step/stacked.py": ("jax", "anywhere"),
}
# Documented names of keras.backend; the rest is internal.
PUBLIC_BACKEND = {"standardize_dtype"}
every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))


def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def at_top(tree):
    """The nodes that run when the module is imported: those outside functions."""
    waiting = list(tree.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))


def imported(nodes):
    """Dotted names that import statements bring in; of `from a import b` both a and a.b, as b may be a module."""
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def room(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def rooms_of(names):
    """Rooms of the package among dotted names."""
    return {name.split(".")[1] for name in names if name.startswith("kerasvae.")}


def packages_of(names):
    outside = {name.split(".")[0] for name in names} - {"kerasvae", "__future__"}
    return {name for name in outside if name not in sys.stdlib_module_names}


def module_file(name):
    base = PACKAGE.parent.joinpath(*name.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


def test_every_room_has_a_rule():
    assert COMMAND
    assert {room(path) for path in FILES} <= set(ALLOWED)


@every_file
def test_rooms_and_packages(path):
    names = imported(ast.walk(parsed(path)))
    rooms, packages = ALLOWED[room(path)]
    if rooms is not None:
        assert rooms_of(names) - {room(path)} <= set(rooms)
        assert packages_of(names) - BACKENDS <= set(packages)


@every_file
def test_a_room_does_not_go_through_the_front_door(path):
    # `from kerasvae import VAE` or `import kerasvae` would hide what is used, and make a circle.
    if path != PACKAGE / "__init__.py":
        names = imported(ast.walk(parsed(path)))
        assert all(module_file(f"kerasvae.{name}") for name in rooms_of(names))
        assert "kerasvae" not in imported(node for node in ast.walk(parsed(path)) if isinstance(node, ast.Import))


@every_file
def test_nobody_imports_tuning_or_cli(path):
    if room(path) not in ("tuning", "cli"):
        assert not rooms_of(imported(ast.walk(parsed(path)))) & {"tuning", "cli"}


@every_file
def test_backends_stay_in_their_files(path):
    tree = parsed(path)
    allowed, where = BACKEND_FILES.get(path.relative_to(PACKAGE).as_posix(), (None, None))
    assert packages_of(imported(ast.walk(tree))) & BACKENDS <= {allowed}
    if where == "functions":
        assert not packages_of(imported(at_top(tree))) & BACKENDS


@every_file
def test_keras_internals_are_not_used(path):
    tree = parsed(path)
    names = imported(ast.walk(tree))
    assert not any(name == "keras.src" or name.startswith(("keras.src.", "keras.backend.")) for name in names)
    assert "keras.backend" not in names
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
            owner = ast.unparse(node.value)
            assert owner != "keras.src"
            assert owner != "keras.backend" or node.attr in PUBLIC_BACKEND


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_recipes_import_the_package_as_kv_or_not_at_all(path):
    statements = [node for node in ast.walk(parsed(path)) if isinstance(node, ast.Import | ast.ImportFrom)]
    own = [ast.unparse(node) for node in statements if any(n.split(".")[0] == "kerasvae" for n in imported([node]))]
    assert own in ([], ["import kerasvae as kv"])


@pytest.mark.parametrize("path", COMMAND, ids=lambda path: path.name)
def test_the_command_imports_nothing_but_itself_at_its_top(path):
    names = {name.split(".")[0] for name in imported(at_top(parsed(path)))}
    assert names <= {"kerasvae_command", *sys.stdlib_module_names}


def loaded_by(code):
    """Packages that a program has loaded at its end."""
    program = f"import json, sys\n{code}\nprint(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    process = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    return set(json.loads(process.stdout.splitlines()[-1]))


def test_what_needs_no_keras_loads_none():
    code = "import kerasvae, kerasvae.metrics, kerasvae.analysis.tables, kerasvae.files, kerasvae_command"
    assert not loaded_by(code) & {"keras", *BACKENDS, *HEAVY - {"sklearn"}}


def test_the_rooms_that_need_keras_reach_no_heavy_import():
    waiting, seen = [f"kerasvae.{name}" for name in kerasvae.__all__ if name not in ("plots", "report", "tuning")], {}
    while waiting:
        name = waiting.pop()
        path = module_file(name)
        if path is None or name in seen:
            continue
        seen[name] = imported(at_top(parsed(path)))
        waiting.extend(seen[name])
    assert {"kerasvae.models", "kerasvae.metrics.dci", "kerasvae.export"} <= set(seen)
    assert not {name for name in seen if name.startswith(("kerasvae.tuning", "kerasvae.cli", "kerasvae.plots"))}
    found = {name: sorted(packages_of(names) & HEAVY) for name, names in seen.items()}
    assert not {name: heavy for name, heavy in found.items() if heavy}


@pytest.mark.parametrize(
    "code",
    [
        "import keras, kerasvae",
        "import kerasvae.serving, kerasvae.metrics, keras",
        "import kerasvae; kerasvae.losses; import keras",
    ],
)
def test_classes_are_registered_whichever_of_keras_and_the_package_comes_first(code):
    loaded_by(
        f"{code}\nfor name in ('BetaVAE', 'BoxBlurMSE', 'Cosine'): "
        "assert keras.saving.get_registered_object(f'kerasvae>{name}'), name"
    )


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="'kerasvae' has no attribute 'BetterVAE'"):
        kerasvae.BetterVAE  # noqa: B018
    assert set(kerasvae.__all__) <= set(dir(kerasvae))
    for name in kerasvae.__all__:
        assert getattr(kerasvae, name) is not None
