"""Speech of simulators: it is as long as its text, each voice sounds otherwise, and it can be read back from files."""

import contextlib
import io
import struct
import subprocess
import sys
import wave

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halley.vendors.simulate.audio_files import FORMATS, AudioFormat, read_audio, write_audio
from halley.vendors.simulate.audio_probe import BadAudio, probe
from halley.vendors.simulate.codecs import RATE
from halley.vendors.simulate.g711 import from_g711, to_g711
from halley.vendors.simulate.speech import duration_s, hidden_text, hide_text, melody, speak

TEXT = "Hello there, wörld. How are you?"

WITHOUT_EXTRA = """
import sys
sys.modules["av"] = sys.modules["espeakng_loader"] = None
from halley.vendors.simulate.audio_files import SandboxMissing, read_audio, write_audio
from halley.vendors.simulate.speech import hidden_text, melody, speak
pcm = speak("hello", voice="nova")
assert hidden_text(pcm) == "hello" and len(pcm) == len(melody("hello", voice="nova"))
assert read_audio(write_audio(pcm, "wav", text="hello")).text == "hello"
assert write_audio(pcm, "pcm", text="hello") == pcm
try:
    write_audio(pcm, "mp3", text="hello")
except SandboxMissing as missing:
    print(missing)
"""


@pytest.mark.parametrize("audio_format", [each for each in FORMATS if each != "pcm"])
def test_a_file_has_the_length_of_its_speech_and_carries_its_text(audio_format: AudioFormat):
    pcm = speak(TEXT, voice="nova")
    heard = read_audio(write_audio(pcm, audio_format, text=TEXT))
    assert heard.text == TEXT
    # Encoders pad to whole frames.
    assert heard.duration_s == pytest.approx(duration_s(pcm), abs=0.12)


def test_text_is_read_back_from_samples_put_into_a_wav_by_somebody_else():
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes(bytes(960) + speak(TEXT))
    assert read_audio(out.getvalue()).text == TEXT


def test_texts_of_speeches_that_follow_each_other_are_read_back_together():
    assert hidden_text(bytes(480) + speak("one") + bytes(7_000) + speak("two", voice="ash")) == "one two"


def test_samples_of_others_hold_no_text():
    assert hidden_text(bytes(range(256)) * 500) is None


@given(text=st.text(max_size=200), ahead=st.integers(0, 50))
def test_any_text_is_hidden_and_found(text: str, ahead: int):
    found = hidden_text(bytes(2 * ahead) + hide_text(melody("sound"), text))
    assert found == (text.encode("utf-8", "replace").decode() or None)


def test_voices_differ_and_a_melody_is_always_the_same():
    assert melody(TEXT, voice="nova") == melody(TEXT, voice="nova")
    assert melody(TEXT, voice="nova") != melody(TEXT, voice="onyx")
    assert len(speak(TEXT, voice="nova")) != len(speak(TEXT, voice="onyx"))


def test_a_faster_speech_is_shorter():
    slow, usual, fast = (duration_s(speak(TEXT, speed=speed)) for speed in (0.5, 1.0, 2.0))
    assert slow == pytest.approx(2 * usual, rel=0.15)
    assert fast == pytest.approx(usual / 2, rel=0.15)


def test_a_melody_is_longer_for_a_longer_text():
    assert duration_s(melody("a few words")) < duration_s(melody("a few words more than before"))


def test_without_the_extra_there_is_a_melody_and_other_formats_name_the_extra():
    done = subprocess.run([sys.executable, "-c", WITHOUT_EXTRA], capture_output=True, text=True, check=True)
    assert "pip install 'halley[sandbox]'" in done.stdout


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"not a sound at all", id="text"),
        pytest.param(b"RIFF\0\0\0\0WAVEfmt ", id="cut wav"),
        pytest.param(b"fLaC", id="cut flac"),
        pytest.param(b"OggS" + bytes(40), id="empty ogg"),
        pytest.param(b"ID3\4\0\0\0\0\0\1\0\xff\xfb", id="cut mp3"),
        pytest.param(b"\0\0\0\x18ftypM4A " + bytes(40), id="mp4 without a header"),
        pytest.param(b"\x1a\x45\xdf\xa3", id="cut webm"),
    ],
)
def test_a_broken_file_is_refused(data: bytes):
    with pytest.raises(BadAudio):
        read_audio(data)


@given(
    head=st.sampled_from(
        [b"RIFF1234WAVE", b"fLaC", b"OggS", b"\x1a\x45\xdf\xa3", b"\0\0\0\x18ftyp", b"ID3\4", b"\xff\xf1", b"\xff\xfb"]
    ),
    rest=st.binary(max_size=300),
)
def test_whatever_follows_a_known_head_is_measured_or_refused(head: bytes, rest: bytes):
    with contextlib.suppress(BadAudio):  # which is one of the two
        assert probe(head + rest).duration_s > 0


def test_length_of_an_mp4_and_a_webm_is_read_from_their_headers():
    header = bytes(12) + struct.pack(">II", 1_000, 2_500) + bytes(80)
    movie = _box(b"ftyp", b"M4A ") + _box(b"moov", _box(b"mvhd", header))
    assert probe(movie).duration_s == 2.5
    info = b"\x2a\xd7\xb1\x83" + (1_000_000).to_bytes(3) + b"\x44\x89\x88" + struct.pack(">d", 3_200)
    webm = b"\x1a\x45\xdf\xa3\x80" + b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff" + b"\x15\x49\xa9\x66"
    assert probe(webm + bytes([0x80 | len(info)]) + info).duration_s == pytest.approx(3.2)


@pytest.mark.parametrize("law", ["ulaw", "alaw"])
def test_g711_is_a_third_of_the_samples_and_close_to_them(law: str):
    pcm = struct.pack("<6h", 1_000, 1_000, 1_000, -20_000, -20_000, -20_000)
    encoded = to_g711(pcm, law)  # pyright: ignore[reportArgumentType]  # the parameter's values are these two
    back = struct.unpack("<6h", from_g711(encoded, law))  # pyright: ignore[reportArgumentType]  # as above
    assert len(encoded) == 2
    assert back == pytest.approx((1_000,) * 3 + (-20_000,) * 3, rel=0.05)


def _box(name: bytes, body: bytes) -> bytes:
    return (len(body) + 8).to_bytes(4) + name + body
