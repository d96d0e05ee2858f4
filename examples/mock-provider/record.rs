//! The last requests, exactly as they came, for tests that check what a gateway sends upstream.

use std::collections::VecDeque;

use bytes::Bytes;
use hyper::http::request::Parts;
use serde_json::{Value, json};

use crate::form::{Field, Form};

/// How many requests are kept; the oldest goes first.
const KEPT_REQUESTS: usize = 1000;

/// How much of a form is read.
const FORM_BYTES: usize = 1 << 20;

/// A bounded list of requests.
#[derive(Default)]
pub(crate) struct Record {
    requests: VecDeque<(Parts, Bytes)>,
}

impl Record {
    /// Keeps one request.
    pub(crate) fn push(&mut self, head: &Parts, body: &Bytes) {
        if self.requests.len() == KEPT_REQUESTS {
            self.requests.pop_front();
        }
        self.requests.push_back((head.clone(), body.clone()));
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.requests.clear();
    }

    /// Lists the requests, oldest first: `[{"method","path","headers":[[name,value]],"body","body_length"}]`; of a form
    /// also `"form":[[name,filename,value]]`, and of both only what its first MiB holds.
    ///
    /// Names are in lower case, as hyper keeps them; bytes that are no UTF-8 become U+FFFD.
    pub(crate) fn json(&self) -> Value {
        self.requests.iter().map(|(head, body)| entry(head, body)).collect()
    }
}

fn entry(head: &Parts, body: &Bytes) -> Value {
    let headers: Vec<Value> =
        head.headers.iter().map(|(name, value)| json!([name.as_str(), lossy(value.as_bytes())])).collect();
    let start = body.get(..body.len().min(FORM_BYTES)).unwrap_or_default();
    let form = Form::of(head, start);
    let mut entry = json!({
        "method": head.method.as_str(),
        "path": head.uri.to_string(),
        "headers": headers,
        "body": lossy(if form.is_some() { start } else { body }),
        "body_length": body.len(),
    });
    if let Some(form) = form {
        let field = |field: &Field| json!([field.name, field.filename, lossy(&field.value)]);
        let fields: Vec<Value> = form.fields.iter().map(field).collect();
        entry.as_object_mut().map(|entry| entry.insert("form".to_owned(), fields.into()));
    }
    entry
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
