//! Facts by deployment: sorted numbers, and in the same order what is known of each.
//!
//! Three flat arrays and not a tree of rows: a board is decoded, merged and encoded twenty times a second by every
//! worker, which is three copies of memory this way.

use super::{MAX_DEPLOYMENTS, Words, minute};
use crate::units::Millis;

/// Facts by deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rows {
    /// How many samples of each kind are kept, at most [`MAX_SAMPLES`].
    keep: usize,
    numbers: Vec<u64>,
    heads: Vec<Head>,
    /// `2 * keep` of each deployment: first tokens, then paces; the newest first, then empty ones.
    samples: Vec<Sample>,
}

/// What is known of one deployment.
pub(super) struct Row<'a> {
    pub(super) head: &'a Head,
    pub(super) ttft: &'a [Sample],
    pub(super) pace: &'a [Sample],
}

/// The same, to be changed.
pub(super) struct RowMut<'a> {
    pub(super) head: &'a mut Head,
    pub(super) ttft: &'a mut [Sample],
    pub(super) pace: &'a mut [Sample],
}

/// Counts of one deployment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// The minute, since the epoch, in which were counted:
    pub(super) minute: u64,
    pub(super) requests: u64,
    pub(super) failures: u64,
    pub(super) tokens: u64,
    /// Attempts under way, whenever they began.
    pub(super) in_flight: u64,
}

/// How long something took; the default is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sample {
    /// The second, since the epoch, in which it was taken; 0: never.
    taken: u32,
    micros: u32,
}

impl Rows {
    pub(super) fn new(keep: usize) -> Self {
        Self { keep: keep.min(MAX_SAMPLES), ..Self::default() }
    }

    /// Reads `count` rows that [`Rows::write`] wrote.
    pub(super) fn read(words: &mut Words<'_>, keep: usize, count: usize) -> Option<Self> {
        if keep > MAX_SAMPLES || count > MAX_DEPLOYMENTS {
            return None;
        }
        let numbers: Vec<u64> = words.take(count)?.collect();
        let heads = (0..count).map(|_| words.array().map(Head::of)).collect::<Option<Vec<_>>>()?;
        let samples = words.take(2 * keep * count)?.map(Sample::of).collect();
        numbers.is_sorted_by(|a, b| a < b).then_some(Self { keep, numbers, heads, samples })
    }

    pub(super) fn write(&self, put: &mut impl FnMut(u64)) {
        self.numbers.iter().for_each(|&number| put(number));
        self.heads.iter().for_each(|head| head.words().into_iter().for_each(&mut *put));
        self.samples.iter().for_each(|sample| put(sample.word()));
    }

    /// How many words [`Rows::write`] puts.
    pub(super) fn words(&self) -> usize {
        self.numbers.len() * 6 + self.samples.len()
    }

    pub(super) fn keep(&self) -> usize {
        self.keep
    }

    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    pub(super) fn get(&self, number: u64) -> Option<Row<'_>> {
        self.row(self.numbers.binary_search(&number).ok()?)
    }

    /// The row of `number`, an empty one where there was none; `None` when there are too many.
    pub(super) fn entry(&mut self, number: u64) -> Option<RowMut<'_>> {
        let at = match self.numbers.binary_search(&number) {
            Ok(at) => at,
            Err(_) if self.numbers.len() >= MAX_DEPLOYMENTS => return None,
            Err(at) => {
                let first = 2 * self.keep * at;
                self.numbers.insert(at, number);
                self.heads.insert(at, Head::default());
                self.samples.splice(first..first, std::iter::repeat_n(Sample::default(), 2 * self.keep));
                at
            }
        };
        let first = 2 * self.keep * at;
        let samples = self.samples.get_mut(first..first + 2 * self.keep)?;
        let (ttft, pace) = samples.split_at_mut_checked(self.keep)?;
        Some(RowMut { head: self.heads.get_mut(at)?, ttft, pace })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, Row<'_>)> {
        self.numbers.iter().enumerate().filter_map(|(at, &number)| Some((number, self.row(at)?)))
    }

    pub(super) fn heads(&mut self) -> impl Iterator<Item = (u64, &mut Head)> {
        self.numbers.iter().copied().zip(&mut self.heads)
    }

    /// Keeps as many samples as that.
    pub(super) fn resize(&mut self, keep: usize) {
        let keep = keep.min(MAX_SAMPLES);
        if keep != self.keep {
            let lists = self.iter().flat_map(|(_, row)| [row.ttft, row.pace]);
            let fill = std::iter::repeat(Sample::default());
            let samples = lists.flat_map(|list| list.iter().copied().chain(fill.clone()).take(keep)).collect();
            (self.samples, self.keep) = (samples, keep);
        }
    }

    /// Drops the rows that `is_kept` does not let stay.
    pub(super) fn retain(&mut self, is_kept: impl Fn(u64, &Head) -> bool) {
        let mut kept = Self::new(self.keep);
        for (number, row) in self.iter().filter(|(number, row)| is_kept(*number, row.head)) {
            kept.numbers.push(number);
            kept.heads.push(*row.head);
            kept.samples.extend(row.ttft.iter().chain(row.pace));
        }
        *self = kept;
    }

    fn row(&self, at: usize) -> Option<Row<'_>> {
        let first = 2 * self.keep * at;
        let (ttft, pace) = self.samples.get(first..first + 2 * self.keep)?.split_at_checked(self.keep)?;
        Some(Row { head: self.heads.get(at)?, ttft, pace })
    }
}

