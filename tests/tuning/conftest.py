import multiprocessing
import sys

import pytest
from study_processes import PROGRAM, Study


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    folder = tmp_path_factory.mktemp("program")
    (folder / "row_program.py").write_text(PROGRAM)
    sys.path.insert(0, str(folder))
    import row_program

    yield row_program
    sys.path.remove(str(folder))


@pytest.fixture(scope="session")
def context():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["kerasvae.tuning"])
    return context


@pytest.fixture
def study(tmp_path, context, program):
    study = Study(tmp_path / "study", context, program)
    yield study
    for process in study.processes:
        process.kill()
        process.join()
