use super::*;
use wasm_bindgen_test::wasm_bindgen_test;

fn is_valid(text: &[u8]) -> bool {
    Index::parse(text).is_ok()
}

#[wasm_bindgen_test(unsupported = test)]
fn members_are_found_with_their_shapes() {
    let text = br#" {"a" : "x\"y", "b\u0063":[1,{"a":2}], "n":null,"t":true,"o":{}, "d":-1.5e+3 , "a":"last"} "#;
    let index = Index::parse(text).unwrap();
    let found: Vec<_> = index
        .members()
        .iter()
        .map(|m| (m.key.as_str(), m.shape, std::str::from_utf8(&text[m.value.clone()]).unwrap()))
        .collect();
    assert_eq!(
        found,
        [
            ("a", Shape::String, r#""x\"y""#),
            ("bc", Shape::Array, r#"[1,{"a":2}]"#),
            ("n", Shape::Null, "null"),
            ("t", Shape::Bool, "true"),
            ("o", Shape::Object, "{}"),
            ("d", Shape::Number, "-1.5e+3"),
            ("a", Shape::String, r#""last""#),
        ]
    );
    assert_eq!(index.read::<String>(text, "a").unwrap().unwrap(), "last");
    assert_eq!(index.read::<String>(text, "n").unwrap(), None);
    assert_eq!(index.read::<u64>(text, "a").unwrap_err().kind, Kind::InvalidType);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_serde_json_refuses_is_refused_and_nothing_else() {
    let seeds: [&[u8]; 6] = [
        br#"{"model":"m","messages":[{"role":"user","content":"h\u00e9llo \n\\ \"q\" 0123456789abcdef"}],"n":-0.5e-10}"#,
        br#"{"a":[[],{},[{}],"",0,10,true,false,null],"b":{"c":{"d":[1,2,3]}}}"#,
        b"{}",
        b" {\t\"k\"\r\n: 1 } ",
        "{\"é\":\"日本語のテキスト、十六バイトより長い\"}".as_bytes(),
        br#"{"x":1e5,"y":0,"z":"\ud83d\ude00"}"#,
    ];
    let alphabet = b"{}[]\",:\\0123ue-+. tfn\x01\xff\n/";
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random >> 11) as usize % below
    };
    for seed in seeds {
        assert!(is_valid(seed), "{}", String::from_utf8_lossy(seed));
        for _ in 0..4000 {
            let mut text = seed.to_vec();
            for _ in 0..=next(3) {
                let at = next(text.len());
                match next(3) {
                    0 => text[at] = alphabet[next(alphabet.len())],
                    1 => text.insert(at, alphabet[next(alphabet.len())]),
                    _ => drop(text.remove(at)),
                }
                if text.is_empty() {
                    break;
                }
            }
            let peer = std::str::from_utf8(&text).is_ok()
                && serde_json::from_slice::<std::collections::BTreeMap<String, &serde_json::value::RawValue>>(&text)
                    .is_ok();
            assert_eq!(is_valid(&text), peer, "{}", String::from_utf8_lossy(&text));
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn nesting_has_a_bound() {
    let nested = |depth: usize| [b"{\"a\":".to_vec(), b"[".repeat(depth), b"]".repeat(depth), b"}".to_vec()].concat();
    assert!(is_valid(&nested(MAX_DEPTH - 1)));
    assert_eq!(Index::parse(&nested(MAX_DEPTH)).unwrap_err().expected, "less nesting");
    assert!(Index::parse(&b"{\"a\":[".repeat(200_000)).is_err());
}

#[wasm_bindgen_test(unsupported = test)]
fn a_wrong_value_is_told_what_it_should_have_been_and_not_repeated() {
    let text = br#"{"n":-5,"big":1e999,"half":0.5,"s":"secret, expected u64 at line 1","o":{"secret":1}}"#;
    let index = Index::parse(text).unwrap();
    let told = |fault: Option<Error>| fault.unwrap().message;
    let whole = "expected a whole number of zero or more, found";
    let number = |key| told(index.read::<u64>(text, key).err());
    assert_eq!(number("n"), format!("invalid type for 'n': {whole} a number"));
    assert_eq!(number("half"), format!("invalid type for 'half': {whole} a number"));
    assert_eq!(number("s"), format!("invalid type for 's': {whole} a string"));
    assert_eq!(number("big"), "invalid type for 'big': found a number");
    let told = [
        told(index.read::<bool>(text, "s").err()),
        told(index.read::<String>(text, "o").err()),
        told(index.read::<Vec<String>>(text, "s").err()),
    ];
    let expected = [
        "expected a boolean, found a string",
        "expected a string, found an object",
        "expected an array, found a string",
    ];
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.ends_with(expected) && !told.contains("secret"), "{told}");
    }
}
