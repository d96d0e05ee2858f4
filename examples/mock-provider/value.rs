//! Access to JSON values that cannot panic.

use serde_json::Value;

/// The string at a JSON pointer, such as `/function/name`.
pub(crate) fn text_at<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer)?.as_str()
}

/// The object with one more member; any other value is left alone, and so is an object without a member to add.
pub(crate) fn with(mut value: Value, key: &str, member: Option<Value>) -> Value {
    if let (Some(object), Some(member)) = (value.as_object_mut(), member) {
        object.insert(key.to_owned(), member);
    }
    value
}
