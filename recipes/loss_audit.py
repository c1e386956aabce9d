"""What a reconstruction loss can see of a data set's factors before any training: is there an order to learn from?

    python recipes/loss_audit.py [--dataset xysquares] [--spacing 8] [--loss boxblur] [--radius 31] [--weight 3969]

Prints the importance of each factor, how far perceived distance follows ground-truth distance, and whether the data set
is adversarial for the loss (constant distances); for boxblur also a scan over radius and weight. Writes all of it as
JSON and as a figure.
"""

import argparse
from pathlib import Path

import kerasvae as kv

DATA = {
    "xysquares": "XYSquares",
    "xyobject": "XYObject",
    "dsprites": "DSprites",
    "shapes3d": "Shapes3D",
    "cars3d": "Cars3D",
    "smallnorb": "SmallNORB",
    "mpi3d": "MPI3D",
}
LOSSES = {"mse": kv.losses.MeanSquaredError, "mae": kv.losses.MeanAbsoluteError, "boxblur": kv.losses.BoxBlurMSE}

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("--dataset", choices=DATA, default="xysquares")
parser.add_argument("--spacing", type=int, help="grid spacing of xysquares (default 8)")
parser.add_argument("--loss", choices=LOSSES, default="boxblur")
parser.add_argument("--radius", type=int, help="of boxblur (default 31)")
parser.add_argument("--weight", type=float, help="of boxblur (default 3969)")
parser.add_argument("--radii", type=int, nargs="*", help="of boxblur, to scan (default: up to the image's size)")
parser.add_argument("--weights", type=float, nargs="*", help="of boxblur, to scan (default: 1 to 10000)")
parser.add_argument("--pairs", type=int, default=10_000, help="for each factor, and random ones")
parser.add_argument("--threshold", type=float, default=0.01, help="spread up to which distances count as constant")
parser.add_argument("--seed", type=int, default=1, help="of the pairs")
parser.add_argument("--out", type=Path, default=Path("runs/loss_audit"))
arguments = parser.parse_args()
if arguments.spacing is not None and arguments.dataset != "xysquares":
    parser.error("--spacing is for --dataset xysquares")
given = {name: getattr(arguments, name) for name in ("radius", "weight") if getattr(arguments, name) is not None}
if given and arguments.loss != "boxblur":
    parser.error("--radius and --weight are for --loss boxblur")

kv.files.check_writable(arguments.out / "audit.json", "--out")
options = {} if arguments.spacing is None else {"grid_spacing": arguments.spacing}
name = DATA[arguments.dataset] + (f", spacing {arguments.spacing}" if options else "")
data = getattr(kv.datasets, DATA[arguments.dataset])(**options)
result = kv.analysis.audit(
    data,
    LOSSES[arguments.loss](**given),
    arguments.pairs,
    arguments.seed,
    threshold=arguments.threshold,
    radii=arguments.radii,
    weights=arguments.weights,
    name=name,
)
print(result)
result.save(arguments.out)
print(f"{arguments.out / 'audit.json'}\n{arguments.out / 'audit.png'}")
