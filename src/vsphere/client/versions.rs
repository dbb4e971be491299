//! Which version of the API to speak.

use crate::vsphere::wire::{Element, Limits};

/// The newest version whose types are known here.
const NEWEST: &str = "8.0.3.0";
/// What is spoken when the server doesn't say.
pub(super) const OLDEST: &str = "6.5";

/// Reads `vimServiceVersions.xml`: all versions of the namespace `urn:vim25`. Empty when it is something else.
pub(super) fn offered(document: &[u8]) -> Vec<String> {
    let Ok(root) = Element::parse(document, Limits::default()) else { return Vec::new() };
    let mut namespaces = root.children_named("namespace");
    let Some(vim) = namespaces.find(|n| n.child_text("name").is_some_and(|t| t.trim() == "urn:vim25")) else {
        return Vec::new();
    };
    let prior = vim.child("priorVersions").into_iter().flat_map(|p| p.children_named("version"));
    vim.child("version").into_iter().chain(prior).map(|v| v.text.trim().to_owned()).collect()
}

/// The newest of these versions that is known here.
pub(super) fn agree(offered: &[String]) -> Option<String> {
    let newest = numbers(NEWEST)?;
    let known = offered.iter().filter_map(|v| Some((numbers(v)?, v))).filter(|(n, _)| *n <= newest);
    known.max_by(|a, b| a.0.cmp(&b.0)).map(|(_, v)| v.clone())
}

/// A version as numbers, without trailing zeroes; none for texts that aren't a release's version.
fn numbers(version: &str) -> Option<Vec<u32>> {
    let mut numbers: Vec<u32> = version.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    while numbers.last() == Some(&0) {
        numbers.pop();
    }
    Some(numbers)
}
