"""What a user of LangChain would write with `langchain-openai` and `langchain-anthropic`."""
# pyright: basic, reportMissingImports=false

import base64
from pathlib import Path
from typing import Any

from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel, Field  # noqa: TID251 - what this client takes
from steps import run

TIMEOUT_S = 60


class Recipe(BaseModel):
    """A recipe."""

    title: str = Field(description="Its name")
    minutes: int
    steps: list[str]


@tool
def weather(city: str, days: int) -> str:
    """Look up the weather of a city."""
    return f"{city}: clear for {days} days"


def chat_model(given: Any, **options: Any):
    """The class of the format that is asked for; each takes about a second to import."""
    sent = {"model": given["model"], "api_key": given["key"], "max_retries": 0, "timeout": TIMEOUT_S, **options}
    if given["kind"] == "anthropic":
        from langchain_anthropic import ChatAnthropic

        return ChatAnthropic(base_url=given["url"], **sent)
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(base_url=given["url"] + "/v1", use_responses_api=given["kind"] == "responses", **sent)


def usage_of(message: Any):
    usage = message.usage_metadata
    return usage and [usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]]


def invoke(given: Any):
    message = chat_model(given).invoke([SystemMessage("You are a lighthouse keeper."), HumanMessage("Say hello.")])
    return {"text": message.text, "usage": usage_of(message), "model": message.response_metadata.get("model_name")}


def batch(given: Any):
    messages = chat_model(given).batch(["One.", "Two.", "Three."])
    return {"texts": [message.text for message in messages]}


def stream(given: Any):
    chunks = list(chat_model(given, stream_usage=True).stream("Say hello."))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    return {"chunks": len(chunks), "text": whole.text, "usage": usage_of(whole)}


def bind_tools(given: Any):
    model = chat_model(given).bind_tools([weather])
    question = HumanMessage("The weather in Brest?")
    message = model.invoke([question])
    call = message.tool_calls[0]
    answer = ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"])
    then = model.invoke([question, message, answer])
    return {"name": call["name"], "args": call["args"], "text": then.text}


def bind_tools_streamed(given: Any):
    chunks = list(chat_model(given).bind_tools([weather]).stream("The weather in Brest?"))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    return {"name": whole.tool_calls[0]["name"], "args": whole.tool_calls[0]["args"]}


def structured(given: Any):
    recipe = chat_model(given).with_structured_output(Recipe).invoke("A recipe, please.")
    return {name: type(value).__name__ for name, value in recipe.model_dump().items()}


def structured_by_tool(given: Any):
    recipe = chat_model(given).with_structured_output(Recipe, method="function_calling").invoke("A recipe, please.")
    return {name: type(value).__name__ for name, value in recipe.model_dump().items()}


def vision(given: Any):
    picture = base64.b64encode(Path(given["source"]).read_bytes()).decode()
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image", "base64": picture, "mime_type": "image/png"},
    ]
    return {"text": chat_model(given).invoke([HumanMessage(parts)]).text}


def embed(given: Any):
    """The class cuts texts into tokens itself and sends those; a long one goes in parts."""
    from langchain_openai import OpenAIEmbeddings

    used = OpenAIEmbeddings(
        model=given["model"],
        base_url=given["url"] + "/v1",
        api_key=given["key"],
        embedding_ctx_length=50,
        max_retries=0,
    )
    documents = used.embed_documents(["A cat sat on a mat.", "Interest rates rose.", "A long tale. " * 60])
    return {"documents": [len(each) for each in documents], "query": len(used.embed_query("A cat?"))}


if __name__ == "__main__":
    run(
        invoke,
        batch,
        stream,
        bind_tools,
        bind_tools_streamed,
        structured,
        structured_by_tool,
        vision,
        embed,
    )
