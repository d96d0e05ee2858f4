//! The client's body with what this provider has otherwise edited in it; all other bytes stay.
//!
//! Every edit is a splice by range: nothing is written anew, and a request to OpenAI itself is changed in its model
//! name alone.

use super::dialect::{Choice, Dialect};
use super::family::Family;
use super::{azure, media, messages, reasoning, schema, tools};
use crate::error::{Error, Kind};
use crate::json::edit::{self, Change};
use crate::json::scan::{Member, members_of};
use crate::json::{Shape, Splice};
use crate::openai::{Endpoint, Request};
use crate::provider::{Body, Target, Upstream, params};
use crate::secret::Secret;

const INCLUDE_USAGE: &str = r#"{"include_usage":true}"#;

/// The attempt at `target`: `model` is the target's, a stream is asked for its usage, and the rest is as the target's
/// dialect has it.
///
/// # Errors
///
/// None that a parsed request can cause; `Internal` where its index does not fit its body.
pub(super) fn request(request: &Request, target: &Target, key: Option<&Secret>) -> Result<Upstream, Error> {
    let cannot = || Error::new(Kind::Internal, "the request cannot be spliced");
    let mut headers = azure::credential(target, key);
    headers.extend(target.vendor.dialect.headers.iter().map(|(name, value)| (*name, (*value).to_owned())));
    let path = azure::path(request, target);
    if request.endpoint == Endpoint::Realtime {
        return Ok(Upstream { path: media::with_query(path, request), headers, body: Body::Whole(Vec::new()) });
    }
    if let Some(form) = &request.form {
        headers.push(("content-type", form.content_type.clone()));
        let splice = media::splice(form, &azure::model(target, request.endpoint)).ok_or_else(cannot)?;
        return Ok(Upstream { path, headers, body: Body::Splice(splice) });
    }
    headers.push(("content-type", "application/json".to_owned()));
    let forced = schema::forced(request, target)?;
    let splice = splice(request, target, forced).ok_or_else(cannot)?;
    Ok(Upstream { path, headers, body: Body::Splice(splice) })
}

fn splice(request: &Request, target: &Target, forced: Option<schema::Forced>) -> Option<Splice> {
    let mut splice = Splice::default();
    let dialect = &target.vendor.dialect;
    let model = serde_json::to_vec(&azure::model(target, request.endpoint)).ok()?;
    let mut added: Vec<(&str, Vec<u8>)> = Vec::new();
    if request.index.get("model").is_none() {
        added.push(("model", model.clone()));
    }
    let mut plan = Plan::of(request, target);
    plan.is_forced = forced.is_some();
    added.extend(plan.added(dialect));
    added.extend(forced.into_iter().flat_map(|forced| [("tools", forced.tools), ("tool_choice", forced.choice)]));
    // A repeated name means the last one to us and perhaps the first one to the provider: replace them all.
    let change = |member: &Member| match member.key.as_str() {
        "model" => Change::Set(model.clone()),
        _ => plan.change(member),
    };
    edit::object(&request.index, change, &added, &mut splice).then_some(())?;
    if request.endpoint == Endpoint::ChatCompletions {
        messages::edit(request, target, &mut splice)?;
        if !plan.drops("tools") {
            tools::edit(request, target, &mut splice)?;
        }
    }
    if asks_for_usage(request) && dialect.takes_stream_options() {
        include_usage(request, &mut splice)?;
    }
    Some(splice)
}

/// What becomes of the members of one request.
struct Plan<'a> {
    request: &'a Request,
    target: &'a Target,
    dialect: &'a Dialect,
    family: Family,
    reasoning: reasoning::Plan,
    has_tools: bool,
    /// Whether a tool of ours stands for the schema.
    is_forced: bool,
}

impl<'a> Plan<'a> {
    fn of(request: &'a Request, target: &'a Target) -> Self {
        let is_list = |name| request.index.get(name).is_some_and(|member| member.value.len() > 2);
        Self {
            request,
            target,
            dialect: &target.vendor.dialect,
            family: Family::of(target),
            reasoning: reasoning::plan(request, target),
            has_tools: is_list("tools") || is_list("functions"),
            is_forced: false,
        }
    }

    fn added(&self, dialect: &'a Dialect) -> Vec<(&'a str, Vec<u8>)> {
        if self.request.endpoint != Endpoint::ChatCompletions {
            return Vec::new();
        }
        let adds = dialect.adds.iter().filter(|(name, _)| self.request.index.get(name).is_none());
        let mut added: Vec<(&str, Vec<u8>)> = adds.map(|(name, value)| (*name, value.as_bytes().to_vec())).collect();
        added.extend(self.reasoning.added.iter().map(|(name, value)| (*name, value.clone())));
        added.extend(azure::watsonx_members(self.target));
        added
    }

