use wasm_bindgen_test::wasm_bindgen_test;

use super::*;
use crate::error::Kind;
use crate::openai::{Endpoint, Request};

const TYPE: &str = "multipart/form-data; boundary=b";

fn part(name: &str, more: &str, value: &str) -> String {
    format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n{value}\r\n")
}

fn parse(body: &str) -> Result<Vec<(String, bool, String)>, Fault> {
    let form = Form::parse(TYPE, body.as_bytes())?;
    let read = |part: &Part| (part.name.clone(), part.is_file, body.get(part.value.clone()).unwrap().to_owned());
    Ok(form.parts().iter().map(read).collect())
}

#[wasm_bindgen_test(unsupported = test)]
fn a_form_is_read_as_it_is_written() {
    let file = part("file", "; filename=\"a b.wav\"\r\nContent-Type: audio/wav", "\r\n--\r\n\0\r\n");
    let body = format!("{}{file}{}--b--\r\n", part("model", "", "alias"), part("empty", "", ""));
    let expected = [("model", false, "alias"), ("file", true, "\r\n--\r\n\0\r\n"), ("empty", false, "")];
    let expected = expected.map(|(name, is_file, value)| (name.to_owned(), is_file, value.to_owned()));
    assert_eq!(parse(&body).unwrap(), expected);
    assert_eq!(parse(&format!("\r\n{body}")).unwrap(), expected);
    assert_eq!(parse("--b--").unwrap(), []);
    let plain = "--b\r\ncontent-disposition:FORM-DATA;name=model;filename*=UTF-8''x\r\nX: y\r\n\r\n\r\n--b--";
    assert_eq!(parse(plain).unwrap(), [("model".to_owned(), true, String::new())]);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_can_be_read_in_two_ways_is_refused() {
    let good = part("model", "", "alias");
    for body in [
        String::new(),
        "x".to_owned(),
        good.clone(),
        format!("x\r\n{good}--b--"),
        format!("{good}--b--\r\nepilogue"),
        format!("{good}--b--b"),
        format!("{good}--b \r\n--b--"),
        format!("{good}--bb\r\n--b--"),
        format!("{}--b--", good.replace("\r\n", "\n")),
        format!("{}--b--", part("model", "", "a\n--b\nx")),
        format!("{}--b--", part("model", "; name=\"file\"", "a")),
        format!("{}--b--", part("model", "; name*=UTF-8''file", "a")),
        format!("{}--b--", part("mo\\del", "", "a")),
        format!("{}--b--", part("file", "; filename=\"a\\\"; name=\\\"model\\\"\"", "a")),
        format!("{}--b--", part("file", "\r\nContent-Disposition: form-data; name=\"model\"", "a")),
        format!("{}--b--", part("file", ";\r\n name=\"model\"", "a")),
        format!("{}--b--", part("file", "\r\nX : y", "a")),
        format!("{}--b--", part("file", "\r\nX: a\rb", "a")),
        format!("{}--b--", part("file", "\r\nno header", "a")),
        "--b\r\n\r\na\r\n--b--".to_owned(),
        "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n--b\r\n\r\n--b--".to_owned(),
        "--b\r\nContent-Disposition: attachment; name=\"model\"\r\n\r\na\r\n--b--".to_owned(),
        format!("{}--b--", good.repeat(MAX_PARTS + 1)),
        format!("{}--b--", part("file", &format!("; filename=\"{}\"", "x".repeat(MAX_HEAD_BYTES)), "a")),
    ] {
        assert!(parse(&body).is_err(), "{body:?}");
    }
    assert_eq!(parse(&format!("{}--b--", good.repeat(MAX_PARTS))).unwrap().len(), MAX_PARTS);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_boundary_is_found_in_any_spelling() {
    let longest = "x".repeat(MAX_BOUNDARY);
    for (content_type, expected) in [
        (TYPE, Some("b")),
        ("Multipart/Form-Data;charset=utf-8 ; BOUNDARY=\"a b\"", Some("a b")),
        ("multipart/form-data; boundary=--=_x=; a=b", Some("--=_x=")),
        (&format!("multipart/form-data; boundary={longest}"), Some(longest.as_str())),
        (&format!("multipart/form-data; boundary={longest}x"), None),
        ("multipart/form-data; boundary=\"a \"", None),
        ("multipart/form-data; boundary=a; boundary=b", None),
        ("multipart/form-data; boundary=", None),
        ("multipart/form-data; boundary", None),
        ("multipart/form-data", None),
        ("multipart/form-datax; boundary=b", None),
        ("multipart/mixed; boundary=b", None),
        ("application/json", None),
        ("", None),
    ] {
        assert_eq!(boundary(content_type).as_deref(), expected, "{content_type}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_request_says_what_its_form_lacks() {
    let file = part("file", "; filename=\"a\"", "x");
    let rows = [
        (format!("{file}--b--"), Kind::MissingRequiredParameter, Some("model")),
        (format!("{file}{}--b--", part("model", "", "")), Kind::MissingRequiredParameter, Some("model")),
        (format!("{}--b--", part("model", "", "m")), Kind::MissingRequiredParameter, Some("file")),
        (format!("{file}{0}{0}--b--", part("model", "", "m")), Kind::InvalidForm, Some("model")),
        (format!("{file}{}--b--", part("model", "; filename=\"x\"", "m")), Kind::InvalidForm, Some("model")),
        (format!("{file}{}--b--", part("model", "", "a\r\nb")), Kind::InvalidForm, Some("model")),
        (format!("{file}{}", part("model", "", "m")), Kind::InvalidForm, None),
    ];
    for (body, kind, param) in rows {
        let error = Request::parse_form(Endpoint::AudioTranscriptions, None, TYPE, body.into()).unwrap_err();
        assert_eq!((error.kind, error.param.as_deref()), (kind, param));
    }
    let body = format!("{file}{}{}--b--", part("model", "", "m"), part("stream", "", "True"));
    let request = Request::parse_form(Endpoint::AudioTranslations, None, TYPE, body.into()).unwrap();
    assert_eq!((request.model.as_str(), request.stream), ("m", true));
    let body = format!("{}{}{}--b--", part("model", "", "m"), part("image[]", "", "x"), part("prompt", "", "p"));
    assert!(Request::parse_form(Endpoint::ImageEdits, None, TYPE, body.into()).is_ok());
}

/// Reads a form slowly and plainly: as lines and pieces of a text.
fn reference(body: &[u8]) -> Option<Vec<(String, bool, Vec<u8>)>> {
    let text: String = body.iter().map(|byte| char::from(*byte)).collect();
    let text = text.strip_prefix("\r\n").unwrap_or(&text);
    let mut pieces = text.split("--b");
    pieces.next().filter(|before| before.is_empty())?;
    let mut parts = Vec::new();
    loop {
        let piece = pieces.next()?;
        if let Some(end) = piece.strip_prefix("--") {
            return (matches!(end, "" | "\r\n") && pieces.next().is_none()).then_some(parts);
        }
        let (head, value) = piece.strip_prefix("\r\n")?.strip_suffix("\r\n")?.split_once("\r\n\r\n")?;
        let mut names = Vec::new();
        for line in head.split("\r\n") {
            let (key, value) = line.split_once(':')?;
            let odd = |c: char| !c.is_ascii_graphic() || "\"(),/:;<=>?@[\\]{}".contains(c);
            if key.is_empty() || key.contains(odd) || value.contains(|c: char| c < ' ' && c != '\t') {
                return None;
            }
            if key.eq_ignore_ascii_case("content-disposition") {
                names.push(value.trim_matches(|c: char| c.is_ascii_whitespace()));
            }
        }
        let [disposition] = names.as_slice() else { return None };
        let (name, is_file) = field(&disposition.chars().map(|c| c as u8).collect::<Vec<_>>())?;
        parts.push((name, is_file, value.chars().map(|c| c as u8).collect()));
        if parts.len() > MAX_PARTS {
            return None;
        }
    }
}

/// Random forms with random faults: the fast reading is the slow one's, and neither panics.
#[wasm_bindgen_test(unsupported = test)]
fn any_bytes_are_read_as_a_plain_reading_does() {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random >> 11) as usize % below
    };
    const PIECES: [&[u8]; 16] = [
        b"--b",
        b"--b\r\n",
        b"--b--",
        b"\r\n",
        b"\r\n\r\n",
        b"Content-Disposition: form-data; name=\"model\"",
        b"Content-Disposition: form-data; name=file; filename=\"x\"",
        b"; name=\"y\"",
        b"Content-Type: a/b",
        b"alias",
        b"\xff\0",
        b"-",
        b"\n",
        b"\\\"",
        b"--",
        b"b",
    ];
    let (mut good, mut bad) = (0, 0);
    for _ in 0..20_000 {
        let mut body = Vec::new();
        for _ in 0..next(3) {
            body.extend_from_slice(part(["model", "file", "x"][next(3)], "", ["", "v", "\r\n"][next(3)]).as_bytes());
        }
        if next(2) == 0 {
            (0..next(12)).for_each(|_| body.extend_from_slice(PIECES[next(PIECES.len())]));
        }
        body.extend_from_slice([b"--b--".as_slice(), b"--b--\r\n", b""][next(3)]);
        for _ in 0..[0, 0, 0, 1, 3][next(5)] {
            let at = next(body.len() + 1);
            match (next(3), at < body.len()) {
                (0, true) => body[at] = next(256) as u8,
                (1, true) => drop(body.remove(at)),
                _ => body.insert(at, PIECES[next(PIECES.len())][0]),
            }
        }
        let read = Form::parse(TYPE, &body).ok().map(|form| {
            let read = |part: &Part| (part.name.clone(), part.is_file, body[part.value.clone()].to_vec());
            form.parts().iter().map(read).collect::<Vec<_>>()
        });
        assert_eq!(read, reference(&body), "{:?}", String::from_utf8_lossy(&body));
        if read.is_some() { good += 1 } else { bad += 1 }
    }
    assert!(good > 2000 && bad > 2000, "{good} {bad}");
}
