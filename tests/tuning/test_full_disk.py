"""A full or read-only disk ends a search, and fails no row."""

import errno
import os
import sys

import pytest

from kerasvae import tuning

ROWS = tuning.rows(seed=[1, 2, 3])


def test_a_disk_that_is_full_for_keras_tuner_itself(tmp_path, monkeypatch):
    def save_json(path, value):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(sys.modules["keras_tuner.src.utils"], "save_json", save_json)
    with pytest.raises(OSError, match=r"folder: the study in .* could not write .*No space left.*make room"):
        tuning.search(lambda row, folder, verbose: {"mig": 1.0}, ROWS, tmp_path, verbose=0)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_rows_that_cannot_write_have_not_failed(tmp_path, number):
    def run(row, folder, verbose):
        if row == ROWS[1]:
            try:
                raise OSError(number, os.strerror(number))
            except OSError as error:
                raise RuntimeError("the checkpoint could not be written") from error
        return {"mig": 1.0}

    with pytest.raises(OSError, match="what is finished stays finished"):
        tuning.search(run, ROWS, tmp_path, verbose=0)
    assert not list(tmp_path.rglob("error.txt"))
    assert [path.parent.name for path in tmp_path.rglob("result.json")] == ["seed=1"]
