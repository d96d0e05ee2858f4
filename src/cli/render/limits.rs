//! The same budgets and limits as a rate limit service's own config: envoyproxy/ratelimit's YAML, Limitador's limits.
//!
//! A counter has the name that the filter asks for, and each of its windows a value of its own (see [`crate::rls`]): the
//! service only has to keep it for as long as the window lasts. What a service cannot express is a fault that names the
//! account.
//!
//! ## Why envoyproxy/ratelimit cannot count every window
//!
//! It knows seconds, minutes, hours, days, weeks, 30 days and 365 days, all from multiples since the epoch, and begins a
//! counter anew at each of them. So a window is in good hands only where no such beginning lies inside it: five minutes fit
//! into an hour, but a calendar month is cut by every unit, and so is a week from Monday, since its own begin on Thursdays.
//!
//! Sources: envoyproxy/ratelimit, `README.md` "Configuration", `src/config/config_impl.go`, `src/utils/utilities.go`
//! <https://github.com/envoyproxy/ratelimit>; Limitador, `doc/server/configuration.md`, `limitador/src/limit.rs`
//! <https://github.com/Kuadrant/limitador>, read 2026-11-23.

use std::fmt::Write as _;
use std::rc::Rc;

use super::template::scalar;
use crate::budget::{Account, Scope, Window};
use crate::config::Config;
use crate::rls::{Cap, Span, Unit};
use crate::units::{Millis, PicoUsd};

/// The units of envoyproxy/ratelimit, in seconds.
const UNITS: [(&str, u64); 7] = [
    ("second", 1),
    ("minute", 60),
    ("hour", 3600),
    ("day", 86_400),
    ("week", 604_800),
    ("month", 2_592_000),
    ("year", 31_536_000),
];

/// envoyproxy/ratelimit's YAML.
///
/// # Errors
///
/// Every budget and limit that it cannot count, by account.
pub fn ratelimit(config: &Config, source: &str) -> Result<String, Vec<String>> {
    let domain = domain(config)?;
    let mut out = format!(
        "# The budgets and limits of {source} for envoyproxy/ratelimit; money is in micro-dollars.\n\
         # Run it with STOP_CACHE_KEY_INCREMENT_WHEN_OVERLIMIT=true: a refused request then counts nowhere else.\n\
         domain: {}\ndescriptors:\n",
        scalar(domain)
    );
    let mut faults = Vec::new();
    let mut units = Units::default();
    for (account, cap) in caps(config) {
        match (units.of(&cap.span), u32::try_from(cap.max)) {
            (Some(unit), Ok(max)) => {
                let name = scalar(&cap.name(account));
                let _ = write!(
                    out,
                    "# {}: {}\n- key: {name}\n  rate_limit: {{unit: {unit}, requests_per_unit: {max}}}\n",
                    who(account),
                    words(&cap)
                );
            }
            (None, _) => faults.push(format!(
                "{}: {}: envoyproxy/ratelimit begins its counters anew within such a window; it can count those that \
                 end with its own seconds, minutes, hours, days, 30 days or 365 days in UTC",
                who(account),
                words(&cap)
            )),
            (_, Err(_)) => {
                let most = match cap.unit {
                    Unit::Money => format!("{} USD", u32::MAX / 1_000_000),
                    Unit::Requests | Unit::Tokens => u32::MAX.to_string(),
                };
                faults.push(format!(
                    "{}: {}: envoyproxy/ratelimit counts to {most} at most",
                    who(account),
                    words(&cap)
                ));
            }
        }
    }
    out.push_str(&uncounted(config));
    if faults.is_empty() { Ok(out) } else { Err(faults) }
}

/// Limitador's limits.
///
/// # Errors
///
/// Only where the config has no `rate_limit_service`.
pub fn limitador(config: &Config, source: &str) -> Result<String, Vec<String>> {
    let domain = domain(config)?;
    let mut out = format!("# The budgets and limits of {source} for Limitador; money is in micro-dollars.\n");
    for (account, cap) in caps(config) {
        let name = cap.name(account);
        let variable = format!("descriptors[0]['{name}']");
        let _ = write!(
            out,
            "# {}: {}\n- namespace: {}\n  name: {}\n  max_value: {}\n  seconds: {}\n  conditions: []\n  variables: \
             [{}]\n",
            who(account),
            words(&cap),
            scalar(domain),
            scalar(&name),
            cap.max,
            longest_secs(&cap.span),
            scalar(&variable)
        );
    }
    out.push_str(&uncounted(config));
    Ok(out)
}

fn domain(config: &Config) -> Result<&str, Vec<String>> {
    let service = config.rate_limit_service.as_ref();
    service.map(|service| service.domain.as_str()).ok_or_else(|| {
        vec!["tollgate.rate_limit_service: expected a mapping, found nothing: each Envoy counts for itself".to_owned()]
    })
}

