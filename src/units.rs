//! Quantities that must not be mixed up. Arithmetic saturates: a wrapped budget is worse than a full one.

use std::fmt;

/// Milliseconds: an instant since the Unix epoch, or a duration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(pub u64);

impl Millis {
    /// The duration of `seconds`.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// This instant, `duration` later.
    #[must_use]
    pub const fn plus(self, duration: Millis) -> Self {
        Self(self.0.saturating_add(duration.0))
    }

    /// The time from `earlier` to this instant; zero when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Millis) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }

    /// This instant in UTC, `2026-11-23T04:05:06Z`.
    ///
    /// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`
    /// <https://howardhinnant.github.io/date_algorithms.html>, read 2026-11-23.
    pub fn rfc3339(self) -> String {
        let (days, secs) = (self.0 / 86_400_000, self.0 / 1000 % 86_400);
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", secs / 3600, secs / 60 % 60, secs % 60)
    }

    /// Whole seconds, rounded up: what a `retry-after` header says.
    pub const fn secs_ceil(self) -> u64 {
        self.0.div_ceil(1000)
    }
}

/// Picodollars: 10^-12 USD, so that the cheapest price per token is still a whole number.
///
/// A `u64` of them reaches 18 million USD.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PicoUsd(pub u64);

impl PicoUsd {
    /// Picodollars in one USD.
    pub const PER_USD: u64 = 1_000_000_000_000;

    /// Reads an amount of USD from a config or a price table; `None` unless it is finite and not negative.
    pub fn from_usd(usd: f64) -> Option<Self> {
        let pico = (usd * Self::PER_USD as f64).round();
        (pico.is_finite() && pico >= 0.0).then_some(Self(pico as u64))
    }

    /// The sum.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, zero where `other` is larger.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// The price of `count` pieces of this price each.
    #[must_use]
    pub const fn times(self, count: u64) -> Self {
        Self(self.0.saturating_mul(count))
    }

    /// Whole nanodollars, rounded to the nearest: what counters count.
    pub const fn nano_usd(self) -> u64 {
        self.0.saturating_add(500) / 1000
    }
}

impl fmt::Display for PicoUsd {
    /// USD as a plain decimal number: `0.00012`, `50`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / Self::PER_USD, self.0 % Self::PER_USD);
        if fraction == 0 {
            return write!(f, "{whole}");
        }
        let digits = format!("{fraction:012}");
        write!(f, "{whole}.{}", digits.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::{Millis, PicoUsd};
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn money_prints_as_plain_usd() {
        for (usd, text) in
            [(0.0, "0"), (50.0, "50"), (1.5e-7, "0.00000015"), (0.25, "0.25"), (12.000000000001, "12.000000000001")]
        {
            assert_eq!(PicoUsd::from_usd(usd).unwrap().to_string(), text);
        }
        assert_eq!(PicoUsd::from_usd(-1.0), None);
        assert_eq!(PicoUsd::from_usd(f64::NAN), None);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn instants_print_in_utc() {
        for (secs, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_406_706, "2026-11-23T04:05:06Z"),
            (4_102_444_800, "2100-01-01T00:00:00Z"),
        ] {
            assert_eq!(Millis::from_secs(secs).rfc3339(), text);
        }
    }
}
