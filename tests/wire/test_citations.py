"""What answers cite, as each vendor tells it and as each format writes it."""

from typing import Any

import pytest
from tests.wire.talk import FACTS, events_of, read, write

from halley.kernel.chat import (
    Began,
    CallBegan,
    CallPiece,
    ChatReply,
    Choice,
    Citation,
    Cited,
    Stopped,
    StopReason,
    Text,
    TextPiece,
)
from halley.kernel.codec import encode
from halley.wire.anthropic import MESSAGES
from halley.wire.gather import gather
from halley.wire.gemini import CONTENT
from halley.wire.openai import CHAT, RESPONSES

URL = "https://a.example/a"


def cites(start: int, end: int, url: str = URL, title: str | None = "A") -> Citation:
    return Citation(url=url, title=title, start=start, end=end)


def reply(*citations: Citation, text: str = "Rain ☔ now") -> ChatReply:
    return ChatReply(
        id="r", model="m", choices=(Choice(parts=(Text(text=text),), citations=citations, stop=StopReason.END),)
    )


def frames(*events: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + encode(event) + b"\n\n" for event in events)


# --- OpenAI's formats ---


def chat(**fields: Any) -> dict[str, Any]:
    return {"choices": [{"message": {"content": "Rain ☔ now", **fields}, "finish_reason": "stop"}]}


def note(**fields: Any) -> dict[str, Any]:
    return {"type": "url_citation", "url_citation": {"url": URL, "title": "A", **fields}}


@pytest.mark.parametrize(
    ("body", "citations"),
    [
        pytest.param(chat(annotations=[note(start_index=5, end_index=6)]), (cites(5, 6),), id="annotation"),
        pytest.param(chat(annotations=[note()]), (cites(0, 10),), id="without a place"),
        pytest.param(chat(annotations=[note(start_index=-4, end_index=99)]), (cites(0, 10),), id="out of bounds"),
        pytest.param(chat(annotations=[note(start_index=6, end_index=5)]), (cites(6, 6),), id="turned about"),
        pytest.param(chat(annotations=[{"type": "file_citation", "file_id": "f"}, 1]), (), id="of a file"),
        pytest.param({**chat(), "citations": [URL, 1]}, (cites(0, 10, title=None),), id="list of links"),
        pytest.param({**chat(), "search_results": [{"url": URL, "title": "A"}]}, (cites(0, 10),), id="sources"),
    ],
)
def test_what_a_chat_cites_is_read(body: dict[str, Any], citations: tuple[Citation, ...]):
    assert CHAT.read_reply(body).choices[0].citations == citations


def test_the_sources_of_a_stream_are_those_told_last_and_come_before_its_end():
    told = ({"citations": links, "choices": [{"delta": {"content": "Hi"}}]} for links in ([], [URL]))
    end: dict[str, Any] = {"choices": [{"finish_reason": "stop"}]}
    deltas = read(CHAT.read_stream(), frames(*told, end))
    assert deltas[-2:] == [Cited(citation=cites(0, 4, title=None)), Stopped(reason=StopReason.END)]


def test_a_text_of_a_response_counts_from_its_own_beginning():
    one, two = Text(text="Rain. "), Text(text="Sun.")
    choice = Choice(parts=(one, two), citations=(cites(6, 9), cites(99, 99)), stop=StopReason.END)
    written = RESPONSES.write_reply(ChatReply(id="r", model="m", choices=(choice,)), FACTS)
    first, second = written["output"][0]["content"]
    assert first["annotations"] == []
    assert [(each["start_index"], each["end_index"]) for each in second["annotations"]] == [(0, 3), (93, 93)]


def test_a_streamed_response_tells_each_annotation_and_repeats_them_with_the_whole_text():
    deltas = (
        Began(id="r", model="m"),
        TextPiece(text="Rain"),
        CallBegan(slot=0, id="c", name="f"),
        CallPiece(slot=0, arguments="{}"),
        TextPiece(text="Sun"),
        Cited(citation=cites(4, 7)),
        Stopped(reason=StopReason.END),
    )
    events = events_of(write(RESPONSES.write_stream(FACTS), deltas))
    (added,) = [event for event in events if event["type"] == "response.output_text.annotation.added"]
    wanted = {"type": "url_citation", "start_index": 0, "end_index": 3, "title": "A", "url": URL}
    assert (added["annotation_index"], added["annotation"]) == (0, wanted)
    assert events[-1]["response"]["output"][2]["content"][0]["annotations"] == [wanted]


@pytest.mark.parametrize("form", [CHAT, RESPONSES, MESSAGES, CONTENT], ids=lambda form: form.name)
def test_a_citation_behind_a_call_is_told_all_the_same(form: Any):
    deltas = (
        Began(id="r", model="m"),
        TextPiece(text="Rain"),
        CallBegan(slot=0, id="c", name="f"),
        CallPiece(slot=0, arguments="{}"),
        Cited(citation=cites(0, 4)),
        Stopped(reason=StopReason.TOOLS),
    )
    told = gather(read(form.read_stream(), write(form.write_stream(FACTS), deltas)))
    assert [each.url for each in told.choices[0].citations] == [URL]


