//! Copies of requests: a header leads a request to the route that mirrors it to the copy's cluster, and the copy's stream
//! finds its [`Shadow`] by another header.
//!
//! The gateway writes these headers after it has removed whatever a client sent under such a name; an attempt, which
//! writes all headers anew, sends neither of them on. By header only copies are ever found, never a request.
//!
//! # Limits
//!
//! The copies of one worker take at most [`WEIGHT_MAX`]; beyond it requests have none. A copy that Envoy did not begin
//! within [`WAIT_MAX`] is given up.

use std::collections::BTreeMap;

use super::call::{self, Buffer, Map};
use super::{VM, count, with_world};
use crate::error::Error;
use crate::exchange::{AnswerHead, Exchange, Shadow, World};
use crate::units::Millis;

/// The most memory that all copies of one worker take, in bytes.
const WEIGHT_MAX: usize = 32 << 20;

/// How long a copy waits to be begun: Envoy begins it in the callback after the one that made it, or not at all.
const WAIT_MAX: Millis = Millis::from_secs(60);

/// The id of a copy: the VM's nonce and the number, in hexadecimal digits.
const ID: &str = "x-tollgate-shadow";
/// What chooses the route, and where that finds the time of the copy.
const CLUSTER: &str = "x-tollgate-shadow-cluster";
const TIMEOUT: &str = "x-tollgate-shadow-timeout";

/// The copies of this worker.
#[derive(Default)]
pub(super) struct Shadows {
    /// Those that Envoy has not begun, and when they were made.
    waiting: BTreeMap<u64, (Millis, Shadow)>,
    /// What they and those under way take, in bytes.
    weight: usize,
}

/// Lets the core act on a copy.
fn with<T>(shadow: &mut Shadow, act: impl FnOnce(&mut Shadow, &mut World<'_>) -> T) -> T {
    let config = shadow.config().clone();
    with_world(&config, |world| act(shadow, world))
}

/// Makes the copy of a request, where there is to be one: the headers that let Envoy mirror it.
pub(super) fn cast(exchange: &Exchange) -> Option<[(&'static str, String); 3]> {
    let weight = VM.with(|vm| vm.shadows.borrow().weight).saturating_add(exchange.weight());
    if exchange.config().routing.shadows.is_empty() || weight > WEIGHT_MAX {
        return None;
    }
    let shadow = with_world(exchange.config(), |world| exchange.shadow(world))?;
    let (cluster, timeout) = (shadow.cluster().to_owned(), shadow.timeout().0.to_string());
    let now = call::now();
    let id = VM.with(|vm| {
        let number = vm.number();
        let mut shadows = vm.shadows.borrow_mut();
        shadows.weight = weight;
        shadows.waiting.insert(number, (now, shadow));
        format!("{:016x}{number:016x}", vm.nonce)
    });
    Some([(CLUSTER, cluster), (TIMEOUT, timeout), (ID, id)])
}

/// Takes the copy of this id, where it is one of this VM's; once.
fn take(id: &[u8]) -> Option<Shadow> {
    let (nonce, number) = std::str::from_utf8(id).ok()?.split_at_checked(16)?;
    let number = u64::from_str_radix(number, 16).ok()?;
    VM.with(|vm| {
        let is_ours = u64::from_str_radix(nonce, 16) == Ok(vm.nonce);
        let taken = if is_ours { vm.shadows.borrow_mut().waiting.remove(&number) } else { None };
        taken.map(|(_, shadow)| shadow)
    })
}

/// Lets go what a copy took.
fn forget(shadow: &Shadow) {
    VM.with(|vm| {
        let mut shadows = vm.shadows.borrow_mut();
        shadows.weight = shadows.weight.saturating_sub(shadow.weight());
    });
}

/// Gives up the copies that nobody began.
pub(super) fn sweep(now: Millis) {
    let old = VM.with(|vm| {
        let mut shadows = vm.shadows.borrow_mut();
        shadows.waiting.extract_if(.., |_, (since, _)| now.since(*since) > WAIT_MAX).collect::<Vec<_>>()
    });
    for (_, (_, mut shadow)) in old {
        with(&mut shadow, Shadow::withdraw);
        forget(&shadow);
    }
}

/// Begins the copy that the headers of this stream name, in Envoy's `cluster`; `None` where they name none.
///
/// # Errors
///
/// The cluster is not the copy's.
pub(super) fn begin(cluster: &[u8]) -> Result<Option<Mirrored>, Error> {
    let Some(shadow) = call::header(Map::Request, ID).and_then(|id| take(&id)) else { return Ok(None) };
    let mut mirrored = Mirrored { shadow };
    match mirrored.shadow.begin(cluster, call::now()) {
        Ok(headers) => {
            call::set_headers(Map::Request, &headers);
            Ok(Some(mirrored))
        }
        Err(error) => {
            with(&mut mirrored.shadow, Shadow::withdraw);
            forget(&mirrored.shadow);
            Err(error)
        }
    }
}

/// The stream of a copy.
pub(super) struct Mirrored {
    shadow: Shadow,
}

impl Mirrored {
    /// Puts the copy's body in the place of the request's.
    pub(super) fn request_body(&mut self, size: usize) {
        let body = self.shadow.take_body();
        if size > 0 || body.is_some() {
            call::set_buffer(Buffer::Request, &body.unwrap_or_default());
        }
    }

    pub(super) fn response_headers(&mut self, end_of_stream: bool) {
        let headers = call::headers(Map::Response);
        with(&mut self.shadow, |shadow, world| {
            shadow.answered(&AnswerHead::of(&headers, end_of_stream, world.now), world);
        });
    }

    pub(super) fn response_body(&mut self, size: usize, end_of_stream: bool) {
        let is_read = size > 0 && self.shadow.is_reading();
        let bytes = if is_read { call::buffer(Buffer::Response) } else { Vec::new() };
        with(&mut self.shadow, |shadow, world| shadow.read(&bytes, end_of_stream, world));
    }

    /// Envoy is done with the copy.
    pub(super) fn end(mut self) {
        let record = with(&mut self.shadow, Shadow::settle);
        record.count_shadow(count);
        forget(&self.shadow);
    }
}
