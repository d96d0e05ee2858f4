//! The state that outlives a request, and `/_mock/...`, which reads and sets it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};

use crate::record::Record;
use crate::reply::Reply;
use crate::script::{Fault, Script};
use crate::token::Issued;
use crate::value::object;

/// Scripts set from outside, counters, and the record.
pub(crate) struct Control {
    record: Option<Mutex<Record>>,
    scripts: Mutex<Scripts>,
    served: AtomicU64,
    pub(crate) issued: Issued,
}

#[derive(Default)]
struct Scripts {
    /// Script text by the part of a path that it applies to.
    by_part: BTreeMap<String, String>,
    /// Requests seen by each `id` that has `times`.
    seen: BTreeMap<String, u64>,
}

impl Control {
    /// Starts with no scripts; `record` keeps requests.
    pub(crate) fn new(record: bool) -> Self {
        Self {
            record: record.then(Mutex::default),
            scripts: Mutex::default(),
            served: AtomicU64::new(0),
            issued: Issued::default(),
        }
    }

    /// Numbers the answers from 1, so that a cached answer can be told from a second one.
    pub(crate) fn serial(&self) -> u64 {
        self.served.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Keeps the request if recording is on.
    pub(crate) fn record(&self, head: &Parts, body: &Bytes) {
        if let Some(record) = &self.record {
            lock(record).push(head, body);
        }
    }

    /// Merges the scripts that apply to `path`, the path's own last, and drops the faults whose `times` are over.
    ///
    /// # Errors
    /// As for [`Script::add`].
    pub(crate) fn script(&self, path: &str) -> Result<Script, String> {
        let mut script = Script::default();
        let mut scripts = lock(&self.scripts);
        for (_, text) in scripts.by_part.iter().filter(|(part, _)| path.contains(part.as_str())) {
            script.add(text)?;
        }
        script.add_path(path)?;
        if let Some(times) = script.times {
            let id = script.id.clone().unwrap_or_else(|| path.to_owned());
            let seen = scripts.seen.entry(id).or_default();
            *seen += 1;
            if *seen > times {
                script.fault = Fault::default();
            }
        }
        Ok(script)
    }

    /// Answers `/_mock/...`.
    pub(crate) fn answer(&self, head: &Parts, body: &Bytes) -> Reply {
        match (&head.method, head.uri.path()) {
            (&Method::GET, "/_mock/health") => Reply::text(StatusCode::OK, "ok".to_owned()),
            (&Method::GET, "/_mock/requests") => match &self.record {
                Some(record) => Reply::json(StatusCode::OK, &lock(record).json()),
                None => Reply::text(StatusCode::CONFLICT, "mock-provider runs without --record".to_owned()),
            },
            (&Method::DELETE, "/_mock/requests") => {
                self.record.iter().for_each(|record| lock(record).clear());
                done()
            }
            (&Method::POST, "/_mock/script") => self.set_script(head.uri.query(), body),
            (&Method::DELETE, "/_mock/script") => {
                *lock(&self.scripts) = Scripts::default();
                done()
            }
            _ => Reply::text(StatusCode::NOT_FOUND, format!("mock-provider has no {}", head.uri.path())),
        }
    }

    fn set_script(&self, query: Option<&str>, body: &[u8]) -> Reply {
        let part = query.and_then(|query| query.strip_prefix("match=")).unwrap_or_default();
        let text = String::from_utf8_lossy(body).into_owned();
        if let Err(message) = Script::default().add(&text) {
            return Reply::text(StatusCode::BAD_REQUEST, message);
        }
        lock(&self.scripts).by_part.insert(part.to_owned(), text);
        done()
    }
}

fn done() -> Reply {
    Reply::json(StatusCode::OK, &object! {"ok": true})
}

/// Locks, also after a panic elsewhere: every value behind these locks is whole at any time.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
