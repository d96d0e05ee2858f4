//! When a budget starts anew.
//!
//! ## Why windows are fixed
//!
//! A window's end depends on the clock alone, never on the first request: whoever asks, after whatever restart, gets
//! the same end, so nothing has to be remembered to agree on it. Ends lie where people expect them, on the hour, at
//! midnight, on Monday, on the first of the month, all in UTC.
//!
//! The price is that a window can be used up twice around its end: a cap of 10 USD a day allows 20 USD within two
//! minutes around midnight.

use crate::units::Millis;

/// How long a budget lasts, and on which ends it is aligned: `1d`, `30m`, `1mo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// Ends at every multiple of `period`, counted from `origin`. `period > 0`, `origin < period`.
    Every { period: u64, origin: u64 },
    /// Ends on the first day of each month whose number since January 1970 is a multiple of `count`. `count > 0`.
    Months { count: u64 },
}

impl Window {
    /// Reads LiteLLM's duration: a whole number and one of `s m h d w mo`.
    ///
    /// Seconds, minutes, hours and days are aligned to multiples since the epoch, so that `1h` ends on the hour and
    /// `1d` at midnight; weeks and `7d` to Mondays; months to January 1970, so that `3mo` is a calendar quarter.
    /// `None` for zero, for anything else and for more than a thousand years.
    pub fn parse(text: &str) -> Option<Self> {
        let (digits, unit) = text.split_at_checked(text.find(|c: char| !c.is_ascii_digit())?)?;
        let count: u64 = digits.parse().ok()?;
        let kind = match unit {
            "s" => every(count, SECOND, 0)?,
            "m" => every(count, MINUTE, 0)?,
            "h" => every(count, HOUR, 0)?,
            "d" if count == 7 => every(count, DAY, MONDAY)?,
            "d" => every(count, DAY, 0)?,
            "w" => every(count, WEEK, MONDAY)?,
            "mo" => months(count)?,
            _ => return None,
        };
        Some(Self(kind))
    }

    /// The end of the window that holds `now`: the first end that is later than `now`.
    pub fn end_after(&self, now: Millis) -> Millis {
        match self.0 {
            Kind::Every { period, origin } => Millis(next_multiple(now.0, period, origin)),
            Kind::Months { count } => {
                let month = next_multiple(month_of(now.0 / DAY), count, 0);
                Millis(first_day(month).saturating_mul(DAY))
            }
        }
    }
}

fn every(count: u64, unit: u64, origin: u64) -> Option<Kind> {
    let period = count.checked_mul(unit)?;
    (1..=LONGEST).contains(&period).then_some(Kind::Every { period, origin })
}

fn months(count: u64) -> Option<Kind> {
    (1..=LONGEST_MONTHS).contains(&count).then_some(Kind::Months { count })
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
const WEEK: u64 = 604_800_000;
/// The first Monday since the epoch, 1970-01-05.
const MONDAY: u64 = 345_600_000;
/// A thousand years: what is longer is a slip of the pen.
const LONGEST: u64 = 31_557_600_000_000;
const LONGEST_MONTHS: u64 = 12_000;
const DAYS_PER_ERA: u64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_SINCE_MARCH_0: u64 = 719_468;
/// Months from March of year 0 to January 1970.
const EPOCH_MONTHS_SINCE_MARCH_0: u64 = 23_638;

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]
mod tests {
    use super::{DAY, HOUR, Kind, MONDAY, WEEK, Window, first_day, month_of};
    use crate::units::Millis;
    use wasm_bindgen_test::wasm_bindgen_test;

