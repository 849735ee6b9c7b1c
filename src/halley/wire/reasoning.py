"""How much to think: words to tokens and back, in one place, so that all formats agree.

| effort  | tokens to think with | reads budgets      |
|---------|----------------------|--------------------|
| minimal | 1,024                | (never read back)  |
| low     | 2,048                | up to 2,048        |
| medium  | 8,192                | 2,049 to 8,192     |
| high    | 16,384               | over 8,192         |
| xhigh   | 32,768               | (never read back)  |
| max     | 65,536               | (never read back)  |
"""

from collections.abc import Mapping

from halley.wire.extras import not_conveyed

BUDGETS: Mapping[str, int] = {
    "minimal": 1_024,
    "low": 2_048,
    "medium": 8_192,
    "high": 16_384,
    "xhigh": 32_768,
    "max": 65_536,
}
BUDGET_MIN = 1_024
"""The least that a format with budgets takes."""
OUTPUT_SHARE_FOR_ANSWER = 4
"""One part in so many of the output's maximum is kept for the answer itself."""


def effort_of(budget: int) -> str:
    """Give the word for a number of tokens to think with."""
    if budget <= BUDGETS["low"]:
        return "low"
    return "medium" if budget <= BUDGETS["medium"] else "high"


def budget_of(effort: str, output_max: int | None) -> int:
    """Give the tokens for a word, leaving a part of the output's maximum for the answer, but never under the least.

    Where the output's maximum is not above the least, thinking has no room: the writer must see to that.
    Raises `NotConveyed` for a word that is not in the table.
    """
    budget = BUDGETS.get(effort.lower())
    if budget is None:
        raise not_conveyed("reasoning_effort", f"`{effort[:40]}` is none of {', '.join(BUDGETS)}")
    if output_max is None:
        return budget
    return max(BUDGET_MIN, min(budget, output_max - output_max // OUTPUT_SHARE_FOR_ANSWER))
