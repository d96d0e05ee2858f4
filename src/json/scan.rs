//! Where the members of a JSON object are, found in one pass that also proves the whole text valid.
//!
//! Nothing is decoded: a value is a range of bytes, read by serde where somebody wants it. Strings, the bulk of an LLM
//! request, are skipped by vector instructions.
//!
//! Source: RFC 8259.

use std::fmt;
use std::ops::Range;

use memchr::memchr2;
use serde::Deserialize;

use crate::error::{Error, Kind};

/// The deepest nesting accepted, as serde_json's own: deeper text is an attack on somebody's stack.
pub const MAX_DEPTH: usize = 128;

/// What kind of value a range holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `"..."`
    String,
    /// `[...]`
    Array,
    /// `{...}`
    Object,
    /// `1.5`
    Number,
    /// `true`, `false`
    Bool,
    /// `null`
    Null,
}

impl Shape {
    fn name(self) -> &'static str {
        match self {
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
            Self::Number => "a number",
            Self::Bool => "a boolean",
            Self::Null => "null",
        }
    }
}

/// One member of the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The name, unescaped.
    pub key: String,
    /// The bytes of the name, quotes included.
    pub name: Range<usize>,
    /// The bytes of the value.
    pub value: Range<usize>,
    /// What the value is.
    pub shape: Shape,
}

/// The members of one JSON object, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    members: Vec<Member>,
    /// Just after the opening brace.
    start: usize,
}

/// Why a text is not one JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What would have been right.
    pub expected: &'static str,
    /// The offset of the first wrong byte.
    pub at: usize,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {} at byte {}", self.expected, self.at)
    }
}

impl Index {
    /// Indexes `text`, which must be exactly one object in UTF-8. Of members with the same name the last one counts.
    ///
    /// # Errors
    ///
    /// The first fault.
    pub fn parse(text: &[u8]) -> Result<Self, Fault> {
        if let Err(error) = simdutf8::compat::from_utf8(text) {
            return Err(Fault { expected: "UTF-8", at: error.valid_up_to() });
        }
        let mut scan = Scan { text, at: 0 };
        scan.space();
        scan.expect(b'{', "a JSON object")?;
        let mut index = Self { members: Vec::with_capacity(16), start: scan.at };
        scan.members(1, |member| index.members.push(member))?;
        scan.space();
        if scan.at == text.len() { Ok(index) } else { Err(scan.fault("the end of the body")) }
    }

    /// The offset just after the opening brace: where a member can be inserted.
    pub fn start(&self) -> usize {
        self.start
    }

    /// All members.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The member of this name that counts.
    pub fn get(&self, key: &str) -> Option<&Member> {
        self.members.iter().rev().find(|member| member.key == key)
    }

    /// Checks that there is a member `key` of one of `shapes`.
    ///
    /// # Errors
    ///
    /// `MissingRequiredParameter`, `InvalidType`.
    pub fn expect(&self, key: &str, shapes: &[Shape]) -> Result<(), Error> {
        let Some(member) = self.get(key).filter(|member| member.shape != Shape::Null) else {
            let message = format!("missing required parameter: '{key}'");
            return Err(Error::new(Kind::MissingRequiredParameter, message).with_param(key));
        };
        if shapes.contains(&member.shape) {
            return Ok(());
        }
        let names: Vec<_> = shapes.iter().map(|shape| shape.name()).collect();
        let message =
            format!("invalid type for '{key}': expected {}, found {}", names.join(" or "), member.shape.name());
        Err(Error::new(Kind::InvalidType, message).with_param(key))
    }

