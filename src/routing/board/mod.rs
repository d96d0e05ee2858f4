//! The board: soft facts about the deployments, from all workers, in one value.
//!
//! How busy, how fast and how used a deployment is: good to know, and no harm if it is 50 ms old. So nobody writes the
//! board on a request. Each VM notes what it sees in its [`Local`]; on its tick it merges that into the board (decode,
//! [`Board::merge`], encode, compare-and-swap, again on the board that won) and keeps the result. A request looks at a
//! [`View`]: that copy, and what the VM has noted since.
//!
//! ## The facts
//!
//! - Requests, failures and tokens of the running minute of the clock. Whoever comes late with facts of the minute
//!   before drops them. An attempt counts with the tokens set aside for it, then with those above them that it used.
//! - The last samples of how long the first token of a stream took, and how long a token of a whole answer took, each
//!   with the second it was taken in. Merging keeps the newest.
//! - Attempts under way. Each VM states its own counts as they are, not their changes; the board holds the lists and
//!   their sums. A VM with something under way must merge at least every second ([`Local::is_due`]), and one that was
//!   silent for five is dropped with its counts: a VM that trapped or was replaced leaves nothing behind.
//!
//! Merging is commutative for all but the samples of one second. With no samples to keep (only
//! `latency-based-routing` asks for them) a deployment takes 48 bytes, and 16 more for each sample of both kinds.
//!
//! ## What it costs
//!
//! With 1,000 deployments and ten samples of each kind (208 KB), natively: 10 us to decode, 24 us to encode, 6 us to merge
//! what was seen of 50 deployments, 200 us of all with twenty samples each; 0.06 us to look at one.
//!
//! # Limits
//!
//! - 4,096 deployments. Beyond, those that nobody asked for an hour make room once; where none did, the newcomer is
//!   not noted and looks as if it was never asked.
//! - 256 VMs with attempts under way. Beyond, the one silent for longest is dropped until it merges again.
//! - A clock that is set back keeps samples longer, by as much; counts and VMs start anew.

mod local;
mod rows;
mod view;

pub use local::Local;
pub use view::View;

use self::rows::{Rows, Sample};
use crate::units::Millis;

/// What all workers have seen of the deployments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Board {
    rows: Rows,
    vms: Vec<Vm>,
}

/// A VM with attempts under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Vm {
    nonce: u64,
    /// When it merged last.
    beat: Millis,
    /// Attempts under way by deployment, sorted by number.
    in_flight: Vec<(u64, u64)>,
}

impl Board {
    /// Reads what [`Board::encode`] wrote. Anything else, another version's bytes too, is an empty board.
    pub fn decode(bytes: &[u8]) -> Self {
        Self::read(bytes).unwrap_or_default()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut words = Words(bytes.strip_prefix(&VERSION)?);
        let [keep, rows, vms] = words.array()?;
        let rows = Rows::read(&mut words, usize::try_from(keep).ok()?, usize::try_from(rows).ok()?)?;
        let vms = (0..vms).map(|_| Vm::read(&mut words)).take(MAX_VMS + 1).collect::<Option<Vec<_>>>()?;
        (words.0.is_empty() && vms.len() <= MAX_VMS).then_some(Self { rows, vms })
    }

    /// The board in little-endian 64-bit words after the version: how many samples are kept of each kind, how many
    /// deployments, how many VMs; the deployments' numbers, their heads, their samples; then each VM with its list.
    pub fn encode(&self) -> Vec<u8> {
        let lists: usize = self.vms.iter().map(|vm| 3 + 2 * vm.in_flight.len()).sum();
        let mut bytes = Vec::with_capacity(VERSION.len() + 8 * (3 + self.rows.words() + lists));
        bytes.extend_from_slice(&VERSION);
        let mut put = |word: u64| bytes.extend_from_slice(&word.to_le_bytes());
        [self.rows.keep(), self.rows.len(), self.vms.len()].into_iter().for_each(|count| put(count as u64));
        self.rows.write(&mut put);
        self.vms.iter().for_each(|vm| vm.write(&mut put));
        bytes
    }

    /// Adds what a VM has noted since its last merge, and takes its counts of attempts under way for those it had.
    ///
    /// Once the result is stored, [`Local::merged`] must be told; a board that lost the race is thrown away.
    pub fn merge(&mut self, now: Millis, local: &Local) {
        self.rows.resize(local.rows().keep());
        self.beat(now, local);
        self.make_room(now, local.rows());
        for (number, noted) in local.rows().iter() {
            let Some(row) = self.rows.entry(number) else { continue };
            row.head.roll(now);
            row.head.add(noted.head);
            Sample::push_all(row.ttft, noted.ttft);
            Sample::push_all(row.pace, noted.pace);
        }
        self.count_in_flight();
    }

