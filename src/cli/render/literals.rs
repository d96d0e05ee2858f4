//! Credentials that a config has as text: fine in a file that nobody else reads, not in a resource of a cluster.

use serde_json::Value;

/// Where they are: `model_list[0].litellm_params.api_key`.
pub(super) fn places(document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    visit(document, "", &mut found);
    found
}

fn visit(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match member {
                    Value::String(text) if SECRETS.contains(&key.as_str()) && is_literal(text) => found.push(path),
                    Value::Object(_) if key == "vertex_credentials" => found.push(path),
                    _ => visit(member, &path, found),
                }
            }
        }
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(n, entry)| visit(entry, &format!("{path}[{n}]"), found));
        }
        _ => {}
    }
}

/// Neither empty nor kept somewhere else: in the environment, in a secret of Envoy's own.
fn is_literal(text: &str) -> bool {
    !text.is_empty() && !["os.environ/", "sds/"].iter().any(|prefix| text.starts_with(prefix))
}

const SECRETS: &[&str] = &[
    "api_key",
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "azure_ad_token",
    "client_secret",
    "key",
    "master_key",
    "vertex_credentials",
];

#[cfg(test)]
mod tests {
    use super::places;
    use serde_json::json;

    #[test]
    fn text_is_found_and_references_are_not() {
        let document = json!({
            "model_list": [{"litellm_params": {"model": "openai/a", "api_key": "sk-1"}}, {"litellm_params": {"api_key": "os.environ/A"}}],
            "general_settings": {"master_key": ""},
            "tollgate": {"keys": [{"key": "sk-2"}, {"key_sha256": "00"}, {"key": "sds/b"}]},
        });
        assert_eq!(places(&document), ["model_list[0].litellm_params.api_key", "tollgate.keys[0].key"]);
    }
}
