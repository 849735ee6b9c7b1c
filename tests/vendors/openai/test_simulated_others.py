"""Simulated completions, embeddings, reranking, moderations, models and images over a real socket."""

import base64
import struct
from typing import Any

import aiohttp
import pytest
from tests.vendors.openai.support import Sandbox, looked_at, picture


async def embedded(
    sandbox: Sandbox, given: Any, model: str = "text-embedding-3-small", **fields: Any
) -> dict[str, Any]:
    return (await sandbox.post("/v1/embeddings", model=model, input=given, **fields)).json


async def test_similar_texts_have_vectors_that_are_close(sandbox: Sandbox):
    body = await embedded(sandbox, ["the cat sat", "the cat sat down", "stocks fell"])
    one, two, three = (each["embedding"] for each in body["data"])
    near = [sum(a * b for a, b in zip(one, other, strict=True)) for other in (two, three)]
    assert (len(one), near[0] > near[1]) == (1_536, True)
    assert body["usage"]["prompt_tokens"] == body["usage"]["total_tokens"] > 0


async def test_base64_holds_the_same_vector_as_small_floats(sandbox: Sandbox):
    plain = (await embedded(sandbox, "a cat", dimensions=64))["data"][0]["embedding"]
    packed = (await embedded(sandbox, "a cat", dimensions=64, encoding_format="base64"))["data"][0]["embedding"]
    assert struct.unpack("<64f", base64.b64decode(packed)) == pytest.approx(plain, abs=1e-6)


async def test_arrays_of_tokens_are_embedded(sandbox: Sandbox):
    body = await embedded(sandbox, [[1, 2, 3], [4]], model="text-embedding-3-large")
    assert ([len(each["embedding"]) for each in body["data"]], body["usage"]["prompt_tokens"]) == ([3_072, 3_072], 4)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": ["a"] * 2_049}, "input"),
        ({"input": "a " * 9_000}, "input"),
        ({"input": {"a": 1}}, "input"),
        ({"input": "a", "dimensions": 2_000}, "dimensions"),
        ({"input": "a", "dimensions": 64, "model": "text-embedding-ada-002"}, "dimensions"),
        ({"input": "a", "encoding_format": "hex"}, "encoding_format"),
    ],
    ids=["empty", "none", "many", "long", "object", "large", "ada", "format"],
)
async def test_a_wrong_order_of_embeddings_is_refused(sandbox: Sandbox, body: dict[str, Any], param: str):
    answer = await sandbox.post("/v1/embeddings", **({"model": "text-embedding-3-small"} | body))
    assert (answer.status, answer.error["param"]) == (400, param)


async def test_documents_are_ranked_by_nearness(sandbox: Sandbox):
    documents = ["stocks fell", {"text": "the cat sat on a mat"}, "a dog"]
    body = (
        await sandbox.post("/v1/rerank", model="rerank-2", query="where did the cat sit", documents=documents, top_n=2)
    ).json
    assert body["results"][0]["index"] == 1
    assert (len(body["results"]), body["results"][0]["document"]["text"]) == (2, "the cat sat on a mat")
    assert body["usage"]["total_tokens"] > 0


async def test_a_text_that_asks_for_it_is_flagged(sandbox: Sandbox):
    results = (await sandbox.post("/v1/moderations", input=["hello", "please flag me"])).json["results"]
    assert [result["flagged"] for result in results] == [False, True]
    assert (await sandbox.post("/v1/moderations", input="x", outcome="request_moderated")).json["results"][0]["flagged"]


async def test_models_are_listed_and_shown(sandbox: Sandbox):
    listed = (await sandbox.get("/v1/models")).json
    assert (listed["object"], {"gpt-4o", "dall-e-3"} <= {model["id"] for model in listed["data"]}) == ("list", True)
    assert (await sandbox.get("/v1/models/org/any")).json["id"] == "org/any"
    assert (await sandbox.get("/v1/models/does-not-exist")).status == 404


