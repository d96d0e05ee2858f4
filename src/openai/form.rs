//! A `multipart/form-data` body: where its parts are. Nothing is decoded or copied.
//!
//! ## Why nothing is forgiven
//!
//! The model of a form decides who may send it, and what the provider reads as the model must be what was read here.
//! Servers differ in what they let pass: bare line feeds, folded headers, `name*`, a backslash before a quote, text
//! around the form. Any of that is refused, so that there is but one reading. The boundary may stand nowhere but in a
//! delimiter, as its definition says.
//!
//! # Limits
//!
//! At most 128 parts, whose headers have at most 8 KiB each.
//!
//! Source: RFC 7578 and RFC 2046, 5.1, not re-read for this.

use std::fmt;
use std::ops::Range;

use memchr::memmem;

/// Parts of one form. OpenAI takes 16 images at most.
pub const MAX_PARTS: usize = 128;

/// Bytes of the headers of one part: a long file name, and what a client adds.
pub const MAX_HEAD_BYTES: usize = 8 << 10;

/// Characters of a boundary, as RFC 2046 has it.
const MAX_BOUNDARY: usize = 70;

/// A form's parts in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// The header that belongs to the body, with its boundary.
    pub content_type: String,
    /// `--` and the boundary.
    delimiter: Vec<u8>,
    /// Where the first delimiter stands.
    start: usize,
    parts: Vec<Part>,
}

/// One part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The field's name.
    pub name: String,
    /// Whether it has a file name.
    pub is_file: bool,
    /// The bytes of the value.
    pub value: Range<usize>,
    /// The delimiter, the headers, the value and the line break behind it.
    pub whole: Range<usize>,
}

/// Why a body is not one form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What would have been right.
    pub expected: &'static str,
    /// The offset of the part or the delimiter that is wrong.
    pub at: usize,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {} at byte {}", self.expected, self.at)
    }
}

impl Form {
    /// Finds the parts of `body`, which came with the header `content_type`.
    ///
    /// # Errors
    ///
    /// It is not one whole form, or it can be read in two ways.
    pub fn parse(content_type: &str, body: &[u8]) -> Result<Self, Fault> {
        let boundary = boundary(content_type).ok_or(Fault { expected: BOUNDARY, at: 0 })?;
        let delimiter = [b"--", boundary.as_bytes()].concat();
        let finder = memmem::Finder::new(&delimiter);
        let start = if body.starts_with(b"\r\n") { 2 } else { 0 };
        if !tail(body, start).starts_with(&delimiter) {
            return Err(Fault { expected: "the boundary", at: start });
        }
        let (mut at, mut parts) = (start, Vec::new());
        loop {
            let line_end = tail(body, at + delimiter.len());
            if let Some(rest) = line_end.strip_prefix(b"--") {
                return match rest {
                    b"" | b"\r\n" => Ok(Self { content_type: content_type.to_owned(), delimiter, start, parts }),
                    _ => Err(Fault { expected: "nothing behind the last boundary", at }),
                };
            }
            let section_at = at + delimiter.len() + 2;
            if !line_end.starts_with(b"\r\n") {
                return Err(Fault { expected: "a line break behind the boundary", at });
            }
            let Some(len) = finder.find(tail(body, section_at)) else {
                return Err(Fault { expected: "a last boundary", at: body.len() });
            };
            let section = tail(body, section_at).get(..len).unwrap_or_default();
            let Some(section) = section.strip_suffix(b"\r\n") else {
                return Err(Fault { expected: "a line break before the boundary", at: section_at + len });
            };
            if parts.len() == MAX_PARTS {
                return Err(Fault { expected: "at most 128 parts", at });
            }
            let whole = at..section_at + len;
            parts.push(Part::read(section, section_at, whole).map_err(|expected| Fault { expected, at })?);
            at = section_at + len;
        }
    }

    /// The parts in their order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The parts of this name.
    pub fn named(&self, name: &str) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(move |part| part.name == name)
    }

    /// Where a part may be put in.
    pub fn start(&self) -> usize {
        self.start
    }

    /// A part to be put in.
    pub fn part(&self, name: &str, value: &str) -> Vec<u8> {
        let head = format!("\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        [self.delimiter.as_slice(), head.as_bytes()].concat()
    }

    /// Whether `value` can be a part's: it is one line and no boundary.
    pub fn takes(&self, value: &str) -> bool {
        !value.contains(['\r', '\n']) && memmem::find(value.as_bytes(), &self.delimiter).is_none()
    }
}

