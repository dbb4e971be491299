//! What a plan is given beside program and inventory.

use indexmap::IndexMap;

use super::ova::Ovas;
use crate::sema::program::Placement;
use crate::syntax::Keyword;
use crate::vsphere::client::{Libraries, Policies, Specifications};

/// What the user wishes, beside what stands in the VMWfile.
#[derive(Clone, Copy, Debug)]
pub struct Wishes<'a> {
    /// Where machines are to live, where the VMWfile's stages don't say.
    pub placement: &'a PlacementDefaults,
    /// Whether a FROM name that the inventory lacks becomes the sandbox's default template.
    pub sandbox: bool,
    /// The content libraries that the VMWfile names.
    pub libraries: &'a Libraries,
    /// The storage policies of vCenter, where it names any.
    pub policies: &'a Policies,
    /// The customization specifications that vCenter keeps, where it names any.
    pub specs: &'a Specifications,
    /// The OVAs that it names.
    pub ovas: &'a Ovas,
    /// The build's id: what it has left itself isn't in its way.
    pub build: &'a str,
}

/// Placement from outside the VMWfile. The order is: the stage's own, `command_line`, the file's globals,
/// `environment`.
#[derive(Clone, Debug, Default)]
pub struct PlacementDefaults {
    /// From flags.
    pub command_line: IndexMap<Keyword, String>,
    /// From variables.
    pub environment: IndexMap<Keyword, String>,
}

impl PlacementDefaults {
    /// The value that holds for a machine, by the order above.
    pub fn resolve<'a>(&'a self, keyword: Keyword, own: &'a Placement, globals: &'a Placement) -> Option<&'a str> {
        own.get(&keyword)
            .map(|s| s.value.as_str())
            .or_else(|| self.command_line.get(&keyword).map(String::as_str))
            .or_else(|| globals.get(&keyword).map(|s| s.value.as_str()))
            .or_else(|| self.environment.get(&keyword).map(String::as_str))
    }
}
