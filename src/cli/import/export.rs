//! LiteLLM's answers, told apart by their shapes.

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::bytes::hex;
use crate::config::from_hex;

type Object = Map<String, Value>;

/// All that was read.
#[derive(Default)]
pub(super) struct Export {
    /// Each with its SHA-256 in hex.
    pub(super) keys: Vec<(String, Object)>,
    pub(super) teams: Vec<Object>,
    pub(super) users: Vec<Object>,
    /// What is wrong with the answers as a whole.
    pub(super) notes: Vec<String>,
}

impl Export {
    /// Reads one answer.
    ///
    /// # Errors
    ///
    /// It is no JSON, or no answer that this command knows. Nothing of its content is in the message.
    pub(super) fn read(&mut self, text: &str) -> Result<(), String> {
        let answer: Value = serde_json::from_str(text).map_err(|fault| {
            format!("line {}, column {}: expected JSON, found something else", fault.line(), fault.column())
        })?;
        match answer {
            Value::Array(teams) => self.teams(teams),
            Value::Object(mut answer) => {
                if let Some(Value::Array(keys)) = answer.remove("keys").filter(|_| !answer.contains_key("user_info")) {
                    self.is_whole(&answer);
                    self.keys(keys)
                } else if let (Some(Value::String(key)), Some(Value::Object(info))) =
                    (answer.get("key").cloned(), answer.remove("info"))
                {
                    self.keys.push((digest(&key), info));
                    Ok(())
                } else if let Some(Value::Array(teams)) =
                    answer.remove("teams").filter(|_| !answer.contains_key("user_info"))
                {
                    self.is_whole(&answer);
                    self.teams(teams)
                } else if let Some(Value::Array(users)) = answer.remove("users") {
                    self.is_whole(&answer);
                    self.users(users)
                } else if let Some(user) = answer.remove("user_info") {
                    self.users(vec![user])
                } else {
                    Err(EXPECTED.to_owned())
                }
            }
            _ => Err(EXPECTED.to_owned()),
        }
    }

    /// Notes an answer that is one page of several.
    fn is_whole(&mut self, answer: &Object) {
        let number = |names: [&str; 2]| names.iter().find_map(|name| answer.get(*name)?.as_u64());
        let (page, pages) = (number(["current_page", "page"]), number(["total_pages", "pages"]).unwrap_or(1));
        if pages > 1 {
            let page = page.map_or_else(|| "one page".to_owned(), |page| format!("page {page}"));
            self.notes.push(format!(
                "an answer is {page} of {pages}: make sure that all pages were given (page=2, size=100)"
            ));
        }
    }

    fn keys(&mut self, keys: Vec<Value>) -> Result<(), String> {
        for (i, key) in keys.into_iter().enumerate() {
            let Value::Object(key) = key else {
                return Err(format!(
                    "keys[{i}]: expected an object, found a hash alone: ask /key/list with return_full_object=true"
                ));
            };
            let Some(token) = key.get("token").and_then(Value::as_str).filter(|token| from_hex(token).is_some()) else {
                return Err(format!("keys[{i}].token: expected a SHA-256 in hex, found something else"));
            };
            self.keys.push((token.to_lowercase(), key));
        }
        Ok(())
    }

    fn teams(&mut self, teams: Vec<Value>) -> Result<(), String> {
        self.teams.extend(named(teams, "teams", "team_id")?);
        Ok(())
    }

    fn users(&mut self, users: Vec<Value>) -> Result<(), String> {
        self.users.extend(named(users, "users", "user_id")?);
        Ok(())
    }
}

fn named(list: Vec<Value>, what: &str, id: &str) -> Result<Vec<Object>, String> {
    let one = |(i, value): (usize, Value)| match value {
        Value::Object(object) if object.get(id).is_some_and(Value::is_string) => Ok(object),
        _ => Err(format!("{what}[{i}]: expected an object with a {id}, found something else")),
    };
    list.into_iter().enumerate().map(one).collect()
}

/// `/key/info` repeats what it was asked for: the hash, or the key itself.
fn digest(key: &str) -> String {
    if from_hex(key).is_some() { key.to_lowercase() } else { hex(&Sha256::digest(key)) }
}

const EXPECTED: &str = "expected an answer of LiteLLM's /key/list?return_full_object=true, /key/info, /team/list or \
                        /user/list, found something else";
