"""One word, one meaning: what no text of the core may say, as readers stumble over it."""

import re
from pathlib import Path

import pytest

import kerasvae

PACKAGE = Path(kerasvae.__file__).parent
# These are rebuilt with words of their own.
OTHERS = ("tuning", "report", "analysis/study", "plots/study_", "serving/server", "cli/report", "cli/experiment")
FILES = [
    path
    for path in (PACKAGE.parent / "README.md", *sorted(PACKAGE.rglob("*.py")))
    if not path.relative_to(PACKAGE.parent).as_posix().startswith(tuple(f"kerasvae/{other}" for other in OTHERS))
]
PHRASES = [
    "Arguments:",  # Args:
    r"\banew\b",  # again, each time
    r"\b(told|tells)\b",  # given, shown, said; distinguishes
    r"\bbeside\b",  # next to, with; besides
    r"\btak(e|es|ing) in hand\b",
    r"\b(value|number|row|line|panel|column|one) an? (image|channel|row|run|latent|factor|file|processor|posterior)\b",
]


@pytest.mark.parametrize("phrase", PHRASES)
def test_phrases_that_are_not_said(phrase):
    found = [
        f"{path.relative_to(PACKAGE.parent)}:{number}: {line.strip()}"
        for path in FILES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if re.search(phrase, line)
    ]
    assert not found, "\n".join(found)
