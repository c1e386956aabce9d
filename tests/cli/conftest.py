import functools
import sys

import pytest

import kerasvae as kv
from kerasvae import networks


@pytest.fixture
def small_networks(monkeypatch):
    """Networks of a few weights, for what does not depend on their size."""
    small = tuple(functools.partial(each, hidden=(4,)) for each in networks.NETWORKS["mlp"])
    monkeypatch.setitem(networks.NETWORKS, "mlp", small)
    discriminator = functools.partial(networks.mlp_discriminator, hidden=(4,))
    monkeypatch.setattr(sys.modules["kerasvae.models.factor_vae"], "mlp_discriminator", discriminator)


@pytest.fixture
def eager(monkeypatch):
    """Models that are not traced, which would cost more than a few steps do."""
    monkeypatch.setattr(kv.VAE, "compile", functools.partialmethod(kv.VAE.compile, run_eagerly=True))
