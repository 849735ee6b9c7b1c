"""What a user of the PyPI package `replicate` would write. Runs in that package's own environment."""
# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false

import json
import sys
from pathlib import Path
from typing import Any

import replicate
from replicate.exceptions import ModelError, ReplicateError
from replicate.webhook import Webhooks

SCHNELL = "black-forest-labs/flux-schnell"
KONTEXT = "black-forest-labs/flux-kontext-pro"


def client(given: Any):
    return replicate.Client(api_token=given["key"], base_url=given["url"] + "/replicate")


def save(used: Any, link: Any, path: str):
    # The client's own connection, with the token that it would send along.
    response = used._client.get(str(link))
    response.raise_for_status()
    Path(path).write_bytes(response.content)


def run(given: Any):
    used = client(given)
    output = used.run(SCHNELL, input=given["input"])
    save(used, output[0], given["path"])
    return {"count": len(output)}


def predict(given: Any):
    used = client(given)
    prediction = used.predictions.create(model=SCHNELL, input=given["input"])
    first = prediction.status
    prediction.wait()
    save(used, prediction.output[0], given["path"])
    listed = [each.id for each in used.predictions.list().results]
    fetched = used.predictions.get(prediction.id)
    return {
        "first": first,
        "status": prediction.status,
        "id": prediction.id,
        "listed": listed,
        "fetched": fetched.status,
        "model": fetched.model,
        "metrics": fetched.metrics,
    }


def cancel(given: Any):
    prediction = client(given).predictions.create(model=SCHNELL, input=given["input"])
    prediction.cancel()
    prediction.wait()
    return {"status": prediction.status}


def edit(given: Any):
    used = client(given)
    with Path(given["source"]).open("rb") as source:
        uploaded = used.files.create(source)
    known = [each.id for each in used.files.list()]
    output = used.run(KONTEXT, input={"prompt": "make it red", "input_image": uploaded.urls["get"]})
    save(used, output, given["path"])
    looked_up = used.files.get(uploaded.id)
    used.files.delete(uploaded.id)
    left = [each.id for each in used.files.list()]
    return {
        "listed": uploaded.id in known,
        "size": looked_up.size,
        "name": looked_up.name,
        "left": uploaded.id in left,
    }


def edit_open_file(given: Any):
    used = client(given)
    with Path(given["source"]).open("rb") as source:
        output = used.run(KONTEXT, input={"prompt": "make it blue", "input_image": source})
    save(used, output, given["path"])
    return {}


def look_up(given: Any):
    used = client(given)
    model = used.models.get(SCHNELL)
    return {"owner": model.owner, "name": model.name, "account": used.accounts.current().username}


def secret(given: Any):
    return {"secret": client(given).webhooks.default.secret().key}


def validate(given: Any):
    signing = client(given).webhooks.default.secret()
    Webhooks.validate(headers=given["headers"], body=given["body"], secret=signing)
    return {"valid": True}


def fail(given: Any):
    try:
        client(given).run(SCHNELL, input=given["input"])
    except ReplicateError as error:
        return {"error": "ReplicateError", "status": error.status, "title": error.title, "detail": error.detail}
    except ModelError as error:
        return {"error": "ModelError", "message": str(error), "status": error.prediction.status}
    return {"error": None}


ACTIONS = {
    each.__name__: each for each in (run, predict, cancel, edit, edit_open_file, look_up, secret, validate, fail)
}

if __name__ == "__main__":
    print(json.dumps(ACTIONS[sys.argv[1]](json.loads(sys.argv[2]))))
