//! Keys that an operator has blocked since the config was written: `POST /key/block` and `/key/unblock`.
//!
//! One value for all of them, read by every request that a key opens: a block is in force on all workers as soon as it is
//! answered. It outlasts configs and VMs, and ends with Envoy's process: what is to last belongs into the config.
//!
//! # Limits
//!
//! At most [`LOCKS_MAX`] keys.

use crate::bytes::number_of;
use crate::store::Store;

/// The numbers of the blocked keys' aliases, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Locks(Vec<u64>);

/// The most keys that are blocked at a time.
pub const LOCKS_MAX: usize = 4096;

impl Locks {
    /// The name of the record.
    pub const RECORD: &'static str = "tollgate.1.locks";

    /// Whether the key of this alias is blocked. What cannot be read blocks nobody.
    pub fn has(store: &impl Store, alias: &str) -> bool {
        store.get(Self::RECORD).is_some_and(|(bytes, _)| !bytes.is_empty() && Self::decode(&bytes).at(alias).is_ok())
    }

    /// Blocks a key, or no more; `None` where the store fails, `Some(false)` where there are too many.
    pub fn set(store: &impl Store, alias: &str, is_blocked: bool) -> Option<bool> {
        store.update(Self::RECORD, |bytes| {
            let mut locks = Self::decode(bytes);
            match (locks.at(alias), is_blocked) {
                (Err(_), true) if locks.0.len() >= LOCKS_MAX => return (None, false),
                (Err(at), true) => locks.0.insert(at, number_of(alias)),
                (Ok(at), false) => drop(locks.0.remove(at)),
                (Ok(_), true) | (Err(_), false) => {}
            }
            (Some(locks.encode()), true)
        })
    }

    /// Reads what [`Locks::encode`] wrote. Anything else is none.
    fn decode(bytes: &[u8]) -> Self {
        let Some((words, [])) = bytes.strip_prefix(&VERSION).map(<[u8]>::as_chunks::<8>) else {
            return Self::default();
        };
        Self(words.iter().map(|word| u64::from_le_bytes(*word)).collect())
    }

    fn encode(&self) -> Vec<u8> {
        VERSION.into_iter().chain(self.0.iter().flat_map(|number| number.to_le_bytes())).collect()
    }

    /// Where the alias is, or would be.
    fn at(&self, alias: &str) -> Result<usize, usize> {
        self.0.binary_search(&number_of(alias))
    }
}

/// Changes with the layout.
const VERSION: [u8; 8] = *b"TGLOCKS1";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Memory;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn a_key_is_blocked_until_it_is_not() {
        let store = Memory::default();
        assert_eq!((Locks::set(&store, "a", true), Locks::has(&store, "a")), (None, false), "nobody made the record");
        store.prepare(Locks::RECORD);
        for alias in ["b", "a", "c", "a"] {
            assert_eq!(Locks::set(&store, alias, true), Some(true));
        }
        assert_eq!(["a", "b", "c", "d", ""].map(|alias| Locks::has(&store, alias)), [true, true, true, false, false]);
        assert_eq!((Locks::set(&store, "a", false), Locks::set(&store, "d", false)), (Some(true), Some(true)));
        assert_eq!(["a", "b", "c"].map(|alias| Locks::has(&store, alias)), [false, true, true]);
        store.prepare(Locks::RECORD);
        assert!(Locks::has(&store, "b"), "another config comes");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn there_is_an_end_to_them_and_garbage_is_none() {
        let store = Memory::default();
        store.prepare(Locks::RECORD);
        for i in 0..LOCKS_MAX {
            assert_eq!(Locks::set(&store, &i.to_string(), true), Some(true));
        }
        assert_eq!(Locks::set(&store, "one more", true), Some(false));
        assert_eq!(Locks::set(&store, "7", true), Some(true));
        for garbage in [b"".as_slice(), b"TGLOCKS1abc", b"TGLOCKS0abcdefgh", b"x"] {
            assert_eq!(Locks::decode(garbage), Locks::default());
        }
    }
}
