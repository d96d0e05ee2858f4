//! What Envoy signs requests to AWS with, after our filter has written them.
//!
//! A signature covers the body and the path, so it is made last, by Envoy's `aws_request_signing` in the cluster. The
//! filter never signs and needs no secret: a reference to the environment stays one.

use sha2::{Digest as _, Sha256};

use crate::secret::Secret;

/// A signer: one for each cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aws {
    /// The service, as signatures name it: `bedrock`.
    pub service: &'static str,
    /// `us-east-1`
    pub region: String,
    /// Whose keys.
    pub source: Source,
    /// The role that is taken with them.
    pub role: Option<Role>,
}

/// Where keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Envoy's own chain: environment, files, container, instance.
    Chain,
    /// Keys that do not change.
    Keys {
        /// `aws_access_key_id`
        access_key_id: Value,
        /// `aws_secret_access_key`
        secret_access_key: Value,
        /// `aws_session_token`
        session_token: Option<Value>,
    },
    /// A profile of the credentials file that the process has.
    Profile(String),
    /// An identity that someone else vouches for: the role's own.
    WebIdentity(Token),
}

/// A role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// `aws_role_name`, an ARN.
    pub arn: String,
    /// `aws_session_name`
    pub session_name: Option<String>,
    /// `aws_external_id`
    pub external_id: Option<String>,
}

/// A value of the config, or where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// It stands in the config.
    Literal(Secret),
    /// An environment variable has it.
    Variable(String),
}

/// Where a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// A file that someone renews.
    File(String),
    /// An environment variable has it.
    Variable(String),
}

/// The variables that AWS's own tools read.
const STANDARD: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

impl Aws {
    /// What tells the cluster of this signer from others at the same address: `aws_us-east-1_0a1b2c3d`. Made of names
    /// and references, never of a secret.
    pub fn suffix(&self) -> String {
        let digest = Sha256::digest(self.identity().as_bytes());
        let digits: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        format!("aws_{}_{digits}", self.region)
    }

    /// Whether the keys stand where Envoy looks for them.
    pub fn is_standard(&self) -> bool {
        let Source::Keys { access_key_id, secret_access_key, session_token } = &self.source else { return false };
        let stands = |value: &Value, name: &str| matches!(value, Value::Variable(found) if found == name);
        let [id, secret, token] = STANDARD;
        let token_stands = session_token.as_ref().is_none_or(|value| stands(value, token));
        stands(access_key_id, id) && stands(secret_access_key, secret) && token_stands
    }

    /// The environment variable in which Envoy finds the keys, as the text of a credentials file, where they stand in
    /// variables of other names.
    pub fn variable(&self) -> Option<String> {
        let Source::Keys { access_key_id, secret_access_key, session_token } = &self.source else { return None };
        let is_variable = |value: &Value| matches!(value, Value::Variable(_));
        let all = [Some(access_key_id), Some(secret_access_key), session_token.as_ref()];
        let has_variables = all.into_iter().flatten().any(is_variable) && !self.is_standard();
        has_variables.then(|| {
            let suffix = self.suffix();
            let digits = suffix.rsplit('_').next().unwrap_or_default().to_ascii_uppercase();
            format!("TOLLGATE_AWS_{digits}")
        })
    }

    /// The text of that credentials file; `Err`: the variable that is not set.
    ///
    /// # Errors
    ///
    /// The name of a variable that `env` lacks.
    pub fn credentials_file(&self, env: &dyn Fn(&str) -> Option<String>) -> Result<Option<Secret>, String> {
        let Source::Keys { access_key_id, secret_access_key, session_token } = &self.source else { return Ok(None) };
        let mut text = "[default]\n".to_owned();
        let lines = [
            ("aws_access_key_id", Some(access_key_id)),
            ("aws_secret_access_key", Some(secret_access_key)),
            ("aws_session_token", session_token.as_ref()),
        ];
        for (name, value) in lines {
            let value = match value {
                Some(Value::Literal(secret)) => secret.expose().to_owned(),
                Some(Value::Variable(variable)) => env(variable).ok_or_else(|| variable.clone())?,
                None => continue,
            };
            text.push_str(&format!("{name}={value}\n"));
        }
        Ok(Some(Secret::new(text)))
    }

    fn identity(&self) -> String {
        let source = match &self.source {
            Source::Chain => "chain".to_owned(),
            Source::Profile(name) => format!("profile {name}"),
            Source::WebIdentity(Token::File(path)) => format!("token in {path}"),
            Source::WebIdentity(Token::Variable(name)) => format!("token of {name}"),
            Source::Keys { access_key_id, secret_access_key, session_token } => {
                // An access key's id is its name, and no secret; the secrets belong to it.
                let id = match access_key_id {
                    Value::Literal(id) => format!("id {}", id.expose()),
                    Value::Variable(name) => format!("id of {name}"),
                };
                let place = |value: &Value| match value {
                    Value::Literal(_) => "here".to_owned(),
                    Value::Variable(name) => format!("of {name}"),
                };
                let token = session_token.as_ref().map_or_else(|| "none".to_owned(), place);
                format!("{id}, secret {}, token {token}", place(secret_access_key))
            }
        };
        let role = self.role.as_ref().map_or_else(String::new, |role| {
            let Role { arn, session_name, external_id } = role;
            format!("{arn}\n{}\n{}", session_name.as_deref().unwrap_or(""), external_id.as_deref().unwrap_or(""))
        });
        format!("{}\n{source}\n{role}", self.service)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn keys(id: Value, secret: Value) -> Aws {
        let source = Source::Keys { access_key_id: id, secret_access_key: secret, session_token: None };
        Aws { service: "bedrock", region: "us-east-1".into(), source, role: None }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_signer_is_told_by_its_key_and_not_by_its_secret() {
        let literal = |text: &str| Value::Literal(Secret::new(text));
        let one = keys(literal("AKIA1"), literal("secret"));
        assert_eq!(one.suffix(), keys(literal("AKIA1"), literal("other")).suffix());
        assert_ne!(one.suffix(), keys(literal("AKIA2"), literal("secret")).suffix());
        assert!(one.suffix().starts_with("aws_us-east-1_") && one.variable().is_none());
        assert!(!format!("{one:?}").contains("secret\""), "{one:?}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn variables_of_other_names_become_a_credentials_file() {
        let variable = |name: &str| Value::Variable(name.into());
        let standard = keys(variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"));
        assert!(standard.is_standard() && standard.variable().is_none());
        let other = keys(Value::Literal(Secret::new("AKIA1")), variable("TEAM_SECRET"));
        assert!(other.variable().unwrap().starts_with("TOLLGATE_AWS_"));
        let file = other.credentials_file(&|name| (name == "TEAM_SECRET").then(|| "s3cr3t".into())).unwrap().unwrap();
        assert_eq!(file.expose(), "[default]\naws_access_key_id=AKIA1\naws_secret_access_key=s3cr3t\n");
        assert_eq!(other.credentials_file(&|_| None), Err("TEAM_SECRET".to_owned()));
    }
}
