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
    task = await rows.submitting(estimate={"call": 1, "image": 4, "first_output_megapixel": 4, "input_megapixel": 8})
    task = await rows.move(task, TaskState.RUNNING, measured={"input_megapixel": 3, "image": 2})
    counted, told = {"first_output_megapixel": 2, "image": 1}, {"input_megapixel": 5}
    assert quantities_of(task, counted, told) == {
        "call": 1,
        "image": 2,
        "first_output_megapixel": 2,
        "input_megapixel": 5,
    }
