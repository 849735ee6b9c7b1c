"""PyAV behind a few typed functions: writes compressed audio, resamples, and changes the tempo. It reads no files.

It comes with the `sandbox` extra and is loaded at the first use; its own types are too loose for strict checking.
"""

import functools
import importlib
import importlib.util
import io
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import msgspec

RATE = 24_000
"""Samples per second of everything that we make."""
SAMPLE_BYTES = 2

_PIECE_SAMPLES = RATE * 10
_TEMPO_MIN = 0.5


class Encoding(msgspec.Struct, frozen=True, kw_only=True):
    """How a format is written."""

    codec: str
    container: str
    bit_rate: int | None = None
    options: dict[str, str] = {}
    """Of the container."""
    codec_options: dict[str, str] = {}


@functools.cache
def has_codecs() -> bool:
    """Whether the extra is installed."""
    return importlib.util.find_spec("av") is not None


def encode(pcm: bytes, encoding: Encoding, *, comment: str) -> bytes:
    """The samples as a file with a comment in its metadata."""
    out = io.BytesIO()
    with _av().open(out, "w", format=encoding.container, options=dict(encoding.options)) as container:
        container.metadata["comment"] = comment
        stream = container.add_stream(encoding.codec, rate=RATE, layout="mono", options=dict(encoding.codec_options))
        if encoding.bit_rate is not None:
            stream.bit_rate = encoding.bit_rate
        for frame in (*_frames(pcm, RATE), None):
            for packet in stream.encode(frame):
                container.mux(packet)
    return out.getvalue()


def restretched(pcm: bytes, *, rate: int, speed: float) -> bytes:
    """Samples of another rate at ours, spoken so much faster at the same pitch."""
    # The filters are the graph's and end with it, so it is held on to.
    graph, source, sink = _graph(rate, speed)
    parts: list[bytes] = []
    for frame in (*_frames(pcm, rate), None):
        source.push(frame)
        parts.extend(_pulled(sink))
    del graph
    return b"".join(parts)


def _av() -> Any:
    return importlib.import_module("av")


def _graph(rate: int, speed: float) -> tuple[Any, Any, Any]:
    """A graph of filters, its entry and its exit."""
    graph = importlib.import_module("av.filter").Graph()
    source = graph.add_abuffer(sample_rate=rate, format="s16", layout="mono", time_base=Fraction(1, rate))
    filters = [("atempo", f"{factor:.6f}") for factor in _tempos(speed)]
    filters.append(("aformat", f"sample_fmts=s16:channel_layouts=mono:sample_rates={RATE}"))
    last = source
    for name, arguments in filters:
        added = graph.add(name, arguments)
        last.link_to(added)
        last = added
    sink = graph.add("abuffersink")
    last.link_to(sink)
    graph.configure()
    return graph, source, sink


def _pulled(sink: Any) -> Iterator[bytes]:
    errors: Any = importlib.import_module("av.error")
    while True:
        try:
            frame = sink.pull()
        except (errors.BlockingIOError, errors.EOFError):
            return
        yield bytes(frame.planes[0])[: frame.samples * SAMPLE_BYTES]


def _tempos(speed: float) -> list[float]:
    """Factors of at least a half each, which is what the filter takes."""
    if math.isclose(speed, 1):
        return []
    return [speed] if speed >= _TEMPO_MIN else [_TEMPO_MIN, speed / _TEMPO_MIN]


def _frames(pcm: bytes, rate: int) -> Iterator[Any]:
    av = _av()
    step = _PIECE_SAMPLES * SAMPLE_BYTES
    for start in range(0, len(pcm) // SAMPLE_BYTES * SAMPLE_BYTES, step):
        piece = pcm[start : start + step]
        frame = av.AudioFrame(format="s16", layout="mono", samples=len(piece) // SAMPLE_BYTES)
        frame.sample_rate = rate
        frame.pts = start // SAMPLE_BYTES
        frame.time_base = Fraction(1, rate)
        # A plane is padded beyond its samples.
        plane = frame.planes[0]
        plane.update(piece.ljust(plane.buffer_size, b"\0"))
        yield frame
