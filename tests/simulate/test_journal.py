"""What a simulated vendor remembers."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from halley.vendors.simulate import (
    NEVER_US,
    Directive,
    Due,
    Job,
    Journal,
    Outcome,
    Phase,
    Upload,
    phase,
    progress,
)


@pytest.fixture
def journal() -> Iterator[Journal]:
    opened = Journal(":memory:", vendor="acme")
    yield opened
    opened.close()


def a_job(name: str, *, created_us: int = 1_000, ready_us: int = 2_000, account: str = "me") -> Job:
    return Job(
        id=name,
        created_us=created_us,
        ready_us=ready_us,
        model="flux-dev",
        directive=Directive(outcome=Outcome.EXPIRED_LINK, delay_s=0.5),
        request=msgspec.Raw(b'{"prompt":"a"}'),
        account=account,
        callback_url="http://127.0.0.1/hook",
        callback_secret="s",
        details=msgspec.Raw(b"[1]"),
    )


def test_job_comes_back_as_it_was_with_its_inputs(journal: Journal):
    job = journal.add(a_job("a"), inputs=[b"one", b"two"])
    assert journal.get("a") == job == msgspec.structs.replace(a_job("a"), seq=1)
    assert journal.inputs(job) == (b"one", b"two")


def test_job_of_another_account_or_vendor_is_not_found(tmp_path: Path):
    mine, other = (Journal(tmp_path / "s.db", vendor=vendor) for vendor in ("acme", "other"))
    mine.add(a_job("a"))
    assert (mine.get("a", account="you"), other.get("a"), mine.get("b")) == (None, None, None)
    mine.close()
    other.close()


def test_pages_go_from_new_to_old_without_gap(journal: Journal):
    for number in range(5):
        journal.add(a_job(f"j{number}", created_us=number, account="you" if number == 2 else "me"))
    first = journal.page(account="me", limit=2)
    second = journal.page(account="me", limit=2, before_seq=first[-1].seq)
    assert [[job.id for job in page] for page in (first, second)] == [["j4", "j3"], ["j1", "j0"]]
    assert [job.id for job in journal.page(since_us=1, until_us=3)] == ["j2", "j1"]
    assert [job.id for job in journal.all()] == ["j0", "j1", "j2", "j3", "j4"]


def test_job_that_fails_to_be_written_leaves_nothing(journal: Journal):
    journal.add(a_job("a"))
    with pytest.raises(Exception, match="UNIQUE"):
        journal.add(a_job("a"), inputs=[b"x"], callbacks=[Due(event="completed", due_us=1)])
    assert (len(journal.all()), journal.owed(due_by_us=10)) == (1, [])


@pytest.mark.parametrize(
    ("now_us", "cancelled_us"),
    [pytest.param(1_999, 1_999, id="running"), pytest.param(2_000, None, id="finished-already")],
)
def test_only_a_job_that_is_not_over_can_be_cancelled(journal: Journal, now_us: int, cancelled_us: int | None):
    journal.add(a_job("a"))
    job = journal.cancel("a", now_us=now_us)
    assert job is not None
    assert job.cancelled_us == cancelled_us


def test_cancelling_makes_the_callbacks_due_and_keeps_the_first_time(journal: Journal):
    journal.add(a_job("a"), callbacks=[Due(event="completed", due_us=2_000)])
    journal.cancel("a", now_us=1_500)
    job = journal.cancel("a", now_us=1_600)
    assert job is not None
    assert (job.cancelled_us, journal.owed(due_by_us=1_500)[0].event) == (1_500, "completed")
    assert journal.cancel("unknown", now_us=1) is None


def test_active_jobs_are_those_neither_ready_nor_cancelled(journal: Journal):
    journal.add(a_job("a"))
    journal.add(a_job("b", ready_us=NEVER_US))
    journal.add(a_job("c", ready_us=NEVER_US, account="you"))
    journal.cancel("c", now_us=1_000)
    assert [journal.active_count(now_us) for now_us in (1_500, 2_500)] == [2, 1]
    assert journal.active_count(1_500, account="you") == 0


def test_forgotten_jobs_take_their_inputs_and_callbacks_along(journal: Journal):
    job = journal.add(a_job("a"), inputs=[b"x"], callbacks=[Due(event="completed", due_us=1)])
    assert journal.forget(created_before_us=2_000) == 1
    assert (journal.all(), journal.inputs(job), journal.next_due_us()) == ([], (), None)


def test_files_are_kept_listed_and_deleted(journal: Journal):
    sent = [
        Upload(id=name, name=f"{name}.png", type="image/png", size=0, sha256="0", created_us=1, account="me")
        for name in "ab"
    ]
    kept = [journal.add_file(upload, b"bytes") for upload in sent]
    assert journal.page_files(account="me") == kept[::-1]
    assert journal.page_files(account="you") == []
    assert (journal.get_file("a"), journal.file_bytes("a"), kept[0].size) == (kept[0], b"bytes", 5)
    assert [journal.delete_file("a"), journal.delete_file("a")] == [True, False]
    assert (journal.get_file("a"), journal.file_bytes("a")) == (None, None)


def test_secret_is_kept_for_the_next_start(tmp_path: Path):
    for fresh in (b"first", b"second"):
        journal = Journal(tmp_path / "s.db", vendor="acme")
        assert journal.secret(fresh) == b"first"
        journal.close()


@pytest.mark.parametrize(
    ("now_us", "expected"),
    [
        pytest.param(1_000, (Phase.QUEUED, 0.0), id="just-made"),
        pytest.param(1_199, (Phase.QUEUED, 0.199), id="queued"),
        pytest.param(1_200, (Phase.RUNNING, 0.2), id="started"),
        pytest.param(1_999, (Phase.RUNNING, 0.999), id="almost"),
        pytest.param(2_000, (Phase.FINISHED, 1.0), id="ready"),
    ],
)
def test_phase_and_progress_follow_from_the_time(now_us: int, expected: tuple[Phase, float]):
    assert (phase(a_job("a"), now_us), progress(a_job("a"), now_us)) == expected


def test_job_that_never_finishes_runs_for_ever():
    job = a_job("a", ready_us=NEVER_US)
    assert phase(job, 10**17) is Phase.RUNNING
    assert 0 < progress(job, 10_000_000) < progress(job, 10**17) <= 0.9


def test_job_without_delay_is_ready_at_once():
    assert phase(a_job("a", ready_us=1_000), 1_000) is Phase.FINISHED
