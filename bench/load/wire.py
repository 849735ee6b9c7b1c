"""Requests as they go over the wire. Pure."""

from bench.load.model import Target


def requests(target: Target) -> list[bytes]:
    """Each request of a target, whole."""
    return [_request(target, path) for path in target.paths]


def listed(target: Target) -> bytes:
    """All of them as `wrk.lua` reads them: the length in a line, then the request."""
    return b"".join(b"%d\n%b" % (len(each), each) for each in requests(target))


def _request(target: Target, path: str) -> bytes:
    headers = {"host": f"127.0.0.1:{target.port}", **target.headers}
    if target.method != "GET":
        headers["content-length"] = str(len(target.body))
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{target.method} {path} HTTP/1.1\r\n{head}\r\n".encode() + target.body
