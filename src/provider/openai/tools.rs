//! Tools as a vendor takes them: members that it refuses go, at any depth but among the names of properties.

use std::ops::Range;

use memchr::memmem;

use super::dialect::Without;
use crate::json::edit::{self, Change};
use crate::json::scan::{Member, members_of};
use crate::json::{Shape, Splice};
use crate::openai::Request;
use crate::provider::Target;

const CACHE_CONTROL: Without = Without::Any("cache_control");

/// Writes into `splice` what becomes of the tools of `request` at `target`.
pub(super) fn edit(request: &Request, target: &Target, splice: &mut Splice) -> Option<()> {
    let dialect = &target.vendor.dialect;
    let Some(tools) = request.index.get("tools").filter(|member| member.shape == Shape::Array) else { return Some(()) };
    let text = request.body.get(tools.value.clone())?;
    let mark = (!(dialect.messages.takes_cache_control)(target)).then_some(CACHE_CONTROL);
    let goes: Vec<Without> = dialect.tools_without.iter().copied().chain(mark).collect();
    let goes: Vec<Without> =
        goes.into_iter().filter(|without| memmem::find(text, without.name().as_bytes()).is_some()).collect();
    if goes.is_empty() {
        return Some(());
    }
    array(&request.body, tools.value.clone(), &goes, splice)
}

fn array(text: &[u8], range: Range<usize>, goes: &[Without], splice: &mut Splice) -> Option<()> {
    for element in edit::elements(text, range)? {
        if text.get(element.start) == Some(&b'{') {
            object(text, element, goes, true, splice)?;
        }
    }
    Some(())
}

/// `has_keywords`: whether the names are the schema's own and not those of a client's properties.
fn object(text: &[u8], range: Range<usize>, goes: &[Without], has_keywords: bool, splice: &mut Splice) -> Option<()> {
    let index = members_of(text, range)?;
    let is_going = |member: &Member| {
        let value = text.get(member.value.clone()).unwrap_or_default();
        has_keywords
            && goes.iter().any(|without| match without {
                Without::Any(name) => *name == member.key,
                Without::False(name) => *name == member.key && value == b"false",
            })
    };
    let change = |member: &Member| if is_going(member) { Change::Drop } else { Change::Keep };
    edit::object(&index, change, &[], splice).then_some(())?;
    for member in index.members().iter().filter(|member| !is_going(member)) {
        let holds_any = || {
            let value = text.get(member.value.clone()).unwrap_or_default();
            goes.iter().any(|without| memmem::find(value, without.name().as_bytes()).is_some())
        };
        let names_properties = has_keywords && matches!(member.key.as_str(), "properties" | "$defs" | "definitions");
        match member.shape {
            Shape::Object if holds_any() => object(text, member.value.clone(), goes, !names_properties, splice)?,
            Shape::Array if holds_any() => array(text, member.value.clone(), goes, splice)?,
            _ => {}
        }
    }
    Some(())
}
