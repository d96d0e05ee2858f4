//! What a deployment's provider is to be asked with, where that is a token: `vertex_credentials`, `client_secret`, ...
//!
//! A filter reads no files, so a credential is a mapping, its JSON, or a variable that holds its JSON. `tollgate run`
//! puts the content of a file in its place.

use std::rc::Rc;

use serde_json::Value;

use super::env::reference;
use super::fault::Wrong;
use super::read::Node;
use crate::provider::{Credential, Vendor};
use crate::secret::Secret;
use crate::token::Source;
use crate::token::source::Fault;

/// The variables that hold a Google credential where the config has none.
pub(crate) const VERTEX_VARIABLES: [&str; 2] = ["VERTEXAI_CREDENTIALS", "GOOGLE_APPLICATION_CREDENTIALS"];

/// The members that hold one.
pub(crate) const VERTEX_CREDENTIALS: [&str; 2] = ["vertex_credentials", "vertex_ai_credentials"];

const NO_JSON: &str = "expected a credential in JSON, found something else";
const NO_FILES: &str = "a filter reads no files: put the file's content into a variable and write os.environ/NAME, or \
                        serve with `tollgate run`, which reads it";

/// The credential of a deployment whose provider takes tokens; `None` where the config leads to a plain key, or has a
/// fault here.
///
/// `api_key` goes before a token, where a provider takes both, and a token in the config before one that is fetched.
pub(super) fn credential(params: &Node<'_>, vendor: &Vendor) -> Option<Credential> {
    let source = match vendor.prefix {
        "vertex_ai" | "vertex_ai_beta" if params.at("api_key").is_absent() => vertex(params),
        "azure" | "azure_text" | "azure_ai" if params.at("api_key").is_absent() => azure(params, vendor),
        "watsonx" | "watsonx_text" if params.at("token").is_absent() => watsonx(params),
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
                    Err(_) => {
                        let found = format!("something else in the variable `{name}`");
                        here.fault(Wrong::from(NO_JSON).found(found).hint(NO_FILES))
                    }
                },
                None => kept(&here, Source::metadata(host.as_deref())),
            };
        }
    };
    google(&node)
}

/// A mapping, or a string with the JSON of one.
fn google(node: &Node<'_>) -> Option<Source> {
    if unknown(node).is_some() {
        // Whose it is, nobody can say yet; where it is exchanged, nearly always.
        return kept(node, Source::google(&stand_in(None)));
    }
    if node.object().is_some() {
        return match node.members().iter().find_map(|(_, member)| unknown(member)) {
            Some(_) => kept(node, Source::google(&stand_in(node.at("token_uri").text()))),
            None => kept(node, Source::google(&node.resolved())),
        };
    }
    match serde_json::from_str::<Value>(&node.text()?) {
        Ok(json) if json.is_object() => kept(node, Source::google(&json)),
        _ => node.fault(Wrong::from(NO_JSON).hint(NO_FILES)),
    }
}

/// The variable that this refers to, where it is not set and need not be.
fn unknown<'a>(node: &Node<'a>) -> Option<&'a str> {
    let variables = &node.reader.variables;
    let name = reference(node.typed()).filter(|name| variables.value(name).is_none())?;
    variables.placeholder(name).map(|_| name)
}

/// A credential of Google's that nobody has.
fn stand_in(token_uri: Option<String>) -> Value {
    let nobodys = "os.environ/";
    serde_json::json!({"type": "authorized_user", "client_id": nobodys, "client_secret": nobodys,
        "refresh_token": nobodys, "token_uri": token_uri})
}

