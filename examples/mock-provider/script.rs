//! What a request is told to do: `k=v[,k=v...]`, taken from path segments and from the control API.
//!
//! | key | effect |
//! | --- | --- |
//! | `status=N` | an error in the vendor's own shape |
//! | `code=S` | its code: `context_length_exceeded` and `content_filter` also get the vendor's own wording |
//! | `retry-after=S` | that response header |
//! | `header=NAME:VALUE` | one more response header; may be repeated |
//! | `delay-ms=N` | waits before the response headers |
//! | `first-chunk-ms=N`, `chunk-ms=N` | waits before the first body piece, between content chunks |
//! | `drip-ms=N` | waits before every single byte of the response, its head too |
//! | `cut=N` | drops the connection after N content chunks of a stream, or N bytes of another body |
//! | `stall=N` | says nothing more after N content chunks of a stream, and keeps the connection |
//! | `error-stream=N` | the vendor's error event after N content chunks, then the end |
//! | `error-first=1` | the vendor's error event in place of the stream |
//! | `garbage=1` | 200 with a body, or events, that are no JSON |
//! | `gzip=1` | `content-encoding: gzip` on bytes that only begin like gzip |
//! | `content-type=T` | that content type, `~` standing for `/` |
//! | `finish=R` | that finish reason, in OpenAI's words |
//! | `reset=1` | closes without a response |
//! | `chunks=N` | content chunks of a stream, 8 by default |
//! | `chunk-bytes=N` | the body cut anew into flushed writes of N bytes |
//! | `body-bytes=N` | the length of the answer text, 180 by default |
//! | `usage=P:C[:R[:W]]` | prompt and completion tokens, of the prompt R read from and W written to a cache |
//! | `dialect=D` | the answer of `groq` or `mistral` in OpenAI's place |
//! | `no-usage=1` | no usage anywhere |
//! | `no-length=1` | no content-length: the body comes in chunks |
//! | `issued=1` | 401 unless the bearer token is one that this mock issued and that has not expired |
//! | `expires-in=N` | the seconds that an issued token lives, 3600 by default |
//! | `times=K` | the faults (all above `chunks`) happen to the first K requests, then no more |
//! | `id=S` | whose counter `times` uses; the script's own text by default |

/// One request's script: what goes wrong, and what the answer looks like.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    pub(crate) fault: Fault,
    pub(crate) shape: Shape,
    /// How many requests the faults apply to; all of them without it.
    pub(crate) times: Option<u64>,
    pub(crate) id: Option<String>,
}

/// What `times` switches off.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fault {
    pub(crate) status: Option<u16>,
    pub(crate) code: Option<String>,
    pub(crate) retry_after: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) delay_ms: Option<u64>,
    pub(crate) first_chunk_ms: Option<u64>,
    pub(crate) chunk_ms: Option<u64>,
    pub(crate) drip_ms: Option<u64>,
    pub(crate) cut: Option<usize>,
    pub(crate) stall: Option<usize>,
    pub(crate) error_stream: Option<usize>,
    pub(crate) error_first: bool,
    pub(crate) garbage: bool,
    pub(crate) gzip: bool,
    pub(crate) content_type: Option<String>,
    pub(crate) finish: Option<String>,
    pub(crate) reset: bool,
}

/// What stays when the faults are over.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shape {
    pub(crate) chunks: Option<usize>,
    pub(crate) chunk_bytes: Option<usize>,
    pub(crate) body_bytes: Option<usize>,
    pub(crate) usage: Option<ScriptedUsage>,
    pub(crate) no_usage: bool,
    pub(crate) no_length: bool,
    pub(crate) issued: bool,
    pub(crate) expires_in: Option<u64>,
    pub(crate) dialect: Option<String>,
}

/// The four numbers of `usage=P:C[:R[:W]]`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ScriptedUsage {
    pub(crate) prompt: u64,
    pub(crate) completion: u64,
    pub(crate) cache_read: u64,
    pub(crate) cache_write: u64,
}

impl Script {
    /// Adds every script among the segments of `path`.
    ///
    /// # Errors
    /// An unknown key or a value of the wrong kind, named: a misspelt script must not pass for a healthy provider.
    pub(crate) fn add_path(&mut self, path: &str) -> Result<(), String> {
        path.split('/').filter(|segment| segment.contains('=')).try_for_each(|segment| self.add(segment))
    }

