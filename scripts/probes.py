"""Orders that ask for one thing each, in each chat format: what the compatibility page is made with."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from halley.kernel.operation import Operation

Json = dict[str, Any]

MODEL = "some-model"
"""No name that a format knows as an older one with limits of its own."""
PNG = "iVBORw0KGgo="
PDF = "JVBERi0="
SCHEMA: Json = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to ask for: a body with it and one without it."""

    label: str
    body: Json
    without: Json


def _plain(base: Json, label: str, **fields: Any) -> Probe:
    return Probe(label=label, body={**base, **fields}, without=base)


def _beside(base: Json, label: str, fields: Json, without: Json) -> Probe:
    return Probe(label=label, body={**base, **fields}, without={**base, **without})


CALL_ID = "call_1"
_USER: Json = {"role": "user", "content": "Hi"}
_SAID: Json = {"role": "assistant", "content": "Hello"}
_CHAT: Json = {"model": MODEL, "messages": [_USER]}
_RESPONSES: Json = {"model": MODEL, "input": "Hi"}
_MESSAGES: Json = {"model": MODEL, "max_tokens": 4_096, "messages": [_USER]}
_CONTENT: Json = {"model": MODEL, "contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}


def _asking(*parts: Json) -> Json:
    return {"messages": [{"role": "user", "content": list(parts)}]}


def _saying(*parts: Json) -> Json:
    return {"input": [{"role": "user", "content": list(parts)}]}


def _holding(*parts: Json) -> Json:
    return {"contents": [{"role": "user", "parts": list(parts)}]}


def _configured(label: str, base: Json | None = None, **fields: Any) -> Probe:
    without = {} if base is None else {"generationConfig": base}
    return _beside(_CONTENT, label, {"generationConfig": {**(base or {}), **fields}}, without)


# --- what is asked in OpenAI's Chat Completions ---

_FUNCTION: Json = {"name": "weather", "description": "The weather", "parameters": SCHEMA}
_CHAT_TOOLS: Json = {"tools": [{"type": "function", "function": _FUNCTION}]}
_CHAT_CALL: Json = {"id": CALL_ID, "type": "function", "function": {"name": "weather", "arguments": "{}"}}
_IMAGE: Json = {"url": f"data:image/png;base64,{PNG}"}
_TOOL_TURNS = [
    _USER,
    {"role": "assistant", "tool_calls": [_CHAT_CALL]},
    {"role": "tool", "tool_call_id": CALL_ID, "content": "Rain"},
]
_CHAT_SCHEMA: Json = {"type": "json_schema", "json_schema": {"name": "city", "schema": SCHEMA, "strict": True}}


def _chat_content() -> list[Probe]:
    image: Json = {"type": "image_url", "image_url": _IMAGE}
    return [
        _plain(_CHAT, "instructions (`system`, `developer`)", messages=[{"role": "system", "content": "Short"}, _USER]),
        _plain(_CHAT, "instructions later on", messages=[_USER, _SAID, {"role": "system", "content": "Short"}, _USER]),
        _plain(_CHAT, "`name` of a speaker", messages=[{**_USER, "name": "ann"}]),
        _plain(_CHAT, "picture, as data", **_asking(image)),
        _plain(
            _CHAT, "picture, as a link", **_asking({"type": "image_url", "image_url": {"url": "https://e.com/a.png"}})
        ),
        _beside(
            _CHAT, "`detail` of a picture", _asking({**image, "image_url": {**_IMAGE, "detail": "low"}}), _asking(image)
        ),
        _plain(_CHAT, "sound", **_asking({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}})),
        _plain(
            _CHAT, "video, as a link", **_asking({"type": "video_url", "video_url": {"url": "https://e.com/a.mp4"}})
        ),
        _plain(
            _CHAT,
            "PDF, as data",
            **_asking(
                {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}}
            ),
        ),
        _plain(_CHAT, "file kept by a vendor (`file_id`)", **_asking({"type": "file", "file": {"file_id": "file-1"}})),
        _plain(_CHAT, "tool calls and their results", messages=_TOOL_TURNS),
    ]


