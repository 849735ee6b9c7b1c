"""How long a recording is taken to be: as its headers tell, as far as its bytes bear them out."""

import io
import struct
import wave

import pytest

from halley.pipeline.answers.sound import SLACK_S, seconds_of
from halley.vendors.simulate.audio_files import write_audio
from halley.vendors.simulate.speech import duration_s, speak

PLAIN_FRAME = b"\xff\xf3\x28\xc4" + bytes(68)
"""72 bytes, 36 ms: MPEG 2.5 or so has lower rates still, and every recorder of speech writes such."""
BEST_FRAME = b"\xff\xf3\xe8\xc4" + bytes(1_436)
FRAME_S = 576 / 16_000
HOUR = round(3_600 / FRAME_S)


def counted_by(header: bytes, frames: int, size: int) -> bytes:
    """Give a first frame that says how many follow."""
    return (PLAIN_FRAME[:13] + header + struct.pack(">III", 3, frames, size)).ljust(len(PLAIN_FRAME), b"\0")


def flac(seconds: int, size: int) -> bytes:
    info = (16_000 << 44) | (15 << 36) | 16_000 * seconds
    block = struct.pack(">HH", 4_096, 4_096) + bytes(6) + info.to_bytes(8, "big") + bytes(16)
    return b"fLaC\x80\0\0\x22" + block + bytes(size)


def wav(seconds: int, told: int | None = None) -> bytes:
    """24 kHz, 16 bits; `told` in the place of the size of its sound."""
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(24_000)
        file.writeframes(bytes(48_000 * seconds))
    data = written.getvalue()
    return data if told is None else data[:40] + struct.pack("<I", told) + data[44:]


def adts(size: int, blocks: int = 1) -> bytes:
    """A frame of AAC, of so many blocks of 1,024 samples at 16 kHz."""
    head = 0xFFF1 << 40 | (1 << 6 | 8 << 2) << 32 | 1 << 30 | size << 13 | 0x7FF << 2 | (blocks - 1)
    return head.to_bytes(7, "big") + bytes(size - 7)


HOUR_OF_FRAMES = PLAIN_FRAME * HOUR
AAC_S = 1_024 / 16_000
"""Of a block."""
TAG = b"ID3\x04\0\0" + bytes((0, 0, 0x4E, 0x10)) + PLAIN_FRAME * 138 + bytes(64)


@pytest.mark.parametrize(
    ("data", "seconds"),
    [
        pytest.param(HOUR_OF_FRAMES, 3_600, id="mp3 without a header of its own"),
        pytest.param(counted_by(b"Xing", HOUR, len(HOUR_OF_FRAMES)) + HOUR_OF_FRAMES, 3_600, id="mp3, told as it is"),
        pytest.param(counted_by(b"Xing", 28, 2_016) + HOUR_OF_FRAMES, 3_600, id="mp3, told as a second"),
        pytest.param(counted_by(b"Info", 28, 2_016) + HOUR_OF_FRAMES, 3_600, id="mp3, told so by another header"),
        pytest.param(BEST_FRAME * 5 + HOUR_OF_FRAMES, 3_600, id="mp3 that begins as a dense one"),
        pytest.param(counted_by(b"Xing", 28, 2_016) + (PLAIN_FRAME + b"\0") * HOUR, 3_600, id="mp3 with gaps"),
        pytest.param(TAG + PLAIN_FRAME * 1_000, 36, id="mp3 behind a tag that looks like sound"),
        pytest.param(adts(300) * 1_000, 1_000 * AAC_S, id="aac"),
        pytest.param(adts(300, blocks=4) * 1_000, 4_000 * AAC_S, id="aac of four blocks a frame"),
        pytest.param(TAG + adts(300) * 1_000, 1_000 * AAC_S, id="aac behind a tag that looks like sound"),
        pytest.param((adts(300) + bytes(3)) * 1_000, 1_000 * AAC_S, id="aac with gaps"),
        pytest.param((adts(144)[:72] + PLAIN_FRAME) * 1_000, 1_000 * AAC_S, id="aac with what looks like mp3 in it"),
        pytest.param(adts(300) * 1_000 + adts(300)[:5], 1_000 * AAC_S, id="aac that is cut short"),
        pytest.param(adts(300) * 9 + HOUR_OF_FRAMES, 3_600, id="mp3 that begins as aac"),
        pytest.param(adts(7).replace(adts(7)[3:6], bytes(3)) * 9 + HOUR_OF_FRAMES, 3_600, id="mp3 behind broken aac"),
        pytest.param(flac(450, 7_200_000), 450, id="flac, told as it is"),
        pytest.param(flac(1, 7_200_000), 225, id="flac, told as a second"),
        pytest.param(wav(20), 20, id="wav, told as it is"),
        pytest.param(wav(20, told=48_000), 20, id="wav, told as a second"),
        pytest.param(wav(20, told=0), 20, id="wav that tells no length"),
        pytest.param(wav(20, told=2**32 - 1), 20, id="wav that was written as it came"),
    ],
)
def test_a_recording_is_as_long_as_its_bytes_bear_out(data: bytes, seconds: int):
    assert seconds_of(data) == pytest.approx(seconds, abs=SLACK_S)


def test_sound_that_broke_off_is_as_long_as_the_frames_that_came():
    data = counted_by(b"Info", HOUR, len(HOUR_OF_FRAMES)) + PLAIN_FRAME * 1_000
    assert seconds_of(data, as_came=True) == pytest.approx(1_000 * FRAME_S, abs=SLACK_S)


def test_what_is_told_is_believed_to_the_fraction_where_the_bytes_bear_it_out():
    assert seconds_of(wav(20)) == 20
    assert seconds_of(counted_by(b"Xing", 1_000, 72_000) + PLAIN_FRAME * 1_000) == 1_000 * FRAME_S


@pytest.mark.parametrize("times", [1, 10], ids=["short", "long"])
@pytest.mark.parametrize("is_tagged", [True, False], ids=["tagged", "bare"])
def test_speech_in_aac_is_as_long_as_it_was_spoken(*, times: int, is_tagged: bool):
    text = "Hello there, general. " * times
    spoken = speak(text, voice="alloy")
    data = write_audio(spoken, "aac", text=text)
    assert data.startswith(b"ID3")
    sound = data if is_tagged else data[data.index(b"\xff\xf1") :]
    # Encoders pad to whole frames.
    assert seconds_of(sound) == pytest.approx(duration_s(spoken), abs=0.12)
