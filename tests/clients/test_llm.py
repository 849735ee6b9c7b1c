"""The command `llm` with the gateway's models in `extra-openai-models.yaml`, as its users run it."""

from pathlib import Path

from tests.clients.clients import program
from tests.clients.served import KEY, Served


def test_the_command_asks_streams_looks_calls_and_tells_errors(gateway: Served, tmp_path: Path, source: Path):
    folder = tmp_path / "llm"
    folder.mkdir()
    given = {"key": KEY, "url": gateway.url, "model": "gpt-5.4-mini", "folder": str(folder), "source": str(source)}
    asked = ("stream", "whole", "responses", "vision", "tools")
    with program("sdks", "llm_client.py", **given) as llm:
        ran = llm(*asked, "schema", "fail")
    for step in asked:
        assert ran[step]["code"] == 0, ran[step]
        assert "simulated" in ran[step]["out"].lower()
    assert "weather(" in ran["tools"]["err"]
    assert ran["schema"]["kinds"] == {"title": "str", "minutes": "int"}
    assert ran["fail"]["code"] == 1
    assert "401" in ran["fail"]["err"]
