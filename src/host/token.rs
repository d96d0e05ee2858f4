//! Access tokens in Envoy's shared data, fetched by whichever worker takes the lease: see [`crate::token`].
//!
//! Every plugin instance of role `gateway` looks after its own config's sources at its ticks. It asks shared data only
//! while one of them is due; a request asks nobody, except while a token is missing.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use super::call::{self, Buffer, Map, Swap};
use super::{VM, draw};
use crate::token::{Call, Failure, Slot, Source, Tokens, exchange, sign};
use crate::units::Millis;

/// How often a lost race is run again; each round one of the racing workers wins.
const ROUNDS: usize = 64;

/// Looks after the tokens of one config.
#[derive(Default)]
pub(super) struct Keeper {
    sources: Vec<Rc<Source>>,
    /// The fetches under way by the number of their call, with the time at which they began.
    calls: RefCell<BTreeMap<u32, (Rc<Source>, Millis)>>,
    /// Whether a token was missing at the last look.
    is_wanting: Cell<bool>,
}

/// The tokens that this VM knows.
pub(super) fn with<T>(read: impl FnOnce(&Tokens) -> T) -> T {
    VM.with(|vm| read(&vm.tokens.borrow()))
}

/// The name of a source's slot; the version is that of the bytes.
fn name(source: &Source) -> String {
    format!("tollgate.1.token.{}", source.id())
}

impl Keeper {
    /// Makes an empty slot for every source that has none: see [`super::accounts::prepare`] for why here.
    pub(super) fn new(sources: Vec<Rc<Source>>) -> Self {
        for source in &sources {
            let name = name(source);
            if call::shared(&name).is_none() {
                call::set_shared(&name, &Slot::default().encode(), 0);
            }
        }
        let keeper = Self { sources, is_wanting: Cell::new(true), ..Self::default() };
        keeper.catch_up(call::now());
        keeper
    }

    /// Takes over what others fetched, and fetches what is due.
    pub(super) fn tick(&self, now: Millis) {
        for source in &self.sources {
            if with(|tokens| tokens.is_due(source, now))
                && let Some(asked) = claim(source, now)
            {
                self.fetch(source, asked);
            }
        }
        self.is_wanting.set(self.lacks_any(now));
    }

    /// Takes over what others fetched, where a token is missing here.
    pub(super) fn catch_up(&self, now: Millis) {
        if !self.is_wanting.get() {
            return;
        }
        for source in self.sources.iter().filter(|source| with(|tokens| tokens.secret(source, now).is_none())) {
            if let Some((bytes, _)) = call::shared(&name(source)) {
                learn(source, Slot::decode(&bytes));
            }
        }
        self.is_wanting.set(self.lacks_any(now));
    }

    /// Whether every source gave a token or refused to.
    pub(super) fn is_settled(&self, now: Millis) -> bool {
        self.catch_up(now);
        with(|tokens| self.sources.iter().all(|source| tokens.is_settled(source)))
    }

    fn lacks_any(&self, now: Millis) -> bool {
        with(|tokens| self.sources.iter().any(|source| tokens.secret(source, now).is_none()))
    }

    fn fetch(&self, source: &Rc<Source>, now: Millis) {
        let number = source.call(now, sign).and_then(|Call { headers, body }| {
            let body = body.as_ref().map(|body| body.expose().as_bytes());
            call::http(&source.cluster, headers, body, exchange::TIMEOUT).ok_or(Failure::NoRoute)
        });
        match number {
            Ok(number) => {
                self.calls.borrow_mut().insert(number, (source.clone(), now));
            }
            Err(failure) => fail(source, &failure),
        }
    }

    /// The answer to a call has come, or will never come.
    pub(super) fn answered(&self, number: u32) {
        let Some((source, asked)) = self.calls.borrow_mut().remove(&number) else { return };
        let status = call::header(Map::CallAnswer, ":status").unwrap_or_default();
        let status = std::str::from_utf8(&status).ok().and_then(|status| status.parse().ok()).unwrap_or(0);
        match exchange::read(status, &call::buffer(Buffer::CallAnswer)) {
            Ok(granted) => {
                log::debug!("a token of {} for {} s", source.authority, granted.lifetime.0 / 1000);
                update(&source, |slot| slot.succeed(asked, &granted, &mut draw));
            }
            Err(failure) => fail(&source, &failure),
        }
    }

    /// This instance ends, and with it its calls: another one may fetch.
    pub(super) fn give_up(&self) {
        let calls = std::mem::take(&mut *self.calls.borrow_mut());
        for (source, _) in calls.into_values() {
            update(&source, Slot::release);
        }
    }
}

fn learn(source: &Source, slot: Slot) {
    VM.with(|vm| vm.tokens.borrow_mut().learn(source, slot));
}

/// Takes over what the workers share about `source`; the time, where the next fetch is this worker's.
fn claim(source: &Source, now: Millis) -> Option<Millis> {
    let name = name(source);
    let (bytes, cas) = call::shared(&name)?;
    let mut slot = Slot::decode(&bytes);
    learn(source, slot.clone());
    let is_ours = slot.claim(now) && call::set_shared(&name, &slot.encode(), cas) == Swap::Done;
    is_ours.then_some(now)
}

fn fail(source: &Source, failure: &Failure) {
    let now = call::now();
    let mut pause = Millis(0);
    update(source, |slot| pause = slot.fail(now, &mut draw));
    log::warn!("no access token from {}: {failure}; next try in {} s", source.authority, pause.secs_ceil());
}

/// Changes the slot of `source`; `change` may be run more than once, each time on the slot as it is then.
fn update(source: &Source, mut change: impl FnMut(&mut Slot)) {
    let name = name(source);
    for _ in 0..ROUNDS {
        let Some((bytes, cas)) = call::shared(&name) else { return };
        let mut slot = Slot::decode(&bytes);
        change(&mut slot);
        match call::set_shared(&name, &slot.encode(), cas) {
            Swap::Done => {
                learn(source, slot);
                return;
            }
            Swap::Lost => {}
            Swap::Failed => return,
        }
    }
}

fn sign(private_key: &[u8], text: &[u8]) -> Option<Vec<u8>> {
    sign::signature(&call::foreign(sign::NAME, &sign::arguments(private_key, text))?)
}
