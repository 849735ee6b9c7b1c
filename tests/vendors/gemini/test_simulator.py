"""The simulated vendor over a real socket: what it answers, streams, draws, says, counts and refuses."""

import base64
import io
from typing import Any

import pytest
from PIL import Image
from tests.vendors.sandboxes import Got, Sandbox, picture

from halley.vendors.gemini.simulated_parts import signature_of
from halley.vendors.simulate.audio_files import write_audio
from halley.vendors.simulate.speech import hidden_text, hide_text, melody

MODEL = "gemini-2.5-flash"
PROVES = "gemini-3.8-flash"
WEATHER: dict[str, Any] = {
    "functionDeclarations": [
        {
            "name": "weather",
            "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]},
        }
    ]
}


async def ask(
    sandbox: Sandbox, parts: Any = "Good morning", *, model: str = MODEL, verb: str = "generateContent", **body: Any
) -> Got:
    given: list[Any] = [{"text": parts}] if isinstance(parts, str) else parts
    contents = {"contents": [{"role": "user", "parts": given}]}
    return await sandbox.post(f"/v1beta/models/{model}:{verb}", contents | body)


async def stream(sandbox: Sandbox, text: str = "Good morning", **body: Any) -> Got:
    return await ask(sandbox, text, verb="streamGenerateContent?alt=sse", **body)


def _parts(**part: Any) -> dict[str, Any]:
    return {"contents": [{"parts": [part]}]}


def text_of(reply: Any, *, thoughts: bool = False) -> str:
    parts = reply["candidates"][0]["content"].get("parts", [])
    return "".join(part.get("text", "") for part in parts if part.get("thought", False) == thoughts)


def inline(media: str, data: bytes) -> dict[str, Any]:
    return {"inlineData": {"mimeType": media, "data": base64.b64encode(data).decode()}}


@pytest.mark.parametrize("version", ["v1beta", "v1"])
async def test_content_is_answered(sandbox: Sandbox, version: str):
    body = {"contents": [{"parts": [{"text": "Good morning"}]}], "systemInstruction": {"parts": [{"text": "Be kind"}]}}
    got = await sandbox.post(f"/{version}/models/{MODEL}:generateContent", body)
    said, usage = got.json, got.json["usageMetadata"]
    assert "Good morning" in text_of(said)
    assert (got.status, said["candidates"][0]["finishReason"], said["modelVersion"]) == (200, "STOP", MODEL)
    assert usage["totalTokenCount"] == sum(
        usage[name] for name in ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount")
    )


async def test_a_stream_says_the_same_as_the_whole_answer(sandbox: Sandbox):
    whole, streamed = (await ask(sandbox)).json, await stream(sandbox)
    assert "".join(map(text_of, streamed.frames)) == text_of(whole)
    assert streamed.headers["content-type"].startswith("text/event-stream")
    ends = [frame["candidates"][0].get("finishReason") for frame in streamed.frames]
    assert len(ends) > 3
    assert ends == [None] * (len(ends) - 1) + ["STOP"]
    assert streamed.frames[-1]["usageMetadata"] == whole["usageMetadata"]


async def test_a_stream_comes_as_an_array_unless_events_are_asked_for(sandbox: Sandbox):
    got = await ask(sandbox, verb="streamGenerateContent")
    assert got.headers["content-type"].startswith("application/json")
    assert "".join(map(text_of, got.json)) == text_of((await ask(sandbox)).json)


async def test_names_are_taken_in_snake_case_too(sandbox: Sandbox):
    body: dict[str, Any] = {
        "system_instruction": {"parts": {"text": "x"}},
        "generation_config": {"max_output_tokens": 60},
    }
    got = await ask(sandbox, [{"inline_data": {"mime_type": "image/png", "data": _png64()}}, {"text": "x"}], **body)
    assert (got.status, got.json["candidates"][0]["finishReason"]) == (200, "MAX_TOKENS")


