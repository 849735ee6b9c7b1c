"""The PyPI package `openai` at `/v1/images`, in front of its own vendor and of those that make tasks."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.clients.clients import Program, program
from tests.clients.served import KEY, Served, fetched, image


@pytest.fixture(scope="module")
def openai(gateway: Served) -> Iterator[Program]:
    with program("sdks", "openai_images.py", key=KEY, url=gateway.url) as running:
        yield running


def test_an_image_comes_as_base64_of_the_asked_size_and_format(openai: Program, tmp_path: Path):
    path = tmp_path / "out"
    options = {"size": "1536x1024", "output_format": "webp", "quality": "low", "n": 2}
    ran = openai("generate", path=str(path), model="gpt-image-1", options=options)["generate"]
    assert image(path.read_bytes()) == ("WEBP", (1536, 1024))
    assert (ran["count"], ran["url"], ran["size"], ran["format"]) == (2, None, "1536x1024", "webp")
    assert ran["usage"][1] > 0


@pytest.mark.parametrize(
    ("model", "options", "size"),
    [
        pytest.param("dall-e-3", {"size": "1792x1024", "style": "vivid"}, (1792, 1024), id="dall-e-3"),
        pytest.param("dall-e-2", {"size": "256x256"}, (256, 256), id="dall-e-2"),
        pytest.param("flux-pro-1.1", {"size": "768x512"}, (768, 512), id="a vendor of tasks"),
    ],
)
def test_an_image_comes_as_a_link_or_as_base64(
    openai: Program, gateway: Served, tmp_path: Path, model: str, options: dict[str, object], size: tuple[int, int]
):
    path = tmp_path / "out"
    given = {"path": str(path), "model": model}
    linked = openai("generate", **given, options={**options, "response_format": "url"})["generate"]
    # Of a task it is ours, for the picture was kept; else it is the vendor's own, passed through.
    assert linked["url"].startswith(gateway.url) is model.startswith("flux")
    assert image(fetched(linked["url"]))[1] == size
    packed = openai("generate", path=str(path), model=model, options={**options, "response_format": "b64_json"})[
        "generate"
    ]
    assert (packed["b64"], packed["url"]) == (True, None)
    assert image(path.read_bytes())[1] == size


def test_an_image_is_watched_as_it_comes(openai: Program, tmp_path: Path):
    path = tmp_path / "out"
    ran = openai("generate_streamed", path=str(path), model="gpt-image-1")["generate_streamed"]
    assert ran["kinds"] == [*["image_generation.partial_image"] * 2, "image_generation.completed"]
    assert ran["indexes"] == [0, 1]
    assert ran["usage"] > 0
    assert image(path.read_bytes())[0] == "PNG"


def test_an_image_is_edited(openai: Program, tmp_path: Path, source: Path):
    path = tmp_path / "out"
    given = {"model": "gpt-image-1", "source": str(source), "options": {"size": "1024x1024"}}
    ran = openai("edit", path=str(path), **given)["edit"]
    assert ran["count"] == 1
    assert image(path.read_bytes()) == ("PNG", (1024, 1024))


def test_several_images_are_edited_behind_a_mask(openai: Program, tmp_path: Path, source: Path, mask: Path):
    path = tmp_path / "out"
    ran = openai("edit_several", path=str(path), model="gpt-image-1", source=str(source), mask=str(mask))[
        "edit_several"
    ]
    assert ran["count"] == 2
    assert image(path.read_bytes())[0] == "PNG"


def test_an_edit_is_watched_as_it_comes(openai: Program, tmp_path: Path, source: Path):
    path = tmp_path / "out"
    ran = openai("edit_streamed", path=str(path), model="gpt-image-1", source=str(source))["edit_streamed"]
    assert ran["kinds"] == ["image_edit.partial_image", "image_edit.completed"]
    assert image(path.read_bytes())[0] == "PNG"


def test_an_image_is_edited_by_a_vendor_of_tasks(openai: Program, tmp_path: Path, source: Path):
    path = tmp_path / "out"
    given = {"model": "flux-kontext-pro", "source": str(source), "options": {"response_format": "b64_json"}}
    openai("edit", path=str(path), **given)
    assert image(path.read_bytes())[0] in ("PNG", "JPEG")


def test_an_image_is_varied(openai: Program, tmp_path: Path, square: Path):
    path = tmp_path / "out"
    ran = openai("vary", path=str(path), model="dall-e-2", source=str(square))["vary"]
    assert ran["count"] == 2
    assert image(path.read_bytes())[1] == (256, 256)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({"key": "sk-test-nobody"}, {"error": "AuthenticationError", "status": 401}, id="bad key"),
        pytest.param({"prompt": None}, {"error": "BadRequestError", "param": "prompt"}, id="no prompt"),
        pytest.param({"model": "dall-e-3", "options": {"n": 2}}, {"error": "BadRequestError"}, id="too many"),
        pytest.param(
            {"options": {"size": "7x7"}}, {"error": "BadRequestError", "param": "size"}, id="a size of its own"
        ),
        pytest.param({"prompt": "[[halley outcome=content_moderated]]"}, {"status": 400}, id="moderated"),
        pytest.param(
            {"model": "flux-pro-1.1", "prompt": "[[halley outcome=vendor_error]]"},
            {"error": "InternalServerError"},
            id="a task failed",
        ),
    ],
)
def test_errors_arrive_as_the_clients_own(openai: Program, given: dict[str, object], expected: dict[str, object]):
    ran = openai("fail", **{"model": "gpt-image-1", **given})["fail"]
    assert {name: ran[name] for name in expected} == expected
    assert ran["message"]
