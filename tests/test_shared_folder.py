"""Two users in one folder: it works, or the second is told the obstacle."""

import getpass
import multiprocessing
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from planning.shared_folder import obstacle

NOBODY = 65534


@pytest.fixture
def folder():
    """Folder in which its owner has run Snakemake, readable by others."""
    path = Path(tempfile.mkdtemp())
    (path / "results").mkdir()
    (path / ".snakemake/metadata").mkdir(parents=True)
    (path / ".snakemake/metadata/note").touch()
    for part in (path, *path.rglob("*")):
        part.chmod(0o666 if part.is_file() else 0o777)
    yield path
    shutil.rmtree(path)


def found(folder):
    """Message for a user who does not own the files; root, whom nothing stops, becomes nobody."""
    if os.getuid():
        return obstacle(folder)
    with multiprocessing.get_context("fork").Pool(1, os.setuid, [NOBODY]) as pool:
        return pool.apply(obstacle, [folder])


def test_nothing_is_in_the_way_in_a_folder_that_all_may_write_to(folder):
    assert found(folder) is None


def test_nothing_is_in_the_way_where_nobody_has_run(tmp_path):
    assert obstacle(tmp_path) is None


@pytest.mark.parametrize(
    ("part", "mode"),
    [
        (".snakemake", 0o755),
        (".snakemake", 0o700),
        (".snakemake/metadata", 0o755),
        (".snakemake/metadata", 0o700),
        (".snakemake/metadata/note", 0o640),
        ("results", 0o755),
    ],
)
def test_what_another_user_keeps_is_one_line_with_the_owner_and_the_remedy(folder, part, mode):
    if os.getuid():
        mode &= 0o577  # the test's user acts as the other one
    (folder / part).chmod(mode)
    line = found(folder)
    (folder / part).chmod(0o777)
    assert line.startswith(f"{folder / part} belongs to {getpass.getuser()}, and ")
    assert "--directory" in line and "\n" not in line
