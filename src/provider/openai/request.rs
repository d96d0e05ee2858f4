//! The client's body with the provider's model name in it; all other bytes stay.

use url::form_urlencoded;

use super::media;
use crate::error::{Error, Kind};
use crate::json::scan::members_of;
use crate::json::{Shape, Splice};
use crate::openai::{Endpoint, Request};
use crate::provider::{Body, Target, Upstream};
use crate::secret::Secret;

const INCLUDE_USAGE: &str = r#"{"include_usage":true}"#;

/// The attempt at `target`: `model` is the target's, and a stream is asked for its usage.
///
/// # Errors
///
/// None that a parsed request can cause; `Internal` where its index does not fit its body.
pub(super) fn request(request: &Request, target: &Target, key: Option<&Secret>) -> Result<Upstream, Error> {
    let authorization = key.map(|key| ("authorization", format!("Bearer {}", key.expose())));
    let path = format!("{}{}", target.base_path, request.endpoint.path());
    if request.endpoint == Endpoint::Realtime {
        let model: String = form_urlencoded::byte_serialize(target.model.as_bytes()).collect();
        let path = media::with_query(format!("{path}?model={model}"), request);
        return Ok(Upstream { path, headers: authorization.into_iter().collect(), body: Body::Whole(Vec::new()) });
    }
    let splice = match &request.form {
        Some(form) => media::splice(form, &target.model),
        None => splice(request, &target.model),
    };
    let splice = splice.ok_or_else(|| Error::new(Kind::Internal, "the request cannot be spliced"))?;
    let content_type = request.form.as_ref().map_or("application/json", |form| &form.content_type);
    let headers = authorization.into_iter().chain([("content-type", content_type.to_owned())]).collect();
    Ok(Upstream { path, headers, body: Body::Splice(splice) })
}

fn splice(request: &Request, model: &str) -> Option<Splice> {
    let mut splice = Splice::default();
    let model = serde_json::to_vec(model).ok()?;
    if request.index.get("model").is_none() {
        let comma: &[u8] = if request.index.members().is_empty() { b"" } else { b"," };
        splice.replace(request.index.start()..request.index.start(), [b"\"model\":", model.as_slice(), comma].concat());
    }
    // A repeated name means the last one to us and perhaps the first one to the provider: replace them all.
    for member in request.index.members().iter().filter(|member| member.key == "model") {
        splice.replace(member.value.clone(), model.clone()).then_some(())?;
    }
    if asks_for_usage(request) {
        include_usage(request, &mut splice)?;
    }
    Some(splice)
}

/// Embeddings say their usage unasked, and so does an answer that is no stream.
fn asks_for_usage(request: &Request) -> bool {
    let is_chat = matches!(request.endpoint, Endpoint::ChatCompletions | Endpoint::Completions);
    is_chat && request.stream && !request.include_usage
}

