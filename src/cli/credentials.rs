//! Google's credential files, put into the config: a filter inside Envoy reads no files, this command does.
//!
//! Where `vertex_credentials` is a path, or a variable that holds one, the file's content takes its place. A Vertex AI
//! deployment without any gets what Google's own libraries would find: the file that GOOGLE_APPLICATION_CREDENTIALS
//! names, else the one that `gcloud auth application-default login` leaves. Only `run` and `check` do so: what `run`
//! writes nobody else can read, what `render` writes is for others to keep. A file that changes is read anew when the
//! config changes.
//!
//! Source: Google Cloud, "How Application Default Credentials works"
//! <https://docs.cloud.google.com/docs/authentication/application-default-credentials>, not re-read for this.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::config::token::{VERTEX_CREDENTIALS, VERTEX_VARIABLES};

/// Puts credential files into `document`. Every file that could not be read, with its place.
pub(super) fn inline(document: &mut Value, env: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let section = document.get("environment_variables").cloned().unwrap_or_default();
    let variable = |name: &str| match section.get(name).and_then(Value::as_str) {
        Some(text) => text.strip_prefix(REFERENCE).map_or_else(|| Some(text.to_owned()), env),
        None => env(name),
    };
    let list = document.get_mut("model_list").and_then(Value::as_array_mut);
    let mut faults = Vec::new();
    for (i, entry) in list.into_iter().flatten().enumerate() {
        if let Some(params) = entry.get_mut("litellm_params").and_then(Value::as_object_mut)
            && is_vertex(params)
            && let Err(fault) = inline_one(params, &variable)
        {
            faults.push(format!("model_list[{i}].litellm_params.{fault}"));
        }
    }
    faults
}

fn is_vertex(params: &Map<String, Value>) -> bool {
    let text = |key: &str| params.get(key).and_then(Value::as_str).unwrap_or_default();
    let prefix = text("model").split('/').next().unwrap_or_default();
    [text("custom_llm_provider"), prefix].iter().any(|prefix| prefix.starts_with("vertex_ai"))
}

fn inline_one(params: &mut Map<String, Value>, variable: &dyn Fn(&str) -> Option<String>) -> Result<(), String> {
    for name in VERTEX_CREDENTIALS {
        let Some(typed) = params.get(name).filter(|value| !value.is_null()) else { continue };
        let Some(typed) = typed.as_str() else { return Ok(()) };
        let text = typed.strip_prefix(REFERENCE).map_or_else(|| Some(typed.to_owned()), variable);
        if let Some(path) = text.filter(|text| is_path(text)) {
            let content = read(Path::new(&path)).map_err(|fault| format!("{name}: {fault}"))?;
            params.insert(name.to_owned(), Value::String(content));
        }
        return Ok(());
    }
    if params.get("api_key").is_some_and(|key| !key.is_null()) {
        return Ok(());
    }
    let named = VERTEX_VARIABLES.into_iter().find_map(|name| Some((name, variable(name)?)));
    let content = match named {
        Some((name, text)) if is_path(&text) => {
            read(Path::new(&text)).map_err(|fault| format!("{}: {name}: {fault}", VERTEX_CREDENTIALS[0]))?
        }
        Some(_) => return Ok(()),
        None => match user_file(variable).filter(|path| path.exists()) {
            Some(path) => read(&path).map_err(|fault| format!("{}: {fault}", VERTEX_CREDENTIALS[0]))?,
            None => return Ok(()),
        },
    };
    params.insert(VERTEX_CREDENTIALS[0].to_owned(), Value::String(content));
    Ok(())
}

/// Whether `text` cannot be the JSON of a credential.
fn is_path(text: &str) -> bool {
    !text.trim_start().starts_with(['{', '['])
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|fault| format!("{}: {fault}", path.display()))
}

/// The file of `gcloud auth application-default login`.
fn user_file(variable: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let own = variable("CLOUDSDK_CONFIG").map(PathBuf::from);
    let folder = own.or_else(|| Some(PathBuf::from(variable("HOME")?).join(".config/gcloud")))?;
    Some(folder.join("application_default_credentials.json"))
}

const REFERENCE: &str = "os.environ/";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::inline;

    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/mock-provider/service-account.json");

    /// What becomes of the `vertex_credentials` of a deployment with these parameters.
    fn inlined(mut params: Value, env: &dyn Fn(&str) -> Option<String>) -> (Value, Vec<String>) {
        params["model"] = json!("vertex_ai/gemini-2.5-flash");
        let mut document = json!({"model_list": [{"litellm_params": params}],
            "environment_variables": {"IN_CONFIG": FILE}});
        let faults = inline(&mut document, env);
        (document["model_list"][0]["litellm_params"]["vertex_credentials"].take(), faults)
    }

    #[test]
    fn a_path_becomes_what_is_in_the_file() {
        let env = |name: &str| match name {
            "NAMED" | "GOOGLE_APPLICATION_CREDENTIALS" => Some(FILE.to_owned()),
            "JSON" => Some("{}".to_owned()),
            _ => None,
        };
        let content = json!(std::fs::read_to_string(FILE).unwrap());
        for params in [
            json!({}),
            json!({"vertex_credentials": FILE}),
            json!({"vertex_credentials": "os.environ/NAMED"}),
            json!({"vertex_credentials": "os.environ/IN_CONFIG"}),
        ] {
            assert_eq!(inlined(params, &env), (content.clone(), vec![]));
        }
        for same in [json!("os.environ/JSON"), json!(" {}"), json!({"type": "x"}), json!("os.environ/UNSET")] {
            assert_eq!(inlined(json!({"vertex_credentials": same}), &env), (same, vec![]));
        }
        assert_eq!(inlined(json!({"api_key": "k"}), &env), (Value::Null, vec![]));
        assert_eq!(inlined(json!({}), &|_| None), (Value::Null, vec![]));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_told() {
        let (left, faults) = inlined(json!({"vertex_credentials": "/no/such.json"}), &|_| None);
        assert_eq!(left, json!("/no/such.json"));
        assert!(
            faults[0].starts_with("model_list[0].litellm_params.vertex_credentials: /no/such.json: "),
            "{faults:?}"
        );
    }

    #[test]
    fn other_vendors_are_left_alone() {
        let mut document =
            json!({"model_list": [{"litellm_params": {"model": "openai/x", "vertex_credentials": FILE}}]});
        let before = document.clone();
        assert!(inline(&mut document, &|_| Some(FILE.to_owned())).is_empty());
        assert_eq!(document, before);
    }
}
