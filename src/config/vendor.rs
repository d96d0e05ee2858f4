//! `litellm_params.model` and what it implies: the provider, the model's own name, the base URL, the credential.

use url::Url;

use super::fault::Wrong;
use super::read::{Node, SDS};
use super::wildcard::Pattern;
use super::{Address, aws, token};
use crate::budget;
use crate::provider::vendor::{self, VENDORS};
use crate::provider::{Credential, Injected, KeyHeader, Vendor, vendor::Base as VendorBase};
use crate::secret::Secret;

/// How a model without a prefix starts, and whose it is.
const INFERRED: &[(&str, &str)] = &[
    ("gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("ft:gpt-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("text-embedding-", "openai"),
    ("claude-", "anthropic"),
    ("gemini-", "vertex_ai"),
];

/// LiteLLM's other providers.
#[rustfmt::skip]
const LATER: &[&str] = &[
    "ai21", "aiml", "aleph_alpha", "anyscale", "azure_text", "clarifai", "cloudflare",
    "deepgram", "docker_model_runner", "elevenlabs", "gigachat", "github_copilot", "gradient_ai", "heroku",
    "lemonade", "maritalk", "nlp_cloud", "oci", "oobabooga", "petals", "predibase", "sagemaker", "sagemaker_chat",
    "snowflake", "topaz", "triton", "vllm", "watsonx_text", "xinference",
];

/// Providers that cannot be served, and why.
const NEVER: &[(&str, &str)] =
    &[("replicate", "it answers a prediction that is asked for again until it is there, and a proxy does not poll")];

const COMPATIBLE: &str = "a server that speaks OpenAI's API is `openai/...` with its api_base";

/// A base URL, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Base {
    /// Scheme, host and port.
    pub(super) address: Address,
    /// `host`, with the port where it is not the scheme's own.
    pub(super) authority: String,
    /// The path without a slash at its end.
    pub(super) path: String,
    /// `api-version` of its query, which users paste with Azure's URLs.
    pub(super) api_version: Option<String>,
}

/// The provider of a deployment and the provider's own name of the model.
pub(super) fn model(params: &Node<'_>) -> Option<(&'static Vendor, String)> {
    let node = params.at("model");
    let text = node.required_name()?;
    if Pattern::is_one(&text) && Pattern::parse(&text).is_none() {
        return node.fault("expected a model with at most one `*`");
    }
    let custom = params.at("custom_llm_provider");
    let (vendor, name) = if let Some(prefix) = custom.name() {
        (known(&prefix, &custom)?, text.strip_prefix(&format!("{prefix}/")).unwrap_or(&text))
    } else if let Some((prefix, name)) = text.split_once('/') {
        (known(prefix, &node)?, name)
    } else {
        (inferred(&text, &node)?, text.as_str())
    };
    if name.is_empty() {
        return node.fault("expected `provider/model`, found no model");
    }
    Some((vendor, name.to_owned()))
}

/// The base URL of a deployment: `api_base`, by its other name `base_url`, or the provider's own, at `location` where
/// the provider has one for each.
pub(super) fn base(params: &Node<'_>, vendor: &Vendor, location: Option<&str>) -> Option<Base> {
    let (api_base, base_url) = (params.at("api_base"), params.at("base_url"));
    let node = if api_base.is_absent() { base_url } else { api_base };
    let node = if node.is_absent() && vendor.language.aws_service().is_some() { aws::endpoint(params) } else { node };
    if !node.is_absent() {
        let text = node.text()?;
        return parse(&text, vendor).or_else(|message| node.fault(message).ok_or(message)).ok();
    }
    own_base(vendor, location).or_else(|| {
        let wrong = Wrong::from(format!("expected the base URL that `{}` needs, found nothing", vendor.prefix));
        params.at("api_base").fault(wrong.hint("write `api_base: https://host/v1`"))
    })
}