    /// Adds one script; a later key wins.
    ///
    /// # Errors
    /// As for [`Script::add_path`].
    pub(crate) fn add(&mut self, text: &str) -> Result<(), String> {
        text.split(',').map(str::trim).filter(|pair| !pair.is_empty()).try_for_each(|pair| self.add_pair(pair))
    }

    fn add_pair(&mut self, pair: &str) -> Result<(), String> {
        let (key, value) = pair.split_once('=').ok_or_else(|| format!("script: expected key=value, found {pair}"))?;
        let (_, set) = KEYS
            .iter()
            .find(|(name, _)| *name == key)
            .ok_or_else(|| format!("script: expected a known key, found {key}"))?;
        set(self, value).ok_or_else(|| format!("script: {key} cannot be {value}"))
    }
}

/// Stores one value; `None` if it is of the wrong kind.
type Set = fn(&mut Script, &str) -> Option<()>;

const KEYS: &[(&str, Set)] = &[
    ("status", |s, v| put(&mut s.fault.status, v)),
    ("code", |s, v| put(&mut s.fault.code, v)),
    ("retry-after", |s, v| put(&mut s.fault.retry_after, v)),
    ("header", |s, v| {
        let (name, value) = v.split_once(':')?;
        s.fault.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        Some(())
    }),
    ("delay-ms", |s, v| put(&mut s.fault.delay_ms, v)),
    ("first-chunk-ms", |s, v| put(&mut s.fault.first_chunk_ms, v)),
    ("chunk-ms", |s, v| put(&mut s.fault.chunk_ms, v)),
    ("drip-ms", |s, v| put(&mut s.fault.drip_ms, v)),
    ("cut", |s, v| put(&mut s.fault.cut, v)),
    ("stall", |s, v| put(&mut s.fault.stall, v)),
    ("error-stream", |s, v| put(&mut s.fault.error_stream, v)),
    ("error-first", |s, v| flag(&mut s.fault.error_first, v)),
    ("garbage", |s, v| flag(&mut s.fault.garbage, v)),
    ("gzip", |s, v| flag(&mut s.fault.gzip, v)),
    ("content-type", |s, v| put(&mut s.fault.content_type, &v.replace('~', "/"))),
    ("finish", |s, v| put(&mut s.fault.finish, v)),
    ("reset", |s, v| flag(&mut s.fault.reset, v)),
    ("chunks", |s, v| put(&mut s.shape.chunks, v)),
    ("chunk-bytes", |s, v| put(&mut s.shape.chunk_bytes, v)),
    ("body-bytes", |s, v| put(&mut s.shape.body_bytes, v)),
    ("usage", |s, v| {
        s.shape.usage = Some(scripted_usage(v)?);
        Some(())
    }),
    ("dialect", |s, v| put(&mut s.shape.dialect, v)),
    ("no-usage", |s, v| flag(&mut s.shape.no_usage, v)),
    ("no-length", |s, v| flag(&mut s.shape.no_length, v)),
    ("issued", |s, v| flag(&mut s.shape.issued, v)),
    ("expires-in", |s, v| put(&mut s.shape.expires_in, v)),
    ("times", |s, v| put(&mut s.times, v)),
    ("id", |s, v| put(&mut s.id, v)),
];

fn put<T: std::str::FromStr>(slot: &mut Option<T>, value: &str) -> Option<()> {
    *slot = Some(value.parse().ok()?);
    Some(())
}

fn flag(slot: &mut bool, value: &str) -> Option<()> {
    *slot = match value {
        "1" => true,
        "0" => false,
        _ => return None,
    };
    Some(())
}

fn scripted_usage(value: &str) -> Option<ScriptedUsage> {
    let numbers: Vec<u64> = value.split(':').map(str::parse).collect::<Result<_, _>>().ok()?;
    match *numbers.as_slice() {
        [prompt, completion] => Some(ScriptedUsage { prompt, completion, ..ScriptedUsage::default() }),
        [prompt, completion, cache_read] => Some(ScriptedUsage { prompt, completion, cache_read, cache_write: 0 }),
        [prompt, completion, cache_read, cache_write] => {
            Some(ScriptedUsage { prompt, completion, cache_read, cache_write })
        }
        _ => None,
    }
}
