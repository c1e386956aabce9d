"""Who may import whom (design.md, section 2), read off the source of every file."""

import ast
import dataclasses
import functools
import graphlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import kerasvae

PACKAGE = Path(kerasvae.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
COMMAND = sorted((PACKAGE / "cli").glob("*.py"))
RECIPES = sorted((PACKAGE.parent / "recipes").glob("*.py"))
HEAVY = {"tensorflow_datasets", "keras_tuner", "matplotlib", "sklearn"}
BACKENDS = {"tensorflow", "jax", "torch"}

# Room -> the rooms, and the packages outside the standard library, that its files may import.
ALLOWED = {
    "__init__": ([], []),
    "checks": ([], ["numpy"]),
    "files": ([], []),
    "batch_stream": ([], ["keras"]),
    # h5py to look into the weights of a model, in a function
    "archives": ([], ["h5py", "numpy"]),
    "extras": ([], []),
    "locks": ([], []),
    "tables": ([], ["rich"]),
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
    "perception": (["checks", "files", "losses", "tables"], "keras matplotlib numpy rich scipy".split()),
    "analysis": (["archives", "checks", "extras", "files", "metrics", "tables"], "numpy pandas rich scipy".split()),
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
    "__main__": (["cli"], []),
}
# Where backends' own packages may be named, and how deep: at the top of the file, or in functions alone.
BACKEND_FILES = {
    "models/train_step/tensorflow.py": ("tensorflow", "anywhere"),
    "models/train_step/jax.py": ("jax", "anywhere"),
    "models/train_step/torch.py": ("torch", "anywhere"),
    "models/fit_together.py": ("jax", "functions"),
    "datasets/pipelines.py": ("tensorflow", "functions"),
    "datasets/prepared.py": ("tensorflow", "functions"),
    "export/formats.py": ("tensorflow torch", "functions"),
}
# Documented names of keras.backend; the rest is internal.
PUBLIC_BACKEND = {"standardize_dtype"}


def at_top(tree):
    """The nodes that run when the module is imported: those outside functions and `if TYPE_CHECKING`."""
    waiting = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting.extend(node.orelse)
            continue
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


def rooms_of(names):
    """Rooms of the package among dotted names."""
    return {name.split(".")[1] for name in names if name.startswith("kerasvae.")}


def packages_of(names):
    outside = {name.split(".")[0] for name in names} - {"kerasvae", "__future__"}
    return {name for name in outside if name not in sys.stdlib_module_names}


@dataclasses.dataclass(eq=False)
class Source:
    """What one file imports, read once."""

    path: Path

    @functools.cached_property
    def tree(self):
        return ast.parse(self.path.read_text(encoding="utf-8"))

    @functools.cached_property
    def names(self):
        return imported(ast.walk(self.tree))

    @functools.cached_property
    def names_at_top(self):
        return imported(at_top(self.tree))

    @property
    def modules_at_top(self):
        """Our modules that it needs: of `from package import module` the module, not what else the package names."""
        needed = set()
        for node in at_top(self.tree):
            names = imported([node])
            if isinstance(node, ast.ImportFrom) and names - {node.module} <= set(MODULES):
                names.discard(node.module)
            needed |= names & set(MODULES)
        return needed

    @property
    def within(self):
        return self.path.relative_to(PACKAGE).as_posix()

    @property
    def room(self):
        return self.within.split("/")[0].removesuffix(".py")

    @property
    def module(self):
        return ".".join(["kerasvae", *self.within.removesuffix(".py").removesuffix("__init__").strip("/").split("/")])


SOURCES = [Source(path) for path in FILES]
MODULES = {source.module.rstrip("."): source for source in SOURCES}


def offences(found):
    """{file: what it does that it must not}, of those that do any."""
    return {source.within: sorted(names) for source, names in found if names}


def test_every_room_has_a_rule():
    assert {source.room for source in SOURCES} == set(ALLOWED)


def test_rooms_import_only_rooms_that_they_may():
    def others(source):
        rooms = ALLOWED[source.room][0]
        own = rooms_of(source.names) - {source.room, "__version__"}
        # The package's own file names the parts for type checkers alone.
        return own - set(rooms) if rooms is not None and source.room != "__init__" else ()

    assert not offences((source, others(source)) for source in SOURCES)


def test_rooms_import_only_packages_that_they_may():
    ruled = [source for source in SOURCES if ALLOWED[source.room][1] is not None]
    assert not offences(
        (source, packages_of(source.names) - BACKENDS - set(ALLOWED[source.room][1])) for source in ruled
    )


def test_no_room_is_above_itself():
    # The table has an order: a circle of rooms raises CycleError.
    order = list(graphlib.TopologicalSorter({room: rooms or () for room, (rooms, _) in ALLOWED.items()}).static_order())
    assert order.index("checks") < order.index("models") < order.index("runs")


def test_modules_import_each_other_in_no_circle():
    graph = {name: source.modules_at_top for name, source in MODULES.items()}
    order = list(graphlib.TopologicalSorter(graph).static_order())
    assert order.index("kerasvae.checks") < order.index("kerasvae.models.vae")


def test_a_room_does_not_go_through_the_front_door():
    # `from kerasvae import VAE` or `import kerasvae` would hide what is used, and make a circle.
    others = [source for source in SOURCES if source.within != "__init__.py"]
    assert not offences((source, rooms_of(source.names) - rooms_of(MODULES) - {"__version__"}) for source in others)
    plain = {s: imported(n for n in ast.walk(s.tree) if isinstance(n, ast.Import)) for s in others}
    assert not [source.within for source, names in plain.items() if "kerasvae" in names]


def test_nobody_imports_tuning_or_cli():
    others = [source for source in SOURCES if source.room not in ("__init__", "__main__", "tuning", "cli")]
    assert not offences((source, rooms_of(source.names) & {"tuning", "cli"}) for source in others)


def test_backends_stay_in_their_files():
    for source in SOURCES:
        allowed, where = BACKEND_FILES.get(source.within, ("", None))
        assert packages_of(source.names) & BACKENDS <= set(allowed.split()), source.within
        if where == "functions":
            assert not packages_of(source.names_at_top) & BACKENDS, source.within


def test_keras_internals_are_not_used():
    for source in SOURCES:
        internal = {name for name in source.names if f"{name}.".startswith(("keras.src.", "keras.backend."))}
        assert not internal or source.within == "models/keras_internals.py", source.within
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
                owner = ast.unparse(node.value)
                assert owner != "keras.src", source.within
                assert owner != "keras.backend" or node.attr in PUBLIC_BACKEND, source.within


def test_recipes_import_the_package_as_kv_or_not_at_all():
    for source in map(Source, RECIPES):
        statements = [node for node in ast.walk(source.tree) if isinstance(node, ast.Import | ast.ImportFrom)]
        own = [ast.unparse(node) for node in statements if any(n.split(".")[0] == "kerasvae" for n in imported([node]))]
        assert own in ([], ["import kerasvae as kv"]), source.path.name


def test_the_command_imports_nothing_but_itself_at_its_top():
    for source in map(Source, COMMAND):
        names = {name.split(".")[0] for name in source.names_at_top}
        assert names <= {"kerasvae", *sys.stdlib_module_names}, source.path.name
        assert rooms_of(source.names_at_top) <= {"cli", "__version__"}, source.path.name


def loaded_by(code):
    """Packages that a program has loaded at its end."""
    program = f"import json, sys\n{code}\nprint(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    process = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    return set(json.loads(process.stdout.splitlines()[-1]))


def test_what_needs_no_keras_loads_none():
    code = "import kerasvae, kerasvae.metrics, kerasvae.tables, kerasvae.files, kerasvae.cli"
    assert not loaded_by(code) & {"keras", *BACKENDS, *HEAVY - {"sklearn"}}


def test_the_rooms_that_need_keras_reach_no_heavy_import():
    waiting, seen = [f"kerasvae.{name}" for name in kerasvae.__all__ if name not in ("plots", "report", "tuning")], {}
    while waiting:
        name = waiting.pop()
        if name not in MODULES or name in seen:
            continue
        seen[name] = MODULES[name].names_at_top
        waiting.extend(seen[name])
    assert {"kerasvae.models", "kerasvae.metrics.dci", "kerasvae.export"} <= set(seen)
    assert not {name for name in seen if name.startswith(("kerasvae.tuning", "kerasvae.cli", "kerasvae.plots"))}
    found = {name: sorted(packages_of(names) & HEAVY) for name, names in seen.items()}
    assert not {name: heavy for name, heavy in found.items() if heavy}


@pytest.mark.parametrize(
    "code",
    [
        "import keras, kerasvae",
        pytest.param("import kerasvae; kerasvae.losses; import keras", marks=pytest.mark.slow),
        pytest.param("import keras, kerasvae.metrics", marks=pytest.mark.slow),
        pytest.param("import kerasvae, keras; kerasvae.networks", marks=pytest.mark.slow),
    ],
)
def test_classes_are_registered_once_both_keras_and_the_package_are_in_use(code):
    loaded_by(
        f"{code}\nfor name in ('BetaVAE', 'BoxBlurMSE', 'Cosine'): "
        "assert keras.saving.get_registered_object(f'kerasvae>{name}'), name"
    )


def test_the_names_for_type_checkers_are_the_public_ones():
    blocks = [node for node in MODULES["kerasvae"].tree.body if isinstance(node, ast.If)]
    (block,) = (node for node in blocks if ast.unparse(node.test) == "TYPE_CHECKING")
    assert sorted(alias.name for node in block.body for alias in node.names) == sorted(kerasvae.__all__)


def test_importing_the_package_loads_nothing_outside_the_standard_library():
    assert "numpy" not in loaded_by("import kerasvae") and "keras" not in loaded_by("import kerasvae")


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="'kerasvae' has no attribute 'BetterVAE'"):
        kerasvae.BetterVAE  # noqa: B018
    assert set(kerasvae.__all__) <= set(dir(kerasvae))
    for name in kerasvae.__all__:
        assert getattr(kerasvae, name) is not None