    /// Whether a VM has attempts under way and was not silent for too long.
    pub fn is_alive(&self, now: Millis, nonce: u64) -> bool {
        self.vms.iter().any(|vm| vm.nonce == nonce && vm.is_alive(now))
    }

    /// Replaces the VM's list, and drops VMs that are silent.
    fn beat(&mut self, now: Millis, local: &Local) {
        self.vms.retain(|vm| vm.nonce != local.vm() && vm.is_alive(now));
        let in_flight: Vec<(u64, u64)> = local.in_flight().collect();
        if in_flight.is_empty() {
            return;
        }
        self.vms.push(Vm { nonce: local.vm(), beat: now, in_flight });
        if self.vms.len() > MAX_VMS
            && let Some(oldest) = (0..self.vms.len()).min_by_key(|&i| self.vms.get(i).map(|vm| vm.beat))
        {
            self.vms.remove(oldest);
        }
    }

    fn make_room(&mut self, now: Millis, noted: &Rows) {
        if self.rows.len() + noted.len() > MAX_DEPLOYMENTS {
            let since = minute(now).saturating_sub(STALE_MINUTES);
            self.rows.retain(|number, head| head.in_flight > 0 || head.minute >= since || noted.get(number).is_some());
        }
    }

    /// Sums the lists of all VMs up.
    fn count_in_flight(&mut self) {
        self.rows.heads().for_each(|(_, head)| head.in_flight = 0);
        for vm in &self.vms {
            let mut heads = self.rows.heads().peekable();
            for &(number, count) in &vm.in_flight {
                while heads.next_if(|(before, _)| *before < number).is_some() {}
                if let Some((_, head)) = heads.next_if(|(found, _)| *found == number) {
                    head.in_flight = head.in_flight.saturating_add(count);
                }
            }
        }
    }

    /// The list of one VM, as it was merged last.
    fn in_flight_of(&self, nonce: u64) -> &[(u64, u64)] {
        self.vms.iter().find(|vm| vm.nonce == nonce).map_or(&[], |vm| &vm.in_flight)
    }
}

impl Vm {
    fn is_alive(&self, now: Millis) -> bool {
        now.0.abs_diff(self.beat.0) <= SILENCE.0
    }

    fn read(words: &mut Words<'_>) -> Option<Self> {
        let [nonce, beat, count] = words.array()?;
        let count = usize::try_from(count).ok().filter(|count| *count <= MAX_DEPLOYMENTS)?;
        let pairs = (0..count).map(|_| words.array::<2>().map(|[number, count]| (number, count)));
        let in_flight = pairs.collect::<Option<Vec<_>>>()?;
        in_flight.is_sorted_by(|a, b| a.0 < b.0).then_some(Self { nonce, beat: Millis(beat), in_flight })
    }

    fn write(&self, put: &mut impl FnMut(u64)) {
        [self.nonce, self.beat.0, self.in_flight.len() as u64].into_iter().for_each(&mut *put);
        self.in_flight.iter().for_each(|&(number, count)| [number, count].into_iter().for_each(&mut *put));
    }
}

/// Bytes that are read as little-endian words.
struct Words<'a>(&'a [u8]);

impl<'a> Words<'a> {
    /// The next `count` words; `None` where there are fewer.
    fn take(&mut self, count: usize) -> Option<impl Iterator<Item = u64> + use<'a>> {
        let (words, rest) = self.0.split_at_checked(count.checked_mul(8)?)?;
        self.0 = rest;
        Some(words.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)))
    }

    fn array<const N: usize>(&mut self) -> Option<[u64; N]> {
        let mut array = [0; N];
        array.iter_mut().zip(self.take(N)?).for_each(|(slot, word)| *slot = word);
        Some(array)
    }
}

/// The minute of the clock, since the epoch.
const fn minute(now: Millis) -> u64 {
    now.0 / 60_000
}

/// Changes with the layout.
const VERSION: [u8; 8] = *b"TGBOARD1";
/// The most deployments that are noted: a few MB at most.
const MAX_DEPLOYMENTS: usize = 4096;
/// The most VMs with attempts under way: two on each worker of a large machine while one replaces the other.
const MAX_VMS: usize = 256;
/// After how many minutes a deployment that nobody asked makes room.
const STALE_MINUTES: u64 = 60;
/// How long a VM may be silent.
const SILENCE: Millis = Millis::from_secs(5);
/// How often a VM with attempts under way merges at least.
const BEAT: Millis = Millis::from_secs(1);

#[cfg(test)]
mod tests;
