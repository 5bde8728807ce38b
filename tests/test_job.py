"""Behaviour shared by all scripts: atomic outputs, rejection of damaged inputs, one-line errors."""

import json
import logging
import os
import resource
import secrets
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from snakemake.iocontainers import Namedlist

from dualscale.data.files import Parquet
from dualscale.reporting.tables import read_records
from dualscale.runtime.files import atomic_write, checksum_path, require_unchanged
from dualscale.runtime.records import read_record, run_of, trained_with, write_record, write_rows
from execution.job import PERMANENT_ERROR, bind, job, run, within_runtime


def test_a_file_has_its_name_only_once_it_is_whole(tmp_path):
    path = tmp_path / "points.npy"
    with pytest.raises(KeyboardInterrupt), atomic_write(path) as part:
        part.write_text("half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    with atomic_write(path) as part:
        part.write_text("all of it")
        assert not path.exists()
    assert path.read_text() == "all of it"


def test_attempts_that_run_at_once_write_to_files_of_their_own(tmp_path):
    path = tmp_path / "points.npy"
    with atomic_write(path) as one:
        one.write_text("one")
        with atomic_write(path) as other:
            other.write_text("other")
        assert (one.read_text(), path.read_text()) == ("one", "other")
    assert path.read_text() == "one"
    require_unchanged([path])


def test_what_a_killed_attempt_left_is_removed_by_the_next(tmp_path):
    left = [tmp_path / ".part.0123abcd.points.npy", tmp_path / ".part.0123abcd..points.npy.sha256"]
    other = tmp_path / ".part.0123abcd.others.npy"
    for path in [*left, other]:
        path.write_text("half")
    with atomic_write(tmp_path / "points.npy") as part:
        part.write_text("all of it")
    assert not any(path.exists() for path in left)
    assert other.exists()


def test_a_link_in_place_of_a_temporary_file_is_not_written_through(tmp_path, monkeypatch):
    monkeypatch.setattr(secrets, "token_hex", lambda size: "guessed!")
    victim, link = tmp_path / "victim", tmp_path / ".part.guessed!.points.npy"
    link.symlink_to(victim)
    with pytest.raises(FileExistsError), atomic_write(tmp_path / "points.npy") as part:
        part.write_text("all of it")
    assert link.is_symlink()
    assert not victim.exists()


def test_a_file_has_the_mode_that_the_umask_says(tmp_path):
    before = os.umask(0o027)
    try:
        with atomic_write(tmp_path / "points.npy") as part:
            part.write_text("all of it")
    finally:
        os.umask(before)
    for path in (tmp_path / "points.npy", checksum_path(tmp_path / "points.npy")):
        assert path.stat().st_mode & 0o777 == 0o640


def save_array(part):
    with part.open("wb") as file:
        np.save(file, np.zeros(10_000))


TOO_MUCH = {
    "array": save_array,
    "bytes": lambda part: part.write_bytes(bytes(80_000)),
    "text": lambda part: np.savetxt(part, np.zeros(10_000)),
    "table": lambda part: pd.DataFrame(np.zeros((10_000, 2))).to_csv(part),
    "Parquet": lambda part: Parquet().write(part, np.random.default_rng(0).random((9999, 2))),
    "png": lambda part: plt.figure(dpi=900).savefig(part, format="png"),
    "pdf": lambda part: plt.figure().savefig(part, format="pdf"),
}


@pytest.fixture
def full_disk():
    """Limit files to 1,000 bytes, so that writes fail as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("kind", TOO_MUCH)
def test_a_full_disk_is_reported_with_the_files_name(kind, tmp_path, full_disk):
    path = tmp_path / "file"
    with pytest.raises(OSError) as caught, atomic_write(path) as part:
        TOO_MUCH[kind](part)
    assert str(caught.value) == f"[Errno 27] File too large: '{path}'"
    assert list(tmp_path.iterdir()) == []


def test_a_missing_input_of_a_file_keeps_its_own_name(tmp_path):
    with pytest.raises(FileNotFoundError, match="its input"), atomic_write(tmp_path / "file"):
        (tmp_path / "its input").read_text()


def test_a_file_that_was_changed_is_refused_by_name(tmp_path):
    path = tmp_path / "points.npy"
    with atomic_write(path) as part:
        part.write_bytes(b"0123456789")
    require_unchanged([path])
    for damaged in (b"0123456788", b"012345678", b""):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"points\.npy is not as it was written"):
            require_unchanged([path])
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ValueError, match=r"points\.npy is not as it was written"):
        require_unchanged([path])


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"", b"0123abcd\n", None])
def test_a_damaged_checksum_is_named(content, tmp_path):
    path = tmp_path / "points.npy"
    with atomic_write(path) as part:
        part.write_text("all of it")
    if content is None:
        checksum_path(path).unlink()
        os.mkfifo(checksum_path(path))
    else:
        checksum_path(path).write_bytes(content)
    with pytest.raises(ValueError, match=r"points\.npy cannot be checked, .*\.npy\.sha256 is dam"):
        require_unchanged([path])


@pytest.mark.parametrize("stopped_at", [".points.npy.sha256", "points.npy"])
def test_a_crash_between_a_checksum_and_its_file_leaves_what_is_refused_or_whole(
    stopped_at, tmp_path, monkeypatch
):
    path = tmp_path / "points.npy"
    replace = Path.replace

    def crash(part, target):
        if Path(target).name == stopped_at:
            raise KeyboardInterrupt
        replace(part, target)

    def write(content):
        with atomic_write(path) as part:
            part.write_text(content)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Path, "replace", crash)
        write("new")
    assert not path.exists()
    write("old")
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Path, "replace", crash)
        write("new")
    assert path.read_text() == "old"
    if stopped_at == "points.npy":
        with pytest.raises(ValueError, match="is not as it was written"):
            require_unchanged([path])
    else:
        require_unchanged([path])


def test_a_file_that_no_job_wrote_may_be_anything(tmp_path):
    (tmp_path / "mine.csv").write_text("1,2")
    require_unchanged([tmp_path / "mine.csv"])


@pytest.fixture
def record(tmp_path):
    """Path of a run's record."""
    path = tmp_path / "training/mine/dino/0.json"
    path.parent.mkdir(parents=True)
    return path


def test_the_seeds_of_a_training_are_read_from_its_record(record):
    write_record(record, {"seeds": [0, 1]})
    assert trained_with(record) == [0, 1]


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff", b"5", b"[]", b"{}", b'{"seeds": 5}', b'{"seeds": null}', b"[" * 100_000],
)
def test_a_damaged_record_counts_as_none(content, record):
    record.write_bytes(content)
    assert trained_with(record) is None


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_counts_as_no_record(make, record):
    make(record)
    assert trained_with(record) is None


@pytest.mark.parametrize("content", [b"", b"\xff", b"5", b"{"])
def test_what_is_not_a_record_is_named(content, record):
    record.write_bytes(content)
    with pytest.raises(ValueError, match=r"0\.json is not a record"):
        read_record(record)


def test_a_record_says_the_run_of_its_path(record):
    write_record(record, {"kl_bits": 1.0})
    run = {"variant": "mine", "dataset": "dino", "seed": 0}
    assert json.loads(record.read_text()) == run | {"kl_bits": 1.0}
    rows = record.with_suffix(".csv")
    write_rows(rows, ["timestep"], [[0], [1]])
    expected = "variant,dataset,seed,timestep\nmine,dino,0,0\nmine,dino,0,1\n"
    assert rows.read_text() == expected
    assert run_of(rows) == run


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_a_record_in_the_folder_of_another_run_is_refused_by_name(record, kind):
    path = record.with_suffix(f".{kind}")
    if kind == "json":
        write_record(path, {"kl_bits": 1.0})
    else:
        write_rows(path, ["kl_bits"], [[1.0]])
    moved = path.with_stem("1")
    path.rename(moved)
    with pytest.raises(ValueError, match=rf"1\.{kind} is of mine/dino/0, and lies where"):
        read_records([moved])


def test_a_record_that_does_not_say_its_run_is_refused(record):
    record.write_text('{"kl_bits": 1.0}')
    with pytest.raises(ValueError, match=r"0\.json is of None/None/None"):
        read_record(record)


def test_a_path_that_is_not_of_a_run_is_named():
    with pytest.raises(ValueError, match=r"mine/dino/first\.json is not named after a run"):
        run_of("results/mine/dino/first.json")


def named(files):
    """Return a rule's files as Snakemake does: a list with names for its parts."""
    found = Namedlist()
    for name, paths in files.items():
        start = len(found)
        several = isinstance(paths, list)
        found.extend(paths if several else [paths])
        found._set_name(name, start, end=len(found) if several else None)
    return found


def rule_of(input=(), output=(), params=(), threads=1, **around):
    """What Snakemake tells a script of its rule."""
    return SimpleNamespace(
        input=named(dict(input)),
        output=named(dict(output)),
        params=Namedlist(fromdict=dict(params)),
        wildcards=Namedlist(fromdict=around.get("wildcards", {})),
        resources=Namedlist(fromdict=around.get("resources", {})),
        threads=threads,
    )


def test_a_scripts_arguments_are_bound_by_name():
    def main(
        real: Path,
        tables: list[Path],
        training: Path | None = None,
        *,
        settings: dict,
        seed: int,
        gpu: int,
        threads: int,
        runtime: int | None = None,
    ):
        raise AssertionError

    rule = rule_of(
        {"real": "a.npy"},
        {"tables": "a.csv"},
        {"settings": {"k": 5}, "code": "c0de", "planned": {}},
        threads=2,
        wildcards={"seed": "7", "dataset": "dino"},
        resources={"gpu": 1},
    )
    assert bind(main, rule, "it.py") == {
        "real": Path("a.npy"),
        "tables": [Path("a.csv")],
        "settings": {"k": 5},
        "seed": 7,
        "gpu": 1,
        "threads": 2,
    }


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (rule_of(), "it.py: its rule does not give 'real', which main takes"),
        (rule_of({"real": "a", "more": "b"}), "it.py: its rule gives 'more', which main does not"),
        (rule_of({"real": "a"}, {"real": "b"}), "it.py: its rule gives 'real' twice"),
        (rule_of({"real": ["a", "b"]}), "it.py: its rule gives several files for 'real'"),
    ],
    ids=["missing", "unknown", "twice", "several"],
)
def test_a_rule_that_does_not_fit_its_script_is_named(rule, message):
    def main(real: Path):
        raise AssertionError

    with pytest.raises(ValueError, match=message):
        bind(main, rule, "it.py")


