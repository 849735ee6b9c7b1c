"""Vercel's AI SDK with `@ai-sdk/black-forest-labs` at `/flux/v1`, as its users run it."""

from pathlib import Path

import pytest
from tests.clients.clients import node
from tests.clients.served import KEY, Served, image


def ai_sdk(gateway: Served, action: str, **given: object):
    return node("ai_sdk_client.mjs", action, **{"key": KEY, "url": gateway.url, "model": "flux-pro-1.1", **given})


def test_generate_image_draws_an_image_of_the_asked_size_and_format(gateway: Served, tmp_path: Path):
    path = tmp_path / "out"
    options = {"width": 512, "height": 256, "outputFormat": "png"}
    drawn = ai_sdk(gateway, "draw", prompt="a red teapot", options=options, settings={"seed": 7}, path=str(path))
    assert image(path.read_bytes()) == ("PNG", (512, 256))
    assert drawn["mediaType"] == "image/png"
    assert drawn["facts"]["seed"] == 7
    assert drawn["facts"]["duration"] > 0


def test_generate_image_takes_a_ratio_for_ultra(gateway: Served, tmp_path: Path):
    path = tmp_path / "out"
    settings = {"aspectRatio": "21:9"}
    ai_sdk(gateway, "draw", model="flux-pro-1.1-ultra", prompt="a coast", settings=settings, path=str(path))
    _, (width, height) = image(path.read_bytes())
    assert abs(width / height - 21 / 9) < 0.05


def test_generate_image_edits_an_image_with_kontext(gateway: Served, source: Path, tmp_path: Path):
    path = tmp_path / "out"
    edited = ai_sdk(
        gateway,
        "edit",
        model="flux-kontext-pro",
        prompt="make it red",
        source=str(source),
        settings={"aspectRatio": "1:1"},
        path=str(path),
    )
    kind, (width, height) = image(path.read_bytes())
    assert (kind, width) == ("PNG", height)
    assert edited["mediaType"] == "image/png"


@pytest.mark.parametrize(
    ("key", "prompt", "status", "words"),
    [
        pytest.param("sk-test-nobody-has-this", "x", 401, "key", id="bad key"),
        pytest.param(KEY, "x [[halley outcome=nonsense]]", 422, "nonsense", id="invalid"),
        pytest.param(KEY, "x [[halley outcome=vendor_error]]", None, "generation failed", id="vendor error"),
    ],
)
def test_errors_arrive_as_the_clients_own(
    gateway: Served, key: str, prompt: str, status: int | None, words: str, tmp_path: Path
):
    failed = ai_sdk(gateway, "fail", key=key, prompt=prompt, path=str(tmp_path / "out"))
    assert failed["status"] == status
    assert words in failed["message"]
