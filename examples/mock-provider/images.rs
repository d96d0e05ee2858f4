//! OpenAI's images: base64 of as many bytes as the script's `body-bytes`, whole or as events.
//!
//! Written from knowledge of OpenAI's "API reference: Images" <https://platform.openai.com/docs/api-reference/images>,
//! which was not read for it; tests/sdk/openai_sdk.py checks it with OpenAI's own SDK.

use bytes::Bytes;
use hyper::StatusCode;
use serde::Deserialize;

use crate::form::Form;
use crate::openai::{self, CREATED};
use crate::reply::Reply;
use crate::usage;
use crate::value::{Object, object};
use crate::vendor::{self, Call, Fault, typed};

/// The length of an image in base64 when the script does not say.
const IMAGE_BYTES: usize = 400;

#[derive(Deserialize)]
struct GenerationRequest {
    #[expect(dead_code, reason = "its presence is what is checked")]
    model: String,
    #[expect(dead_code, reason = "its presence is what is checked")]
    prompt: String,
    #[serde(default)]
    n: Option<usize>,
    #[serde(default)]
    stream: Option<bool>,
}

/// Answers `/images/generations`.
pub(crate) fn generations(call: &Call<'_>) -> Result<Reply, Fault> {
    openai::authenticate(call)?;
    let request: GenerationRequest = vendor::parse(call.body)?;
    if request.stream == Some(true) {
        let image = image(call);
        let partial = typed("image_generation.partial_image", |event| event.with("b64_json", &image), true);
        let whole = |event: Object| event.with("b64_json", &image).with_some("usage", usage(call));
        let broken = openai::error(&Fault::new(500, "The server had an error."));
        let events = vec![partial, typed("image_generation.completed", whole, true)];
        return Ok(Reply::events(events, Bytes::from(format!("event: error\ndata: {}\n\n", broken.text()))));
    }
    Ok(images(call, request.n.unwrap_or(1)))
}

/// Answers `/images/edits`, as a form or in JSON.
pub(crate) fn edits(call: &Call<'_>) -> Result<Reply, Fault> {
    openai::authenticate(call)?;
    match Form::of(call.head, call.body) {
        Some(form) => {
            form.required("model")?;
            form.required("prompt")?;
            if !form.has_file("image") && !form.has_file("image[]") {
                return Err(Fault::new(400, "Missing required parameter: 'image'."));
            }
        }
        None => drop(vendor::parse::<GenerationRequest>(call.body)?),
    }
    Ok(images(call, 1))
}

fn images(call: &Call<'_>, count: usize) -> Reply {
    let data: Vec<Object> = (0..count).map(|_| object! {"b64_json": image(call)}).collect();
    let body = object! {"created": CREATED, "data": data, "output_format": "png", "quality": "low"};
    Reply::json(StatusCode::OK, &body.with_some("usage", usage(call)))
}

fn image(call: &Call<'_>) -> String {
    "iVBO".repeat(call.script.shape.body_bytes.unwrap_or(IMAGE_BYTES).div_ceil(4))
}

fn usage(call: &Call<'_>) -> Option<Object> {
    let usage = usage::count(call.script, call.body.len(), "image");
    (!call.script.shape.no_usage).then(|| {
        object! {
            "input_tokens": usage.prompt,
            "input_tokens_details": object! {"text_tokens": usage.prompt, "image_tokens": 0_u64},
            "output_tokens": usage.completion,
            "total_tokens": usage.prompt + usage.completion,
        }
    })
}
