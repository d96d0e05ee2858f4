//! OpenAI's audio: transcriptions in every format and as events, translations, and speech that is only noise.
//!
//! Written from knowledge of OpenAI's "API reference: Audio" <https://platform.openai.com/docs/api-reference/audio>,
//! which was not read for it; tests/sdk/openai_sdk.py checks it with OpenAI's own SDK.

use bytes::Bytes;
use hyper::StatusCode;
use serde::Deserialize;

use crate::answer;
use crate::form::Form;
use crate::openai;
use crate::reply::{Content, Reply};
use crate::usage;
use crate::value::{Object, object};
use crate::vendor::{self, Call, Fault, typed};

/// The length of a speech when the script does not say.
const SPEECH_BYTES: usize = 4096;

#[derive(Deserialize)]
struct SpeechRequest {
    #[expect(dead_code, reason = "its presence is what is checked")]
    model: String,
    #[expect(dead_code, reason = "its presence is what is checked")]
    input: String,
    #[expect(dead_code, reason = "its presence is what is checked")]
    voice: String,
    #[serde(default)]
    stream_format: Option<String>,
}

/// Answers `/audio/transcriptions` and `/audio/translations`.
pub(crate) fn transcriptions(call: &Call<'_>) -> Result<Reply, Fault> {
    openai::authenticate(call)?;
    let form = Form::of(call.head, call.body).ok_or_else(|| Fault::new(400, "expected multipart/form-data"))?;
    form.required("model")?;
    if !form.has_file("file") {
        return Err(Fault::new(400, "Missing required parameter: 'file'."));
    }
    let text = answer::text(call.script);
    if form.text("stream").as_deref() == Some("true") {
        return Ok(events(call, "transcript.text", &text));
    }
    let line = "00:00:00.000 --> 00:00:02.000";
    Ok(match form.text("response_format").as_deref() {
        Some("text") => plain("text/plain; charset=utf-8", format!("{text}\n")),
        Some("srt") => plain("application/x-subrip", format!("1\n{}\n{text}\n", line.replace('.', ","))),
        Some("vtt") => plain("text/vtt", format!("WEBVTT\n\n{line}\n{text}\n")),
        Some("verbose_json") => {
            let usage = object! {"type": "duration", "seconds": 2_u64};
            let body = object! {"task": "transcribe", "language": "english", "duration": 2.0_f32, "text": text};
            Reply::json(StatusCode::OK, &body.with("segments", &Vec::<Object>::new()).with("usage", &usage))
        }
        _ => Reply::json(StatusCode::OK, &object! {"text": text}.with_some("usage", usage(call, &text))),
    })
}

/// Answers `/audio/speech`.
pub(crate) fn speech(call: &Call<'_>) -> Result<Reply, Fault> {
    openai::authenticate(call)?;
    let request: SpeechRequest = vendor::parse(call.body)?;
    if request.stream_format.as_deref() == Some("sse") {
        return Ok(events(call, "speech.audio", "c291bmQ="));
    }
    let length = call.script.shape.body_bytes.unwrap_or(SPEECH_BYTES);
    let noise: Vec<u8> = [0xff, 0xfb, 0x90, 0x00, b'{'].into_iter().cycle().take(length).collect();
    let content = Content::Whole { content_type: "audio/mpeg", bytes: Bytes::from(noise) };
    Ok(Reply { status: StatusCode::OK, headers: Vec::new(), content })
}

fn events(call: &Call<'_>, kind: &str, text: &str) -> Reply {
    let pieces = answer::chunks(text, call.script);
    let name = if kind == "transcript.text" { "delta" } else { "audio" };
    let mut events: Vec<_> =
        pieces.iter().map(|piece| typed(&format!("{kind}.delta"), |event| event.with(name, piece), true)).collect();
    let done = |event: Object| event.with("text", text).with_some("usage", usage(call, text));
    events.push(typed(&format!("{kind}.done"), done, false));
    let broken = openai::error(&Fault::new(500, "The server had an error."));
    Reply::events(events, Bytes::from(format!("event: error\ndata: {}\n\n", broken.text())))
}

fn plain(content_type: &'static str, text: String) -> Reply {
    let content = Content::Whole { content_type, bytes: Bytes::from(text) };
    Reply { status: StatusCode::OK, headers: Vec::new(), content }
}

fn usage(call: &Call<'_>, text: &str) -> Option<Object> {
    let usage = usage::count(call.script, call.body.len(), text);
    (!call.script.shape.no_usage).then(|| {
        object! {
            "type": "tokens",
            "input_tokens": usage.prompt,
            "input_token_details": object! {"text_tokens": 0_u64, "audio_tokens": usage.prompt},
            "output_tokens": usage.completion,
            "total_tokens": usage.prompt + usage.completion,
        }
    })
}
