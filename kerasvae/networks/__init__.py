"""Networks: functions that return functional Keras models, encoders from `image` and decoders from `latents`."""

from kerasvae.networks.burgess import burgess_decoder, burgess_encoder
from kerasvae.networks.conv import conv_decoder, conv_encoder
from kerasvae.networks.discriminator import mlp_discriminator
from kerasvae.networks.mlp import mlp_decoder, mlp_encoder

# By the names that `for_data`, searches and the command line take: an encoder and a decoder.
NETWORKS = {
    "conv": (conv_encoder, conv_decoder),
    "burgess": (burgess_encoder, burgess_decoder),
    "mlp": (mlp_encoder, mlp_decoder),
}

__all__ = [
    "NETWORKS",
    "burgess_decoder",
    "burgess_encoder",
    "conv_decoder",
    "conv_encoder",
    "mlp_decoder",
    "mlp_discriminator",
    "mlp_encoder",
]