# --- Anthropic's ---


def test_a_text_is_cut_into_blocks_that_cite_the_same_pages():
    written = MESSAGES.write_reply(reply(cites(0, 6), cites(5, 10, "https://a.example/b", None)), FACTS)["content"]
    assert [(block["text"], [each["url"][-1] for each in block.get("citations", [])]) for block in written] == [
        ("Rain ", ["a"]),
        ("☔", ["a", "b"]),
        (" now", ["b"]),
    ]
    assert written[0]["citations"][0] == {
        "type": "web_search_result_location",
        "url": URL,
        "title": "A",
        "cited_text": "",
        "encrypted_index": "",
    }


@pytest.mark.parametrize("place", [(4, 4), (10, 10), (99, 99)], ids=["between", "behind", "beyond"])
def test_a_citation_of_no_words_is_told_with_some(place: tuple[int, int]):
    written = MESSAGES.write_reply(reply(cites(*place)), FACTS)["content"]
    assert "".join(block["text"] for block in written) == "Rain ☔ now"
    assert [each["url"] for block in written for each in block.get("citations", [])] == [URL]


def test_the_words_of_a_page_are_read_and_places_in_documents_are_not():
    found = {"type": "web_search_result_location", "url": URL, "title": "A", "cited_text": "It rains."}
    result = {"type": "search_result_location", "source": "https://a.example/b", "cited_text": "x"}
    document = {"type": "char_location", "document_index": 0, "cited_text": "x"}
    content = [
        {"type": "text", "text": "Yes: "},
        {"type": "text", "text": "rain", "citations": [found, result, document]},
    ]
    read_back = MESSAGES.read_reply({"content": content, "stop_reason": "end_turn"}).choices[0]
    assert read_back.citations == (
        Citation(url=URL, title="A", start=5, end=9, quote="It rains."),
        Citation(url="https://a.example/b", start=5, end=9, quote="x"),
    )


def test_earlier_citations_may_be_handed_back():
    said = {"type": "text", "text": "Rain", "citations": [{"type": "web_search_result_location", "url": URL}]}
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": [said]}]
    order = MESSAGES.read_order({"model": "m", "max_tokens": 9, "messages": turns})
    assert (order.messages[1].parts, order.extras) == ((Text(text="Rain"),), {})


# --- Gemini's ---


def grounded(metadata: dict[str, Any], *parts: dict[str, Any]) -> dict[str, Any]:
    content = {"parts": list(parts or ({"text": "Rain ☔ now"},))}
    return {"candidates": [{"content": content, "finishReason": "STOP", "groundingMetadata": metadata}]}


PAGES = {"groundingChunks": [{"web": {"uri": URL, "title": "A"}}, {"retrievedContext": {"uri": "gs://b/c"}}]}


def supported(segment: dict[str, Any], *indices: Any) -> dict[str, Any]:
    return {**PAGES, "groundingSupports": [{"segment": segment, "groundingChunkIndices": list(indices)}]}


@pytest.mark.parametrize(
    ("body", "citations"),
    [
        pytest.param(grounded(PAGES), (cites(0, 10),), id="pages alone"),
        pytest.param(grounded(supported({"startIndex": 5, "endIndex": 8}, 0)), (cites(5, 6),), id="bytes"),
        pytest.param(grounded(supported({"endIndex": 4}, 0)), (cites(0, 4),), id="from the beginning"),
        pytest.param(grounded(supported({"endIndex": 4}, 1, 7, "0")), (), id="of no page"),
        pytest.param(
            grounded(
                supported({"partIndex": 2, "startIndex": 0, "endIndex": 3}, 0),
                {"text": "Hm", "thought": True},
                {"text": "Rain. "},
                {"text": "Sun."},
            ),
            (cites(6, 9),),
            id="of a later part",
        ),
    ],
)
def test_the_grounding_of_an_answer_is_read(body: dict[str, Any], citations: tuple[Citation, ...]):
    assert CONTENT.read_reply(body).choices[0].citations == citations


def test_a_page_that_is_cited_twice_is_listed_once():
    written = CONTENT.write_reply(reply(cites(0, 4), cites(5, 6)), FACTS)["candidates"][0]["groundingMetadata"]
    assert written == {
        "groundingChunks": [{"web": {"uri": URL, "title": "A"}}],
        "groundingSupports": [
            {"segment": {"startIndex": 0, "endIndex": 4, "text": "Rain"}, "groundingChunkIndices": [0]},
            {"segment": {"startIndex": 5, "endIndex": 8, "text": "☔"}, "groundingChunkIndices": [0]},
        ],
    }


@pytest.mark.parametrize("form", [CHAT, RESPONSES, MESSAGES, CONTENT], ids=lambda form: form.name)
def test_an_answer_that_cites_nothing_is_written_as_ever(form: Any):
    told = encode(form.write_reply(reply(), FACTS))
    assert b"grounding" not in told
    assert b'"citations"' not in told
