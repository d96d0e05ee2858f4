//! A place in a dump: a value, and the JSON path that leads to it.
//!
//! Envoy writes the names of its fields in snake case, istioctl in camel case, and both read either: so does this.
//! A `google.protobuf.Any` may hold its message itself or, as control planes like to send it, a `TypedStruct`.
//!
//! Source: Envoy, "xds/type/v3/typed_struct.proto" and "Admin" <https://www.envoyproxy.io/docs/envoy/latest/operations/admin>,
//! not re-read for this.

use serde_json::Value;

/// A place.
#[derive(Clone, Debug)]
pub(super) struct At<'v> {
    pub(super) value: &'v Value,
    pub(super) path: String,
}

/// An `Any`: its message, and the last part of its type's URL.
#[derive(Clone, Debug)]
pub(super) struct Typed<'v> {
    pub(super) kind: &'v str,
    pub(super) message: At<'v>,
}

impl<'v> At<'v> {
    pub(super) fn new(value: &'v Value, path: impl Into<String>) -> Self {
        Self { value, path: path.into() }
    }

    /// The member `name`, given in snake case.
    pub(super) fn get(&self, name: &str) -> Option<Self> {
        let map = self.value.as_object()?;
        let camel = camel(name);
        let (key, value) = map.get_key_value(name).or_else(|| map.get_key_value(&camel))?;
        if value.is_null() { None } else { Some(self.member(key, value)) }
    }

    /// What the members `names`, one inside the other, lead to.
    pub(super) fn find(&self, names: &[&str]) -> Option<Self> {
        names.iter().try_fold(self.clone(), |at, name| at.get(name))
    }

    /// The items of the list `name`; none when it is absent.
    pub(super) fn list(&self, name: &str) -> Vec<Self> {
        self.get(name).map(|at| at.items()).unwrap_or_default()
    }

    /// The items of this list.
    pub(super) fn items(&self) -> Vec<Self> {
        let item = |(i, value)| Self { value, path: format!("{}[{i}]", self.path) };
        self.value.as_array().into_iter().flatten().enumerate().map(item).collect()
    }

    /// The members of this mapping, by their own names.
    pub(super) fn members(&self) -> Vec<(&'v str, Self)> {
        let member = |(key, value): (&'v String, &'v Value)| (key.as_str(), self.member(key, value));
        self.value.as_object().into_iter().flatten().map(member).collect()
    }

    /// The string `name`.
    pub(super) fn text(&self, name: &str) -> Option<&'v str> {
        self.get(name)?.value.as_str()
    }

    /// The string `name`, or nothing.
    pub(super) fn name(&self) -> &'v str {
        self.text("name").unwrap_or_default()
    }

    /// The bool `name`; false when it is absent, as in protobuf.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|at| at.value.as_bool() == Some(true))
    }

    /// The whole number `name`, which JSON writes as a string where it has 64 bits.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        let value = self.get(name)?.value;
        value.as_u64().or_else(|| value.as_f64().map(|n| n as u64)).or_else(|| value.as_str()?.parse().ok())
    }

    /// The duration `name`, in seconds.
    pub(super) fn secs(&self, name: &str) -> Option<f64> {
        self.text(name)?.strip_suffix('s')?.parse().ok()
    }

    /// This `Any`.
    pub(super) fn typed(&self) -> Option<Typed<'v>> {
        let kind = last(self.text("@type")?);
        if kind != "TypedStruct" {
            return Some(Typed { kind, message: self.clone() });
        }
        let message = self.get("value").unwrap_or_else(|| self.clone());
        Some(Typed { kind: last(self.text("type_url")?), message })
    }

    fn member(&self, key: &str, value: &'v Value) -> Self {
        let is_plain = key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let path = if is_plain { format!("{}.{key}", self.path) } else { format!("{}['{key}']", self.path) };
        Self { value, path }
    }
}

/// `Wasm` of `type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm`.
fn last(url: &str) -> &str {
    url.rsplit(['.', '/']).next().unwrap_or(url)
}

/// `maxRetries` of `max_retries`.
fn camel(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut is_next = false;
    for c in name.chars() {
        match c {
            '_' => is_next = true,
            c if is_next => {
                out.extend(c.to_uppercase());
                is_next = false;
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::At;

    #[test]
    fn names_are_read_in_both_spellings() {
        let value = json!({"perConnectionBufferLimitBytes": 7, "a": {"max_retries": "9", "x.y": [{"off": true}]}, "t": "0.25s"});
        let root = At::new(&value, "$");
        assert_eq!(root.number("per_connection_buffer_limit_bytes"), Some(7));
        assert_eq!(root.find(&["a"]).and_then(|a| a.number("max_retries")), Some(9));
        assert_eq!(root.secs("t"), Some(0.25));
        let item = root.find(&["a", "x.y"]).map(|list| list.items()).unwrap_or_default();
        assert!(item[0].flag("off"));
        assert_eq!(item[0].path, "$.a['x.y'][0]");
    }

    #[test]
    fn a_typed_struct_is_its_message() {
        let url = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
        let own = json!({"@type": url, "config": {"root_id": "gateway"}});
        let sent = json!({"@type": "type.googleapis.com/udpa.type.v1.TypedStruct", "type_url": url, "value": {"config": {"rootId": "gateway"}}});
        for value in [own, sent] {
            let typed = At::new(&value, "$").typed().unwrap();
            let root_id = typed.message.get("config").and_then(|config| config.text("root_id"));
            assert_eq!((typed.kind, root_id), ("Wasm", Some("gateway")));
        }
    }
}
