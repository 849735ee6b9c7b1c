"""Files that callers upload to name them in orders: create, look up, list, delete, download."""

import asyncio
import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from typing import Any

import msgspec

from halley.accounts import store as accounts
from halley.accounts.rules import secret_of_mode
from halley.api.asgi import Reply, json_reply, reply_of
from halley.api.call import Call
from halley.api.cursors import read_cursor, write_cursor
from halley.api.endpoints.downloads import Download, not_found, send
from halley.api.multipart import Multipart, PartHead
from halley.assets import File, ObjectTooLarge, Stored, store
from halley.assets.rules import file_key, safe_name
from halley.db import Tx
from halley.kernel import codec
from halley.kernel.clock import MICROSECONDS
from halley.kernel.faults import BadRequest, NotFound, TooLarge
from halley.pipeline import once
from halley.vendors.contract import Answer, FileView

FILE_BYTES_MAX = 100 * 1024 * 1024
PROJECT_BYTES_MAX = 10 * 1024 * 1024 * 1024
"""Of all files of a project together."""
FORM_BYTES_MAX = 1024 * 1024
"""What the rest of the form may add to the file."""
METADATA_BYTES_MAX = 16 * 1024
NAME_BYTES_MAX = 255
PAGE_SIZE = 100
DAY_US = 24 * 60 * 60 * MICROSECONDS
OCTET_STREAM = "application/octet-stream"

