//! Counters that are known to be used up: nobody has to ask for them again.
//!
//! A counter never goes down before its window ends, so what is used up once stays so. It is remembered for
//! [`REMEMBERED`] at most all the same: somebody may raise a cap in the service, or empty its store.

use std::collections::BTreeMap;

use super::Counter;
use crate::units::Millis;

/// How long a refusal is remembered at most.
pub const REMEMBERED: Millis = Millis::from_secs(10);

/// The most that is remembered; what does not fit is asked for again.
const MOST: usize = 4096;

/// What one worker knows to be used up.
#[derive(Debug, Default)]
pub struct Full(BTreeMap<Vec<Counter>, Millis>);

impl Full {
    /// Takes note that one of `counters` is used up. Which one need not be known: until the first of their windows ends it
    /// is still so.
    pub fn learn(&mut self, counters: Vec<Counter>, now: Millis) {
        if self.0.len() >= MOST {
            self.0.retain(|_, until| *until > now);
        }
        let end = counters.iter().filter_map(|counter| counter.end).min();
        let until = end.map_or(now.plus(REMEMBERED), |end| end.min(now.plus(REMEMBERED)));
        if until > now && self.0.len() < MOST {
            self.0.insert(counters, until);
        }
    }

    /// The positions in `asked` of those that are used up: all of them where it is not known which. Empty: ask.
    pub fn find(&self, asked: &[Counter], now: Millis) -> Vec<usize> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let holds = |counters: &[Counter]| self.0.get(counters).is_some_and(|until| *until > now);
        let ones = asked.iter().enumerate().filter(|(_, counter)| holds(std::slice::from_ref(counter)));
        let mut found: Vec<usize> = ones.map(|(i, _)| i).collect();
        if found.is_empty() && holds(asked) {
            found.extend(0..asked.len());
        }
        found
    }

    /// Forgets everything: caps may have changed.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::{Full, MOST, REMEMBERED};
    use crate::rls::Counter;
    use crate::rls::testing::counter;
    use crate::units::Millis;

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_used_up_stays_so_until_the_first_window_ends() {
        let (minute, day, never) = (counter("m", Some(5000)), counter("d", Some(90_000)), counter("n", None));
        let mut full = Full::default();
        full.learn(vec![day.clone()], Millis(1000));
        full.learn(vec![minute.clone(), never.clone()], Millis(1000));
        let rows: [(&[&Counter], u64, &[usize]); 9] = [
            (&[&day], 1000, &[0]),
            (&[&minute, &day], 1000, &[1]),
            (&[&day], 1000 + REMEMBERED.0, &[]),
            (&[&minute, &never], 4999, &[0, 1]),
            (&[&minute, &never], 5000, &[]),
            // One of the two may have room.
            (&[&minute], 2000, &[]),
            (&[&minute, &never, &counter("x", None)], 2000, &[]),
            (&[&counter("d", Some(180_000))], 1000, &[]),
            (&[], 1000, &[]),
        ];
        for (asked, now, expected) in rows {
            let asked: Vec<Counter> = asked.iter().copied().cloned().collect();
            assert_eq!(full.find(&asked, Millis(now)), expected, "{asked:?} at {now}");
        }
        full.clear();
        assert!(full.find(&[day], Millis(1000)).is_empty());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_thousand_accounts_are_no_more_than_the_bound() {
        let mut full = Full::default();
        for i in 0..2 * MOST {
            full.learn(vec![counter(&i.to_string(), None)], Millis(1000));
        }
        assert_eq!(full.0.len(), MOST);
        full.learn(vec![counter("late", None)], Millis(1000).plus(REMEMBERED));
        assert_eq!(full.0.len(), 1);
    }
}
