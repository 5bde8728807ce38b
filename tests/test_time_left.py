"""Estimate of the time left, as printed for the user."""

import logging

import pytest

from planning.time_left import TimeLeft


@pytest.fixture
def clock():
    class Clock:
        now = 0.0

        def __call__(self):
            return self.now

    return Clock()


def tell(handler, event, **fields):
    handler.handle(logging.makeLogRecord({"event": event, **fields}))


def test_what_is_left_takes_what_the_same_stage_took_two_side_by_side(clock):
    listener = TimeLeft(clock)
    tell(
        listener, "run_info", stats={"train": 6, "train_seeds_0_to_7": 2, "sample": 8, "total": 16}
    )
    for job, begin, end in [(0, 0, 100), (1, 0, 100), (2, 100, 200), (3, 100, 200)]:
        clock.now = begin
        tell(listener, "job_info", jobid=job, rule_name="train")
        clock.now = end
        tell(listener, "job_finished", job_id=job)
    assert listener.estimate() == pytest.approx(200)  # four trainings of 100 s, two at a time


def test_a_job_under_way_counts_by_what_it_still_needs(clock):
    listener = TimeLeft(clock)
    tell(listener, "run_info", stats={"train": 2, "total": 2})
    tell(listener, "job_info", jobid=0, rule_name="train")
    clock.now = 100
    tell(listener, "job_finished", job_id=0)
    tell(listener, "job_info", jobid=1, rule_name="train")
    clock.now = 160
    assert listener.estimate() == pytest.approx(40)


def test_stages_not_begun_make_it_at_least(clock, capsys):
    listener = TimeLeft(clock)
    tell(listener, "run_info", stats={"train": 4, "sample": 4, "total": 8})
    tell(listener, "job_info", jobid=0, rule_name="train")
    clock.now = 100
    tell(listener, "job_finished", job_id=0)
    assert capsys.readouterr().err == "  at least 5 min left in all\n"


def test_it_is_said_once_a_minute_and_not_at_the_end(clock, capsys):
    listener = TimeLeft(clock)
    tell(listener, "run_info", stats={"train": 4, "total": 4})
    said = []
    for job in range(4):
        tell(listener, "job_info", jobid=job, rule_name="train")
        clock.now += 45
        tell(listener, "job_finished", job_id=job)
        said.append(capsys.readouterr().err)
    assert said == ["", "  about 2 min left in all\n", "", ""]


@pytest.mark.parametrize(("arguments", "said"), [([], True), (["--quiet", "progress"], False)])
def test_a_run_says_it_unless_told_to_be_quiet(project, arguments, said, monkeypatch):
    monkeypatch.setenv("DUALSCALE_PROGRESS_SECONDS", "0")
    project.configure(kl={"k": 3})
    assert ("left in all" in project.run(*arguments).stderr) == said
