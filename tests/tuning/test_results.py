"""Results in the folders of a sweep: those that are damaged are left out, so that a search does them again."""

import json

import pytest

from kerasvae import tuning
from kerasvae.tuning.results import collect, row_folder

ROWS = tuning.rows(seed=[1, 2, 3])


@pytest.mark.parametrize(
    "contents",
    [b"", b"{", b"[1]", b"null", b"\xff\0", b"[" * 100_000, b'{"row": [1]}', b'{"row": {"seed": 2}, "metrics": [1]}'],
    ids=["empty", "cut", "list", "null", "binary", "deep", "row", "metrics"],
)
def test_a_damaged_result_is_left_out(tmp_path, contents):
    for row in ROWS:
        row_folder(tmp_path, row).mkdir(parents=True)
        result = {"row": row, "metrics": {"mig": row["seed"] / 10}, "seconds": 1.0}
        (row_folder(tmp_path, row) / "result.json").write_text(json.dumps(result))
    assert [result["mig"] for result in collect(tmp_path, ROWS)] == [0.1, 0.2, 0.3]
    (row_folder(tmp_path, ROWS[1]) / "result.json").write_bytes(contents)
    assert [result["mig"] for result in collect(tmp_path, ROWS)] == [0.1, 0.3]
