//! Edits of the members of an object and of the elements of an array, by ranges: what nobody edits stays as written.

use std::ops::Range;

use serde_json::value::RawValue;

use super::scan::Member;
use super::{Index, Splice};

/// What becomes of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It stays.
    Keep,
    /// It goes.
    Drop,
    /// It gets another name.
    Rename(&'static str),
    /// It gets another value, a JSON text.
    Set(Vec<u8>),
}

/// Writes into `splice` what `change` makes of each member of an object, with `added` (names and JSON texts) in front;
/// whether all of it could be written.
pub fn object(
    index: &Index,
    change: impl FnMut(&Member) -> Change,
    added: &[(&str, Vec<u8>)],
    splice: &mut Splice,
) -> bool {
    let members = index.members();
    let changes: Vec<Change> = members.iter().map(change).collect();
    let whole: Vec<Range<usize>> = members.iter().map(|member| member.name.start..member.value.end).collect();
    let dropped: Vec<bool> = changes.iter().map(|change| *change == Change::Drop).collect();
    let mut done = insert(index.start(), added, dropped.contains(&false), splice);
    for (member, change) in members.iter().zip(changes) {
        done &= match change {
            Change::Keep | Change::Drop => true,
            Change::Rename(name) => splice.replace(member.name.clone(), format!("\"{name}\"")),
            Change::Set(value) => splice.replace(member.value.clone(), value),
        };
    }
    done & drop_items(&whole, &dropped, index.start(), splice)
}

fn insert(at: usize, added: &[(&str, Vec<u8>)], is_followed: bool, splice: &mut Splice) -> bool {
    let mut text = Vec::new();
    for (i, (name, value)) in added.iter().enumerate() {
        text.extend_from_slice(if i == 0 { b"\"" } else { b",\"" });
        text.extend_from_slice(name.as_bytes());
        text.extend_from_slice(b"\":");
        text.extend_from_slice(value);
    }
    if is_followed && !text.is_empty() {
        text.push(b',');
    }
    text.is_empty() || splice.replace(at..at, text)
}

/// Drops items of a list (whose bracket or brace ends at `start`), each with one comma.
pub fn drop_items(items: &[Range<usize>], dropped: &[bool], start: usize, splice: &mut Splice) -> bool {
    let last_kept = dropped.iter().rposition(|dropped| !dropped);
    let nexts = items.iter().skip(1);
    let mut done = true;
    for (i, (item, next)) in items.iter().zip(nexts).enumerate() {
        if dropped.get(i) == Some(&true) && last_kept.is_some_and(|last| i < last) {
            done &= splice.replace(item.start..next.start, "");
        }
    }
    let from = last_kept.map_or(Some(start), |last| items.get(last).map(|item| item.end));
    match (from, items.last()) {
        (Some(from), Some(last)) if from < last.end => done & splice.replace(from..last.end, ""),
        _ => done,
    }
}

/// Where the elements of the array `text[range]` are; `None` when it is none.
pub fn elements(text: &[u8], range: Range<usize>) -> Option<Vec<Range<usize>>> {
    let array = text.get(range.clone())?;
    let elements: Vec<&RawValue> = serde_json::from_slice(array).ok()?;
    let place = |element: &RawValue| {
        let element = element.get();
        let at = (element.as_ptr() as usize).checked_sub(array.as_ptr() as usize)?.checked_add(range.start)?;
        Some(at..at.checked_add(element.len())?)
    };
    elements.into_iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn edited(text: &str, drop: &[&str], added: &[(&str, Vec<u8>)]) -> String {
        let index = Index::parse(text.as_bytes()).unwrap();
        let mut splice = Splice::default();
        let change = |member: &Member| match member.key.as_str() {
            key if drop.contains(&key) => Change::Drop,
            "r" => Change::Rename("renamed"),
            "s" => Change::Set(b"9".to_vec()),
            _ => Change::Keep,
        };
        assert!(object(&index, change, added, &mut splice));
        let text = String::from_utf8(splice.apply(text.as_bytes()).unwrap()).unwrap();
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{text}");
        text
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_not_edited_stays_as_written() {
        let text = r#"{ "a" : 1 , "b":[ 2 ],"r" : {}, "s":3 , "z" : "x" }"#;
        for (drop, expected) in [
            (vec![], r#"{ "a" : 1 , "b":[ 2 ],"renamed" : {}, "s":9 , "z" : "x" }"#),
            (vec!["a"], r#"{ "b":[ 2 ],"renamed" : {}, "s":9 , "z" : "x" }"#),
            (vec!["z"], r#"{ "a" : 1 , "b":[ 2 ],"renamed" : {}, "s":9 }"#),
            (vec!["b", "s", "z"], r#"{ "a" : 1 , "renamed" : {} }"#),
            (vec!["a", "b", "r", "s"], r#"{ "z" : "x" }"#),
            (vec!["a", "b", "r", "s", "z"], "{ }"),
        ] {
            assert_eq!(edited(text, &drop, &[]), expected, "{drop:?}");
        }
        let added = [("n", b"{}".to_vec()), ("m", b"1".to_vec())];
        assert_eq!(edited(r#"{"a":1}"#, &[], &added), r#"{"n":{},"m":1,"a":1}"#);
        assert_eq!(edited(r#"{"a":1}"#, &["a"], &added), r#"{"n":{},"m":1}"#);
        assert_eq!(edited(r#"{ }"#, &[], &added), r#"{"n":{},"m":1 }"#);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn elements_are_found_and_dropped() {
        let text = br#"x[ 1, "a,]" ,{"b":[]},null ]"#;
        let items = elements(text, 1..text.len()).unwrap();
        let texts: Vec<&[u8]> = items.iter().map(|item| &text[item.clone()]).collect();
        assert_eq!(texts, [&b"1"[..], br#""a,]""#, br#"{"b":[]}"#, b"null"]);
        for (dropped, expected) in [
            ([true, false, false, true], r#"x[ "a,]" ,{"b":[]} ]"#),
            ([false, true, true, false], "x[ 1, null ]"),
            ([true; 4], "x[ ]"),
        ] {
            let mut splice = Splice::default();
            assert!(drop_items(&items, &dropped, 2, &mut splice));
            assert_eq!(splice.apply(text).unwrap(), expected.as_bytes());
        }
        assert_eq!(elements(b"{}", 0..2), None);
    }
}
