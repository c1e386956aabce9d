"""Export of trained models for serving: an encoder as one artefact, or a bundle with all that serving takes."""

from kerasvae.export.artefacts import FORMATS
from kerasvae.export.bundle_export import bundle
from kerasvae.export.encoder_export import encoder, run

__all__ = ["FORMATS", "bundle", "encoder", "run"]
