"""Class 16: script in names, prompts, errors, and in outputs or files that a browser would run."""

import pytest
from tests.clients.served import Reply, Served
from tests.field.tenants import Tenants
from tests.field.vendor import RecordingVendor

SCRIPT = "<script>alert(1)</script>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
HTML = b"<!doctype html><html><body><script>alert(1)</script></body></html>"
FILES = {
    "SVG": ("image/svg+xml", SVG),
    "SVG behind a declaration": ("image/svg+xml", b'<?xml version="1.0"?>\n' + SVG),
    "HTML": ("text/html", HTML),
    "HTML that says it is a picture": ("image/png", HTML),
    "script": ("text/javascript", b"alert(1)"),
    "PDF": ("application/pdf", b"%PDF-1.4\n1 0 obj\n"),
    "a picture with a tail": ("image/png", b"\x89PNG\r\n\x1a\n" + HTML),
}
OUTPUTS = {name: file for name, file in FILES.items() if file[1] is not HTML}
"""A page in place of an output is not stored at all."""


def assert_harmless(reply: Reply) -> None:
    assert reply.status == 200
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in reply.headers["content-security-policy"]
    kind = reply.headers["content-type"].partition(";")[0]
    shown_as_is = reply.headers.get("content-disposition", "").startswith("inline")
    assert kind not in ("text/html", "application/xhtml+xml", "text/javascript", "application/xml", "text/xml")
    assert not shown_as_is or kind in ("image/png", "image/jpeg", "image/webp", "image/gif", "image/avif")
    if kind == "image/svg+xml" or not shown_as_is:
        assert reply.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize(("kind", "data"), OUTPUTS.values(), ids=OUTPUTS)
def test_an_output_that_could_run_in_a_browser_cannot_from_here(
    gateway: Served, tenants: Tenants, vendor: RecordingVendor, unique: str, kind: str, data: bytes
):
    vendor.files[f"/{unique}"] = (200, {"content-type": kind}, data)
    vendor.links[unique] = f"{vendor.url}/{unique}"
    task, link = gateway.draw(unique, key=tenants.alice)
    assert_harmless(gateway.ask("GET", link, key=None))
    assert_harmless(gateway.ask("GET", f"/v1/tasks/{task}/outputs/0", key=tenants.alice))


@pytest.mark.parametrize(("kind", "data"), FILES.values(), ids=FILES)
def test_a_file_that_could_run_in_a_browser_cannot_from_here(gateway: Served, tenants: Tenants, kind: str, data: bytes):
    head = f'--x\r\ncontent-disposition: form-data; name="content"; filename="a.html"\r\ncontent-type: {kind}\r\n\r\n'
    form = head.encode() + data + b"\r\n--x--\r\n"
    headers = {"content-type": "multipart/form-data; boundary=x"}
    made = gateway.ask("POST", "/replicate/v1/files", form, key=tenants.alice, headers=headers)
    assert made.status == 201, made.text
    assert_harmless(gateway.ask("GET", f"/replicate/v1/files/{made.json['id']}/download", key=tenants.alice))


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", f"/{SCRIPT}", None),
        ("GET", f"/v1/tasks/{SCRIPT.replace('/', '')}", None),
        ("GET", f"/v1/tasks?state={SCRIPT}", None),
        ("GET", f"/flux/v1/get_result?id={SCRIPT}", None),
        ("GET", f"/replicate/v1/predictions/{SCRIPT.replace('/', '')}", None),
        ("POST", f"/flux/v1/{SCRIPT.replace('/', '')}", {"prompt": "a"}),
        ("POST", "/flux/v1/flux-dev", {"prompt": SCRIPT, "width": SCRIPT}),
        ("POST", "/replicate/v1/predictions", {"version": SCRIPT, "input": {}, SCRIPT: 1}),
    ],
)
def test_an_error_that_repeats_script_is_json_and_nothing_else(gateway: Served, method: str, path: str, body: object):
    reply = gateway.ask(method, path, body)
    assert reply.headers["content-type"].startswith("application/json")
    assert reply.headers["x-content-type-options"] == "nosniff"


def test_a_prompt_that_is_script_comes_back_in_json_only(gateway: Served, tenants: Tenants, unique: str):
    task, _ = gateway.draw(f"{unique} {SCRIPT}", key=tenants.alice)
    for path in (f"/v1/tasks/{task}", f"/replicate/v1/predictions/{task}", f"/flux/v1/get_result?id={task}"):
        reply = gateway.ask("GET", path, key=tenants.alice, headers={"accept": "text/html"})
        assert reply.headers["content-type"].startswith("application/json")
        assert reply.headers["x-content-type-options"] == "nosniff"
