use wasm_bindgen_test::wasm_bindgen_test;

use super::{DAY, HOUR, Reset, Window, first_day, month_of};
use crate::time::{clock, rfc3339};
use crate::units::Millis;
use crate::zone::Zone;

fn parse(text: &str) -> Option<Window> {
    Window::parse(text, &Reset::default())
}

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
        ("1w", 0, 4 * DAY),
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
        assert_eq!(parse(window).unwrap().end_after(Millis(now)), Millis(end), "{window} at {now}");
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
    assert_eq!(parse("7d"), parse("1w"));
    assert_eq!(parse("2w").unwrap().end_after(Millis(5 * DAY)), Millis(18 * DAY));
    assert_eq!(parse("60m"), parse("1h"));
    assert_ne!(parse("2w").unwrap().code(), parse("14d").unwrap().code());
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
        assert_eq!(parse(text), None, "{text}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_end_of_time_does_not_wrap() {
    for text in ["1s", "1w", "1mo", "7mo", "12000mo"] {
        let end = parse(text).unwrap().end_after(Millis(u64::MAX));
        assert!(end.0 > u64::MAX / 2, "{text}: {end:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn days_end_where_and_when_the_config_says() {
    let rows = [
        ("1d", "Europe/Berlin", "00:00", "2026-11-23T04:00:00Z", "2026-11-23T23:00:00Z"),
        ("1d", "Europe/Berlin", "00:00", "2026-11-23T23:00:00Z", "2026-11-24T23:00:00Z"),
        // The days on which clocks are put forward and back have 23 and 25 hours.
        ("1d", "Europe/Berlin", "00:00", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
        ("1d", "Europe/Berlin", "00:00", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
        // A time of day that this day does not have, and one that it has twice.
        ("1d", "Europe/Berlin", "02:30", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"),
        ("1d", "Europe/Berlin", "02:30", "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"),
        ("1d", "Europe/Berlin", "02:30", "2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z"),
        ("1d", "Europe/Berlin", "02:30", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"),
        ("1d", "Europe/Berlin", "02:30", "2026-10-25T01:10:00Z", "2026-10-26T01:30:00Z"),
        ("1d", "America/Santiago", "00:00", "2026-09-05T12:00:00Z", "2026-09-06T04:00:00Z"),
        ("1d", "America/Santiago", "00:00", "2026-09-06T04:00:00Z", "2026-09-07T03:00:00Z"),
        ("1d", "America/New_York", "09:00", "2026-03-08T12:00:00Z", "2026-03-08T13:00:00Z"),
        ("1d", "Asia/Kolkata", "00:00", "2026-11-23T18:29:59Z", "2026-11-23T18:30:00Z"),
        ("1d", "Pacific/Kiritimati", "12:00", "2026-11-23T00:00:00Z", "2026-11-23T22:00:00Z"),
        ("1d", "UTC", "12:00", "2026-11-23T12:00:00Z", "2026-11-24T12:00:00Z"),
        ("7d", "Europe/Berlin", "06:00", "2026-11-23T04:59:59Z", "2026-11-23T05:00:00Z"),
        ("1w", "Europe/Berlin", "06:00", "2026-11-23T05:00:00Z", "2026-11-30T05:00:00Z"),
        ("1mo", "Europe/Berlin", "00:00", "2028-02-29T22:59:59Z", "2028-02-29T23:00:00Z"),
        ("1mo", "Europe/Berlin", "00:00", "2026-03-15T00:00:00Z", "2026-03-31T22:00:00Z"),
        ("1mo", "America/New_York", "23:59", "2026-02-01T04:58:59Z", "2026-02-02T04:59:00Z"),
        ("3mo", "Asia/Kolkata", "00:00", "2026-11-23T00:00:00Z", "2026-12-31T18:30:00Z"),
        ("1h", "Asia/Kolkata", "00:15", "2026-11-23T04:10:00Z", "2026-11-23T05:00:00Z"),
    ];
    for (window, zone, at, now, expected) in rows {
        let reset = Reset { zone: Zone::find(zone), at: clock(at).unwrap() };
        let end = Window::parse(window, &reset).unwrap().end_after(rfc3339(now).unwrap());
        assert_eq!(end.rfc3339(), expected, "{window} {zone} {at} {now}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn ends_follow_each_other_and_none_is_longer_than_it_says() {
    for (text, zone, at) in [
        ("1d", "Europe/Berlin", "02:30"),
        ("3d", "America/Santiago", "00:00"),
        ("1mo", "Australia/Lord_Howe", "02:15"),
        ("6h", "UTC", "00:00"),
    ] {
        let reset = Reset { zone: Zone::find(zone), at: clock(at).unwrap() };
        let window = Window::parse(text, &reset).unwrap();
        let mut now = rfc3339("2026-01-01T00:00:00Z").unwrap();
        while now < rfc3339("2027-06-01T00:00:00Z").unwrap() {
            let end = window.end_after(now);
            assert!(end > now && end.since(now) <= window.longest(), "{text} at {}", now.rfc3339());
            for within in [1, 2, 3, 5] {
                let then = now.plus(Millis(end.since(now).0 / 6 * within));
                assert_eq!(window.end_after(then), end, "{text} at {}", then.rfc3339());
            }
            assert_eq!(window.end_after(Millis(end.0 - 1)), end);
            now = end;
        }
    }
}