async def test_thoughts_are_shown_when_asked_for(sandbox: Sandbox):
    shown = (await ask(sandbox, generationConfig={"thinkingConfig": {"includeThoughts": True}})).json
    hidden = (await ask(sandbox)).json
    off = (await ask(sandbox, generationConfig={"thinkingConfig": {"thinkingBudget": 0}})).json
    assert "simulated thoughts" in text_of(shown, thoughts=True)
    assert text_of(hidden, thoughts=True) == ""
    assert hidden["usageMetadata"]["thoughtsTokenCount"] == shown["usageMetadata"]["thoughtsTokenCount"] > 0
    assert "thoughtsTokenCount" not in off["usageMetadata"]


async def test_a_function_is_called_and_its_result_is_told(sandbox: Sandbox):
    first = (await ask(sandbox, "Rain? [[halley outcome=tool_call]]", model=PROVES, tools=[WEATHER])).json
    answer = first["candidates"][0]["content"]
    call = answer["parts"][0]["functionCall"]
    assert (call["name"], call["args"], "id" in call) == ("weather", {"city": "simulated city"}, True)
    response = {"functionResponse": {"name": "weather", "response": {"result": "it pours"}}}
    contents = [
        {"role": "user", "parts": [{"text": "Rain? [[halley outcome=tool_call]]"}]},
        answer,
        {"role": "user", "parts": [response]},
    ]
    second = await ask(sandbox, model=PROVES, tools=[WEATHER], contents=contents)
    assert "it pours" in text_of(second.json)


@pytest.mark.parametrize(
    ("model", "signature", "status"),
    [
        pytest.param(PROVES, None, 400, id="missing"),
        pytest.param(PROVES, "skip_thought_signature_validator", 200, id="stand-in"),
        pytest.param(PROVES, "AAAA", 400, id="forged"),
        pytest.param(MODEL, None, 200, id="older model"),
    ],
)
async def test_a_call_that_comes_back_must_carry_its_signature(
    sandbox: Sandbox, model: str, signature: str | None, status: int
):
    call: dict[str, Any] = {"functionCall": {"name": "weather", "args": {}}}
    call |= {"thoughtSignature": signature} if signature else {}
    contents: list[dict[str, Any]] = [
        {"role": "user", "parts": [{"text": "x"}]},
        {"role": "model", "parts": [call]},
        {"role": "user", "parts": [{"functionResponse": {"name": "weather", "response": {}}}]},
    ]
    assert (await ask(sandbox, model=model, tools=[WEATHER], contents=contents)).status == status


async def test_bytes_are_taken_in_the_url_safe_alphabet_too(sandbox: Sandbox):
    """As `google-genai` writes them."""
    drawn = base64.urlsafe_b64encode(picture(320, 200)).decode().rstrip("=")
    proofs = ((days, signature_of("weather", {"days": days})) for days in range(50))
    days, proof = next((days, proof) for days, proof in proofs if set(proof) & set("+/"))
    call = {
        "functionCall": {"name": "weather", "args": {"days": days}},
        "thoughtSignature": proof.replace("+", "-").replace("/", "_"),
    }
    contents: list[dict[str, Any]] = [
        {"role": "user", "parts": [{"text": "x"}, {"inlineData": {"mimeType": "image/png", "data": drawn}}]},
        {"role": "model", "parts": [call]},
        {"role": "user", "parts": [{"functionResponse": {"name": "weather", "response": {}}}]},
    ]
    assert (await ask(sandbox, model=PROVES, tools=[WEATHER], contents=contents)).status == 200


@pytest.mark.parametrize(("mode", "called"), [("AUTO", 1), ("ANY", 1), ("NONE", 0), ("validated", 1)])
async def test_functions_are_called_as_configured(sandbox: Sandbox, mode: str, called: int):
    config = {"functionCallingConfig": {"mode": mode}}
    said = (await ask(sandbox, tools=[WEATHER], toolConfig=config)).json
    assert sum("functionCall" in part for part in said["candidates"][0]["content"]["parts"]) == called


@pytest.mark.parametrize(
    ("config", "begins"),
    [
        pytest.param(
            {"responseSchema": {"type": "OBJECT", "properties": {"n": {"type": "INTEGER"}}}}, '{"n":', id="own"
        ),
        pytest.param(
            {"responseJsonSchema": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}},
            '{"n":',
            id="JSON schema",
        ),
        pytest.param({}, '{"simulated":true', id="any JSON"),
    ],
)
async def test_json_conforms_to_its_schema(sandbox: Sandbox, config: dict[str, Any], begins: str):
    got = await ask(sandbox, generationConfig={"responseMimeType": "application/json"} | config)
    assert text_of(got.json).startswith(begins)


