//! Configs in `tests/golden/config`: each `.yaml` has its compiled shape, its faults or its report beside it.
//!
//! `UPDATE_GOLDEN=1` rewrites what is beside them; review the difference like code.

#![cfg(feature = "cli")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tollgate::cli::check::check;
use tollgate::config::{Config, Env, environment};

/// The environment of every case.
fn env(name: &str) -> Option<String> {
    let value = match name {
        "OPENAI_API_KEY" => "sk-secret-openai",
        "MASTER_KEY" => "sk-secret-master",
        "BATCH_KEY" => "sk-secret-batch",
        "BASE" => "https://claude.example:8443/v1",
        "EMPTY" => "",
        _ => return None,
    };
    Some(value.to_owned())
}

/// What is expected says by itself what to write.
const SELF_EVIDENT: &[&str] =
    &[" or ", "found", "the name of", "the project", "a Gemini", "a host and a port", "another", "the payload"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/config")
}

fn read(name: &str) -> Value {
    let text = std::fs::read_to_string(folder().join(format!("{name}.yaml"))).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

fn expect(file: &str, found: &str) {
    assert!(!found.contains("sk-secret"), "{file} shows a secret:\n{found}");
    let path = folder().join(file);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), found, "{file}");
}

fn faults(document: &Value, env: Env<'_>) -> String {
    let faults = Config::compile(document, env).map(|_| ()).unwrap_err();
    faults.iter().fold(String::new(), |mut text, fault| {
        writeln!(text, "{fault}").unwrap();
        text
    })
}

/// As Envoy hands a document to a filter: every number is a double.
fn as_struct(value: Value) -> Value {
    match value {
        Value::Number(number) => Value::from(number.as_f64().unwrap()),
        Value::Array(list) => list.into_iter().map(as_struct).collect(),
        Value::Object(map) => Value::Object(map.into_iter().map(|(key, value)| (key, as_struct(value))).collect()),
        other => other,
    }
}

#[test]
fn every_field_has_an_accept_case() {
    let config = Config::compile(&read("full"), Env::Strict(&with_anthropic)).unwrap();
    expect("full.txt", &format!("{config:#?}\n"));
}

#[test]
fn a_struct_compiles_to_the_same() {
    let compile = |document| format!("{:#?}", Config::compile(&document, Env::Strict(&with_anthropic)).unwrap());
    assert_eq!(compile(as_struct(read("full"))), compile(read("full")));
}

fn with_anthropic(name: &str) -> Option<String> {
    if name == "ANTHROPIC_API_KEY" { Some("sk-secret-anthropic".to_owned()) } else { env(name) }
}

#[test]
fn every_field_has_a_reject_case() {
    for name in ["models", "settings", "keys", "identity", "open", "empty"] {
        let document = read(name);
        expect(&format!("{name}.txt"), &faults(&document, Env::Strict(&env)));
        for fault in Config::compile(&document, Env::Strict(&env)).map(|_| ()).unwrap_err() {
            let is_told = !fault.expected.is_empty() && !fault.found.is_empty();
            let says_how = !fault.hint.is_empty() || fault.expected.contains("such as") || fault.expected.contains('`');
            assert!(is_told && (says_how || SELF_EVIDENT.iter().any(|end| fault.expected.contains(end))), "{fault}");
        }
    }
}

#[test]
fn a_report_grades_every_key() {
    let report = check(&read("graded"), &env);
    assert!(report.faults().is_empty(), "{report}");
    expect("graded.txt", &format!("{report}\n"));
    expect("graded.json", &format!("{}\n", serde_json::to_string_pretty(&report.json()).unwrap()));
}

#[test]
fn missing_credentials_are_no_fault_to_a_check() {
    let mut document = read("full");
    document["environment_variables"]["ANTHROPIC_BASE"] = "https://h".into();
    let config = Config::compile(&document, Env::Lenient(&|_| None)).unwrap();
    assert_ne!(config.master_key, config.keys[0].digest);
    assert_eq!(config.deployments.len(), 6);
    assert!(faults(&document, Env::Strict(&|_| None)).contains("`MASTER_KEY`"));
}

#[test]
fn the_environment_is_what_is_read() {
    let names: Vec<String> = environment(&read("full")).into_iter().collect();
    let expected = ["ANTHROPIC_API_KEY", "BASE", "BATCH_KEY", "HOSTED_VLLM_API_KEY", "MASTER_KEY", "OPENAI_API_KEY"];
    assert_eq!(names, expected);
}
