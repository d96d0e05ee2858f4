//! Ledgers in Envoy's shared data: one process, all workers, compare-and-swap.

use sha2::{Digest as _, Sha256};

use super::fleet::SharedData;
use crate::budget::Ledger;
use crate::config::Config;
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::routing::Store as _;
use crate::units::{Millis, PicoUsd};

/// The name of a key's ledger; the version is that of the bytes.
fn name(alias: &str) -> String {
    format!("tollgate.1.key.{alias}")
}

/// Makes an empty ledger for every key that has none.
///
/// Shared data has no "set if absent". Envoy configures a plugin on its main thread before any worker serves with it,
/// so what is made here is there before anyone competes for it.
///
/// Every VM comes here with all keys of the config; those after the first find a mark that all of them have theirs.
pub(super) fn prepare(config: &Config) {
    let mark = mark(config);
    if SharedData.get(&mark).is_some() {
        return;
    }
    for key in &config.keys {
        SharedData.prepare(&name(&key.alias));
    }
    SharedData.prepare(&mark);
}

/// The name of the mark that each of these keys has its ledger: one for every list of aliases.
fn mark(config: &Config) -> String {
    let mut hash = Sha256::new();
    for key in &config.keys {
        hash.update(key.alias.as_bytes());
        // No alias has a control character.
        hash.update(b"\n");
    }
    let digest = hash.finalize();
    digest.iter().fold("tollgate.1.keys.".to_owned(), |name, byte| name + &format!("{byte:02x}"))
}

/// The ledger of a key.
pub(super) fn read(alias: &str) -> Option<Ledger> {
    SharedData.get(&name(alias)).map(|(bytes, _)| Ledger::decode(&bytes))
}

/// Sets the worst cost of a request aside, where its key has a budget.
///
/// # Errors
///
/// The budget is spent, or cannot be read and the config says to refuse then.
pub(super) fn reserve(exchange: &mut Exchange) -> Result<(), Error> {
    let Some(alias) = exchange.budget().map(|(key, _)| key.alias.clone()) else { return Ok(()) };
    let amount = exchange.worst_cost();
    match update(&alias, |ledger| exchange.reserve(amount, ledger)) {
        Ok(reserved) => {
            exchange.keep(reserved?);
            Ok(())
        }
        Err(Unavailable) if exchange.fails_closed() => {
            Err(Error::new(Kind::Internal, "the spend of this key cannot be read"))
        }
        Err(Unavailable) => {
            log::warn!("the spend of key '{alias}' cannot be read: request admitted");
            Ok(())
        }
    }
}

/// Charges a key for a request that has ended.
pub(super) fn charge(exchange: &Exchange, now: Millis, cost: PicoUsd) {
    let Some(key) = exchange.charged_key(cost) else { return };
    if update(&key.alias, |ledger| exchange.charge(now, cost, ledger)).is_err() {
        log::error!("the cost of a request of key '{}' could not be charged: {cost} USD", key.alias);
    }
}

/// The store could not be read or written.
struct Unavailable;

/// Changes the ledger of a key; `change` may be run more than once, each time on the ledger as it is then.
fn update<T>(alias: &str, mut change: impl FnMut(&mut Ledger) -> T) -> Result<T, Unavailable> {
    let changed = SharedData.update(&name(alias), |bytes| {
        let mut ledger = Ledger::decode(bytes);
        let result = change(&mut ledger);
        (Some(ledger.encode()), result)
    });
    changed.ok_or(Unavailable)
}
