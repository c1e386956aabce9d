"""Which factors a reconstruction loss makes a VAE learn first: Table 1 and Figure 1 of the paper's supplement.

    python recipes/factor_importance.py [--dataset xysquares] [--loss mse] [--protocol independent] [--pairs 50000]

Prints the mean perceived distance along each factor with the published one next to it, and writes the table as JSON and
the cumulative curves as a figure. With --protocol authors dSprites gives the published numbers to four decimals.
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
parser.add_argument("--loss", choices=LOSSES, default="mse")
parser.add_argument("--protocol", choices=("independent", "authors"), default="independent")
parser.add_argument("--pairs", type=int, default=50_000, help="for each factor, and random ones")
parser.add_argument("--seed", type=int, default=1, help="of the pairs; the authors' have their own")
parser.add_argument("--out", type=Path, default=Path("runs/factor_importance"))
arguments = parser.parse_args()
if arguments.spacing is not None and arguments.dataset != "xysquares":
    parser.error("--spacing is for --dataset xysquares")

kv.files.check_writable(arguments.out / "distances.json", "--out")
options = {} if arguments.spacing is None else {"grid_spacing": arguments.spacing}
name = DATA[arguments.dataset] + (f", spacing {arguments.spacing}" if options else "")
data = getattr(kv.datasets, DATA[arguments.dataset])(**options)
distances = kv.analysis.perceived_distances(
    data, LOSSES[arguments.loss](), arguments.pairs, arguments.seed, protocol=arguments.protocol, name=name
)
print(distances)
distances.save(arguments.out)
print(f"{arguments.out / 'distances.json'}\n{arguments.out / 'distances.png'}")
