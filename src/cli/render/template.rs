//! YAML templates: `${name}` in a text stands for a value.
//!
//! A placeholder alone on its line takes as many lines as its value has, each as deep as the placeholder; with an empty
//! value the line goes away. Values are not searched for placeholders.

use serde_json::Value;

/// `template` with every `${name}` replaced; a name that `values` lacks stays as it is.
pub(super) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for line in template.lines() {
        match alone(line).and_then(|name| lookup(values, name)) {
            Some(block) => push_block(&mut out, block, depth(line)),
            None => push_inline(&mut out, line, values),
        }
    }
    out
}

/// `text` as the content of a list's entry: `- ` before its first line, which must not be a comment.
pub(super) fn item(text: &str) -> String {
    let mut out = String::new();
    for (n, line) in text.lines().enumerate() {
        let margin = if n == 0 { "- " } else { "  " };
        out.push_str(format!("{margin}{line}").trim_end());
        out.push('\n');
    }
    out
}

/// `text` as one YAML scalar, quoted where it could be read as anything but itself.
pub(super) fn scalar(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
    let is_word = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"].contains(&text.to_lowercase().as_str());
    if is_plain && !is_word { text.to_owned() } else { Value::from(text).to_string() }
}

fn push_block(out: &mut String, block: &str, depth: usize) {
    for line in block.lines() {
        out.push_str(format!("{:depth$}{line}", "").trim_end());
        out.push('\n');
    }
}

fn push_inline(out: &mut String, line: &str, values: &[(&str, &str)]) {
    let mut pieces = line.split("${");
    out.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        match piece.split_once('}').and_then(|(name, rest)| Some((lookup(values, name)?, rest))) {
            Some((value, rest)) => {
                out.push_str(value);
                out.push_str(rest);
            }
            None => {
                out.push_str("${");
                out.push_str(piece);
            }
        }
    }
    out.push('\n');
}

/// The placeholder that `line` consists of.
fn alone(line: &str) -> Option<&str> {
    line.trim().strip_prefix("${")?.strip_suffix('}').filter(|name| !name.contains('}'))
}

fn depth(line: &str) -> usize {
    line.chars().take_while(|c| *c == ' ').count()
}

fn lookup<'v>(values: &[(&str, &'v str)], name: &str) -> Option<&'v str> {
    values.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::{fill, item, scalar};

    #[test]
    fn a_placeholder_alone_takes_its_depth_along() {
        let template = "a:\n  ${list}\n  ${none}\nb: ${x}-${x} ${unknown}";
        let values = [("list", "- 1\n\n- 2\n"), ("none", ""), ("x", "${list}")];
        assert_eq!(fill(template, &values), "a:\n  - 1\n\n  - 2\nb: ${list}-${list} ${unknown}\n");
    }

    #[test]
    fn entries_of_a_list_hang_on_their_dash() {
        assert_eq!(item("a: 1\nb:\n  c: 2\n"), "- a: 1\n  b:\n    c: 2\n");
    }

    #[test]
    fn scalars_are_quoted_where_they_must_be() {
        let rows =
            [("api.openai.com", "api.openai.com"), ("127.0.0.1", "\"127.0.0.1\""), ("no", "\"no\""), ("", "\"\"")];
        for (text, yaml) in rows.into_iter().chain([("outbound|443||a.b", "\"outbound|443||a.b\""), ("a b", "\"a b\"")])
        {
            assert_eq!(scalar(text), yaml);
        }
    }
}
