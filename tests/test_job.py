"""What every script shares: whole files, and a refusal of damaged ones."""

import pytest

from job import require_unchanged, whole


def test_a_file_has_its_name_only_once_it_is_whole(tmp_path):
    path = tmp_path / "points.npy"
    with pytest.raises(KeyboardInterrupt), whole(path) as part:
        part.write_text("half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    with whole(path) as part:
        part.write_text("all of it")
        assert not path.exists()
    assert path.read_text() == "all of it"


def test_a_file_that_was_changed_is_refused_by_name(tmp_path):
    path = tmp_path / "points.npy"
    with whole(path) as part:
        part.write_bytes(b"0123456789")
    require_unchanged([path])
    for damaged in (b"0123456788", b"012345678", b""):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"points\.npy is not as it was written"):
            require_unchanged([path])


def test_a_file_that_no_job_wrote_may_be_anything(tmp_path):
    (tmp_path / "mine.csv").write_text("1,2")
    require_unchanged([tmp_path / "mine.csv"])