def _chat_fields() -> list[Probe]:
    return [
        _plain(_CHAT, "functions (`tools`)", **_CHAT_TOOLS),
        _plain(_CHAT, "custom tools", tools=[{"type": "custom", "custom": {"name": "code"}}]),
        _beside(_CHAT, "`tool_choice`", {**_CHAT_TOOLS, "tool_choice": "required"}, _CHAT_TOOLS),
        _beside(_CHAT, "`parallel_tool_calls: false`", {**_CHAT_TOOLS, "parallel_tool_calls": False}, _CHAT_TOOLS),
        _plain(_CHAT, "`max_completion_tokens`, `max_tokens`", max_completion_tokens=64),
        _plain(_CHAT, "`temperature` up to 1", temperature=0.5),
        _plain(_CHAT, "`temperature` over 1", temperature=1.5),
        _plain(_CHAT, "`top_p`", top_p=0.5),
        _plain(_CHAT, "`stop`", stop=["END"]),
        _plain(_CHAT, "`seed`", seed=7),
        _plain(_CHAT, "`presence_penalty`, `frequency_penalty`", presence_penalty=0.5, frequency_penalty=0.5),
        _plain(_CHAT, "`n` over 1", n=2),
        _plain(_CHAT, "`logprobs`", logprobs=True),
        _plain(_CHAT, "`logit_bias`", logit_bias={"50256": -100}),
        _plain(_CHAT, "`response_format`: JSON schema", response_format=_CHAT_SCHEMA),
        _plain(_CHAT, "`response_format`: JSON without a schema", response_format={"type": "json_object"}),
        _plain(_CHAT, "`reasoning_effort`", reasoning_effort="low"),
        _plain(_CHAT, "`verbosity`", verbosity="low"),
        _plain(
            _CHAT,
            "sound in the answer (`modalities`)",
            modalities=["text", "audio"],
            audio={"voice": "alloy", "format": "wav"},
        ),
        _plain(_CHAT, "`web_search_options`", web_search_options={}),
        _plain(_CHAT, "`service_tier: priority`", service_tier="priority"),
        _plain(_CHAT, "`prediction`", prediction={"type": "content", "content": "Hi"}),
        _plain(_CHAT, "`prompt_cache_key`", prompt_cache_key="one"),
        _plain(_CHAT, "`metadata`, `user`, `store`", metadata={"a": "b"}, user="u", store=True),
        _plain(_CHAT, "a field that nobody knows", some_field=1),
    ]


# --- what is asked in OpenAI's Responses ---

_RESPONSE_TOOLS: Json = {"tools": [{"type": "function", **_FUNCTION}]}
_RESPONSE_ITEMS: list[Json] = [
    {"role": "user", "content": "Hi"},
    {"type": "function_call", "call_id": CALL_ID, "name": "weather", "arguments": "{}"},
    {"type": "function_call_output", "call_id": CALL_ID, "output": "Rain"},
]
_RESPONSE_SCHEMA: Json = {"format": {"type": "json_schema", "name": "city", "schema": SCHEMA, "strict": True}}


def _responses_content() -> list[Probe]:
    image: Json = {"type": "input_image", "image_url": _IMAGE["url"]}
    pdf: Json = {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}
    thought: Json = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "sealed"}
    return [
        _plain(_RESPONSES, "`instructions`", instructions="Short"),
        _plain(_RESPONSES, "picture, as data", **_saying(image)),
        _plain(_RESPONSES, "PDF, as data", **_saying(pdf)),
        _plain(_RESPONSES, "file as a link", **_saying({"type": "input_file", "file_url": "https://e.com/a.pdf"})),
        _plain(_RESPONSES, "file kept by a vendor (`file_id`)", **_saying({"type": "input_file", "file_id": "file-1"})),
        _plain(_RESPONSES, "function calls and their outputs", input=_RESPONSE_ITEMS),
        _beside(
            _RESPONSES,
            "sealed thoughts of earlier answers",
            {"input": [_RESPONSE_ITEMS[0], thought, *_RESPONSE_ITEMS[1:]]},
            {"input": _RESPONSE_ITEMS},
        ),
        _plain(_RESPONSES, "reference to an item", input=[{"type": "item_reference", "id": "msg_1"}]),
    ]


def _responses_fields() -> list[Probe]:
    return [
        _plain(_RESPONSES, "functions (`tools`)", **_RESPONSE_TOOLS),
        _plain(
            _RESPONSES, "the vendor's own tools (`web_search`, `file_search`, `mcp`, …)", tools=[{"type": "web_search"}]
        ),
        _beside(_RESPONSES, "`tool_choice`", {**_RESPONSE_TOOLS, "tool_choice": "required"}, _RESPONSE_TOOLS),
        _beside(
            _RESPONSES,
            "`parallel_tool_calls: false`",
            {**_RESPONSE_TOOLS, "parallel_tool_calls": False},
            _RESPONSE_TOOLS,
        ),
        _plain(_RESPONSES, "`max_tool_calls`", max_tool_calls=2),
        _plain(_RESPONSES, "`max_output_tokens`", max_output_tokens=64),
        _plain(_RESPONSES, "`temperature` up to 1, `top_p`", temperature=0.5, top_p=0.5),
        _plain(_RESPONSES, "`text.format`: JSON schema", text=_RESPONSE_SCHEMA),
        _plain(_RESPONSES, "`text.format`: JSON without a schema", text={"format": {"type": "json_object"}}),
        _plain(_RESPONSES, "`text.verbosity`", text={"verbosity": "low"}),
        _plain(_RESPONSES, "`reasoning.effort`", reasoning={"effort": "low"}),
        _beside(
            _RESPONSES,
            "`reasoning.summary`",
            {"reasoning": {"effort": "low", "summary": "auto"}},
            {"reasoning": {"effort": "low"}},
        ),
        _plain(_RESPONSES, "`truncation: auto`", truncation="auto"),
        _plain(_RESPONSES, "`top_logprobs`", top_logprobs=2),
        _plain(_RESPONSES, "`service_tier: priority`", service_tier="priority"),
        _plain(_RESPONSES, "`include` of sealed thoughts", include=["reasoning.encrypted_content"]),
        _plain(_RESPONSES, "`include` of anything else", include=["message.output_text.logprobs"]),
        _plain(_RESPONSES, "`prompt` (a stored template)", prompt={"id": "pmpt_1"}),
        _plain(_RESPONSES, "`metadata`, `user`, `store`", metadata={"a": "b"}, user="u", store=True),
        _plain(_RESPONSES, "a field that nobody knows", some_field=1),
    ]


