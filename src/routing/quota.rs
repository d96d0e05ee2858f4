//! What providers' headers say about when to ask again.
//!
//! | header | who sends it | its value |
//! |---|---|---|
//! | `retry-after-ms` | Azure, OpenAI | milliseconds |
//! | `retry-after` | all | seconds, or an HTTP date |
//! | `x-ratelimit-{remaining,reset}-{requests,tokens}` | OpenAI, Groq, Azure, other dialects | a count; a duration such as `6m0s` or `88ms`, or seconds, or a Unix time |
//! | `anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{remaining,reset}` | Anthropic | a count; an RFC 3339 time |
//!
//! Sources, all seen in stored copies on 2026-11-23: OpenAI, "Rate limits"
//! <https://platform.openai.com/docs/guides/rate-limits>; Groq, "Rate Limits"
//! <https://console.groq.com/docs/rate-limits>; AWS, "Rate limits and quotas - Claude Platform on AWS"
//! <https://docs.aws.amazon.com/claude-platform/latest/userguide/rate-limits.html>, which repeats Anthropic's; Microsoft
//! Q&A, "Azure OpenAI Responses API x-ratelimit headers values -1, 0"
//! <https://learn.microsoft.com/en-us/answers/questions/5625878/>: seconds, and `-1` for a count that is not known.
//!
//! # Limits
//!
//! `header` finds a value by its lower-case name. A value that is malformed, or an instant that has passed, counts as
//! absent; one that is more than a day away counts as a day.

use super::Class;
use crate::time;
use crate::units::Millis;

/// When the provider wants to be asked again after a failure of this class: what `retry-after-ms` says, else
/// `retry-after`, else, for a rate limit, the reset of what is used up.
///
/// The resets come with every answer, so those of an answer that failed for another reason say nothing of it. Where a
/// rate limit names nothing as used up, it means tokens: a request needs many, and is refused though some are left.
pub fn retry_at<'h>(now: Millis, class: Class, header: impl Fn(&str) -> Option<&'h str>) -> Option<Millis> {
    let asked = header("retry-after-ms").and_then(|text| after(now, text, 1.0));
    let asked = asked.or_else(|| header("retry-after").and_then(|text| retry_after(now, text)));
    if asked.is_some() || class != Class::RateLimit {
        return asked;
    }
    let reset = |limit: &Limit| header(limit.reset).and_then(|text| reset(now, text));
    exhausted_until(now, &header)
        .or_else(|| LIMITS.iter().filter(|limit| limit.counts_tokens).filter_map(reset).max())
        .or_else(|| LIMITS.iter().filter_map(reset).max())
}

/// Until when the provider has nothing left for us: the reset of what is used up, the latest where it is more than one.
pub fn exhausted_until<'h>(now: Millis, header: impl Fn(&str) -> Option<&'h str>) -> Option<Millis> {
    let is_used_up = |limit: &&Limit| header(limit.remaining).is_some_and(is_zero);
    LIMITS.iter().filter(is_used_up).filter_map(|limit| reset(now, header(limit.reset)?)).max()
}

/// The headers about one limit.
struct Limit {
    remaining: &'static str,
    reset: &'static str,
    counts_tokens: bool,
}

const LIMITS: [Limit; 6] = [
    Limit { remaining: "x-ratelimit-remaining-requests", reset: "x-ratelimit-reset-requests", counts_tokens: false },
    Limit { remaining: "x-ratelimit-remaining-tokens", reset: "x-ratelimit-reset-tokens", counts_tokens: true },
    Limit {
        remaining: "anthropic-ratelimit-requests-remaining",
        reset: "anthropic-ratelimit-requests-reset",
        counts_tokens: false,
    },
    Limit {
        remaining: "anthropic-ratelimit-tokens-remaining",
        reset: "anthropic-ratelimit-tokens-reset",
        counts_tokens: true,
    },
    Limit {
        remaining: "anthropic-ratelimit-input-tokens-remaining",
        reset: "anthropic-ratelimit-input-tokens-reset",
        counts_tokens: true,
    },
    Limit {
        remaining: "anthropic-ratelimit-output-tokens-remaining",
        reset: "anthropic-ratelimit-output-tokens-reset",
        counts_tokens: true,
    },
];

fn is_zero(text: &str) -> bool {
    number(text.trim()) == Some(0.0)
}

fn retry_after(now: Millis, text: &str) -> Option<Millis> {
    after(now, text, SECOND).or_else(|| ahead(now, time::http_date(text.trim())?))
}

