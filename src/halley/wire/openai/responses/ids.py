"""Ids of a response and its items, all made of the answer's id."""

from halley.wire.contract import AnswerFacts


def response_id(facts: AnswerFacts) -> str:
    return f"resp_{facts.id}"


def item_id(prefix: str, facts: AnswerFacts, index: int) -> str:
    """Give the id of the item at this place of the output: `msg_…_0`."""
    return f"{prefix}_{facts.id}_{index}"
