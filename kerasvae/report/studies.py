"""Parts of a section for each study, which are never pooled, and for each data set."""

from __future__ import annotations

from kerasvae.report import blocks
from kerasvae.report.material import Material


def by_study(material: Material, part) -> str:
    """A part of a section for each study, under its name where there are several.

    Args:
        material: of the page.
        part: function of the material and a study's name that returns HTML.
    """
    studies = material.ok.studies
    if len(studies) < 2:
        return "".join(part(material, study) for study in studies)
    return "".join(f"<h3>{blocks.text(study or 'without a name')}</h3>{part(material, study)}" for study in studies)


def by_dataset(material: Material, study: str, part) -> str:
    """A part for each data set: the first at once, the others behind lines that open."""
    shown, found = material.datasets(study), []
    for number, dataset in enumerate(shown):
        inner = part(material, study, dataset)
        if not inner:
            continue
        found.append(inner if not number else f"<details><summary>{blocks.text(dataset)}</summary>{inner}</details>")
    left = len(material.ok.select(study=study).datasets) - len(shown)
    if left > 0:
        found.append(blocks.paragraph(f"{left} more data sets are in the tables alone.", "note"))
    return "".join(found)