async def test_an_enum_is_answered_by_the_bare_word(sandbox: Sandbox):
    config = {"responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING", "enum": ["red", "blue"]}}
    assert text_of((await ask(sandbox, generationConfig=config)).json) in ("red", "blue")


async def test_pictures_sounds_and_files_are_seen_and_heard(sandbox: Sandbox):
    spoken = write_audio(hide_text(melody("hi there"), "hi there"), "wav", text="hi there")
    parts = [
        inline("image/png", picture(320, 200)),
        inline("audio/wav", spoken),
        inline("application/pdf", b"%PDF-1.7 /Type /Page"),
        {"fileData": {"mimeType": "image/png", "fileUri": "https://example.com/fox.png"}},
        {"text": "What is this?"},
    ]
    got = (await ask(sandbox, parts)).json
    for seen in ("320x200", "saying “hi there”", "PDF with pages: 1", "320x256"):
        assert seen in text_of(got)
    counted = {each["modality"]: each["tokenCount"] for each in got["usageMetadata"]["promptTokensDetails"]}
    assert (counted["IMAGE"], counted["DOCUMENT"], counted["AUDIO"] > 0) == (516, 258, True)


async def test_films_documents_and_files_kept_by_the_vendor_are_told_of(sandbox: Sandbox):
    parts = [
        inline("video/mp4", b"x"),
        inline("text/plain", b"four"),
        {"fileData": {"mimeType": "video/mp4", "fileUri": "https://www.youtube.com/watch?v=1"}},
        {"fileData": {"mimeType": "audio/wav", "fileUri": "files/abc"}},
        {"executableCode": {"language": "PYTHON", "code": "1"}},
        {"text": "", "thoughtSignature": "AAAA"},
        {"text": "What is this?"},
    ]
    said = text_of((await ask(sandbox, parts)).json)
    for seen in ("saw a film", "document of 4 characters", "saw the file abc"):
        assert seen in said


async def test_a_cached_content_that_nobody_made_is_not_found(sandbox: Sandbox):
    assert (await ask(sandbox, cachedContent="cachedContents/1")).status == 403


@pytest.mark.parametrize("config", [{"aspectRatio": "7:3"}, {"imageSize": "9K"}], ids=str)
async def test_a_picture_of_a_strange_size_is_refused(sandbox: Sandbox, config: dict[str, str]):
    got = await ask(sandbox, "A fox", model="gemini-2.5-flash-image", generationConfig={"imageConfig": config})
    assert got.status == 400


@pytest.mark.parametrize(
    "requests",
    [
        pytest.param([], id="none"),
        pytest.param([{"model": "models/other", "content": {"parts": [{"text": "x"}]}}], id="another model"),
        pytest.param([{"model": "models/gemini-embedding-001"}], id="no content"),
        pytest.param(
            [{"model": "models/gemini-embedding-001", "content": {"parts": [{"text": "x"}]}}] * 101, id="many"
        ),
    ],
)
async def test_a_wrong_batch_is_refused(sandbox: Sandbox, requests: list[Any]):
    got = await sandbox.post("/v1beta/models/gemini-embedding-001:batchEmbedContents", {"requests": requests})
    assert got.status == 400


@pytest.mark.parametrize(("outcome", "status"), [("rate_limited", 429), ("error_frame", 503), ("refusal", 400)])
async def test_an_ordered_ending_is_that_of_an_embedding(sandbox: Sandbox, outcome: str, status: int):
    content = {"content": {"parts": [{"text": f"x [[halley outcome={outcome}]]"}]}}
    assert (await sandbox.post("/v1beta/models/gemini-embedding-001:embedContent", content)).status == status


@pytest.mark.parametrize(("ratio", "size"), [(None, (1024, 1024)), ("16:9", (1360, 768))])
async def test_a_model_that_draws_answers_with_a_picture(sandbox: Sandbox, ratio: str | None, size: tuple[int, int]):
    config: dict[str, Any] = {"generationConfig": {"imageConfig": {"aspectRatio": ratio}}} if ratio else {}
    got = (await ask(sandbox, "A fox", model="gemini-2.5-flash-image", **config)).json
    drawn = got["candidates"][0]["content"]["parts"][0]["inlineData"]
    with Image.open(io.BytesIO(base64.b64decode(drawn["data"]))) as opened:
        assert (drawn["mimeType"], opened.size, opened.format) == ("image/png", size, "PNG")
    assert got["usageMetadata"]["candidatesTokensDetails"] == [{"modality": "IMAGE", "tokenCount": 1290}]