    /// Decodes the member `key` of `text`, the text that was indexed; `None` where it is absent or null.
    ///
    /// # Errors
    ///
    /// `InvalidType`.
    pub fn read<'a, T: Deserialize<'a>>(&self, text: &'a [u8], key: &str) -> Result<Option<T>, Error> {
        let Some(member) = self.get(key).filter(|member| member.shape != Shape::Null) else {
            return Ok(None);
        };
        let value = text.get(member.value.clone()).unwrap_or_default();
        serde_json::from_slice(value).map(Some).map_err(|fault| {
            let expected = expected(&fault).map(|expected| format!("expected {expected}, ")).unwrap_or_default();
            let message = format!("invalid type for '{key}': {expected}found {}", member.shape.name());
            Error::new(Kind::InvalidType, message).with_param(key)
        })
    }
}

/// What a value should have been, in a client's words. What else serde says quotes the value.
fn expected(fault: &serde_json::Error) -> Option<&'static str> {
    let fault = fault.to_string();
    let (_, expected) = fault.rsplit_once(", expected ")?;
    let (expected, _) = expected.split_once(" at line ")?;
    match expected {
        "u32" | "u64" => Some("a whole number of zero or more"),
        "f64" => Some("a number"),
        "a boolean" => Some("a boolean"),
        "a string" | "a borrowed string" => Some("a string"),
        "a sequence" => Some("an array"),
        _ => expected.starts_with("struct ").then_some("an object"),
    }
}

/// Indexes the members of the object `text[range]`, with ranges in `text`. `None` when it is not a valid object.
pub fn members_of(text: &[u8], range: Range<usize>) -> Option<Index> {
    let mut index = Index::parse(text.get(range.clone())?).ok()?;
    index.start = index.start.saturating_add(range.start);
    for Member { name, value, .. } in &mut index.members {
        for range_of in [name, value] {
            range_of.start = range_of.start.saturating_add(range.start);
            range_of.end = range_of.end.saturating_add(range.start);
        }
    }
    Some(index)
}

struct Scan<'a> {
    text: &'a [u8],
    at: usize,
}

type Step<T> = Result<T, Fault>;

