"""Registers the classes of this package with Keras once Keras is imported.

Keras finds the class of a saved model only among those that were registered, and imports no module to look for it. This
package can be imported without Keras, so whichever comes second sees to it.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import sys

# With what they import they define every class that is registered.
_DEFINING = ("kerasvae.models", "kerasvae.losses", "kerasvae.schedules")
_ROOMS = ("losses", "math", "models", "networks", "random_numbers", "schedules")


def register_with_keras() -> None:
    """Import what defines registered classes: now if Keras is imported, else right after it is."""
    if "keras" in sys.modules:
        _import_classes()
    elif not any(isinstance(finder, _KerasFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _KerasFinder())


def _import_classes() -> None:
    for name in _DEFINING:
        importlib.import_module(name)


class _KerasFinder(importlib.abc.MetaPathFinder):
    """Finds nothing by itself, but has Keras's loader call `_import_classes` at its end; once."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname != "keras":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_register(module):
                load(module)
                # A part of this package that is being imported just now cannot be imported by others yet; what it
                # defines registers itself.
                if not _parts_under_way():
                    _import_classes()

            spec.loader.exec_module = load_and_register
        return spec


def _parts_under_way() -> bool:
    """Whether a room that the classes are made of is being imported: without Keras none can have been."""
    return any(name.startswith("kerasvae.") and name.split(".")[1] in _ROOMS for name in sys.modules)