/// Only with all three of tenant, client and secret, each from the config or its variable. Variables alone give way to
/// the variable of a plain key, and to `azure_ad_token`.
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
    let has_other = !params.at("azure_ad_token").is_absent()
        || vendor.key_variables.iter().any(|name| variables.value(name).is_some());
    if !is_named && has_other {
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::credential;
    use crate::config::Env;
    use crate::config::env::Variables;
    use crate::config::read::Reader;
    use crate::provider::vendor::Base;
    use crate::provider::{Credential, Vendor, openai};

    const ACCOUNT: &str = include_str!("../../examples/mock-provider/service-account.json");

    fn vendor(prefix: &'static str) -> Vendor {
        let dialect = openai::Dialect::OPENAI;
        let key_variables: &[&str] = if prefix == "azure" { &["AZURE_API_KEY"] } else { &[] };
        Vendor { prefix, language: &openai::OpenAi, dialect, base: Base::Given, key_variables, surplus: &[] }
    }

    /// Where the token of a deployment of `prefix` comes from, or the faults; and the variables that were asked for.
    fn read(prefix: &'static str, params: &Value, env: Env<'_>) -> (String, Vec<String>) {
        let document = json!({"p": params});
        let reader = Reader::new(&document, env);
        let found = match credential(&reader.root().at("p"), &vendor(prefix)) {
            Some(Credential::Token(source)) => format!("{} {}", source.authority, source.path),
            _ => String::new(),
        };
        let faults: Vec<String> = reader.faults().iter().map(ToString::to_string).collect();
        let text = if faults.is_empty() { found } else { faults.join("\n") };
        let Reader { variables, .. } = reader;
        (text, Variables::into_asked(variables).into_iter().collect())
    }

    const GOOGLE: &str = "oauth2.googleapis.com /token";
    const METADATA: &str = "169.254.169.254 /computeMetadata/v1/instance/service-accounts/default/token";

    #[wasm_bindgen_test(unsupported = test)]
    fn vertex_takes_a_credential_in_any_form() {
        let account: Value = serde_json::from_str(ACCOUNT).unwrap();
        let set = |name: &str| match name {
            "ACCOUNT" | "GOOGLE_APPLICATION_CREDENTIALS" => Some(ACCOUNT.to_owned()),
            "KEY" => Some(account["private_key"].as_str().unwrap().to_owned()),
            _ => None,
        };
        let bare = |name: &str| (name == "GCE_METADATA_HOST").then(|| "metadata.test:81".to_owned());
        let mut split = account.clone();
        split["private_key"] = json!("os.environ/KEY");
        for params in [
            json!({"vertex_credentials": account}),
            json!({"vertex_credentials": ACCOUNT}),
            json!({"vertex_credentials": split}),
            json!({"vertex_ai_credentials": "os.environ/ACCOUNT"}),
            json!({}),
        ] {
            assert_eq!(read("vertex_ai", &params, Env::Strict(&set)).0, GOOGLE, "{params}");
        }
        assert_eq!(read("vertex_ai", &json!({}), Env::Strict(&|_| None)).0, METADATA);
        assert_eq!(
            read("vertex_ai_beta", &json!({}), Env::Strict(&bare)).0,
            METADATA.replace("169.254.169.254", "metadata.test:81")
        );
        assert_eq!(read("vertex_ai", &json!({"api_key": "k"}), Env::Strict(&set)).0, "");
        assert_eq!(read("openai", &json!({}), Env::Strict(&set)).0, "");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_path_is_a_fault_where_no_file_can_be_read() {
        let path = |name: &str| (name == "GOOGLE_APPLICATION_CREDENTIALS").then(|| "/secret/key.json".to_owned());
        for params in
            [json!({"vertex_credentials": "/secret/key.json"}), json!({}), json!({"vertex_credentials": "[1]"})]
        {
            let (fault, _) = read("vertex_ai", &params, Env::Strict(&path));
            assert!(fault.starts_with("p.vertex_credentials: ") && fault.contains("reads no files"), "{fault}");
            assert!(!fault.contains("/secret"), "{fault}");
        }
        let (fault, _) =
            read("vertex_ai", &json!({"vertex_credentials": {"type": "external_account"}}), Env::Strict(&path));
        assert!(fault.contains("federation"), "{fault}");
        let (fault, _) = read("vertex_ai", &json!({"vertex_credentials": "os.environ/NONE"}), Env::Strict(&path));
        assert!(fault.contains("`NONE`"), "{fault}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_check_goes_without_the_secrets_and_names_their_variables() {
        let none = |_: &str| None;
        let (found, asked) =
            read("vertex_ai", &json!({"vertex_credentials": "os.environ/ACCOUNT"}), Env::Lenient(&none));
        let names = ["ACCOUNT", "GCE_METADATA_HOST", "GOOGLE_APPLICATION_CREDENTIALS", "VERTEXAI_CREDENTIALS"];
        assert_eq!((found.as_str(), asked), (GOOGLE, names.map(str::to_owned).to_vec()));
        let params =
            json!({"vertex_credentials": {"private_key": "os.environ/KEY", "token_uri": "http://tokens.test/t"}});
        let (found, asked) = read("vertex_ai", &params, Env::Lenient(&none));
        assert_eq!((found.as_str(), asked.contains(&"KEY".to_owned())), ("tokens.test /t", true));
        let params = json!({"tenant_id": "t", "client_id": "c", "client_secret": "os.environ/SECRET"});
        let (found, asked) = read("azure", &params, Env::Lenient(&none));
        assert_eq!(found, "login.microsoftonline.com /t/oauth2/v2.0/token");
        let names = ["AZURE_AUTHORITY_HOST", "AZURE_SCOPE", "SECRET"];
        assert!(names.iter().all(|name| asked.contains(&(*name).to_owned())), "{asked:?}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn azure_needs_all_three_and_a_key_goes_first() {
        let triple = |name: &str| match name {
            "AZURE_TENANT_ID" => Some("tenant".to_owned()),
            "AZURE_CLIENT_ID" => Some("client".to_owned()),
            "AZURE_CLIENT_SECRET" => Some("secret".to_owned()),
            "AZURE_AUTHORITY_HOST" => Some("https://login.test".to_owned()),
            _ => None,
        };
        let keyed = |name: &str| if name == "AZURE_API_KEY" { Some("key".to_owned()) } else { triple(name) };
        let token = "login.test /tenant/oauth2/v2.0/token";
        let rows = [
            (json!({}), Env::Strict(&triple), token),
            (json!({}), Env::Strict(&keyed), ""),
            (json!({"client_secret": "own"}), Env::Strict(&keyed), token),
            (json!({"api_key": "k", "client_secret": "own"}), Env::Strict(&triple), ""),
            (json!({"tenant_id": "t", "client_id": "c"}), Env::Strict(&|_| None), ""),
            (
                json!({"tenant_id": "a/b"}),
                Env::Strict(&triple),
                "p.tenant_id: expected a tenant's id or domain, found a string",
            ),
        ];
        for (params, env, expected) in rows {
            assert_eq!(read("azure", &params, env).0, expected, "{params}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn watsonx_exchanges_its_key() {
        let set = |name: &str| match name {
            "WATSONX_APIKEY" => Some("k".to_owned()),
            "WATSONX_IAM_URL" => Some("http://iam.test/token".to_owned()),
            _ => None,
        };
        assert_eq!(
            read("watsonx", &json!({"api_key": "k"}), Env::Strict(&|_| None)).0,
            "iam.cloud.ibm.com /identity/token"
        );
        assert_eq!(read("watsonx_text", &json!({}), Env::Strict(&set)).0, "iam.test /token");
        assert_eq!(read("watsonx", &json!({}), Env::Strict(&|_| None)).0, "");
    }
}