def test_a_file_without_a_name_in_its_rule_is_named():
    rule = rule_of({"real": "a.npy"})
    rule.output = Namedlist(toclone=["b.csv"])
    with pytest.raises(ValueError, match=r"it\.py: its rule has no name for b\.csv"):
        bind(lambda real: None, rule, "it.py")


def test_a_script_that_is_imported_does_nothing():
    run(lambda: pytest.fail("it ran"), {"__file__": "it.py"})


@pytest.fixture
def no_logging(monkeypatch):
    """Logging as a job finds it at its start."""
    monkeypatch.setattr(logging.root, "handlers", [])
    level = logging.root.level
    yield
    for handler in logging.root.handlers:
        with suppress(OSError):
            handler.close()
    logging.root.setLevel(level)


def rule(log, folder):
    """What Snakemake tells a job."""
    return SimpleNamespace(log=[log], input=[], output=[folder / "it"], params={})


def status(log, body):
    """Exit status of a job."""
    with pytest.raises(SystemExit) as caught, job(rule(log, log.parent)):
        body()
    return caught.value.code


def test_an_error_is_one_line_for_the_user_and_whole_in_the_log(tmp_path, capsys, no_logging):
    def body():
        raise ValueError("it is\n too long")

    assert status(tmp_path / "log", body) == PERMANENT_ERROR
    assert capsys.readouterr().err.splitlines()[0].endswith(": it is too long")
    assert "Traceback" in (tmp_path / "log").read_text()


