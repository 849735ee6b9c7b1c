"""Writes usage rows and sums them. Running totals per key stand on the key itself; nothing here sums without bound."""

from collections.abc import Mapping, Sequence

import msgspec

from halley.db import Row, Tx
from halley.db.engine import Values
from halley.kernel.clock import rfc3339
from halley.kernel.faults import BadRequest
from halley.kernel.money import Nanos
from halley.usage.model import By, DayOfKey, Outcome, Sum, Usage

QUOTA_DAYS_MAX = 366
PAGE_MAX = 1_000
_DAY_US = 86_400_000_000
_DATE_LENGTH = 10

_meters = msgspec.json.Decoder(dict[str, int])
_meters_text = msgspec.json.Encoder()
# Looked up once: an enum's value costs more than a row's other fields together.
_OUTCOMES = {outcome: outcome.value for outcome in Outcome}


def insert(tx: Tx, usage: Usage) -> bool:
    """Write the row of an order that ended; False when it has one already, which then stands."""
    return tx.run(_INSERT, dict(zip(_COLUMNS, _stored(usage), strict=True))) == 1


def insert_together(tx: Tx, rows: Sequence[Usage]) -> None:
    """Write the rows of many orders by one statement; raises the driver's error when an order has its row already."""
    tx.insert("usage", _COLUMNS, [_stored(usage) for usage in rows])


def quota(tx: Tx, *, account_id: str, livemode: bool, start: int, end: int) -> Sequence[DayOfKey]:
    """Sum what each key used on each day from `start` up to, and without, `end`; days in UTC, in order."""
    if end - start > QUOTA_DAYS_MAX * _DAY_US:
        raise BadRequest(f"A range is at most {QUOTA_DAYS_MAX} days; ask for less at a time", param="end_date")
    params = {"account_id": account_id, "livemode": int(livemode), "start": start, "end": end}
    return [_day(row) for row in tx.all(_QUOTA, params)]


def sums(tx: Tx, *, account_id: str, livemode: bool, start: int, end: int, by: Sequence[By]) -> Sequence[Sum]:
    """Sum what an account's orders used from `start` up to, and without, `end`; reads each of their rows."""
    params = {"account_id": account_id, "livemode": int(livemode), "start": start, "end": end}
    columns = ", ".join(f"{_GROUPS[each]} AS {_NAMED.format(each.value)}" for each in by)
    places = ", ".join(str(place) for place in range(1, len(by) + 1))
    return [_sum(row, by) for row in tx.all(_SUMS.format(columns=columns, places=places), params)]


def of_order(tx: Tx, *, order_id: str, order_kind: str) -> Usage | None:
    """Find the row of one order."""
    sql = "SELECT * FROM usage WHERE order_id = :order_id AND order_kind = :order_kind"
    row = tx.one(sql, {"order_id": order_id, "order_kind": order_kind})
    return _usage(row) if row else None


def exposures(tx: Tx, *, before: str = "~", limit: int = PAGE_MAX) -> Sequence[Usage]:
    """List orders that a vendor may bill for without the caller paying, newest first: the operator's exposure."""
    params = {"before": before, "limit": min(limit, PAGE_MAX)}
    return [_usage(row) for row in tx.all(_EXPOSURES, params)]


_COLUMNS = Usage.__struct_fields__
_INSERT = f"""
    INSERT INTO usage ({", ".join(_COLUMNS)}) VALUES ({", ".join(f":{column}" for column in _COLUMNS)})
    ON CONFLICT DO NOTHING
"""  # noqa: S608 - made of constants
_QUOTA = f"""
    SELECT created_at / {_DAY_US} AS day, key_id, CAST(SUM(price_nanos) AS BIGINT) AS used, COUNT(*) AS requests
    FROM usage
    WHERE account_id = :account_id AND livemode = :livemode AND created_at >= :start AND created_at < :end
    GROUP BY created_at / {_DAY_US}, key_id
    ORDER BY created_at / {_DAY_US}, key_id
"""  # noqa: S608 - made of a constant
_GROUPS: Mapping[By, str] = {
    By.ACCOUNT: "account_id",
    By.PROJECT: "project_id",
    By.KEY: "key_id",
    By.MODEL: "model",
    By.CHANNEL: "channel_id",
    By.OUTCOME: "outcome",
    By.DAY: f"created_at / {_DAY_US}",
}
_NAMED = "of_{}"
_SUMS = """
    SELECT {columns}, COUNT(*) AS requests,
        CAST(SUM(CASE WHEN outcome = 'succeeded' THEN 0 ELSE 1 END) AS BIGINT) AS unsuccessful,
        CAST(SUM(price_nanos) AS BIGINT) AS price_nanos,
        CAST(SUM(COALESCE(vendor_cost_nanos, 0)) AS BIGINT) AS vendor_cost_nanos,
        CAST(SUM(exposure_nanos) AS BIGINT) AS exposure_nanos
    FROM usage
    WHERE account_id = :account_id AND livemode = :livemode AND created_at >= :start AND created_at < :end
    GROUP BY {places}
"""
_EXPOSURES = """
    SELECT * FROM usage WHERE (outcome IN ('lost', 'unknown') OR exposure_nanos > 0) AND id < :before
    ORDER BY id DESC LIMIT :limit
"""


def _stored(usage: Usage) -> Values:
    """Give the values of a row, in the order of the fields."""
    return (
        usage.id,
        usage.account_id,
        usage.project_id,
        usage.key_id,
        int(usage.livemode),
        usage.order_kind,
        usage.order_id,
        usage.model,
        usage.channel_id,
        _OUTCOMES[usage.outcome],
        _meters_text.encode(usage.meters).decode(),
        usage.price_nanos,
        usage.vendor_cost_nanos,
        usage.exposure_nanos,
        usage.attempts,
        usage.first_byte_us,
        usage.total_us,
        usage.created_at,
    )


def _day(row: Row) -> DayOfKey:
    return DayOfKey(
        day=_date(row["day"]), key_id=row["key_id"], used_nanos=Nanos(row["used"]), requests=row["requests"]
    )


def _sum(row: Row, by: Sequence[By]) -> Sum:
    values = {each: row[_NAMED.format(each.value)] for each in by}
    if By.DAY in values:
        values[By.DAY] = _date(values[By.DAY])
    return Sum(
        of=tuple(values.values()),
        requests=row["requests"],
        unsuccessful=row["unsuccessful"],
        price_nanos=Nanos(row["price_nanos"]),
        vendor_cost_nanos=Nanos(row["vendor_cost_nanos"]),
        exposure_nanos=Nanos(row["exposure_nanos"]),
    )


def _date(day: int) -> str:
    return rfc3339(day * _DAY_US)[:_DATE_LENGTH]


def _usage(row: Row) -> Usage:
    values = {name: row[name] for name in Usage.__struct_fields__}
    values["livemode"] = bool(values["livemode"])
    values["meters"] = _meters.decode(values["meters"])
    return msgspec.convert(values, Usage)
