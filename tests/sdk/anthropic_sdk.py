"""Drives a gateway with the official anthropic SDK, as an application would.

    python anthropic_sdk.py BASE_URL KEY MODEL...

BASE_URL has no /v1 at its end: the SDK adds it. Every model must lead to the mock provider, whatever language that
speaks: the checks rely on its answers. Prints `ok NAME` per check; the first failure ends it with status 1.
"""

import argparse
import asyncio
import sys
import traceback

import anthropic

MOCK_WORDS = "The mock provider answers"
QUESTION = [{"role": "user", "content": "Who are you?"}]
WEATHER = [{"role": "user", "content": "What is the weather in Berlin?"}]
BOTH = [{"role": "user", "content": "What is the weather in both cities?"}]
TOOLS = [
    {
        "name": "get_weather",
        "description": "Current weather of a place",
        "input_schema": {
            "type": "object",
            "properties": {"location": {"type": "string"}, "unit": {"type": "string"}},
            "required": ["location"],
        },
    }
]


def check_message(message):
    assert message.type == "message" and message.role == "assistant" and message.id.startswith("msg_"), message
    [block] = message.content
    assert block.type == "text" and block.text.startswith(MOCK_WORDS), block
    assert message.stop_reason == "end_turn" and message.stop_sequence is None, message
    check_usage(message.usage)


def check_usage(usage):
    assert usage.input_tokens > 0 and usage.output_tokens > 0, usage


def check_call(block):
    assert block.type == "tool_use" and block.id and block.name == "get_weather", block
    assert block.input["location"] == "Berlin", block


# Checks of one model: (client, model).


def plain(client, model):
    check_message(client.messages.create(model=model, max_tokens=100, messages=QUESTION, system="Be brief."))


def asynchronous(client, model):
    async def run():
        async with anthropic.AsyncAnthropic(
            base_url=str(client.base_url), api_key=client.api_key, max_retries=0
        ) as other:
            answers = [other.messages.create(model=model, max_tokens=100, messages=QUESTION) for _ in range(8)]
            for answer in await asyncio.gather(*answers):
                check_message(answer)

    asyncio.run(run())


def stream(client, model):
    events = list(client.messages.create(model=model, max_tokens=100, messages=QUESTION, stream=True))
    types = [event.type for event in events]
    assert types[0] == "message_start" and types[-2:] == ["message_delta", "message_stop"], types
    text = "".join(event.delta.text for event in events if event.type == "content_block_delta")
    assert text.startswith(MOCK_WORDS), text


def stream_helper(client, model):
    with client.messages.stream(model=model, max_tokens=100, messages=QUESTION) as stream:
        pieces = list(stream.text_stream)
        check_message(stream.get_final_message())
    assert len(pieces) > 3 and "".join(pieces).startswith(MOCK_WORDS), pieces


def tools(client, model):
    arguments = {"model": model, "max_tokens": 100, "tools": TOOLS}
    message = client.messages.create(messages=WEATHER, tool_choice={"type": "any"}, **arguments)
    assert message.stop_reason == "tool_use", message
    [call] = message.content
    check_call(call)
    result = {"type": "tool_result", "tool_use_id": call.id, "content": '{"celsius": 21}'}
    history = [*WEATHER, {"role": "assistant", "content": message.content}, {"role": "user", "content": [result]}]
    check_message(client.messages.create(messages=history, **arguments))


def parallel_tools_in_a_stream(client, model):
    with client.messages.stream(model=model, max_tokens=100, messages=BOTH, tools=TOOLS) as stream:
        message = stream.get_final_message()
    assert message.stop_reason == "tool_use" and len(message.content) == 2, message
    for block in message.content:
        check_call(block)


def count_tokens(client, model):
    count = client.messages.count_tokens(model=model, messages=QUESTION, tools=TOOLS)
    assert count.input_tokens > 10, count


# Checks of the gateway: (client, model).


def raises(error, status, call):
    try:
        call()
    except error as caught:
        assert caught.status_code == status, caught
        assert caught.body["type"] == "error" and caught.body["error"]["message"], caught.body
        return caught
    raise AssertionError(f"expected {error.__name__}")


def wrong_key(client, model):
    other = client.with_options(api_key="sk-nobody")
    call = lambda: other.messages.create(model=model, max_tokens=9, messages=QUESTION)
    caught = raises(anthropic.AuthenticationError, 401, call)
    assert caught.body["error"]["type"] == "authentication_error", caught.body


def unknown_model(client, _model):
    call = lambda: client.messages.create(model="nobody", max_tokens=9, messages=QUESTION)
    caught = raises(anthropic.NotFoundError, 404, call)
    assert caught.body["error"]["type"] == "not_found_error", caught.body


def bad_request(client, model):
    call = lambda: client.messages.create(model=model, max_tokens=9, messages="no list")
    raises(anthropic.BadRequestError, 400, call)


def models_are_listed(client, model):
    assert model in [entry.id for entry in client.models.list()], "the model is not listed"


OF_A_MODEL = [plain, asynchronous, stream, stream_helper, tools, parallel_tools_in_a_stream, count_tokens]
OF_THE_GATEWAY = [wrong_key, unknown_model, bad_request, models_are_listed]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("base_url")
    parser.add_argument("key")
    parser.add_argument("models", nargs="+")
    options = parser.parse_args()
    client = anthropic.Anthropic(base_url=options.base_url, api_key=options.key, max_retries=0)
    checks = [(check, model) for model in options.models for check in OF_A_MODEL]
    checks += [(check, options.models[0]) for check in OF_THE_GATEWAY]
    for check, model in checks:
        try:
            check(client, model)
        except Exception:
            traceback.print_exc()
            print(f"FAILED {check.__name__} {model}")
            sys.exit(1)
        print(f"ok {check.__name__} {model}")


if __name__ == "__main__":
    main()
