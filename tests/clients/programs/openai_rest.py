"""What a user of the PyPI package `openai` would write for embeddings, moderations and the list of models."""
# pyright: basic, reportMissingImports=false

import base64
import math
import struct
from typing import Any

from openai_common import client, data_url, failure
from steps import run

SENTENCES = ["The cat sat on the mat.", "A cat is sitting on a mat.", "Interest rates rose by a quarter point."]


def length_of(vector: Any):
    return math.sqrt(sum(number * number for number in vector))


def likeness(one: Any, other: Any):
    return sum(a * b for a, b in zip(one, other, strict=True)) / (length_of(one) * length_of(other))


def embed(given: Any):
    """As the package asks by default, which is base64: text, that its types do not know."""
    reply = client(given, strict=False).embeddings.create(model=given["model"], input=SENTENCES)
    vectors = [record.embedding for record in reply.data]
    return {
        "indexes": [record.index for record in reply.data],
        "dimensions": len(vectors[0]),
        "length": length_of(vectors[0]),
        "alike": likeness(vectors[0], vectors[1]),
        "unlike": likeness(vectors[0], vectors[2]),
        "usage": [reply.usage.prompt_tokens, reply.usage.total_tokens],
        "model": reply.model,
        "object": reply.object,
    }


def embed_encodings(given: Any):
    """The same vector as numbers and as base64, and the same again another time."""
    used = client(given, strict=False)
    numbers = used.embeddings.create(model=given["model"], input=SENTENCES[0], encoding_format="float")
    packed = used.embeddings.create(model=given["model"], input=SENTENCES[0], encoding_format="base64")
    data = packed.data[0].embedding
    unpacked = struct.unpack(f"<{len(base64.b64decode(data)) // 4}f", base64.b64decode(data))
    apart = max(abs(a - b) for a, b in zip(numbers.data[0].embedding, unpacked, strict=True))
    return {"packed": isinstance(data, str), "dimensions": len(unpacked), "apart": apart}


def embed_dimensions(given: Any):
    used = client(given)
    reply = used.embeddings.create(model=given["model"], input=SENTENCES[0], dimensions=256, encoding_format="float")
    vector = reply.data[0].embedding
    return {"dimensions": len(vector), "length": length_of(vector)}


def embed_tokens(given: Any):
    """Texts that were cut into tokens before: one, and several."""
    used = client(given, strict=False)
    one = used.embeddings.create(model=given["model"], input=[791, 8415, 7731])
    several = used.embeddings.create(model=given["model"], input=[[791, 8415], [791, 8415, 7731, 13]])
    return {
        "one": len(one.data),
        "several": len(several.data),
        "usage": [one.usage.prompt_tokens, several.usage.prompt_tokens],
    }


def embed_nothing(given: Any):
    return failure(lambda: client(given).embeddings.create(model=given["model"], input=[]))


def moderate(given: Any):
    used = client(given)
    one = used.moderations.create(model=given["model"], input="I want to hug them.")
    several = used.moderations.create(model=given["model"], input=["I want to hug them.", "I will kill them."])
    return {
        "one": len(one.results),
        "categories": len(one.results[0].categories.model_dump()),
        "scores": all(0 <= score <= 1 for score in one.results[0].category_scores.model_dump().values()),
        "flagged": [result.flagged for result in several.results],
    }


def moderate_image(given: Any):
    parts = [
        {"type": "text", "text": "A picture."},
        {"type": "image_url", "image_url": {"url": data_url(given["source"], "image/png")}},
    ]
    return {"results": len(client(given).moderations.create(model=given["model"], input=parts).results)}


def models(given: Any):
    used = client(given)
    listed = [model.id for model in used.models.list()]
    one = used.models.retrieve(given["model"])
    return {
        "listed": listed,
        "one": [one.id, one.object, one.owned_by, one.created],
        "unknown": failure(lambda: used.models.retrieve("no-such-model")),
    }


if __name__ == "__main__":
    run(embed, embed_encodings, embed_dimensions, embed_tokens, embed_nothing, moderate, moderate_image, models)
