//! `tollgate import-keys`: LiteLLM's answers in, a config that compiles out, and every loss told.
//!
//! The answers in `examples/migrate` have the fields of LiteLLM 1.109.1's own types; no line of them is a recording.
#![cfg(feature = "cli")]
#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test: it reads its environment, and stops at a fault"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const CONFIG: &str = "examples/migrate/config.yaml";
const KEYS: &str = "examples/migrate/keys.json";
const TEAMS: &str = "examples/migrate/teams.json";

#[test]
fn the_example_is_what_the_command_writes() {
    let output = import(&["--config", CONFIG, KEYS, TEAMS]);
    let (text, notes) = (stdout(&output), stderr(&output));
    for (golden, found) in [("examples/migrate/imported.yaml", &text), ("examples/migrate/notes.txt", &notes)] {
        let path = root().join(golden);
        if std::env::var("UPDATE_GOLDEN").is_ok() {
            fs::write(&path, found).unwrap();
        }
        assert_eq!(*found, fs::read_to_string(&path).unwrap(), "{golden} differs: make golden");
    }
    let typed = fs::read_to_string(root().join(CONFIG)).unwrap();
    assert!(text.starts_with(&typed), "what was typed is changed");
    assert_eq!(text, stdout(&import(&["--config", CONFIG, TEAMS, KEYS])), "the order of the files changes it");
}

#[test]
fn every_field_has_its_place() {
    let entry = one(json!({
        "token": "AB".repeat(32), "key_alias": "jobs", "team_id": "t", "user_id": "u", "models": ["m"],
        "aliases": {"a": "m"}, "budget_fallbacks": {"m": ["n"]}, "max_budget": 0.0, "soft_budget": 4.5,
        "budget_duration": "30d", "rpm_limit": 1, "tpm_limit": 2, "tpd_limit": 3, "max_parallel_requests": 4,
        "blocked": false, "expires": "2027-01-31T10:00:00.123000",
        "model_max_budget": "{\"m\": {\"budget_limit\": 5, \"time_period\": \"1d\", \"current_spend\": 1}}",
        "budget_limits": [{"max_budget": 1.5, "budget_duration": "1h", "reset_at": "2026-01-01T00:00:00Z"}],
        "metadata": {"tags": ["x"], "model_tpm_limit": {"m": 9, "n": 8}},
    }));
    assert_eq!(
        entry,
        json!({
            "key_sha256": "ab".repeat(32), "key_alias": "jobs", "team_id": "t", "user_id": "u", "models": ["m"],
            "aliases": {"a": "m"}, "budget_fallbacks": {"m": ["n"]}, "max_budget": 0.0, "soft_budget": 4.5,
            "budget_duration": "30d", "rpm_limit": 1, "tpm_limit": 2, "tpd_limit": 3, "max_parallel_requests": 4,
            "expires": "2027-01-31T10:00:00.123000Z", "tags": ["x"],
            "model_max_budget": {"m": {"budget_limit": 5, "time_period": "1d", "tpm_limit": 9}, "n": {"tpm_limit": 8}},
            "budget_limits": [{"max_budget": 1.5, "budget_duration": "1h"}],
        })
    );
}

#[test]
fn a_shared_budget_fills_what_the_key_leaves_open() {
    let entry = one(json!({
        "token": "01".repeat(32), "rpm_limit": 7, "budget_id": "b",
        "litellm_budget_table": {"budget_id": "b", "max_budget": 3.0, "budget_duration": "1d", "rpm_limit": 99, "soft_budget": 2.0},
    }));
    let expected = json!({"key_sha256": "01".repeat(32), "rpm_limit": 7, "max_budget": 3.0, "budget_duration": "1d", "soft_budget": 2.0});
    assert_eq!(entry, expected);
}

