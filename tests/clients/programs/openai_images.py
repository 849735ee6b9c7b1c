"""What a user of the PyPI package `openai` would write for images."""
# pyright: basic, reportMissingImports=false

import base64
from pathlib import Path
from typing import Any

from openai_common import client, failure
from steps import run

PROMPT = "a red teapot"


def told(reply: Any, given: Any):
    """Tell of a reply; its first image is kept where the test looks for it."""
    first = reply.data[0]
    if first.b64_json:
        Path(given["path"]).write_bytes(base64.b64decode(first.b64_json))
    return {
        "count": len(reply.data),
        "url": first.url,
        "b64": bool(first.b64_json),
        "revised": first.revised_prompt,
        "usage": reply.usage and [reply.usage.input_tokens, reply.usage.output_tokens, reply.usage.total_tokens],
        "size": reply.size,
        "format": reply.output_format,
    }


def generate(given: Any):
    sent = {"model": given["model"], "prompt": given.get("prompt", PROMPT), **given.get("options", {})}
    return told(client(given).images.generate(**sent), given)


def generate_streamed(given: Any):
    events = list(client(given).images.generate(model=given["model"], prompt=PROMPT, stream=True, partial_images=2))
    Path(given["path"]).write_bytes(base64.b64decode(events[-1].b64_json))
    return {
        "kinds": [event.type for event in events],
        "indexes": [event.partial_image_index for event in events[:-1]],
        "usage": events[-1].usage.total_tokens,
    }


def edit(given: Any):
    with Path(given["source"]).open("rb") as source:
        sent = {"model": given["model"], "image": source, "prompt": "make it red", **given.get("options", {})}
        return told(client(given).images.edit(**sent), given)


def edit_several(given: Any):
    """Two sources and a mask."""
    sources = [(f"{n}.png", Path(given["source"]).read_bytes(), "image/png") for n in range(2)]
    mask = ("mask.png", Path(given["mask"]).read_bytes(), "image/png")
    reply = client(given).images.edit(
        model=given["model"], image=sources, mask=mask, prompt="join them", n=2, input_fidelity="high"
    )
    return told(reply, given)


def edit_streamed(given: Any):
    with Path(given["source"]).open("rb") as source:
        events = list(
            client(given).images.edit(
                model=given["model"], image=source, prompt="make it red", stream=True, partial_images=1
            )
        )
    Path(given["path"]).write_bytes(base64.b64decode(events[-1].b64_json))
    return {"kinds": [event.type for event in events]}


def vary(given: Any):
    with Path(given["source"]).open("rb") as source:
        reply = client(given).images.create_variation(
            model=given["model"], image=source, n=2, size="256x256", response_format="b64_json"
        )
    return told(reply, given)


def fail(given: Any):
    sent = {"model": given["model"], "prompt": given.get("prompt", PROMPT), **given.get("options", {})}
    return failure(lambda: client(given).images.generate(**sent))


if __name__ == "__main__":
    run(generate, generate_streamed, edit, edit_several, edit_streamed, vary, fail)
