"""Vendors that conform to OpenAI's format: one row each, with what they do differently."""

import re
from collections.abc import Mapping

import msgspec

from halley.kernel.operation import Operation
from halley.vendors.contract import CONTRACT, Answers, Vendor
from halley.vendors.openai import read_refusal

_CHAT = {Operation.CHAT: "/chat/completions"}
_COMPLETION = {Operation.COMPLETION: "/completions"}
_EMBEDDINGS = {Operation.EMBEDDINGS: "/embeddings"}
_IMAGES = {Operation.IMAGES: "/images/generations"}
_SPEECH = {Operation.SPEECH: "/audio/speech"}
_TRANSCRIPTION = {Operation.TRANSCRIPTION: "/audio/transcriptions"}
_TRANSLATION = {Operation.TRANSLATION: "/audio/translations"}
_RERANK = {Operation.RERANK: "/rerank"}
_RESPONSES = {Operation.RESPONSES: "/responses"}
_MODERATION = {Operation.MODERATION: "/moderations"}
_OLD_LIMIT = {"max_completion_tokens": "max_tokens"}
"""Vendors that know the bound of the output only by its first name."""
CHECKED = "2026-11-22"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One conforming vendor."""

    title: str
    base_url: str
    environment: tuple[str, ...] = ()
    docs: str
    paths: Mapping[Operation, str] = msgspec.field(default_factory=_CHAT.copy)
    rename: Mapping[str, str] = {}
    call_id: re.Pattern[str] | None = None
    stream_usage: bool = True
    any_model: bool = False
    listed: bool = True
    """Whether it has models in the catalogue, in `catalogues/<name>.toml`."""


ROWS: Mapping[str, Row] = {
    "deepseek": Row(
        title="DeepSeek",
        base_url="https://api.deepseek.com/v1",
        environment=("DEEPSEEK_API_KEY",),
        docs="https://api-docs.deepseek.com",
        rename=_OLD_LIMIT,
    ),
    "mistral": Row(
        title="Mistral",
        base_url="https://api.mistral.ai/v1",
        environment=("MISTRAL_API_KEY",),
        docs="https://docs.mistral.ai/api",
        paths={**_CHAT, **_EMBEDDINGS, **_MODERATION, **_TRANSCRIPTION},
        # It refuses fields that it does not know and ids of calls that are not spelled like its own, and tells the
        # usage of a stream without being asked.
        rename=_OLD_LIMIT,
        call_id=re.compile(r"[a-zA-Z0-9]{9}"),
        stream_usage=False,
    ),
    "groq": Row(
        title="Groq",
        base_url="https://api.groq.com/openai/v1",
        environment=("GROQ_API_KEY",),
        docs="https://console.groq.com/docs/openai",
        paths={**_CHAT, **_RESPONSES, **_TRANSCRIPTION, **_TRANSLATION, **_SPEECH},
    ),
    "together": Row(
        title="Together AI",
        base_url="https://api.together.xyz/v1",
        environment=("TOGETHER_API_KEY", "TOGETHERAI_API_KEY"),
        docs="https://docs.together.ai/docs/openai-api-compatibility",
        paths={**_CHAT, **_COMPLETION, **_EMBEDDINGS, **_IMAGES, **_RERANK, **_SPEECH},
        rename=_OLD_LIMIT,
    ),
    "xai": Row(
        title="xAI",
        base_url="https://api.x.ai/v1",
        environment=("XAI_API_KEY",),
        docs="https://docs.x.ai/docs/api-reference",
        paths={**_CHAT, **_RESPONSES, **_IMAGES},
    ),
    "openrouter": Row(
        title="OpenRouter",
        base_url="https://openrouter.ai/api/v1",
        environment=("OPENROUTER_API_KEY",),
        docs="https://openrouter.ai/docs/api-reference",
        paths={**_CHAT, **_COMPLETION, **_RESPONSES, **_EMBEDDINGS},
        any_model=True,
    ),
    "moonshot": Row(
        title="Moonshot AI",
        base_url="https://api.moonshot.ai/v1",
        environment=("MOONSHOT_API_KEY",),
        docs="https://platform.moonshot.ai/docs",
        rename=_OLD_LIMIT,
    ),
    "dashscope": Row(
        title="Alibaba Cloud Model Studio (Qwen)",
        base_url="https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        environment=("DASHSCOPE_API_KEY",),
        docs="https://www.alibabacloud.com/help/en/model-studio/compatibility-of-openai-with-dashscope",
        paths={**_CHAT, **_EMBEDDINGS},
        rename=_OLD_LIMIT,
    ),
    "zhipu": Row(
        title="Zhipu AI (Z.ai)",
        base_url="https://api.z.ai/api/paas/v4",
        environment=("ZHIPU_API_KEY", "ZAI_API_KEY"),
        docs="https://docs.z.ai/api-reference",
        paths={**_CHAT, **_EMBEDDINGS, **_IMAGES},
        rename=_OLD_LIMIT,
    ),
    "siliconflow": Row(
        title="SiliconFlow",
        base_url="https://api.siliconflow.com/v1",
        environment=("SILICONFLOW_API_KEY",),
        docs="https://docs.siliconflow.com/en/api-reference",
        paths={**_CHAT, **_EMBEDDINGS, **_RERANK, **_IMAGES, **_SPEECH, **_TRANSCRIPTION},
        rename=_OLD_LIMIT,
    ),
    "fireworks": Row(
        title="Fireworks AI",
        base_url="https://api.fireworks.ai/inference/v1",
        environment=("FIREWORKS_API_KEY",),
        docs="https://docs.fireworks.ai/tools-sdks/openai-compatibility",
        paths={**_CHAT, **_COMPLETION, **_RESPONSES, **_EMBEDDINGS},
        rename=_OLD_LIMIT,
    ),
    "perplexity": Row(
        title="Perplexity",
        base_url="https://api.perplexity.ai",
        environment=("PERPLEXITY_API_KEY", "PPLX_API_KEY"),
        docs="https://docs.perplexity.ai/api-reference",
        rename=_OLD_LIMIT,
        # The usage stands in every chunk.
        stream_usage=False,
    ),
    "cerebras": Row(
        title="Cerebras",
        base_url="https://api.cerebras.ai/v1",
        environment=("CEREBRAS_API_KEY",),
        docs="https://inference-docs.cerebras.ai/api-reference",
        paths={**_CHAT, **_COMPLETION},
    ),
    "nvidia": Row(
        title="NVIDIA NIM",
        base_url="https://integrate.api.nvidia.com/v1",
        environment=("NVIDIA_API_KEY",),
        docs="https://docs.api.nvidia.com/nim/reference/llm-apis",
        paths={**_CHAT, **_COMPLETION, **_EMBEDDINGS},
        rename=_OLD_LIMIT,
    ),
    "ollama": Row(
        title="Ollama",
        base_url="http://127.0.0.1:11434/v1",
        docs="https://docs.ollama.com/openai",
        paths={**_CHAT, **_COMPLETION, **_EMBEDDINGS},
        rename=_OLD_LIMIT,
        any_model=True,
        listed=False,
    ),
    "vllm": Row(
        title="vLLM",
        base_url="http://127.0.0.1:8001/v1",
        docs="https://docs.vllm.ai/en/stable/serving/openai_compatible_server.html",
        paths={**_CHAT, **_COMPLETION, **_RESPONSES, **_EMBEDDINGS, **_RERANK, **_TRANSCRIPTION, **_TRANSLATION},
        any_model=True,
        listed=False,
    ),
    "lmstudio": Row(
        title="LM Studio",
        base_url="http://127.0.0.1:1234/v1",
        docs="https://lmstudio.ai/docs/app/api/endpoints/openai",
        paths={**_CHAT, **_COMPLETION, **_RESPONSES, **_EMBEDDINGS},
        rename=_OLD_LIMIT,
        any_model=True,
        listed=False,
    ),
}


def _vendor(name: str, row: Row) -> Vendor:
    return Vendor(
        name=name,
        title=row.title,
        contract=CONTRACT,
        docs=row.docs,
        checked=CHECKED,
        base_url=row.base_url,
        environment=row.environment,
        auth_header="authorization",
        auth_prefix="Bearer ",
        format="openai",
        answers=Answers(
            paths=row.paths,
            read_refusal=read_refusal,
            rename=row.rename,
            call_id=row.call_id,
            stream_usage=row.stream_usage,
        ),
        any_model=row.any_model,
        catalogue=f"{__name__}.catalogues:{name}.toml" if row.listed else "",
        simulator="halley.vendors.openai.simulator:create_app" if row.listed else "",
        simulator_path="/v1",
    )


VENDORS = tuple(_vendor(name, row) for name, row in ROWS.items())
