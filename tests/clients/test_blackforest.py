"""The PyPI package `blackforest`, as its users run it. It drops the path of its base URL, so it is given none."""

from pathlib import Path

import pytest
from tests.clients.clients import python
from tests.clients.served import KEY, Served, image

INPUTS = {"prompt": "a red teapot", "width": 512, "height": 256, "seed": 7, "output_format": "png"}


def blackforest(gateway: Served, action: str, **given: object):
    given = {"key": KEY, "url": gateway.url, "model": "flux-pro-1.1", **given}
    return python("blackforest", "blackforest_client.py", action, **given)


def test_generate_gives_an_image_of_the_asked_size_and_format(gateway: Served, tmp_path: Path):
    path = tmp_path / "out"
    done = blackforest(gateway, "generate", inputs=INPUTS, path=str(path))
    assert image(path.read_bytes()) == ("PNG", (512, 256))
    assert done == {"seed": 7, "prompt": "a red teapot"}


def test_a_task_is_polled_at_the_address_that_it_was_given(gateway: Served, tmp_path: Path):
    path = tmp_path / "out"
    polled = blackforest(gateway, "poll", inputs={**INPUTS, "output_format": "jpeg"}, path=str(path))
    assert polled["polling_url"] == f"{gateway.url}/flux/v1/get_result?id={polled['id']}"
    assert polled["status"] == "Ready"
    assert image(path.read_bytes()) == ("JPEG", (512, 256))


def test_kontext_edits_a_local_file(gateway: Served, source: Path, tmp_path: Path):
    path = tmp_path / "out"
    inputs = {"prompt": "make it blue", "input_image": str(source), "aspect_ratio": "16:9", "output_format": "jpeg"}
    blackforest(gateway, "generate", model="flux-kontext-pro", inputs=inputs, path=str(path))
    kind, (width, height) = image(path.read_bytes())
    assert kind == "JPEG"
    assert abs(width / height - 16 / 9) < 0.03


@pytest.mark.parametrize(
    ("key", "prompt", "words"),
    [
        pytest.param("sk-test-nobody-has-this", "x", "401", id="bad key"),
        pytest.param(KEY, "x [[halley outcome=nonsense]]", "422", id="invalid"),
    ],
)
def test_errors_arrive_as_the_clients_own(gateway: Served, key: str, prompt: str, words: str):
    failed = blackforest(gateway, "fail", key=key, inputs={"prompt": prompt})
    assert failed["error"] == "BFLError"
    assert words in failed["message"]
