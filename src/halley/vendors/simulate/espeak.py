"""The voice of the `sandbox` extra: espeak-ng by its C interface, spoken to by one thread at a time.

Nothing is loaded before the first word; without the extra `voice_engine` answers `None`.
"""

import ctypes
import functools
import importlib
import threading
from collections.abc import Callable
from typing import Any

import msgspec

_SYNCHRONOUS = 2
_DO_NOT_EXIT = 0x8000
_UTF8 = 1
_BY_CHARACTER = 1
_RATE, _PITCH = 1, 3
_WORDS_PER_MINUTE = 165
_DEFAULT_LANGUAGE = "en-us"

# Scripts that the English voice would only spell out. First range that a letter falls in decides.
_SCRIPTS: tuple[tuple[int, int, str], ...] = (
    (0x0370, 0x03FF, "el"),
    (0x0400, 0x04FF, "ru"),
    (0x0590, 0x05FF, "he"),
    (0x0600, 0x06FF, "ar"),
    (0x0900, 0x097F, "hi"),
    (0x0E00, 0x0E7F, "th"),
    (0x3040, 0x30FF, "ja"),
    (0x4E00, 0x9FFF, "cmn"),
    (0xAC00, 0xD7AF, "ko"),
)

_LOCK = threading.Lock()
"""The library keeps its state in globals, so one text at a time in the whole process."""


class Manner(msgspec.Struct, frozen=True, kw_only=True):
    """How a voice sounds."""

    variant: str
    """A timbre of the engine's, e.g. `f2`."""
    pitch: int
    """0 to 99, 50 is usual."""


class Engine:
    """The loaded library."""

    def __init__(self, library: Any, rate: int) -> None:
        self._library = library
        self.rate = rate
        """Samples per second of what it says."""

    def say(self, text: str, manner: Manner) -> bytes:
        """The text as 16-bit mono samples of our own `rate`; said twice, it differs by some samples."""
        parts: list[bytes] = []

        def take(samples: Any, count: int, _events: Any) -> int:
            if samples and count > 0:
                parts.append(ctypes.string_at(samples, count * 2))
            return 0

        data = text.replace("\0", " ").encode("utf-8", "replace")
        with _LOCK:
            self._choose(_language_of(text), manner)
            callback = _Callback(take)
            self._library.espeak_SetSynthCallback(callback)
            self._library.espeak_Synth(data, len(data) + 1, 0, _BY_CHARACTER, 0, _UTF8, None, None)
            self._library.espeak_Synchronize()
        return b"".join(parts)

    def _choose(self, language: str, manner: Manner) -> None:
        for name in (f"{language}+{manner.variant}", language, _DEFAULT_LANGUAGE):
            if self._library.espeak_SetVoiceByName(name.encode()) == 0:
                break
        self._library.espeak_SetParameter(_RATE, _WORDS_PER_MINUTE, 0)
        self._library.espeak_SetParameter(_PITCH, manner.pitch, 0)


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


def voice_engine() -> Engine | None:
    """The engine, loaded at the first call; `None` if the extra is not installed. Blocks; call it beside the loop."""
    with _LOCK:
        return _loaded()


@functools.cache
def _loaded() -> Engine | None:
    try:
        loader = importlib.import_module("espeakng_loader")
        library_path: Callable[[], str] = loader.get_library_path
        data_path: Callable[[], str] = loader.get_data_path
        library: Any = ctypes.CDLL(library_path())
    except (ImportError, OSError):
        return None
    library.espeak_Synth.argtypes = [
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_uint,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.c_uint,
        ctypes.c_void_p,
        ctypes.c_void_p,
    ]
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, data_path().encode(), _DO_NOT_EXIT)
    return Engine(library, rate) if rate > 0 else None


def _language_of(text: str) -> str:
    for character in text:
        for first, last, language in _SCRIPTS:
            if first <= ord(character) <= last:
                return language
    return _DEFAULT_LANGUAGE
