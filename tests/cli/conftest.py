import functools
import sys

import pytest

import kerasvae as kv
from kerasvae import cli, networks


@pytest.fixture
def small_networks(monkeypatch):
    """Networks of a few weights, for what does not depend on their size."""
    functions = (networks.mlp_encoder, networks.mlp_decoder)
    monkeypatch.setitem(cli.NETWORKS, "mlp", tuple(functools.partial(function, hidden=(4,)) for function in functions))
    discriminator = functools.partial(networks.mlp_discriminator, hidden=(4,))
    monkeypatch.setattr(sys.modules["kerasvae.models.factor_vae"], "mlp_discriminator", discriminator)


@pytest.fixture
def eager(monkeypatch):
    """Models that are not traced, which would cost more than a few steps do."""
    monkeypatch.setattr(kv.VAE, "compile", functools.partialmethod(kv.VAE.compile, run_eagerly=True))
