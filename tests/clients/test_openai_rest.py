"""The PyPI package `openai` for embeddings, moderations and the list of models."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.clients.clients import Program, program
from tests.clients.served import KEY, Served


@pytest.fixture(scope="module")
def openai(gateway: Served) -> Iterator[Program]:
    with program("sdks", "openai_rest.py", key=KEY, url=gateway.url) as running:
        yield running


@pytest.mark.parametrize(
    ("model", "dimensions"),
    [
        pytest.param("text-embedding-3-small", 1536, id="the same format behind"),
        pytest.param("text-embedding-3-large", 3072, id="a larger one"),
        pytest.param("gemini-embedding-001", 3072, id="gemini behind"),
    ],
)
def test_embeddings_of_similar_texts_are_alike(openai: Program, model: str, dimensions: int):
    ran = openai("embed", "embed_encodings", "embed_dimensions", model=model)
    assert (ran["embed"]["indexes"], ran["embed"]["dimensions"]) == ([0, 1, 2], dimensions)
    assert abs(ran["embed"]["length"] - 1) < 0.001
    assert ran["embed"]["alike"] > ran["embed"]["unlike"]
    assert ran["embed"]["usage"][0] > 0
    assert ran["embed_encodings"]["packed"]
    assert ran["embed_encodings"]["dimensions"] == dimensions
    assert ran["embed_encodings"]["apart"] < 1e-6
    assert ran["embed_dimensions"]["dimensions"] == 256


def test_token_arrays_are_embedded_and_counted(openai: Program):
    ran = openai("embed_tokens", "embed_nothing", model="text-embedding-3-small")
    assert ran["embed_tokens"] == {"one": 1, "several": 2, "usage": [3, 6]}
    assert (ran["embed_nothing"]["error"], ran["embed_nothing"]["param"]) == ("BadRequestError", "input")


def test_texts_and_pictures_are_moderated(openai: Program, source: Path):
    ran = openai("moderate", "moderate_image", model="omni-moderation-latest", source=str(source))
    assert ran["moderate"]["one"] == 1
    assert ran["moderate"]["categories"] >= 13
    assert ran["moderate"]["scores"]
    assert len(ran["moderate"]["flagged"]) == 2
    assert ran["moderate"]["flagged"][0] is False
    assert ran["moderate_image"]["results"] == 1


def test_models_are_listed_and_looked_up(openai: Program):
    ran = openai("models", model="gpt-5.4-mini")["models"]
    expected = {"gpt-5.4-mini", "claude-sonnet-4-6", "gemini-2.5-flash", "text-embedding-3-small", "flux-pro-1.1"}
    assert expected <= set(ran["listed"])
    assert ran["one"][:2] == ["gpt-5.4-mini", "model"]
    assert ran["unknown"]["error"] == "NotFoundError"
    assert ran["unknown"]["code"] == "model_not_found"