impl Scan<'_> {
    fn fault(&self, expected: &'static str) -> Fault {
        Fault { expected, at: self.at }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8, expected: &'static str) -> Step<()> {
        if self.eat(byte) { Ok(()) } else { Err(self.fault(expected)) }
    }

    /// The members of an object whose brace is open, `depth` deep.
    fn members(&mut self, depth: usize, mut each: impl FnMut(Member)) -> Step<()> {
        self.space();
        if self.eat(b'}') {
            return Ok(());
        }
        loop {
            self.space();
            let key = self.at;
            self.expect(b'"', "a member name")?;
            self.string()?;
            let key = key..self.at;
            self.space();
            self.expect(b':', "':'")?;
            self.space();
            let value = self.at;
            let shape = self.value(depth)?;
            if let Some(text) = self.unescape(key.clone()) {
                each(Member { key: text, name: key, value: value..self.at, shape });
            }
            self.space();
            if self.eat(b'}') {
                return Ok(());
            }
            self.expect(b',', "',' or '}'")?;
        }
    }

    /// A name with a lone surrogate has no Rust string; nobody asks for such a member.
    fn unescape(&self, key: Range<usize>) -> Option<String> {
        let plain = std::str::from_utf8(self.text.get(key.start + 1..key.end - 1)?).ok()?;
        if !plain.contains('\\') {
            return Some(plain.to_owned());
        }
        serde_json::from_slice(self.text.get(key)?).ok()
    }

    /// Skips one value that stands `depth` levels deep, without recursion.
    fn value(&mut self, depth: usize) -> Step<Shape> {
        let shape = self.scalar_or_open()?;
        let mut open = match shape {
            Shape::Array | Shape::Object => Nesting::new(depth),
            Shape::String | Shape::Number | Shape::Bool | Shape::Null => return Ok(shape),
        };
        open.push(shape).ok_or(self.fault("less nesting"))?;
        let mut first = true;
        while let Some(container) = open.top() {
            self.space();
            let close = if container == Shape::Object { b'}' } else { b']' };
            if self.eat(close) {
                open.pop();
                first = false;
                continue;
            }
            if !first {
                self.expect(b',', if container == Shape::Object { "',' or '}'" } else { "',' or ']'" })?;
                self.space();
            }
            if container == Shape::Object {
                self.expect(b'"', "a member name")?;
                self.string()?;
                self.space();
                self.expect(b':', "':'")?;
                self.space();
            }
            let inner = self.scalar_or_open()?;
            first = matches!(inner, Shape::Array | Shape::Object);
            if first {
                open.push(inner).ok_or(self.fault("less nesting"))?;
            }
        }
        Ok(shape)
    }

    /// Skips a scalar, or the opening bracket of a container.
    fn scalar_or_open(&mut self) -> Step<Shape> {
        let Some(byte) = self.peek() else { return Err(self.fault("a value")) };
        match byte {
            b'"' => {
                self.at += 1;
                self.string().map(|()| Shape::String)
            }
            b'{' => {
                self.at += 1;
                Ok(Shape::Object)
            }
            b'[' => {
                self.at += 1;
                Ok(Shape::Array)
            }
            b't' => self.word(b"true", Shape::Bool),
            b'f' => self.word(b"false", Shape::Bool),
            b'n' => self.word(b"null", Shape::Null),
            b'-' | b'0'..=b'9' => self.number().map(|()| Shape::Number),
            _ => Err(self.fault("a value")),
        }
    }

    fn word(&mut self, word: &'static [u8], shape: Shape) -> Step<Shape> {
        if !self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            return Err(self.fault("a value"));
        }
        self.at += word.len();
        Ok(shape)
    }

    fn number(&mut self) -> Step<()> {
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _sign = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Step<()> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { Err(self.fault("a digit")) } else { Ok(()) }
    }

    /// Skips the rest of a string, its closing quote included.
    fn string(&mut self) -> Step<()> {
        loop {
            self.at += plain_len(self.text.get(self.at..).unwrap_or_default());
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return Err(self.fault("no raw control character in a string")),
                None => return Err(self.fault("'\"'")),
            }
        }
    }

    fn escape(&mut self) -> Step<()> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                let digits = self.text.get(self.at..self.at + 4).unwrap_or_default();
                if digits.len() != 4 || !digits.iter().all(u8::is_ascii_hexdigit) {
                    return Err(self.fault("four hex digits"));
                }
                self.at += 4;
            }
            _ => return Err(self.fault("an escape")),
        }
        Ok(())
    }
}

/// How many bytes of `text` stand before a quote, a backslash or a control character. Both passes are vectorized, the
/// one for controls by the compiler: it has no branch but for the end.
fn plain_len(text: &[u8]) -> usize {
    let end = memchr2(b'"', b'\\', text).unwrap_or(text.len());
    let plain = text.get(..end).unwrap_or_default();
    let controls = plain.iter().fold(0, |any, &byte| any | u8::from(byte < 0x20));
    if controls == 0 { end } else { plain.iter().position(|&byte| byte < 0x20).unwrap_or(end) }
}

/// The open containers, one bit each: whether it is an object.
struct Nesting {
    objects: [u64; MAX_DEPTH / 64],
    base: usize,
    depth: usize,
}

impl Nesting {
    fn new(base: usize) -> Self {
        Self { objects: [0; MAX_DEPTH / 64], base, depth: 0 }
    }

    fn push(&mut self, shape: Shape) -> Option<()> {
        if self.base + self.depth >= MAX_DEPTH {
            return None;
        }
        let word = self.objects.get_mut(self.depth / 64)?;
        let bit = 1u64 << (self.depth % 64);
        if shape == Shape::Object {
            *word |= bit
        } else {
            *word &= !bit
        }
        self.depth += 1;
        Some(())
    }

    fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    fn top(&self) -> Option<Shape> {
        let top = self.depth.checked_sub(1)?;
        let object = self.objects.get(top / 64)? >> (top % 64) & 1 == 1;
        Some(if object { Shape::Object } else { Shape::Array })
    }
}

#[cfg(test)]
mod tests;
