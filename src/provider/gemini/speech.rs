//! The voice that an answer is spoken in.
//!
//! Source: Google, "Speech generation" <https://ai.google.dev/gemini-api/docs/speech-generation>, not re-read for this;
//! which voice stands for OpenAI's is LiteLLM's choice.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::openai::chat::{self, Fault, Raw};

/// OpenAI's voices and those of Gemini that stand for them.
const VOICES: &[(&str, &str)] = &[
    ("alloy", "Kore"),
    ("ash", "Iapetus"),
    ("ballad", "Algieba"),
    ("cedar", "Achird"),
    ("coral", "Sulafat"),
    ("echo", "Charon"),
    ("fable", "Umbriel"),
    ("marin", "Despina"),
    ("onyx", "Orus"),
    ("sage", "Vindemiatrix"),
    ("shimmer", "Achernar"),
    ("verse", "Puck"),
];

/// `speechConfig`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Speech<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    voice_config: Option<VoiceConfig<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    language_code: Raw<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct VoiceConfig<'a> {
    prebuilt_voice_config: Voice<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Voice<'a> {
    voice_name: Cow<'a, str>,
}

/// Translates `audio`; Gemini speaks in `pcm16` only.
pub(super) fn translate(raw: &RawValue) -> Result<Speech<'_>, Fault> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Audio<'a> {
        #[serde(borrow)]
        voice: Raw<'a>,
        #[serde(borrow)]
        format: Raw<'a>,
        #[serde(borrow, alias = "languageCode")]
        language_code: Raw<'a>,
    }
    let audio: Audio<'_> = chat::object(raw.get())?;
    let format = audio.format.map(chat::string).transpose().map_err(|fault| fault.at("format"))?;
    if format.is_some_and(|format| format != "pcm16") {
        return Err(Fault::wrong_value("pcm16").at("format"));
    }
    let voice = audio.voice.map(chat::string).transpose().map_err(|fault| fault.at("voice"))?;
    let known = |name: &str| VOICES.iter().find(|(theirs, _)| theirs.eq_ignore_ascii_case(name)).map(|(_, ours)| *ours);
    let voice_config = voice.map(|name| {
        let voice_name = known(&name).map_or(name, Cow::Borrowed);
        VoiceConfig { prebuilt_voice_config: Voice { voice_name } }
    });
    Ok(Speech { voice_config, language_code: audio.language_code })
}
