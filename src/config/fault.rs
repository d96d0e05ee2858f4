//! What is wrong with a config: all of it at once, each fault with its path.
//!
//! A message may quote names (models, providers, variables), never a value that could be a credential.

use std::fmt;

/// One fault of a config.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Where: `model_list[0].litellm_params.weight`; empty for the document itself.
    pub path: String,
    /// What was expected and what was found.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "config" } else { &self.path };
        write!(f, "{path}: {}", self.message)
    }
}

/// `; did you mean ...?` where one of `words` is close to `typed`, else nothing.
pub(super) fn hint<'w>(typed: &str, words: impl IntoIterator<Item = &'w str>) -> String {
    match nearest(typed, words) {
        Some(word) => format!("; did you mean `{word}`?"),
        None => String::new(),
    }
}

/// The word that is fewest edits away, if that is at most a third of its letters.
fn nearest<'w>(typed: &str, words: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let letters = typed.chars().count();
    let near = |word: &&str| {
        let count = word.chars().count();
        count.abs_diff(letters) <= count.div_ceil(3)
    };
    let (distance, word) = words.into_iter().filter(near).map(|word| (edits(typed, word), word)).min()?;
    (distance <= word.chars().count().div_ceil(3)).then_some(word)
}

/// The Levenshtein distance.
fn edits(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut left = i.saturating_add(1);
        let mut next = vec![left];
        for (b, pair) in to.chars().zip(row.windows(2)) {
            let &[diagonal, above] = pair else { continue };
            let replaced = diagonal.saturating_add(usize::from(a != b));
            left = replaced.min(above.saturating_add(1)).min(left.saturating_add(1));
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{edits, hint};
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn distances_count_edits() {
        for (from, to, distance) in [("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("weight", "weight", 0)]
        {
            assert_eq!(edits(from, to), distance, "{from} {to}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_hint_needs_a_near_word() {
        assert_eq!(hint("max_buget", ["max_budget", "models"]), "; did you mean `max_budget`?");
        assert_eq!(hint("colour", ["max_budget", "models"]), "");
        assert_eq!(hint("x", []), "");
    }
}
