"""A vendor that writes down what it is sent. It speaks as much of each format as the gateway asks for."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from itertools import count
from typing import Any, Self

import msgspec
from PIL import Image

SIGNING_KEY = "whsec_dGhlIHZlbmRvcidzIG93biBzaWduaW5nIHNlY3JldA=="
CREDENTIAL = "vendor-credential-never-to-be-seen"
HOLD = "hold "
"""A prompt that begins so makes a job that runs until it is released."""
SLOW, LONG = "slowly please", "at length please"
SLOW_S = 0.5
INPUT_TOKENS, OUTPUT_TOKENS, LONG_TOKENS = 10, 20, 5_000
NOTICED_S_MAX = 20


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One request of the gateway."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class RecordingVendor:
    """`with RecordingVendor() as vendor:` answers below `url`/bfl and `url`/replicate."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.links: dict[str, str] = {}
        """By prompt: where the output is said to be, instead of here."""
        self.files: dict[str, tuple[int, dict[str, str], bytes]] = {"/image.png": (200, {}, _picture())}
        self._jobs: dict[str, str] = {}
        self._released: set[str] = set()
        self._count = count(1)
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def release(self, prompt: str) -> None:
        """Let the job of this prompt end."""
        self._released.add(prompt)

    def order_of(self, prompt: str) -> Seen:
        """Give the request that ordered this prompt."""
        return next(each for each in self.seen if each.method == "POST" and prompt.encode() in each.body)

    def wait_for_more_than(self, polls: int) -> bool:
        """Whether so many requests, and then another, have come in time."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.seen) > polls, NOTICED_S_MAX)

    def answer(self, seen: Seen) -> tuple[int, dict[str, str], bytes]:
        """Note a request and say what to send."""
        with self._changed:
            self.seen.append(seen)
            self._changed.notify_all()
        path = seen.path.partition("?")[0]
        if path in self.files:
            return self.files[path]
        known = self._known(seen, path)
        return (
            (404, {}, b"{}")
            if known is None
            else (200, {"content-type": "application/json"}, json.dumps(known).encode())
        )

    def _known(self, seen: Seen, path: str) -> dict[str, Any] | None:
        match path.split("/")[1]:
            case "bfl":
                return self._flux(seen, path)
            case "openai" | "anthropic" | "gemini":
                return _chat(seen, path)
            case _:
                return self._replicate(seen, path)

    def _flux(self, seen: Seen, path: str) -> dict[str, Any] | None:
        if seen.method == "POST":
            job = self._new_job(seen.json.get("prompt", ""))
            return {"id": job, "polling_url": f"{self.url}/bfl/v1/get_result?id={job}"}
        job = seen.path.rpartition("id=")[2]
        prompt = self._jobs.get(job)
        if path != "/bfl/v1/get_result" or prompt is None:
            return None
        if self._runs(prompt):
            return {"id": job, "status": "Pending", "result": None}
        return {"id": job, "status": "Ready", "result": {"sample": self._link(prompt), "prompt": prompt, "seed": 1}}

    def _replicate(self, seen: Seen, path: str) -> dict[str, Any] | None:
        if path == "/replicate/v1/webhooks/default/secret":
            return {"key": SIGNING_KEY}
        if seen.method == "POST" and path.endswith("/predictions"):
            return self._prediction(self._new_job(seen.json["input"]["prompt"]), "starting")
        job = path.removeprefix("/replicate/v1/predictions/").removesuffix("/cancel")
        if job not in self._jobs:
            return None
        return self._prediction(job, "processing" if self._runs(self._jobs[job]) else "succeeded")

    def _prediction(self, job: str, status: str) -> dict[str, Any]:
        output = [self._link(self._jobs[job])] if status == "succeeded" else None
        return {"id": job, "status": status, "output": output, "error": None, "logs": "", "input": {}, "urls": {}}

    def _new_job(self, prompt: str) -> str:
        job = f"vendorjob{next(self._count):06d}"
        self._jobs[job] = prompt
        return job

    def _runs(self, prompt: str) -> bool:
        return prompt.startswith(HOLD) and prompt not in self._released

    def _link(self, prompt: str) -> str:
        return self.links.get(prompt, f"{self.url}/image.png")


def _chat(seen: Seen, path: str) -> dict[str, Any]:
    """Say hello; a prompt with `SLOW` is thought over, one with `LONG` makes an answer longer than was allowed."""
    if SLOW.encode() in seen.body:
        threading.Event().wait(SLOW_S)
    output = LONG_TOKENS if LONG.encode() in seen.body else OUTPUT_TOKENS
    if path.startswith("/openai/"):
        message = {"role": "assistant", "content": "Hello"}
        usage = {"prompt_tokens": INPUT_TOKENS, "completion_tokens": output, "total_tokens": INPUT_TOKENS + output}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        return {"id": "chat-1", "object": "chat.completion", "created": 1, "model": "m", "choices": choices} | {
            "usage": usage
        }
    if path.startswith("/anthropic/"):
        usage = {"input_tokens": INPUT_TOKENS, "output_tokens": output}
        content = [{"type": "text", "text": "Hello"}]
        return {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content} | {
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": usage,
        }
    content = {"role": "model", "parts": [{"text": "Hello"}]}
    usage = {"promptTokenCount": INPUT_TOKENS, "candidatesTokenCount": output, "totalTokenCount": INPUT_TOKENS + output}
    return {"candidates": [{"content": content, "finishReason": "STOP", "index": 0}], "usageMetadata": usage}


def _handler(vendor: RecordingVendor) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, extra, data = vendor.answer(Seen(method=self.command, path=self.path, headers=headers, body=body))
            self.send_response(status)
            for name, value in {**extra, "content-length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST  # noqa: N815 - the standard library's name

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
            del format, args

    return Handler


def _picture() -> bytes:
    out = BytesIO()
    Image.new("RGB", (256, 256), "teal").save(out, "PNG")
    return out.getvalue()