# --- what is asked in Anthropic's Messages ---

_MESSAGE_TOOLS: Json = {"tools": [{"name": "weather", "description": "The weather", "input_schema": SCHEMA}]}
_USES: Json = {"type": "tool_use", "id": CALL_ID, "name": "weather", "input": {}}


def _result(**fields: Any) -> Json:
    return {"type": "tool_result", "tool_use_id": CALL_ID, "content": "Rain", **fields}


def _used(*before: Json, **of_result: Any) -> Json:
    answered = {"role": "assistant", "content": [*before, _USES]}
    return {"messages": [_USER, answered, {"role": "user", "content": [_result(**of_result)]}]}


def _messages_content() -> list[Probe]:
    image: Json = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    pdf: Json = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}}
    plain: Json = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Hi"}}
    text: Json = {"type": "text", "text": "Hi"}
    thought: Json = {"type": "thinking", "thinking": "Hm", "signature": "proof"}
    return [
        _plain(_MESSAGES, "`system`", system="Short"),
        _plain(_MESSAGES, "picture, as data", **_asking(image)),
        _plain(
            _MESSAGES,
            "picture, as a link",
            **_asking({"type": "image", "source": {"type": "url", "url": "https://e.com/a.png"}}),
        ),
        _plain(_MESSAGES, "PDF, as data", **_asking(pdf)),
        _plain(
            _MESSAGES,
            "PDF, as a link",
            **_asking({"type": "document", "source": {"type": "url", "url": "https://e.com/a.pdf"}}),
        ),
        _plain(_MESSAGES, "document of plain text", **_asking(plain)),
        _beside(_MESSAGES, "`citations` of a document", _asking({**pdf, "citations": {"enabled": True}}), _asking(pdf)),
        _plain(
            _MESSAGES,
            "file kept by a vendor (`file_id`)",
            **_asking({"type": "document", "source": {"type": "file", "file_id": "file_1"}}),
        ),
        _plain(
            _MESSAGES,
            "search results",
            **_asking({"type": "search_result", "source": "https://e.com", "title": "A", "content": [text]}),
        ),
        _plain(_MESSAGES, "tool use and its results", **_used()),
        _beside(_MESSAGES, "`is_error` of a result", _used(is_error=True), _used()),
        _beside(_MESSAGES, "earlier thoughts with their signature", _used(thought), _used()),
        _beside(_MESSAGES, "`cache_control`", _asking({**text, "cache_control": {"type": "ephemeral"}}), _asking(text)),
    ]


