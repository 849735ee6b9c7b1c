from halley.kernel.chat import ChatUsage
from halley.wire.anthropic import MESSAGES
from halley.wire.usage import larger


def test_counts_of_a_stream_only_grow():
    start = ChatUsage(input=100, output=1, cached=40)
    end = ChatUsage(input=0, output=57, reasoning=9)
    assert larger(None, start) == start
    assert larger(start, end) == ChatUsage(input=100, output=57, cached=40, reasoning=9)


def test_a_stream_whose_end_tells_the_output_alone_keeps_its_input():
    usage: ChatUsage | None = None
    frames = (
        b'{"type":"message_start","message":{"usage":{"input_tokens":12,"output_tokens":1}}}',
        b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}',
        b'{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":7}}',
    )
    for data in frames:
        counted = MESSAGES.read_usage(data)
        usage = larger(usage, counted) if counted else usage
    assert usage == ChatUsage(input=12, output=7)
