//! What clients say, and how they read what they are told.

use serde_json::{Value, json};

/// The body of a chat request; `more` begins with a comma or is empty.
pub(crate) fn chat(model: &str, more: &str) -> String {
    format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"Hello there"}}]{more}}}"#)
}

/// `tools` with one that the mock calls when it is asked for the weather.
pub(crate) fn weather() -> Value {
    let parameters =
        json!({"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]});
    json!([{"type": "function", "function": {"name": "get_weather", "description": "The weather", "parameters": parameters}}])
}

/// All of one member of the deltas of a stream.
pub(crate) fn deltas(chunks: &[Value], member: &str) -> String {
    chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"][member].as_str()).collect()
}

/// Name and arguments of each call of a streamed answer, its pieces joined.
pub(crate) fn calls(chunks: &[Value]) -> Vec<(String, Value)> {
    let mut calls: Vec<(String, String)> = Vec::new();
    for call in chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"].as_array()).flatten() {
        let at = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
        calls.resize(calls.len().max(at + 1), Default::default());
        let (name, arguments) = &mut calls[at];
        name.push_str(call["function"]["name"].as_str().unwrap_or_default());
        arguments.push_str(call["function"]["arguments"].as_str().unwrap_or_default());
    }
    let read = |text: &str| serde_json::from_str(text).unwrap_or_else(|fault| panic!("{fault}: {text}"));
    calls.into_iter().map(|(name, arguments)| (name, read(&arguments))).collect()
}
