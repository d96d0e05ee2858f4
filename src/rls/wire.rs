//! The messages of the protocol, as far as they are used here.
//!
//! Source: Envoy API, `envoy/service/ratelimit/v3/rls.proto`, `envoy/extensions/common/ratelimit/v3/ratelimit.proto` and
//! `envoy/config/core/v3/grpc_service.proto` <https://github.com/envoyproxy/envoy/tree/main/api>, read 2026-11-23.

use prost::Message as _;

use super::Counter;
use crate::units::Millis;

/// `envoy.service.ratelimit.v3.RateLimitRequest`
#[derive(Clone, PartialEq, prost::Message)]
pub struct RateLimitRequest {
    /// What all counters are in.
    #[prost(string, tag = "1")]
    pub domain: String,
    /// The counters.
    #[prost(message, repeated, tag = "2")]
    pub descriptors: Vec<Descriptor>,
    /// How much each of them is to grow.
    #[prost(uint32, tag = "3")]
    pub hits_addend: u32,
}

/// `envoy.extensions.common.ratelimit.v3.RateLimitDescriptor`
#[derive(Clone, PartialEq, prost::Message)]
pub struct Descriptor {
    /// What names a counter.
    #[prost(message, repeated, tag = "1")]
    pub entries: Vec<Entry>,
}

