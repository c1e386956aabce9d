"""The train step on Torch, eager."""

from __future__ import annotations

import keras
import torch

from kerasvae.models.train_step.shares import apply_shares


class TorchTrainStep:
    def compile(self, *args, steps_per_execution=1, jit_compile="auto", **kwargs):
        # torch.compile cannot follow a step that calls `backward` itself; Keras's loop of steps is not made for Torch.
        if jit_compile is True or steps_per_execution > 1:
            raise ValueError(
                "jit_compile must be False or 'auto' and steps_per_execution 1 on the torch backend, got "
                f"{jit_compile!r} and {steps_per_execution!r}"
            )
        super().compile(*args, steps_per_execution=1, jit_compile=False, **kwargs)

    def train_step(self, data):
        x = self.unpack(data)
        for compute_loss, shares in self.updates():
            self.zero_grad()
            self.optimizer.scale_loss(compute_loss(x, training=True)).backward()
            with torch.no_grad():
                gradients = [[variable.value.grad for variable in variables] for _, variables in shares]
                apply_shares(self.loss_scale(shares), shares, gradients)
        return self.get_metrics_result()

    def test_step(self, data):
        with torch.no_grad():
            self.compute_loss(self.unpack(data), training=False)
        return self.get_metrics_result()

    @staticmethod
    def run_network(network, batch):
        """Outputs of a network on one batch, NumPy in and out."""
        with torch.no_grad():
            return keras.tree.map_structure(keras.ops.convert_to_numpy, network(batch, training=False))

    def replica(self):
        """Torch trains one replica."""
        return 0, 1
