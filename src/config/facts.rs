//! What is known about a model: the catalog's row, with `model_info` and `litellm_params` over it.

use std::rc::Rc;

use serde_json::{Map, Value};

use super::markup::Markups;
use super::read::{MAX_INTEGER, Node};
use crate::budget::{self, Price};
use crate::provider::Vendor;

/// What a config says of a model.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    /// `base_model`.
    pub(super) base_model: Option<String>,
    /// The fields of a price, `litellm_params`' over `model_info`'s.
    price: Map<String, Value>,
    /// What is put on top of it.
    markups: Rc<Markups>,
    mode: Option<String>,
    max_input_tokens: Option<u64>,
    max_output_tokens: Option<u64>,
    supports_reasoning: Option<bool>,
    supports_response_schema: Option<bool>,
    supports_vision: Option<bool>,
}

/// What is known.
#[derive(Default)]
pub(super) struct Facts {
    pub(super) price: Option<Price>,
    pub(super) mode: String,
    pub(super) max_input_tokens: Option<u64>,
    pub(super) max_output_tokens: Option<u64>,
    pub(super) supports_reasoning: bool,
    pub(super) supports_response_schema: bool,
    pub(super) supports_vision: Option<bool>,
}

impl Said {
    pub(super) fn read(params: &Node<'_>, info: &Node<'_>, markups: &Rc<Markups>) -> Self {
        let tokens = |key: &str| info.at(key).integer(1, MAX_INTEGER);
        let flag = |key: &str| info.at(key).flag();
        let legacy = tokens("max_tokens");
        Self {
            base_model: info.at("base_model").name(),
            price: price(params, info),
            markups: Rc::clone(markups),
            mode: info.at("mode").name(),
            max_input_tokens: tokens("max_input_tokens"),
            max_output_tokens: tokens("max_output_tokens").or(legacy),
            supports_reasoning: flag("supports_reasoning"),
            supports_response_schema: flag("supports_response_schema"),
            supports_vision: flag("supports_vision"),
        }
    }

    /// What is known of the vendor's `model`.
    pub(super) fn facts(&self, vendor: &Vendor, model: &str) -> Facts {
        let row = self.row(vendor, model);
        let facts = row.map_or_else(Facts::default, |row| Facts {
            price: row.price,
            mode: row.mode,
            max_input_tokens: row.max_input_tokens,
            max_output_tokens: row.max_output_tokens,
            supports_reasoning: row.supports_reasoning,
            supports_response_schema: row.supports_response_schema,
            supports_vision: row.supports_vision,
        });
        let price = Price::from_params(&self.price, vendor.prefix, facts.price).ok().flatten();
        let markup = self.markups.of(vendor.prefix, model);
        Facts {
            price: price.map(|price| price.marked_up(markup)),
            mode: self.mode.clone().unwrap_or(facts.mode),
            max_input_tokens: self.max_input_tokens.or(facts.max_input_tokens),
            max_output_tokens: self.max_output_tokens.or(facts.max_output_tokens),
            supports_reasoning: self.supports_reasoning.unwrap_or(facts.supports_reasoning),
            supports_response_schema: self.supports_response_schema.unwrap_or(facts.supports_response_schema),
            supports_vision: self.supports_vision.or(facts.supports_vision),
        }
    }

    fn row(&self, vendor: &Vendor, model: &str) -> Option<budget::Entry> {
        let by_base = self.base_model.as_ref().and_then(|base_model| match base_model.split_once('/') {
            Some((prefix, name)) => budget::lookup(prefix, name),
            None => budget::lookup(vendor.prefix, base_model),
        });
        // An ARN ends with the name of what it profiles.
        let profiled = || model.strip_prefix("arn:")?.rsplit('/').next();
        let by_arn = || budget::lookup(vendor.prefix, profiled()?);
        by_base.or_else(|| budget::lookup(vendor.prefix, model)).or_else(by_arn)
    }
}

/// The fields of a price; none where one of them is a fault.
fn price(params: &Node<'_>, info: &Node<'_>) -> Map<String, Value> {
    let fields = [info, params].into_iter().filter_map(Node::object).flatten();
    let fields = fields.filter(|(field, _)| Price::reads(field));
    let fields: Map<String, Value> = fields.map(|(field, value)| (field.clone(), value.clone())).collect();
    match Price::from_params(&fields, "", None) {
        Ok(_) => fields,
        Err(field) => {
            let section = if params.at(&field).is_absent() { info } else { params };
            section.at(&field).expected::<()>("a price in USD, zero or more");
            Map::new()
        }
    }
}
