"""What the chat formats convey to each other, found by asking them: each line is an order that is translated."""

from collections.abc import Mapping

import msgspec
from scripts.probes import CALL_ID, MODEL, PNG, PROBES, Json, Probe

from halley.api.answer_routes import ANTHROPIC_PATHS, OPENAI_PATHS
from halley.api.endpoints.answers import VERBS
from halley.kernel.chat import (
    Blob,
    BlobKind,
    ChatReply,
    ChatUsage,
    Choice,
    Citation,
    Part,
    Refusal,
    StopReason,
    Text,
    Thinking,
    ToolCall,
)
from halley.kernel.faults import NotConveyed
from halley.kernel.operation import COUNTING, KINDS, Operation
from halley.pipeline.answers.choose import TRANSLATED, UNTRANSLATED
from halley.vendors import load_vendors
from halley.wire.anthropic.hints import HINTS as ANTHROPIC_HINTS
from halley.wire.contract import AnswerFacts, ChatFormat
from halley.wire.formats import CHAT_FORMATS
from halley.wire.gemini.hints import HINTS as GEMINI_HINTS
from halley.wire.openai.hints import HINTS as OPENAI_HINTS
from halley.wire.openai.hints import LEFT_OUT, Hint
from halley.wire.reasoning import BUDGETS, effort_of

TITLES: Mapping[Operation, str] = {
    Operation.CHAT: "Chat Completions",
    Operation.RESPONSES: "Responses",
    Operation.MESSAGES: "Messages",
    Operation.CONTENT: "generateContent",
}
CONVEYED, LEFT, REFUSED, OWN = "yes", "left out", "**refused**", "as it came"


# --- endpoints ---------------------------------------------------------------------------------------------------


def endpoints() -> str:
    """Which calls stand for which at a vendor, and who can be called so."""
    lines = [
        "| call | path | stands also for vendors that are called by | vendors that are called so |",
        "|---|---|---|---|",
    ]
    for operation in Operation:
        others = ", ".join(f"`{other}`" for other in _others(operation)) or "nobody else"
        vendors = ", ".join(
            f"`{vendor.name}`"
            for vendor in load_vendors().values()
            if vendor.answers is not None and operation in vendor.answers.paths
        )
        counted = "everybody: counted here where they cannot" if operation in COUNTING else others
        lines.append(f"| `{operation}` | {_path(operation)} | {counted} | {vendors or 'none'} |")
    return "\n".join(lines) + "\n"


def _others(operation: Operation) -> list[Operation]:
    kind = KINDS[operation]
    if kind not in TRANSLATED or operation in COUNTING:
        return []
    return [
        other for other in Operation if KINDS[other] is kind and other is not operation and other not in UNTRANSLATED
    ]


def _path(operation: Operation) -> str:
    known = {**OPENAI_PATHS, **ANTHROPIC_PATHS}.get(operation)
    if known is not None:
        return f"`POST {known}`"
    verbs = ", ".join(f"`:{verb}`" for verb, (called, _) in VERBS.items() if called is operation)
    return f"`POST /v1beta/models/{{model}}` with {verbs}" if verbs else "`GET /v1/realtime` (websocket)"


# --- orders ------------------------------------------------------------------------------------------------------


