"""Training on an accelerator: what each setting gives, how far the hardware's limits are, and hours for the grids.

    KERAS_BACKEND=jax python recipes/bench_gpu.py [--bandwidth 4.8 --fp32 67 --tf32 495 --bf16 989] [--minutes 10]
    python recipes/bench_gpu.py --quick

One row of the paper's experiments: XYSquares, convolutional networks, 64×64×3, 9 latents, Adam. Each case is compiled,
runs two blocks of steps to warm up and is timed over five more; the line, printed as it comes and added to --out as
JSON, is their median. A block is an epoch of `model.fit`, from its begin until its loss has come from the device.

The floor of a step is the longer of its arithmetic (107 MFLOP an image) and its traffic to memory (2.67 MB an image
with each tensor moved once per kernel that needs it, half of that in bfloat16; 21 MB for Adam), at the peaks of the
data sheet if they are given, in TB/s and TFLOP/s, and otherwise at those of a large addition and a large product
measured here. The floor of several rows trained together (JAX, `kerasvae.fit_together`) is that of one, as many times.
Not measured, as the package has no switch for it: unrolled scans.
"""

import argparse
import contextlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
from rich.console import Console
from rich.table import Table

import kerasvae as kv

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--quick", action="store_true", help="small blocks, for a look on CPU: defaults in brackets below")
parser.add_argument("--batch", type=int, help="images, or pairs, a step (256; quick: 16)")
parser.add_argument("--steps", type=int, help="in a block (640; quick: 4)")
parser.add_argument("--fused", type=int, nargs="+", help="steps in one dispatch, to be tried (8 64; quick: 2)")
parser.add_argument("--rows", type=int, nargs="+", help="trained together, to be tried (1 2 4 8 16; quick: 1 2)")
parser.add_argument("--jit", choices=("auto", "on", "off"), default="auto", help="XLA; on TensorFlow it fuses steps")
parser.add_argument("--cases", nargs="+", metavar="CASE", help="only these, by the names that are printed")
parser.add_argument("--processes", type=int, nargs="*", default=[], help="also as many rows, each in its own process")
parser.add_argument("--minutes", type=float, default=10.0, help="after which no other case is begun")
for peak, what in {"bandwidth": "memory, TB/s", "fp32": "TFLOP/s", "tf32": "TFLOP/s", "bf16": "TFLOP/s"}.items():
    parser.add_argument(f"--{peak}", type=float, help=f"peak of the data sheet: {what}")
parser.add_argument("--profile", metavar="FOLDER", help="trace one more block of the best case (JAX)")
parser.add_argument("--out", type=Path, default=Path("bench_gpu.jsonl"))
parser.add_argument("--gate", type=Path, help=argparse.SUPPRESS)
options = parser.parse_args()
batch, steps = options.batch or (16 if options.quick else 256), options.steps or (4 if options.quick else 640)
fused = options.fused or ([2] if options.quick else [8, 64])
rows_together = options.rows or ([1, 2] if options.quick else [1, 2, 4, 8, 16])
if min(batch, steps, *fused, *rows_together, *options.processes) < 1:
    parser.error("--batch, --steps, --fused, --rows and --processes must be at least 1")
WARM, TIMED = 2, 5
JAX, BACKEND = keras.config.backend() == "jax", keras.config.backend()
console, began = Console(highlight=False, soft_wrap=True), time.perf_counter()
DATA = kv.datasets.XYSquares()
# In the device's memory as bytes; 16384 images of noise are 201 MB.
TABLE = np.random.default_rng(0).integers(0, 256, size=(1024 if options.quick else 16384, 64, 64, 3), dtype="uint8")
TABLE = kv.datasets.FromArrays(TABLE)


def report(kind, name, **numbers):
    """A line for people, and one for the file."""
    shown = {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in numbers.items()}
    console.print(f"{name:<52}" + "  ".join(f"{key} {value}" for key, value in shown.items() if value is not None))
    with open(options.out, "a", encoding="utf-8") as file:
        file.write(json.dumps({"kind": kind, "name": name, **numbers}) + "\n")
    return numbers


