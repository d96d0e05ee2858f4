//! The books of end users that the config does not list.

use std::rc::Rc;

use super::Account;
use crate::store::Store;

/// The books of an end user that the config does not list: `account` itself where it has books, or can be given some;
/// `shared` where too many others have. A client could else fill the store with names.
pub fn enrolled(store: &impl Store, account: &Rc<Account>, shared: &Rc<Account>) -> Rc<Account> {
    let record = account.record();
    let enroll = |bytes: &[u8]| {
        let count = bytes.first_chunk().copied().map_or(0, u64::from_le_bytes);
        let has_room = count < MAX_END_USERS;
        (has_room.then(|| count.saturating_add(1).to_le_bytes().to_vec()), has_room)
    };
    if store.get(&record).is_none() {
        if store.update(END_USERS, enroll) != Some(true) {
            return Rc::clone(shared);
        }
        store.prepare(&record);
    }
    Rc::clone(account)
}

/// How many end users that the config does not list have books of their own: 30 MB of them.
pub(super) const MAX_END_USERS: u64 = 100_000;
/// The record of how many there are.
pub const END_USERS: &str = "tollgate.1.end_users";