#[test]
fn the_answer_about_one_key_may_repeat_the_key_and_nobody_sees_it() {
    let answer = json!({"key": "sk-secret-of-a-client", "info": {"key_alias": "one", "models": []}});
    let output = import(&[&file("info", &answer.to_string())]);
    let (text, notes) = (stdout(&output), stderr(&output));
    let hash: String = Sha256::digest("sk-secret-of-a-client").iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(text.contains(&hash), "{text}");
    assert!(!format!("{text}{notes}").contains("sk-secret"), "{text}{notes}");
}

#[test]
fn teams_and_users_come_along() {
    let keys = json!({"keys": [key("a", json!({"team_id": "known"})), key("b", json!({"team_id": "unknown"})), key("c", json!({"team_id": "shut"}))]});
    let teams = json!({"teams": [{"team_id": "known", "max_budget": 5, "team_alias": "The known"}, {"team_id": "shut", "blocked": true}], "total_pages": 2, "page": 1});
    let users = json!({"users": [{"user_id": "u", "rpm_limit": 3, "models": ["m"], "user_email": "u@example.com"}, {"user_id": "free"}]});
    let files = [file("keys", &keys.to_string()), file("teams", &teams.to_string()), file("users", &users.to_string())];
    let output = import(&files.each_ref().map(String::as_str));
    let section = parse(&stdout(&output));
    assert_eq!(
        section["teams"],
        json!([{"team_id": "known", "max_budget": 5}, {"team_id": "shut"}, {"team_id": "unknown"}])
    );
    assert_eq!(section["users"], json!([{"user_id": "u", "rpm_limit": 3}]));
    assert_eq!((&section["keys"][0]["blocked"], &section["keys"][2]["blocked"]), (&Value::Null, &json!(true)));
    for note in
        ["page 1 of 2", "team unknown: keys belong to it", "key c: blocked", "user u: models is not carried over"]
    {
        assert!(stderr(&output).contains(note), "{note}: {}", stderr(&output));
    }
    assert!(!stderr(&output).contains("@example.com"));
}

#[test]
fn what_is_lost_is_told_for_each_key() {
    let rows = [
        (json!({"allowed_routes": ["/chat"]}), "key k: allowed_routes is not carried over: "),
        (json!({"auto_rotate": true}), "key k: auto_rotate is not carried over: "),
        (json!({"organization_id": "o"}), "key k: organization_id is not carried over: "),
        (json!({"metadata": {"owner": "secret-name", "tags": ["t"]}}), "key k: metadata is not carried over: owner\n"),
        (json!({"max_budget": 10, "spend": 4}), "4.00 of 10.00 USD are spent: set it to 6.00"),
        (json!({"litellm_budget_table": {"allowed_models": ["m"]}}), "litellm_budget_table.allowed_models"),
        (json!({"model_max_budget": {"m": 5}}), "model_max_budget.m: expected an object"),
    ];
    for (more, note) in rows {
        let output = import(&[&file("lost", &json!({"keys": [key("k", more)]}).to_string())]);
        assert!(stderr(&output).contains(note), "{note}: {}", stderr(&output));
        assert!(stderr(&output).ends_with("1 keys, 0 teams, 0 users; 1 notes\n"), "{}", stderr(&output));
        assert!(!stderr(&output).contains("secret-name"));
    }
    let quiet = import(&[&file(
        "quiet",
        &json!({"keys": [key("k", json!({"max_budget": 10, "budget_duration": "1d", "spend": 4}))]}).to_string(),
    )]);
    assert_eq!(stderr(&quiet), "1 keys, 0 teams, 0 users; 0 notes\n");
}

