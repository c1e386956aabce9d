"""Trained encoders in production, on onnxruntime and NumPy alone."""
