//! Instants as configs and providers write them.

use crate::units::Millis;

/// Reads an RFC 3339 timestamp, `2027-01-31T00:00:00Z`, or a date alone, which means its first second in UTC; parts of a second are cut off.
///
/// Source: RFC 3339, 5.6 <https://www.rfc-editor.org/rfc/rfc3339#section-5.6>, read 2026-11-23.
pub(crate) fn rfc3339(text: &str) -> Option<Millis> {
    let (date, rest) = text.split_at_checked(10)?;
    let days = days(date)?;
    let seconds = if rest.is_empty() { 0 } else { seconds(rest)? };
    let instant = days.checked_mul(86_400)?.checked_add(seconds)?;
    u64::try_from(instant).ok().map(Millis::from_secs)
}

/// Reads the date of an HTTP header: `Sun, 06 Nov 1994 08:49:37 GMT`, or one of the two obsolete forms.
///
/// Source: RFC 9110, 5.6.7 <https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7>.
pub(crate) fn http_date(text: &str) -> Option<Millis> {
    let since_epoch = httpdate::parse_http_date(text).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Millis::from_secs(since_epoch.as_secs()))
}

/// Reads a time of day, `HH:MM` or `HH:MM:SS`: how long after midnight it is.
pub(crate) fn clock(text: &str) -> Option<Millis> {
    let [hour, minute, second] = match numbers(text, ':', [2, 2]) {
        Some([hour, minute]) => [hour, minute, 0],
        None => numbers(text, ':', [2, 2, 2])?,
    };
    let in_day = hour <= 23 && minute <= 59 && second <= 59;
    let seconds = hour * 3600 + minute * 60 + second;
    u64::try_from(seconds).ok().filter(|_| in_day).map(Millis::from_secs)
}

/// Days from 1970-01-01 to `YYYY-MM-DD`.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`
/// <https://howardhinnant.github.io/date_algorithms.html>, read 2026-11-23.
fn days(date: &str) -> Option<i64> {
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(is_leap),
        _ => 31,
    };
    if !(1..=12).contains(&month) || !(1..=longest).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (era, month) = (year.div_euclid(400), (month + 9) % 12);
    let year_of_era = year - era * 400;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// Seconds from the start of the day to `THH:MM:SS[.fff](Z|+HH:MM|-HH:MM)`.
fn seconds(text: &str) -> Option<i64> {
    let text = text.strip_prefix(['T', 't', ' '])?;
    let (clock, zone) = text.split_at_checked(8)?;
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let zone = match zone.strip_prefix('.') {
        Some(fraction) if fraction.starts_with(|c: char| c.is_ascii_digit()) => {
            fraction.trim_start_matches(|c: char| c.is_ascii_digit())
        }
        Some(_) => return None,
        None => zone,
    };
    let in_day = hour <= 23 && minute <= 59 && second <= 60;
    in_day.then_some(hour * 3600 + minute * 60 + second - offset(zone)?)
}

fn offset(zone: &str) -> Option<i64> {
    let (sign, clock) = match zone.split_at_checked(1)? {
        ("Z" | "z", "") => return Some(0),
        ("+", clock) => (1, clock),
        ("-", clock) => (-1, clock),
        _ => return None,
    };
    let [hour, minute] = numbers(clock, ':', [2, 2])?;
    (hour <= 23 && minute <= 59).then_some(sign * (hour * 3600 + minute * 60))
}

/// `N` numbers of exactly these widths.
fn numbers<const N: usize>(text: &str, between: char, widths: [usize; N]) -> Option<[i64; N]> {
    let parts: Vec<&str> = text.split(between).collect();
    let parts: [&str; N] = parts.try_into().ok()?;
    let is_number = |part: &str, width| part.len() == width && part.bytes().all(|b| b.is_ascii_digit());
    let fits = parts.iter().zip(widths).all(|(part, width)| is_number(part, width));
    fits.then(|| parts.map(|part| part.parse().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::{clock, http_date, rfc3339};
    use crate::units::Millis;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn timestamps_are_instants() {
        for (text, secs) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-02", 86_400),
            ("2027-01-31T00:00:00Z", 1_801_353_600),
            ("2024-02-29T12:30:15.987z", 1_709_209_815),
            ("2027-01-31T01:00:00+01:00", 1_801_353_600),
            ("2027-01-30 19:30:00-04:30", 1_801_353_600),
            ("2016-12-31T23:59:60Z", 1_483_228_800),
        ] {
            assert_eq!(rfc3339(text), Some(Millis::from_secs(secs)), "{text}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn dates_of_headers_are_instants() {
        for (text, secs) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777)),
            ("Sun Nov  6 08:49:37 1994", Some(784_111_777)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Sun, 31 Jan 2027 00:00:00 GMT", Some(1_801_353_600)),
            ("Wed, 31 Dec 1969 23:59:59 GMT", None),
            ("Sun, 06 Nov 1994 08:49:37 CET", None),
            ("Sun, 06 Nov 1994 24:49:37 GMT", None),
            ("1994-11-06T08:49:37Z", None),
            ("120", None),
            ("", None),
        ] {
            assert_eq!(http_date(text), secs.map(Millis::from_secs), "{text}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn times_of_day_have_two_or_three_parts() {
        let rows = [("00:00", Some(0)), ("09:30", Some(34_200)), ("23:59:59", Some(86_399))];
        let others = ["", "9:00", "24:00", "09:60", "09:00:60", "09", "09:00:00:00", "09:00Z", "-1:00"];
        for (text, secs) in rows.into_iter().chain(others.map(|text| (text, None))) {
            assert_eq!(clock(text), secs.map(Millis::from_secs), "{text}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn other_texts_are_none() {
        for text in [
            "",
            "2027",
            "2027-1-31",
            "2027-13-01",
            "2027-00-01",
            "2027-02-29",
            "1900-02-29",
            "2027-04-31",
            "2027-01-00",
            "1969-12-31T23:59:59Z",
            "2027-01-31T",
            "2027-01-31T00:00Z",
            "2027-01-31T24:00:00Z",
            "2027-01-31T00:60:00Z",
            "2027-01-31T00:00:00",
            "2027-01-31T00:00:00.Z",
            "2027-01-31T00:00:00Zx",
            "2027-01-31T00:00:00+1:00",
            "2027-01-31T00:00:00+24:00",
            "2027-01-+1",
            "ä027-01-31",
            "2027-01-3ä",
            "31.01.2027",
        ] {
            assert_eq!(rfc3339(text), None, "{text}");
        }
    }
}