_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,100}/[A-Za-z0-9!#$&^_.+-]{1,100}", re.ASCII)
_FIELDS = {"filename": NAME_BYTES_MAX, "type": 1_024, "metadata": METADATA_BYTES_MAX}
_EXPIRY = re.compile(r"[0-9]{1,11}", re.ASCII)


class _Upload(msgspec.Struct, frozen=True, kw_only=True):
    """What a form held; its bytes are in the object store."""

    stored: Stored
    name: str
    content_type: str
    metadata: dict[str, Any]


async def create(call: Call) -> Reply:
    """Take a file."""
    context = call.context()
    file_id = call.world.ids.new()
    made = False
    try:
        upload = await _receive(call, file_id)

        async def act() -> Answer:
            nonlocal made
            file = _file(call, file_id, upload)
            await call.world.db.write("insert_file", lambda tx: _insert(tx, file))
            made = True
            return Answer(status=201, body=_shown(call, file))

        told = {"sha256": upload.stored.sha256, "name": upload.name, "metadata": upload.metadata}
        answer = await once.run_once(call.world, call.caller, context, told, act)
    finally:
        if not made:
            # Nothing names these bytes, and no sweep would find them.
            await asyncio.shield(call.world.objects.delete([file_key(file_id)]))
    return reply_of(answer)


async def fetch(call: Call) -> Reply:
    """Look up a file."""
    return json_reply(_shown(call, await _own(call)))


async def list_page(call: Call) -> Reply:
    """List the project's files, newest first."""
    _, after = read_cursor(call.query.get("cursor"))
    now, caller = call.world.clock.now(), call.caller

    def query(tx: Tx) -> list[File]:
        return store.list_files(
            tx, project_id=caller.project_id, livemode=caller.livemode, now=now, after=after, limit=PAGE_SIZE + 1
        )

    found = await call.world.db.read(query)
    shown = found[:PAGE_SIZE]
    cursor = write_cursor("after", shown[-1].id) if len(found) > PAGE_SIZE else None
    following = None if cursor is None else f"{call.base_url}{call.path}?cursor={cursor}"
    return json_reply({"next": following, "previous": None, "results": [_shown(call, file) for file in shown]})


async def delete(call: Call) -> Reply:
    """Delete a file: it is seen no more from now on."""
    now, caller, file_id = call.world.clock.now(), call.caller, call.params["id"]

    def unit(tx: Tx) -> bool:
        return store.delete_file(tx, file_id, project_id=caller.project_id, livemode=caller.livemode, now=now)

    if not await call.world.db.write("delete_file", unit):
        raise _missing(file_id)
    return Reply(status=204)


async def download(call: Call) -> Reply:
    """Send a file: to a key of its project, or by a link that is signed with its mode's webhook secret."""
    file = await _own(call) if call.admitted is not None else await _linked(call)
    return await send(call, msgspec.convert(file, Download, from_attributes=True))


def link_signature(secret: str, owner: str, file_id: str, expiry: str) -> str:
    """Sign a download link as clients do: HMAC-SHA256 of `owner id expiry` with the secret's bytes, in base64."""
    key = b64decode(secret.removeprefix("whsec_"))
    return b64encode(hmac.digest(key, f"{owner} {file_id} {expiry}".encode(), hashlib.sha256)).decode()


def _insert(tx: Tx, file: File) -> None:
    if store.stored_bytes(tx, project_id=file.project_id) + file.bytes > PROJECT_BYTES_MAX:
        message = (
            f"The project's files would exceed {PROJECT_BYTES_MAX:,} bytes; delete some, or wait until they expire"
        )
        raise TooLarge(message, param="content")
    store.insert_file(tx, file)


async def _receive(call: Call, file_id: str) -> _Upload:
    if "content-encoding" in call.headers:
        raise BadRequest("A form is not sent packed; leave `Content-Encoding` out", param="content-encoding")
    chunks = call.body(FILE_BYTES_MAX + FORM_BYTES_MAX).chunks()
    form = Multipart(chunks, call.headers.get("content-type", ""))
    stored: Stored | None = None
    head: PartHead | None = None
    fields: dict[str, str] = {}
    while (part := await form.next_part()) is not None:
        if part.name == "content" and stored is None:
            head, stored = part, await _store(call, file_id, form)
        elif part.name in _FIELDS and part.name not in fields:
            fields[part.name] = await form.text(_FIELDS[part.name])
        else:
            raise BadRequest(f"The form has a field `{part.name[:100]}` that is unknown or sent twice", param="form")
    if stored is None or head is None:
        raise BadRequest("`content` is missing; send the file in a part of that name", param="content")
    return _upload(stored, head, fields)


async def _store(call: Call, file_id: str, form: Multipart) -> Stored:
    try:
        return await call.world.objects.put(file_key(file_id), form.content(), bytes_max=FILE_BYTES_MAX)
    except ObjectTooLarge as error:
        raise TooLarge(f"Files must be at most {FILE_BYTES_MAX:,} bytes", param="content") from error


def _upload(stored: Stored, head: PartHead, fields: dict[str, str]) -> _Upload:
    name = fields.get("filename") or head.filename or ""
    if len(name.encode()) > NAME_BYTES_MAX:
        raise BadRequest(f"The file's name is longer than {NAME_BYTES_MAX} bytes", param="filename")
    content_type = (fields.get("type") or head.content_type or OCTET_STREAM).partition(";")[0].strip().lower()
    if not _TYPE.fullmatch(content_type):
        raise BadRequest("`type` must be a media type such as `image/png`", param="type")
    metadata = codec.decode_object(fields["metadata"].encode()) if fields.get("metadata", "").strip() else {}
    return _Upload(stored=stored, name=safe_name(name), content_type=content_type, metadata=metadata)


def _file(call: Call, file_id: str, upload: _Upload) -> File:
    now = call.world.clock.now()
    return File(
        id=file_id,
        account_id=call.caller.account_id,
        project_id=call.caller.project_id,
        livemode=call.caller.livemode,
        name=upload.name,
        content_type=upload.content_type,
        object_key=upload.stored.key,
        sha256=upload.stored.sha256,
        bytes=upload.stored.size,
        metadata=codec.encode(upload.metadata).decode(),
        created_at=now,
        expires_at=now + call.world.settings.retention_days * DAY_US,
    )


async def _own(call: Call) -> File:
    now, caller, file_id = call.world.clock.now(), call.caller, call.params["id"]

    def query(tx: Tx) -> File | None:
        return store.own_file(tx, file_id, project_id=caller.project_id, livemode=caller.livemode, now=now)

    file = await call.world.db.read(query)
    if file is None:
        raise _missing(file_id)
    return file


async def _linked(call: Call) -> File:
    now, file_id = call.world.clock.now(), call.params["id"]

    def query(tx: Tx) -> tuple[File, bytes | None] | None:
        file = store.linked_file(tx, file_id, now)
        return None if file is None else (file, accounts.webhook_secret(tx, file.project_id))

    found = await call.world.db.read(query)
    file, sealed = found or (None, None)
    if file is None or sealed is None:
        raise not_found()
    try:
        opened = call.world.vault.open(sealed, context=f"project:{file.project_id}").decode()
    except ValueError as error:
        # Sealed with a gateway secret that is gone: what was signed with it is good no longer.
        raise not_found() from error
    owner, expiry = call.query.get("owner", ""), call.query.get("expiry", "")
    offered = call.query.get("signature", "").replace(" ", "+")
    right = link_signature(secret_of_mode(opened, livemode=file.livemode), owner, file_id, expiry)
    if not hmac.compare_digest(right.encode(), offered.encode()) or not _EXPIRY.fullmatch(expiry):
        raise not_found()
    if int(expiry) * MICROSECONDS <= now:
        raise not_found()
    return file


def _shown(call: Call, file: File) -> dict[str, Any]:
    render = call.dialect.render_file
    assert render is not None
    view = FileView(
        id=file.id,
        name=file.name,
        content_type=file.content_type,
        bytes=file.bytes,
        sha256=file.sha256,
        metadata=codec.decode(file.metadata),
        created_at=file.created_at,
        expires_at=file.expires_at,
        base_url=call.base_url,
    )
    return render(view)


def _missing(file_id: str) -> NotFound:
    return NotFound(f"The file `{file_id[:64]}` does not exist")