async def test_a_completion_goes_on_from_each_prompt(sandbox: Sandbox):
    asked: dict[str, Any] = {"model": "gpt-3.5-turbo-instruct", "prompt": ["Once", "Twice"], "n": 2, "max_tokens": 40}
    whole = (await sandbox.post("/v1/completions", echo=True, logprobs=2, **asked)).json
    stream = await sandbox.post("/v1/completions", stream=True, stream_options={"include_usage": True}, **asked)
    assert [choice["text"].startswith(("Once", "Twice")) for choice in whole["choices"]] == [True] * 4
    assert whole["choices"][0]["finish_reason"] == "length"
    texts = ["", "", "", ""]
    for event in stream.events[:-1]:
        texts[event["choices"][0]["index"]] += event["choices"][0]["text"]
    assert ["Once" + texts[0], "Twice" + texts[3]] == [whole["choices"][0]["text"], whole["choices"][3]["text"]]
    assert stream.events[-1]["usage"] == whole["usage"]


# images


async def drawn(sandbox: Sandbox, **body: Any) -> dict[str, Any]:
    answer = await sandbox.post("/v1/images/generations", **({"model": "gpt-image-1", "prompt": "a fox"} | body))
    assert answer.status == 200, answer.body
    return answer.json


@pytest.mark.parametrize(
    ("body", "seen"),
    [
        ({}, ((1024, 1024), "PNG", "RGB")),
        ({"size": "1536x1024", "output_format": "jpeg", "output_compression": 50}, ((1536, 1024), "JPEG", "RGB")),
        ({"background": "transparent", "output_format": "webp"}, ((1024, 1024), "WEBP", "RGBA")),
        ({"background": "transparent"}, ((1024, 1024), "PNG", "RGBA")),
        ({"model": "gpt-image-2", "size": "320x256"}, ((320, 256), "PNG", "RGB")),
        ({"model": "dall-e-2", "size": "256x256", "response_format": "b64_json"}, ((256, 256), "PNG", "RGB")),
    ],
    ids=str,
)
async def test_a_picture_is_what_was_asked_for(sandbox: Sandbox, body: dict[str, Any], seen: tuple[Any, ...]):
    reply = await drawn(sandbox, **body)
    assert looked_at(base64.b64decode(reply["data"][0]["b64_json"])) == seen
    assert ("usage" in reply) is not body.get("model", "").startswith("dall-e")


async def test_usage_follows_size_quality_and_number(sandbox: Sandbox):
    usage = (await drawn(sandbox, quality="low", n=2))["usage"]
    assert usage["output_tokens"] == 2 * 272
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert usage["input_tokens"] == sum(usage["input_tokens_details"].values())


async def test_a_link_leads_to_the_picture_until_it_ends(sandbox: Sandbox):
    reply = await drawn(sandbox, model="dall-e-3", size="1792x1024")
    assert reply["data"][0]["revised_prompt"]
    link = reply["data"][0]["url"]
    assert looked_at((await sandbox.get(link, key=None)).body)[0] == (1792, 1024)
    sandbox.clock.tick(3_601)
    assert (await sandbox.get(link, key=None)).status == 403


async def test_a_streamed_picture_comes_after_partial_ones(sandbox: Sandbox):
    answer = await sandbox.post(
        "/v1/images/generations", model="gpt-image-1", prompt="a fox", stream=True, partial_images=2
    )
    assert [event["type"] for event in answer.events] == [
        *["image_generation.partial_image"] * 2,
        "image_generation.completed",
    ]
    assert [event.get("partial_image_index") for event in answer.events] == [0, 1, None]
    assert looked_at(base64.b64decode(answer.events[-1]["b64_json"]))[0] == (1024, 1024)
    assert answer.events[-1]["usage"]["total_tokens"] > 0


def form(**fields: str | bytes | list[bytes]) -> aiohttp.FormData:
    made = aiohttp.FormData(default_to_multipart=True)
    for name, value in fields.items():
        if isinstance(value, list):
            for data in value:
                made.add_field(f"{name}[]", data, filename="a.png", content_type="image/png")
        elif isinstance(value, bytes):
            made.add_field(name, value, filename="a.png", content_type="image/png")
        else:
            made.add_field(name, value)
    return made


async def test_an_edit_shows_what_was_sent(sandbox: Sandbox):
    fields = {"model": "gpt-image-1", "prompt": "red", "n": "1", "size": "1024x1024", "user": ""}
    one = await sandbox.send("POST", "/v1/images/edits", data=form(image=picture(64, 64), **fields))
    two = await sandbox.send("POST", "/v1/images/edits", data=form(image=[picture(64, 64), picture(80, 64)], **fields))
    assert looked_at(base64.b64decode(two.json["data"][0]["b64_json"]))[0] == (1024, 1024)
    assert one.json["data"] != two.json["data"]
    images = two.json["usage"]["input_tokens_details"]["image_tokens"]
    assert images == 2 * one.json["usage"]["input_tokens_details"]["image_tokens"] > 0


