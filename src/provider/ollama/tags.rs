//! Reasoning that a model writes into its text, `<think>…</think>`, told apart however the text is cut.
//!
//! It counts only at the very beginning; one that does not end goes on to the end. Models of DeepSeek and Qwen do this
//! where the server does not know their template. LiteLLM, `parse_content_for_reasoning`, has the same two spellings.

use std::borrow::Cow;

const OPENING: [&str; 2] = ["<think>", "<thinking>"];
const CLOSING: [&str; 2] = ["</think>", "</thinking>"];

/// The most white space in front of the opening tag, in bytes: what is held back stays small.
const MAX_SPACE_BYTES: usize = 64;

/// A piece of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Content(Cow<'a, str>),
    Reasoning(Cow<'a, str>),
}

/// Where in the text the end of the last piece is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Start,
    Inside,
    After,
}

/// Tells reasoning from content.
#[derive(Debug, Default)]
pub(super) struct Tags {
    place: Place,
    /// What may be the beginning of a tag: a few bytes.
    held: String,
}

impl Tags {
    /// Whether text passes as it is.
    pub(super) fn is_after(&self) -> bool {
        self.place == Place::After
    }

    /// Takes the next piece of the text; hands out what is known of it.
    pub(super) fn push<'a>(&mut self, text: &'a str, mut each: impl FnMut(Piece<'a>)) {
        if self.place == Place::After {
            return each(Piece::Content(Cow::Borrowed(text)));
        }
        let text = if self.held.is_empty() {
            Cow::Borrowed(text)
        } else {
            self.held.push_str(text);
            Cow::Owned(std::mem::take(&mut self.held))
        };
        let rest = if self.place == Place::Start { self.open(text, &mut each) } else { Some(text) };
        if let Some(rest) = rest {
            self.close(rest, &mut each);
        }
    }

    /// Ends the text; hands out what was held back.
    pub(super) fn end(&mut self) -> Option<Piece<'static>> {
        let held = std::mem::take(&mut self.held);
        let place = std::mem::replace(&mut self.place, Place::After);
        let piece = if place == Place::Inside { Piece::Reasoning } else { Piece::Content };
        (!held.is_empty()).then(|| piece(Cow::Owned(held)))
    }

    /// Looks for the opening tag; returns what follows it.
    fn open<'a>(&mut self, text: Cow<'a, str>, each: &mut impl FnMut(Piece<'a>)) -> Option<Cow<'a, str>> {
        let begun = text.trim_start();
        if let Some(tag) = OPENING.iter().find(|tag| begun.starts_with(**tag)) {
            self.place = Place::Inside;
            let at = text.len() - begun.len() + tag.len();
            return Some(from(text, at));
        }
        let may_open = OPENING.iter().any(|tag| tag.starts_with(begun));
        if may_open && text.len() - begun.len() <= MAX_SPACE_BYTES {
            self.held = text.into_owned();
        } else {
            self.place = Place::After;
            each(Piece::Content(text));
        }
        None
    }

    /// Looks for the closing tag.
    fn close<'a>(&mut self, text: Cow<'a, str>, each: &mut impl FnMut(Piece<'a>)) {
        let found = CLOSING.iter().filter_map(|tag| Some((text.find(tag)?, tag.len()))).min();
        let (end, rest) = match found {
            Some((at, len)) => (at, at + len),
            None => (text.len() - partial(&text), text.len()),
        };
        if found.is_none() {
            self.held = text.get(end..).unwrap_or_default().to_owned();
        } else {
            self.place = Place::After;
        }
        let content = from(text.clone(), rest);
        let reasoning = until(text, end);
        if !reasoning.is_empty() {
            each(Piece::Reasoning(reasoning));
        }
        if !content.is_empty() {
            each(Piece::Content(content));
        }
    }
}

/// How many of the last bytes may be the beginning of a closing tag.
fn partial(text: &str) -> usize {
    let longest = CLOSING.iter().map(|tag| tag.len()).max().unwrap_or(0);
    let starts = |len: &usize| {
        let end = text.len().checked_sub(*len).and_then(|at| text.get(at..));
        end.is_some_and(|end| CLOSING.iter().any(|tag| tag.starts_with(end)))
    };
    (1..longest).rev().find(starts).unwrap_or(0)
}

fn from(text: Cow<'_, str>, at: usize) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.get(at..).unwrap_or_default()),
        Cow::Owned(text) => Cow::Owned(text.get(at..).unwrap_or_default().to_owned()),
    }
}

fn until(text: Cow<'_, str>, at: usize) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.get(..at).unwrap_or_default()),
        Cow::Owned(text) => Cow::Owned(text.get(..at).unwrap_or_default().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    /// Reasoning and content of `pieces`.
    fn told(pieces: &[&str]) -> (String, String) {
        let (mut tags, mut reasoning, mut content) = (Tags::default(), String::new(), String::new());
        let mut take = |piece: Piece<'_>| match piece {
            Piece::Reasoning(text) => reasoning.push_str(&text),
            Piece::Content(text) => content.push_str(&text),
        };
        pieces.iter().for_each(|piece| tags.push(piece, &mut take));
        tags.end().into_iter().for_each(take);
        (reasoning, content)
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn every_cut_tells_the_same() {
        for (text, reasoning, content) in [
            ("<think>a</think>b", "a", "b"),
            ("\n <thinking>a < é</thinking>\n\nb</think>", "a < é", "\n\nb</think>"),
            ("<think>a</thin", "a</thin", ""),
            ("<think", "", "<think"),
            ("a <think>b</think>", "", "a <think>b</think>"),
            ("<thing>", "", "<thing>"),
            ("<think></think>", "", ""),
            ("  ", "", "  "),
        ] {
            let expected = (reasoning.to_owned(), content.to_owned());
            assert_eq!(told(&[text]), expected, "{text}");
            for (cut, _) in text.char_indices() {
                let (head, tail) = text.split_at(cut);
                assert_eq!(told(&[head, tail]), expected, "{text} cut at {cut}");
            }
            let each: Vec<String> = text.chars().map(String::from).collect();
            assert_eq!(told(&each.iter().map(String::as_str).collect::<Vec<_>>()), expected, "{text}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_held_back_stays_small() {
        let mut tags = Tags::default();
        for _ in 0..1000 {
            tags.push(" ", |_| ());
            assert!(tags.held.len() <= MAX_SPACE_BYTES);
        }
        let mut tags = Tags::default();
        tags.push("<think>", |_| ());
        for _ in 0..1000 {
            tags.push("</thinkin", |_| ());
            assert!(tags.held.len() < 16);
        }
    }
}
