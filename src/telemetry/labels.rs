//! What counters are told apart by. Label values come from the config, never from a client.

use crate::bytes::number_of_texts;

/// The names of [`Labels`], in the order in which they are written.
pub const LABELS: [&str; 5] = ["model_group", "deployment", "provider", "key_alias", "status"];
/// The names of [`AccountLabels`], in the order in which they are written.
pub const ACCOUNT_LABELS: [&str; 4] = ["scope", "account", "model", "reason"];

/// The labels of a counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Labels<'a> {
    /// The model group asked for.
    pub model_group: &'a str,
    /// `model_info.id`.
    pub deployment: &'a str,
    /// LiteLLM's name of the provider.
    pub provider: &'a str,
    /// Who asked.
    pub key_alias: &'a str,
    /// An HTTP status.
    pub status: u16,
}

impl Labels<'_> {
    pub(super) fn write(&self, out: &mut String) {
        let mut status = itoa::Buffer::new();
        let status = status.format(self.status);
        write(LABELS, [self.model_group, self.deployment, self.provider, self.key_alias, status], out);
    }

    pub(super) fn number(&self) -> u64 {
        let texts = [self.model_group, self.deployment, self.provider, self.key_alias];
        number_of_texts(u64::from(self.status), &texts)
    }
}

/// The labels of a counter of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct AccountLabels<'a> {
    /// What it is of: `key`, `team`, ...
    pub scope: &'a str,
    /// Who that is; of end users that the config does not list nobody in particular.
    pub account: &'a str,
    /// The one model that it is for.
    pub model: &'a str,
    /// `budget`, `rpm`, ..., `soft_budget`.
    pub reason: &'a str,
}

impl AccountLabels<'_> {
    pub(super) fn write(&self, out: &mut String) {
        write(ACCOUNT_LABELS, [self.scope, self.account, self.model, self.reason], out);
    }

    pub(super) fn number(&self) -> u64 {
        /// No status: those of requests are others.
        const ACCOUNT: u64 = 1 << 32;
        number_of_texts(ACCOUNT, &[self.scope, self.account, self.model, self.reason])
    }
}

/// Writes labels as they stand in a stat name. An empty value is written `none`.
fn write<const N: usize>(names: [&str; N], values: [&str; N], out: &mut String) {
    for (n, (name, value)) in names.into_iter().zip(values).enumerate() {
        out.push_str(if n == 0 { "" } else { "." });
        out.push_str(name);
        out.push('.');
        out.push_str(if value.is_empty() { "none" } else { value });
    }
}

#[cfg(test)]
mod tests {
    use super::Labels;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn each_set_of_labels_has_its_own_number() {
        let texts = ["", "a", "b", "ab", "abcdefgh", "abcdefghi", "abcdefgi", "\u{1}", "gpt-4o-mini"];
        let mut numbers = std::collections::BTreeSet::new();
        let mut sets = 0;
        for model_group in texts {
            for deployment in texts {
                for (provider, key_alias) in texts.into_iter().zip(texts.into_iter().cycle().skip(1)) {
                    for status in [0, 200, 503] {
                        let labels = Labels { model_group, deployment, provider, key_alias, status };
                        assert_eq!(labels.number(), Labels { ..labels }.number());
                        numbers.insert(labels.number());
                        sets += 1;
                    }
                }
            }
        }
        assert_eq!(numbers.len(), sets);
    }
}
