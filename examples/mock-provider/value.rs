//! JSON: reading without a panic, and writing with the members in the vendor's own order.
//!
//! serde_json sorts the members of a `Value`; the vendors put `id` or `type` first, and a gateway that scans bytes
//! must meet them as they really come.

use std::fmt::Write;

use serde_json::Value;

/// The string at a JSON pointer, such as `/function/name`.
pub(crate) fn text_at<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer)?.as_str()
}

/// `null`, where no other type says so.
pub(crate) const NULL: Option<&str> = None;

/// Writes an object: `object! {"type": "ping"}`.
macro_rules! object {
    ($($key:literal: $value:expr),* $(,)?) => { $crate::value::Object::default()$(.with($key, &$value))* };
}
pub(crate) use object;

/// A JSON object as text, members in the order in which they were added.
#[derive(Clone, Debug, Default)]
pub(crate) struct Object {
    members: String,
}

impl Object {
    /// Adds a member.
    pub(crate) fn with(mut self, key: &str, value: &(impl Json + ?Sized)) -> Self {
        if !self.members.is_empty() {
            self.members.push(',');
        }
        key.write(&mut self.members);
        self.members.push(':');
        value.write(&mut self.members);
        self
    }

    /// Adds a member if there is one.
    pub(crate) fn with_some(self, key: &str, value: Option<impl Json>) -> Self {
        match value {
            Some(value) => self.with(key, &value),
            None => self,
        }
    }

    /// The text of the object.
    pub(crate) fn text(&self) -> String {
        format!("{{{}}}", self.members)
    }
}

/// What can stand in an [`Object`].
pub(crate) trait Json {
    fn write(&self, out: &mut String);
}

impl Json for Object {
    fn write(&self, out: &mut String) {
        out.push('{');
        out.push_str(&self.members);
        out.push('}');
    }
}

impl Json for str {
    fn write(&self, out: &mut String) {
        out.push('"');
        for char in self.chars() {
            match char {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                control if control < ' ' => out.extend(format!("\\u{:04x}", u32::from(control)).chars()),
                plain => out.push(plain),
            }
        }
        out.push('"');
    }
}

impl Json for String {
    fn write(&self, out: &mut String) {
        self.as_str().write(out);
    }
}

impl<T: Json + ?Sized> Json for &T {
    fn write(&self, out: &mut String) {
        (**self).write(out);
    }
}

impl<T: Json> Json for Option<T> {
    fn write(&self, out: &mut String) {
        match self {
            Some(value) => value.write(out),
            None => out.push_str("null"),
        }
    }
}

impl<T: Json> Json for [T] {
    fn write(&self, out: &mut String) {
        out.push('[');
        for (index, value) in self.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            value.write(out);
        }
        out.push(']');
    }
}

impl<T: Json> Json for Vec<T> {
    fn write(&self, out: &mut String) {
        self.as_slice().write(out);
    }
}

impl<T: Json, const N: usize> Json for [T; N] {
    fn write(&self, out: &mut String) {
        self.as_slice().write(out);
    }
}

/// Types whose `Display` is JSON.
macro_rules! displayed {
    ($($kind:ty),*) => { $(impl Json for $kind {
        fn write(&self, out: &mut String) {
            // Writing to a String cannot fail.
            let _ = write!(out, "{self}");
        }
    })* };
}
displayed!(bool, f32, u64, usize, Value);
