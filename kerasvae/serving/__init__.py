"""Trained encoders in production, on onnxruntime and NumPy alone: neither Keras nor a backend is imported."""

import os

# onnxruntime, from 1.32 on, sends usage data from its import on, unless asked not to. Who wants that sets 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


from kerasvae.serving.bundle import Bundle, Codes
from kerasvae.serving.encode_files import EncodedFiles, encode_files
from kerasvae.serving.images import ImageError
from kerasvae.serving.manifest import BundleError, Manifest, read_manifest

__all__ = [
    "Bundle",
    "BundleError",
    "Codes",
    "EncodedFiles",
    "ImageError",
    "Manifest",
    "encode_files",
    "read_manifest",
]
