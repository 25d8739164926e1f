"""What holds of jobs in processes of their own, wherever these are: here or on the nodes of a cluster."""

from __future__ import annotations

import signal
import sys

import pytest
from conftest import small_study

from archbench.environment import HUGE_PAGES, KEEPING
from archbench.execute import Job, Setup, Stops
from archbench.execute.checkpoints import folder_of
from archbench.execute.jobs import Ended
from archbench.execute.pool import Work
from archbench.plan import make_plan


def setup_of(folder):
    return Setup(list(sys.path), (), None, str(folder / "logs"), str(folder / "checkpoints"))


def job_of(model, attempt=1, cores=(), **settings):
    name = f"pool_models:{model}"
    (cell,) = make_plan(small_study([name], ["3k"], **{"epochs": 1, "seeds": 1, **settings})).cells
    return Job("train", cell, attempt, cores=cores)


def done(runner, *jobs, on_message=lambda job, message: None, workers=1, timeout=lambda job: None):
    """Do jobs; return by attempt what was heard of each, its end last."""
    waiting, heard = list(jobs), {job.attempt: [] for job in jobs}

    def hear(job, news):
        if news.environment is None:  # where it is done, which a cluster alone tells
            heard[job.attempt].append(news)
        on_message(job, news)

    with Stops() as stops:
        runner.run(Work(
            lambda: waiting.pop(0) if waiting else None, lambda: bool(waiting), hear,
            lambda job, ended: heard[job.attempt].append(ended), stops, workers, timeout,
        ))  # fmt: skip
    return heard


def log_of(here, job):
    file = job.log(here / "logs")
    return file.read_text() if file.exists() else None


def said(here, job, word):
    line = next(line for line in log_of(here, job).splitlines() if line.startswith(word))
    return line.split()[1:]


class RunnerContract:
    """A file that binds it has a fixture `runner`, and `here` for the folder that its jobs print into."""

    def test_news_of_a_job_arrives_in_its_order_and_its_end_last(self, runner):
        *news, ended = done(runner, job_of("quiet", epochs=4))[1]
        assert [message.epoch.epoch for message in news[:-1]] == [1, 2, 3, 4]
        assert news[-1].outcome.status == "done"
        assert news[-1].outcome.training.epochs == tuple(message.epoch for message in news[:-1])
        assert ended == Ended(0)

    def test_what_a_model_prints_is_in_its_log_and_nowhere_else(self, runner, here, capfd):
        job = job_of("saying", lr=0.5)
        done(runner, job)
        assert "to standard error, with letters of others: \u00e9\n" in log_of(here, job)
        assert capfd.readouterr() == ("", "")

    def test_variables_are_inherited_and_memory_is_kept(self, runner, here):
        job = job_of("saying", lr=0.25)
        done(runner, job)
        variables = dict(word.split("=", 1) for word in said(here, job, "variables"))
        assert variables == {**KEEPING, **HUGE_PAGES, "POOL_FOLDER": str(here)}

    @pytest.mark.parametrize(
        ("model", "ended"),
        [
            ("killed", Ended(None, signal.SIGKILL)), ("terminated", Ended(None, signal.SIGTERM)), ("leaving", Ended(7)),
        ],
    )  # fmt: skip
    def test_how_a_process_ended_is_told_and_the_next_job_is_done(self, runner, model, ended):
        heard = done(runner, job_of(model, 1), job_of("quiet", 2))
        assert heard[1] == [ended]
        assert heard[2][-2].outcome.status == "done"

    def test_the_row_of_an_epoch_is_there_before_the_next_checkpoint(self, runner, here):
        job, seen = job_of("quiet", epochs=5, lr=0.03), []
        folder = folder_of(here / "checkpoints", job.cell.key)

        def look(_, message):
            if message.epoch:
                seen.append((message.epoch.epoch, sorted(int(file.stem[6:]) for file in folder.glob("epoch-*.pt"))))

        done(runner, job, on_message=look)
        assert [epoch for epoch, _ in seen] == [1, 2, 3, 4, 5]
        assert all(max(there) == epoch for epoch, there in seen)

    def test_one_stop_ends_a_run_after_its_step_and_begins_no_other(self, runner):
        def stop(job, message):
            if message.epoch and message.epoch.epoch == 2:
                signal.raise_signal(signal.SIGINT)

        heard = done(runner, job_of("quiet", 1, epochs=10_000), job_of("quiet", 2), on_message=stop)
        *news, last, ended = heard[1]
        assert len(news) >= 2
        assert (last.outcome.status, last.outcome.error, ended) == ("interrupted", "stopped", Ended(0))
        assert heard[2] == []
