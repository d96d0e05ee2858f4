//! What AWS adds to a deployment: where a model's name says more than its id, the region, the signer.
//!
//! A secret that stands in the environment is not read here: the filter has no use for it, Envoy signs.
//!
//! # Limits
//!
//! The region and `AWS_BEARER_TOKEN_BEDROCK` decide which cluster a deployment has: where the config does not say them,
//! `render` must run in the environment that Envoy will have. Keys that the config names win over that variable; in
//! LiteLLM it is the other way round.

use super::env::reference;
use super::read::Node;
use crate::provider::aws::{Aws, Role, Source, Token, Value};
use crate::provider::{Credential, Vendor};
use crate::secret::Secret;

/// Where AWS is, unless somebody says so: LiteLLM's default.
const REGION: &str = "us-west-2";

/// The variables that say where, first found wins.
const REGION_VARIABLES: [&str; 3] = ["AWS_REGION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION"];

/// Routes of LiteLLM's that are not Converse.
const OTHER_ROUTES: &[&str] = &[
    "agent",
    "agentcore",
    "async_invoke",
    "chat_completions",
    "claude_platform",
    "converse_like",
    "invoke",
    "mantle",
    "openai",
];

/// A model as `vendor::model` finds it.
type Named = Option<(&'static Vendor, String)>;

/// A model's id and its region, taken from a name such as `converse/us-east-1/anthropic.claude-v2`; a model of others
/// as it is.
pub(super) fn named(params: &Node<'_>, model: Named) -> (Named, Option<String>) {
    let Some((vendor, name)) = model else { return (None, None) };
    if vendor.language.aws_service().is_none() {
        return (Some((vendor, name)), None);
    }
    let node = params.at("model");
    let Some((in_name, id)) = split(&name).or_else(|fault| node.fault(fault).ok_or(())).ok() else {
        return (None, None);
    };
    let region = region(params, in_name);
    (Some((vendor, id.to_owned())), region)
}

/// `model_id`: what is asked in the model's place, such as the ARN of a profile of one's own.
pub(super) fn profile(params: &Node<'_>, vendor: &Vendor) -> Option<String> {
    vendor.language.aws_service().and_then(|_| params.at("model_id").name())
}

/// `aws_bedrock_runtime_endpoint`: another base URL.
pub(super) fn endpoint<'a>(params: &Node<'a>) -> Node<'a> {
    params.at("aws_bedrock_runtime_endpoint")
}

/// The id of the model that a client names, if it is one at `location`.
pub(super) fn captured<'n>(name: &'n str, location: Option<&str>) -> Option<&'n str> {
    let (region, id) = split(name).ok()?;
    region.is_none_or(|region| Some(region) == location).then_some(id)
}

/// A region, if the name has one, and the id of a model; else what is wrong.
fn split(name: &str) -> Result<(Option<&str>, &str), String> {
    let name = name.strip_prefix("converse/").unwrap_or(name);
    let route = name.split_once('/').map(|(route, _)| route);
    if let Some(route) = route.filter(|route| OTHER_ROUTES.contains(route)) {
        return Err(format!(
            "expected a model of Converse, found the route `{route}/`: models are asked through Converse"
        ));
    }
    if let Some(arn) = name.strip_prefix("arn:") {
        let region = arn.split(':').nth(2).filter(|region| !region.is_empty());
        return Ok((region, name));
    }
    let in_region = name.split_once('/').filter(|(region, _)| is_region(region));
    let (region, id) = in_region.map_or((None, name), |(region, id)| (Some(region), id));
    if id.contains('/') && !id.starts_with("arn:") {
        return Err("expected the id of a model or an ARN, found another path".to_owned());
    }
    if id.contains("rerank") {
        return Err("expected a model of Converse, found a rerank model, which is not supported".to_owned());
    }
    Ok((region, id))
}

/// Whether `text` looks like `us-east-1`, `us-gov-west-1`.
fn is_region(text: &str) -> bool {
    let is_word = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    let ends_well = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = text.split('-').collect();
    match parts.as_slice() {
        [words @ .., number] => words.len() >= 2 && words.iter().all(|word| is_word(word)) && ends_well(number),
        [] => false,
    }
}

/// Where: the config's word, the model's name, the environment, LiteLLM's default.
fn region(params: &Node<'_>, in_name: Option<&str>) -> Option<String> {
    let nodes = ["aws_region_name", "region_name"].map(|name| params.at(name));
    if let Some(node) = nodes.iter().find(|node| !node.is_absent()) {
        let region = node.name()?;
        // It goes into a host name.
        let is_one = region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        return if is_one { Some(region) } else { node.fault("expected a region such as us-east-1") };
    }
    let variables = &params.reader.variables;
    let set = || REGION_VARIABLES.iter().find_map(|name| variables.value(name)).filter(|region| is_region(region));
    Some(in_name.map(str::to_owned).or_else(set).unwrap_or_else(|| REGION.to_owned()))
}

