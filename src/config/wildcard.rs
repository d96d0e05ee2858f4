//! Wildcards: one `*` in a `model_name`, and what it stands for in `litellm_params.model`.
//!
//! A name that a pattern matches is a model of its own: it has the price and the limits that the catalog knows for it,
//! so a deployment of a pattern becomes one of that model before it is asked.
//!
//! Source: LiteLLM 1.109.1, `litellm_core_utils/pattern_match_deployments.py`, read 2026-11-23. There a pattern needs
//! to match the beginning of a name only; here all of it.
//!
//! # Limits
//!
//! One `*` a pattern. What it stands for comes from clients and ends up in the path of some providers: it is a relative
//! path of plain characters, at most [`MAX_NAME_BYTES`] long with the rest of the name.

use super::Deployment;
use super::facts::{Facts, Said};
use super::{aws, vertex};

/// The longest name that a pattern matches.
pub(super) const MAX_NAME_BYTES: usize = 256;

/// What stands for anything.
const STAR: char = '*';

/// A name with one `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    start: String,
    end: String,
}

impl Pattern {
    /// Whether `name` is meant as a pattern.
    pub(super) fn is_one(name: &str) -> bool {
        name.contains(STAR)
    }

    /// Reads a pattern; `None` unless it has one `*`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (start, end) = text.split_once(STAR)?;
        (!Self::is_one(end)).then(|| Self { start: start.to_owned(), end: end.to_owned() })
    }

    /// How much of a name it says: the larger, the more it says.
    pub(super) fn len(&self) -> usize {
        self.start.len().saturating_add(self.end.len())
    }

    /// What the `*` stands for in `name`; `None` where it does not match, or what it would stand for is no model's name.
    pub(super) fn capture<'n>(&self, name: &'n str) -> Option<&'n str> {
        let captured = name.strip_prefix(&*self.start)?.strip_suffix(&*self.end)?;
        let may_be_empty = !matches!(self.start.chars().next_back(), None | Some('/'));
        let fits = name.len() <= MAX_NAME_BYTES && captured.chars().all(is_plain);
        let is_path = captured.split('/').all(|part| !matches!(part, "" | "." | ".."));
        (fits && (is_path || may_be_empty && captured.is_empty())).then_some(captured)
    }

    /// Whether it matches `name`, which may be a pattern itself.
    pub(super) fn matches(&self, name: &str) -> bool {
        name.len() <= MAX_NAME_BYTES
            && name.len() >= self.len()
            && name.starts_with(&*self.start)
            && name.ends_with(&*self.end)
    }

    /// Whether some name matches both.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let starts = self.start.starts_with(&*other.start) || other.start.starts_with(&*self.start);
        starts && (self.end.ends_with(&*other.end) || other.end.ends_with(&*self.end))
    }

    fn fill(&self, captured: &str) -> String {
        format!("{}{captured}{}", self.start, self.end)
    }
}

/// A character of a model's name that means nothing else in a URL.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~:/@+=,".contains(c)
}

/// What a deployment of a pattern needs to become one of a model.
#[derive(Clone, Debug)]
pub struct Wildcard {
    /// The provider's own name of the model; `None`: the same for all names.
    model: Option<Pattern>,
    said: Said,
}

impl Wildcard {
    /// That of a deployment in the group `model_group` that asks for `model`; `None` where there is no `*` in either.
    pub(super) fn new(model_group: &str, model: &str, said: Said) -> Option<Self> {
        Pattern::is_one(model_group).then(|| Self { model: Pattern::parse(model), said })
    }
}

impl Deployment {
    /// This deployment of a pattern, asked for the model that `captured` makes of its own; its number and id stay.
    /// `None` where the provider has no such models.
    pub fn with_model(&self, captured: &str) -> Option<Self> {
        let Some(Wildcard { model: Some(pattern), said }) = self.wildcard.as_deref() else {
            return Some(self.clone());
        };
        let model = pattern.fill(captured);
        let target = &self.target;
        let is_aws = target.vendor.language.aws_service().is_some();
        let model = if is_aws { aws::captured(&model, target.location.as_deref())?.to_owned() } else { model };
        if !vertex::has(target, &model) {
            return None;
        }
        let facts = said.facts(target.vendor, &model);
        let mut made = self.clone();
        made.target.base_model = said.base_model.clone().unwrap_or_else(|| model.clone());
        made.target.model = model;
        made.wildcard = None;
        made.take(facts);
        Some(made)
    }

    /// Takes what is known of its model.
    pub(super) fn take(&mut self, facts: Facts) {
        let Facts { price, mode, max_input_tokens, max_output_tokens, .. } = facts;
        self.target.max_output_tokens = max_output_tokens;
        self.target.supports_reasoning = facts.supports_reasoning;
        self.target.supports_response_schema = facts.supports_response_schema;
        self.supports_vision = facts.supports_vision;
        (self.price, self.mode, self.max_input_tokens) = (price, mode, max_input_tokens);
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn a_star_stands_for_a_models_name() {
        let long = format!("openai/{}", "x".repeat(250));
        let rows = [
            ("openai/*", "openai/gpt-4o", Some("gpt-4o")),
            ("openai/*", "openai/a/b:c@d", Some("a/b:c@d")),
            ("*", "gpt-4o", Some("gpt-4o")),
            ("gpt-*-x", "gpt-4o-x", Some("4o")),
            ("gpt-4o*", "gpt-4o", Some("")),
            ("gpt-*-x", "gpt--x", Some("")),
            ("gpt-*-x", "gpt-x", None),
            ("openai/*", "openai/", None),
            ("*", "", None),
            ("openai/*", "azure/gpt-4o", None),
            ("openai/*", "openai/../files", None),
            ("openai/*", "openai/a/./b", None),
            ("openai/*", "openai//b", None),
            ("openai/*", "openai/b/", None),
            ("openai/*", "openai/a?b", None),
            ("openai/*", "openai/a%2fb", None),
            ("openai/*", "openai/a b", None),
            ("openai/*", "openai/a\nb", None),
            ("openai/*", "openai/ä", None),
            ("openai/*", "openai/*", None),
            ("openai/*", long.as_str(), None),
        ];
        for (pattern, name, captured) in rows {
            assert_eq!(Pattern::parse(pattern).unwrap().capture(name), captured, "{pattern} {name}");
        }
        assert_eq!((Pattern::parse("a"), Pattern::parse("a*b*")), (None, None));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn patterns_overlap_where_a_name_has_both() {
        for (one, other, both) in [
            ("openai/*", "*", true),
            ("openai/*", "openai/gpt-*", true),
            ("openai/*", "azure/*", false),
            ("*-mini", "gpt-*", true),
            ("*-mini", "*-nano", false),
        ] {
            let [one, other] = [one, other].map(|text| Pattern::parse(text).unwrap());
            assert_eq!((one.overlaps(&other), other.overlaps(&one)), (both, both), "{one:?} {other:?}");
        }
    }
}