fn own_base(vendor: &Vendor, location: Option<&str>) -> Option<Base> {
    match vendor.base {
        VendorBase::Given => None,
        VendorBase::Fixed(text) | VendorBase::Local(text) => parse(text, vendor).ok(),
        VendorBase::Located(base) => parse(&base(location?), vendor).ok(),
    }
}

/// The credential of a deployment: `api_key`, else the provider's variable.
///
/// That variable belongs to the provider's own host. LiteLLM sends it to any `api_base`; here a deployment at another
/// host goes without a credential unless the config gives it one.
pub(super) fn credential(
    params: &Node<'_>,
    vendor: &Vendor,
    base: Option<&Base>,
    location: Option<&str>,
) -> Option<Credential> {
    if let Some(token) = token::credential(params, vendor) {
        return Some(token);
    }
    let node = params.at("api_key");
    if let Some(token) = token(params, vendor) {
        return token.secret().map(Credential::Bearer);
    }
    if let Some(name) = node.typed().strip_prefix(SDS) {
        return injected(&node, name);
    }
    if !node.is_absent() {
        return node.secret().map(Credential::Key);
    }
    if let Some(service) = vendor.language.aws_service() {
        let is_at_home = own_base(vendor, location).is_some_and(|own| base.is_some_and(|b| b.address == own.address));
        let key_variables = if is_at_home { vendor.key_variables } else { &[] };
        return aws::credential(params, service, key_variables, location);
    }
    let variables = &node.reader.variables;
    let key = |value: String| Credential::Key(Secret::new(value));
    let set = || vendor.key_variables.iter().find_map(|name| variables.value(name)).map(key);
    let is_anyones = matches!(vendor.base, VendorBase::Local(_));
    let Some(own) = own_base(vendor, location).filter(|_| !is_anyones) else { return Some(set().unwrap_or_default()) };
    let (Some(name), true) = (vendor.key_variables.first(), base?.address == own.address) else {
        return Some(Credential::None);
    };
    match set().or_else(|| variables.placeholder(name).map(key)) {
        Some(key) => Some(key),
        None => {
            let here = format!("expected a credential here or in the environment variable `{name}`, found neither");
            node.fault(
                Wrong::from(here).hint(format!("write `api_key: os.environ/{name}`, and set it where Envoy runs")),
            )
        }
    }
}

/// A secret that Envoy keeps, by its name; its header is known once all of the target is.
fn injected(node: &Node<'_>, name: &str) -> Option<Credential> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.starts_with('.') || !name.chars().all(is_plain) {
        return node.fault("expected `sds/` and a name of letters, digits, `-`, `_` and `.`, found another string");
    }
    Some(Credential::Injected(Box::new(Injected { name: name.to_owned(), header: KeyHeader::default() })))
}

/// Where a deployment has a bearer token, of a vendor that takes one. A key beside it counts for less.
fn token<'a>(params: &Node<'a>, vendor: &Vendor) -> Option<Node<'a>> {
    let name = match vendor.prefix {
        "azure" | "azure_ai" => "azure_ad_token",
        "watsonx" => "token",
        _ => return None,
    };
    Some(params.at(name)).filter(|node| !node.is_absent())
}

