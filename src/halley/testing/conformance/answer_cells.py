"""The cells of answers: every call of a vendor, whole or streamed, with every ending that it can have."""

from collections.abc import Iterable
from enum import StrEnum
from fnmatch import fnmatchcase

import msgspec

from halley.catalogue.model import Model, read_models
from halley.kernel.operation import COUNTING, KINDS, Kind, Operation
from halley.vendors.contract import Vendor
from halley.vendors.simulate.directive import TASK_ONLY, Outcome

ANSWER_ENDINGS = tuple(ending for ending in Outcome if ending not in TASK_ONLY)
"""What can become of a call that is answered at once."""
BROKEN_STREAMS = frozenset((Outcome.CUT_STREAM, Outcome.STALL_STREAM, Outcome.MALFORMED_FRAME, Outcome.ERROR_FRAME))
"""Endings in the middle of an answer."""


class Mode(StrEnum):
    """How an answer is asked for."""

    WHOLE = "whole"
    STREAM = "stream"
    ARRAY = "array"
    """A stream as one JSON array, which Gemini's clients get without `alt=sse`."""


class AnswerCell(msgspec.Struct, frozen=True, kw_only=True):
    """One call, whole or streamed, with one ending at one vendor. `why_not` is set where it is not driven."""

    vendor: Vendor
    operation: Operation
    mode: Mode
    ending: Outcome
    model: Model | None
    """The model that is asked for; set where the cell is driven."""
    why_not: str = ""
    is_exempt: bool = False
    """Whether the vendor says so, rather than the suite."""

    @property
    def name(self) -> str:
        """`openai.chat/success`, or `openai.chat+stream/success`."""
        return f"{_column(self.operation, self.mode)}/{self.ending}"


def answer_cells(vendor: Vendor, *, brief: bool = False) -> list[AnswerCell]:
    """Every cell of a vendor that answers at once, those that are not driven included.

    `brief`: only what shows that a vendor which shares another's simulator is called rightly.
    """
    if vendor.answers is None or not vendor.simulator:
        return []
    models = read_models(vendor)
    found = [
        _cell(vendor, operation, mode, ending, models)
        for operation in vendor.answers.paths
        if operation is not Operation.REALTIME
        for mode in _modes(operation, models)
        for ending in ANSWER_ENDINGS
    ]
    return [cell for cell in found if not brief or (cell.mode, cell.ending) in _BRIEF]


def owns_simulator(vendor: Vendor, vendors: Iterable[Vendor]) -> bool:
    """Whether a vendor is the first with its simulator; the others share what was tried with this one."""
    return bool(vendor.simulator) and next(each for each in vendors if each.simulator == vendor.simulator) == vendor


def billed_by_token(model: Model) -> bool:
    """Whether what a model makes is billed by token, as it is of the younger ones."""
    return any(meter in model.cost for meter in _OUTPUT_TOKENS)


_BRIEF = frozenset(
    (
        (Mode.WHOLE, Outcome.SUCCESS),
        (Mode.WHOLE, Outcome.RATE_LIMITED),
        (Mode.WHOLE, Outcome.VENDOR_ERROR),
        (Mode.STREAM, Outcome.SUCCESS),
        (Mode.STREAM, Outcome.CUT_STREAM),
    )
)
_OF_WORDS = frozenset((Outcome.TOOL_CALL, Outcome.REFUSAL, Outcome.LENGTH, Outcome.REASONING))
_OF_COUNTS = frozenset(
    (
        *(Outcome.SUCCESS, Outcome.INVALID, Outcome.UNAUTHORIZED, Outcome.OUT_OF_CREDIT, Outcome.RATE_LIMITED),
        *(Outcome.VENDOR_ERROR, Outcome.CONNECT_REFUSED, Outcome.TIMEOUT_AFTER_SEND, Outcome.RESET_AFTER_SEND),
        Outcome.GARBAGE,
    )
)
_STREAM_WORDS = frozenset(
    (Operation.CHAT, Operation.COMPLETION, Operation.RESPONSES, Operation.MESSAGES, Operation.CONTENT)
)
_STREAM_BY_TOKEN = frozenset((Operation.SPEECH, Operation.TRANSCRIPTION, Operation.IMAGES, Operation.IMAGE_EDITS))
"""Of these only models that are billed by token can stream; the older ones answer whole."""
_OUTPUT_TOKENS = ("output_token", "audio_output_token", "image_output_token")


def _modes(operation: Operation, models: list[Model]) -> tuple[Mode, ...]:
    if operation in _STREAM_WORDS:
        return (Mode.WHOLE, Mode.STREAM, Mode.ARRAY) if operation is Operation.CONTENT else (Mode.WHOLE, Mode.STREAM)
    if operation in _STREAM_BY_TOKEN and _model(operation, Mode.STREAM, models) is not None:
        return (Mode.WHOLE, Mode.STREAM)
    return (Mode.WHOLE,)


def _model(operation: Operation, mode: Mode, models: list[Model]) -> Model | None:
    """Give the first model that fits."""
    fits = [
        model
        for model in models
        if model.kind == KINDS[operation] and (not model.operations or operation in model.operations)
    ]
    if mode is not Mode.WHOLE and operation in _STREAM_BY_TOKEN:
        fits = [model for model in fits if billed_by_token(model)]
    return next(iter(fits), None)


def _cell(vendor: Vendor, operation: Operation, mode: Mode, ending: Outcome, models: list[Model]) -> AnswerCell:
    model = _model(operation, mode, models)
    name = f"{_column(operation, mode)}/{ending}"
    exempt = next((why for glob, why in vendor.exempt.items() if fnmatchcase(name, glob)), "")
    why_not = exempt or _nothing(operation, mode, ending)
    if model is None:
        why_not = why_not or "no model of the catalogue does this"
    return AnswerCell(
        vendor=vendor,
        operation=operation,
        mode=mode,
        ending=ending,
        model=model,
        why_not=why_not,
        is_exempt=bool(exempt),
    )


def _nothing(operation: Operation, mode: Mode, ending: Outcome) -> str:
    """Why an ending means nothing to a call; empty where it does."""
    if operation in COUNTING:
        return "" if ending in _OF_COUNTS else "a count is one number"
    match KINDS[operation], ending:
        case Kind.CHAT, _:
            return ""
        case Kind.COMPLETION, Outcome.TOOL_CALL:
            return "a completion has no tools"
        case Kind.COMPLETION, _:
            return ""
        case Kind.SPEECH, Outcome.MALFORMED_FRAME if mode is Mode.WHOLE:
            return "half a sound is a sound"
        case _:
            return "no words are generated" if ending in _OF_WORDS else ""


def _column(operation: Operation, mode: Mode) -> str:
    return operation.value if mode is Mode.WHOLE else f"{operation.value}+{mode.value}"
