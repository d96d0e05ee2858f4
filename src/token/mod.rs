//! Bearer tokens that a provider's own credential is exchanged for: Vertex AI, Azure's Entra ID, IBM's IAM.
//!
//! A provider that takes such tokens gets one with every request; a token lives for an hour or so. Nobody waits for
//! one: they are fetched in the background and renewed before they expire.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`source`] | what a config says about one token: where it is fetched, and what proves who we are |
//! | [`exchange`] | the request to that place, and how its answer is read |
//! | `jwt`, [`sign`], `pem` | a service account's signed assertion |
//! | [`slot`] | the token as all workers share it: valid until when, due when, who fetches it |
//!
//! ## Who fetches
//!
//! All workers of an Envoy share one [`Slot`] for each source. Whoever finds it due takes a lease on it and fetches;
//! the others go on with the token that is there, and take the next one over from the slot. A lease lapses, so that a
//! worker that dies while it fetches holds up nothing for long.
//!
//! ## When
//!
//! A token is due at a margin before it expires: long enough for many tries, short enough that Google's metadata
//! server, which hands out the same token until five minutes before its end, has the next one. A try that fails is
//! repeated after a growing pause; the token that is there stays in use until it expires. Without a token a deployment
//! is left out of a request's plan; a request for which no other is left gets 503.
//!
//! # Limits
//!
//! The tokens are in Envoy's shared data, process memory that every plugin with the same `vm_id` can read. A token that
//! its issuer revokes is used until it is due. Envoys share nothing: each process fetches its own.

pub mod exchange;
mod jwt;
mod pem;
pub mod sign;
pub mod slot;
pub mod source;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::secret::Secret;
use crate::units::Millis;

pub use exchange::{Call, Failure, Granted};
pub use slot::Slot;
pub use source::Source;

/// What this worker knows of every slot, so that a request asks nobody.
#[derive(Debug, Default)]
pub struct Tokens(BTreeMap<String, Slot>);

impl Tokens {
    /// Takes over what the workers share about `source`.
    pub fn learn(&mut self, source: &Source, slot: Slot) {
        self.0.insert(source.id().to_owned(), slot);
    }

    /// The token of `source`, where there is one that is valid at `now`.
    pub fn secret(&self, source: &Source, now: Millis) -> Option<&Secret> {
        self.0.get(source.id())?.secret(now)
    }

    /// Whether it is time to look after `source`.
    pub fn is_due(&self, source: &Source, now: Millis) -> bool {
        self.0.get(source.id()).is_none_or(|slot| slot.is_due(now))
    }

    /// Whether `source` gave a token, or refused to.
    pub fn is_settled(&self, source: &Source) -> bool {
        self.0.get(source.id()).is_some_and(Slot::is_settled)
    }
}
