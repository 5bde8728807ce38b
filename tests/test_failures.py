"""Report of a failed run, from its jobs' logs."""

import os
from pathlib import Path

import pytest

from execution.job import job
from planning.failures import failures


class Rule:
    """The attributes of Snakemake's rule that `job` reads."""

    input, params = (), {}

    def __init__(self, log):
        self.log, self.output = [log], [log.with_suffix(".out")]


@pytest.fixture
def failed(tmp_path):
    """Function that writes the log of a failed job."""

    def write(name, message):
        with pytest.raises(SystemExit), job(Rule(tmp_path / name)):
            raise ValueError(message)
        return tmp_path / name

    return write


def test_the_error_of_a_job_is_told_from_its_log(failed):
    log = failed("0.log", "points.csv: row 3 is empty")
    assert list(failures([log], since=0)) == [(log, "points.csv: row 3 is empty")]


def test_the_last_error_counts(failed, tmp_path):
    first, second = failed("first.log", "the first"), failed("second.log", "the second")
    both = tmp_path / "both.log"
    both.write_text(first.read_text() + second.read_text())
    assert list(failures([both], since=0)) == [(both, "the second")]


def test_a_log_without_an_error_is_not_told(tmp_path):
    with job(Rule(tmp_path / "0.log")):
        pass
    assert list(failures([tmp_path / "0.log"], since=0)) == []


def test_a_log_of_an_earlier_run_is_not_even_read(failed, monkeypatch):
    old, new = failed("old.log", "of old"), failed("new.log", "of this run")
    os.utime(old, (1000, 1000))
    read, read_text = [], Path.read_text
    monkeypatch.setattr(Path, "read_text", lambda p, **o: (read.append(p), read_text(p, **o))[1])
    assert [log for log, _ in failures([old, new], since=2000)] == [new]
    assert read == [new]


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_log_is_passed_over(failed, tmp_path, make):
    log = failed("0.log", "points.csv: row 3 is empty")
    make(tmp_path / "1.log")
    assert [path for path, _ in failures([tmp_path / "1.log", log], since=0)] == [log]
