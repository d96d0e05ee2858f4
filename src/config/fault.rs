//! What is wrong with a config: all of it at once, each fault with its path.
//!
//! What is said may quote names (models, providers, variables), never a value that could be a credential.

use std::fmt;

/// One fault of a config.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Where: `model_list[0].litellm_params.weight`; empty for the document itself.
    pub path: String,
    /// What should be there: `a number, zero or more`.
    pub expected: String,
    /// What is there, in words: a value is not quoted, a name may be.
    pub found: String,
    /// What to write instead; empty where that says no more than what is expected.
    pub hint: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, expected, found, hint } = self;
        let path = if path.is_empty() { "config" } else { path };
        write!(f, "{path}: expected {expected}, found {found}")?;
        if hint.is_empty() { Ok(()) } else { write!(f, "; {hint}") }
    }
}

/// What is wrong at some place.
pub(super) struct Wrong {
    expected: String,
    /// `None`: the kind of the value says it.
    found: Option<String>,
    hint: Option<String>,
}

impl Wrong {
    /// What is there, where that is more than the kind of the value.
    pub(super) fn found(self, found: impl Into<String>) -> Self {
        Self { found: Some(found.into()), ..self }
    }

    /// What to write instead.
    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The one of `words` that was meant, where `typed` is close to it.
    pub(super) fn near<'w>(self, typed: &str, words: impl IntoIterator<Item = &'w str>) -> Self {
        match nearest(typed, words) {
            Some(word) => self.hint(format!("did you mean `{word}`?")),
            None => self,
        }
    }

    /// The fault at `path`, where a value of the kind `found` stands.
    pub(super) fn at(self, path: &str, found: &str) -> Fault {
        let Self { expected, found: said, hint } = self;
        let hint = hint.unwrap_or_else(|| example(&expected).to_owned());
        Fault { path: path.to_owned(), expected, found: said.unwrap_or_else(|| found.to_owned()), hint }
    }
}

/// `expected A, found B`, or `expected A` where B is the kind of the value.
impl From<&str> for Wrong {
    fn from(sentence: &str) -> Self {
        let sentence = sentence.strip_prefix("expected ").unwrap_or(sentence);
        match sentence.split_once(", found ") {
            Some((expected, found)) => {
                Self { expected: expected.to_owned(), found: Some(found.to_owned()), hint: None }
            }
            None => Self { expected: sentence.to_owned(), found: None, hint: None },
        }
    }
}

impl From<String> for Wrong {
    fn from(sentence: String) -> Self {
        Self::from(sentence.as_str())
    }
}

/// What to write where nobody said so, by how the expectation begins.
const EXAMPLES: &[(&str, &str)] = &[
    ("a mapping", "write `name: value`, one a line"),
    ("a list", "write `- item`, one a line, or `[a, b]`"),
    ("a string", "put it into quotes"),
    ("true or false", "write true or false, without quotes"),
    ("a whole number", "write digits alone, such as `3`"),
    ("a number of seconds", "write seconds, such as `30` or `0.5`, without a unit"),
    ("a number of megabytes", "write megabytes, such as `32`, without a unit"),
    ("a number", "write a number, such as `1` or `0.5`"),
    ("a percentage", "write a number, such as `5` for 5 %, without the sign"),
    ("an amount of USD", "write dollars, such as `12.50`, without a sign"),
    ("a price in USD", "write the dollars of one token or unit, such as `0.0000025`"),
    ("a share of the cost", "write a fraction, such as `0.1` for 10 %"),
    ("a name with at most one", "write the `*` once"),
    ("a model with at most one", "write the `*` once"),
    ("a name", "write a name of letters, digits and dashes"),
    ("a credential", "write `os.environ/NAME`, and set NAME where Envoy runs"),
    ("at least one", "add one, or leave the key out"),
    ("an id of its own", "give each its own, or drop one of the two"),
    ("an alias of its own", "give each its own, or drop one of the two"),
    ("a key of its own", "give each its own, or drop one of the two"),
    ("each ", "drop one of the two"),
    ("a header", "take another header, or leave it out"),
    ("only with", "leave it out, or change `from`"),
    ("a URL without a user", "leave them out, and write api_key"),
    ("a URL that ends with its path", "leave it out"),
    ("a URL", "write `https://host/v1`"),
    ("another group", "name another one"),
    ("a model_name of model_list", "write the model_name itself"),
    ("a pattern with one `*`", "write the start of a model_name and `*`"),
    ("`key_alias` or `team_id`", "write one of them"),
];

fn example(expected: &str) -> &'static str {
    EXAMPLES.iter().find(|(start, _)| expected.starts_with(start)).map_or("", |(_, example)| example)
}

/// The word that is fewest edits away, if that is at most a third of its letters.
pub(super) fn nearest<'w>(typed: &str, words: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
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
    use super::{Wrong, edits, nearest};
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
        assert_eq!(nearest("max_buget", ["max_budget", "models"]), Some("max_budget"));
        assert_eq!(nearest("colour", ["max_budget", "models"]), None);
        assert_eq!(nearest("x", []), None);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_sentence_is_taken_apart() {
        let rows = [
            (Wrong::from("expected a word, found 3"), "p: expected a word, found 3"),
            (Wrong::from("expected a word"), "p: expected a word, found a bool"),
            (Wrong::from("expected a word").hint("say it"), "p: expected a word, found a bool; say it"),
            (
                Wrong::from("expected true or false, found 1"),
                "p: expected true or false, found 1; write true or false, without quotes",
            ),
            (Wrong::from("expected a word").near("colour", ["b"]), "p: expected a word, found a bool"),
            (
                Wrong::from("expected a word").near("wrd", ["word"]),
                "p: expected a word, found a bool; did you mean `word`?",
            ),
        ];
        for (wrong, text) in rows {
            assert_eq!(wrong.at("p", "a bool").to_string(), text);
        }
        assert!(Wrong::from("expected x").at("", "nothing").to_string().starts_with("config: "));
    }
}