    fn drops(&self, name: &str) -> bool {
        self.request.index.get(name).is_some_and(|member| self.change(member) == Change::Drop)
    }

    fn change(&self, member: &Member) -> Change {
        let name = member.key.as_str();
        if self.request.endpoint != Endpoint::ChatCompletions {
            return self.change_elsewhere(member);
        }
        let is_replaced = self.is_forced && matches!(name, "response_format" | "tools" | "tool_choice");
        if is_replaced || self.is_unsent(member) {
            return Change::Drop;
        }
        if let Some((_, change)) = self.reasoning.changes.iter().find(|(own, _)| *own == name) {
            return change.clone();
        }
        if let Some(renamed) = self.rename(name) {
            return renamed;
        }
        if name == "tool_choice" { self.choice(member) } else { Change::Keep }
    }

    /// Of other endpoints than chat completions.
    fn change_elsewhere(&self, member: &Member) -> Change {
        let name = member.key.as_str();
        let lacks = self.request.endpoint == Endpoint::Embeddings
            && self.dialect.lacking_of_embeddings.contains(&name)
            && !self.target.params.allows(name);
        let is_renamed = matches!(self.request.endpoint, Endpoint::Embeddings | Endpoint::Rerank);
        match self.dialect.renames.iter().find(|(from, _)| is_renamed && *from == name) {
            _ if lacks => Change::Drop,
            Some((_, to)) => Change::Rename(to),
            None => Change::Keep,
        }
    }

    /// Whether a member goes that nobody was refused for.
    fn is_unsent(&self, member: &Member) -> bool {
        let name = member.key.as_str();
        let value = self.request.body.get(member.value.clone()).unwrap_or_default();
        let lacks = || self.dialect.lacks(name, self.target) || self.lacks_value(name, value);
        let is_idle = params::goes_unrefused(name, value) && !self.target.params.allows(name) && lacks();
        let is_untidy = match name {
            "stream_options" if self.dialect.takes_stream_options() => false,
            _ if member.shape == Shape::Null => true,
            "metadata" => true,
            "tool_choice" => !self.has_tools,
            _ => false,
        };
        is_idle || (self.dialect.is_tidied && is_untidy)
    }

    fn lacks_value(&self, name: &str, value: &[u8]) -> bool {
        super::lacks_value(name, value, self.request, self.target)
    }

    fn rename(&self, name: &str) -> Option<Change> {
        const LATE: (&str, &str) = ("max_tokens", "max_completion_tokens");
        let own = self.dialect.renames.iter().copied();
        let late = (self.dialect.has_families && self.family.counts_reasoning()).then_some(LATE);
        let (from, to) = own.chain(late).find(|(from, to)| *from == name || *to == name)?;
        let has = |name: &str| self.request.index.get(name).is_some_and(|member| member.shape != Shape::Null);
        // Where both are given, OpenAI's newer name counts, whatever it is called here.
        let is_early = |name: &str| name == "max_tokens";
        match (name == from, has(from) && has(to)) {
            (true, true) if is_early(from) => Some(Change::Drop),
            (true, _) => Some(Change::Rename(to)),
            (false, true) if is_early(to) => Some(Change::Drop),
            (false, _) => None,
        }
    }

    fn choice(&self, member: &Member) -> Change {
        let value = self.request.body.get(member.value.clone()).unwrap_or_default();
        let is_word = member.shape == Shape::String;
        match self.dialect.choice {
            Choice::Same => Change::Keep,
            Choice::Any if value == b"\"required\"" => Change::Set(b"\"any\"".to_vec()),
            Choice::Any if !is_word => Change::Drop,
            Choice::AutoOrNone if !matches!(value, b"\"auto\"" | b"\"none\"") => Change::Drop,
            Choice::Option if is_word => Change::Rename("tool_choice_option"),
            Choice::Any | Choice::AutoOrNone | Choice::Option => Change::Keep,
        }
    }
}

/// Embeddings say their usage unasked, and so does an answer that is no stream.
fn asks_for_usage(request: &Request) -> bool {
    let is_chat = matches!(request.endpoint, Endpoint::ChatCompletions | Endpoint::Completions);
    is_chat && request.stream && !request.include_usage
}

