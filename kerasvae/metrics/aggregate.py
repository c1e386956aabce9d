"""Any matrix of latents and factors through the last step of any score."""

from numpy.typing import ArrayLike

from kerasvae.checks import check_choice
from kerasvae.metrics.aam import aam_from_matrix
from kerasvae.metrics.dci import dci_from_importance
from kerasvae.metrics.mig import mig_from_matrix
from kerasvae.metrics.modularity import modularity_from_matrix
from kerasvae.metrics.sap import sap_from_matrix
from kerasvae.metrics.score import Score

AGGREGATIONS = ("disentanglement", "completeness", "mig", "sap", "modularity", "aam")


def aggregate(matrix: ArrayLike, how: str, entropies: ArrayLike | None = None) -> Score:
    """What a score makes of its matrix, made of any matrix: mutual information, importance, accuracy.

    Tells whether two scores disagree over the matrix or over what they make of it.

    Args:
        matrix: how much each latent says of each factor, numbers at least 0, (latents, factors): e.g. the part
            `mutual_information` of `mig`, `importance` of `dci` or `matrix` of `sap`.
        how: `"disentanglement"` and `"completeness"` of DCI, `"mig"`, `"sap"`, `"modularity"`, or `"aam"`.
        entropies: with `"mig"`, of the factors, (factors,), at least 0; a factor of entropy 0 is left out.
            Default: None.

    Returns:
        Score, named `how`. Part: `per_latent`, (latents,), of disentanglement and modularity; else
        `per_factor`, (factors,).

    Raises:
        ValueError: wrong shapes, negative or non-finite entries, another `how`, or `entropies` missing with
            `"mig"` or given with another.

    Source: Locatello et al. 2020, "A Sober Look at the Unsupervised Learning of Disentangled Representations
    and their Evaluation", where every matrix is combined with every aggregation.

    Example:

    >>> [aggregate([[1.0, 0.0], [0.0, 0.5]], how) for how in ("completeness", "sap", "modularity")]
    [Score(completeness=1), Score(sap=0.75), Score(modularity=1)]
    """
    check_choice(how, "how", AGGREGATIONS)
    if (entropies is not None) != (how == "mig"):
        raise ValueError(f"entropies must be given with 'mig' and with nothing else, got {entropies!r} with {how!r}")
    if how in ("disentanglement", "completeness"):
        result = dci_from_importance(matrix)
        result |= {"per_latent": result["disentanglement_per_latent"], "per_factor": result["completeness_per_factor"]}
    elif how == "mig":
        result = mig_from_matrix(matrix, entropies)
    else:
        result = {"sap": sap_from_matrix, "modularity": modularity_from_matrix, "aam": aam_from_matrix}[how](matrix)
    kind = "per_latent" if how in ("disentanglement", "modularity") else "per_factor"
    return Score(how, result[how], {kind: result[kind]})
