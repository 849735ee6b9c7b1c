from tests.app.rigs import Rig


async def test_an_image_ordered_in_flux_format_is_ready_billed_and_downloads(rig: Rig) -> None:
    accepted = await rig.client.flux(width=320, height=256)
    assert accepted.status == 200
    task = await rig.ended(accepted.json["id"])
    shown = await rig.client.get_result(accepted.json["id"])
    assert shown["status"] == "Ready"
    assert await rig.posted(task) == 40_000_000
    image = await rig.client.call("GET", shown["result"]["sample"])
    assert image.status == 200
    assert image.headers["content-type"] == "image/jpeg"