    /// Milliseconds of a UTC time since 1970, counted day by day.
    fn utc(year: u64, month: u64, day: u64, hour: u64, millis: u64) -> u64 {
        let leap = |y: u64| y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400));
        let years: u64 = (1970..year).map(|y| if leap(y) { 366 } else { 365 }).sum();
        let lengths = [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let months: u64 = lengths.iter().take(month as usize - 1).sum();
        (years + months + day - 1) * DAY + hour * HOUR + millis
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn windows_end_where_the_calendar_says() {
        let rows = [
            ("30s", utc(2026, 11, 23, 4, 29_999), utc(2026, 11, 23, 4, 30_000)),
            ("30s", utc(2026, 11, 23, 4, 30_000), utc(2026, 11, 23, 4, 60_000)),
            ("5m", utc(2026, 11, 23, 4, 1), utc(2026, 11, 23, 4, 300_000)),
            ("1h", utc(2026, 12, 31, 23, 1), utc(2027, 1, 1, 0, 0)),
            ("1d", utc(2026, 11, 23, 0, 0), utc(2026, 11, 24, 0, 0)),
            ("1d", utc(2026, 11, 23, 23, 3_599_999), utc(2026, 11, 24, 0, 0)),
            ("7d", utc(2026, 11, 22, 23, 0), utc(2026, 11, 23, 0, 0)),
            ("1w", utc(2026, 11, 23, 0, 0), utc(2026, 11, 30, 0, 0)),
            ("2d", 0, 2 * DAY),
            ("30d", 29 * DAY, 30 * DAY),
            ("30d", 30 * DAY, 60 * DAY),
            ("1w", 0, MONDAY),
            ("1mo", 0, utc(1970, 2, 1, 0, 0)),
            ("1mo", utc(2026, 1, 31, 23, 3_599_999), utc(2026, 2, 1, 0, 0)),
            ("1mo", utc(2026, 2, 28, 12, 0), utc(2026, 3, 1, 0, 0)),
            ("1mo", utc(2028, 2, 28, 23, 0), utc(2028, 3, 1, 0, 0)),
            ("1mo", utc(2028, 2, 29, 23, 0), utc(2028, 3, 1, 0, 0)),
            ("1mo", utc(2026, 12, 1, 0, 0), utc(2027, 1, 1, 0, 0)),
            ("1mo", utc(2100, 2, 28, 23, 0), utc(2100, 3, 1, 0, 0)),
            ("3mo", utc(2026, 11, 23, 4, 0), utc(2027, 1, 1, 0, 0)),
            ("12mo", utc(2026, 1, 1, 0, 0), utc(2027, 1, 1, 0, 0)),
        ];
        for (window, now, end) in rows {
            assert_eq!(Window::parse(window).unwrap().end_after(Millis(now)), Millis(end), "{window} at {now}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn every_month_of_four_centuries_begins_where_the_days_say() {
        for (month, year) in (1970..2370).flat_map(|year| (1..=12).map(move |month| (month, year))) {
            let (first, number) = (utc(year, month, 1, 0, 0) / DAY, (year - 1970) * 12 + month - 1);
            assert_eq!((first_day(number), month_of(first)), (first, number));
            assert!(first == 0 || month_of(first - 1) == number - 1);
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_week_is_seven_days_from_monday() {
        assert_eq!(Window::parse("7d"), Window::parse("1w"));
        assert_eq!(Window::parse("2w"), Some(Window(Kind::Every { period: 2 * WEEK, origin: MONDAY })));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_no_duration_is_none() {
        let rows = [
            "",
            "d",
            "1",
            "0s",
            "0mo",
            "-1d",
            "+1d",
            "1.5h",
            "1 d",
            "1y",
            "1D",
            "1dd",
            "1d ",
            "d1",
            "99999999999999999999d",
        ];
        for text in rows.into_iter().chain(["18446744073709551615s", "1001w1", "12001mo", "400000d"]) {
            assert_eq!(Window::parse(text), None, "{text}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_end_of_time_does_not_wrap() {
        for text in ["1s", "1w", "1mo", "7mo", "12000mo"] {
            let end = Window::parse(text).unwrap().end_after(Millis(u64::MAX));
            assert!(end.0 > u64::MAX / 2, "{text}: {end:?}");
        }
    }
}
