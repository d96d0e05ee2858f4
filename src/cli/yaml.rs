//! YAML in and out: the command alone reads it, the filter gets JSON's data model from Envoy.

use serde_json::Value;
use serde_saphyr::DuplicateKeyPolicy;

/// Reads a YAML document.
///
/// # Errors
///
/// A message that says where: `line 3, column 7: ...`. It shows no line of the file: a key may be in it.
pub fn parse(text: &str) -> Result<Value, String> {
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::Error,
        with_snippet: false,
    };
    let document: Value = serde_saphyr::from_str_with_options(text, options).map_err(|fault| describe(&fault))?;
    if document.is_null() { Err("the file is empty".to_owned()) } else { Ok(document) }
}

/// Writes a document as YAML's block style; mappings are in the order of their keys.
pub fn dump(document: &Value) -> String {
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    let text = serde_saphyr::to_string_with_options(document, options);
    // JSON is YAML too.
    text.unwrap_or_else(|_| document.to_string())
}

fn describe(fault: &serde_saphyr::Error) -> String {
    let text = fault.without_snippet().to_string();
    match fault.location() {
        Some(at) if !text.contains("line ") => format!("line {}, column {}: {text}", at.line(), at.column()),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::{dump, parse};
    use serde_json::{Value, json};

    #[test]
    fn what_is_dumped_reads_as_the_same() {
        let document = json!({"a": ["1", "on", "1d", "2027-01-31T00:00:00Z", "0x1f", "1_000", "~", "", "a: b", "#", "two\nlines\n"],
            "b": {"n": 1.5e-7, "i": 4_000_000_000_u64, "t": true, "z": null, "e": {}, "l": []},
            "long": "a long sentence that a folding serializer would break in the middle, were it allowed to do that"});
        assert_eq!(parse(&dump(&document)), Ok(document));
    }

    #[test]
    fn faults_say_where_and_show_no_value() {
        for text in ["a: 1\nb: [sk-secret\n", "a: 1\na: sk-secret\n", "a: 'sk-secret\n", "a: 1\n b: sk-secret\n"] {
            let fault = parse(text).unwrap_err();
            assert!(fault.contains("line "), "{fault}");
            assert!(!fault.contains("sk-secret"), "{fault}");
        }
        assert!(parse("").is_err());
    }

    #[test]
    fn booleans_are_those_of_litellm() {
        assert_eq!(parse("a: yes\nb: off\nc: True"), Ok(json!({"a": true, "b": false, "c": true})));
        assert_eq!(parse("a: &x {b: 1}\nc: {<<: *x, d: 2}").unwrap().pointer("/c/b"), Some(&Value::from(1)));
    }
}
