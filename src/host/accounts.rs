//! The ledgers of all accounts in Envoy's shared data: one process, all workers, compare-and-swap.

use sha2::{Digest as _, Sha256};

use super::fleet::{self, SharedData};
use crate::budget::account::END_USERS;
use crate::bytes::hex;
use crate::config::Config;
use crate::exchange::{Exchange, Locks, Refused};
use crate::store::Store as _;
use crate::units::Millis;

/// Makes empty books for every account that has none.
///
/// Every VM comes here with all keys of the config; those after the first find a mark that all of them have theirs.
pub(super) fn prepare(config: &Config) {
    SharedData.prepare(Locks::RECORD);
    let mark = mark(config);
    if SharedData.get(&mark).is_some() {
        return;
    }
    config.accounts().for_each(|account| SharedData.prepare(&account.record()));
    SharedData.prepare(END_USERS);
    SharedData.prepare(&mark);
}

/// Sets what a request needs aside in its accounts: see [`Exchange::reserve`].
pub(super) fn reserve(exchange: &mut Exchange, now: Millis) -> Result<(), Refused> {
    let fleet = fleet::open(exchange.config());
    let is_alive = fleet.witness(now);
    fleet::with_till(|till| exchange.reserve(&SharedData, till, &is_alive))
}

/// The name of the mark that each of these accounts has its books: one for every list of them.
fn mark(config: &Config) -> String {
    let mut hash = Sha256::new();
    for account in config.accounts() {
        hash.update(account.record().as_bytes());
        // No name has a control character.
        hash.update(b"\n");
    }
    format!("tollgate.1.accounts.{}", hex(&hash.finalize()))
}