impl Head {
    const fn of([minute, requests, failures, tokens, in_flight]: [u64; 5]) -> Self {
        Self { minute, requests, failures, tokens, in_flight }
    }

    const fn words(&self) -> [u64; 5] {
        [self.minute, self.requests, self.failures, self.tokens, self.in_flight]
    }

    /// Starts the counts anew where they are of another minute than `now`'s. A minute ahead is let be: another worker
    /// has read its clock just after the turn, and this one just before.
    pub(super) fn roll(&mut self, now: Millis) {
        let minute = minute(now);
        if self.minute != minute && self.minute != minute.saturating_add(1) {
            *self = Self { minute, in_flight: self.in_flight, ..Self::default() };
        }
    }

    /// Adds what was counted in the same minute.
    pub(super) fn add(&mut self, other: &Self) {
        if self.minute == other.minute {
            self.requests = self.requests.saturating_add(other.requests);
            self.failures = self.failures.saturating_add(other.failures);
            self.tokens = self.tokens.saturating_add(other.tokens);
        }
    }

    /// What was counted in the minute of `now`.
    pub(super) fn at(&self, now: Millis) -> Self {
        if self.minute == minute(now) { *self } else { Self { in_flight: self.in_flight, ..Self::default() } }
    }
}

impl Sample {
    /// What took `micros`, and ended `now`.
    pub(super) fn new(now: Millis, micros: u64) -> Self {
        let clamp = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        Self { taken: clamp(now.0 / 1000).max(1), micros: clamp(micros) }
    }

    /// Adds `sample` to a list, in the place of the oldest. Among those of one second the one that came last is newest.
    pub(super) fn push(list: &mut [Self], sample: Self) {
        let newer = list.iter().take_while(|before| before.taken > sample.taken).count();
        let Some(older) = list.get_mut(newer..) else { return };
        if let Some(oldest) = older.last_mut() {
            *oldest = sample;
            older.rotate_right(1);
        }
    }

    /// Adds those of another list.
    pub(super) fn push_all(list: &mut [Self], newest_first: &[Self]) {
        newest_first.iter().rev().filter(|sample| sample.taken > 0).for_each(|&sample| Self::push(list, sample));
    }

    /// The mean of those that are at most `ttl` old, in microseconds. Of all lists, each the newest first, the first
    /// `keep` samples count.
    pub(super) fn mean(lists: [&[Self]; 2], keep: usize, now: Millis, ttl: Millis) -> Option<f64> {
        let since = (now.since(ttl).0 / 1000).max(1);
        let (mut left, mut count, mut sum) = (keep, 0u32, 0u64);
        for list in lists {
            let taken = list.iter().take(left).take_while(|sample| sample.taken > 0);
            for sample in taken {
                left -= 1;
                if u64::from(sample.taken) >= since {
                    count += 1;
                    sum += u64::from(sample.micros);
                }
            }
        }
        (count > 0).then(|| sum as f64 / f64::from(count))
    }

    const fn of(word: u64) -> Self {
        Self { taken: (word >> 32) as u32, micros: word as u32 }
    }

    const fn word(&self) -> u64 {
        (self.taken as u64) << 32 | self.micros as u64
    }
}

/// The most samples of a kind, whatever `max_latency_list_size` says.
const MAX_SAMPLES: usize = 32;
