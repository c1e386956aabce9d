"""Studies of results; see `kerasvae.analysis.study`."""

from kerasvae.analysis import study

__all__ = ["study"]
