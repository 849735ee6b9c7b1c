import json
from collections.abc import AsyncIterable
from typing import Any

import pytest
from tests.api.client import Client, Owner, Response

from halley.api.endpoints.files import link_signature
from halley.assets import ObjectStore, ObjectsUnavailable, Stored
from halley.console.commands import keys
from halley.kernel import links
from halley.kernel.vault import Vault
from halley.testing.clock import FakeClock
from halley.world import World

FILES = "/replicate/v1/files"
KIND = {"content-type": "multipart/form-data; boundary=XX"}
DATA = bytes(range(256)) * 1_000
_LIVE = keys.CreateKey(account="alice", livemode=True)


class FullStore:
    """A store on a disk that is full: what is there can be read and deleted."""

    def __init__(self, inner: ObjectStore) -> None:
        self.get, self.delete, self.remove_unfinished = inner.get, inner.delete, inner.remove_unfinished

    async def put(self, key: str, chunks: AsyncIterable[bytes], *, bytes_max: int) -> Stored:
        raise ObjectsUnavailable(f"No space left on device: {key}, {chunks}, {bytes_max}")


def form(data: bytes = DATA, *, filename: str = "cat.png", kind: str = "image/png", **fields: str) -> list[bytes]:
    head = (
        f'--XX\r\nContent-Disposition: form-data; name="content"; filename="{filename}"\r\nContent-Type: {kind}\r\n\r\n'
    )
    body = head.encode() + data + b"\r\n"
    for name, value in fields.items():
        body += f'--XX\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
    body += b"--XX--\r\n"
    return [body[start : start + 65_536] for start in range(0, len(body), 65_536)]


async def upload(client: Client, owner: Owner, chunks: list[bytes] | None = None, **headers: str) -> Response:
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.send("POST", FILES, {**owner.bearer, **KIND, **more}, chunks or form())


async def stored(world: World) -> int:
    row = await world.db.read(lambda tx: tx.one("SELECT count(*) AS n FROM files"))
    assert row is not None
    return row["n"]


async def test_a_file_is_taken_and_given_back(client: Client, owner: Owner):
    made = await upload(client, owner, form(metadata='{"mine": 1}'))
    file_id = made.json["id"]
    got = await client.get(f"{FILES}/{file_id}/download", owner.bearer)

    assert made.status == 201
    assert (made.json["name"], made.json["content_type"], made.json["size"]) == ("cat.png", "image/png", len(DATA))
    assert made.json["metadata"] == {"mine": 1}
    assert (await client.get(f"{FILES}/{file_id}", owner.bearer)).json == made.json
    assert (got.status, got.body) == (200, DATA)


async def test_name_and_type_may_be_fields_of_their_own(client: Client, owner: Owner):
    made = await upload(client, owner, form(filename="blob", type="audio/mpeg"))

    assert (made.json["name"], made.json["content_type"]) == ("blob", "audio/mpeg")


async def test_files_are_listed_newest_first_and_deleted(client: Client, owner: Owner):
    first, second = [(await upload(client, owner)).json["id"] for _ in range(2)]
    listed = (await client.get(FILES, owner.bearer)).json

    assert [file["id"] for file in listed["results"]] == [second, first]
    assert listed["next"] is None
    assert (await client.send("DELETE", f"{FILES}/{first}", owner.bearer)).status == 204
    assert (await client.send("DELETE", f"{FILES}/{first}", owner.bearer)).status == 404
    assert (await client.get(f"{FILES}/{first}", owner.bearer)).status == 404


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "{id}"), ("DELETE", "{id}"), ("GET", "{id}/download"), ("HEAD", "{id}/download")]
)
async def test_a_foreign_file_is_404_on_every_verb(
    client: Client, owner: Owner, stranger: Owner, method: str, path: str
):
    file_id = (await upload(client, owner)).json["id"]

    assert (await client.send(method, f"{FILES}/{path.format(id=file_id)}", stranger.bearer)).status == 404
    assert (await client.get(FILES, stranger.bearer)).json["results"] == []


BAD = {
    "no content": [b'--XX\r\nContent-Disposition: form-data; name="type"\r\n\r\na/b\r\n--XX--'],
    "unknown field": form(owner="me"),
    "metadata is no object": form(metadata="[1]"),
    "metadata is deep": form(metadata='{"a":' + "[" * 100 + "]" * 100 + "}"),
    "type is none": form(type="no type"),
    "name is long": form(filename="x" * 300),
    "cut off": [form()[0]],
}


@pytest.mark.parametrize("chunks", BAD.values(), ids=BAD.keys())
async def test_a_bad_form_is_refused_and_leaves_nothing(
    client: Client, owner: Owner, world: World, chunks: list[bytes], settings: Any
):
    response = await upload(client, owner, chunks)

    assert response.status in (400, 413, 422)
    assert await stored(world) == 0
    assert not [path for path in settings.objects_path.rglob("*") if path.is_file()]


