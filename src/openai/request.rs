//! A request of an OpenAI endpoint: its body is indexed once, its text untouched.

use serde::Deserialize;

use super::{Endpoint, Form};
use crate::error::{Error, Kind};
use crate::json::{Index, Shape, Splice};

/// A checked request of a client.
#[derive(Clone, Debug)]
pub struct Request {
    /// What is asked for.
    pub endpoint: Endpoint,
    /// The body as it came: one JSON object in UTF-8, or a form; of a WebSocket nothing.
    pub body: Vec<u8>,
    /// Where the members of the object are; none of a form's.
    pub index: Index,
    /// Where the parts are, if the body is a form.
    pub form: Option<Form>,
    /// What a WebSocket's client asked for in its path beside the model, percent-encoded; empty of all others.
    pub query: String,
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
            form: None,
            query: String::new(),
            body,
        })
    }

    /// Reads a form, which came with the header `content_type`. The path may have named the model.
    ///
    /// # Errors
    ///
    /// The client's: no form, a required part missing, more than one model.
    pub fn parse_form(
        endpoint: Endpoint,
        model: Option<String>,
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<Self, Error> {
        let form = Form::parse(content_type, &body)
            .map_err(|fault| Error::new(Kind::InvalidForm, format!("the body is not a valid form: {fault}")))?;
        let named = text(&form, &body, "model")?;
        let Some(model) = model.or(named.filter(|name| !name.is_empty()).map(str::to_owned)) else {
            return Err(missing("model"));
        };
        for names in endpoint.required_parts() {
            if !names.iter().any(|name| form.named(name).next().is_some()) {
                return Err(missing(names.first().copied().unwrap_or_default()));
            }
        }
        let stream = text(&form, &body, "stream")?.is_some_and(|value| value.eq_ignore_ascii_case("true"));
        Ok(Self { model, stream, body, form: Some(form), ..Self::empty(endpoint) })
    }

    /// A WebSocket to `model`, asked for with `query`.
    pub fn realtime(model: String, query: String) -> Self {
        Self { model, query, ..Self::empty(Endpoint::Realtime) }
    }

    fn empty(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            body: Vec::new(),
            index: Index::default(),
            form: None,
            query: String::new(),
            headers: Vec::new(),
            model: String::new(),
            stream: false,
            include_usage: false,
            max_output_tokens: None,
        }
    }

    /// The same request with another body of the same kind; `None` where that makes no sense.
    pub fn with_body(&self, body: Vec<u8>) -> Option<Self> {
        let model = Some(self.model.clone());
        let request = match &self.form {
            Some(form) => Self::parse_form(self.endpoint, model, &form.content_type, body).ok()?,
            None => Self::parse_for(self.endpoint, model, body).ok()?,
        };
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

/// The value of the only part of this name, which is no file.
fn text<'a>(form: &Form, body: &'a [u8], name: &str) -> Result<Option<&'a str>, Error> {
    let refuse = |what: &str| {
        let message = format!("the body is not a valid form: expected {what}");
        Err(Error::new(Kind::InvalidForm, message).with_param(name))
    };
    let mut parts = form.named(name);
    let Some(part) = parts.next() else { return Ok(None) };
    if parts.next().is_some() {
        return refuse("one part of this name");
    }
    let value = body.get(part.value.clone()).unwrap_or_default();
    match std::str::from_utf8(value) {
        Ok(value) if !part.is_file && !value.contains(char::is_control) => Ok(Some(value)),
        _ => refuse("a line of text, no file"),
    }
}

fn missing(name: &str) -> Error {
    let message = format!("missing required parameter: '{name}'");
    Error::new(Kind::MissingRequiredParameter, message).with_param(name)
}
