//! The JSON index takes what serde_json takes for an object, and finds the same members.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use tollgate::json::Index;

fuzz_target!(|input: &[u8]| {
    let (Ok(index), Ok(reference)) = (Index::parse(input), serde_json::from_slice::<Map<String, Value>>(input)) else {
        return;
    };
    for (name, value) in &reference {
        let member = index.get(name).expect("a member");
        let found: Value = serde_json::from_slice(&input[member.value.clone()]).expect("a value");
        assert_eq!(&found, value);
    }
});