/// The credential of a deployment without `api_key`: the signer that the config describes, else a key of Bedrock's in
/// one of `key_variables`, else Envoy's own chain.
pub(super) fn credential(
    params: &Node<'_>,
    service: &'static str,
    key_variables: &[&str],
    location: Option<&str>,
) -> Option<Credential> {
    let (source, role) = (source(params)?, role(params));
    if source == Source::Chain && role.is_none() {
        let variables = &params.reader.variables;
        if let Some(key) = key_variables.iter().find_map(|name| variables.value(name)) {
            return Some(Credential::Key(Secret::new(key)));
        }
    }
    let region = location?.to_owned();
    Some(Credential::Signed(Box::new(Aws { service, region, source, role })))
}

/// Whose keys; `None`: a fault.
fn source(params: &Node<'_>) -> Option<Source> {
    let [id, secret, token] =
        ["aws_access_key_id", "aws_secret_access_key", "aws_session_token"].map(|name| params.at(name));
    let (profile, identity) = (params.at("aws_profile_name"), params.at("aws_web_identity_token"));
    if !identity.is_absent() {
        if params.at("aws_role_name").is_absent() {
            return params.at("aws_role_name").fault("expected the role that aws_web_identity_token is for");
        }
        return web_identity(&identity).map(Source::WebIdentity);
    }
    match (id.is_absent(), secret.is_absent()) {
        (true, true) if profile.is_absent() => Some(Source::Chain),
        (true, true) => profile.name().map(Source::Profile),
        (false, true) => secret.fault("expected the secret of aws_access_key_id, found nothing"),
        (true, false) => id.fault("expected the id of aws_secret_access_key, found nothing"),
        (false, false) => Some(Source::Keys {
            access_key_id: value(&id)?,
            secret_access_key: value(&secret)?,
            session_token: if token.is_absent() { None } else { Some(value(&token)?) },
        }),
    }
}

/// A value, or the variable that has it, which is not read.
fn value(node: &Node<'_>) -> Option<Value> {
    match reference(node.typed()) {
        Some(name) => match node.reader.variables.inside(name) {
            Some(text) => Some(Value::Literal(Secret::new(text))),
            None => Some(Value::Variable(name.to_owned())),
        },
        None => node.secret().map(Value::Literal),
    }
}

fn role(params: &Node<'_>) -> Option<Role> {
    let arn = params.at("aws_role_name").name()?;
    let [session_name, external_id] = ["aws_session_name", "aws_external_id"].map(|name| params.at(name).name());
    Some(Role { arn, session_name, external_id })
}

