from tests.database import FakeIds
from tests.tasks.rows import Rows

from halley.db import Database
from halley.pipeline.settle import quantities_of
from halley.tasks import TaskState
from halley.testing.clock import FakeClock


async def test_what_was_measured_last_and_nearest_replaces_the_estimate_meter_by_meter(
    db: Database, ids: FakeIds, clock: FakeClock
) -> None:
    rows = Rows(db, ids, clock)
    task = await rows.submitting(estimate={"call": 1, "image": 4, "further_output_megapixel": 9, "input_megapixel": 8})
    task = await rows.move(task, TaskState.RUNNING, measured={"input_megapixel": 3, "image": 1})
    counted, told = {"further_output_megapixel": 2, "image": 2}, {"input_megapixel": 5}
    assert quantities_of(task, counted, told) == {
        "call": 1,
        "image": 2,
        "further_output_megapixel": 2,
        "input_megapixel": 5,
    }


async def test_a_caller_pays_for_no_more_than_was_delivered(db: Database, ids: FakeIds, clock: FakeClock) -> None:
    rows = Rows(db, ids, clock)
    task = await rows.submitting(estimate={"image": 4, "further_output_megapixel": 0})
    counted, told = {"image": 2, "further_output_megapixel": 48_576}, {"image": 3, "further_output_megapixel": 50_000}
    # The vendor counts in hundredths of a megapixel, so a little more is the same.
    assert quantities_of(task, counted, told) == {"image": 2, "further_output_megapixel": 50_000}
    told["further_output_megapixel"] = 5_000_000
    assert quantities_of(task, counted, told)["further_output_megapixel"] < 100_000
