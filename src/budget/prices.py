"""Makes src/budget/prices.tsv from LiteLLM's price map.

Run by hand, with the map of an installed LiteLLM and that version's name:

    python3 src/budget/prices.py .../site-packages/litellm/model_prices_and_context_window_backup.json 1.109.1 2026-11-23 > src/budget/prices.tsv
"""

import json
import re
import sys
from decimal import Decimal

PROVIDERS = re.compile(
    r"openai|text-completion-openai|anthropic|azure|azure_ai|azure_text|gemini|vertex_ai.*|bedrock.*|mistral|groq|deepseek"
    r"|cohere.*|openrouter|together_ai|fireworks_ai.*|xai|perplexity|nvidia_nim|cerebras|sambanova|databricks|ollama"
    r"|github|watsonx|replicate|huggingface|baseten|codestral|deepinfra|hyperbolic|inception|lambda_ai|meta_llama|minimax"
    r"|moonshot|morph|nebius|novita|nscale|v0|wandb|zai"
)
MODES = {
    "chat", "completion", "responses", "embedding", "image_generation", "image_edit", "audio_transcription", "audio_speech",
    "moderation", "rerank", "realtime",
}
# The table of src/budget/rate.rs.
RATES = {
    "input_cost_per_token": "i",
    "output_cost_per_token": "o",
    "cache_read_input_token_cost": "c",
    "cache_creation_input_token_cost": "w",
    "cache_creation_input_token_cost_above_1hr": "h",
    "output_cost_per_reasoning_token": "r",
    "input_cost_per_audio_token": "a",
    "output_cost_per_audio_token": "b",
    "cache_read_input_audio_token_cost": "d",
    "input_cost_per_image_token": "m",
    "output_cost_per_image_token": "n",
    "input_cost_per_second": "s",
    "output_cost_per_second": "t",
    "input_cost_per_character": "x",
    "input_cost_per_image": "p",
    "output_cost_per_image": "q",
    "input_cost_per_request": "u",
    "input_cost_per_query": "z",
}
TIERS = {"": "", "_priority": "p", "_flex": "f"}
# Names of one size or quality of picture: nobody asks for a model by them.
SIZED = re.compile(r"(^|/)(\d+-x-\d+|max-x-max)/")
# What a cached token costs at Fireworks where the map does not say: half of a fresh one.
# Source: LiteLLM, llms/fireworks_ai/cache_pricing.py.
FIREWORKS_CACHED = Decimal("0.5")


def short(number):
    """A whole number, with k for thousands and M for millions."""
    for unit, factor in (("M", 10**6), ("k", 10**3)):
        if number and number % factor == 0:
            return f"{number // factor}{unit}"
    return str(number)


def pico(rate):
    """A rate in picodollars."""
    # float's shortest decimal form is what the source says; half a picodollar is below every real price.
    rate = int((Decimal(repr(rate)) * 10**12).to_integral_value())
    if rate < 0:
        raise ValueError(f"negative: {rate}")
    return short(rate)


def layer(model, suffix):
    """The rates whose fields end with `suffix`: a letter and an amount each."""
    named = ((letter, model.get(field + suffix)) for field, letter in RATES.items())
    return "".join(letter + pico(rate) for letter, rate in named if rate is not None)


def layers(model):
    """`i300ko2500k;p:i540k;>200000:i600k`: the rates for all requests, then those of tiers and beyond thresholds."""
    # xAI's rates hold from the threshold on, all others' above it.
    less = model["litellm_provider"] == "xai"
    found = {int(m[1]) for field in model if (m := re.search(r"_above_(\d+)k_tokens(_priority|_flex)?$", field))}
    scopes = [("", "")] + [(f"_above_{k}k_tokens", f">{k * 1000 - less}") for k in sorted(found)]
    parts = []
    for above, head in scopes:
        for suffix, tier in TIERS.items():
            rates = layer(model, above + suffix)
            if rates:
                parts.append(f"{tier}{head}:{rates}" if tier or head else rates)
    return ";".join(parts)


def complete(model):
    """The model with what LiteLLM's calculator adds to the map."""
    fresh = model.get("input_cost_per_token")
    if model["litellm_provider"].startswith("fireworks_ai") and fresh and model.get("cache_read_input_token_cost") is None:
        return {**model, "cache_read_input_token_cost": float(Decimal(repr(fresh)) * FIREWORKS_CACHED)}
    return model


def row(key, model):
    abilities = {"r": "supports_reasoning", "s": "supports_response_schema", "v": "supports_vision"}
    flags = "".join(flag for flag, field in abilities.items() if model.get(field))
    limits = [int(model.get(field) or 0) for field in ("max_input_tokens", "max_output_tokens")]
    limits = [short(limit) if limit else "" for limit in limits]
    mode = "" if model["mode"] == "chat" else model["mode"]
    provider = "" if key.startswith(model["litellm_provider"] + "/") else model["litellm_provider"]
    return "\t".join([key, mode, provider, *limits, flags, layers(complete(model))])


def wanted(key, model):
    """Priced as Tollgate counts, or not priced at all (a model of one's own: its limits are worth knowing)."""
    known = model.get("mode") in MODES and PROVIDERS.fullmatch(model.get("litellm_provider") or "")
    priced = any(model.get(field) is not None for field in RATES)
    otherwise = any("cost" in field for field in model)
    return known and not SIZED.search(key) and (priced or not otherwise)


def main(path, version, read):
    with open(path, encoding="utf-8") as file:
        models = json.load(file)
    print(f"# Source: LiteLLM {version} (PyPI), model_prices_and_context_window_backup.json, MIT licence, read {read}. Made by prices.py; do not edit.")
    print("# Rates: a letter (see rate.rs) and picodollars (10^-12 USD), k thousand, M million; then those of tiers (p, f) and beyond thresholds (>tokens).")
    print("# key mode(empty: chat) provider(empty: the key's) max_in max_out flags(r: reasoning, s: response schema, v: vision) rates")
    models = {key: model for key, model in models.items() if wanted(key, model)}
    for key in sorted(models, key=lambda key: key.encode()):
        print(row(key, models[key]))


main(*sys.argv[1:])
