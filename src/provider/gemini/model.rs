//! What a model's name says of it.
//!
//! Source: LITELLM.md 3.2; LiteLLM 1.109.1's price map (`supports_sampling_params`,
//! `supports_minimal_reasoning_effort`), read 2026-11-23.

use crate::provider::Target;

/// Models that accept the sampling parameters and ignore them.
const IGNORE_SAMPLING: &[&str] = &["gemini-3.5-flash-lite", "gemini-3.6-flash", "gemini-3.7-flash", "gemini-3.8-flash"];

/// Flash models whose least level of thinking is `low`.
const NEVER_MINIMAL: &[&str] = &["gemini-3.7-flash", "gemini-3.8-flash"];

/// A model, by the last part of the name under which its abilities are known, in lower case.
#[derive(Debug)]
pub(super) struct Model(String);

impl Model {
    pub(super) fn of(target: &Target) -> Self {
        let name = target.base_model.rsplit('/').next().unwrap_or_default();
        Self(name.to_ascii_lowercase())
    }

    /// Whether it is of Gemini's third generation or a later one; so is a model of an unknown name, but for tuned ones.
    pub(super) fn is_3_or_later(&self) -> bool {
        let Some(rest) = self.0.strip_prefix("gemini-") else {
            return !self.0.is_empty() && !self.is_tuned() && !self.is_gemma();
        };
        let first = rest.split('-').next().unwrap_or_default();
        match first {
            "1" | "2" | "exp" => false,
            "pro" | "flash" => matches!(rest, "pro-latest" | "flash-latest" | "pro-lite-latest" | "flash-lite-latest"),
            _ => !is_minor(first, "1.") && !is_minor(first, "2."),
        }
    }

    /// Whether it is of Gemini's second generation.
    pub(super) fn is_2(&self) -> bool {
        self.0.contains("gemini-2")
    }

    /// Whether it takes a JSON schema as it is; the others take OpenAPI's kind of schema.
    pub(super) fn takes_json_schema(&self) -> bool {
        let version = self.0.split("gemini-").skip(1);
        let mut major = version.filter_map(|rest| rest.find(['.', '-']).and_then(|end| rest.get(..end)));
        major.any(|digits| digits.parse::<u32>().is_ok_and(|major| major >= 2))
    }

    /// Whether it reasons.
    pub(super) fn reasons(&self, target: &Target) -> bool {
        target.supports_reasoning || self.is_3_or_later()
    }

    /// Whether it accepts sampling parameters only to ignore them.
    pub(super) fn ignores_sampling(&self) -> bool {
        IGNORE_SAMPLING.iter().any(|name| self.0.starts_with(name))
    }

    /// Whether it can be told to think as little as `minimal`.
    pub(super) fn thinks_minimally(&self) -> bool {
        self.is_3_or_later() && self.0.contains("flash") && !NEVER_MINIMAL.iter().any(|name| self.0.starts_with(name))
    }

    /// The smallest budget of thinking, in tokens.
    pub(super) fn least_budget(&self) -> u32 {
        match () {
            () if self.0.contains("gemini-2.5-flash-lite") => 512,
            () if self.0.contains("gemini-2.5-pro") => 128,
            () if self.0.contains("gemini-2.5-flash") => 1,
            () => 128,
        }
    }

    /// Whether it answers in sound.
    pub(super) fn speaks(&self) -> bool {
        self.0.contains("tts")
    }

    /// Whether it takes a system instruction.
    pub(super) fn takes_system(&self) -> bool {
        !self.is_gemma() && !self.0.starts_with("lyria-")
    }

    /// Whether it embeds one content at a time and by a method of its own.
    pub(super) fn embeds_content(&self) -> bool {
        self.0.starts_with("gemini-embedding-2")
    }

    fn is_gemma(&self) -> bool {
        self.0.starts_with("gemma-")
    }

    fn is_tuned(&self) -> bool {
        self.0.bytes().all(|byte| byte.is_ascii_digit())
    }
}

fn is_minor(version: &str, major: &str) -> bool {
    version.strip_prefix(major).is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn generations_are_told_apart() {
        for (name, is_3, takes_json_schema) in [
            ("gemini-1.5-pro", false, false),
            ("gemini-2.0-flash", false, true),
            ("gemini-2.5-pro-preview-06-05", false, true),
            ("gemini-3-pro-preview", true, true),
            ("gemini-3.5-flash", true, true),
            ("gemini-10.1-pro", true, true),
            ("gemini-pro", false, false),
            ("gemini-flash-latest", true, false),
            ("gemini-flash-lite-latest", true, false),
            ("gemini-exp-1206", false, false),
            ("gemma-3-27b-it", false, false),
            ("gemini/4965075652664360960", false, false),
        ] {
            let model = Model::of(&Target { base_model: name.to_owned(), ..Target::of("gemini", "m") });
            assert_eq!((model.is_3_or_later(), model.takes_json_schema()), (is_3, takes_json_schema), "{name}");
        }
    }
}
