//! What a deployment's provider is to be asked with, where that is a token: `vertex_credentials`, `client_secret`, ...
//!
//! A filter reads no files, so a credential is a mapping, its JSON, or a variable that holds its JSON. `tollgate run`
//! puts the content of a file in its place.

use std::rc::Rc;

use serde_json::Value;

use super::env::reference;
use super::read::Node;
use crate::provider::{Credential, Vendor};
use crate::secret::Secret;
use crate::token::Source;
use crate::token::source::Fault;

/// The variables that hold a Google credential where the config has none.
pub(crate) const VERTEX_VARIABLES: [&str; 2] = ["VERTEXAI_CREDENTIALS", "GOOGLE_APPLICATION_CREDENTIALS"];

/// The members that hold one.
pub(crate) const VERTEX_CREDENTIALS: [&str; 2] = ["vertex_credentials", "vertex_ai_credentials"];

const NO_FILES: &str = "expected a credential in JSON, found something else (a filter reads no files: put the file's \
                        content into a variable and write os.environ/NAME, or serve with `tollgate run`, which reads it)";

/// The credential of a deployment whose provider takes tokens; `None` where the config leads to a plain key, or has a
/// fault here.
///
/// `api_key` goes before a token, where a provider takes both.
pub(super) fn credential(params: &Node<'_>, vendor: &Vendor) -> Option<Credential> {
    let source = match vendor.prefix {
        "vertex_ai" | "vertex_ai_beta" if params.at("api_key").is_absent() => vertex(params),
        "azure" | "azure_text" | "azure_ai" if params.at("api_key").is_absent() => azure(params, vendor),
        "watsonx" | "watsonx_text" => watsonx(params),
        _ => None,
    };
    source.map(|source| Credential::Token(Rc::new(source)))
}

fn vertex(params: &Node<'_>) -> Option<Source> {
    let node = VERTEX_CREDENTIALS.map(|name| params.at(name)).into_iter().find(|node| !node.is_absent());
    let variables = &params.reader.variables;
    // Each is asked for, so that the filter gets to see it.
    let set = VERTEX_VARIABLES.map(|name| variables.value(name).map(|value| (name, value)));
    let host = variables.value("GCE_METADATA_HOST");
    let node = match node {
        Some(node) => node,
        None => {
            let here = params.at("vertex_credentials");
            return match set.into_iter().flatten().next() {
                Some((name, json)) => match serde_json::from_str(&json) {
                    Ok(json) => kept(&here, Source::google(&json)),
                    Err(_) => here.fault(format!("the variable `{name}`: {NO_FILES}")),
                },
                None => kept(&here, Source::metadata(host.as_deref())),
            };
        }
    };
    google(&node)
}

/// A mapping, or a string with the JSON of one.
fn google(node: &Node<'_>) -> Option<Source> {
    if node.object().is_some() {
        return kept(node, Source::google(&node.resolved()));
    }
    let is_unset = |name: &str| node.reader.variables.value(name).is_none();
    if let Some(name) = reference(node.typed()).filter(|name| is_unset(name))
        && node.reader.variables.placeholder(name).is_some()
    {
        // Whose it is, nobody can say yet; where it is exchanged, nearly always.
        return Source::google(&stand_in(name)).ok();
    }
    match serde_json::from_str::<Value>(&node.text()?) {
        Ok(json) if json.is_object() => kept(node, Source::google(&json)),
        _ => node.fault(NO_FILES),
    }
}

/// A credential of Google's that nobody has.
fn stand_in(name: &str) -> Value {
    serde_json::json!({"type": "authorized_user", "client_id": name, "client_secret": name, "refresh_token": name})
}

/// Only with all three of tenant, client and secret, each from the config or its variable. Variables alone give way to
/// the variable of a plain key.
fn azure(params: &Node<'_>, vendor: &Vendor) -> Option<Source> {
    let variables = &params.reader.variables;
    let name = |key: &str, variable: &str| params.at(key).name().or_else(|| variables.value(variable));
    let tenant = name("tenant_id", "AZURE_TENANT_ID");
    let client = name("client_id", "AZURE_CLIENT_ID");
    let secret = params.at("client_secret").secret();
    let secret = secret.or_else(|| variables.value("AZURE_CLIENT_SECRET").map(Secret::new));
    let scope = name("azure_scope", "AZURE_SCOPE");
    let authority = variables.value("AZURE_AUTHORITY_HOST");
    let is_named = ["tenant_id", "client_id", "client_secret"].iter().any(|key| !params.at(key).is_absent());
    if !is_named && vendor.key_variables.iter().any(|name| variables.value(name).is_some()) {
        return None;
    }
    let (Some(tenant), Some(client), Some(secret)) = (tenant, client, secret) else {
        return None;
    };
    kept(&params.at("tenant_id"), Source::azure(authority.as_deref(), &tenant, (client, secret), scope))
}

fn watsonx(params: &Node<'_>) -> Option<Source> {
    let variables = &params.reader.variables;
    let url = variables.value("WATSONX_IAM_URL");
    let node = params.at("api_key");
    let set = WATSONX_VARIABLES.map(|name| variables.value(name));
    let key = if node.is_absent() { set.into_iter().flatten().next().map(Secret::new) } else { node.secret() };
    kept(&node, Source::watsonx(url.as_deref(), key?))
}

/// LiteLLM's order.
const WATSONX_VARIABLES: [&str; 3] = ["WX_API_KEY", "WATSONX_API_KEY", "WATSONX_APIKEY"];

fn kept(node: &Node<'_>, source: Result<Source, Fault>) -> Option<Source> {
    source.or_else(|fault| node.fault(fault).ok_or(())).ok()
}
