//! Copies of requests: a header leads a request to the route that mirrors it to the copy's cluster, and the copy's stream
//! finds its [`Shadow`] by another header.
//!
//! The gateway writes these headers after it has removed whatever a client sent under such a name; an attempt, which
//! writes all headers anew, sends none of them on.
//!
//! # Limits
//!
//! A copy is in no access log, since Envoy writes none for what it mirrors: the `tollgate_shadow_*` counters are its record.

use super::call::{self, Buffer, Map};
use super::{VM, count, with_world};
use crate::error::Error;
use crate::exchange::{AnswerHead, Copies, Exchange, Shadow, World};
use crate::units::Millis;

/// The id of a copy: see [`Copies::keep`].
const ID: &str = "x-tollgate-shadow";
/// What chooses the route, and where that finds the time of the copy.
const CLUSTER: &str = "x-tollgate-shadow-cluster";
const TIMEOUT: &str = "x-tollgate-shadow-timeout";

/// Lets the core act on a copy.
fn with<T>(shadow: &mut Shadow, act: impl FnOnce(&mut Shadow, &mut World<'_>) -> T) -> T {
    let config = shadow.config().clone();
    with_world(&config, |world| act(shadow, world))
}

/// The copies of this worker.
fn copies<T>(act: impl FnOnce(&mut Copies) -> T) -> T {
    VM.with(|vm| act(&mut vm.copies.borrow_mut()))
}

/// Makes the copy of a request, where there is to be one: the headers that let Envoy mirror it.
pub(super) fn cast(exchange: &Exchange) -> Option<[(&'static str, String); 3]> {
    if exchange.config().routing.shadows.is_empty() || !copies(|copies| copies.has_room(exchange.weight())) {
        return None;
    }
    let (now, shadow) = with_world(exchange.config(), |world| Some((world.now, exchange.shadow(world)?)))?;
    let (cluster, timeout) = (shadow.cluster().to_owned(), shadow.timeout().0.to_string());
    let id = copies(|copies| copies.keep(now, shadow));
    Some([(CLUSTER, cluster), (TIMEOUT, timeout), (ID, id)])
}

/// Gives up a copy that never began.
fn give_up(mut shadow: Shadow) {
    with(&mut shadow, Shadow::withdraw);
    copies(|copies| copies.forget(&shadow));
}

/// Gives up the copies that Envoy did not begin.
pub(super) fn sweep(now: Millis) {
    copies(|copies| copies.take_old(now)).into_iter().for_each(give_up);
}

/// Begins the copy that the headers of this stream name, in Envoy's `cluster`; `None` where they name none.
///
/// # Errors
///
/// The cluster is not the copy's.
pub(super) fn begin(cluster: &[u8]) -> Result<Option<Mirrored>, Error> {
    let id = call::header(Map::Request, ID).unwrap_or_default();
    let Some(mut shadow) = copies(|copies| copies.take(&id)) else { return Ok(None) };
    match shadow.begin(cluster, call::now()) {
        Ok(headers) => {
            call::set_headers(Map::Request, &headers);
            Ok(Some(Mirrored { shadow }))
        }
        Err(error) => {
            give_up(shadow);
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
        copies(|copies| copies.forget(&self.shadow));
    }
}
