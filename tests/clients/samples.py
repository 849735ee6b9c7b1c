"""The examples of the API reference as calls: those of forms get the files that they name."""

import wave
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any

import msgspec
from PIL import Image
from tests.clients.served import Reply, Served

ANSWERED = ("OpenAI", "Anthropic", "Gemini")
BOUNDARY = "a-boundary-of-the-tests"
FORM = "multipart/form-data"


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One example, ready to be sent."""

    path: str
    body: bytes
    content_type: str
    fields: dict[str, Any]

    def send(self, gateway: Served, *, key: str) -> Reply:
        return gateway.ask("POST", self.path, self.body, key=key, headers={"content-type": self.content_type})


def samples(document: Mapping[str, Any]) -> list[Sample]:
    """Read the examples of all calls that are answered at once."""
    return list(_samples(document))


def _samples(document: Mapping[str, Any]) -> Iterator[Sample]:
    for template, methods in document["paths"].items():
        for operation in methods.values():
            if operation["tags"][0] not in ANSWERED or "requestBody" not in operation:
                continue
            path = template
            for parameter in operation["parameters"]:
                if parameter["in"] == "path":
                    path = path.replace(f"{{{parameter['name']}}}", parameter["example"])
            for kind, media in operation["requestBody"]["content"].items():
                yield _sample(path, kind, media)


def _sample(path: str, kind: str, media: Mapping[str, Any]) -> Sample:
    fields = dict(media["example"])
    if kind != FORM:
        return Sample(path=path, body=msgspec.json.encode(fields), content_type=kind, fields=fields)
    files = {name for name, schema in media["schema"]["properties"].items() if schema.get("format") == "binary"}
    parts = b"".join(_part(name, value, is_file=name in files) for name, value in fields.items())
    body = parts + f"--{BOUNDARY}--\r\n".encode()
    return Sample(path=path, body=body, content_type=f"{FORM}; boundary={BOUNDARY}", fields=fields)


def _part(name: str, value: str, *, is_file: bool) -> bytes:
    filename = f'; filename="{value}"' if is_file else ""
    head = f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="{name}"{filename}\r\n\r\n'
    data = _file(value) if is_file else value.encode()
    return head.encode() + data + b"\r\n"


def _file(name: str) -> bytes:
    out = BytesIO()
    if name.endswith(".png"):
        Image.new("RGBA", (64, 64), (0, 128, 128, 128)).save(out, "PNG")
    else:
        with wave.open(out, "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(8_000)
            sound.writeframes(bytes(16_000))
    return out.getvalue()
