//! What a deployment on Vertex AI has beyond others: a project, and a location that may go without saying.

use super::read::Node;
use crate::provider::{Credential, Target, Vendor, vertex};

/// The variables that name a project where the config does not.
const PROJECT_VARIABLES: &[&str] = &["VERTEXAI_PROJECT"];
/// The variables that name a location where the config does not.
const LOCATION_VARIABLES: &[&str] = &["VERTEXAI_LOCATION", "VERTEX_LOCATION"];

fn is_here(vendor: Option<&Vendor>) -> bool {
    vendor.is_some_and(|vendor| vendor.prefix.starts_with("vertex_ai"))
}

/// The project of a deployment.
pub(super) fn project(params: &Node<'_>, vendor: Option<&Vendor>) -> Option<String> {
    let named = ["vertex_project", "vertex_ai_project"].into_iter().find_map(|name| params.at(name).name());
    named.or_else(|| if is_here(vendor) { variable(params, PROJECT_VARIABLES) } else { None })
}

/// The location of a deployment on Vertex, `given` or not.
pub(super) fn location(params: &Node<'_>, vendor: Option<&Vendor>, given: Option<String>) -> Option<String> {
    if !is_here(vendor) {
        return given;
    }
    let given = given.or_else(|| variable(params, LOCATION_VARIABLES));
    let has_project = params.at("api_key").is_absent() || project(params, vendor).is_some();
    Some(vertex::location(given, has_project))
}

/// Whether a deployment can be asked; a fault if not.
pub(super) fn check(
    params: &Node<'_>,
    vendor: Option<&Vendor>,
    model: &str,
    project: Option<&str>,
    location: Option<&str>,
) -> Option<()> {
    if !is_here(vendor) {
        return Some(());
    }
    let has_key = !params.at("api_key").is_absent();
    match vertex::fault(model, location.unwrap_or_default(), project.is_some(), has_key) {
        None => Some(()),
        Some((member, message)) => params.at(member).fault(message),
    }
}

/// Whether `target` can be asked for `model`.
pub(super) fn has(target: &Target, model: &str) -> bool {
    let has_key = matches!(target.credential, Credential::Key(_) | Credential::Injected(_));
    let location = target.location.as_deref().unwrap_or_default();
    !is_here(Some(target.vendor)) || vertex::fault(model, location, target.project.is_some(), has_key).is_none()
}

fn variable(params: &Node<'_>, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| params.reader.variables.value(name))
}
