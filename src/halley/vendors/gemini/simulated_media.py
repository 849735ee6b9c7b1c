"""The answers of models that draw or speak: a real picture, or real sound as raw samples."""

import asyncio
import base64
from typing import Any

from halley.kernel.loose import as_list, as_object, as_text
from halley.vendors.gemini.simulated_errors import invalid
from halley.vendors.gemini.simulated_order import Order
from halley.vendors.simulate import ImageSpec, SimulatorHost, aspect_to_size, without_marker
from halley.vendors.simulate.codecs import RATE
from halley.vendors.simulate.speech import duration_s, speak

PICTURE_TOKENS = 1_290
SPEECH_TOKENS_PER_S = 25
SIDE_MAX = 4_096
SPEECH_TYPE = f"audio/L16;codec=pcm;rate={RATE}"

_MEGAPIXELS = {"512": 0.25, "1K": 1.0, "2K": 4.0, "4K": 16.0}
_RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9", "1:4", "4:1", "1:8", "8:1")


async def drawn(host: SimulatorHost, order: Order, seed: int) -> tuple[dict[str, Any], int]:
    """The part with the picture, and its tokens. Raises `Refusal`."""
    config = as_object(order.config.get("imageConfig"))
    ratio = as_text(config.get("aspectRatio") or config.get("aspect_ratio")) or "1:1"
    size = as_text(config.get("imageSize") or config.get("image_size")) or "1K"
    if ratio not in _RATIOS:
        raise invalid(f"aspect_ratio must be one of {', '.join(_RATIOS)}")
    if size not in _MEGAPIXELS:
        raise invalid(f"image_size must be one of {', '.join(_MEGAPIXELS)}")
    width, height = _within(*aspect_to_size(ratio, megapixels=_MEGAPIXELS[size]))
    inputs = tuple(part.thumbnail for part in order.seen if part.thumbnail is not None)
    prompt = without_marker(order.prompt)
    spec = ImageSpec(
        prompt=prompt, width=width, height=height, seed=seed, format="png", inputs=inputs, model=order.model
    )
    data = base64.b64encode(await host.draw(spec)).decode()
    return {"inlineData": {"mimeType": "image/png", "data": data}}, PICTURE_TOKENS


async def spoken(order: Order) -> tuple[dict[str, Any], int]:
    """The part with the sound, and its tokens."""
    text, voice = without_marker(order.prompt), _voice(order)
    pcm = await asyncio.to_thread(lambda: speak(text, voice=voice))
    part = {"inlineData": {"mimeType": SPEECH_TYPE, "data": base64.b64encode(pcm).decode()}}
    return part, round(duration_s(pcm) * SPEECH_TOKENS_PER_S)


def _voice(order: Order) -> str:
    config = as_object(order.config.get("speechConfig"))
    several = as_object(config.get("multiSpeakerVoiceConfig")).get("speakerVoiceConfigs")
    first = as_object(next(iter(as_list(several)), None))
    voice = as_object(config.get("voiceConfig") or first.get("voiceConfig"))
    return as_text(as_object(voice.get("prebuiltVoiceConfig")).get("voiceName")) or "Kore"


def _within(width: int, height: int) -> tuple[int, int]:
    """The size, made smaller if a side is longer than can be drawn."""
    longest = max(width, height)
    if longest <= SIDE_MAX:
        return width, height
    return width * SIDE_MAX // longest, height * SIDE_MAX // longest