async def test_a_drawn_answer_is_held_back_by_its_own_reason(sandbox: Sandbox):
    got = (await ask(sandbox, "A fox [[halley outcome=content_moderated]]", model="gemini-2.5-flash-image")).json
    assert (got["candidates"][0]["finishReason"], text_of(got)) == ("IMAGE_SAFETY", "")


async def test_a_model_that_speaks_answers_with_samples(sandbox: Sandbox):
    config = {"responseModalities": ["AUDIO"]}
    got = (await ask(sandbox, "Say hello", model="gemini-2.5-flash-preview-tts", generationConfig=config)).json
    sound = got["candidates"][0]["content"]["parts"][0]["inlineData"]
    assert sound["mimeType"] == "audio/L16;codec=pcm;rate=24000"
    assert hidden_text(base64.b64decode(sound["data"])) == "Say hello"
    assert got["usageMetadata"]["candidatesTokensDetails"][0]["modality"] == "AUDIO"


async def test_several_candidates_are_numbered(sandbox: Sandbox):
    config = {"candidateCount": 2, "stopSequences": ["no model"]}
    said = (await ask(sandbox, generationConfig=config)).json
    assert [candidate["index"] for candidate in said["candidates"]] == [0, 1]
    assert text_of(said).endswith(f"{MODEL}: ")


async def test_a_prompt_seen_before_is_cached(sandbox: Sandbox):
    first, second = [(await ask(sandbox, "word " * 1_500)).json["usageMetadata"] for _ in range(2)]
    assert "cachedContentTokenCount" not in first
    assert 1_024 <= second["cachedContentTokenCount"] <= second["promptTokenCount"]


async def test_tokens_are_counted_as_an_answer_bills_them(sandbox: Sandbox):
    billed = (await ask(sandbox, "How many?", tools=[WEATHER])).json["usageMetadata"]["promptTokenCount"]
    asked = {"contents": [{"parts": [{"text": "How many?"}]}], "tools": [WEATHER], "model": f"models/{MODEL}"}
    path = f"/v1beta/models/{MODEL}:countTokens"
    assert (await sandbox.post(path, {"generateContentRequest": asked})).json["totalTokens"] == billed
    assert (await sandbox.post(path, {"contents": asked["contents"]})).json["totalTokens"] < billed


async def test_texts_are_embedded_alone_and_together(sandbox: Sandbox):
    one = {
        "model": "models/gemini-embedding-001",
        "content": {"parts": [{"text": "a fox"}]},
        "outputDimensionality": 16,
    }
    single = (await sandbox.post("/v1beta/models/gemini-embedding-001:embedContent", one)).json
    batch = (
        await sandbox.post("/v1beta/models/gemini-embedding-001:batchEmbedContents", {"requests": [one, one]})
    ).json
    assert batch["embeddings"] == [single["embedding"]] * 2
    assert len(single["embedding"]["values"]) == 16
    assert batch["usageMetadata"]["promptTokenCount"] == 2 * single["usageMetadata"]["promptTokenCount"]