/// A reset in any of the ways in which it is written.
fn reset(now: Millis, text: &str) -> Option<Millis> {
    let text = text.trim();
    match number(text) {
        Some(unix_ms) if unix_ms >= UNIX_MS_MIN => ahead(now, Millis(unix_ms as u64)),
        Some(unix) if unix >= UNIX_MIN => ahead(now, Millis((unix * SECOND) as u64)),
        Some(seconds) => ahead(now, now.plus(Millis((seconds * SECOND).ceil() as u64))),
        None => duration(text)
            .map(|duration| now.plus(duration))
            .or_else(|| time::rfc3339(text))
            .and_then(|at| ahead(now, at)),
    }
}

/// `text` times `unit_ms` from now.
fn after(now: Millis, text: &str, unit_ms: f64) -> Option<Millis> {
    let ms = (number(text.trim())? * unit_ms).ceil();
    ahead(now, now.plus(Millis(ms as u64)))
}

/// An instant that has not passed, a day away at most.
fn ahead(now: Millis, at: Millis) -> Option<Millis> {
    (now < at).then(|| at.min(now.plus(DAY)))
}

/// A duration as Go prints it: `1h2m3.5s`, `6m0s`, `88ms`.
///
/// Source: Go, "time", `Duration.String` <https://pkg.go.dev/time#Duration.String>.
fn duration(text: &str) -> Option<Millis> {
    let (mut rest, mut ms) = (text, 0.0);
    while !rest.is_empty() {
        let (value, after) = rest.split_at_checked(rest.find(|c: char| c.is_ascii_alphabetic() || c == 'µ')?)?;
        let unit_end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(unit_end)?;
        ms += number(value)? * unit_ms(unit)?;
        rest = after;
    }
    (!text.is_empty()).then_some(Millis(ms.ceil() as u64))
}

fn unit_ms(unit: &str) -> Option<f64> {
    Some(match unit {
        "h" => 3600.0 * SECOND,
        "m" => 60.0 * SECOND,
        "s" => SECOND,
        "ms" => 1.0,
        "us" | "µs" => 1e-3,
        "ns" => 1e-6,
        _ => return None,
    })
}

/// A decimal number without sign or exponent.
fn number(text: &str) -> Option<f64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if is_plain { text.parse().ok().filter(|number: &f64| number.is_finite()) } else { None }
}