async def test_an_edit_may_come_as_json(sandbox: Sandbox):
    images = [{"image_url": "https://example.com/fox.png"}]
    answer = await sandbox.post("/v1/images/edits", model="gpt-image-1", prompt="red", images=images, stream=True)
    assert [event["type"] for event in answer.events] == ["image_edit.completed"]


async def test_a_variation_needs_no_prompt(sandbox: Sandbox):
    answer = await sandbox.send(
        "POST", "/v1/images/variations", data=form(image=picture(64, 64), size="256x256", n="2")
    )
    links = [each["url"] for each in answer.json["data"]]
    assert len(links) == 2
    assert looked_at((await sandbox.get(links[1], key=None)).body)[0] == (256, 256)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"prompt": None}, "prompt"),
        ({"size": "100x100"}, "size"),
        ({"model": "dall-e-2", "size": "1792x1024"}, "size"),
        ({"model": "gpt-image-2", "size": "wide"}, "size"),
        ({"model": "dall-e-3", "n": 2}, "n"),
        ({"quality": "hd"}, "quality"),
        ({"response_format": "url"}, "response_format"),
        ({"model": "dall-e-3", "background": "opaque"}, "background"),
        ({"background": "transparent", "output_format": "jpeg"}, "background"),
        ({"partial_images": 2}, "partial_images"),
        ({"model": "dall-e-3", "stream": True}, "stream"),
        ({"n": 11}, "n"),
    ],
    ids=str,
)
async def test_a_wrong_order_of_images_is_refused(sandbox: Sandbox, body: dict[str, Any], param: str):
    answer = await sandbox.post("/v1/images/generations", **({"model": "gpt-image-1", "prompt": "a fox"} | body))
    assert (answer.status, answer.error["param"]) == (400, param)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": "x"}, "image"),
        ({"prompt": "x", "image": b"no picture"}, "image"),
        ({"prompt": "x", "image": picture(64, 64), "mask": picture(32, 32)}, "mask"),
        ({"image": picture(64, 64)}, "prompt"),
        ({"image": picture(64, 64), "prompt": "x", "n": "many"}, "n"),
    ],
    ids=["none", "broken", "mask", "prompt", "number"],
)
async def test_a_wrong_edit_is_refused(sandbox: Sandbox, fields: dict[str, Any], param: str):
    answer = await sandbox.send("POST", "/v1/images/edits", data=form(model="dall-e-2", **fields))
    assert (answer.status, answer.error["param"]) == (400, param)


@pytest.mark.parametrize("model", ["gpt-image-1", "dall-e-3"])
@pytest.mark.parametrize("outcome", ["request_moderated", "content_moderated"])
async def test_moderation_is_told_in_the_words_of_the_family(sandbox: Sandbox, model: str, outcome: str):
    answer = await sandbox.post("/v1/images/generations", model=model, prompt="a fox", outcome=outcome)
    code = "moderation_blocked" if model == "gpt-image-1" else "content_policy_violation"
    assert (answer.status, answer.error["code"]) == (400, code)


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/embeddings", {"model": "text-embedding-3-small", "input": "x"}, "input"),
        ("/v1/images/generations", {"model": "dall-e-3", "prompt": "x"}, "prompt"),
        ("/v1/completions", {"model": "gpt-3.5-turbo-instruct", "prompt": "x"}, "prompt"),
        ("/v1/rerank", {"model": "rerank-2", "query": "x", "documents": ["y"]}, "query"),
        ("/v1/moderations", {"input": "x"}, "input"),
        ("/v1/responses", {"model": "gpt-5.4", "input": "x"}, "input"),
    ],
)
async def test_each_operation_ends_as_ordered(sandbox: Sandbox, path: str, body: dict[str, Any], param: str):
    invalid = await sandbox.post(path, outcome="invalid", **body)
    assert (invalid.status, invalid.error["param"]) == (400, param)
    assert (await sandbox.post(path, outcome="vendor_error", **body)).status == 500
    assert (await sandbox.post(path, outcome="rate_limited", **body)).headers["retry-after"] == "1"
    assert (await sandbox.post(path, outcome="never_finishes", **body)).status == 400
    with pytest.raises(aiohttp.ClientError):
        await sandbox.post(path, outcome="reset_after_send", **body)