fn known(prefix: &str, node: &Node<'_>) -> Option<&'static Vendor> {
    if let Some(vendor) = vendor::find(prefix) {
        return Some(vendor);
    }
    if let Some((_, reason)) = NEVER.iter().find(|(never, _)| *never == prefix) {
        let wrong = Wrong::from("expected a provider that is supported").found(format!("`{prefix}`: {reason}"));
        return node.fault(wrong.hint("ask the model of another provider"));
    }
    if LATER.contains(&prefix) {
        let wrong = Wrong::from("expected a provider that is supported").found(format!("`{prefix}`, which is not yet"));
        return node.fault(wrong.hint(COMPATIBLE));
    }
    if prefix.is_empty() || node.typed().is_empty() || !node.typed().starts_with(prefix) {
        return node.fault(Wrong::from("expected a provider of LiteLLM's, found an unknown one").hint(COMPATIBLE));
    }
    let wrong = Wrong::from("expected a provider").found(format!("`{prefix}`")).hint(COMPATIBLE);
    node.fault(wrong.near(prefix, VENDORS.iter().map(|vendor| vendor.prefix)))
}

fn inferred(model: &str, node: &Node<'_>) -> Option<&'static Vendor> {
    match implied(model) {
        Some(prefix) => known(prefix, node),
        None => {
            let wrong = Wrong::from("expected `provider/model`, found a model whose provider is unknown");
            node.fault(wrong.hint("write the provider before it: `openai/...`, `anthropic/...`"))
        }
    }
}

/// The provider of a model whose name does not say it.
pub(super) fn implied(model: &str) -> Option<&'static str> {
    let by_name = INFERRED.iter().find(|(start, _)| model.starts_with(start)).map(|(_, prefix)| *prefix);
    let by_catalog =
        || ["openai", "anthropic", "bedrock"].into_iter().find(|prefix| budget::lookup(prefix, model).is_some());
    by_name.or_else(by_catalog)
}

fn parse(text: &str, vendor: &Vendor) -> Result<Base, &'static str> {
    let url = Url::parse(text).map_err(|_| "expected a URL such as `https://host/v1`")?;
    let tls = match url.scheme() {
        "https" => true,
        "http" => false,
        _ => return Err("expected a URL that starts with http:// or https://"),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err("expected a URL without a user and password, found one of them");
    }
    let api_version = api_version(&url, vendor);
    if (url.query().is_some() && api_version.is_none()) || url.fragment().is_some() {
        return Err("expected a URL that ends with its path, found a query or fragment");
    }
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err("expected a URL with a host");
    };
    let mut path = url.path().trim_end_matches('/');
    for surplus in vendor.surplus {
        path = path.strip_suffix(surplus).unwrap_or(path);
    }
    let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok(Base { address: Address { tls, host, port }, authority, path: path.to_owned(), api_version })
}

/// The `api-version` that is all of an Azure URL's query.
fn api_version(url: &Url, vendor: &Vendor) -> Option<String> {
    let is_azures = vendor.prefix.starts_with("azure");
    let mut pairs = url.query_pairs().filter(|_| is_azures);
    let (name, value) = pairs.next()?;
    (name == "api-version" && pairs.next().is_none()).then(|| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::provider::vendor;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn base_urls_are_taken_apart() {
        let rows = [
            ("openai", "https://api.openai.com/v1", (true, "api.openai.com", 443, "api.openai.com", "/v1")),
            ("openai", "http://LocalHost:8000/", (false, "localhost", 8000, "localhost:8000", "")),
            ("openai", "https://h/v1/chat/completions", (true, "h", 443, "h", "/v1")),
            ("openai", "https://h:443/a/b//", (true, "h", 443, "h", "/a/b")),
            ("openai", "http://[::1]:9/v1", (false, "::1", 9, "[::1]:9", "/v1")),
            ("anthropic", "https://h/proxy/v1/messages", (true, "h", 443, "h", "/proxy")),
            ("anthropic", "https://h/v1/", (true, "h", 443, "h", "")),
            (
                "azure",
                "https://h.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-06-01",
                (true, "h.openai.azure.com", 443, "h.openai.azure.com", "/openai/deployments/d"),
            ),
        ];
        for (vendor, text, (tls, host, port, authority, path)) in rows {
            let base = parse(text, vendor::find(vendor).unwrap()).unwrap();
            let address = (base.address.tls, base.address.host.as_str(), base.address.port);
            assert_eq!(address, (tls, host, port), "{text}");
            assert_eq!((base.authority.as_str(), base.path.as_str()), (authority, path), "{text}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn other_urls_are_refused() {
        for text in
            ["", "host/v1", "ftp://h", "unix:///tmp/s", "https://u:p@h", "https://h?x=1", "https://h#x", "https://"]
        {
            assert!(parse(text, vendor::find("openai").unwrap()).is_err(), "{text}");
        }
    }
}
