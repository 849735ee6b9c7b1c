import pytest
from tests.api.client import Client, Owner, finish, make_asset, make_task

from halley.kernel.ids import TaskId
from halley.testing.clock import FakeClock
from halley.world import World

DATA = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 2_000


@pytest.fixture
async def task_id(world: World, owner: Owner) -> TaskId:
    made = await make_task(world, owner)
    await make_asset(world, owner, made, DATA)
    await finish(world, made)
    return made


@pytest.fixture
async def link(client: Client, owner: Owner, task_id: TaskId) -> str:
    url: str = (await client.get(f"/v1/tasks/{task_id}", owner.bearer)).json["outputs"][0]["url"]
    return url.removeprefix("http://127.0.0.1:8000")


async def test_a_signed_link_gives_the_file_without_a_key(client: Client, link: str):
    response = await client.get(link)

    assert (response.status, response.body) == (200, DATA)
    assert response.headers["content-type"] == "image/png"
    assert response.headers["content-length"] == str(len(DATA))
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in response.headers["content-security-policy"]
    assert response.headers["accept-ranges"] == "bytes"


async def test_head_of_a_file_tells_its_length_alone(client: Client, link: str):
    response = await client.send("HEAD", link)

    assert (response.status, response.body) == (200, b"")
    assert response.headers["content-length"] == str(len(DATA))


@pytest.mark.parametrize(
    ("wanted", "expected", "content_range"),
    [
        ("bytes=0-9", DATA[:10], f"bytes 0-9/{len(DATA)}"),
        ("bytes=100-", DATA[100:], f"bytes 100-{len(DATA) - 1}/{len(DATA)}"),
        ("bytes=-5", DATA[-5:], f"bytes {len(DATA) - 5}-{len(DATA) - 1}/{len(DATA)}"),
    ],
)
async def test_a_range_gives_the_part(client: Client, link: str, wanted: str, expected: bytes, content_range: str):
    response = await client.get(link, {"range": wanted})

    assert (response.status, response.body) == (206, expected)
    assert response.headers["content-range"] == content_range


async def test_a_range_outside_is_416(client: Client, link: str):
    response = await client.get(link, {"range": f"bytes={len(DATA)}-"})

    assert (response.status, response.headers["content-range"]) == (416, f"bytes */{len(DATA)}")


async def test_a_range_of_another_version_gives_the_whole(client: Client, link: str):
    response = await client.get(link, {"range": "bytes=0-9", "if-range": '"other"'})

    assert (response.status, len(response.body)) == (200, len(DATA))


async def test_who_has_the_file_is_told_so(client: Client, link: str):
    etag = (await client.get(link)).headers["etag"]
    response = await client.get(link, {"if-none-match": etag})

    assert (response.status, response.body) == (304, b"")


async def test_a_link_opens_nothing_else(client: Client, link: str, world: World, owner: Owner):
    path, _, query = link.partition("?")
    other = await make_task(world, owner)

    for forged in (path, f"{path}?expires=9999999999&signature=x", f"/assets/{other}/0.png?{query}", f"{link}x"):
        assert (await client.get(forged)).status == 404, forged
    assert (await client.get(path, owner.bearer)).status == 404


async def test_a_link_that_has_expired_says_so(client: Client, link: str, clock: FakeClock):
    clock.advance(9 * 86_400)
    response = await client.get(link)

    assert (response.status, response.json["error"]["code"]) == (403, "link_expired")


async def test_the_key_gives_the_file_too(client: Client, owner: Owner, task_id: TaskId):
    response = await client.get(f"/v1/tasks/{task_id}/outputs/0", owner.bearer)

    assert (response.status, response.body) == (200, DATA)


@pytest.mark.parametrize("n", ["1", "-1", "x", "9999", "0.png"])
async def test_an_output_that_is_not_there_is_404(client: Client, owner: Owner, task_id: TaskId, n: str):
    assert (await client.get(f"/v1/tasks/{task_id}/outputs/{n}", owner.bearer)).status == 404


async def test_a_stored_script_cannot_run(client: Client, owner: Owner, world: World):
    task_id = await make_task(world, owner)
    await make_asset(world, owner, task_id, b"<svg onload=alert(1)>", "image/svg+xml")
    await finish(world, task_id)
    response = await client.get(f"/v1/tasks/{task_id}/outputs/0", owner.bearer)

    assert response.headers["content-disposition"].startswith("attachment")
    assert "default-src 'none'; sandbox" in response.headers["content-security-policy"]


async def test_a_file_whose_bytes_are_gone_is_404(client: Client, link: str, task_id: TaskId, world: World):
    await world.objects.delete([f"{task_id}/0"])

    assert (await client.get(link)).status == 404
