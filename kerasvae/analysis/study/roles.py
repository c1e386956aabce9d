"""What each metric is: its role, which direction is better, its place in tables, and what to call it on a page."""

from __future__ import annotations

from dataclasses import dataclass

ROLES = ("score", "unsupervised", "downstream", "cost", "part")
BETTER = ("higher", "lower", "neither")
SAMPLED = "@sampled"


@dataclass(frozen=True)
class MetricRole:
    """What a metric is.

    Args:
        role: "score" (of disentanglement, needs labels), "unsupervised" (needs none), "downstream" (a task's accuracy),
            "cost" (seconds, steps) or "part" (an entry or setting of a score, which no analysis takes).
        better: "higher", "lower" or "neither".
        label: for figures and tables. Default "": the metric's name.
        known: whether it stands in the registry; False for the guess made of an unknown name.

    Raises:
        ValueError: another role or direction.
    """

    role: str
    better: str = "higher"
    label: str = ""
    known: bool = True

    def __post_init__(self):
        if self.role not in ROLES:
            raise ValueError(f"role must be one of {', '.join(map(repr, ROLES))}, got {self.role!r}")
        if self.better not in BETTER:
            raise ValueError(f"better must be one of {', '.join(map(repr, BETTER))}, got {self.better!r}")

    @property
    def sign(self) -> int:
        """1 where higher is better, -1 where lower is, 0 where neither."""
        return {"higher": 1, "lower": -1, "neither": 0}[self.better]


# Other names of the same number -> the name in the registry.
ALIASES = {
    "beta_vae": "beta_vae_score",
    "betavae": "beta_vae_score",
    "beta_vae_score.score": "beta_vae_score",
    "beta_vae.score": "beta_vae_score",
    "beta_vae_sklearn": "beta_vae_score",
    "beta_vae_sklearn.eval_accuracy": "beta_vae_score",
    "factor_vae": "factor_vae_score",
    "factorvae": "factor_vae_score",
    "factor_vae_score.score": "factor_vae_score",
    "factor_vae.score": "factor_vae_score",
    "factor_vae_metric": "factor_vae_score",
    "factor_vae_metric.eval_accuracy": "factor_vae_score",
    "mig.score": "mig",
    "mig.discrete_mig": "mig",
    "discrete_mig": "mig",
    "dci": "dci.disentanglement",
    "dci.score": "dci.disentanglement",
    "modularity.score": "modularity",
    "modularity_explicitness.modularity_score": "modularity",
    "modularity_explicitness.explicitness_score_test": "explicitness",
    "explicitness.score": "explicitness",
    "sap.score": "sap",
    "sap_score": "sap",
    "sap_score.sap_score": "sap",
    "irs.score": "irs",
    "aam.score": "aam",
    "mmig.score": "mmig",
    "reconstruction_loss": "loss.reconstruction",
    "kl_loss": "loss.kl",
    "reconstruction_nats": "loss.reconstruction",
    "kl_nats": "loss.kl",
    "reconstruction": "loss.reconstruction",
    "recon_loss": "loss.reconstruction",
    "rec_loss": "loss.reconstruction",
    "kl": "loss.kl",
    "elbo_loss": "loss.elbo",
    "negative_elbo": "loss.elbo",
    "loss": "loss.total",
    "total_loss": "loss.total",
    "gaussian_total_correlation": "unsup.gaussian_tc",
    "unsupervised.gaussian_total_correlation": "unsup.gaussian_tc",
    "gaussian_wasserstein": "unsup.gaussian_wasserstein",
    "unsupervised.gaussian_wasserstein_correlation": "unsup.gaussian_wasserstein",
    "mutual_information_score": "unsup.mutual_info",
    "unsupervised.mutual_info_score": "unsup.mutual_info",
    "udr.score": "udr",
    "unsup.udr": "udr",
}

