"""The reconstruction loss that options name, the same for every command that has one."""

from __future__ import annotations

from kerasvae.cli.options import add_only_with, integer, number

# {choice: class of `kerasvae.losses`}
LOSSES = {
    "mse": "MeanSquaredError",
    "mae": "MeanAbsoluteError",
    "bernoulli": "BernoulliNLL",
    "boxblur": "BoxBlurMSE",
}
# Those that compare two images; bernoulli compares an image with logits.
IMAGE_LOSSES = tuple(loss for loss in LOSSES if loss != "bernoulli")
# As in `options.add_only_with`.
ONLY_WITH = {
    "blur_radius": ("loss", {"boxblur": 31}),
    "blur_weight": ("loss", {"boxblur": 3969.0}),
}


def add_options(group, choices, default: str) -> None:
    group.add_argument("--loss", choices=choices, help=f"of the reconstruction (default {default})")
    add_only_with(group, ONLY_WITH, "blur_radius", "of the kernel, in pixels", type=integer(0), metavar="N")
    add_only_with(group, ONLY_WITH, "blur_weight", "of the blurred errors", type=number, metavar="W")


def build_loss(settings: dict):
    """The reconstruction loss of the settings `loss`, `blur_radius` and `blur_weight`; None for what it has not got."""
    from kerasvae import losses

    loss = getattr(losses, LOSSES[settings["loss"]])
    return loss() if settings["blur_radius"] is None else loss(settings["blur_radius"], settings["blur_weight"])
