//! What a client gave: the members of a request's body by name, for languages that build another body of them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::json::scan::Member;
use crate::json::{Index, Literal, Shape};
use crate::openai::Request;
use crate::openai::chat::{self, Fault, Raw};
use crate::provider::{Target, params};

/// The members of a request's body by name.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    request: &'a Request,
    body: &'a [u8],
    index: &'a Index,
}

impl<'a> Given<'a> {
    /// What `request` has.
    pub fn of(request: &'a Request) -> Self {
        Self { request, body: &request.body, index: &request.index }
    }

    /// The text of the member `name`; `None` where it is absent or null.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        let member = self.index.get(name).filter(|member| member.shape != Shape::Null)?;
        std::str::from_utf8(self.body.get(member.value.clone())?).ok()
    }

    /// The same, ready to be written.
    pub fn raw(&self, name: &str) -> Raw<'a> {
        self.text(name).and_then(|text| serde_json::from_str(text).ok())
    }

    /// The first of `names` that is there: spellings of one member.
    pub fn either(&self, names: [&str; 2]) -> Raw<'a> {
        names.into_iter().find_map(|name| self.raw(name))
    }

    /// The same of a number.
    ///
    /// # Errors
    ///
    /// The client's: it is none.
    pub fn number(&self, name: &'static str) -> Result<Raw<'a>, Fault> {
        let raw = self.raw(name);
        match raw.map(|raw| serde_json::from_str::<f64>(raw.get())) {
            Some(Err(_)) => Err(Fault::wrong_type("a number").at(name)),
            Some(Ok(_)) | None => Ok(raw),
        }
    }

    /// The member `name`, which must be a boolean.
    ///
    /// # Errors
    ///
    /// The client's: it is none.
    pub fn flag(&self, name: &'static str) -> Result<Option<bool>, Fault> {
        match self.text(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(Fault::wrong_type("a boolean").at(name)),
        }
    }

    /// The same of a string, decoded.
    ///
    /// # Errors
    ///
    /// The client's: it is none.
    pub fn string(&self, name: &'static str) -> Result<Option<Cow<'a, str>>, Fault> {
        self.raw(name).map(chat::string).transpose().map_err(|fault| fault.at(name))
    }

    /// A string, or all of an array of strings.
    ///
    /// # Errors
    ///
    /// The client's: it is neither.
    pub fn strings(&self, name: &'static str) -> Result<Option<Vec<Literal<'a>>>, Fault> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        if let Some(one) = Literal::new(raw) {
            return Ok(Some(vec![one]));
        }
        let wrong = |_| Fault::wrong_type("a string or an array of strings").at(name);
        let all = chat::elements(raw.get()).map_err(wrong)?.into_iter().enumerate();
        let each = all.map(|(i, raw)| chat::literal(raw).map_err(|fault| fault.in_element(name, i)));
        each.collect::<Result<_, _>>().map(Some)
    }

    /// The members that nobody here knows: neither OpenAI's, nor a gateway's, nor one of `built`; and OpenAI's that
    /// `lacks` says the target has not and the config lets through. Of members with the same name the last one counts.
    pub fn others(
        &self,
        built: &[&str],
        target: &Target,
        lacks: impl Fn(&str) -> bool,
    ) -> BTreeMap<&'a str, &'a RawValue> {
        let passes = |name: &str| {
            if params::known(self.request.endpoint).contains(&name) {
                return lacks(name) && target.params.allows(name);
            }
            !built.contains(&name) && !params::is_gateways(name)
        };
        self.members(|member| passes(&member.key) && member.shape != Shape::Null).collect()
    }

    /// The members that `passes` lets through, with their values.
    pub fn members(&self, passes: impl Fn(&Member) -> bool) -> impl Iterator<Item = (&'a str, &'a RawValue)> {
        let (body, members) = (self.body, self.index.members().iter());
        let raw = move |member: &Member| serde_json::from_slice(body.get(member.value.clone())?).ok();
        members.filter(move |member| passes(member)).filter_map(move |member| Some((member.key.as_str(), raw(member)?)))
    }
}
