"""Makes src/budget/prices.tsv from a copy of LiteLLM's price map.

Run by hand: python3 src/budget/prices.py PATH_TO_prices.json > src/budget/prices.tsv
"""

import json
import re
import sys
from decimal import Decimal

PROVIDERS = re.compile(
    r"openai|text-completion-openai|anthropic|azure|azure_ai|azure_text|gemini|vertex_ai.*|bedrock.*|mistral|groq|deepseek"
    r"|cohere.*|openrouter|together_ai|fireworks_ai.*|xai|perplexity|nvidia_nim|cerebras|sambanova|databricks|ollama"
    r"|github|watsonx|replicate|huggingface"
)
MODES = {"chat", "completion", "responses", "embedding"}
RATES = [
    "input_cost_per_token",
    "output_cost_per_token",
    "cache_read_input_token_cost",
    "cache_creation_input_token_cost",
    "cache_creation_input_token_cost_above_1hr",
    "output_cost_per_reasoning_token",
]


def pico(model, field):
    """The rate in picodollars, empty where the source has none."""
    if model.get(field) is None:
        return ""
    # float's shortest decimal form is what the source says; half a picodollar is below every real price.
    rate = int((Decimal(repr(model[field])) * 10**12).to_integral_value())
    if rate < 0:
        raise ValueError(f"{field} is negative: {model}")
    return str(rate)


def tiers(model):
    """`above:input:output:cached:cache_write:cache_write_1h:reasoning`, joined by `;`, the lowest threshold first."""
    found = {int(m[1]) for field in model if (m := re.search(r"_above_(\d+)k_tokens$", field))}
    rows = []
    for thousands in sorted(found):
        rates = [pico(model, f"{field}_above_{thousands}k_tokens") for field in RATES]
        if not any(rates):
            continue
        # xAI's rates hold from the threshold on, all others' above it.
        above = thousands * 1000 - (model["litellm_provider"] == "xai")
        rows.append(":".join([str(above), *rates]))
    return ";".join(rows)


def row(key, model):
    abilities = {"r": "supports_reasoning", "s": "supports_response_schema", "v": "supports_vision"}
    flags = "".join(flag for flag, field in abilities.items() if model.get(field))
    limits = [str(int(model.get(field) or 0) or "") for field in ("max_input_tokens", "max_output_tokens")]
    rates = [pico(model, field) for field in RATES]
    return "\t".join([key, model["mode"], model["litellm_provider"], *rates, tiers(model), *limits, flags])


def wanted(model):
    """Priced by token, or not priced at all (a model of one's own: its limits are worth knowing)."""
    priced = "input_cost_per_token" in model or "output_cost_per_token" in model
    otherwise = any("cost" in field for field in model)
    known = model.get("mode") in MODES and PROVIDERS.fullmatch(model.get("litellm_provider") or "")
    return known and (priced or not otherwise)


def main(path):
    with open(path, encoding="utf-8") as file:
        table = json.load(file)
    print(f"# Source: {table['source']}, MIT licence, read {table['read']}. Made by prices.py; do not edit.")
    print(f"# The source's unit: {table['unit']}. Here: picodollars (10^-12 USD) per token; empty: not given.")
    print("# key mode provider input output cached cache_write cache_write_1h reasoning tiers max_in max_out flags(r: reasoning, s: response schema, v: vision)")
    models = {key: model for key, model in table["models"].items() if wanted(model)}
    for key in sorted(models, key=lambda key: key.encode()):
        print(row(key, models[key]))


main(sys.argv[1])
