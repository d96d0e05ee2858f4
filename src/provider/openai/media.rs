//! Images, sound and WebSockets: forms, events that are no chat, and the query of a realtime session.

use super::Tail;
use crate::error::Error;
use crate::json::Splice;
use crate::openai::{Form, Request};
use crate::provider::{Estimate, Pass, Stream, Tally};

/// The client's form with the provider's `model` in it; all other bytes stay.
pub(super) fn splice(form: &Form, model: &str) -> Option<Splice> {
    form.takes(model).then_some(())?;
    let mut splice = Splice::default();
    let mut named = form.named("model");
    let is_done = match named.next() {
        Some(part) => splice.replace(part.value.clone(), model),
        None => splice.replace(form.start()..form.start(), form.part("model", model)),
    };
    (is_done && named.next().is_none()).then_some(splice)
}

/// The `path` of a WebSocket, which ends in a query, with what the client asked for beside the model.
pub(super) fn with_query(path: String, request: &Request) -> String {
    if request.query.is_empty() { path } else { format!("{path}&{}", request.query) }
}

/// Events of speech, transcriptions and images: all of them pass; the usage of the last one is read from the end of the
/// bytes, however long a picture is in front of it.
///
/// `{"type":"transcript.text.done","text":...,"usage":{...}}`, `{"type":"image_generation.completed",...,"usage":{...}}`
/// and `{"type":"speech.audio.done","usage":{...}}`. No event ends the stream beside them.
///
/// Source: OpenAI, "Transcription streaming events" and "Image streaming events"
/// <https://platform.openai.com/docs/api-reference/audio>, not re-read for this.
#[derive(Debug, Default)]
pub(super) struct Events {
    tail: Tail,
    tally: Tally,
}

impl Stream for Events {
    fn estimate(&mut self, _estimate: Estimate) {}

    fn push(&mut self, bytes: &[u8], _out: &mut Vec<u8>) -> Pass {
        self.tail.push(bytes);
        if let Some(usage) = self.tail.usage() {
            self.tally.usage = Some(usage);
            self.tally.is_final = true;
        }
        Pass::Unchanged
    }

    fn finish(&mut self, _unfinished: Error, _out: &mut Vec<u8>) {
        self.tally.is_complete = true;
    }

    fn tally(&self) -> &Tally {
        &self.tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openai::Endpoint;
    use crate::provider::{Body, Target, ended_early};
    use wasm_bindgen_test::wasm_bindgen_test;

    const FORM: &str = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nalias\r\n--b\r\nContent-Disposition: \
                        form-data; name=\"file\"; filename=\"model\"\r\n\r\nalias\r\n--b--\r\n";

    fn sent(model: Option<&str>, body: &str, target_model: &str) -> Result<(String, String), crate::error::Error> {
        let content_type = "multipart/form-data; boundary=b";
        let endpoint = Endpoint::AudioTranscriptions;
        let request = Request::parse_form(endpoint, model.map(str::to_owned), content_type, body.into())?;
        let upstream = Target::of("openai", target_model).request(&request, None)?;
        let Body::Splice(splice) = upstream.body else { panic!("not spliced") };
        assert!(upstream.headers.contains(&("content-type", content_type.to_owned())));
        Ok((request.model.clone(), String::from_utf8(splice.apply(&request.body).unwrap()).unwrap()))
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn only_the_model_of_a_form_changes() {
        let expected = FORM.replacen("alias", "whisper-1", 1);
        assert_eq!(sent(None, FORM, "whisper-1").unwrap(), ("alias".to_owned(), expected.clone()));
        assert_eq!(sent(Some("path"), FORM, "whisper-1").unwrap(), ("path".to_owned(), expected));
        let without = FORM.split_once("alias\r\n").unwrap().1;
        let (model, body) = sent(Some("path"), without, "m").unwrap();
        assert_eq!((model.as_str(), body), ("path", FORM.replacen("alias", "m", 1)));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_websocket_goes_to_the_model_with_the_clients_own_query() {
        let request = Request::realtime("alias".to_owned(), "intent=x".to_owned());
        let upstream = Target::of("openai", "a b/c").request(&request, None).unwrap();
        assert_eq!(upstream.path, "/realtime?model=a%20b%2Fc&intent=x");
        assert!(upstream.headers.is_empty());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_usage_of_the_last_event_counts_and_nothing_changes() {
        let stream = br#"data: {"type":"transcript.text.delta","delta":"a"}

data: {"type":"transcript.text.done","text":"a","usage":{"type":"tokens","input_tokens":14,"input_token_details":{"text_tokens":10,"audio_tokens":4},"output_tokens":3,"total_tokens":17}}

"#;
        for size in [1, 7, stream.len()] {
            let (mut events, mut out) = (Events::default(), Vec::new());
            assert!(stream.chunks(size).all(|chunk| events.push(chunk, &mut out) == Pass::Unchanged));
            events.finish(ended_early(), &mut out);
            let usage = events.tally().usage.unwrap();
            assert_eq!((usage.input_tokens, usage.output_tokens, out.len()), (14, 3, 0), "chunks of {size}");
        }
    }
}
