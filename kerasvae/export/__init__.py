"""Export of trained models for serving: an encoder as one artefact, or a bundle with all that serving takes."""

from kerasvae.export.bundle import bundle
from kerasvae.export.encoder import encoder, run
from kerasvae.export.formats import FORMATS

__all__ = ["FORMATS", "bundle", "encoder", "run"]
