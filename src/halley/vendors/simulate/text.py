"""The words of simulated models: the same for the same question, and plainly not a model's. Pure."""

import hashlib
import re

QUOTED_CHARACTERS_MAX = 80
NAME_CHARACTERS_MAX = 120
PORTIONS_MAX = 500
_PIECE = re.compile(r"\s?[^\W\d_]{1,6}|\s?\d{1,3}|\s?[^\w\s]|_+|\s+")
_WIDE = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]")
_SPACE = re.compile(r"\s+")

_REMARKS = (
    "Nothing was looked up and nothing was thought over; these words come from a fixed list.",
    "Ask the same again and you will read the same again.",
    "A real model would have known more, and would have cost more.",
    "The tokens are counted as a vendor would count them, and nobody bills them.",
    "What you see here is good for trying out code, not for taking advice.",
    "Between two lines of this text no electricity was spent on meaning.",
    "If this were real, here would stand the answer.",
    "The weather in the sandbox is calm, as it was yesterday.",
)
_STEPS = (
    "First, what was asked is read to its end.",
    "Then the usual answers are weighed, of which there is one.",
    "It is checked that the answer says that it is simulated.",
    "Nothing speaks against it, so it is written down.",
    "The length of it seems about right.",
    "No tool would make it any better.",
)


def reply_text(model: str, prompt: str, *, turns: int = 1, notes: tuple[str, ...] = (), variant: int = 0) -> str:
    """An answer to the last words of a conversation of so many turns; the same for the same arguments.

    `notes` are told too ("saw an image of 640x480"); `variant` numbers the answers where several are wanted.
    """
    dice = _dice(model, prompt, str(turns), str(variant))
    said = [f"This is a simulated answer of {model[:NAME_CHARACTERS_MAX]}: no model was at work."]
    if prompt.strip():
        said.append(f"You said: “{_beginning(prompt)}”.")
    if turns > 1:
        said.append(f"It is turn {turns} of the conversation.")
    if notes:
        said.append(f"I {'; '.join(notes)}.")
    said += _picked(_REMARKS, dice, 2 + dice[0] % 3)
    return " ".join(said)


def reasoning_text(model: str, prompt: str, *, turns: int = 1) -> str:
    """What a model would show of its thoughts before that answer."""
    dice = _dice(model, prompt, str(turns), "reasoning")
    said = ["These are simulated thoughts.", f"The question begins: “{_beginning(prompt)}”."]
    return " ".join((*said, *_picked(_STEPS, dice, 2 + dice[0] % 2)))


def refusal_text(model: str) -> str:
    """How a model would decline."""
    return f"I'm sorry, but I can't help with that. (A simulated refusal of {model[:NAME_CHARACTERS_MAX]}.)"


def pieces(text: str) -> list[str]:
    """The text in pieces of about the size of tokens; joined they are the text again."""
    found: list[str] = []
    for piece in _PIECE.findall(text):
        # A character of Chinese, Japanese or Korean is about a token.
        found += _singles(piece) if _WIDE.search(piece) else [piece]
    return found


def portions(text: str) -> list[str]:
    """The text as a stream gives it: by pieces, or by several at once where there would be too many."""
    found = pieces(text)
    step = -(-len(found) // PORTIONS_MAX)
    return found if step <= 1 else ["".join(found[at : at + step]) for at in range(0, len(found), step)]


def count(text: str) -> int:
    """How many pieces the text has: the simulators' measure of tokens."""
    # Without a list of them: a prompt may be very long.
    return sum(_number(match[0]) for match in _PIECE.finditer(text))


def _number(piece: str) -> int:
    return len(_singles(piece)) if len(piece) > 1 and _WIDE.search(piece) else 1


def _singles(piece: str) -> list[str]:
    return [piece[:2], *piece[2:]] if piece[0].isspace() else list(piece)


def _beginning(text: str) -> str:
    flat = _SPACE.sub(" ", text).strip()
    return flat if len(flat) <= QUOTED_CHARACTERS_MAX else f"{flat[:QUOTED_CHARACTERS_MAX].rstrip()}…"


def _dice(*parts: str) -> bytes:
    return hashlib.sha256("\n".join(parts).encode("utf-8", "replace")).digest()


def _picked(sentences: tuple[str, ...], dice: bytes, number: int) -> list[str]:
    left = list(sentences)
    return [left.pop(dice[place + 1] % len(left)) for place in range(min(number, len(left)))]
