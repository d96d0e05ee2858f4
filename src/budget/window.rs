//! When a budget starts anew.
//!
//! ## Why windows are fixed
//!
//! A window's end depends on the clock alone, never on the first request: whoever asks, after whatever restart, gets
//! the same end, so nothing has to be remembered to agree on it. Ends lie where people expect them, on the hour, at
//! midnight, on Monday, on the first of the month.
//!
//! The price is that a window can be used up twice around its end: a cap of 10 USD a day allows 20 USD within two
//! minutes around midnight.
//!
//! # Limits
//!
//! `timezone` and `budget_reset_time` move the ends of days, weeks and months. Seconds, minutes and hours are aligned in
//! UTC: where a zone is half an hour off, `1h` ends at half past.

use std::fmt;

use crate::bytes::number_of;
use crate::units::Millis;
use crate::zone::Zone;

/// How long a budget lasts, and on which ends it is aligned: `1d`, `30m`, `1mo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    kind: Kind,
    code: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// Ends at every multiple of `period` in UTC. `period > 0`.
    Every { period: u64 },
    /// Ends on every `count`th day, counted from `origin`. `count > 0`.
    Days { count: u64, origin: u64, reset: Reset },
    /// Ends on the first day of each month whose number since January 1970 is a multiple of `count`. `count > 0`.
    Months { count: u64, reset: Reset },
}

/// Where and when days end, for budgets: `timezone` and `budget_reset_time`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reset {
    /// `None`: UTC.
    pub zone: Option<Zone>,
    /// The time of day, since midnight.
    pub at: Millis,
}

impl Reset {
    /// The day that `now` belongs to.
    fn day(&self, now: Millis) -> u64 {
        let (day, time) = match &self.zone {
            Some(zone) => zone.shown(now),
            None => (now.0 / DAY, Millis(now.0 % DAY)),
        };
        if time < self.at { day.saturating_sub(1) } else { day }
    }

    /// When a day begins.
    fn instant(&self, day: u64) -> Millis {
        let in_zone = self.zone.as_ref().and_then(|zone| zone.instant(day, self.at));
        in_zone.unwrap_or_else(|| Millis(day.saturating_mul(DAY)).plus(self.at))
    }

    /// The first beginning of one of the days that `next` steps to that is later than `now`.
    ///
    /// The search begins a day early: where clocks are put forward, a clock may show that a day has begun before it has.
    /// Where they are put back, a day may seem to begin twice: the first time counts.
    fn first_after(&self, now: Millis, next: impl Fn(u64) -> u64) -> Millis {
        let mut day = next(self.day(now).saturating_sub(1));
        for _ in 0..2 {
            let begin = self.instant(day);
            if begin > now {
                return begin;
            }
            day = next(day);
        }
        self.instant(day)
    }

    fn code(&self) -> String {
        format!("{}+{}", self.zone.as_ref().map_or("", Zone::name), self.at.0)
    }
}

impl Window {
    /// Reads LiteLLM's duration: a whole number and one of `s m h d w mo`.
    ///
    /// Seconds, minutes and hours are aligned to multiples since the epoch, so that `1h` ends on the hour; days end at
    /// `reset`, weeks and `7d` on Mondays, other numbers of days where their multiples since the epoch do; months are
    /// counted from January 1970, so that `3mo` is a calendar quarter. `None` for zero, for anything else and for more than
    /// a thousand years.
    pub fn parse(text: &str, reset: &Reset) -> Option<Self> {
        let (digits, unit) = text.split_at_checked(text.find(|c: char| !c.is_ascii_digit())?)?;
        let count: u64 = digits.parse().ok()?;
        let kind = match unit {
            "s" => every(count, SECOND)?,
            "m" => every(count, MINUTE)?,
            "h" => every(count, HOUR)?,
            "d" if count == 7 => days(count, MONDAY, reset)?,
            "d" => days(count, 0, reset)?,
            "w" => days(count.checked_mul(7)?, MONDAY, reset)?,
            "mo" => months(count, reset)?,
            _ => return None,
        };
        let name = match &kind {
            Kind::Every { period } => format!("ms {period}"),
            Kind::Days { count, origin, reset } => format!("d {count} {origin} {}", reset.code()),
            Kind::Months { count, reset } => format!("mo {count} {}", reset.code()),
        };
        Some(Self { kind, code: number_of(name).max(1) })
    }

    /// The end of the window that holds `now`: the first end that is later than `now`.
    pub fn end_after(&self, now: Millis) -> Millis {
        match &self.kind {
            Kind::Every { period } => Millis(next_multiple(now.0, *period, 0)),
            Kind::Days { count, origin, reset } => reset.first_after(now, |day| next_multiple(day, *count, *origin)),
            Kind::Months { count, reset } => {
                reset.first_after(now, |day| first_day(next_multiple(month_of(day), *count, 0)))
            }
        }
    }

