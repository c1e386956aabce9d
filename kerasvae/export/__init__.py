"""Export of trained models for serving: an encoder as one artefact, or a bundle with all that serving takes."""

from kerasvae.export.bundle_export import BUNDLE_FORMATS, bundle
from kerasvae.export.encoder_export import FORMATS, encoder, run

__all__ = ["BUNDLE_FORMATS", "FORMATS", "bundle", "encoder", "run"]
