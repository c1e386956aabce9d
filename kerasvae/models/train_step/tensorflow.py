"""The train step on TensorFlow, eager, compiled, fused, or on the replicas of a tf.distribute strategy."""

from __future__ import annotations

import itertools
import math

import keras
import tensorflow as tf

from kerasvae.models.train_step.shares import apply_shares


class TensorFlowTrainStep:
    def compile(self, *args, steps_per_execution=1, jit_compile="auto", **kwargs):
        if self.distribute_strategy.num_replicas_in_sync > 1:
            # XLA cannot reach the variables of another replica's device, nor Keras's loop of steps its placeholders.
            if jit_compile is True or steps_per_execution > 1:
                raise ValueError(
                    "jit_compile must be False or 'auto' and steps_per_execution 1 with several replicas of a "
                    f"tf.distribute strategy, got {jit_compile!r} and {steps_per_execution!r}"
                )
            jit_compile = False
        super().compile(*args, steps_per_execution=steps_per_execution, jit_compile=jit_compile, **kwargs)

    def train_step(self, data):
        x = self.unpack(data)
        replicas = self.distribute_strategy.num_replicas_in_sync
        for compute_loss, shares in self.updates():
            with tf.GradientTape() as tape:
                loss = compute_loss(x, training=True)
                # Keras sums the gradients of the replicas: dividing here, once, makes that the mean over the global
                # batch for the reconstruction and every other term alike.
                scaled = self.optimizer.scale_loss(loss / replicas)
            gradients = tape.gradient(scaled, [variables for _, variables in shares])
            if replicas > 1 and isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
                if self.loss_scale(shares) is not None:
                    raise ValueError(
                        f"{type(self).__name__} cannot be trained in mixed_float16 by several replicas: its optimizers "
                        "share a loss scale, on which the replicas cannot agree; take mixed_bfloat16"
                    )
                gradients = _overflowing_together(gradients)
            apply_shares(self.loss_scale(shares), shares, gradients)
        return self.get_metrics_result()

    def test_step(self, data):
        self.compute_loss(self.unpack(data), training=False)
        return self.get_metrics_result()

    def replica(self):
        """This replica's position and the number of replicas."""
        context = tf.distribute.get_replica_context()
        if context is None or context.num_replicas_in_sync == 1:
            return 0, 1
        return context.replica_id_in_sync_group, context.num_replicas_in_sync

    @staticmethod
    def run_network(network, batch):
        """Outputs of a network on one batch, NumPy in and out."""
        # Not compiled: a model encodes now and then, in batches of any size, and each shape would be traced again.
        return tf.nest.map_structure(lambda output: output.numpy(), network(batch, training=False))

    def make_train_function(self, force=False):
        """As Keras's, but with XLA `steps_per_execution` steps are one compiled program, not a loop around one."""
        if self.train_function is not None and not force:
            return
        if self.steps_per_execution == 1 or self.run_eagerly or not self.jit_compile:
            super().make_train_function(force)
            return

        @tf.autograph.experimental.do_not_convert
        def steps(batches):
            if len(batches) > 1:
                stacked = tf.nest.map_structure(lambda *parts: tf.stack(parts), *batches[:-1])

                def one(number):
                    self.train_step(tf.nest.map_structure(lambda part: part[number], stacked))
                    return number + 1

                tf.while_loop(lambda number: number < len(batches) - 1, one, [tf.constant(0)])
            return self.train_step(batches[-1])

        steps = tf.function(steps, jit_compile=True, reduce_retracing=True)

        def train_function(iterator):
            batches = list(itertools.islice(iterator, self.steps_per_execution))
            if not batches:
                raise StopIteration
            return steps(batches)

        self.train_function = train_function


def _overflowing_together(gradients):
    """Gradients that are not finite on any replica where they are not on one.

    Keras's LossScaleOptimizer looks at those of the first replica alone, before they are summed (read in 3.15).
    """
    finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(gradient)) for gradient in tf.nest.flatten(gradients)])
    overflows = tf.distribute.get_replica_context().all_reduce("SUM", tf.cast(tf.logical_not(finite), tf.float32))
    return tf.nest.map_structure(
        lambda gradient: tf.where(overflows > 0.0, tf.cast(math.inf, gradient.dtype), gradient), gradients
    )
