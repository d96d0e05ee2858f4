//! Every kind of token from its config to the header, and the clock of a slot.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;
use crate::provider::hostile::Hostile;

const ACCOUNT: &str = include_str!("../../examples/mock-provider/service-account.json");
const NOW: Millis = Millis(1_795_000_000_000);

fn account() -> Value {
    serde_json::from_str(ACCOUNT).unwrap()
}

fn secret(text: &str) -> Secret {
    Secret::new(text)
}

/// One source of each kind.
fn sources() -> [Source; 5] {
    let user = json!({"type": "authorized_user", "client_id": "id&1", "client_secret": "user secret",
        "refresh_token": "1//refresh+token", "quota_project_id": "harbor"});
    [
        Source::google(&account()).unwrap(),
        Source::google(&user).unwrap(),
        Source::metadata(None).unwrap(),
        Source::azure(None, "tenant-1", ("client".to_owned(), secret("azure secret")), None).unwrap(),
        Source::watsonx(None, secret("ibm key")).unwrap(),
    ]
}

/// The signature of a test: no one checks it.
fn sign(_: &[u8], _: &[u8]) -> Option<Vec<u8>> {
    Some(vec![0xfb, 0xff])
}

fn form_of(source: &Source) -> Vec<(String, String)> {
    let body = source.call(NOW, sign).unwrap().body.unwrap();
    url::form_urlencoded::parse(body.expose().as_bytes()).into_owned().collect()
}