/// What the service does not count, as comments: nothing is left out in silence.
fn uncounted(config: &Config) -> String {
    let mut out = String::new();
    for account in config.accounts() {
        if account.limits.parallel.or(account.shadow_limits.parallel).is_some() {
            let _ = writeln!(out, "# Not here, each Envoy counts for itself: {}: max_parallel_requests", who(account));
        }
    }
    out
}

/// Every budget and limit: those of accounts, then the limits of deployments, which have no account.
fn caps(config: &Config) -> impl Iterator<Item = (&Rc<Account>, Cap)> {
    let own = config.accounts().flat_map(|account| Cap::all(account).into_iter().map(move |cap| (account, cap)));
    let of_deployments = config.deployments.iter().flat_map(|deployment| &deployment.fleet_caps);
    let limits = of_deployments
        .filter(|named| named.account.scope == Scope::Deployment && named.cap.unit != Unit::Money)
        .map(|named| (&named.account, named.cap.clone()));
    own.chain(limits)
}

fn who(account: &Account) -> String {
    match account.scope {
        Scope::OtherEndUser => "each end user that is not listed".to_owned(),
        _ => account.to_string(),
    }
}

/// `50 USD in 1d`, `600 requests in 1m`.
fn words(cap: &Cap) -> String {
    let amount = match cap.unit {
        Unit::Money => format!("{} USD", PicoUsd(cap.max.saturating_mul(1_000_000))),
        Unit::Requests => format!("{} requests", cap.max),
        Unit::Tokens => format!("{} tokens", cap.max),
    };
    let mode = if cap.is_shadow { ", in shadow mode" } else { "" };
    match &cap.span {
        Span::Forever => format!("{amount}, for good{mode}"),
        span => format!("{amount} in {}{mode}", span.name()),
    }
}

/// The longest that a window of this span lasts.
fn longest_secs(span: &Span) -> u64 {
    match span {
        Span::Minute => 60,
        Span::Day => 86_400,
        Span::Forever => FOREVER_SECS,
        Span::Window(window) => window.longest().secs_ceil(),
    }
}

/// The unit that counts each window, looked for once.
#[derive(Default)]
struct Units(Vec<(Window, Option<&'static str>)>);

impl Units {
    fn of(&mut self, span: &Span) -> Option<&'static str> {
        let window = match span {
            Span::Forever => return None,
            Span::Minute => return Some("minute"),
            Span::Day => return Some("day"),
            Span::Window(window) => window,
        };
        if let Some((_, found)) = self.0.iter().find(|(known, _)| known == window) {
            return *found;
        }
        let found = UNITS.iter().find(|(_, secs)| ends_with(window, *secs)).map(|(name, _)| *name);
        self.0.push((window.clone(), found));
        found
    }
}

/// Whether a window ends wherever a unit does: some thousand ends of the unit in a row, and as many spread over decades.
fn ends_with(window: &Window, unit_secs: u64) -> bool {
    let unit = unit_secs.saturating_mul(1000);
    let first = SOME_TIME.0 / unit;
    let apart = (DECADES.0 / unit / SAMPLES).max(1);
    let row = (1..=SAMPLES).map(|n| first.saturating_add(n));
    let spread = (1..=SAMPLES).map(|n| first.saturating_add(n.saturating_mul(apart)));
    row.chain(spread).all(|n| {
        let end = n.saturating_mul(unit);
        window.end_after(Millis(end.saturating_sub(1))) == Millis(end)
    })
}

/// 2026-01-01: windows are looked at from here on.
const SOME_TIME: Millis = Millis::from_secs(1_767_225_600);
const DECADES: Millis = Millis::from_secs(20 * 31_557_600);
/// Enough days for every change of the clocks in a zone.
const SAMPLES: u64 = 2000;
/// A hundred years.
const FOREVER_SECS: u64 = 3_155_760_000;

#[cfg(test)]
mod tests {
    use super::{Units, longest_secs};
    use crate::budget::Window;
    use crate::budget::window::Reset;
    use crate::rls::Span;

    #[test]
    fn a_window_is_kept_for_as_long_as_it_lasts_and_counted_where_no_unit_cuts_it() {
        let rows = [
            ("1s", 1, Some("second")),
            ("30s", 30, Some("minute")),
            ("7s", 7, Some("week")),
            ("11s", 11, None),
            ("1m", 60, Some("minute")),
            ("5m", 300, Some("hour")),
            ("7m", 420, Some("week")),
            ("1h", 3600, Some("hour")),
            ("5h", 18_000, Some("month")),
            ("12h", 43_200, Some("day")),
            ("1d", 2 * 86_400, Some("day")),
            ("2d", 3 * 86_400, Some("month")),
            ("7d", 8 * 86_400, None),
            ("1w", 8 * 86_400, None),
            ("30d", 31 * 86_400, Some("month")),
            ("365d", 366 * 86_400, Some("year")),
            ("1mo", 32 * 86_400, None),
        ];
        for (text, secs, unit) in rows {
            let span = Span::Window(Window::parse(text, &Reset::default()).unwrap());
            assert_eq!((longest_secs(&span), Units::default().of(&span)), (secs, unit), "{text}");
        }
    }
}