def on_device(function):
    """`function` compiled, and a way to wait for what it returns."""
    if JAX:
        import jax

        return jax.jit(function), jax.block_until_ready
    import tensorflow as tf

    return tf.function(function, jit_compile=None), lambda result: keras.tree.map_structure(lambda r: r.numpy(), result)


def seconds(function, *arguments, calls=3):
    compiled, wait = on_device(function)
    times = []
    for _ in range(WARM + TIMED):
        start = time.perf_counter()
        for _ in range(calls):
            result = compiled(*arguments)
        # A part of it: on TensorFlow to wait is to copy.
        wait(keras.tree.map_structure(lambda part: part[:1, :1] if part.ndim == 2 else part, result))
        times.append((time.perf_counter() - start) / calls)
    return float(np.median(times[WARM:]))


def measure_device() -> dict:
    """Peaks of bandwidth and arithmetic as large operations reach them, by the names of the options."""
    side, values = (512, 2**22) if options.quick else (4096, 2**26)
    found, array = {}, keras.ops.ones((values // 1024, 1024), "float32")
    found["bandwidth"] = 2 * values * 4 / seconds(lambda a: a + 1.0, array) / 1e12
    report("device", "addition, read and write", TB_per_s=found["bandwidth"])
    for peak, precision, dtype in (
        ("fp32", "highest", "float32"), ("tf32", "tensorfloat32", "float32"), ("bf16", None, "bfloat16"),
    ):  # fmt: skip
        if peak == "tf32" and not (JAX and on_gpu()):
            report("skipped", f"product {side}×{side}, tf32", skipped="only JAX on a GPU has it; taken to be fp32's")
            continue
        matrix = keras.ops.ones((side, side), dtype)
        with matmul_precision(precision):
            found[peak] = 2 * side**3 / seconds(keras.ops.matmul, matrix, matrix) / 1e12
        report("device", f"product {side}×{side}, {peak}", TFLOP_per_s=found[peak])
    found.setdefault("tf32", found["fp32"])
    state = [keras.ops.zeros(()) for _ in range(88)]
    report("device", "call with 88 arrays", us=1e6 * seconds(lambda *arrays: [a + 1.0 for a in arrays], *state))
    return {peak: getattr(options, peak) or value for peak, value in found.items()}


def on_gpu() -> bool:
    return any(name in str(device).lower() for device in keras.distribution.list_devices() for name in ("gpu", "cuda"))


@contextlib.contextmanager
def matmul_precision(precision):
    """What float32 products and convolutions are computed in, where the backend is JAX."""
    if precision is None or not JAX:
        yield
        return
    import jax

    with jax.default_matmul_precision(precision):
        yield


def peak_memory():
    """MB of the device's memory at most so far; None where it does not tell."""
    if JAX:
        import jax

        statistics = jax.local_devices()[0].memory_stats() or {}
        return statistics.get("peak_bytes_in_use", 0) / 1e6 or None
    import tensorflow as tf

    return tf.config.experimental.get_memory_info("GPU:0")["peak"] / 1e6 if on_gpu() else None


def timing(seconds):
    """A callback that adds the seconds of every epoch to a list."""

    def begin(epoch, logs):
        if epoch == WARM and options.gate:  # side by side: all are timed together
            Path(f"{options.gate}.{os.getpid()}").touch()
            while not options.gate.exists():
                time.sleep(0.005)
        seconds.append(-time.perf_counter())

    def end(epoch, logs):
        float(logs["loss"])  # waits for the device
        seconds[-1] += time.perf_counter()

    return keras.callbacks.LambdaCallback(on_epoch_begin=begin, on_epoch_end=end)


def build(objective, loss, data, together, policy=None, seed=1):
    keras.config.set_dtype_policy(policy or "float32")
    encoder = kv.networks.conv_encoder(data.image_shape, latents=9, seed=2 * seed)
    decoder = kv.networks.conv_decoder(data.image_shape, latents=9, seed=2 * seed + 1)
    model = objective(encoder, decoder, loss, beta=0.001 * seed, seed=seed)
    keras.config.set_dtype_policy("float32")
    model.compile(steps_per_execution=together, jit_compile={"auto": "auto", "on": True, "off": False}[options.jit])
    return model


def floor(peaks, images, arithmetic, blurred, half):
    """Seconds that a step takes at least: for arithmetic, and for traffic."""
    operations, moved = images * (113.3e6 if blurred else 107.0e6), images * (1.335e6 if half else 2.67e6) + 21e6
    return operations / (1e12 * peaks[arithmetic]), moved / (1e12 * peaks["bandwidth"])


def measure(name, peaks, *, loss=None, data=DATA, indices=True, together=1, rows=None, **others):
    """One case, of `rows` rows trained together where they are given; returns its steps a second, of all rows."""
    loss, objective = loss or kv.losses.MeanSquaredError(), others.get("objective", kv.BetaVAE)
    arithmetic, policy = others.get("matmul"), others.get("policy")
    pipeline = kv.datasets.pairs if objective.images_per_example > 1 else kv.datasets.images
    # Every block in whole dispatches, as another number of steps would be another program.
    block = max(steps // together, 1) * together
    seeds, blocks, count = range(1, (rows or 1) + 1), [], (WARM + TIMED) * block
    feed = {"steps": count, "on_device": indices, "form": "pydataset" if rows else None}
    feed |= {"changed": "random"} if pipeline is kv.datasets.pairs and not data.complete else {}
    with matmul_precision(arithmetic):
        models = [build(objective, loss, data, together, policy, seed) for seed in seeds]
        feeds = [pipeline(data, batch, seed=seed, **feed) for seed in seeds]
        fit = {"epochs": WARM + TIMED, "steps_per_epoch": block, "verbose": 0}
        if rows:
            kv.fit_together(models, feeds, callbacks=[[timing(blocks)] if seed == 1 else [] for seed in seeds], **fit)
        else:
            models[0].fit(feeds[0], callbacks=[timing(blocks)], **fit)
    second = float(np.median(blocks[WARM:])) / block
    # An accelerator computes float32 in TF32 unless asked otherwise.
    kind = {"highest": "fp32", "bfloat16": "bf16", None: "bf16" if policy else "tf32"}.get(arithmetic, "tf32")
    images, blurred = batch * objective.images_per_example, isinstance(loss, kv.losses.BoxBlurMSE)
    computing, moving = (len(seeds) * least for least in floor(peaks, images, kind, blurred, bool(policy)))
    numbers = {"rows": rows, "row_steps_per_s": rows / second} if rows else {}
    numbers |= {"steps_per_s": 1 / second, "us_per_step": 1e6 * second}
    numbers |= {"spread": (max(blocks[WARM:]) - min(blocks[WARM:])) / block / second, "first_block_s": blocks[0]}
    numbers |= {"floor_us": 1e6 * max(computing, moving), "share_of_floor": max(computing, moving) / second}
    numbers |= {"bound_by": "arithmetic" if computing > moving else "bandwidth", "peak_MB": peak_memory()}
    report("case", name, **numbers, batch=batch, steps_in_block=block)
    return len(seeds) / second


# What rows of the grids are made of, besides β-VAE with MSE.
OTHERS = {
    ("β-VAE", "boxblur"): {"loss": kv.losses.BoxBlurMSE()},
    ("Ada-GVAE", "mse"): {"objective": kv.AdaGVAE},
    ("Ada-GVAE", "boxblur"): {"objective": kv.AdaGVAE, "loss": kv.losses.BoxBlurMSE()},
}


def all_cases() -> dict:
    best, same = max(fused), {"together": max(fused)}
    cases = {"β-VAE, 1 step, host images": {"indices": False}, "β-VAE, 1 step": {}}
    cases |= {f"β-VAE, {number} fused": {"together": number} for number in fused}
    cases |= {case_name(*kind): {**same, **case} for kind, case in OTHERS.items()}
    if JAX:
        cases |= {case_name("β-VAE", "mse", rows): {**same, "rows": rows} for rows in rows_together}
        cases |= {case_name(*kind, "best"): {**same, "rows": "best", **case} for kind, case in OTHERS.items()}
    cases |= {
        f"β-VAE, {best} fused, host images": {**same, "indices": False},
        f"β-VAE, {best} fused, uint8 table": {**same, "data": TABLE},
        f"β-VAE, {best} fused, mixed bf16": {**same, "policy": "mixed_bfloat16"},
    }
    for precision in ("highest", "tensorfloat32", "bfloat16") if JAX else ():
        cases[f"β-VAE, {best} fused, {precision}"] = {**same, "matmul": precision}
    return cases


def case_name(title, loss, rows=None):
    """Name of the case of a kind of row: alone, or with `rows` (a number or "best") trained together."""
    count = "" if rows is None else ", best number together" if rows == "best" else f", {rows} together"
    return f"{title}, {max(fused)} fused" + (", box blur" if loss == "boxblur" else "") + count


def best_rows(rates):
    """The number of rows with the most row-steps a second; None where none was measured."""
    found = {rows: rates.get(case_name("β-VAE", "mse", rows), 0) for rows in rows_together}
    return max(found, key=found.get) if any(found.values()) else None


def elsewhere(name, case, processes=1, flags=""):
    """A case in processes of their own, which are timed together once all of them are warm: steps a second of all."""
    with tempfile.TemporaryDirectory() as folder:
        gate, outs = Path(folder, "gate"), [Path(folder, f"{number}.jsonl") for number in range(processes)]
        peaks = {peak: getattr(options, peak) for peak in ("bandwidth", "fp32", "tf32", "bf16")}
        command = [sys.executable, __file__, *(f"--{peak}={value}" for peak, value in peaks.items() if value)]
        command += ["--cases", case, "--batch", str(batch), "--steps", str(steps), "--jit", options.jit]
        command += ["--fused", *map(str, fused), "--gate", str(gate), *["--quick"] * options.quick]
        variables = {**os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
        variables["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()
        pipes = {"env": variables, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        running = [subprocess.Popen([*command, "--out", str(out)], **pipes) for out in outs]
        try:
            while len(list(gate.parent.glob("gate.*"))) < processes:
                if any(process.poll() is not None for process in running):
                    break
                time.sleep(0.05)
            gate.touch()
            for process in running:
                _, said = process.communicate()
                if process.returncode:
                    raise RuntimeError(f"a process ended with {process.returncode}: {said.decode()[-300:]}")
        finally:
            for process in running:
                process.kill()
        lines = [json.loads(line) for out in outs for line in out.read_text(encoding="utf-8").splitlines()]
    rates = [line["steps_per_s"] for line in lines if line["kind"] == "case"]
    return report("processes", name, row_steps_per_s=sum(rates), steps_per_s=min(rates), processes=processes)


def hours(rates):
    """Hours of training for each grid of the paper on one such device, computed from the measured rates."""
    best = best_rows(rates)
    ways = {"one by one": None, f"{best} together": best} if best else {"one by one": None}
    table = Table(title="Training alone, COMPUTED from the steps a second above (of 64×64×3 and 9 latents)")
    for heading in ("grid", "rows", "steps", *(f"hours, {way}" for way in ways)):
        table.add_column(heading, justify="right")
    for grid in ("adversarial", "overlap", "augmented_loss"):
        rows = getattr(kv.tuning.grids, grid)()
        if other := {row["batch_size"] for row in rows} - {batch}:
            console.print(f"{grid}: no hours, as its batches are of {other}, and these of {batch}")
            continue
        found = {"rows": len(rows), "steps": sum(row["steps"] for row in rows)}
        for way, together in ways.items():
            cases = [case_of(row, together) for row in rows]
            if missing := sorted(set(cases) - set(rates)):
                console.print(f"{grid}, {way}: no hours, as these were not measured: {missing}")
            else:
                seconds = sum(row["steps"] / rates[case] for row, case in zip(rows, cases, strict=True))
                found[f"hours, {way}"] = seconds / 3600
        with open(options.out, "a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": "computed hours", "name": grid, **found}) + "\n")
        times = [f"{found[f'hours, {way}']:.3g}" if f"hours, {way}" in found else "" for way in ways]
        table.add_row(grid, str(found["rows"]), str(found["steps"]), *times)
    console.print(table if table.row_count else "no hours")


def case_of(row, together):
    """Name of the case that a row of a grid is of, `together` with others or None."""
    kind = {"betavae": "β-VAE", "adagvae": "Ada-GVAE"}[row["framework"]], row["loss"]
    return case_name(*kind, "best" if together and kind in OTHERS else together)


def whole_row(together):
    """A row as it is run: `kerasvae.runs.train` with its checkpoints and history, next to the bare case."""
    count = TIMED * max(steps // together, 1) * together
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        kv.runs.train(
            lambda: build(kv.BetaVAE, kv.losses.MeanSquaredError(), DATA, together),
            lambda start: kv.datasets.images(DATA, batch, steps=count, start=start, on_device=True),
            folder,
            steps=count,
            steps_per_epoch=count // TIMED,
            checkpoint_every=count,
            verbose=0,
        )
        report("row", f"runs.train, {together} fused", steps=count, seconds_with_compiling=time.perf_counter() - start)


def main():
    options.out.unlink(missing_ok=True)
    versions = {package: importlib.metadata.version(package) for package in ("keras", "numpy", BACKEND)}
    devices = ", ".join(sorted(set(keras.distribution.list_devices()))) or "cpu"
    about = {"backend": BACKEND, "devices": devices, "kerasvae": kv.__version__, "python": platform.python_version()}
    report("machine", "machine", **about, **versions, cores=os.cpu_count(), jit=options.jit, gpu=device_name())
    peaks = measure_device() if not options.gate else dict.fromkeys(("bandwidth", "fp32", "tf32", "bf16"), 1.0)
    cases, rates, failed = all_cases(), {}, []
    if unknown := sorted(set(options.cases or ()) - set(cases)):
        parser.error(f"--cases must be of {list(cases)}, got {unknown}")
    best = f"β-VAE, {max(fused)} fused"

    def run_case(name):
        case = cases[name]
        if case.get("rows") == "best":
            case = {**case, "rows": best_rows(rates) or max(rows_together)}
        return measure(name, peaks, **case)

    waiting = {name: (lambda name=name: run_case(name)) for name in options.cases or cases}
    if not options.cases:
        waiting["row"] = lambda: whole_row(max(fused))
        if not JAX:
            report("skipped", "rows together", skipped=f"only on JAX, not on {BACKEND}")
        if JAX and on_gpu():
            flag = "--xla_gpu_enable_command_buffer="
            waiting["no command buffers"] = lambda: elsewhere(f"{best}, no command buffers", best, 1, flag)
        else:
            report("skipped", "no command buffers", skipped="only JAX on a GPU has them")
        if peak_memory() is None:
            report("skipped", "peak memory", skipped="this device does not tell")
        for count in options.processes:
            waiting[f"{count} processes"] = lambda count=count: elsewhere(f"{count} processes", best, count)
    for name, run in waiting.items():
        if time.perf_counter() - began > 60 * options.minutes:
            console.print(f"{name}: not begun, as --minutes {options.minutes:g} are over")
            continue
        try:
            rate = run()
        except Exception as error:  # out of memory, or a policy that the backend does not have: the others go on
            failed.append(report("failed", name, error=f"{type(error).__name__}: {str(error)[:300]}"))
        else:
            rates |= {name: rate} if name in cases else {}
        # The programs and images of a case would stay in memory.
        keras.utils.clear_session(free_memory=True)
    if options.profile and JAX:
        import jax

        with jax.profiler.trace(options.profile):
            measure(f"{best}, traced", peaks, together=max(fused))
    if not options.cases:
        hours(rates)
    console.print(f"{options.out}, after {time.perf_counter() - began:.0f} s")
    sys.exit(f"{len(failed)} cases failed" if failed else None)


def device_name():
    """The accelerator's model; None on CPU."""
    if JAX:
        import jax

        return jax.devices()[0].device_kind
    import tensorflow as tf

    devices = tf.config.list_physical_devices("GPU")
    return tf.config.experimental.get_device_details(devices[0]).get("device_name") if devices else None


if __name__ == "__main__":
    main()
