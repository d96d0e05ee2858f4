//! What the client is told, in headers, of the way to its answer.

use super::{Caller, Exchange, Headers};

/// Names and values of headers, none of them empty. All values are one text: a report costs two allocations.
#[derive(Debug, Default)]
pub struct Report {
    text: String,
    /// Each name, and where its value ends.
    ends: Vec<(&'static str, usize)>,
}

impl Report {
    /// Each name with its value.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> + Clone {
        let mut begin = 0;
        self.ends.iter().map(move |&(name, end)| {
            let value = self.text.get(begin..end).unwrap_or_default();
            begin = end;
            (name, value)
        })
    }

    /// As [`Headers::encode`] takes them.
    pub fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        self.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()))
    }

    /// Serialized.
    pub fn encode(&self) -> Vec<u8> {
        Headers::encode(self.pairs())
    }

    /// Whether it has a header of this name.
    pub fn names(&self, name: &[u8]) -> bool {
        self.ends.iter().any(|(own, _)| own.as_bytes() == name)
    }

    /// Takes up a header, where it has a value.
    pub fn tell(&mut self, name: &'static str, value: &str) {
        if !value.is_empty() {
            self.text.push_str(value);
            self.ends.push((name, self.text.len()));
        }
    }

    /// Takes up a header whose value is a number; `unit` follows it.
    pub fn tell_number(&mut self, name: &'static str, number: u64, unit: &str) {
        self.text.push_str(itoa::Buffer::new().format(number));
        self.text.push_str(unit);
        self.ends.push((name, self.text.len()));
    }
}

impl Exchange {
    /// What the client is told of the way to the answer.
    pub fn report(&self) -> Report {
        let mut report = Report { text: String::with_capacity(TEXT_BYTES), ends: Vec::with_capacity(HEADERS) };
        let deployment = self.deployment();
        report.tell("x-tollgate-model-group", self.model_group());
        report.tell("x-tollgate-deployment", deployment.map_or("", |deployment| &deployment.id));
        report.tell("x-tollgate-provider", deployment.map_or("", |deployment| deployment.target.vendor.prefix));
        report.tell_number("x-tollgate-attempts", self.attempts().len() as u64, "");
        report.tell_number("x-tollgate-fallbacks", self.fallbacks().into(), "");
        if self.caller == Caller::Master {
            report.tell("x-tollgate-routing", &self.explain());
        }
        if let Some(cost) = self.known_cost() {
            report.tell("x-tollgate-response-cost", &cost.to_string());
        }
        self.holds.left.headers(|name, number, unit| report.tell_number(name, number, unit));
        report
    }
}

/// More than most reports have.
const TEXT_BYTES: usize = 192;
/// All of them, and the two of a translated body.
const HEADERS: usize = 16;
