//! What all workers share, as bytes under a name: the host's shared data, or [`Memory`].

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// What became of a compare-and-swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swap {
    /// The value is in place.
    Done,
    /// Another worker was faster.
    Lost,
    /// The store does not take it.
    Failed,
}

/// Values under names, each with a version. A value is seen by every worker as soon as it is set.
pub trait Store {
    /// The value of this name with its version, which is never 0.
    fn get(&self, name: &str) -> Option<(Vec<u8>, u32)>;

    /// Sets a value where its version is still `version`; 0 sets it in any case. Where there is none, it is made, whatever
    /// `version` says.
    fn set(&self, name: &str, value: &[u8], version: u32) -> Swap;

    /// Makes a value of this name, empty, unless there is one; others may do the same at the same time.
    ///
    /// Envoy's shared data compares a version with that of the value that is there, and with nothing where none is: a
    /// version that no value has sets what is absent and nothing else.
    /// Source: proxy-wasm-cpp-host, `src/shared_data.cc` <https://github.com/proxy-wasm/proxy-wasm-cpp-host>, not re-read
    /// for this; the tests create records from four workers at once.
    fn prepare(&self, name: &str) {
        self.set(name, &[], NO_VERSION);
    }

    /// Changes the value of this name. `change` may be run more than once, each time on the value as it is then; it
    /// tells the new value, or that it need not be stored, and what came of it.
    ///
    /// `None` where there is no such value, the store fails, or every round is lost.
    fn update<T>(&self, name: &str, mut change: impl FnMut(&[u8]) -> (Option<Vec<u8>>, T)) -> Option<T> {
        for _ in 0..ROUNDS {
            let (value, version) = self.get(name)?;
            let (changed, result) = change(&value);
            let Some(changed) = changed.filter(|changed| *changed != value) else { return Some(result) };
            match self.set(name, &changed, version) {
                Swap::Done => return Some(result),
                Swap::Lost => {}
                Swap::Failed => return None,
            }
        }
        None
    }
}

impl<S: Store> Store for Rc<S> {
    fn get(&self, name: &str) -> Option<(Vec<u8>, u32)> {
        S::get(self, name)
    }

    fn set(&self, name: &str, value: &[u8], version: u32) -> Swap {
        S::set(self, name, value, version)
    }
}

/// A store of one thread, for simulations and tests: several workers share it by taking turns.
#[derive(Debug, Default)]
pub struct Memory(RefCell<BTreeMap<String, (Vec<u8>, u32)>>);

impl Store for Memory {
    fn get(&self, name: &str) -> Option<(Vec<u8>, u32)> {
        self.0.borrow().get(name).cloned()
    }

    fn set(&self, name: &str, value: &[u8], version: u32) -> Swap {
        let mut values = self.0.borrow_mut();
        let found = values.get(name).map_or(0, |(_, version)| *version);
        if version != 0 && found != 0 && version != found {
            return Swap::Lost;
        }
        values.insert(name.to_owned(), (value.to_vec(), found.wrapping_add(1).max(1)));
        Swap::Done
    }
}

/// How often a lost race is run again. Each round one of the racing workers wins, so only a store that fails, or some
/// fifty workers at once on one name, come to the end of it.
const ROUNDS: usize = 256;
/// Versions count up from 1, over all values of a store: none gets here.
const NO_VERSION: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use wasm_bindgen_test::wasm_bindgen_test;

    use super::{Memory, ROUNDS, Store, Swap};

    /// A store in which another worker adds one to the value just before each of the next `races` swaps.
    struct Contested {
        memory: Memory,
        races: Cell<usize>,
    }

    impl Store for Contested {
        fn get(&self, name: &str) -> Option<(Vec<u8>, u32)> {
            self.memory.get(name)
        }

        fn set(&self, name: &str, value: &[u8], version: u32) -> Swap {
            if let Some(left) = self.races.get().checked_sub(1) {
                self.races.set(left);
                let (found, _) = self.get(name).unwrap();
                self.memory.set(name, &add(&found), 0);
            }
            self.memory.set(name, value, version)
        }
    }

    fn add(value: &[u8]) -> Vec<u8> {
        [value, b"+"].concat()
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn no_change_is_lost_in_a_race() {
        for (races, length) in [(0, Some(1)), (1, Some(2)), (7, Some(8)), (ROUNDS, None)] {
            let store = Contested { memory: Memory::default(), races: Cell::new(races) };
            assert_eq!(store.update("n", |value| (Some(add(value)), ())), None, "nobody prepared it");
            store.memory.prepare("n");
            let seen = store.update("n", |value| (Some(add(value)), value.len() + 1));
            assert_eq!(seen, length);
            assert_eq!(store.get("n").unwrap().0.len(), length.unwrap_or(ROUNDS));
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_there_is_not_prepared_again() {
        let store = Memory::default();
        store.prepare("n");
        assert_eq!(store.get("n"), Some((Vec::new(), 1)));
        store.update("n", |_| (Some(b"v".to_vec()), ())).unwrap();
        store.prepare("n");
        assert_eq!(store.get("n"), Some((b"v".to_vec(), 2)));
        // The same value again, or none, is no change.
        store.update("n", |value| (Some(value.to_vec()), ())).unwrap();
        store.update("n", |_| (None, ())).unwrap();
        assert_eq!(store.get("n"), Some((b"v".to_vec(), 2)));
        assert_eq!(store.set("n", b"late", 1), Swap::Lost);
    }
}
