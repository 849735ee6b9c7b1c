"""The examples of the API reference work as they stand."""

import pytest
from tests.api.test_openapi import DOCUMENT
from tests.clients.samples import Sample, samples
from tests.clients.served import KEY, Served


@pytest.mark.parametrize("call", samples(DOCUMENT), ids=lambda call: call.path)
def test_an_example_of_the_reference_works(gateway: Served, call: Sample):
    reply = call.send(gateway, key=KEY)
    assert reply.status == 200, reply.text


@pytest.mark.parametrize(
    "call", [call for call in samples(DOCUMENT) if "messages" in call.fields], ids=lambda call: call.path
)
def test_a_streamed_chat_is_declared_as_what_it_is(gateway: Served, call: Sample):
    if call.path.endswith("count_tokens"):
        return
    reply = gateway.ask("POST", call.path, {**call.fields, "stream": True})
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/event-stream")
