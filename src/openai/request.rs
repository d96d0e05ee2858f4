//! A request body of an OpenAI endpoint: indexed once, its text untouched.

use serde::Deserialize;

use super::Endpoint;
use crate::error::{Error, Kind};
use crate::json::{Index, Shape, Splice};

/// A checked request of a client.
#[derive(Debug)]
pub struct Request {
    /// What is asked for.
    pub endpoint: Endpoint,
    /// The body as it came: one JSON object in UTF-8.
    pub body: Vec<u8>,
    /// Where its members are.
    pub index: Index,
    /// The model as the client named it: an alias.
    pub model: String,
    /// Whether the answer is a stream of events.
    pub stream: bool,
    /// Whether the client asked for usage at the end of the stream.
    pub include_usage: bool,
    /// The most tokens that the client lets the answer have.
    pub max_output_tokens: Option<u64>,
    /// Those headers of the client that some provider's language reads, lower-case names.
    pub headers: Vec<(&'static str, String)>,
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

impl Request {
    /// Reads the body of a request to `endpoint` whose body names the model.
    ///
    /// # Errors
    ///
    /// The client's: not JSON, a required member missing, a member of the wrong type.
    pub fn parse(endpoint: Endpoint, body: Vec<u8>) -> Result<Self, Error> {
        Self::parse_for(endpoint, None, body)
    }

    /// The same, where the path may have named the model: that name wins over the body's.
    ///
    /// # Errors
    ///
    /// As [`Self::parse`].
    pub fn parse_for(endpoint: Endpoint, model: Option<String>, body: Vec<u8>) -> Result<Self, Error> {
        let index = Index::parse(&body)
            .map_err(|fault| Error::new(Kind::InvalidJson, format!("the body is not valid JSON: {fault}")))?;
        if let Some((name, shapes)) = endpoint.required() {
            index.expect(name, shapes)?;
        }
        let model = match model {
            Some(model) => model,
            None => {
                index.expect("model", &[Shape::String])?;
                index.read(&body, "model")?.unwrap_or_default()
            }
        };
        let stream = index.read(&body, "stream")?.unwrap_or(false);
        if index.get("stream_options").is_some_and(|member| member.shape == Shape::Array) {
            // To serde, a list may stand for a struct.
            index.expect("stream_options", &[Shape::Object])?;
        }
        let options: Option<StreamOptions> = index.read(&body, "stream_options")?;
        let limits: [Option<u64>; 3] = [
            index.read(&body, "max_completion_tokens")?,
            index.read(&body, "max_tokens")?,
            index.read(&body, "max_output_tokens")?,
        ];
        Ok(Self {
            endpoint,
            model,
            stream,
            include_usage: options.and_then(|o| o.include_usage).unwrap_or(false),
            max_output_tokens: limits.into_iter().flatten().next(),
            headers: Vec::new(),
            index,
            body,
        })
    }

    /// The same request with another body; `None` where that makes no sense.
    pub fn with_body(&self, body: Vec<u8>) -> Option<Self> {
        let request = Self::parse_for(self.endpoint, Some(self.model.clone()), body).ok()?;
        Some(Self { headers: self.headers.clone(), ..request })
    }

    /// The value of the client's header `name`.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| *found == name).map(|(_, value)| value.as_str())
    }

    /// The edits that put `model` in the place of the client's name for it; all other bytes stay.
    pub fn renamed(&self, model: &str) -> Option<Splice> {
        let mut splice = Splice::default();
        let model = serde_json::to_vec(model).ok()?;
        if self.index.get("model").is_none() {
            let comma: &[u8] = if self.index.members().is_empty() { b"" } else { b"," };
            let at = self.index.start();
            splice.replace(at..at, [b"\"model\":", model.as_slice(), comma].concat());
        }
        // A repeated name means the last one to us and perhaps the first one to the provider: replace them all.
        for member in self.index.members().iter().filter(|member| member.key == "model") {
            splice.replace(member.value.clone(), model.clone()).then_some(())?;
        }
        Some(splice)
    }
}
