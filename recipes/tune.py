"""β × latents × seed on small XYSquares: MIG of Ada-GVAE runs as a table and a picture; go on after any kill.

python recipes/tune.py --folder runs/tune
"""

import argparse
import sys
from pathlib import Path

import kerasvae as kv

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--folder", default="runs/tune", help="of the study; the same folder again goes on with it")
parser.add_argument("--steps", type=int, default=400, help="training steps of a row")
parser.add_argument("--betas", type=float, nargs="+", default=[0.01, 1.0, 100.0])
parser.add_argument("--latents", type=int, nargs="+", default=[2, 4, 8])
parser.add_argument("--seeds", type=int, default=2, help="runs of each setting, at least 1")
parser.add_argument("--verbose", type=int, choices=(0, 1, 2), default=1)
options = parser.parse_args()

# One white square at 9 × 9 positions. The blurred loss sees how far it has moved; with MeanSquaredError in its place
# MIG mostly stays below 0.1.
data = kv.datasets.XYSquares(grid_spacing=3, grid_size=9, square_size=8, image_size=32, num_squares=1, rgb=False)
run = kv.tuning.train_and_score(
    data,
    steps=options.steps,
    objective=kv.AdaGVAE,
    loss=kv.losses.BoxBlurMSE(radius=15, weight=961.0),
    networks="mlp",
    batch_size=32,
    scores={"mig": {}, "dci": {"stages": 10}},
    train=2000,
    test=1000,
)
rows = kv.tuning.rows(beta=options.betas, latents=options.latents, seed=range(1, options.seeds + 1))
try:
    results = kv.tuning.search(run, rows, options.folder, objective=("mig", "max"), verbose=options.verbose)
except kv.tuning.FailedRowsError as error:
    sys.exit(str(error))
kv.tuning.print_results(results)
picture = Path(options.folder) / "mig.png"
kv.tuning.draw_results(results, picture, x="beta", y="mig", lines="latents")
print(f"{Path(options.folder) / 'results.csv'}\n{picture}")