async def test_a_form_is_asked_for(client: Client, owner: Owner):
    response = await client.post(FILES, {}, owner.bearer)

    assert response.status in (400, 422)
    assert "multipart/form-data" in json.dumps(response.json)


async def test_a_length_over_the_limit_is_refused_before_a_byte_is_read(client: Client, owner: Owner):
    response = await upload(client, owner, content_length=str(200 * 1024 * 1024))

    assert response.status == 413
    assert client.chunks_read == 0


async def test_a_repeat_with_the_same_idempotency_key_makes_one_file(client: Client, owner: Owner, world: World):
    first = await upload(client, owner, idempotency_key="one")
    again = await upload(client, owner, idempotency_key="one")
    other = await upload(client, owner, form(b"other"), idempotency_key="one")

    assert (again.status, again.json) == (201, first.json)
    assert again.headers["idempotency-replayed"] == "true"
    assert other.status == 422
    assert await stored(world) == 1
    assert (await client.get(f"{FILES}/{first.json['id']}/download", owner.bearer)).body == DATA


async def test_a_link_signed_with_the_webhook_secret_downloads_until_it_ends(
    client: Client, owner: Owner, clock: FakeClock
):
    secret = (await client.get("/replicate/v1/webhooks/default/secret", owner.bearer)).json["key"]
    file_id = (await upload(client, owner)).json["id"]
    expiry = str(clock.now() // 1_000_000 + 60)
    signature = link_signature(secret, "halley", file_id, expiry).replace("+", "%2B")
    link = f"{FILES}/{file_id}/download?owner=halley&expiry={expiry}&signature={signature}"

    assert (await client.get(link)).body == DATA
    assert (await client.get(link.replace("owner=halley", "owner=other"))).status == 404
    assert (await client.get(link.replace(expiry, str(int(expiry) + 1)))).status == 404
    clock.advance(61)
    assert (await client.get(link)).status == 404


async def test_what_a_test_key_signs_with_opens_no_live_file(
    client: Client, owner: Owner, world: World, clock: FakeClock
):
    live = {"authorization": f"Bearer {(await keys.create(world, _LIVE, lambda _: None)).key}"}
    file_id = (await client.send("POST", FILES, {**live, **KIND}, form())).json["id"]
    secret_at = "/replicate/v1/webhooks/default/secret"
    expiry = str(clock.now() // 1_000_000 + 60)
    opened: dict[str, int] = {}
    for mode, bearer in (("test", owner.bearer), ("live", live)):
        secret = (await client.get(secret_at, bearer)).json["key"]
        signature = link_signature(secret, "halley", file_id, expiry).replace("+", "%2B")
        link = f"{FILES}/{file_id}/download?owner=halley&expiry={expiry}&signature={signature}"
        opened[mode] = (await client.get(link)).status

    assert opened == {"test": 404, "live": 200}


async def test_a_file_that_the_disk_does_not_take_is_503_with_when_to_come_again(
    client: Client, owner: Owner, world: World
):
    world.objects = FullStore(world.objects)
    refused = await upload(client, owner)

    assert (refused.status, refused.headers["retry-after"]) == (503, "10")
    assert await stored(world) == 0


async def test_a_link_is_good_no_longer_when_what_signed_it_was_lost(
    client: Client, owner: Owner, clock: FakeClock, world: World
):
    secret = (await client.get("/replicate/v1/webhooks/default/secret", owner.bearer)).json["key"]
    file_id = (await upload(client, owner)).json["id"]
    expiry = str(clock.now() // 1_000_000 + 60)
    signature = link_signature(secret, "halley", file_id, expiry).replace("+", "%2B")
    world.vault = Vault(b"another secret of the gateway, of a restore without it")

    link = f"{FILES}/{file_id}/download?owner=halley&expiry={expiry}&signature={signature}"
    assert (await client.get(link)).status == 404
    assert (await client.get(f"{FILES}/{file_id}/download", owner.bearer)).body == DATA


async def test_a_download_without_key_and_signature_is_401(client: Client, owner: Owner):
    file_id = (await upload(client, owner)).json["id"]

    assert (await client.get(f"{FILES}/{file_id}/download")).status == 401


async def test_our_own_signed_link_opens_the_file(client: Client, owner: Owner, world: World, clock: FakeClock):
    file_id = (await upload(client, owner, form(kind="text/html"))).json["id"]
    url = links.sign(world.vault, "", f"/files/{file_id}", clock.now() + 60_000_000)
    response = await client.get(url)

    assert (response.status, response.body) == (200, DATA)
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["content-disposition"].startswith("attachment")
    clock.advance(61)
    assert (await client.get(url)).status == 403


async def test_a_file_is_gone_when_its_retention_ends(client: Client, owner: Owner, clock: FakeClock):
    file_id = (await upload(client, owner)).json["id"]
    clock.advance(31 * 86_400)

    assert (await client.get(f"{FILES}/{file_id}", owner.bearer)).status == 404
