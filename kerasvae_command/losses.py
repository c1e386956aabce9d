"""Options that name a reconstruction loss, the same for every subcommand that has one."""

from __future__ import annotations

from kerasvae_command.options import add_only_with, integer, number

LOSSES = ("mse", "mae", "bernoulli", "boxblur")
# Those that compare two images; bernoulli compares an image with logits.
IMAGE_LOSSES = tuple(loss for loss in LOSSES if loss != "bernoulli")
# As in `options.add_only_with`.
ONLY_WITH = {
    "blur_radius": ("loss", {"boxblur": 31}),
    "blur_weight": ("loss", {"boxblur": 3969.0}),
}


def add_options(group, choices: tuple[str, ...], default: str) -> None:
    group.add_argument("--loss", choices=choices, help=f"of the reconstruction (default {default})")
    add_only_with(group, ONLY_WITH, "blur_radius", "of the kernel, in pixels", type=integer(0), metavar="N")
    add_only_with(group, ONLY_WITH, "blur_weight", "of the blurred errors", type=number, metavar="W")