#[test]
fn keys_that_are_gone_stay_away_and_one_without_a_readable_end_is_blocked() {
    let keys = json!({"keys": [
        key("gone", json!({"deleted_at": "2026-01-01T00:00:00Z"})),
        key("session", json!({"team_id": "litellm-dashboard"})),
        key("odd", json!({"expires": "soon"})),
        key("same", json!({})),
        {"token": "ff".repeat(32), "key_alias": "same"},
    ]});
    let output = import(&[&file("gone", &keys.to_string())]);
    let aliases: Vec<Value> =
        parse(&stdout(&output))["keys"].as_array().unwrap().iter().map(|key| key["key_alias"].clone()).collect();
    assert_eq!(aliases, ["odd", "same", "same-ffffffff"]);
    assert_eq!(parse(&stdout(&output))["keys"][0]["blocked"], true);
}

#[test]
fn models_that_the_config_lacks_are_taken_out_and_never_open_all() {
    let config = file(
        "models.yaml",
        "model_list:\n- {model_name: m, litellm_params: {model: openai/gpt-4o, api_key: k}}\ntollgate:\n  keys: [{key: first, key_alias: first}]\n",
    );
    let keys = json!({"keys": [
        key("some", json!({"models": ["m", "old"], "model_max_budget": {"old": {"budget_limit": 1}}, "aliases": {"x": "old", "y": "m"}})),
        key("none", json!({"models": ["old"]})),
    ]});
    let output = import(&["--config", &config, &file("models", &keys.to_string())]);
    let document = tollgate::cli::yaml::parse(&stdout(&output)).unwrap();
    let keys = document["tollgate"]["keys"].as_array().unwrap();
    assert_eq!((&keys[0]["key_alias"], keys.len()), (&json!("first"), 3));
    assert_eq!((&keys[1]["models"], &keys[1]["key_alias"]), (&json!(["no-default-models"]), &json!("none")));
    assert_eq!((&keys[2]["models"], &keys[2]["aliases"]), (&json!(["m"]), &json!({"y": "m"})));
    assert!(
        stderr(&output).contains("key none: models: old is not carried over: the config has no such model"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn what_cannot_be_read_is_told_without_its_content() {
    for (text, fault) in [
        ("{\"keys\": [\"sk-secret\"", "line 1, column 21: expected JSON"),
        (
            "{\"keys\": [\"sk-secret\"]}",
            "keys[0]: expected an object, found a hash alone: ask /key/list with return_full_object=true",
        ),
        ("{\"keys\": [{\"token\": \"sk-secret\"}]}", "keys[0].token: expected a SHA-256 in hex"),
        ("[{\"name\": \"sk-secret\"}]", "teams[0]: expected an object with a team_id"),
        ("{\"error\": \"sk-secret\"}", "expected an answer of LiteLLM's /key/list"),
    ] {
        let output = import(&[&file("bad", text)]);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(fault), "{}", stderr(&output));
        assert!(!stderr(&output).contains("sk-secret"), "{}", stderr(&output));
    }
    let twice = file("twice.yaml", &fs::read_to_string(root().join("examples/migrate/imported.yaml")).unwrap());
    let output = import(&["--config", &twice, KEYS]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("tollgate.keys[4]: expected a key of its own"), "{}", stderr(&output));
}

/// A key with this alias and a hash made of it.
fn key(alias: &str, more: Value) -> Value {
    let hash: String = Sha256::digest(alias).iter().map(|byte| format!("{byte:02x}")).collect();
    let mut key = json!({"token": hash, "key_alias": alias});
    key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    key
}

/// The entry that becomes of one key.
fn one(key: Value) -> Value {
    let output = import(&[&file("one", &json!({"keys": [key], "total_pages": 1}).to_string())]);
    parse(&stdout(&output))["keys"][0].take()
}

/// What stands under `tollgate:`.
fn parse(text: &str) -> Value {
    tollgate::cli::yaml::parse(text).unwrap()["tollgate"].take()
}

fn import(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tollgate")).current_dir(root()).arg("import-keys").args(args).output().unwrap()
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", stderr(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A file with this content; tests run at once, so each has its own.
fn file(name: &str, text: &str) -> String {
    let path: PathBuf =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("import-{:?}-{name}", std::thread::current().id()));
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
