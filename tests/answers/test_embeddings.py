"""Embeddings in either format before either vendor, as numbers and as base64."""

import base64
from pathlib import Path
from struct import pack
from typing import Any

import pytest
from tests.answers.house import PRICE, opened, three
from tests.answers.vendor import answer

from halley.settings import PriceConfig
from halley.tokens import count_text

OPENAI, GEMINI = "text-embedding-3-small", "gemini-embedding-001"
PRICES = tuple(PriceConfig(model=model, meters={"input_token": PRICE["input_token"]}) for model in (OPENAI, GEMINI))
VECTORS = [[0.5, -0.25], [0.125, 1.0]]
GEMINI_REPLY = {"embeddings": [{"values": vector} for vector in VECTORS]}
PACKED = [base64.b64encode(pack("<2f", *vector)).decode() for vector in VECTORS]


def openai_reply(vectors: list[list[float]] | list[str]) -> dict[str, object]:
    data = [{"object": "embedding", "index": n, "embedding": vector} for n, vector in enumerate(vectors)]
    return {"object": "list", "data": data, "model": OPENAI, "usage": {"prompt_tokens": 8, "total_tokens": 8}}


async def test_openais_own_embeddings_pass_through(folder: Path) -> None:
    async with opened(folder, three, prices=PRICES) as house:
        house.vendor.will(answer(openai_reply(PACKED)))
        body = {"model": OPENAI, "input": [[1, 2], [3]], "encoding_format": "base64", "x": 1}
        reply = await house.post("/v1/embeddings", body)
        assert reply.json == openai_reply(PACKED)
        assert house.vendor.last.json == body
        assert (await house.usage()).price_nanos == 8_000


async def test_openais_format_before_gemini_gives_numbers_or_base64(folder: Path) -> None:
    async with opened(folder, three, prices=PRICES) as house:
        house.vendor.will(answer(GEMINI_REPLY))
        body = {"model": GEMINI, "input": ["one", "two"], "dimensions": 2}
        reply = await house.post("/v1/embeddings", body)
        assert [item["embedding"] for item in reply.json["data"]] == VECTORS
        assert reply.json["model"] == GEMINI
        assert house.vendor.last.path == f"/v1beta/models/{GEMINI}:batchEmbedContents"
        sent = house.vendor.last.json["requests"]
        assert [each["content"]["parts"][0]["text"] for each in sent] == ["one", "two"]
        assert {(each["model"], each["outputDimensionality"]) for each in sent} == {(f"models/{GEMINI}", 2)}
        packed = await house.post("/v1/embeddings", {**body, "encoding_format": "base64"})
        assert [item["embedding"] for item in packed.json["data"]] == PACKED
        # The vendor told no usage.
        assert (await house.usage(2)).price_nanos > 0


async def test_token_numbers_are_not_conveyed_to_another_model(folder: Path) -> None:
    async with opened(folder, three, prices=PRICES) as house:
        refused = await house.post("/v1/embeddings", {"model": GEMINI, "input": [1, 2]})
        assert (refused.status, refused.json["error"]["param"]) == (400, "input")
        assert house.vendor.seen == []


async def test_geminis_format_before_openai(folder: Path) -> None:
    async with opened(folder, three, prices=PRICES) as house:
        house.vendor.will(answer(openai_reply(VECTORS)))
        request = {"model": f"models/{OPENAI}", "content": {"parts": [{"text": "one"}]}}
        many = await house.post(f"/v1beta/models/{OPENAI}:batchEmbedContents", {"requests": [request, request]})
        assert [each["values"] for each in many.json["embeddings"]] == VECTORS
        assert house.vendor.last.json == {"model": OPENAI, "input": ["one", "one"]}
        house.vendor.will(answer(openai_reply(VECTORS[:1])))
        single = await house.post(f"/v1beta/models/{OPENAI}:embedContent", {"content": {"parts": [{"text": "one"}]}})
        assert single.json["embedding"]["values"] == VECTORS[0]
        assert (await house.usage(2)).price_nanos == 8_000


PARTS = {"role": "user", "parts": [{"text": "a b c"}]}
ASKED = {"model": f"models/{GEMINI}", "content": PARTS, "taskType": "RETRIEVAL_DOCUMENT", "title": "t"}
SINGLE, BATCH = f"/v1beta/models/{GEMINI}:embedContent", f"/v1beta/models/{GEMINI}:batchEmbedContents"
OF_ONE = {"embedding": {"values": VECTORS[0]}}


@pytest.mark.parametrize(
    ("path", "body", "vectors"),
    [
        pytest.param(SINGLE, ASKED, OF_ONE, id="one"),
        pytest.param(BATCH, {"requests": [ASKED, ASKED]}, GEMINI_REPLY, id="many"),
    ],
)
async def test_geminis_own_embeddings_are_charged_by_the_vendors_count(
    folder: Path, path: str, body: dict[str, Any], vectors: dict[str, Any]
) -> None:
    async with opened(folder, three, prices=PRICES) as house:
        house.vendor.will(answer(vectors | {"usageMetadata": {"promptTokenCount": 3}}))
        assert (await house.post(path, body)).json["usageMetadata"] == {"promptTokenCount": 3}
        assert house.vendor.last.json == body
        assert (await house.usage()).meters == {"call": 1, "input_token": 3, "output_token": 0}


async def test_geminis_embeddings_of_pictures_are_charged_as_such(folder: Path) -> None:
    async with opened(folder, three, prices=PRICES) as house:
        details = [{"modality": "TEXT", "tokenCount": 3}, {"modality": "IMAGE", "tokenCount": 258}]
        house.vendor.will(answer(OF_ONE | {"usageMetadata": {"promptTokenCount": 261, "promptTokenDetails": details}}))
        picture = {"inlineData": {"mimeType": "image/png", "data": "aGk="}}
        await house.post(SINGLE, {"content": {"parts": [{"text": "a b c"}, picture]}})
        meters = (await house.usage()).meters
        assert (meters["input_token"], meters["image_input_token"]) == (3, 258)


@pytest.mark.parametrize(
    ("path", "body", "vectors", "texts"),
    [
        pytest.param(SINGLE, ASKED, OF_ONE, 1, id="one"),
        pytest.param(BATCH, {"requests": [ASKED, ASKED]}, GEMINI_REPLY, 2, id="many"),
        pytest.param(
            "/v1/embeddings",
            {"model": OPENAI, "input": ["a b c"], "encoding_format": "float", "user": "somebody else"},
            {"data": [{"index": 0, "embedding": VECTORS[0]}]},
            1,
            id="openai's",
        ),
    ],
)
async def test_of_embeddings_that_nobody_counts_the_texts_alone_are_charged(
    folder: Path, path: str, body: dict[str, Any], vectors: dict[str, Any], texts: int
) -> None:
    async with opened(folder, three, prices=PRICES) as house:
        house.vendor.will(answer(vectors))
        assert (await house.post(path, body)).status == 200
        assert (await house.usage()).meters["input_token"] == count_text(GEMINI, "\n".join(["a b c"] * texts))


@pytest.mark.parametrize(("path", "body"), [(SINGLE, ASKED), (BATCH, {"requests": [ASKED]})], ids=["one", "many"])
async def test_geminis_reply_without_vectors_is_no_answer(folder: Path, path: str, body: dict[str, Any]) -> None:
    async with opened(folder, three, prices=PRICES) as house:
        house.vendor.will(answer({}))
        assert (await house.post(path, body)).status == 500
        assert (await house.usage()).price_nanos == 0
