//! A secret discovery server, as Envoy asks one by gRPC: `StreamSecrets`, a stream for each secret.
//!
//! Source: Envoy, "service/secret/v3/sds.proto", "service/discovery/v3/discovery.proto" and
//! "extensions/transport_sockets/tls/v3/secret.proto" <https://github.com/envoyproxy/envoy/tree/main/api>, read 2026-11-24.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::Response;
use prost::Message;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A running server, which ends with this.
pub(crate) struct Secrets {
    told: watch::Sender<Told>,
    seen: Arc<Mutex<Seen>>,
}

/// What it tells: the secrets, and which version that is.
#[derive(Clone, Default)]
struct Told {
    version: u64,
    secrets: BTreeMap<String, String>,
}

/// What it was asked and told.
#[derive(Default)]
struct Seen {
    names: BTreeSet<String>,
    refusals: Vec<String>,
}

impl Secrets {
    /// Starts one at `port` that has no secret yet.
    pub(crate) fn start(port: u16) -> Self {
        let (told, telling) = watch::channel(Told::default());
        let seen = Arc::new(Mutex::new(Seen::default()));
        let server = Server { telling, seen: Arc::clone(&seen) };
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, server.run(port));
        });
        Self { told, seen }
    }

    /// Has a secret from now on, or another value of it.
    pub(crate) fn put(&self, name: &str, value: &str) {
        self.told.send_modify(|told| {
            told.version += 1;
            told.secrets.insert(name.to_owned(), value.to_owned());
        });
    }

    /// The names that were asked for.
    pub(crate) fn asked(&self) -> BTreeSet<String> {
        self.seen.lock().unwrap().names.clone()
    }

    /// What was not taken.
    pub(crate) fn refusals(&self) -> Vec<String> {
        self.seen.lock().unwrap().refusals.clone()
    }
}

#[derive(Clone)]
struct Server {
    telling: watch::Receiver<Told>,
    seen: Arc<Mutex<Seen>>,
}

impl Server {
    /// Serves until nobody tells anything any more.
    async fn run(mut self, port: u16) {
        let listener = bind(port).await;
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let (socket, _) = accepted.unwrap();
                    tokio::task::spawn_local(self.clone().connection(socket));
                }
                changed = self.telling.changed() => if changed.is_err() { return },
            }
        }
    }

    async fn connection(mut self, socket: TcpStream) {
        let Ok(mut connection) = h2::server::handshake(socket).await else { return };
        loop {
            tokio::select! {
                request = connection.accept() => {
                    let Some(Ok((request, respond))) = request else { return };
                    assert_eq!(request.uri().path(), "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets");
                    tokio::task::spawn_local(self.clone().stream(request.into_body(), respond));
                }
                changed = self.telling.changed() => if changed.is_err() { return },
            }
        }
    }

    async fn stream(mut self, mut asking: RecvStream, mut respond: SendResponse<Bytes>) -> Option<()> {
        let head = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
        let mut telling = respond.send_response(head, false).ok()?;
        let (mut names, mut bytes) = (Vec::new(), BytesMut::new());
        loop {
            tokio::select! {
                piece = asking.data() => {
                    let piece = piece?.ok()?;
                    let _ = asking.flow_control().release_capacity(piece.len());
                    bytes.put(piece);
                    while let Some(request) = message(&mut bytes) {
                        let is_first = request.response_nonce.is_empty();
                        names = self.note(request);
                        if is_first {
                            self.tell(&names, &mut telling);
                        }
                    }
                }
                changed = self.telling.changed() => {
                    changed.ok()?;
                    self.tell(&names, &mut telling);
                }
            }
        }
    }

    fn note(&self, request: DiscoveryRequest) -> Vec<String> {
        let mut seen = self.seen.lock().unwrap();
        seen.names.extend(request.resource_names.iter().cloned());
        seen.refusals.extend(request.error_detail.map(|status| status.message));
        request.resource_names
    }

    /// Tells those of `names` that there are; of none nothing is said.
    fn tell(&mut self, names: &[String], stream: &mut SendStream<Bytes>) {
        let told = self.telling.borrow_and_update().clone();
        let known = names.iter().filter_map(|name| Some((name, told.secrets.get(name)?)));
        let resources: Vec<Any> = known.map(|(name, value)| any(name, value)).collect();
        if resources.is_empty() {
            return;
        }
        let version = told.version.to_string();
        let response =
            DiscoveryResponse { version_info: version.clone(), resources, type_url: SECRET.into(), nonce: version };
        let mut frame = BytesMut::new();
        frame.put_u8(0);
        frame.put_u32(response.encoded_len() as u32);
        response.encode(&mut frame).unwrap();
        let _ = stream.send_data(frame.freeze(), false);
    }
}

/// Waits for one before, at the same port, to be gone.
async fn bind(port: u16) -> TcpListener {
    for _ in 0..100 {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Ok(listener) => return listener,
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    panic!("port {port} is not free")
}

/// The next message that is there as a whole.
fn message(bytes: &mut BytesMut) -> Option<DiscoveryRequest> {
    let length = u32::from_be_bytes(*bytes.get(1..5)?.first_chunk()?) as usize;
    if bytes.len() < 5 + length {
        return None;
    }
    bytes.advance(5);
    Some(DiscoveryRequest::decode(bytes.split_to(length)).unwrap())
}

fn any(name: &str, value: &str) -> Any {
    let secret = GenericSecret { secret: Some(DataSource { inline_string: value.to_owned() }) };
    let secret = Secret { name: name.to_owned(), generic_secret: Some(secret) };
    Any { type_url: SECRET.into(), value: secret.encode_to_vec() }
}

const SECRET: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";

#[derive(Clone, PartialEq, Message)]
struct DiscoveryRequest {
    #[prost(string, repeated, tag = "3")]
    resource_names: Vec<String>,
    #[prost(string, tag = "5")]
    response_nonce: String,
    #[prost(message, optional, tag = "6")]
    error_detail: Option<Status>,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(string, tag = "2")]
    message: String,
}

#[derive(Clone, PartialEq, Message)]
struct DiscoveryResponse {
    #[prost(string, tag = "1")]
    version_info: String,
    #[prost(message, repeated, tag = "2")]
    resources: Vec<Any>,
    #[prost(string, tag = "4")]
    type_url: String,
    #[prost(string, tag = "5")]
    nonce: String,
}

#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Secret {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "5")]
    generic_secret: Option<GenericSecret>,
}

#[derive(Clone, PartialEq, Message)]
struct GenericSecret {
    #[prost(message, optional, tag = "1")]
    secret: Option<DataSource>,
}

#[derive(Clone, PartialEq, Message)]
struct DataSource {
    #[prost(string, tag = "3")]
    inline_string: String,
}