@pytest.mark.parametrize(
    ("outcome", "status", "word"),
    [
        ("vendor_error", 500, "INTERNAL"),
        ("error_frame", 503, "UNAVAILABLE"),
        ("invalid", 400, "INVALID_ARGUMENT"),
        ("unauthorized", 400, "INVALID_ARGUMENT"),
        ("out_of_credit", 429, "RESOURCE_EXHAUSTED"),
        ("rate_limited", 429, "RESOURCE_EXHAUSTED"),
        ("never_finishes", 400, "INVALID_ARGUMENT"),
        ("tool_call", 400, "INVALID_ARGUMENT"),
    ],
)
async def test_an_ordered_error_is_answered(sandbox: Sandbox, outcome: str, status: int, word: str):
    got = await ask(sandbox, f"hello [[halley outcome={outcome}]]")
    assert (got.status, got.json["error"]["code"], got.json["error"]["status"]) == (status, status, word)
    kinds = [detail["@type"].rpartition(".")[2] for detail in got.json["error"].get("details", [])]
    assert ("RetryInfo" in kinds) == (outcome == "rate_limited")


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [("refusal", "PROHIBITED_CONTENT"), ("content_moderated", "SAFETY"), ("length", "MAX_TOKENS")],
)
async def test_an_ordered_ending_is_that_of_the_candidate(sandbox: Sandbox, outcome: str, reason: str):
    whole = (await ask(sandbox, f"hello [[halley outcome={outcome}]]")).json
    last = (await stream(sandbox, f"hello [[halley outcome={outcome}]]")).frames[-1]
    assert whole["candidates"][0]["finishReason"] == last["candidates"][0]["finishReason"] == reason


async def test_a_blocked_prompt_has_no_candidates(sandbox: Sandbox):
    whole = (await ask(sandbox, "hello [[halley outcome=request_moderated]]")).json
    frames = (await stream(sandbox, "hello [[halley outcome=request_moderated]]")).frames
    assert ("candidates" in whole, whole["promptFeedback"]["blockReason"]) == (False, "PROHIBITED_CONTENT")
    assert [frame["promptFeedback"] for frame in frames] == [whole["promptFeedback"]]


