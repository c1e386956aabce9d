"""A functional model as an ExportedProgram of Torch, which Torch alone writes and runs."""

from __future__ import annotations

import os

import numpy as np

# A batch of any size has to have a largest one.
_LARGEST_BATCH = 2**16


def write_torch(network, path) -> None:
    """Write a functional model with one named input, and outputs in a dictionary."""
    import torch

    (name,) = network.input
    batch = torch.export.Dim("batch", min=1, max=_LARGEST_BATCH)
    network.export(path, format="torch", verbose=False, dynamic_shapes=({name: {0: batch}},))


def run_torch(path, inputs: dict) -> dict[str, np.ndarray]:
    """Outputs by name for inputs by name, on the device that it was written for."""
    import torch

    program = torch.export.load(os.fspath(path)).module()
    weight = next((tensor for tensor in (*program.parameters(), *program.buffers())), torch.empty(0))
    given = {name: torch.from_numpy(np.ascontiguousarray(values)).to(weight.device) for name, values in inputs.items()}
    with torch.no_grad():
        return {name: output.cpu().numpy() for name, output in program(given).items()}
