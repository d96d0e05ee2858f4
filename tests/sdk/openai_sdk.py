"""Drives a gateway with the official openai SDK, as an application would.

    python openai_sdk.py BASE_URL KEY MODEL_OPENAI MODEL_ANTHROPIC [--direct] [--embedding-model NAME]

BASE_URL ends in /v1. Both models must lead to the mock provider: the checks rely on its answers. With --direct the
base URL is the mock itself: the checks that only a gateway can pass (wrong key, unknown model, the Anthropic model)
are left out, each with a line that says so. Prints `ok NAME` per check; the first failure ends it with status 1.
"""

import argparse
import asyncio
import json
import sys
import traceback

import openai

MOCK_WORDS = "The mock provider answers"
QUESTION = [{"role": "user", "content": "Who are you?"}]
WEATHER = [{"role": "user", "content": "What is the weather in Berlin?"}]
BOTH = [{"role": "user", "content": "What is the weather in both cities?"}]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Current weather of a place",
            "parameters": {
                "type": "object",
                "properties": {"location": {"type": "string"}, "unit": {"type": "string"}},
                "required": ["location"],
            },
        },
    }
]


def check_usage(usage):
    assert usage is not None, "expected usage"
    assert usage.prompt_tokens > 0 and usage.completion_tokens > 0, usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, usage


def check_arguments(call):
    assert call.id and call.type == "function" and call.function.name == "get_weather", call
    assert json.loads(call.function.arguments)["location"] == "Berlin", call


def check_answer(answer):
    assert answer.object == "chat.completion" and answer.id and answer.created > 0, answer
    [choice] = answer.choices
    assert choice.message.role == "assistant" and choice.message.content.startswith(MOCK_WORDS), choice
    assert choice.finish_reason == "stop", choice
    check_usage(answer.usage)


def text_of(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def check_chunks(chunks):
    assert len(chunks) > 3, "expected a stream of several chunks"
    assert all(chunk.object == "chat.completion.chunk" for chunk in chunks), chunks[0]
    assert len({chunk.id for chunk in chunks}) == 1, "expected one id in all chunks"
    assert text_of(chunks).startswith(MOCK_WORDS), text_of(chunks)
    finishes = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    assert finishes == ["stop"], finishes


def assemble_calls(chunks):
    """Puts the tool calls of a stream together by index, as every agent framework does."""
    calls = {}
    for chunk in chunks:
        for delta in (chunk.choices[0].delta.tool_calls or []) if chunk.choices else []:
            call = calls.setdefault(delta.index, {"id": None, "name": "", "arguments": ""})
            call["id"] = delta.id or call["id"]
            call["name"] += delta.function.name or ""
            call["arguments"] += delta.function.arguments or ""
    return calls


def tool_results(calls):
    return [{"role": "tool", "tool_call_id": call.id, "content": '{"celsius": 21}'} for call in calls]


# Checks of one chat model: (client, model).


def plain(client, model):
    check_answer(client.chat.completions.create(model=model, messages=QUESTION, max_tokens=100))


def asynchronous(client, model):
    async def run():
        async with openai.AsyncOpenAI(base_url=str(client.base_url), api_key=client.api_key, max_retries=0) as other:
            answers = [other.chat.completions.create(model=model, messages=QUESTION) for _ in range(8)]
            for answer in await asyncio.gather(*answers):
                check_answer(answer)
            stream = await other.chat.completions.create(model=model, messages=QUESTION, stream=True)
            check_chunks([chunk async for chunk in stream])

    asyncio.run(run())


def stream(client, model):
    chunks = list(client.chat.completions.create(model=model, messages=QUESTION, stream=True))
    check_chunks(chunks)
    assert all(chunk.usage is None for chunk in chunks), "usage came without being asked for"
    assert all(chunk.choices for chunk in chunks), "a chunk without choices came without being asked for"


def stream_with_usage(client, model):
    options = {"include_usage": True}
    chunks = list(client.chat.completions.create(model=model, messages=QUESTION, stream=True, stream_options=options))
    check_chunks(chunks)
    *before, last = chunks
    assert last.choices == [], last
    check_usage(last.usage)
    assert all(chunk.usage is None for chunk in before), "usage came before the last chunk"


def stream_left_early(client, model):
    with client.chat.completions.create(model=model, messages=QUESTION, stream=True) as chunks:
        assert next(iter(chunks)).id
    plain(client, model)


def tools_round_trip(client, model):
    answer = client.chat.completions.create(model=model, messages=WEATHER, tools=TOOLS)
    [choice] = answer.choices
    assert choice.finish_reason == "tool_calls", choice
    [call] = choice.message.tool_calls
    check_arguments(call)
    messages = [*WEATHER, choice.message, *tool_results([call])]
    check_answer(client.chat.completions.create(model=model, messages=messages, tools=TOOLS))


def parallel_tools_round_trip(client, model):
    message = client.chat.completions.create(model=model, messages=BOTH, tools=TOOLS).choices[0].message
    assert len(message.tool_calls) == 2 and len({call.id for call in message.tool_calls}) == 2, message
    messages = [*BOTH, message, *tool_results(message.tool_calls)]
    check_answer(client.chat.completions.create(model=model, messages=messages, tools=TOOLS))


def tools_streamed(client, model):
    chunks = list(client.chat.completions.create(model=model, messages=BOTH, tools=TOOLS, stream=True))
    calls = assemble_calls(chunks)
    assert sorted(calls) == [0, 1], calls
    for call in calls.values():
        assert call["id"] and call["name"] == "get_weather", call
        assert json.loads(call["arguments"])["location"] == "Berlin", call
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "tool_calls", chunks[-1]


def tool_choice(client, model):
    named = {"type": "function", "function": {"name": "get_weather"}}
    for choice in ("required", named):
        answer = client.chat.completions.create(model=model, messages=QUESTION, tools=TOOLS, tool_choice=choice)
        check_arguments(answer.choices[0].message.tool_calls[0])
    answer = client.chat.completions.create(model=model, messages=WEATHER, tools=TOOLS, tool_choice="none")
    check_answer(answer)


def system_and_parts(client, model):
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Who are you, "}, {"type": "text", "text": "é ✓?"}]},
        {"role": "assistant", "content": "A mock."},
        {"role": "user", "content": "Really?"},
    ]
    answer = client.chat.completions.create(
        model=model, messages=messages, temperature=0.2, top_p=0.9, stop=["END"], max_tokens=50
    )
    check_answer(answer)