def _messages_fields() -> list[Probe]:
    return [
        _plain(_MESSAGES, "functions (`tools`)", **_MESSAGE_TOOLS),
        _plain(
            _MESSAGES,
            "the vendor's own tools (`web_search_…`, `bash_…`, …)",
            tools=[{"type": "web_search_20250305", "name": "web_search"}],
        ),
        _beside(_MESSAGES, "`tool_choice`", {**_MESSAGE_TOOLS, "tool_choice": {"type": "any"}}, _MESSAGE_TOOLS),
        _beside(
            _MESSAGES,
            "`disable_parallel_tool_use`",
            {**_MESSAGE_TOOLS, "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
            {**_MESSAGE_TOOLS, "tool_choice": {"type": "auto"}},
        ),
        _plain(_MESSAGES, "`max_tokens`", max_tokens=64),
        _plain(_MESSAGES, "`temperature`, `top_p`", temperature=0.5, top_p=0.5),
        _plain(_MESSAGES, "`top_k`", top_k=5),
        _plain(_MESSAGES, "`stop_sequences`", stop_sequences=["END"]),
        _plain(_MESSAGES, "`thinking` with a budget", thinking={"type": "enabled", "budget_tokens": 2_048}),
        _plain(_MESSAGES, "`output_config.effort`", output_config={"effort": "low"}),
        _plain(
            _MESSAGES,
            "`output_config.format`: JSON schema",
            output_config={"format": {"type": "json_schema", "schema": SCHEMA}},
        ),
        _plain(_MESSAGES, "`mcp_servers`", mcp_servers=[{"type": "url", "url": "https://e.com", "name": "a"}]),
        _plain(_MESSAGES, "`container`", container="c_1"),
        _plain(_MESSAGES, "`service_tier`", service_tier="auto"),
        _plain(_MESSAGES, "`metadata`", metadata={"user_id": "u"}),
        _plain(_MESSAGES, "a field that nobody knows", some_field=1),
    ]


# --- what is asked in Gemini's generateContent ---

_CONTENT_TOOLS: Json = {
    "tools": [
        {"functionDeclarations": [{"name": "weather", "description": "The weather", "parametersJsonSchema": SCHEMA}]}
    ]
}
_CALLED: list[Json] = [
    {"role": "user", "parts": [{"text": "Hi"}]},
    {"role": "model", "parts": [{"functionCall": {"id": CALL_ID, "name": "weather", "args": {}}}]},
    {
        "role": "user",
        "parts": [{"functionResponse": {"id": CALL_ID, "name": "weather", "response": {"output": "Rain"}}}],
    },
]


def _inline(media_type: str, data: str) -> Json:
    return {"inlineData": {"mimeType": media_type, "data": data}}


def _content_content() -> list[Probe]:
    return [
        _plain(_CONTENT, "`systemInstruction`", systemInstruction={"parts": [{"text": "Short"}]}),
        _plain(_CONTENT, "picture, as data", **_holding(_inline("image/png", PNG))),
        _plain(_CONTENT, "sound, as data", **_holding(_inline("audio/wav", "AAAA"))),
        _plain(_CONTENT, "video, as data", **_holding(_inline("video/mp4", "AAAA"))),
        _plain(_CONTENT, "PDF, as data", **_holding(_inline("application/pdf", PDF))),
        _plain(
            _CONTENT,
            "file as a link",
            **_holding({"fileData": {"mimeType": "image/png", "fileUri": "https://e.com/a.png"}}),
        ),
        _plain(
            _CONTENT,
            "file kept by a vendor (`files/…`)",
            **_holding({"fileData": {"mimeType": "image/png", "fileUri": "files/1"}}),
        ),
        _plain(_CONTENT, "function calls and their responses", contents=_CALLED),
    ]


def _content_fields() -> list[Probe]:
    any_function: Json = {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}
    return [
        _plain(_CONTENT, "functions (`tools`)", **_CONTENT_TOOLS),
        _plain(_CONTENT, "the vendor's own tools (`googleSearch`, `codeExecution`, …)", tools=[{"googleSearch": {}}]),
        _beside(_CONTENT, "`functionCallingConfig`", {**_CONTENT_TOOLS, **any_function}, _CONTENT_TOOLS),
        _configured("`maxOutputTokens`", maxOutputTokens=64),
        _configured("`temperature` up to 1, `topP`", temperature=0.5, topP=0.5),
        _configured("`topK`", topK=5),
        _configured("`stopSequences`", stopSequences=["END"]),
        _configured("`seed`", seed=7),
        _configured("`presencePenalty`, `frequencyPenalty`", presencePenalty=0.5, frequencyPenalty=0.5),
        _configured("`candidateCount` over 1", candidateCount=2),
        _configured("`responseLogprobs`", responseLogprobs=True),
        _configured("JSON schema", responseMimeType="application/json", responseJsonSchema=SCHEMA),
        _configured("JSON without a schema", responseMimeType="application/json"),
        _configured("`thinkingBudget`", thinkingConfig={"thinkingBudget": 2_048}),
        _configured("`thinkingLevel`", thinkingConfig={"thinkingLevel": "LOW"}),
        _configured("pictures or sound in the answer", responseModalities=["TEXT", "IMAGE"]),
        _configured("`speechConfig`", speechConfig={"languageCode": "de-DE"}),
        _plain(
            _CONTENT,
            "`safetySettings`",
            safetySettings=[{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        ),
        _plain(_CONTENT, "`cachedContent`", cachedContent="cachedContents/1"),
        _plain(_CONTENT, "`labels`", labels={"a": "b"}),
        _plain(_CONTENT, "a field that nobody knows", someField=1),
    ]


PROBES: Mapping[Operation, Sequence[Probe]] = {
    Operation.CHAT: (*_chat_content(), *_chat_fields()),
    Operation.RESPONSES: (*_responses_content(), *_responses_fields()),
    Operation.MESSAGES: (*_messages_content(), *_messages_fields()),
    Operation.CONTENT: (*_content_content(), *_content_fields()),
}
