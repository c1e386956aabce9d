"""The arguments of `kerasvae serve`, which are checked without MLServer."""

import sys

import pytest

from kerasvae.cli import serve
from kerasvae.cli.options import Parser


def checked(*arguments):
    commands = Parser("kerasvae").add_subparsers()
    return serve.check(vars(serve.add(commands).parse_args([str(argument) for argument in arguments])))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "bundle.json").write_text("{}")
    return tmp_path


def test_defaults(folder):
    values = checked(folder, folder)
    assert values["bundles"] == [folder, folder]
    assert (values["host"], values["port"], values["grpc_port"], values["metrics_port"]) == (
        "127.0.0.1",
        8080,
        8081,
        8082,
    )
    assert (values["max_batch"], values["max_body_mib"], values["batch_delay"]) == (256, 64, 0.002)


def test_batching(folder):
    assert checked(folder, "--no-batching")["batch_delay"] == 0
    assert checked(folder, "--batch-delay-ms", 7.5)["batch_delay"] == 0.0075
    with pytest.raises(ValueError, match="--batch-delay-ms is for batching"):
        checked(folder, "--no-batching", "--batch-delay-ms", 7.5)


def test_ports_are_different_ones(folder):
    assert checked(folder, "--port", 0, "--grpc-port", 0)["port"] == 0
    with pytest.raises(ValueError, match="must be different ones"):
        checked(folder, "--port", 8082)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["nowhere"], "there is no bundle.json in it"),
        ([".", "--max-batch", "0"], "must be an integer, from 1 to 4096"),
        ([".", "--port", "65536"], "must be an integer, from 0 to 65535"),
        ([".", "--patience", "0"], "must be a number, above 0"),
        ([".", "--watch", "-1"], "must be a number, at least 0"),
    ],
)
def test_wrong_ones(folder, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit):
        checked(*arguments)
    assert message in capsys.readouterr().err


def test_without_mlserver(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlserver", None)
    with pytest.raises(ImportError, match=r"TensorFlow.* needs mlserver.*, in a checkout of kerasvae: make serve"):
        serve.run(checked(folder))