/// Milliseconds in a second.
const SECOND: f64 = 1000.0;
/// A number from here on is seconds since the epoch: 2001. As a duration it would be 31 years.
const UNIX_MIN: f64 = 1e9;
/// A number from here on is milliseconds since the epoch: 2001. As seconds it would be in the year 33658.
const UNIX_MS_MIN: f64 = 1e12;
/// The farthest instant.
const DAY: Millis = Millis::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use super::{Class, exhausted_until, retry_at};
    use crate::units::Millis;
    use wasm_bindgen_test::wasm_bindgen_test;

    /// 2026-11-23T04:05:06Z
    const NOW: Millis = Millis::from_secs(1_795_406_706);
    const DAY_MS: u64 = 86_400_000;

    type Row<'a> = (&'a [(&'a str, &'a str)], Option<u64>);

    fn find<'a>(headers: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<&'a str> {
        |name| headers.iter().find(|(found, _)| *found == name).map(|(_, value)| *value)
    }

    /// What each row's headers say, in milliseconds from now.
    fn check(read: impl Fn(&[(&str, &str)]) -> Option<Millis>, rows: &[Row<'_>]) {
        for (headers, expected) in rows {
            assert_eq!(read(headers).map(|at| at.since(NOW).0), *expected, "{headers:?}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn retry_after_is_read_in_all_its_forms() {
        for class in [Class::RateLimit, Class::ServiceUnavailable] {
            check(
                |headers| retry_at(NOW, class, find(headers)),
                &[
                    (&[], None),
                    (&[("retry-after", "20")], Some(20_000)),
                    (&[("retry-after", " 1.5 ")], Some(1500)),
                    (&[("retry-after", "Mon, 23 Nov 2026 04:06:06 GMT")], Some(60_000)),
                    (&[("retry-after", "Mon, 23 Nov 2026 04:05:06 GMT")], None),
                    (&[("retry-after", "Tue, 23 Nov 2027 04:05:06 GMT")], Some(DAY_MS)),
                    (&[("retry-after-ms", "88")], Some(88)),
                    (&[("retry-after-ms", "0.5")], Some(1)),
                    (&[("retry-after-ms", "88"), ("retry-after", "1")], Some(88)),
                    (&[("retry-after-ms", "soon"), ("retry-after", "1")], Some(1000)),
                    (&[("retry-after", "0")], None),
                    (&[("retry-after", "-1")], None),
                    (&[("retry-after", "1e3")], None),
                    (&[("retry-after", "inf")], None),
                    (&[("retry-after", "nan")], None),
                    (&[("retry-after", ".")], None),
                    (&[("retry-after", "")], None),
                    (&[("retry-after", "a while")], None),
                    (&[("retry-after", "99999999999999999999999999")], Some(DAY_MS)),
                ],
            );
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn resets_are_read_in_all_their_forms() {
        for (text, expected) in [
            ("1s", Some(1000)),
            ("6m0s", Some(360_000)),
            ("88ms", Some(88)),
            ("7.66s", Some(7660)),
            ("2m59.56s", Some(179_560)),
            ("1h2m3.5s", Some(3_723_500)),
            ("1h", Some(3_600_000)),
            ("250us", Some(1)),
            ("250µs", Some(1)),
            ("10ns", Some(1)),
            ("400h0m0s", Some(DAY_MS)),
            ("59", Some(59_000)),
            ("0.25", Some(250)),
            ("1795406766", Some(60_000)),
            ("1795406766000", Some(60_000)),
            ("1795406706", None),
            ("1795406000000", None),
            ("2026-11-23T04:06:06Z", Some(60_000)),
            ("2026-11-23T05:06:06+01:00", Some(60_000)),
            ("2026-11-23T04:05:06Z", None),
            ("2036-11-23T04:05:06Z", Some(DAY_MS)),
            ("0s", None),
            ("0", None),
            ("-1", None),
            ("-1s", None),
            ("1.2.3s", None),
            ("s", None),
            ("1m2", None),
            ("1 s", None),
            ("1d", None),
            ("ä", None),
            ("1ä", None),
            ("µ", None),
            ("", None),
        ] {
            for (remaining, reset) in super::LIMITS.iter().map(|limit| (limit.remaining, limit.reset)) {
                let row: Row<'_> = (&[(remaining, "0"), (reset, text)], expected);
                check(|headers| exhausted_until(NOW, find(headers)), &[row]);
                check(|headers| retry_at(NOW, Class::RateLimit, find(headers)), &[row]);
                check(|headers| retry_at(NOW, Class::InternalServer, find(headers)), &[(row.0, None)]);
            }
        }
    }

    const REQUESTS: &str = "x-ratelimit-remaining-requests";
    const REQUESTS_RESET: &str = "x-ratelimit-reset-requests";
    const TOKENS: &str = "x-ratelimit-remaining-tokens";
    const TOKENS_RESET: &str = "x-ratelimit-reset-tokens";

    #[wasm_bindgen_test(unsupported = test)]
    fn only_what_is_used_up_is_waited_for() {
        check(
            |headers| exhausted_until(NOW, find(headers)),
            &[
                (&[], None),
                (&[(TOKENS, "0")], None),
                (&[(TOKENS_RESET, "9s")], None),
                (&[(TOKENS, "0"), (REQUESTS_RESET, "9s")], None),
                (&[(TOKENS, "-1"), (TOKENS_RESET, "9s")], None),
                (&[(TOKENS, "none"), (TOKENS_RESET, "9s")], None),
                (&[(TOKENS, ""), (TOKENS_RESET, "9s")], None),
                (&[(TOKENS, "1"), (TOKENS_RESET, "9s"), (REQUESTS, "0"), (REQUESTS_RESET, "2s")], Some(2000)),
                (&[(TOKENS, "0"), (TOKENS_RESET, "9s"), (REQUESTS, "0"), (REQUESTS_RESET, "2s")], Some(9000)),
                (&[(TOKENS, "0"), (TOKENS_RESET, "9s"), ("retry-after", "1")], Some(9000)),
                (
                    &[
                        ("anthropic-ratelimit-requests-remaining", "7"),
                        ("anthropic-ratelimit-requests-reset", "2026-11-23T04:06:06Z"),
                        ("anthropic-ratelimit-output-tokens-remaining", "0"),
                        ("anthropic-ratelimit-output-tokens-reset", "2026-11-23T04:05:26Z"),
                    ],
                    Some(20_000),
                ),
            ],
        );
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_refusal_is_about_tokens_unless_the_requests_are_used_up() {
        check(
            |headers| retry_at(NOW, Class::RateLimit, find(headers)),
            &[
                (&[(TOKENS, "40"), (TOKENS_RESET, "9s"), (REQUESTS, "59"), (REQUESTS_RESET, "6m0s")], Some(9000)),
                (&[(TOKENS, "40"), (TOKENS_RESET, "9s"), (REQUESTS, "0"), (REQUESTS_RESET, "2s")], Some(2000)),
                (&[(TOKENS_RESET, "9s"), (REQUESTS_RESET, "2s")], Some(9000)),
                (&[(REQUESTS_RESET, "2s")], Some(2000)),
                (&[(TOKENS, "0"), (TOKENS_RESET, "9s"), ("retry-after", "1")], Some(1000)),
                (&[(TOKENS, "0"), (TOKENS_RESET, "9s"), ("retry-after", "0")], Some(9000)),
            ],
        );
    }
}
