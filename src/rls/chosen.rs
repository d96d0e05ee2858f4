//! The counters of providers and deployments, for which the service is asked nothing before: which are used up.
//!
//! A deployment is chosen where no call is waited for. So an attempt tells its hit in the background, and the answer to that
//! says whether there was room. What is used up is left alone until its window ends; but somebody may raise a cap in the
//! service, or empty its store. So once in [`REMEMBERED`] a hit that nobody has used yet is told of it, where somebody wants
//! the deployment: no attempt has to try.

use std::collections::BTreeMap;

use super::Counter;
use super::full::REMEMBERED;
use crate::units::Millis;

/// What one worker knows of them: as many as the config has, and those of the windows before.
#[derive(Debug, Default)]
pub struct Chosen(BTreeMap<Counter, Standing>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It has room, as far as is known.
    Room,
    /// It has none; from then on it may be looked at again.
    Full(Millis),
}

impl Chosen {
    /// An attempt counts in these: what is heard of them is remembered.
    pub fn watch(&mut self, counters: &[Counter], now: Millis) {
        if counters.iter().all(|counter| self.0.contains_key(counter)) {
            return;
        }
        self.0.retain(|counter, _| counter.end.is_none_or(|end| end > now));
        for counter in counters {
            self.0.entry(counter.clone()).or_insert(Standing::Room);
        }
    }

    /// The service has said whether `counter` has room.
    pub fn hear(&mut self, counter: &Counter, is_full: bool, now: Millis) {
        if let Some(standing) = self.0.get_mut(counter) {
            *standing = if is_full { Standing::Full(now.plus(REMEMBERED)) } else { Standing::Room };
        }
    }

    /// Whether `counter` is used up.
    pub fn is_full(&self, counter: &Counter) -> bool {
        matches!(self.0.get(counter), Some(Standing::Full(_)))
    }

    /// Whether it is time to see if `counter` is still used up. Then it is not again for a while.
    pub fn doubts(&mut self, counter: &Counter, now: Millis) -> bool {
        match self.0.get_mut(counter) {
            Some(Standing::Full(at)) if *at <= now => {
                *at = now.plus(REMEMBERED);
                true
            }
            _ => false,
        }
    }

    /// Forgets everything: caps may have changed.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::{Chosen, REMEMBERED};
    use crate::rls::testing::counter;
    use crate::units::Millis;

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_used_up_stays_so_until_the_service_says_otherwise() {
        let (day, next, never) = (counter("d", Some(90_000)), counter("d", Some(180_000)), counter("n", None));
        let mut chosen = Chosen::default();
        chosen.hear(&day, true, Millis(1));
        assert!(!chosen.is_full(&day), "nobody asked for it");
        chosen.watch(&[day.clone(), never.clone()], Millis(1));
        chosen.hear(&day, true, Millis(1));
        assert!(chosen.is_full(&day) && !chosen.is_full(&never) && !chosen.is_full(&next));
        let late = Millis(1).plus(REMEMBERED);
        for (now, is_due) in [(Millis(2), false), (late, true), (late, false), (late.plus(REMEMBERED), true)] {
            assert_eq!(chosen.doubts(&day, now), is_due, "{now:?}");
            assert!(chosen.is_full(&day));
        }
        chosen.hear(&day, false, late);
        assert!(!chosen.is_full(&day) && !chosen.doubts(&day, Millis(80_000)));
        // A window that has ended is forgotten with the first attempt of the next.
        chosen.hear(&day, true, late);
        chosen.watch(std::slice::from_ref(&next), Millis(90_000));
        assert_eq!(chosen.0.keys().collect::<Vec<_>>(), [&next, &never]);
        chosen.clear();
        assert!(chosen.0.is_empty());
    }
}
