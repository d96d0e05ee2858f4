//! The filter that signs requests to AWS, and where it has its keys from.
//!
//! ## What is in the file
//!
//! Keys that the config has as text are in the file already, with the config; they are written into the filter as well.
//! Keys that stand in the environment stay there: in the variables that Envoy reads by itself (`AWS_ACCESS_KEY_ID`,
//! `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`), else in one variable with the text of a credentials file, which
//! `tollgate run` sets for Envoy. Whoever starts another Envoy sets it; a comment names it.
//!
//! Source: Envoy, "AWS Request Signing"
//! <https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/aws_request_signing_filter>, "AWS common
//! configuration" <https://www.envoyproxy.io/docs/envoy/latest/api-v3/extensions/common/aws/v3/credential_provider.proto>,
//! read 2026-11-23.
//!
//! # Limits
//!
//! A running Envoy's environment does not change: keys in other variables that a changed config names need a restart.

use super::template::{fill, scalar};
use crate::provider::aws::{Aws, Role, Source, Token, Value};

const FILTER: &str = include_str!("signing.yaml");

/// The filter as an entry of `http_filters`.
pub(super) fn filter(aws: &Aws) -> String {
    let values = [("service", aws.service.to_owned()), ("region", scalar(&aws.region)), ("provider", provider(aws))];
    let values: Vec<_> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    fill(FILTER, &values)
}

/// `credential_provider`; nothing where Envoy's own chain is to be used.
fn provider(aws: &Aws) -> String {
    let own = own_provider(aws);
    let lines = match &aws.role {
        Some(role) if !matches!(aws.source, Source::WebIdentity(_)) => {
            let inner: String = own.iter().map(|line| format!("    {line}\n")).collect();
            let inner = if own.is_empty() { inner } else { format!("  credential_provider:\n{inner}") };
            let role = format!("assume_role_credential_provider:\n{}{inner}", role_lines(role));
            custom(role.lines().map(str::to_owned).collect())
        }
        Some(_) | None => own,
    };
    if lines.is_empty() {
        return String::new();
    }
    lines.iter().fold("credential_provider:\n".to_owned(), |text, line| text + "  " + line + "\n")
}

/// This provider alone: not the chain.
fn custom(mut lines: Vec<String>) -> Vec<String> {
    lines.insert(0, "custom_credential_provider_chain: true".to_owned());
    lines
}

fn own_provider(aws: &Aws) -> Vec<String> {
    match &aws.source {
        Source::Chain => Vec::new(),
        Source::Profile(name) => custom(vec![format!("credentials_file_provider: {{profile: {}}}", scalar(name))]),
        Source::WebIdentity(token) => web_identity(token, aws.role.as_ref()),
        Source::Keys { .. } if aws.is_standard() => custom(vec!["environment_credential_provider: {}".to_owned()]),
        Source::Keys { access_key_id, secret_access_key, session_token } => match aws.variable() {
            Some(variable) => from_variable(&variable),
            None => inline(access_key_id, secret_access_key, session_token.as_ref()),
        },
    }
}

fn from_variable(variable: &str) -> Vec<String> {
    custom(vec![
        format!("# {variable} has the text of a credentials file; `tollgate run` sets it."),
        format!("credentials_file_provider: {{credentials_data_source: {{environment_variable: {variable}}}}}"),
    ])
}

fn inline(id: &Value, secret: &Value, token: Option<&Value>) -> Vec<String> {
    let members = [("access_key_id", Some(id)), ("secret_access_key", Some(secret)), ("session_token", token)];
    let mut lines = vec!["inline_credential:".to_owned()];
    for (name, value) in members {
        if let Some(Value::Literal(text)) = value {
            lines.push(format!("  {name}: {}", scalar(text.expose())));
        }
    }
    lines
}

fn web_identity(token: &Token, role: Option<&Role>) -> Vec<String> {
    let source = match token {
        Token::File(path) => format!("filename: {}", scalar(path)),
        Token::Variable(name) => format!("environment_variable: {}", scalar(name)),
    };
    let mut lines = vec!["assume_role_with_web_identity_provider:".to_owned()];
    lines.push(format!("  web_identity_token_data_source: {{{source}}}"));
    // It knows no external id.
    let role = role.map(|role| role_lines(&Role { external_id: None, ..role.clone() })).unwrap_or_default();
    lines.extend(role.lines().map(str::to_owned));
    custom(lines)
}

fn role_lines(role: &Role) -> String {
    let Role { arn, session_name, external_id } = role;
    let members =
        [("role_arn", Some(arn)), ("role_session_name", session_name.as_ref()), ("external_id", external_id.as_ref())];
    let line = |(name, value): (&str, Option<&String>)| Some(format!("  {name}: {}\n", scalar(value?)));
    members.into_iter().filter_map(line).collect()
}