    /// A number that windows with the same ends share, never 0: the same in every worker and after an update.
    pub const fn code(&self) -> u64 {
        self.code
    }

    /// The longest that it lasts.
    pub fn longest(&self) -> Millis {
        let days = match &self.kind {
            Kind::Every { period } => return Millis(*period),
            Kind::Days { count, .. } => *count,
            Kind::Months { count, .. } => count.saturating_mul(31),
        };
        // A day more, for clocks that are put back.
        Millis(days.saturating_add(1).saturating_mul(DAY))
    }
}

/// As a config would say it: `30s`, `5m`, `1h`, `7d`, `1mo`.
impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Months { count, .. } => write!(f, "{count}mo"),
            Kind::Days { count, .. } => write!(f, "{count}d"),
            Kind::Every { period } => {
                let units = [(HOUR, "h"), (MINUTE, "m"), (SECOND, "s")];
                let (unit, name) =
                    units.into_iter().find(|(unit, _)| period.is_multiple_of(*unit)).unwrap_or((1, "ms"));
                write!(f, "{}{name}", period.checked_div(unit).unwrap_or(0))
            }
        }
    }
}

fn every(count: u64, unit: u64) -> Option<Kind> {
    let period = count.checked_mul(unit)?;
    (1..=LONGEST_DAYS.saturating_mul(DAY)).contains(&period).then_some(Kind::Every { period })
}

fn days(count: u64, origin: u64, reset: &Reset) -> Option<Kind> {
    (1..=LONGEST_DAYS).contains(&count).then(|| Kind::Days { count, origin, reset: reset.clone() })
}

fn months(count: u64, reset: &Reset) -> Option<Kind> {
    (1..=LONGEST_MONTHS).contains(&count).then(|| Kind::Months { count, reset: reset.clone() })
}

/// The first `origin + k * period` after `at`.
fn next_multiple(at: u64, period: u64, origin: u64) -> u64 {
    let Some(past) = at.checked_sub(origin) else {
        return origin;
    };
    let into = past.checked_rem(period).unwrap_or(0);
    at.saturating_sub(into).saturating_add(period)
}

/// The month that holds a day since the epoch, as a number since January 1970.
///
/// Counts in years that begin in March, so that a leap day is the last day of its year.
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms"
/// <https://howardhinnant.github.io/date_algorithms.html>.
fn month_of(day: u64) -> u64 {
    let day = day.saturating_add(EPOCH_SINCE_MARCH_0);
    let (era, of_era) = (day / DAYS_PER_ERA, day % DAYS_PER_ERA);
    let leap_days = (of_era / 1460).saturating_add(of_era / 146_096);
    let year = of_era.saturating_add(of_era / 36_524).saturating_sub(leap_days) / 365;
    let of_year = of_era.saturating_sub(days_before(year));
    let from_march = of_year.saturating_mul(5).saturating_add(2) / 153;
    let months = era.saturating_mul(400).saturating_add(year).saturating_mul(12).saturating_add(from_march);
    months.saturating_sub(EPOCH_MONTHS_SINCE_MARCH_0)
}

/// The first day, since the epoch, of a month since January 1970: the inverse of [`month_of`].
fn first_day(month: u64) -> u64 {
    let month = month.saturating_add(EPOCH_MONTHS_SINCE_MARCH_0);
    let (year, from_march) = (month / 12, month % 12);
    let of_year = from_march.saturating_mul(153).saturating_add(2) / 5;
    days_before(year).saturating_add(of_year).saturating_sub(EPOCH_SINCE_MARCH_0)
}

/// Days from the first of March of year 0 to the first of March of `year`.
fn days_before(year: u64) -> u64 {
    let leaps = (year / 4).saturating_add(year / 400).saturating_sub(year / 100);
    year.saturating_mul(365).saturating_add(leaps)
}

const SECOND: u64 = 1000;
const MINUTE: u64 = 60_000;
const HOUR: u64 = 3_600_000;
const DAY: u64 = 86_400_000;
/// The first Monday since the epoch, 1970-01-05, in days.
const MONDAY: u64 = 4;
/// A thousand years: what is longer is a slip of the pen.
const LONGEST_DAYS: u64 = 365_250;
const LONGEST_MONTHS: u64 = 12_000;
const DAYS_PER_ERA: u64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_SINCE_MARCH_0: u64 = 719_468;
/// Months from March of year 0 to January 1970.
const EPOCH_MONTHS_SINCE_MARCH_0: u64 = 23_638;

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]
#[path = "window_tests.rs"]
mod tests;