# In the order of all tables and figures: first the six of Locatello et al. 2019 as their Figure has them.
REGISTRY = {
    "beta_vae_score": MetricRole("score", "higher", "BetaVAE score"),
    "factor_vae_score": MetricRole("score", "higher", "FactorVAE score"),
    "mig": MetricRole("score", "higher", "MIG"),
    "dci.disentanglement": MetricRole("score", "higher", "DCI disentanglement"),
    "modularity": MetricRole("score", "higher", "Modularity"),
    "sap": MetricRole("score", "higher", "SAP"),
    "dci.completeness": MetricRole("score", "higher", "DCI completeness"),
    "dci.informativeness": MetricRole("score", "higher", "DCI informativeness"),
    "dci.informativeness_test": MetricRole("score", "higher", "DCI informativeness"),
    "aam": MetricRole("score", "higher", "AAM"),
    "mmig": MetricRole("score", "higher", "MMIG"),
    "irs": MetricRole("score", "higher", "IRS"),
    "explicitness": MetricRole("score", "higher", "Explicitness"),
    "flatness": MetricRole("score", "higher", "Flatness"),
    "linearity": MetricRole("score", "higher", "Linearity"),
    "distance_correlations": MetricRole("score", "higher", "Distance correlations"),
    "loss.reconstruction": MetricRole("unsupervised", "lower", "Reconstruction error"),
    "loss.kl": MetricRole("unsupervised", "neither", "KL"),
    "loss.elbo": MetricRole("unsupervised", "lower", "Negative ELBO"),
    "elbo": MetricRole("unsupervised", "higher", "ELBO"),
    "loss.total": MetricRole("unsupervised", "lower", "Training loss"),
    "unsup.gaussian_tc": MetricRole("unsupervised", "lower", "Gaussian total correlation"),
    "unsup.gaussian_tc_active": MetricRole("unsupervised", "lower", "Gaussian total correlation, active latents"),
    "unsup.gaussian_wasserstein": MetricRole("unsupervised", "lower", "Gaussian Wasserstein correlation"),
    "unsup.mutual_info": MetricRole("unsupervised", "lower", "Mutual information of latents"),
    "unsup.active_latents": MetricRole("part", "neither", "Active latents"),
    "unsup.var_dim_kl": MetricRole("part", "neither", "Variance of the latents' KL"),
    "udr": MetricRole("unsupervised", "higher", "UDR"),
    "active_latents": MetricRole("part", "neither", "Active latents"),
    "seconds": MetricRole("cost", "lower", "Seconds"),
    "seconds_training": MetricRole("cost", "lower", "Seconds of training"),
    "steps": MetricRole("cost", "lower", "Steps"),
    "steps_per_second": MetricRole("cost", "higher", "Steps per second"),
}
# Of whole families, where a name's own entry is missing. Entries of a known score ("mig.per_factor.0") are parts.
FAMILIES = {
    "downstream": MetricRole("downstream", "higher"),
    "loss": MetricRole("unsupervised", "lower"),
    "unsup": MetricRole("unsupervised", "lower"),
    "cost": MetricRole("cost", "lower"),
    "kl": MetricRole("part", "neither"),
    "best_mig": MetricRole("part", "higher", "Best MIG during training"),
    "best_dci": MetricRole("part", "higher", "Best DCI during training"),
    "best_mig_step": MetricRole("part", "neither"),
    "best_dci_step": MetricRole("part", "neither"),
}
_EXTENSIONS = {}


def register_metric(name, role, better="higher", label="") -> None:
    """Tell all analyses of this process what a metric is; what was registered last counts.

    Args:
        name: of the metric without sizes ("@2000") and representation ("@sampled"); "name." with a dot at its end is
            for all names that begin so.
        role, better, label: of `MetricRole`.

    Raises:
        ValueError: an empty name, or another role or direction.

    Example:
        >>> register_metric("val_fid", "unsupervised", "lower", "FID")
        >>> role_of("val_fid").sign
        -1
    """
    if not isinstance(name, str) or not name.strip("."):
        raise ValueError(f"name must be a metric's name, got {name!r}")
    _EXTENSIONS[name] = MetricRole(role, better, label)


def base_name(metric: str) -> str:
    """A metric's name without sizes and representation: "mig.score@2000@sampled" -> "mig.score"."""
    return metric.split("@")[0]


def family(metric: str) -> str:
    """Metrics of one family are never "another metric" for each other: the part of the canonical name before a dot."""
    return canonical(metric).split(".")[0]


def canonical(metric: str) -> str:
    """The registry's name of a metric, whatever it is called: "mig.score@2000" and "val_mig" -> "mig"."""
    name = base_name(metric)
    for candidate in (name, name.lower(), name.lower().removeprefix("val_")):
        if candidate in ALIASES or candidate in REGISTRY:
            return ALIASES.get(candidate, candidate)
    return name


def representation(metric: str) -> str:
    """ "sampled" for a metric of sampled codes, else "mean"."""
    return "sampled" if metric.endswith(SAMPLED) else "mean"


def role_of(metric: str, own=None) -> MetricRole:
    """What a metric is; of an unknown one "score", higher better, not `known`.

    Args:
        metric: name, with sizes and representation or without.
        own: {name: MetricRole}, which comes before the registry. Default: none.
    """
    name, plain = base_name(metric), canonical(metric)
    for registry in (own or {}, _EXTENSIONS):
        for key in (metric, name, plain):
            if key in registry:
                return registry[key]
        prefixes = [key for key in registry if key.endswith(".") and name.startswith(key)]
        if prefixes:
            return registry[max(prefixes, key=len)]
    if plain in REGISTRY:
        return REGISTRY[plain]
    first = plain.split(".")[0]
    if first in FAMILIES:
        return FAMILIES[first]
    if "." in plain and any(key.split(".")[0] == first for key in REGISTRY):
        return MetricRole("part", "neither")
    if ALIASES.get(first) in REGISTRY and "." in plain:
        return MetricRole("part", "neither")
    return MetricRole("score", "higher", known=False)


def label_of(metric: str, own=None) -> str:
    """What to call a metric on a page, with its sizes and representation."""
    sizes = [part for part in metric.split("@")[1:] if part != "sampled"]
    label = role_of(metric, own).label or base_name(metric)
    notes = [*sizes, *(["sampled"] if representation(metric) == "sampled" else [])]
    return f"{label} ({', '.join(notes)})" if notes else label


def metric_order(metric: str):
    """Key that sorts metrics in the fixed order: the registry's, then by name, mean before sampled."""
    places = {name: number for number, name in enumerate(REGISTRY)}
    plain = canonical(metric)
    sizes = [int(part) if part.isdigit() else -1 for part in metric.removesuffix(SAMPLED).split("@")[1:]]
    pieces = [(0, int(piece), "") if piece.isdigit() else (1, 0, piece) for piece in plain.split(".")]
    return places.get(plain, len(places)), pieces, sizes, representation(metric) == "sampled", metric
