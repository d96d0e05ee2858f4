//! A rate limit service for tests: Envoy's RLS protocol in front of the limits and counters of the `limitador` crate, with
//! their values in Redis. What it was asked is written to standard output, one JSON object a line.
//!
//! The crate's own store for Redis does not build without RocksDB (0.7 to 0.14), which takes longer to build than all
//! tests of the gateway. So the values are kept here, and as there: first all are read and compared, then all are added to,
//! and a counter that is new expires after its limit's window.
//!
//! usage: rls --port PORT --redis URL --limits LIMITS.YAML --delay FILE
//!
//! The file of the delay holds milliseconds; it is read anew for each call.
//!
//! Source: Limitador, `limitador-server/src/envoy_rls/server.rs`, `limitador/src/storage/redis/redis_async.rs`
//! <https://github.com/Kuadrant/limitador>, read 2026-11-23.

use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Response};
use limitador::counter::Counter;
use limitador::limit::{Context, Limit};
use prost::Message;
use redis::RedisResult;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};

#[derive(Clone, PartialEq, Message)]
struct RateLimitRequest {
    #[prost(string, tag = "1")]
    domain: String,
    #[prost(message, repeated, tag = "2")]
    descriptors: Vec<Descriptor>,
    #[prost(uint32, tag = "3")]
    hits_addend: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Descriptor {
    #[prost(message, repeated, tag = "1")]
    entries: Vec<Entry>,
}

#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct RateLimitResponse {
    #[prost(int32, tag = "1")]
    overall_code: i32,
}

const OK: i32 = 1;
const OVER_LIMIT: i32 = 2;

/// Of gRPC's statuses.
const UNIMPLEMENTED: u8 = 12;
const UNAVAILABLE: u8 = 14;

/// Adds to a counter, and has it expire where that began it.
const ADD: &str = "local c = redis.call('incrby', KEYS[1], ARGV[1])
    if c == tonumber(ARGV[1]) then redis.call('expire', KEYS[1], ARGV[2]) end
    return c";

struct Service {
    limits: Vec<Arc<Limit>>,
    redis: ConnectionManager,
    delay: PathBuf,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let arg = |name: &str| args.iter().position(|arg| arg == name).map(|at| args[at + 1].clone()).expect(name);
    let listener =
        tokio::net::TcpListener::bind(format!("127.0.0.1:{}", arg("--port"))).await.expect("the port is free");
    let text = std::fs::read_to_string(arg("--limits")).expect("limits");
    let limits: Vec<Limit> = serde_saphyr::from_str(&text).expect("limits as limitador-server reads them");
    let client = redis::Client::open(arg("--redis")).expect("an address");
    let soon = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(Duration::from_secs(5)))
        .set_response_timeout(Some(Duration::from_secs(5)))
        .set_max_delay(Duration::from_millis(200));
    let redis = ConnectionManager::new_with_config(client, soon).await.expect("Redis is there");
    let limits = limits.into_iter().map(Arc::new).collect();
    let service = Rc::new(Service { limits, redis, delay: arg("--delay").into() });
    println!("listening on {}", listener.local_addr().expect("an address"));
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            while let Ok((socket, _)) = listener.accept().await {
                let service = Rc::clone(&service);
                tokio::task::spawn_local(async move {
                    let Ok(mut connection) = h2::server::handshake(socket).await else { return };
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        let service = Rc::clone(&service);
                        tokio::task::spawn_local(async move { service.serve(request, respond).await });
                    }
                });
            }
        })
        .await;
}

impl Service {
    async fn serve(&self, request: http::Request<RecvStream>, mut respond: SendResponse<Bytes>) {
        let method = request.uri().path().to_owned();
        let message = message(request.into_body()).await;
        let answer = match message.as_deref().map(RateLimitRequest::decode) {
            Some(Ok(asked)) if method == "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit" => {
                self.should_rate_limit(asked).await
            }
            _ => Err(UNIMPLEMENTED),
        };
        let head = Response::builder().header("content-type", "application/grpc").body(()).expect("a head");
        let Ok(mut stream) = respond.send_response(head, false) else { return };
        let status = match answer {
            Ok(answer) => {
                let mut frame = BytesMut::new();
                frame.put_u8(0);
                frame.put_u32(answer.encoded_len() as u32);
                answer.encode(&mut frame).expect("it has room");
                let _ = stream.send_data(frame.freeze(), false);
                0
            }
            Err(status) => status,
        };
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from(u16::from(status)));
        let _ = stream.send_trailers(trailers);
    }

    async fn should_rate_limit(&self, asked: RateLimitRequest) -> Result<RateLimitResponse, u8> {
        let delay = std::fs::read_to_string(&self.delay).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        if delay > 0 {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        let pairs = |descriptor: &Descriptor| {
            descriptor.entries.iter().map(|entry| (entry.key.clone(), entry.value.clone())).collect()
        };
        let values: Vec<HashMap<String, String>> = asked.descriptors.iter().map(pairs).collect();
        let mut context = Context::default();
        context.list_binding("descriptors".to_owned(), values);
        let hits = u64::from(asked.hits_addend.max(1));
        let checked = self.check_and_update(&asked.domain, &context, hits).await;
        let code = match &checked {
            Ok(true) => OK,
            Ok(false) => OVER_LIMIT,
            Err(_) => 0,
        };
        let counters: Vec<&str> =
            asked.descriptors.first().iter().flat_map(|all| &all.entries).map(|entry| entry.key.as_str()).collect();
        println!("{}", serde_json::json!({"counters": counters, "hits": hits, "code": code}));
        checked.map(|_| RateLimitResponse { overall_code: code }).map_err(|_| UNAVAILABLE)
    }

    /// Whether all counters have room; they then grow.
    async fn check_and_update(&self, domain: &str, context: &Context<'_>, hits: u64) -> RedisResult<bool> {
        let here = self.limits.iter().filter(|limit| limit.namespace().as_ref() == domain && limit.applies(context));
        let counters = here.filter_map(|limit| Counter::new(Arc::clone(limit), context).expect("a counter"));
        let counters: Vec<Counter> = counters.collect();
        let mut redis = self.redis.clone();
        let mut values = Vec::new();
        for counter in &counters {
            values.push(redis::cmd("GET").arg(key(counter)).query_async::<Option<u64>>(&mut redis).await?.unwrap_or(0));
        }
        if counters.iter().zip(&values).any(|(counter, value)| value + hits > counter.max_value()) {
            return Ok(false);
        }
        for counter in &counters {
            let (key, seconds) = (key(counter), counter.window().as_secs());
            redis::Script::new(ADD).key(key).arg(hits).arg(seconds).invoke_async::<u64>(&mut redis).await?;
        }
        Ok(true)
    }
}

/// Where the value of a counter is.
fn key(counter: &Counter) -> String {
    format!("{}:{:?}", counter.namespace().as_ref(), counter.set_variables())
}

/// The only message of a call.
async fn message(mut body: RecvStream) -> Option<Bytes> {
    let mut bytes = BytesMut::new();
    while let Some(Ok(piece)) = body.data().await {
        let _ = body.flow_control().release_capacity(piece.len());
        bytes.put(piece);
    }
    let mut bytes = bytes.freeze();
    if bytes.len() < 5 || bytes.get_u8() != 0 {
        return None;
    }
    let length = bytes.get_u32() as usize;
    (bytes.len() == length).then_some(bytes)
}
