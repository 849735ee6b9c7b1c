"""Azure OpenAI by its v1 API: OpenAI's format, with deployments in the place of models."""

from halley.vendors.contract import CONTRACT, Answers, Vendor
from halley.vendors.openai import PATHS, read_refusal

VENDOR = Vendor(
    name="azure_openai",
    title="Azure OpenAI",
    contract=CONTRACT,
    docs="https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle",
    checked="2026-11-22",
    # Each operator has a resource of their own: `https://RESOURCE.openai.azure.com/openai/v1`.
    base_url="",
    environment=(),
    auth_header="api-key",
    format="openai",
    any_model=True,
    answers=Answers(paths=PATHS, read_refusal=read_refusal),
)
