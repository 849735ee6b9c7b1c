"""Replicate: runs models behind an HTTP API, and its format as we offer it to callers."""

from halley.vendors.contract import CONTRACT, Callbacks, Find, Tasks, Upload, Vendor
from halley.vendors.replicate import wire
from halley.vendors.replicate.dialect import DIALECT
from halley.vendors.replicate.encode import WRITTEN_FROM
from halley.vendors.replicate.signature import verified

TASKS = Tasks(
    states=wire.STATES,
    write_order=wire.write_order,
    read_accepted=wire.read_accepted,
    read_refusal=wire.read_refusal,
    written_from=WRITTEN_FROM,
    write_poll=wire.write_poll,
    read_report=wire.read_report,
    write_cancel=wire.write_cancel,
    find=Find(write=wire.write_find, read=wire.read_find),
    upload=Upload(write=wire.write_upload, read=wire.read_upload),
    callbacks=Callbacks(
        attach=wire.attach_callback,
        write_secret=wire.write_secret,
        read_secret=wire.read_secret,
        verify=verified,
    ),
)

VENDOR = Vendor(
    name="replicate",
    title="Replicate",
    contract=CONTRACT,
    docs="https://replicate.com/docs/reference/http",
    checked="2026-11-22",
    base_url="https://api.replicate.com",
    environment=("REPLICATE_API_TOKEN",),
    auth_header="authorization",
    auth_prefix="Bearer ",
    format=DIALECT.name,
    dialect=DIALECT,
    tasks=TASKS,
    simulator="halley.vendors.replicate.simulator:create_app",
)

__all__ = ["DIALECT", "TASKS", "VENDOR"]