def test_an_interrupt_is_noted_in_the_log_and_prints_nothing(tmp_path, capsys, no_logging):
    def body():
        raise KeyboardInterrupt

    assert status(tmp_path / "log", body) == 130
    assert capsys.readouterr().err == ""
    assert (tmp_path / "log").read_text().endswith("interrupted\n")


def test_a_log_that_cannot_be_opened_is_one_line(tmp_path, capsys, no_logging):
    (tmp_path / "log").mkdir()
    assert status(tmp_path / "log", lambda: None) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(f": [Errno 21] Is a directory: '{tmp_path}/log'")


def test_a_log_on_a_full_disk_stops_no_job(tmp_path, capsys, no_logging):
    with job(rule("/dev/full", tmp_path)):
        logging.info("it goes on")
    assert capsys.readouterr().err == ""


def test_a_search_that_outlasts_the_jobs_runtime_is_refused_with_what_to_do():
    check = within_runtime(60)
    check(3000)
    with pytest.raises(
        TimeoutError, match="about 13 h 20 min, longer than the job's runtime of 60"
    ):
        check(48_000)


def test_a_long_search_is_told_of_where_there_is_no_limit(capsys):
    check = within_runtime(None)
    check(60)
    assert capsys.readouterr().err == ""
    check(48_000)
    assert (
        "takes about 13 h 20 min; fewer kl.real_points would shorten it" in capsys.readouterr().err
    )