def raw_response(client, model):
    raw = client.chat.completions.with_raw_response.create(model=model, messages=QUESTION)
    assert raw.headers["content-type"].startswith("application/json"), raw.headers
    check_answer(raw.parse())


CHAT_CHECKS = [
    plain, asynchronous, stream, stream_with_usage, stream_left_early, tools_round_trip, parallel_tools_round_trip,
    tools_streamed, tool_choice, system_and_parts, raw_response,
]  # fmt: skip


# Checks of the server as a whole: (client, options).


def embeddings(client, options):
    def vectors(**more):
        answer = client.embeddings.create(model=options.embedding_model, input=["one", "two"], **more)
        assert [entry.index for entry in answer.data] == [0, 1], answer
        assert answer.usage.prompt_tokens > 0, answer
        return [entry.embedding for entry in answer.data]

    # Without a format the SDK asks for base64 and decodes it itself.
    default, floats = vectors(), vectors(encoding_format="float")
    assert default == floats and len(default[0]) > 1 and default[0] != default[1], (default, floats)


def models_list(client, options):
    names = [model.id for model in client.models.list()]
    assert names, "expected models"
    if not options.direct:
        assert {options.model_openai, options.model_anthropic} <= set(names), names


def expect_error(kind, status, call):
    try:
        call()
    except kind as error:
        assert error.status_code == status, error
        assert isinstance(error.body, dict) and error.body.get("message"), error.body
        return error
    raise AssertionError(f"expected {kind.__name__}, got an answer")


def bad_request(client, options):
    def call():
        client.chat.completions.create(model=options.model_openai, messages="no list")

    expect_error(openai.BadRequestError, 400, call)


def no_messages(client, options):
    def call():
        client.post("/chat/completions", body={"model": options.model_openai}, cast_to=object)

    expect_error(openai.BadRequestError, 400, call)


def wrong_key(client, options):
    stranger = client.with_options(api_key="sk-nobody-knows-this-key")
    for model in (options.model_openai, options.model_anthropic):
        error = expect_error(openai.AuthenticationError, 401, lambda: plain(stranger, model))
        assert error.code == "invalid_api_key", error.body
        assert "sk-nobody" not in str(error), "the key came back in the message"


def unknown_model(client, options):
    error = expect_error(openai.NotFoundError, 404, lambda: plain(client, "no-such-model"))
    assert error.code == "model_not_found" and error.param == "model", error.body


# Checks of the endpoints that are no chat: (client, options).


def image_and_edit(client, options):
    image = client.images.generate(model=options.media_model, prompt="a harbor", n=2)
    assert len(image.data) == 2 and image.data[0].b64_json and image.usage.input_tokens > 0, image
    edited = client.images.edit(model=options.media_model, image=("a.png", b"png", "image/png"), prompt="more sea")
    assert edited.data[0].b64_json and edited.usage.total_tokens > 0, edited
    files = [("a.png", b"one", "image/png"), ("b.png", b"two", "image/png")]
    assert client.images.edit(model=options.media_model, image=files, prompt="both").data[0].b64_json
    events = list(client.images.generate(model=options.media_model, prompt="a", stream=True, partial_images=1))
    assert [event.type for event in events] == ["image_generation.partial_image", "image_generation.completed"], events


def transcriptions(client, options):
    def transcribe(**more):
        return client.audio.transcriptions.create(model=options.media_model, file=("a.wav", b"RIFF"), **more)

    assert transcribe().text.startswith(MOCK_WORDS)
    assert transcribe(response_format="verbose_json", timestamp_granularities=["word", "segment"]).duration == 2
    assert transcribe(response_format="text").startswith(MOCK_WORDS)
    assert transcribe(response_format="vtt").startswith("WEBVTT")
    *deltas, done = list(transcribe(stream=True))
    assert done.type == "transcript.text.done" and done.usage.input_tokens > 0, done
    assert "".join(event.delta for event in deltas) == done.text, deltas