fn include_usage(request: &Request, splice: &mut Splice) -> Option<()> {
    let done = match request.index.get("stream_options") {
        Some(options) if options.shape == Shape::Object => {
            let inner = members_of(&request.body, options.value.clone())?;
            match inner.get("include_usage") {
                Some(flag) => splice.replace(flag.value.clone(), "true"),
                None => {
                    let comma = if inner.members().is_empty() { "" } else { "," };
                    splice.replace(inner.start()..inner.start(), format!("\"include_usage\":true{comma}"))
                }
            }
        }
        Some(options) => splice.replace(options.value.clone(), INCLUDE_USAGE),
        None => {
            let at = request.index.get("stream")?.value.end;
            splice.replace(at..at, format!(",\"stream_options\":{INCLUDE_USAGE}"))
        }
    };
    done.then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn spliced(endpoint: Endpoint, body: &str, model: &str) -> String {
        let request = Request::parse(endpoint, body.as_bytes().to_vec()).unwrap();
        let splice = splice(&request, model).unwrap();
        let mut out = splice.head(&request.body).unwrap();
        out.extend_from_slice(&request.body[splice.end()..]);
        assert_eq!(out.len(), splice.len_of(body.len()));
        String::from_utf8(out).unwrap()
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn only_the_model_changes() {
        for (body, expected) in [
            (r#"{"model":"a","messages":[]}"#, r#"{"model":"p/\"x","messages":[]}"#),
            (
                r#" { "messages" : [ 1.50 ] , "model" : "a" , "stream" : false , "é\u00e9":1e5}"#,
                r#" { "messages" : [ 1.50 ] , "model" : "p/\"x" , "stream" : false , "é\u00e9":1e5}"#,
            ),
            (r#"{"model":"a","model":"b","messages":[]}"#, r#"{"model":"p/\"x","model":"p/\"x","messages":[]}"#),
            (r#"{"mod\u0065l":"a","messages":[]}"#, r#"{"mod\u0065l":"p/\"x","messages":[]}"#),
        ] {
            assert_eq!(spliced(Endpoint::ChatCompletions, body, "p/\"x"), expected);
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_stream_is_asked_for_its_usage() {
        let cases = [
            (
                r#"{"model":"a","messages":[],"stream":true}"#,
                r#"{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#,
            ),
            (
                r#"{"stream_options":{},"model":"a","messages":[],"stream":true}"#,
                r#"{"stream_options":{"include_usage":true},"model":"m","messages":[],"stream":true}"#,
            ),
            (
                r#"{"model":"a","messages":[],"stream":true,"stream_options":{ "x":1}}"#,
                r#"{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true, "x":1}}"#,
            ),
            (
                r#"{"model":"a","messages":[],"stream":true,"stream_options":{"include_usage": false}}"#,
                r#"{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage": true}}"#,
            ),
            (
                r#"{"model":"a","messages":[],"stream":true,"stream_options":null}"#,
                r#"{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#,
            ),
            (
                r#"{"model":"a","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#,
                r#"{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#,
            ),
        ];
        for (body, expected) in cases {
            assert_eq!(spliced(Endpoint::ChatCompletions, body, "m"), expected);
        }
        let body = r#"{"model":"a","input":"x","stream":true}"#;
        assert_eq!(spliced(Endpoint::Embeddings, body, "m"), body.replace("\"a\"", "\"m\""));
    }

    /// Random objects in random spellings: outside the value of `model` no byte differs.
    #[wasm_bindgen_test(unsupported = test)]
    fn every_other_byte_is_the_same_whatever_the_body() {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = move |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random >> 11) % below
        };
        let values = [
            "null",
            "-1.50e+07",
            "\"\\u00e9 \\\"model\\\":\\\"a\\\" \"",
            "[ {\"model\":\"no\"}, [[]] ]",
            "{ \"model\" : {} }",
            "\"日本\"",
            "true",
        ];
        let spaces = ["", " ", "\n\t", "\r\n  "];
        for _ in 0..3000 {
            let mut space = || spaces[next(4) as usize];
            let (head, mid, tail) = (space().to_owned(), space(), space());
            let mut members = vec![
                (format!("\"messages\"{mid}:{mid}[]"), None),
                (format!("\"model\"{mid}:{tail}"), Some("\"alias\"")),
            ];
            for i in 0..next(6) {
                let value = values[next(values.len() as u64) as usize];
                let at = next(members.len() as u64 + 1) as usize;
                members.insert(at, (format!("{head}\"k{i}\":{value}"), None));
            }
            let write = |model: &str| {
                let parts: Vec<_> =
                    members.iter().map(|(text, alias)| format!("{text}{}", alias.map_or("", |_| model))).collect();
                format!("{head}{{{}{tail}}}{mid}", parts.join(","))
            };
            assert_eq!(spliced(Endpoint::ChatCompletions, &write("\"alias\""), "gpt-x"), write("\"gpt-x\""));
        }
    }
}