impl Part {
    /// Reads what stands between two delimiters, from `at` on.
    fn read(section: &[u8], at: usize, whole: Range<usize>) -> Result<Self, &'static str> {
        let room = section.get(..section.len().min(MAX_HEAD_BYTES)).unwrap_or_default();
        let head_len = memmem::find(room, b"\r\n\r\n").ok_or("the headers of a part, at most 8 KiB of them")?;
        let head = section.get(..head_len).unwrap_or_default();
        let value = at + head_len + 4..at + section.len();
        let mut disposition = None;
        for line in Lines(head) {
            let (name, text) = header(line).ok_or("a header of a part")?;
            if name.eq_ignore_ascii_case(b"content-disposition") && disposition.replace(text).is_some() {
                return Err("one content-disposition");
            }
        }
        let (name, is_file) = disposition.and_then(field).ok_or("content-disposition: form-data with one name")?;
        Ok(Self { name, is_file, value, whole })
    }
}

const BOUNDARY: &str = "a content-type of multipart/form-data with a boundary of at most 70 characters";

fn tail(bytes: &[u8], at: usize) -> &[u8] {
    bytes.get(at..).unwrap_or_default()
}

/// The lines between line breaks.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.0.is_empty() {
            return None;
        }
        let len = memmem::find(self.0, b"\r\n").unwrap_or(self.0.len());
        let line = self.0.get(..len)?;
        self.0 = tail(self.0, len + 2);
        Some(line)
    }
}

/// `name: value`; not folded, without control characters.
fn header(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr::memchr(b':', line)?;
    let (name, value) = (line.get(..colon)?, tail(line, colon + 1));
    let is_clean = value.iter().all(|byte| *byte == b'\t' || *byte >= b' ');
    (is_token(name) && is_clean).then(|| (name, value.trim_ascii()))
}

/// The name that `form-data; name="x"; filename="y"` gives, and whether there is a file name.
fn field(disposition: &[u8]) -> Option<(String, bool)> {
    let (mut name, mut is_file) = (None, false);
    for parameter in Parameters::of(disposition, b"form-data")? {
        let (key, value) = parameter?;
        match key.to_ascii_lowercase().as_slice() {
            b"name" => {
                let value = std::str::from_utf8(value).ok().filter(|value| !value.contains('\\'))?;
                name.replace(value.to_owned()).is_none().then_some(())?;
            }
            b"name*" => return None,
            b"filename" | b"filename*" => is_file = true,
            _ => {}
        }
    }
    Some((name?, is_file))
}

fn boundary(content_type: &str) -> Option<String> {
    let mut found = None;
    for parameter in Parameters::of(content_type.as_bytes(), b"multipart/form-data")? {
        let (key, value) = parameter?;
        if key.eq_ignore_ascii_case(b"boundary") {
            let value = std::str::from_utf8(value).ok()?;
            let is_fit = value.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') && !value.ends_with(' ');
            (is_fit && (1..=MAX_BOUNDARY).contains(&value.len())).then_some(())?;
            found.replace(value.to_owned()).is_none().then_some(())?;
        }
    }
    found
}

fn is_token(bytes: &[u8]) -> bool {
    let is_delimiter = |byte: &u8| b"\"(),/:;<=>?@[\\]{}".contains(byte);
    !bytes.is_empty() && bytes.iter().all(|byte| byte.is_ascii_graphic() && !is_delimiter(byte))
}

/// The parameters behind a header's first word: `; key=value; key="value"`. `None` stands for one that makes no sense.
struct Parameters<'a>(&'a [u8]);

impl<'a> Parameters<'a> {
    /// Those of `header`, whose first word must be `word`.
    fn of(header: &'a [u8], word: &[u8]) -> Option<Self> {
        let (first, rest) = header.split_at_checked(word.len())?;
        first.eq_ignore_ascii_case(word).then_some(Self(rest))
    }

    fn read(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let rest = self.0.trim_ascii_start().strip_prefix(b";")?.trim_ascii_start();
        let equals = memchr::memchr(b'=', rest)?;
        let key = rest.get(..equals)?;
        let text = tail(rest, equals + 1);
        let (value, rest) = match text.strip_prefix(b"\"") {
            Some(quoted) => {
                let len = memchr::memchr(b'"', quoted)?;
                (quoted.get(..len).filter(|value| !value.ends_with(b"\\"))?, tail(quoted, len + 1))
            }
            None => {
                let len = memchr::memchr2(b';', b' ', text).unwrap_or(text.len());
                (text.get(..len).filter(|value| !value.is_empty() && !value.contains(&b'"'))?, tail(text, len))
            }
        };
        self.0 = rest;
        is_token(key).then_some((key, value))
    }
}

impl<'a> Iterator for Parameters<'a> {
    type Item = Option<(&'a [u8], &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.trim_ascii().is_empty() {
            return None;
        }
        let read = self.read();
        if read.is_none() {
            self.0 = b"";
        }
        Some(read)
    }
}

#[cfg(test)]
#[path = "form_tests.rs"]
mod tests;
