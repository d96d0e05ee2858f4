//! `tollgate.rate_limit_service`: who counts for the whole fleet.

use url::Url;

use super::Address;
use super::keys::known_members;
use super::read::Node;
use super::support::Section;
use crate::rls::Service;
use crate::units::Millis;

/// Envoy's own default for its rate limit filter.
const TIMEOUT: Millis = Millis(20);

/// Longer is no check before a request but a queue.
const LONGEST_TIMEOUT: Millis = Millis::from_secs(10);

/// The domain, unless the config says another one.
const DOMAIN: &str = "tollgate";

/// The port of a service that says none: envoyproxy/ratelimit's own.
const PORT: u16 = 8081;

/// The service, where the config has one.
pub(super) fn service(tollgate: &Node<'_>) -> Option<Service> {
    let node = tollgate.section("rate_limit_service");
    if node.is_absent() {
        return None;
    }
    known_members(&node, Section::TollgateRateLimitService);
    let cluster = node.at("cluster").required_name();
    let address = address(&node.at("address"));
    let domain = node.at("domain").name().unwrap_or_else(|| DOMAIN.to_owned());
    let timeout = timeout(&node.at("timeout")).unwrap_or(TIMEOUT);
    let fails_closed = match node.at("failure_mode").name().as_deref() {
        None | Some("open") => false,
        Some("closed") => true,
        Some(_) => node.at("failure_mode").fault::<bool>("expected open or closed, found another string").is_some(),
    };
    Some(Service::new(cluster?, address, domain, timeout, fails_closed))
}

/// `20ms`, `0.5s`.
fn timeout(node: &Node<'_>) -> Option<Millis> {
    let text = node.text()?;
    let parse = |text: &str, scale: f64| text.parse::<f64>().ok().map(|n| n * scale).filter(|n| n.is_finite());
    let millis = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(millis), _) => parse(millis, 1.0),
        (None, Some(secs)) => parse(secs, 1000.0),
        (None, None) => None,
    };
    let is_sound = |millis: &f64| (1.0..=LONGEST_TIMEOUT.0 as f64).contains(millis);
    let expected = "expected a duration such as `20ms`, from 1ms to 10s, found another string";
    millis.filter(is_sound).map(|millis| Millis(millis.round() as u64)).or_else(|| node.fault(expected))
}

/// `ratelimit:8081`, with `https://` before it for TLS.
fn address(node: &Node<'_>) -> Option<Address> {
    let text = node.name()?;
    let (tls, rest) = match text.split_once("://") {
        Some(("http", rest)) => (false, rest),
        Some(("https", rest)) => (true, rest),
        Some(_) => (false, ""),
        None => (false, text.as_str()),
    };
    let url = Url::parse(&format!("tcp://{rest}")).ok();
    let bare = |url: &Url| url.username().is_empty() && matches!(url.path(), "" | "/") && url.query().is_none();
    let host = |url: &Url| url.host_str().filter(|host| !host.is_empty()).map(str::to_owned);
    let found =
        url.filter(bare).and_then(|url| Some(Address { tls, host: host(&url)?, port: url.port().unwrap_or(PORT) }));
    found.or_else(|| node.fault("expected a host and a port, such as `ratelimit:8081`, found another string"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::service;
    use crate::config::Address;
    use crate::config::env::Env;
    use crate::config::read::Reader;

    /// The service, or the path of the only fault.
    fn read(section: Value) -> Result<super::Service, String> {
        let document = json!({"tollgate": {"rate_limit_service": section}});
        let reader = Reader::new(&document, Env::Lenient(&|_| None));
        let found = service(&reader.root().section("tollgate"));
        match reader.faults().as_slice() {
            [] => Ok(found.unwrap()),
            [fault] => Err(fault.path.rsplit('.').next().unwrap().to_owned()),
            faults => panic!("{faults:?}"),
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn only_the_cluster_must_be_said() {
        let found = read(json!({"cluster": "rls"})).unwrap();
        assert_eq!((found.domain.as_str(), found.timeout.0, found.fails_closed), ("tollgate", 20, false));
        assert_eq!(found.address, None);
        for (member, value) in [
            ("cluster", json!(null)),
            ("cluster", json!("")),
            ("domain", json!({})),
            ("timeout", json!(20)),
            ("timeout", json!("20")),
            ("timeout", json!("0ms")),
            ("timeout", json!("11s")),
            ("timeout", json!("-1ms")),
            ("timeout", json!("infs")),
            ("failure_mode", json!("half")),
            ("address", json!("ftp://x")),
            ("address", json!("http://")),
            ("address", json!("x:99999")),
            ("address", json!("x/path")),
            ("address", json!("user@x")),
            ("cluter", json!("x")),
        ] {
            let mut section = json!({"cluster": "rls"});
            section[member] = value.clone();
            assert_eq!(read(section), Err(member.to_owned()), "{value}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_address_is_a_host_and_a_port() {
        let rows = [
            ("rls:9090", false, "rls", 9090),
            ("rls", false, "rls", 8081),
            ("http://10.0.0.7:1/", false, "10.0.0.7", 1),
            ("https://rls.example", true, "rls.example", 8081),
            ("[::1]:8081", false, "[::1]", 8081),
        ];
        for (text, tls, host, port) in rows {
            let found = read(json!({"cluster": "rls", "address": text})).unwrap();
            assert_eq!(found.address, Some(Address { tls, host: host.to_owned(), port }), "{text}");
        }
        for (text, millis) in [("20ms", 20), ("0.5s", 500), ("10s", 10_000), ("1.4ms", 1)] {
            assert_eq!(read(json!({"cluster": "rls", "timeout": text})).unwrap().timeout.0, millis, "{text}");
        }
    }
}