fn web_identity(node: &Node<'_>) -> Option<Token> {
    let typed = node.typed();
    if let Some(name) = reference(typed).or_else(|| typed.strip_prefix("oidc/env/")) {
        return Some(Token::Variable(name.to_owned()));
    }
    match typed.strip_prefix("oidc/file/").unwrap_or(typed) {
        path if path.starts_with('/') && !path.starts_with("oidc/") => Some(Token::File(path.to_owned())),
        _ => node.fault(
            "expected the path of a file, oidc/file/PATH, oidc/env/NAME or os.environ/NAME, found what Envoy does not read",
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use serde_json::json;
    use wasm_bindgen_test::wasm_bindgen_test;

    use crate::config::{Config, Deployment, Env};
    use crate::provider::Credential;

    fn compile(params: &serde_json::Value, env: &dyn Fn(&str) -> Option<String>) -> Result<Rc<Deployment>, String> {
        let document = json!({
            "model_list": [{"model_name": "m", "litellm_params": params}],
            "tollgate": {"allow_anonymous": true},
        });
        let config = Config::compile(&document, Env::Strict(env));
        config.map(|mut config| config.deployments.remove(0)).map_err(|faults| format!("{faults:?}"))
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_name_says_which_model_and_where() {
        let haiku = "anthropic.claude-haiku-4-5-20251001-v1:0";
        let profile = "arn:aws:bedrock:eu-west-3:1:application-inference-profile/abc";
        for (model, region, id, host) in [
            (format!("bedrock/{haiku}"), None, haiku, "us-west-2"),
            (format!("bedrock/converse/us.{haiku}"), Some("us-east-1"), &*format!("us.{haiku}"), "us-east-1"),
            (format!("bedrock/us-gov-west-1/{haiku}"), None, haiku, "us-gov-west-1"),
            (format!("bedrock/converse/eu-west-1/{haiku}"), None, haiku, "eu-west-1"),
            (format!("bedrock_converse/{haiku}"), Some("ap-south-1"), haiku, "ap-south-1"),
            (format!("bedrock/{profile}"), None, profile, "eu-west-3"),
            (haiku.to_owned(), None, haiku, "us-west-2"),
        ] {
            let deployment = compile(&json!({"model": model, "aws_region_name": region}), &|_| None).unwrap();
            assert_eq!(deployment.target.model, id, "{model}");
            assert_eq!(deployment.address.host, format!("bedrock-runtime.{host}.amazonaws.com"), "{model}");
        }
        let china = compile(&json!({"model": "bedrock/a.b", "aws_region_name": "cn-north-1"}), &|_| None).unwrap();
        assert_eq!(china.address.host, "bedrock-runtime.cn-north-1.amazonaws.com.cn");
        let env = |name: &str| (name == "AWS_REGION").then(|| "sa-east-1".to_owned());
        let there = compile(&json!({"model": "bedrock/a.b"}), &env).unwrap();
        assert_eq!(there.address.host, "bedrock-runtime.sa-east-1.amazonaws.com");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_not_converse_is_refused() {
        for (params, part) in [
            (json!({"model": "bedrock/invoke/anthropic.claude-v2"}), "models are asked through Converse"),
            (json!({"model": "bedrock/agent/x/y"}), "models are asked through Converse"),
            (json!({"model": "bedrock/cohere.rerank-v3-5:0"}), "not supported"),
            (json!({"model": "bedrock/llama/x"}), "another path"),
            (json!({"model": "bedrock/a.b", "aws_region_name": "here/there"}), "a region"),
            (json!({"model": "bedrock/a.b", "aws_access_key_id": "AKIA"}), "aws_secret_access_key"),
            (json!({"model": "bedrock/a.b", "aws_web_identity_token": "/t"}), "aws_role_name"),
            (json!({"model": "bedrock/a.b", "aws_role_name": "r", "aws_web_identity_token": "oidc/google/x"}), "Envoy"),
        ] {
            let fault = compile(&params, &|_| None).map(|_| ()).unwrap_err();
            assert!(fault.contains(part), "{fault}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_signer_has_its_own_cluster_and_a_key_none() {
        let with = |more: serde_json::Value| {
            let mut params = json!({"model": "bedrock/a.b", "aws_region_name": "us-east-1"});
            params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            compile(&params, &|_| None).unwrap()
        };
        let plain = "tollgate_https_bedrock-runtime.us-east-1.amazonaws.com_443";
        let key = with(json!({"api_key": "k"}));
        assert_eq!(key.cluster, plain);
        let mut names = vec![key.cluster.clone()];
        for more in [
            json!({}),
            json!({"aws_access_key_id": "A1", "aws_secret_access_key": "s-e-c"}),
            json!({"aws_access_key_id": "A2", "aws_secret_access_key": "s-e-c"}),
            json!({"aws_access_key_id": "os.environ/X", "aws_secret_access_key": "os.environ/Y"}),
            json!({"aws_profile_name": "p"}),
            json!({"aws_role_name": "arn:aws:iam::1:role/r"}),
        ] {
            let deployment = with(more);
            assert!(matches!(deployment.target.credential, Credential::Signed(_)));
            assert!(deployment.cluster.starts_with(&format!("{plain}_aws_us-east-1_")), "{}", deployment.cluster);
            assert!(!format!("{deployment:?}").contains("s-e-c"), "{deployment:?}");
            assert!(!names.contains(&deployment.cluster));
            names.push(deployment.cluster.clone());
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_variable_of_the_key_is_for_bedrock_alone() {
        let env = |name: &str| (name == "AWS_BEARER_TOKEN_BEDROCK").then(|| "bearer".to_owned());
        let home = compile(&json!({"model": "bedrock/a.b"}), &env).unwrap();
        assert_eq!(home.target.credential.key().map(crate::secret::Secret::expose), Some("bearer"));
        let away = json!({"model": "bedrock/a.b", "aws_bedrock_runtime_endpoint": "http://127.0.0.1:9/x"});
        let away = compile(&away, &env).unwrap();
        assert!(matches!(away.target.credential, Credential::Signed(_)));
        assert_eq!((away.target.authority.as_str(), away.target.base_path.as_str()), ("127.0.0.1:9", "/x"));
    }
}