def orders(source: Operation) -> str:
    """Tell for each thing that a format can ask for whether the others convey it."""
    lines = [f"| asked in {TITLES[source]} | {' | '.join(TITLES.values())} |", "|---|" + "---|" * len(TITLES)]
    for probe in PROBES[source]:
        cells = [OWN if target is source else outcome(source, target, probe) for target in TITLES]
        lines.append(f"| {probe.label} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def outcome(source: Operation, target: Operation, probe: Probe) -> str:
    """Tell what becomes of one order of this format for a vendor of that one."""
    try:
        written = _written(source, target, probe.body)
    except NotConveyed:
        return REFUSED
    return LEFT if written == _written(source, target, probe.without) else CONVEYED


def _written(source: Operation, target: Operation, body: Json) -> Json:
    return CHAT_FORMATS[target].write_order(CHAT_FORMATS[source].read_order(body))


# --- answers -----------------------------------------------------------------------------------------------------

_PLAIN_USAGE = ChatUsage(input=100, output=50)
_PARTS: Mapping[str, tuple[Part, ...]] = {
    "text": (Text(text="More"),),
    "tool calls": (ToolCall(id=CALL_ID, name="weather", arguments="{}"),),
    "thoughts": (Thinking(text="Hm"),),
    "their signature": (Thinking(text="Hm", signature="proof"),),
    "a refusal in the model's words": (Refusal(text="No"),),
    "pictures": (Blob(kind=BlobKind.IMAGE, media_type="image/png", data=PNG),),
    "sound": (Blob(kind=BlobKind.AUDIO, media_type="audio/wav", data="AAAA"),),
}
_USAGES: Mapping[str, ChatUsage] = {
    "tokens read from a cache": ChatUsage(input=100, output=50, cached=10),
    "tokens written to a cache": ChatUsage(input=100, output=50, cache_write=10),
    "tokens of reasoning": ChatUsage(input=100, output=50, reasoning=10),
}
_CITED = (Citation(url="https://e.com", title="A page", start=0, end=2),)
_WITHOUT: Mapping[str, tuple[Part, ...]] = {"their signature": (Thinking(text="Hm"),)}


def answers() -> str:
    """Tell for each thing that an answer may hold whether a caller of each format is shown it."""
    lines = [
        f"| in an answer | {' | '.join(f'to {title}' for title in TITLES.values())} |",
        "|---|" + "---|" * len(TITLES),
    ]
    for label, parts in _PARTS.items():
        cells = [_shown(CHAT_FORMATS[to], _reply(parts), _reply(_WITHOUT.get(label, ()))) for to in TITLES]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    two = msgspec.structs.replace(_reply(()), choices=(_choice(()), _choice((), index=1)))
    lines.append(f"| several answers | {' | '.join(_shown(CHAT_FORMATS[to], two, _reply(())) for to in TITLES)} |")
    plain = _reply(())
    cited = msgspec.structs.replace(plain, choices=(msgspec.structs.replace(plain.choices[0], citations=_CITED),))
    shown = (_shown(CHAT_FORMATS[to], cited, plain) for to in TITLES)
    lines.append(f"| the pages of the web that it cites | {' | '.join(shown)} |")
    for label, usage in _USAGES.items():
        cells = [_shown(CHAT_FORMATS[to], _reply((), usage), _reply(())) for to in TITLES]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def stops() -> str:
    """Tell the word for each reason of an end in each format."""
    lines = [f"| an answer ended | {' | '.join(TITLES.values())} |", "|---|" + "---|" * len(TITLES)]
    for reason, meaning in _MEANINGS.items():
        words = [f"`{_stop(to, reason)}`" for to in TITLES]
        lines.append(f"| {meaning} | {' | '.join(words)} |")
    return "\n".join(lines) + "\n"


_MEANINGS: Mapping[StopReason, str] = {
    StopReason.END: "by itself",
    StopReason.LENGTH: "at the limit of its length",
    StopReason.TOOLS: "to have tools called",
    StopReason.STOP_SEQUENCE: "at a stop sequence",
    StopReason.FILTERED: "by the vendor's moderation",
    StopReason.REFUSED: "by refusing",
    StopReason.PAUSED: "for a pause of the vendor's own tools",
}


def _stop(to: Operation, reason: StopReason) -> str:
    body = _shown_body(CHAT_FORMATS[to], _reply((), stop=reason))
    match to:
        case Operation.CHAT:
            return body["choices"][0]["finish_reason"]
        case Operation.RESPONSES:
            details = body.get("incomplete_details")
            return f"{body['status']}: {details['reason']}" if details else body["status"]
        case Operation.MESSAGES:
            return body["stop_reason"]
        case _:
            return body["candidates"][0]["finishReason"]


def _shown(to: ChatFormat, reply: ChatReply, without: ChatReply) -> str:
    try:
        body = _shown_body(to, reply)
    except (NotConveyed, ValueError):
        return REFUSED
    return LEFT if body == _shown_body(to, without) else CONVEYED


def _shown_body(to: ChatFormat, reply: ChatReply) -> Json:
    return to.write_reply(reply, AnswerFacts(id="0" * 26, model=MODEL, created_s=0, body={"model": MODEL}))


def _reply(parts: tuple[Part, ...], usage: ChatUsage = _PLAIN_USAGE, *, stop: StopReason = StopReason.END) -> ChatReply:
    return ChatReply(id="1", model=MODEL, created_s=0, choices=(_choice(parts, stop=stop),), usage=usage)


def _choice(parts: tuple[Part, ...], *, index: int = 0, stop: StopReason = StopReason.END) -> Choice:
    return Choice(index=index, parts=(Text(text="Hi"), *parts), stop=stop)


# --- what is left out ------------------------------------------------------------------------------------------------


def hints() -> str:
    """List what is neither conveyed nor refused, from the tables that the formats themselves go by."""
    lines = ["| format | what | why |", "|---|---|---|"]
    lines += [f"| OpenAI | {_spelled(hint)} | {_sentence(hint.why)} |" for hint in OPENAI_HINTS]
    lines += [f"| OpenAI | {_name(name)} | {_sentence(why)} |" for name, why in LEFT_OUT.items()]
    lines += [f"| Anthropic | {_name(name)} | {_sentence(why)} |" for name, why in ANTHROPIC_HINTS.items()]
    lines += [f"| Gemini | {_name(name)} | {_sentence(why)} |" for name, why in GEMINI_HINTS.items()]
    return "\n".join(lines) + "\n"


def efforts() -> str:
    """How much to think, in words and in tokens."""
    lines = ["| effort | tokens to think with | a budget so large is read as |", "|---|---|---|"]
    lines += [f"| `{word}` | {budget:,} | `{effort_of(budget)}` |" for word, budget in BUDGETS.items()]
    return "\n".join(lines) + "\n"


def _spelled(hint: Hint) -> str:
    if hint.values is None:
        return f"`{hint.name}`"
    values = ", ".join(f"`{msgspec.json.encode(value).decode()}`" for value in hint.values)
    return f"`{hint.name}` where it is {values}"


def _name(name: str) -> str:
    return name if " " in name or "`" in name else f"`{name}`"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}".replace("|", "\\|")
