"""Drives the Responses API of a gateway with the official openai SDK, as an application would.

    python responses_sdk.py BASE_URL KEY MODEL_NATIVE MODEL_BRIDGED

BASE_URL ends in /v1. MODEL_NATIVE leads to the mock's OpenAI, MODEL_BRIDGED to its Anthropic: the checks rely on their
answers. Prints `ok NAME` per check; the first failure ends it with status 1.
"""

import asyncio
import json
import sys
import traceback

import openai
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

WORDS = "The mock provider answers"
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Current weather of a place",
    "parameters": {
        "type": "object",
        "properties": {"location": {"type": "string"}},
        "required": ["location"],
        "additionalProperties": False,
    },
    "strict": True,
}
EVENT = TypeAdapter(ResponseStreamEvent)


class Place(BaseModel):
    location: str
    unit: str
    days: list[int]


def strictly(value, adapter=TypeAdapter(Response)):
    """The SDK builds its types without looking; this looks."""
    return adapter.validate_json(value.to_json())


def check_usage(usage):
    assert usage.input_tokens > 0 and usage.output_tokens > 0, usage
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens, usage
    assert usage.input_tokens_details.cached_tokens == 0 and usage.output_tokens_details.reasoning_tokens == 0, usage


def check_response(response):
    assert response.object == "response" and response.id.startswith("resp_") and response.created_at > 0, response
    assert response.status == "completed" and response.error is None and response.incomplete_details is None, response
    check_usage(strictly(response).usage)


def whole(client, model):
    response = client.responses.create(model=model, input="Who are you?", instructions="Be calm.")
    check_response(response)
    assert response.output_text.startswith(WORDS), response
    [message] = response.output
    assert (message.type, message.role, message.status) == ("message", "assistant", "completed"), message


def events(client, model):
    stream = client.responses.create(model=model, input=[{"role": "user", "content": "Hello"}], stream=True)
    events = [strictly(event, EVENT) for event in stream]
    assert [event.sequence_number for event in events] == list(range(len(events))), events
    types = [event.type for event in events]
    assert types[:4] == ["response.created", "response.in_progress", "response.output_item.added",
                         "response.content_part.added"], types
    assert types[-4:] == ["response.output_text.done", "response.content_part.done", "response.output_item.done",
                          "response.completed"], types
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    final = events[-1].response
    assert text == final.output_text and text.startswith(WORDS), text
    assert final.id == events[0].response.id, events[0]
    check_usage(final.usage)


def stream_helper(client, model):
    with client.responses.stream(model=model, input="Hello") as stream:
        texts = [event.snapshot for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert len(texts) > 3 and texts[-1] == final.output_text, texts
    check_response(final)


def tools(client, model):
    ask = {"role": "user", "content": "both weather"}
    response = client.responses.create(model=model, input=[ask], tools=[WEATHER], tool_choice="required")
    check_response(response)
    calls = [item for item in response.output if item.type == "function_call"]
    assert len(calls) == 2 and len({call.call_id for call in calls}) == 2, response.output
    for call in calls:
        assert call.name == "get_weather" and json.loads(call.arguments)["location"] == "Berlin", call
    outputs = [{"type": "function_call_output", "call_id": call.call_id, "output": "12 degrees"} for call in calls]
    response = client.responses.create(model=model, input=[ask, *response.output, *outputs], tools=[WEATHER])
    assert response.output_text.startswith(WORDS), response


def streamed_tools(client, model):
    with client.responses.stream(model=model, input="both weather", tools=[WEATHER]) as stream:
        deltas = [event for event in stream if event.type == "response.function_call_arguments.delta"]
        final = stream.get_final_response()
    assert len({event.output_index for event in deltas}) == 2, deltas
    for item in final.output:
        assert item.type == "function_call" and item.parsed_arguments["location"] == "Berlin", item
        said = "".join(event.delta for event in deltas if event.item_id == item.id)
        assert said == item.arguments, item


def parse(client, model):
    response = client.responses.parse(model=model, input="Where?", text_format=Place)
    assert response.output_parsed == Place(location="Berlin", unit="celsius", days=[1, 2, 3]), response


def parse_stream(client, model):
    with client.responses.stream(model=model, input="Where?", text_format=Place) as stream:
        final = stream.get_final_response()
    assert final.output_parsed.location == "Berlin", final


def reasoning(client, model):
    """Reasoning goes out, and comes back to the provider with the next request."""
    ask = {"role": "user", "content": "weather"}
    params = dict(model=model, tools=[WEATHER], reasoning={"effort": "low", "summary": "auto"})
    with client.responses.stream(input=[ask], **params) as stream:
        summary = "".join(e.delta for e in stream if e.type == "response.reasoning_summary_text.delta")
        final = stream.get_final_response()
    thought, call = final.output
    assert thought.type == "reasoning" and thought.summary[0].text == summary and thought.encrypted_content, thought
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "12 degrees"}
    response = client.responses.create(input=[ask, *final.output, output], **params)
    assert response.output_text.startswith(WORDS), response


def custom_tool(client, model):
    tool = {"type": "custom", "name": "get_weather"}
    response = client.responses.create(model=model, input="weather", tools=[tool])
    [call] = response.output
    assert call.type == "custom_tool_call" and json.loads(call.input)["location"] == "Berlin", call


def refused(client, model):
    try:
        client.responses.create(model=model, input="x", previous_response_id="resp_1")
    except openai.BadRequestError as error:
        assert (error.code, error.param) == ("unsupported_parameter", "previous_response_id"), error
    else:
        raise AssertionError("expected an error")


async def asynchronous(url, key, model):
    async with openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0) as client:
        async with client.responses.stream(model=model, input="Hello") as stream:
            final = await stream.get_final_response()
        check_response(final)


def main():
    url, key, native, bridged = sys.argv[1:]
    client = openai.OpenAI(base_url=url, api_key=key, max_retries=0)
    both = [whole, events, stream_helper, tools, streamed_tools, parse, parse_stream]
    checks = [(check, model) for model in (native, bridged) for check in both]
    checks += [(check, bridged) for check in (reasoning, custom_tool, refused)]
    for check, model in checks:
        check(client, model)
        print(f"ok {check.__name__} {model}")
    for model in (native, bridged):
        asyncio.run(asynchronous(url, key, model))
        print(f"ok asynchronous {model}")


try:
    main()
except Exception:
    traceback.print_exc()
    sys.exit(1)
