"""`kerasvae serve`."""

from __future__ import annotations

import argparse
from pathlib import Path

from kerasvae.cli.options import integer, number, path

LIMITS = """limits:
  A request that is wrong gets a status from 400 to 499 and {"error": "why"}, over gRPC the matching code. It may hold
  --max-batch images, codes or values (400) and --max-body-mib, also after decompression (413; gRPC:
  RESOURCE_EXHAUSTED). At most 1024 requests are worked on at a time, and REST bodies in memory come to at most
  8 x --max-body-mib (503). Headers must arrive within --patience seconds, bodies at 64 KiB a second after as many
  seconds (408). After SIGTERM or Ctrl-C nothing new is accepted and what was accepted is answered, for up to 30
  seconds; a second signal ends it at once. There is no authentication and no encryption: bind another address than
  127.0.0.1 only behind something that has both.

models:
  Each bundle answers as NAME (encode), NAME-decode and NAME-traverse, under its version; without a version the newest
  answers (numbers compare as numbers, others as text). A bundle replaced on disk is checked in full, then swapped in;
  while it is incomplete or broken the one loaded goes on answering, and the log says why.

example:
  kerasvae serve runs/quickstart/bundle
  curl -s localhost:8080/v2/models/quickstart
"""


def add(commands) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        "serve",
        help="serve bundles over REST and gRPC",
        description="Serve the encoders and decoders of bundles: Open Inference Protocol, version 2, over REST (JSON "
        "and binary tensors) and gRPC, with health, metadata and Prometheus metrics. Needs the extra `serve`; `make "
        "serve` builds an environment with it.",
        epilog=LIMITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("bundles", type=bundle_folder, nargs="+", metavar="BUNDLE", help="folder with a bundle.json")
    parser.add_argument(
        "--host", type=address, default="127.0.0.1", help="address to listen on (default 127.0.0.1: this machine)"
    )
    port = integer(0, 65535)
    parser.add_argument("--port", type=port, default=8080, metavar="N", help="of REST (default 8080; 0: any free one)")
    parser.add_argument("--grpc-port", type=port, default=8081, metavar="N", help="of gRPC (default 8081)")
    parser.add_argument("--metrics-port", type=port, default=8082, metavar="N", help="of /metrics (default 8082)")
    parser.add_argument(
        "--max-batch", type=integer(1, 4096), default=256, metavar="N", help="images a request (default 256)"
    )
    parser.add_argument(
        "--max-body-mib", type=integer(1, 1024), default=64, metavar="N", help="of a request's body (default 64)"
    )
    parser.add_argument(
        "--batch-delay-ms",
        type=number,
        metavar="MS",
        help="how long a request of few images waits for others to be computed with (default 2)",
    )
    parser.add_argument("--no-batching", action="store_true", help="compute each request by itself")
    parser.add_argument(
        "--threads", type=integer(1, 1024), metavar="N", help="that compute (default one per processor)"
    )
    parser.add_argument(
        "--watch", type=number, default=5.0, metavar="SECONDS", help="look for replaced bundles (default 5; 0: never)"
    )
    parser.add_argument(
        "--patience",
        type=lambda text: number(text, above_zero=True),
        default=30.0,
        metavar="SECONDS",
        help="with slow clients (default 30)",
    )
    return parser


def bundle_folder(text) -> Path:
    """A type for argparse: a folder that holds a bundle."""
    if not (path(text) / "bundle.json").is_file():
        raise argparse.ArgumentTypeError(f"{text!r} holds no bundle (there is no bundle.json in it)")
    return path(text)


def address(text) -> str:
    """A type for argparse: an address to listen on, which neither an empty shell variable nor HOST:PORT is."""
    if not text.strip() or text.count(":") == 1:
        raise argparse.ArgumentTypeError(f"must be an address without a port, such as 127.0.0.1, got {text!r}")
    return text


def check(values: dict) -> dict:
    delay = values.pop("batch_delay_ms")
    if values.pop("no_batching"):
        if delay is not None:
            raise ValueError("--batch-delay-ms is for batching, not for --no-batching")
        delay = 0.0
    ports = [port for port in (values["port"], values["grpc_port"], values["metrics_port"]) if port]
    if len(set(ports)) < len(ports):
        raise ValueError("--port, --grpc-port and --metrics-port must be different ones")
    return {**values, "batch_delay": (2.0 if delay is None else delay) / 1000}


def run(values: dict) -> None:
    # Before onnxruntime, whose usage data it turns off.
    import kerasvae.serving  # noqa: F401
    from kerasvae import __version__
    from kerasvae.extras import require

    use = "kerasvae serve (in an environment without TensorFlow, which wants another protobuf than MLServer)"
    require(use, ["mlserver", "onnxruntime"], "serve", checkout="make serve, which builds one")
    from kerasvae.serving.server.server import serve
    from kerasvae.serving.server.settings import MIB, Limits

    limits = Limits(values.pop("max_batch"), values.pop("max_body_mib") * MIB, patience=values.pop("patience"))
    serve(version=__version__, limits=limits, **values)
