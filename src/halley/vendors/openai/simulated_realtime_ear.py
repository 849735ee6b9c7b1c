"""The ear of a realtime session: finds by loudness when somebody begins and ends speaking. Pure."""

from array import array
from enum import StrEnum

import msgspec

from halley.vendors.openai.simulated_realtime_session import TurnDetection
from halley.vendors.simulate.codecs import RATE, SAMPLE_BYTES

BUFFER_BYTES_MAX = 20 * 60 * RATE * SAMPLE_BYTES
"""Twenty minutes."""
FRAME_MS = 20
LOUD_FRAMES = 3
"""So many loud frames in a row are speech; a click is shorter."""

_FRAME_BYTES = RATE * FRAME_MS // 1_000 * SAMPLE_BYTES
_LOUDNESS = 600
"""Mean of a frame at a threshold of a half, out of 32,767."""


class Change(StrEnum):
    STARTED = "started"
    STOPPED = "stopped"


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody began or ended; when stopped, what was said in between."""

    change: Change
    at_ms: int
    pcm: bytes = b""


class Ear:
    """Takes samples as they come."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._forgotten_bytes = 0
        """How much of the session's audio came before the buffer."""
        self._listened = 0
        """How much of the buffer was listened to."""
        self._loud_frames = 0
        self._quiet_ms = 0
        self.is_speaking = False

    @property
    def buffered_ms(self) -> float:
        """How long the buffer is."""
        return len(self._buffer) / SAMPLE_BYTES / RATE * 1_000

    def append(self, pcm: bytes) -> bool:
        """Keep samples; `False` if there is no room for them."""
        if len(self._buffer) + len(pcm) > BUFFER_BYTES_MAX:
            return False
        self._buffer += pcm
        return True

    def take(self) -> bytes:
        """Everything that is kept, which is forgotten."""
        taken = bytes(self._buffer)
        self._forget(len(taken))
        self._loud_frames, self._quiet_ms, self.is_speaking = 0, 0, False
        return taken

    def listen(self, turn: TurnDetection) -> list[Heard]:
        """What happened in what has come since the last time."""
        found: list[Heard] = []
        while self._listened + _FRAME_BYTES <= len(self._buffer):
            frame = bytes(self._buffer[self._listened : self._listened + _FRAME_BYTES])
            self._listened += _FRAME_BYTES
            heard = self._hear(_loudness(frame) >= _LOUDNESS * turn.threshold * 2, turn)
            if heard is not None:
                found.append(heard)
        return found

    def _hear(self, is_loud: bool, turn: TurnDetection) -> Heard | None:  # noqa: FBT001 - one frame, loud or not
        if self.is_speaking:
            self._quiet_ms = 0 if is_loud else self._quiet_ms + FRAME_MS
            return self._stop() if self._quiet_ms >= turn.silence_ms else None
        self._loud_frames = self._loud_frames + 1 if is_loud else 0
        padding = RATE * turn.prefix_ms // 1_000 * SAMPLE_BYTES + LOUD_FRAMES * _FRAME_BYTES
        if self._loud_frames >= LOUD_FRAMES:
            self._forget(max(0, self._listened - padding))
            self.is_speaking, self._quiet_ms = True, 0
            return Heard(change=Change.STARTED, at_ms=_ms(self._forgotten_bytes))
        # Silence is not kept but for what may turn out to come just before speech.
        self._forget(max(0, self._listened - 2 * padding))
        return None

    def _stop(self) -> Heard:
        pcm = bytes(self._buffer[: self._listened])
        self._forget(self._listened)
        self._loud_frames, self._quiet_ms, self.is_speaking = 0, 0, False
        return Heard(change=Change.STOPPED, at_ms=_ms(self._forgotten_bytes), pcm=pcm)

    def _forget(self, size: int) -> None:
        del self._buffer[:size]
        self._forgotten_bytes += size
        self._listened = max(0, self._listened - size)


def _loudness(frame: bytes) -> float:
    samples = array("h", frame)
    return sum(map(abs, samples)) / len(samples)


def _ms(size: int) -> int:
    return size * 1_000 // SAMPLE_BYTES // RATE
