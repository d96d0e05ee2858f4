//! What is kept of an account: its ledger and its meter, one value in what all workers share.

use super::{Account, Demand, Lack};
use crate::budget::{Ledger, Reservation};
use crate::routing::{Meter, Place};

/// What is kept of an account.
#[derive(Clone, Debug, Default)]
pub(super) struct Books {
    pub(super) ledger: Ledger,
    /// Empty for an account without limits.
    pub(super) meter: Meter,
}

impl Books {
    /// Reads what [`Books::encode`] wrote; anything else is empty books.
    pub(super) fn decode(bytes: &[u8]) -> Self {
        let (ledger, meter) = Ledger::decode(bytes);
        Self { ledger, meter: Meter::decode(meter) }
    }

    /// The ledger, then the meter where it has counted anything.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = self.ledger.encode();
        if self.meter != Meter::default() {
            bytes.extend(self.meter.encode());
        }
        bytes
    }

    /// What `account` lacks for a request.
    pub(super) fn lack(&mut self, account: &Account, demand: &Demand<'_>, vm: u64, is_shadow: bool) -> Option<Lack> {
        let now = demand.now;
        if let Some(refusal) = self.ledger.lack(now, &account.budgets, is_shadow) {
            return Some(Lack::Budget(refusal));
        }
        let limits = Some(if is_shadow { &account.shadow_limits } else { &account.limits });
        let limits = limits.filter(|limits| !limits.is_none())?;
        self.meter.lack(now, limits, demand.tokens, vm, demand.is_alive).map(Lack::Limit)
    }

    /// Takes what a request needs of `account`, and tells what budgets and limits in shadow mode would refuse. Where it fails
    /// nothing is taken.
    pub(super) fn take(&mut self, account: &Account, demand: &Demand<'_>, vm: u64) -> Result<Taken, Lack> {
        if let Some(lack) = self.lack(account, demand, vm, false) {
            return Err(lack);
        }
        let shadow = self.lack(account, demand, vm, true);
        let now = demand.now;
        let reservation = (!account.budgets.is_empty()).then(|| self.ledger.hold(now, &account.budgets, demand.cost));
        let place = account.has_limits().then(|| self.meter.hold(now, demand.tokens, vm));
        Ok(Taken { reservation: reservation.unwrap_or_default(), place, shadow, is_told_later: false })
    }
}

/// What a request has taken of one account.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Taken {
    pub(super) reservation: Reservation,
    pub(super) place: Option<Place>,
    pub(super) shadow: Option<Lack>,
    /// Whether the books may be told of its end at the next tick: they have room to spare.
    pub(super) is_told_later: bool,
}
