//! Ledgers in Envoy's shared data: one process, all workers, compare-and-swap.

use super::call::{self, Swap};
use crate::budget::Ledger;
use crate::config::Config;

/// How often a lost race is run again. Each round one of the racing workers wins, so only a store that fails, or some
/// fifty workers at once on one key, come to the end of it.
const ROUNDS: usize = 256;

/// The store could not be read or written.
pub(super) struct Unavailable;

/// The name of a key's ledger; the version is that of the bytes.
fn name(alias: &str) -> String {
    format!("tollgate.1.key.{alias}")
}

/// Makes an empty ledger for every budget that has none.
///
/// Shared data has no "set if absent". Envoy configures a plugin on its main thread before any worker serves with it,
/// so what is made here is there before anyone competes for it.
pub(super) fn prepare(config: &Config) {
    for key in config.keys.iter().filter(|key| key.budget.is_some()) {
        let name = name(&key.alias);
        if call::shared(&name).is_none() {
            call::set_shared(&name, &Ledger::default().encode(), 0);
        }
    }
}

/// Changes the ledger of a key; `change` may be run more than once, and is undone where it fails.
pub(super) fn update<T>(alias: &str, mut change: impl FnMut(&mut Ledger) -> T) -> Result<T, Unavailable> {
    let name = name(alias);
    for _ in 0..ROUNDS {
        let Some((bytes, cas)) = call::shared(&name) else { return Err(Unavailable) };
        let mut ledger = Ledger::decode(&bytes);
        let result = change(&mut ledger);
        let changed = ledger.encode();
        if changed[..] == bytes[..] {
            return Ok(result);
        }
        match call::set_shared(&name, &changed, cas) {
            Swap::Done => return Ok(result),
            Swap::Lost => {}
            Swap::Failed => return Err(Unavailable),
        }
    }
    Err(Unavailable)
}
