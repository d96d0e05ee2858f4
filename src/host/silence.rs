//! Streams that fall silent, and how the client hears of it.
//!
//! Envoy lets a filter write into a response only while it holds some of it, and calls no filter while nothing comes. So a
//! stream whose silence has a bound is held all the time: each piece of it goes into Envoy's buffer and from there to the
//! client within the same callback, which ends holding nothing, but ends as one that holds. At a tick the last event goes
//! the same way.
//!
//! That begins with the second piece: Envoy fills the buffer for a filter whose last callback held. So the first piece
//! waits until Envoy calls back on behalf of a queue of our own, right after it.
//!
//! A filter cannot end a response: the stream is reset at the tick that follows, when the event is on its way.
//!
//! Source: Envoy 1.40, `source/extensions/common/wasm/context.cc` (`encodeData`, `getBuffer`, `continueStream`) and
//! `source/common/http/filter_manager.cc` (`commonContinue`, `addEncodedData`), read 2026-11-23.

use std::collections::BTreeSet;

use super::call::{self, Buffer};
use super::{Shared, VM, with_world};
use crate::config::Config;
use crate::units::Millis;

/// The streams of one VM whose silence has a bound, by the gateway's context.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The queue that calls us back, once it is open.
    bell: Option<u32>,
    /// Whose first piece waits.
    waiting: BTreeSet<u32>,
    /// Who can be written into.
    holding: BTreeSet<u32>,
    /// Who has had the last word.
    ended: Vec<u32>,
}

fn watch<T>(act: impl FnOnce(&mut Watch) -> T) -> T {
    VM.with(|vm| act(&mut vm.watch.borrow_mut()))
}

/// Holds the first piece of a stream until the bell rings; whether it may be held.
pub(super) fn begin(context: u32) -> bool {
    let bell = watch(|watch| watch.bell).or_else(|| {
        let nonce = VM.with(|vm| vm.nonce);
        call::open_queue(&format!("tollgate.bell.{nonce:016x}"))
    });
    let rings = bell.is_some_and(call::ring);
    watch(|watch| {
        watch.bell = bell;
        if rings {
            watch.waiting.insert(context);
            watch.holding.insert(context);
        }
    });
    rings
}

/// Lets a further piece of a stream go on, and all that waits before it.
pub(super) fn go_on(context: u32) {
    watch(|watch| watch.waiting.remove(&context));
    call::resume_response();
}

/// The bell has rung.
pub(super) fn rung(root: u32, queue: u32) {
    while call::dequeue(queue) {}
    for context in watch(|watch| std::mem::take(&mut watch.waiting)) {
        if call::enter(context) {
            call::resume_response();
        }
    }
    call::enter(root);
}

/// The stream has ended.
pub(super) fn forget(context: u32) {
    watch(|watch| {
        watch.waiting.remove(&context);
        watch.holding.remove(&context);
    });
}

/// Ends the streams that have been silent for too long.
pub(super) fn tick(config: &Config, root: u32, now: Millis) {
    for context in watch(|watch| std::mem::take(&mut watch.ended)) {
        call::reset(context);
    }
    let is_silent = |(exchange, _): &&(Shared, u32)| exchange.borrow().is_silent(now);
    let silent: Vec<_> = VM.with(|vm| vm.exchanges.borrow().values().filter(is_silent).cloned().collect());
    for (exchange, context) in silent {
        let last = with_world(config, |world| exchange.borrow_mut().cut(world));
        if watch(|watch| watch.holding.contains(&context)) && call::enter(context) {
            call::set_buffer(Buffer::Response, &last);
            call::resume_response();
        }
        watch(|watch| watch.ended.push(context));
    }
    call::enter(root);
}