def translation(client, options):
    answer = client.audio.translations.create(model=options.media_model, file=("a.wav", b"RIFF"))
    assert answer.text.startswith(MOCK_WORDS), answer


def speech(client, options):
    with client.audio.speech.with_streaming_response.create(
        model=options.media_model, voice="alloy", input="Hello"
    ) as answer:
        assert answer.headers["content-type"] == "audio/mpeg", answer.headers
        assert b"".join(answer.iter_bytes()).startswith(b"\xff\xfb\x90"), "expected noise"


def moderation(client, options):
    answer = client.moderations.create(model=options.media_model, input=["calm", "violence"])
    assert [result.flagged for result in answer.results] == [False, True], answer


def realtime(client, options):
    with client.realtime.connect(model=options.media_model) as connection:
        assert connection.recv().type == "session.created"
        connection.session.update(session={"type": "realtime", "instructions": "é ✓"})
        assert connection.recv().type == "session.update", "expected the same event back"


def realtime_asynchronous(client, options):
    async def run():
        other = openai.AsyncOpenAI(base_url=str(client.base_url), api_key=client.api_key, max_retries=0)
        async with other, other.realtime.connect(model=options.media_model) as connection:
            assert (await connection.recv()).type == "session.created"

    asyncio.run(run())


# Checks of what only a gateway has: (client, options).


def model_retrieved(client, options):
    for name in (options.model_openai, options.media_model):
        assert client.models.retrieve(name).id == name
    error = expect_error(openai.NotFoundError, 404, lambda: client.models.retrieve("no/such model"))
    assert error.code == "model_not_found", error.body


def azure_client(client, options):
    endpoint = str(client.base_url).removesuffix("/v1/")
    azure = openai.AzureOpenAI(
        azure_endpoint=endpoint, api_key=client.api_key, api_version="2024-10-21", max_retries=0, timeout=20
    )
    for model in (options.model_openai, options.model_anthropic):
        plain(azure, model)
        stream(azure, model)
    assert azure.embeddings.create(model=options.embedding_model, input="one").data
    image_and_edit(azure, options)
    transcriptions(azure, options)
    assert azure.models.list().data


def realtime_refused(client, options):
    import websockets.exceptions

    stranger = client.with_options(api_key="sk-nobody-knows-this-key")
    try:
        with stranger.realtime.connect(model=options.media_model):
            raise AssertionError("expected no session")
    except websockets.exceptions.InvalidStatus as error:
        assert error.response.status_code == 401, error


MEDIA_CHECKS = [
    image_and_edit, transcriptions, translation, speech, moderation, realtime, realtime_asynchronous,
]  # fmt: skip
MEDIA_GATEWAY_CHECKS = [model_retrieved, azure_client, realtime_refused]
SERVER_CHECKS = [embeddings, models_list, bad_request, no_messages]
GATEWAY_CHECKS = [wrong_key, unknown_model]


def run(name, check, *arguments):
    try:
        check(*arguments)
    except Exception:
        traceback.print_exc()
        print(f"failed {name}", flush=True)
        sys.exit(1)
    print(f"ok {name}", flush=True)


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base_url")
    parser.add_argument("key")
    parser.add_argument("model_openai")
    parser.add_argument("model_anthropic")
    parser.add_argument("--direct", action="store_true", help="BASE_URL is the mock provider: no gateway checks")
    parser.add_argument("--embedding-model", default=None, help="MODEL_OPENAI by default")
    parser.add_argument("--media-model", default=None, help="serves images, sound, moderations and realtime sessions")
    parser.add_argument("--skip-embeddings", action="store_true", help="the gateway has no embedding model")
    options = parser.parse_args()
    options.embedding_model = options.embedding_model or options.model_openai
    return options


def main():
    options = parse_options()
    client = openai.OpenAI(base_url=options.base_url, api_key=options.key, max_retries=0, timeout=20)
    models = {"openai": options.model_openai} | ({} if options.direct else {"anthropic": options.model_anthropic})
    for vendor, model in models.items():
        for check in CHAT_CHECKS:
            run(f"{vendor}_{check.__name__}", check, client, model)
    for check in SERVER_CHECKS + ([] if options.direct else GATEWAY_CHECKS):
        if check is embeddings and options.skip_embeddings:
            print("skipped embeddings: --skip-embeddings")
            continue
        run(check.__name__, check, client, options)
    for check in (MEDIA_CHECKS + ([] if options.direct else MEDIA_GATEWAY_CHECKS)) if options.media_model else []:
        run(check.__name__, check, client, options)
    if not options.media_model:
        print("skipped images, sound, moderations, realtime: no --media-model")
    if options.direct:
        print("skipped the anthropic model, wrong_key, unknown_model: --direct, no gateway")


if __name__ == "__main__":
    main()