/// `envoy.extensions.common.ratelimit.v3.RateLimitDescriptor.Entry`
#[derive(Clone, PartialEq, prost::Message)]
pub struct Entry {
    /// The name.
    #[prost(string, tag = "1")]
    pub key: String,
    /// The value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// `envoy.service.ratelimit.v3.RateLimitResponse`
#[derive(Clone, PartialEq, prost::Message)]
pub struct RateLimitResponse {
    /// 1: all counters have room; 2: one has none.
    #[prost(int32, tag = "1")]
    pub overall_code: i32,
    /// One for each descriptor; Limitador gives none.
    #[prost(message, repeated, tag = "2")]
    pub statuses: Vec<Status>,
}

/// `envoy.service.ratelimit.v3.RateLimitResponse.DescriptorStatus`
#[derive(Clone, PartialEq, prost::Message)]
pub struct Status {
    /// As the overall one.
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// The limit of the counter, where it has one.
    #[prost(message, optional, tag = "2")]
    pub current_limit: Option<CurrentLimit>,
    /// Hits that are left.
    #[prost(uint32, tag = "3")]
    pub limit_remaining: u32,
}

/// `envoy.service.ratelimit.v3.RateLimitResponse.RateLimit`
#[derive(Clone, PartialEq, prost::Message)]
pub struct CurrentLimit {
    /// Hits that one window has.
    #[prost(uint32, tag = "1")]
    pub requests_per_unit: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct GrpcService {
    #[prost(message, optional, tag = "1")]
    envoy_grpc: Option<EnvoyGrpc>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct EnvoyGrpc {
    #[prost(string, tag = "1")]
    cluster_name: String,
}

/// [`RateLimitResponse::overall_code`] and [`Status::code`].
pub const OK: i32 = 1;
/// The other one.
pub const OVER_LIMIT: i32 = 2;

/// `envoy.config.core.v3.GrpcService` for a cluster. Envoy also takes the bare name of a cluster, but only where its bytes
/// do not happen to be a message themselves: that is left for names so long that the message is no text.
pub fn grpc_service(cluster: &str) -> String {
    let message = GrpcService { envoy_grpc: Some(EnvoyGrpc { cluster_name: cluster.to_owned() }) };
    String::from_utf8(message.encode_to_vec()).unwrap_or_else(|_| cluster.to_owned())
}

/// A request to add `hits` to each of `counters`, where all of them have room.
///
/// envoyproxy/ratelimit wants a descriptor for each counter and tells of each; Limitador's limits look at the first
/// descriptor only, so that has all of them.
pub fn request(domain: &str, counters: &[Counter], hits: u32) -> Vec<u8> {
    let entry = |counter: &Counter| Entry { key: counter.name.to_string(), value: counter.value() };
    let all = Descriptor { entries: counters.iter().map(entry).collect() };
    let each =
        counters.iter().filter(|_| counters.len() > 1).map(|counter| Descriptor { entries: vec![entry(counter)] });
    let descriptors = std::iter::once(all).chain(each).collect();
    RateLimitRequest { domain: domain.to_owned(), descriptors, hits_addend: hits }.encode_to_vec()
}

/// What a service says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Whether there was no room.
    pub is_over: bool,
    /// What it says of each counter that was asked for; empty where it says nothing of any.
    pub counters: Vec<Left>,
}

/// What a service says of one counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Whether this one has no room.
    pub is_over: bool,
    /// Its limit; `None` where the service has none for it.
    pub limit: Option<u64>,
    /// What is left of it.
    pub remaining: u64,
}

/// Reads the answer to a [`request`] for `count` counters; `None` where it is none, or says nothing.
pub fn read(bytes: &[u8], count: usize) -> Option<Told> {
    let response = RateLimitResponse::decode(bytes).ok()?;
    let is_over = match response.overall_code {
        OK => false,
        OVER_LIMIT => true,
        _ => return None,
    };
    let skipped = usize::from(count > 1);
    let is_whole = response.statuses.len() == count.saturating_add(skipped);
    let left = |status: &Status| Left {
        is_over: status.code == OVER_LIMIT,
        limit: status.current_limit.as_ref().map(|limit| u64::from(limit.requests_per_unit)),
        remaining: u64::from(status.limit_remaining),
    };
    let counters = response.statuses.iter().skip(skipped).filter(|_| is_whole).map(left).collect();
    Some(Told { is_over, counters })
}

/// The end of a window as counters carry it.
pub(super) fn window(end: Option<Millis>) -> String {
    end.map_or_else(|| "never".to_owned(), Millis::rfc3339)
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::{Left, Told, grpc_service, read, request};
    use crate::rls::testing::counter;

    #[wasm_bindgen_test(unsupported = test)]
    fn requests_are_the_bytes_that_the_protocol_says() {
        let never = b"\x0a\x01d\x12\x0e\x0a\x0c\x0a\x03k/b\x12\x05never\x18\x01";
        assert_eq!(request("d", &[counter("k/b", None)], 1), never);
        let hits = request("d", &[counter("k", Some(86_400_000))], 300);
        assert_eq!(hits, b"\x0a\x01d\x12\x1b\x0a\x19\x0a\x01k\x12\x141970-01-02T00:00:00Z\x18\xac\x02");
        // The first descriptor has all of them, then each has its own.
        let both = request("d", &[counter("a", None), counter("b", None)], 1);
        let (a, b) = (b"\x0a\x0a\x0a\x01a\x12\x05never".as_slice(), b"\x0a\x0a\x0a\x01b\x12\x05never".as_slice());
        let expected = [b"\x0a\x01d\x12\x18", a, b, b"\x12\x0c", a, b"\x12\x0c", b, b"\x18\x01"].concat();
        assert_eq!(both, expected);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_cluster_is_a_grpc_service() {
        assert_eq!(grpc_service("rls"), "\n\u{5}\n\u{3}rls");
        let long = "c".repeat(300);
        assert_eq!(grpc_service(&long), long);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn answers_are_read_as_both_services_write_them() {
        // envoyproxy/ratelimit: the status of the first descriptor, which has no limit, then two with one.
        let statuses = [
            b"\x08\x02".as_slice(),
            b"\x12\x02\x08\x01",
            b"\x12\x0a\x08\x01\x12\x04\x08\x64\x10\x04\x18\x63",
            b"\x12\x0c\x08\x02\x12\x04\x08\x05\x10\x02\x22\x02\x08\x09",
        ]
        .concat();
        let lefts = vec![
            Left { is_over: false, limit: Some(100), remaining: 99 },
            Left { is_over: true, limit: Some(5), remaining: 0 },
        ];
        assert_eq!(read(&statuses, 2), Some(Told { is_over: true, counters: lefts }));
        // Of another number of descriptors nobody knows what they mean.
        assert_eq!(read(&statuses, 5), Some(Told { is_over: true, counters: Vec::new() }));
        let rows: [(&[u8], Option<bool>); 7] = [
            // Limitador.
            (b"\x08\x01", Some(false)),
            (b"\x08\x02", Some(true)),
            (b"\x08\x02\x1a\x06\x0a\x01a\x12\x01b", Some(true)),
            (b"", None),
            (b"\x08\x00", None),
            (b"\x08\x07", None),
            (b"\x08", None),
        ];
        for (bytes, is_over) in rows {
            let told = read(bytes, 1);
            assert_eq!(told.as_ref().map(|told| told.is_over), is_over, "{bytes:?}");
            assert!(told.is_none_or(|told| told.counters.is_empty()));
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn no_bytes_end_the_worker() {
        let mut x = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..20_000 {
            let mut bytes = Vec::new();
            for _ in 0..x % 40 {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                bytes.push(if x & 0x300 == 0 {
                    (x >> 16) as u8
                } else {
                    [0x08, 0x12, 0x02, 0x01, 0x0a][(x % 5) as usize]
                });
            }
            x = x.wrapping_mul(0x2545_f491_4f6c_dd1d) | 1;
            let _ = read(&bytes, 2);
        }
    }
}
