"""What users of three packages would write to ask one small model the same, whole and streamed."""
# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false

from typing import Any

from steps import run

TIMEOUT_S = 60


def told(text: str, finish: object, usage: Any, pieces: int = 1):
    return {
        "text": text,
        "ended_by_length": str(finish).rpartition(".")[2].lower() in ("length", "max_tokens"),
        "input_tokens": usage[0],
        "output_tokens": usage[1],
        "pieces": pieces,
    }


def openai_request(given: Any):
    import openai

    used = openai.OpenAI(api_key=given["key"], base_url=given["url"] + "/v1", max_retries=0, timeout=TIMEOUT_S)
    messages = [{"role": "user", "content": given["prompt"]}]
    request = {"model": given["model"], "messages": messages, "max_tokens": given["tokens_max"], "temperature": 0}
    return used.chat.completions, request


def openai_whole(given: Any):
    completions, request = openai_request(given)
    reply = completions.create(**request)
    choice, usage = reply.choices[0], reply.usage
    return told(choice.message.content, choice.finish_reason, (usage.prompt_tokens, usage.completion_tokens))


def openai_streamed(given: Any):
    completions, request = openai_request(given)
    chunks = list(completions.create(**request, stream=True, stream_options={"include_usage": True}))
    choices = [choice for chunk in chunks for choice in chunk.choices]
    pieces = [choice.delta.content for choice in choices if choice.delta.content]
    finish = [choice.finish_reason for choice in choices if choice.finish_reason][-1]
    usage = chunks[-1].usage
    return told("".join(pieces), finish, (usage.prompt_tokens, usage.completion_tokens), len(pieces))


def anthropic_request(given: Any):
    import anthropic

    used = anthropic.Anthropic(api_key=given["key"], base_url=given["url"], max_retries=0, timeout=TIMEOUT_S)
    messages = [{"role": "user", "content": given["prompt"]}]
    request = {"model": given["model"], "messages": messages, "max_tokens": given["tokens_max"]}
    return used.messages, {**request, "extra_body": {"temperature": 0}}


def anthropic_whole(given: Any):
    messages, request = anthropic_request(given)
    message = messages.create(**request)
    usage = messages_usage(message.usage)
    return told("".join(block.text for block in message.content), message.stop_reason, usage)


def anthropic_streamed(given: Any):
    messages, request = anthropic_request(given)
    with messages.stream(**request) as streamed:
        pieces = list(streamed.text_stream)
        final = streamed.get_final_message()
    usage = messages_usage(final.usage)
    return told("".join(pieces), final.stop_reason, usage, len(pieces))


def google_request(given: Any):
    from google import genai
    from google.genai import types

    options = types.HttpOptions(base_url=given["url"], timeout=TIMEOUT_S * 1_000)
    config = types.GenerateContentConfig(max_output_tokens=given["tokens_max"], temperature=0)
    used = genai.Client(api_key=given["key"], http_options=options)
    return used, {"model": given["model"], "contents": given["prompt"], "config": config}


def messages_usage(usage: Any):
    """This format counts what was read from a cache apart; the local model caches what it has seen."""
    return usage.input_tokens + (usage.cache_read_input_tokens or 0), usage.output_tokens


def google_usage(reply: Any):
    usage = reply.usage_metadata
    return usage.prompt_token_count, usage.candidates_token_count


def google_whole(given: Any):
    used, request = google_request(given)
    reply = used.models.generate_content(**request)
    return told(reply.text, reply.candidates[0].finish_reason, google_usage(reply))


def google_streamed(given: Any):
    used, request = google_request(given)
    chunks = list(used.models.generate_content_stream(**request))
    pieces = [chunk.text for chunk in chunks if chunk.text]
    finishes = [chunk.candidates[0].finish_reason for chunk in chunks if chunk.candidates]
    finish = [finish for finish in finishes if finish][-1]
    return told("".join(pieces), finish, google_usage(chunks[-1]), len(pieces))


if __name__ == "__main__":
    run(openai_whole, openai_streamed, anthropic_whole, anthropic_streamed, google_whole, google_streamed)
