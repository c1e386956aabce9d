import csv
from pathlib import Path

from kerasvae import perception


def test_the_file_and_the_package_hold_the_same_numbers():
    path = Path(__file__).parents[2] / "assets" / "published_factor_importance.csv"
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    read = {}
    for row in rows:
        read.setdefault(row["dataset"], {})[row["factor"]] = (float(row["mean"]), float(row["std"]))
    assert read == perception.FACTOR_IMPORTANCE
    assert len(rows) == sum(map(len, read.values()))


def test_random_pairs_are_the_farthest_apart():
    # The paper's finding; also what a shifted label would break.
    for factors in perception.FACTOR_IMPORTANCE.values():
        assert max(factors, key=lambda name: factors[name][0]) == "random"