fn include_usage(request: &Request, splice: &mut Splice) -> Option<()> {
    let done = match request.index.get("stream_options") {
        Some(options) if options.shape == Shape::Object => {
            let inner = members_of(&request.body, options.value.clone())?;
            match inner.get("include_usage") {
                Some(flag) => splice.replace(flag.value.clone(), "true"),
                None => {
                    let comma = if inner.members().is_empty() { "" } else { "," };
                    splice.replace(inner.start()..inner.start(), format!("\"include_usage\":true{comma}"))
                }
            }
        }
        Some(options) => splice.replace(options.value.clone(), INCLUDE_USAGE),
        None => {
            let at = request.index.get("stream")?.value.end;
            splice.replace(at..at, format!(",\"stream_options\":{INCLUDE_USAGE}"))
        }
    };
    done.then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn spliced(endpoint: Endpoint, body: &str, model: &str) -> String {
        let request = Request::parse(endpoint, body.as_bytes().to_vec()).unwrap();
        let splice = splice(&request, &Target::of("openai", model), None).unwrap();
        let mut out = splice.head(&request.body).unwrap();
        out.extend_from_slice(&request.body[splice.end()..]);
        assert_eq!(out.len(), splice.len_of(body.len()));
        String::from_utf8(out).unwrap()
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn only_the_model_changes() {
        for (body, expected) in [
            (r#"{"model":"a","messages":[]}"#, r#"{"model":"p/\"x","messages":[]}"#),
            (
                r#" { "messages" : [ 1.50 ] , "model" : "a" , "stream" : false , "é\u00e9":1e5}"#,
                r#" { "messages" : [ 1.50 ] , "model" : "p/\"x" , "stream" : false , "é\u00e9":1e5}"#,
            ),
            (r#"{"model":"a","model":"b","messages":[]}"#, r#"{"model":"p/\"x","model":"p/\"x","messages":[]}"#),
            (r#"{"mod\u0065l":"a","messages":[]}"#, r#"{"mod\u0065l":"p/\"x","messages":[]}"#),
        ] {
            assert_eq!(spliced(Endpoint::ChatCompletions, body, "p/\"x"), expected);
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_stream_is_asked_for_its_usage() {
        let cases = [
            (
                r#"{"model":"a","messages":[],"stream":true}"#,
                r#"{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#,
            ),
            (
                r#"{"stream_options":{},"model":"a","messages":[],"stream":true}"#,
                r#"{"stream_options":{"include_usage":true},"model":"m","messages":[],"stream":true}"#,
            ),
            (
                r#"{"model":"a","messages":[],"stream":true,"stream_options":{ "x":1}}"#,
                r#"{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true, "x":1}}"#,
            ),
            (
                r#"{"model":"a","messages":[],"stream":true,"stream_options":{"include_usage": false}}"#,
                r#"{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage": true}}"#,
            ),
            (
                r#"{"model":"a","messages":[],"stream":true,"stream_options":null}"#,
                r#"{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#,
            ),
            (
                r#"{"model":"a","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#,
                r#"{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#,
            ),
        ];
        for (body, expected) in cases {
            assert_eq!(spliced(Endpoint::ChatCompletions, body, "m"), expected);
        }
        let body = r#"{"model":"a","input":"x","stream":true}"#;
        assert_eq!(spliced(Endpoint::Embeddings, body, "m"), body.replace("\"a\"", "\"m\""));
    }

    /// Random objects in random spellings: outside the value of `model` no byte differs.
    #[wasm_bindgen_test(unsupported = test)]
    fn every_other_byte_is_the_same_whatever_the_body() {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = move |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random >> 11) % below
        };
        let values = [
            "null",
            "-1.50e+07",
            "\"\\u00e9 \\\"model\\\":\\\"a\\\" \"",
            "[ {\"model\":\"no\"}, [[]] ]",
            "{ \"model\" : {} }",
            "\"日本\"",
            "true",
        ];
        let spaces = ["", " ", "\n\t", "\r\n  "];
        for _ in 0..3000 {
            let mut space = || spaces[next(4) as usize];
            let (head, mid, tail) = (space().to_owned(), space(), space());
            let mut members = vec![
                (format!("\"messages\"{mid}:{mid}[]"), None),
                (format!("\"model\"{mid}:{tail}"), Some("\"alias\"")),
            ];
            for i in 0..next(6) {
                let value = values[next(values.len() as u64) as usize];
                let at = next(members.len() as u64 + 1) as usize;
                members.insert(at, (format!("{head}\"k{i}\":{value}"), None));
            }
            let write = |model: &str| {
                let parts: Vec<_> =
                    members.iter().map(|(text, alias)| format!("{text}{}", alias.map_or("", |_| model))).collect();
                format!("{head}{{{}{tail}}}{mid}", parts.join(","))
            };
            assert_eq!(spliced(Endpoint::ChatCompletions, &write("\"alias\""), "gpt-x"), write("\"gpt-x\""));
        }
    }
}