fn pairs(form: &[(String, String)]) -> Vec<(&str, &str)> {
    form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[wasm_bindgen_test(unsupported = test)]
fn every_source_has_its_place() {
    let places = sources().map(|source| format!("{} {} {}", source.cluster, source.authority, source.path));
    let google = "tollgate_token_https_oauth2.googleapis.com_443 oauth2.googleapis.com /token";
    assert_eq!(
        places,
        [
            google,
            google,
            "tollgate_token_http_169.254.169.254_80 169.254.169.254 \
             /computeMetadata/v1/instance/service-accounts/default/token",
            "tollgate_token_https_login.microsoftonline.com_443 login.microsoftonline.com /tenant-1/oauth2/v2.0/token",
            "tollgate_token_https_iam.cloud.ibm.com_443 iam.cloud.ibm.com /identity/token",
        ]
    );
    let projects = sources().map(|source| source.project);
    assert_eq!(projects.each_ref().map(Option::as_deref), [Some("harbor-test"), Some("harbor"), None, None, None]);
    let elsewhere = [
        Source::metadata(Some("metadata.test:8080")).unwrap(),
        Source::azure(
            Some("login.microsoftonline.us/"),
            "contoso.us",
            ("c".to_owned(), secret("s")),
            Some("a/.default".to_owned()),
        )
        .unwrap(),
        Source::azure(Some("http://[::1]:9/aad"), "t", ("c".to_owned(), secret("s")), None).unwrap(),
        Source::watsonx(Some("http://iam.test/token?x=1"), secret("k")).unwrap(),
    ];
    let places = elsewhere.map(|source| format!("{} {} {}", source.address.tls, source.authority, source.path));
    assert_eq!(
        places,
        [
            "false metadata.test:8080 /computeMetadata/v1/instance/service-accounts/default/token",
            "true login.microsoftonline.us /contoso.us/oauth2/v2.0/token",
            "false [::1]:9 /aad/t/oauth2/v2.0/token",
            "false iam.test /token?x=1",
        ]
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn every_grant_is_asked_for_in_its_own_form() {
    let [account, user, metadata, azure, ibm] = sources();
    let form = form_of(&account);
    let assertion = form[1].1.as_str();
    assert_eq!(pairs(&form), [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", assertion)]);
    assert!(assertion.ends_with(".-_8"), "{assertion}");
    let expected = [
        ("grant_type", "refresh_token"),
        ("client_id", "id&1"),
        ("client_secret", "user secret"),
        ("refresh_token", "1//refresh+token"),
    ];
    assert_eq!(pairs(&form_of(&user)), expected);
    let expected = [
        ("grant_type", "client_credentials"),
        ("client_id", "client"),
        ("client_secret", "azure secret"),
        ("scope", "https://cognitiveservices.azure.com/.default"),
    ];
    assert_eq!(pairs(&form_of(&azure)), expected);
    let expected = [("grant_type", "urn:ibm:params:oauth:grant-type:apikey"), ("apikey", "ibm key")];
    assert_eq!(pairs(&form_of(&ibm)), expected);
    let call = metadata.call(NOW, sign).unwrap();
    assert!(call.body.is_none());
    assert!(call.headers.contains(&(":method", "GET")) && call.headers.contains(&("metadata-flavor", "Google")));
    let call = azure.call(NOW, sign).unwrap();
    assert!(call.headers.contains(&(":method", "POST")) && call.headers.contains(&(":scheme", "https")));
    assert!(call.headers.contains(&("content-type", "application/x-www-form-urlencoded")));
}

#[wasm_bindgen_test(unsupported = test)]
fn an_assertion_that_cannot_be_signed_is_not_sent() {
    let [account, ..] = sources();
    assert_eq!(account.call(NOW, |_, _| None).unwrap_err(), Failure::Unsigned);
}

#[cfg(not(target_arch = "wasm32"))]
#[test]
fn the_signature_of_an_assertion_verifies() {
    use ring::rsa::KeyPair;
    use ring::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey};

    let mut account = account();
    account["token_uri"] = json!("https://tokens.example/token");
    let source = Source::google(&account).unwrap();
    let mut public_key = Vec::new();
    let sign = |der: &[u8], text: &[u8]| {
        let pair = KeyPair::from_pkcs8(der).unwrap();
        pair.public_key().as_ref().clone_into(&mut public_key);
        let mut signature = vec![0; pair.public().modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &ring::rand::SystemRandom::new(), text, &mut signature).unwrap();
        Some(signature)
    };
    let body = source.call(NOW, sign).unwrap().body.unwrap();
    let assertion = body.expose().split("assertion=").nth(1).unwrap();
    let (text, signature) = assertion.rsplit_once('.').unwrap();
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
    let public_key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &public_key);
    public_key.verify(text.as_bytes(), &decode(signature)).unwrap();
    assert!(public_key.verify(&text.as_bytes()[1..], &decode(signature)).is_err());
    let parts: Vec<Value> = text.split('.').map(|part| serde_json::from_slice(&decode(part)).unwrap()).collect();
    assert_eq!(parts[0], json!({"alg": "RS256", "typ": "JWT", "kid": account["private_key_id"]}));
    let claims = json!({
        "iss": "gateway@harbor-test.iam.gserviceaccount.com",
        "scope": "https://www.googleapis.com/auth/cloud-platform",
        "aud": "https://tokens.example/token",
        "iat": 1_795_000_000,
        "exp": 1_795_003_600,
    });
    assert_eq!(parts[1], claims);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_key_that_went_through_a_shell_is_still_one() {
    let mut escaped = account();
    escaped["private_key"] = json!(escaped["private_key"].as_str().unwrap().replace('\n', "\\n"));
    let [straight, bent] = [account(), escaped].map(|account| {
        let mut key = Vec::new();
        let source = Source::google(&account).unwrap();
        source
            .call(NOW, |der, _| {
                der.clone_into(&mut key);
                Some(vec![1])
            })
            .unwrap();
        key
    });
    assert!(straight == bent && straight.len() > 1000);
}

#[wasm_bindgen_test(unsupported = test)]
fn envoys_sign_takes_and_gives_protobuf() {
    let arguments = sign::arguments(&[7; 200], b"text");
    let mut expected = b"\x0a\x06sha256\x12\xc8\x01".to_vec();
    expected.extend([7; 200]);
    expected.extend(b"\x1a\x04text");
    assert_eq!(arguments, expected);
    assert_eq!(sign::signature(b"\x08\x01\x12\x03abc\x1a\x00"), Some(b"abc".to_vec()));
    for refused in [b"\x08\x00\x12\x03abc".as_slice(), b"\x1a\x05wrong", b"", b"\x08\x01", b"\x08\x01\x12\x09abc"] {
        assert_eq!(sign::signature(refused), None);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_credential_that_is_none_is_told_without_its_secrets() {
    let edit = |name: &str, value: Value| {
        let mut account = account();
        account[name] = value;
        account
    };
    let rows = [
        (json!({}), "`private_key`"),
        (edit("private_key", json!("-----BEGIN RSA PRIVATE KEY-----\nsecret")), "PKCS #8"),
        (edit("private_key", json!("-----BEGIN PRIVATE KEY-----\nsec*ret\n-----END PRIVATE KEY-----")), "PKCS #8"),
        (edit("client_email", Value::Null), "`client_email`"),
        (edit("token_uri", json!("ftp://secret")), "the URL of a token endpoint"),
        (edit("token_uri", json!("https://user:secret@host/")), "the URL of a token endpoint"),
        (edit("type", json!("external_account")), "federation"),
        (edit("type", json!("secret")), "service_account or authorized_user"),
        (json!({"type": "authorized_user", "client_secret": "secret"}), "`refresh_token`"),
    ];
    for (credential, part) in rows {
        let fault = Source::google(&credential).unwrap_err();
        assert!(fault.contains(part) && !fault.contains("sec*ret") && !fault.contains("//secret"), "{fault}");
    }
    for tenant in ["", "a/b", "..%2f", "a b"] {
        assert!(Source::azure(None, tenant, ("c".to_owned(), secret("s")), None).is_err(), "{tenant}");
    }
    assert!(Source::metadata(Some("a b")).is_err());
}

#[wasm_bindgen_test(unsupported = test)]
fn nothing_prints_a_secret() {
    let text = format!("{:?}", sources());
    for word in ["user secret", "refresh+token", "azure secret", "ibm key", "PRIVATE"] {
        assert!(!text.contains(word), "{word} in {text}");
    }
    let mut slot = Slot::default();
    slot.succeed(NOW, &granted("ya29.secret", 100), &mut |_| 0);
    assert!(!format!("{slot:?}").contains("ya29"));
}

#[wasm_bindgen_test(unsupported = test)]
fn sources_differ_where_anything_of_them_does() {
    let mut other = account();
    other["client_email"] = json!("other@harbor-test.iam.gserviceaccount.com");
    let mut all = sources().to_vec();
    all.push(Source::google(&other).unwrap());
    all.push(Source::metadata(Some("metadata.test")).unwrap());
    all.push(Source::azure(None, "tenant-2", ("client".to_owned(), secret("azure secret")), None).unwrap());
    all.push(Source::azure(None, "tenant-1", ("client".to_owned(), secret("other")), None).unwrap());
    all.push(Source::watsonx(None, secret("other key")).unwrap());
    let ids: std::collections::BTreeSet<_> = all.iter().map(Source::id).collect();
    assert_eq!(ids.len(), all.len());
    assert_eq!(sources().each_ref().map(Source::id), sources().each_ref().map(Source::id));
}

#[wasm_bindgen_test(unsupported = test)]
fn tokens_are_read_from_any_answer() {
    let rows = [
        (r#"{"access_token":"ya29.a-b_c","expires_in":3599,"token_type":"Bearer"}"#, Some(3599)),
        (r#"{"access_token":"t","expires_in":"3600"}"#, Some(3600)),
        (r#"{"access_token":"t","expires_in":12.5,"refresh_token":"not_supported"}"#, Some(12)),
        (r#"{"access_token":"t"}"#, Some(300)),
        (r#"{"access_token":"t","expires_in":1e300}"#, Some(86_400)),
        (r#"{"access_token":"t","expires_in":0}"#, None),
        (r#"{"access_token":"t","expires_in":-5}"#, None),
        (r#"{"access_token":"t","expires_in":"soon"}"#, None),
        (r#"{"access_token":"t","expires_in":[]}"#, None),
        (r#"{"access_token":"a b","expires_in":60}"#, None),
        (r#"{"access_token":"a\r\nx: y","expires_in":60}"#, None),
        (r#"{"access_token":"","expires_in":60}"#, None),
        (r#"{"id_token":"t","expires_in":60}"#, None),
        ("<html>", None),
        ("", None),
    ];
    for (body, secs) in rows {
        let read = exchange::read(200, body.as_bytes());
        match secs {
            Some(secs) => assert_eq!(read.unwrap().lifetime, Millis::from_secs(secs), "{body}"),
            None => assert_eq!(read.unwrap_err(), Failure::Nonsense, "{body}"),
        }
    }
    let long = format!(r#"{{"access_token":"{}"}}"#, "t".repeat(20 << 10));
    assert_eq!(exchange::read(200, long.as_bytes()).unwrap_err(), Failure::Nonsense);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_refusal_is_told_in_its_code_alone() {
    let rows = [
        (0, "", "the token endpoint did not answer"),
        (400, r#"{"error":"invalid_grant","error_description":"secret"}"#, "answered 400: invalid_grant"),
        (
            401,
            r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret 'secret'."}"#,
            "answered 401: invalid_client AADSTS7000215",
        ),
        (400, r#"{"errorCode":"BXNIM0415E","errorMessage":"secret"}"#, "answered 400: BXNIM0415E"),
        (403, r#"{"error":{"message":"secret"}}"#, "answered 403"),
        (400, r#"{"error":"secret with spaces"}"#, "answered 400"),
        (503, "upstream connect error: secret", "answered 503"),
        (504, "", "answered 504"),
    ];
    for (status, body, end) in rows {
        let text = exchange::read(status, body.as_bytes()).unwrap_err().to_string();
        assert!(text.ends_with(end) && !text.contains("secret"), "{text}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn hostile_answers_are_no_tokens() {
    let mut hostile = Hostile(7);
    let answer = br#"{"access_token": "ya29", "expires_in": 3599, "error": "invalid_grant"}"#;
    let mut slot = Slot::default();
    slot.succeed(NOW, &granted("t", 60), &mut |_| 0);
    for _ in 0..2000 {
        for bytes in [hostile.mutate(answer), hostile.replace_value(answer)] {
            let _ = exchange::read(200, &bytes);
            let _ = exchange::read(400, &bytes);
        }
        let _ = sign::signature(&hostile.mutate(b"\x08\x01\x12\x03abc\x1a\x00"));
        let _ = Source::google(&serde_json::from_slice(&hostile.mutate(ACCOUNT.as_bytes())).unwrap_or_default());
        let read = Slot::decode(&hostile.mutate(&slot.encode()));
        assert_eq!(Slot::decode(&read.encode()), read);
    }
}

fn granted(token: &str, secs: u64) -> Granted {
    Granted { token: secret(token), lifetime: Millis::from_secs(secs) }
}

fn at(secs: u64) -> Millis {
    NOW.plus(Millis::from_secs(secs))
}

#[wasm_bindgen_test(unsupported = test)]
fn a_token_is_renewed_before_its_end_and_used_until_it() {
    // The lifetime, when it is due without and with all of the jitter, and the end of its use, in milliseconds.
    for (secs, due, late, until) in
        [(3600, 3_375_000, 3_431_249, 3_590_000), (300, 225_000, 243_749, 290_000), (4, 3000, 3249, 3600)]
    {
        let mut slot = Slot::default();
        assert!(slot.is_due(NOW) && !slot.is_settled());
        slot.succeed(NOW, &granted("t", secs), &mut |_| 0);
        let later = |millis: u64| NOW.plus(Millis(millis));
        assert!(!slot.is_due(later(due - 1)) && slot.is_due(later(due)), "{secs}");
        assert!(slot.secret(later(until - 1)).is_some() && slot.secret(later(until)).is_none(), "{secs}");
        slot.succeed(NOW, &granted("t", secs), &mut |n| n - 1);
        assert!(!slot.is_due(later(late - 1)) && slot.is_due(later(late)), "{secs}");
        assert!(slot.is_settled() && Slot::decode(&slot.encode()) == slot);
        assert!(!slot.is_due(NOW.since(Millis(5))), "another worker's clock");
        assert!(slot.is_due(NOW.since(Millis::from_secs(16))), "the clock was set back");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn one_worker_fetches_at_a_time() {
    let mut slot = Slot::default();
    assert!(slot.claim(NOW) && !slot.claim(NOW) && !slot.claim(at(14)));
    assert!(!slot.claim(NOW.since(Millis(5))), "another worker read its clock before");
    assert!(slot.claim(at(15)), "whoever had it is gone");
    slot.release();
    assert!(slot.claim(at(16)), "it was given back");
    slot.succeed(at(16), &granted("one", 3600), &mut |_| 0);
    assert!(!slot.claim(at(17)) && slot.claim(at(16 + 3375)));
    assert!(slot.claim(NOW), "the clock was set back: no lease lasts that long");
}

#[wasm_bindgen_test(unsupported = test)]
fn failures_are_repeated_ever_more_seldom_while_the_token_stays() {
    let mut slot = Slot::default();
    slot.succeed(NOW, &granted("one", 3600), &mut |_| 0);
    let pauses: Vec<u64> = (0..9).map(|_| slot.fail(at(3400), &mut |n| n).0).collect();
    assert_eq!(pauses, [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]);
    assert_eq!(slot.fail(at(3400), &mut |_| 0), Millis(30_000));
    assert!(!slot.is_due(at(3429)) && slot.is_due(at(3430)) && slot.claim(at(3430)));
    assert_eq!(slot.secret(at(3589)).map(Secret::expose), Some("one"));
    assert_eq!(slot.secret(at(3590)), None);
    slot.succeed(at(3600), &granted("two", 3600), &mut |_| 0);
    assert_eq!(slot.fail(at(7000), &mut |n| n), Millis(1000), "a success forgets the failures");
    assert_eq!(slot.secret(at(7000)).map(Secret::expose), Some("two"));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_worker_knows_what_it_learned() {
    let [one, two, ..] = sources();
    let mut tokens = Tokens::default();
    assert!(tokens.is_due(&one, NOW) && !tokens.is_settled(&one) && tokens.secret(&one, NOW).is_none());
    let mut slot = Slot::default();
    slot.succeed(NOW, &granted("one", 3600), &mut |_| 0);
    tokens.learn(&one, slot);
    assert!(!tokens.is_due(&one, NOW) && tokens.is_settled(&one));
    assert_eq!(tokens.secret(&one, NOW).map(Secret::expose), Some("one"));
    assert!(tokens.secret(&two, NOW).is_none() && tokens.is_due(&two, NOW));
}