async def test_a_stream_breaks_as_ordered(sandbox: Sandbox):
    cut = await stream(sandbox, "x [[halley outcome=cut_stream]]")
    failed = await stream(sandbox, "x [[halley outcome=error_frame]]")
    array = await ask(sandbox, "x [[halley outcome=error_frame]]", verb="streamGenerateContent")
    assert (cut.is_whole, "finishReason" in cut.frames[-1]["candidates"][0]) == (False, False)
    assert failed.frames[-1]["error"]["status"] == "UNAVAILABLE"
    assert array.json[-1] == failed.frames[-1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"contents": []}, "* GenerateContentRequest.contents: contents is not specified", id="nothing"),
        pytest.param(
            {"contents": [{"parts": ()}]}, "* GenerateContentRequest.contents[0].parts: contents", id="no parts"
        ),
        pytest.param({"contents": [{"role": "x", "parts": [{"text": "x"}]}]}, "Please use a valid role", id="role"),
        pytest.param(
            {"contents": [{"parts": [{"thought": True}]}]},
            "* contents[0].parts[0].data: required oneof",
            id="empty part",
        ),
        pytest.param({"colour": 1}, 'Invalid JSON payload received. Unknown name "colour"', id="unknown field"),
        pytest.param(
            {"generationConfig": {"colour": 1}},
            'Invalid JSON payload received. Unknown name "colour" at "generationConfig"',
            id="unknown setting",
        ),
        pytest.param({"generationConfig": {"temperature": 3}}, "generationConfig.temperature must be in", id="hot"),
        pytest.param(
            {"generationConfig": {"responseSchema": {"type": "STRING"}}},
            "* GenerateContentRequest.generation_config.response_schema: only allowed",
            id="schema of plain text",
        ),
        pytest.param(
            {"tools": [{"functionDeclarations": [{"name": "1 x"}]}]},
            "* GenerateContentRequest.tools[0].functionDeclarations[0].name: Invalid function name",
            id="name of a function",
        ),
        pytest.param(
            {"contents": [{"parts": [{"text": "x"}]}, {"role": "model", "parts": [{"functionCall": {"name": "f"}}]}]},
            "Please ensure that the number of function response parts",
            id="call without a response",
        ),
        pytest.param(
            {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "eHg="}}]}]},
            "Unable to process input image",
            id="no image",
        ),
        pytest.param(_parts(inlineData={"mimeType": "model/gltf", "data": "eHg="}), "Unsupported MIME type", id="type"),
        pytest.param(_parts(inlineData={"data": "eHg="}), "* contents[0].parts[0].inlineData.mime_type", id="no type"),
        pytest.param(_parts(inlineData={"mimeType": "image/png", "data": "?"}), "Invalid value at", id="base64"),
        pytest.param(_parts(inlineData={"mimeType": "audio/wav", "data": "eA=="}), "Unable to process", id="no sound"),
        pytest.param(_parts(inlineData=1), 'Invalid value at "contents[0].parts[0].inlineData"', id="no object"),
        pytest.param(
            _parts(fileData={"mimeType": "image/png"}), "* contents[0].parts[0].fileData.file_uri", id="no uri"
        ),
        pytest.param(_parts(fileData={"fileUri": "https://example.com/none"}), "Cannot fetch content", id="no file"),
        pytest.param(_parts(text="x", functionCall={"name": "f"}), "Invalid value at", id="two bodies"),
        pytest.param(_parts(functionCall={}), "* contents[0].parts[0].functionCall.name", id="call of nothing"),
        pytest.param(_parts(functionResponse={"response": {}}), "* contents[0].parts[0].functionResponse", id="result"),
        pytest.param(_parts(functionResponse={"name": "f"}), "Invalid value at", id="result of nothing"),
        pytest.param(_parts(text=1), 'Invalid value at "contents[0].parts[0].text"', id="text is a number"),
        pytest.param({"generationConfig": {"maxOutputTokens": "x"}}, "Invalid value at", id="limit is a text"),
        pytest.param({"generationConfig": {"maxOutputTokens": 0}}, "generationConfig.maxOutputTokens must", id="limit"),
        pytest.param({"generationConfig": {"topP": "x"}}, "Invalid value at", id="number is a text"),
        pytest.param({"generationConfig": {"stopSequences": [1]}}, "Invalid value at", id="stop is a number"),
        pytest.param({"generationConfig": {"stopSequences": list("abcdef")}}, "* Generate", id="many stops"),
        pytest.param({"generationConfig": {"responseMimeType": "x/y"}}, "* Generate", id="kind of answer"),
        pytest.param(
            {
                "generationConfig": {
                    "responseMimeType": "application/json",
                    "responseSchema": {},
                    "responseJsonSchema": {},
                }
            },
            "Only one of response_schema",
            id="two schemas",
        ),
        pytest.param({"toolConfig": {"functionCallingConfig": {"mode": "x"}}}, "Invalid value at", id="mode"),
        pytest.param({"tools": [WEATHER, WEATHER]}, "Duplicate function declaration found: weather", id="twice"),
    ],
)
async def test_a_wrong_order_is_refused_in_the_vendors_words(sandbox: Sandbox, changes: dict[str, Any], message: str):
    got = await ask(sandbox, **changes)
    assert (got.status, got.json["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert got.json["error"]["message"].startswith(message)


async def test_the_key_is_taken_from_header_or_query_and_required(sandbox: Sandbox):
    body = {"contents": [{"parts": [{"text": "x"}]}]}
    path = f"/v1beta/models/{MODEL}:generateContent"
    assert (await sandbox.post(f"{path}?key=k", body, x_goog_api_key="")).status == 200
    assert (await sandbox.post(path, body, x_goog_api_key="")).status == 403
    refused = (await sandbox.post(path, body, x_goog_api_key="bad")).json["error"]
    assert refused["details"][0]["reason"] == "API_KEY_INVALID"


async def test_an_unknown_model_or_method_is_not_found(sandbox: Sandbox):
    unknown = await ask(sandbox, model="does-not-exist")
    assert (unknown.status, "is not found for API version v1beta" in unknown.json["error"]["message"]) == (404, True)
    assert (await ask(sandbox, verb="paint")).status == 404


async def test_models_are_listed_in_pages_and_told_one_by_one(sandbox: Sandbox):
    first = (await sandbox.get("/v1beta/models?pageSize=2")).json
    second = (await sandbox.get(f"/v1beta/models?pageSize=2&pageToken={first['nextPageToken']}")).json
    names = [model["name"] for page in (first, second) for model in page["models"]]
    assert len(set(names)) == 4
    assert (await sandbox.get(f"/v1beta/{names[0]}")).json == first["models"][0]
    everything = (await sandbox.get("/v1/models?pageSize=1000")).json
    assert "nextPageToken" not in everything
    methods = {model["name"]: model["supportedGenerationMethods"] for model in everything["models"]}
    assert "embedContent" in methods["models/gemini-embedding-001"]


def _png64() -> str:
    return base64.b64encode(picture(64, 64)).decode()
