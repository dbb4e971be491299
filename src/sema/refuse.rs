//! What this version can't execute yet. It parses, and is checked, and is then refused: never accepted and
//! ignored.

use crate::diagnostic::{Diagnostic, Problems, Severity};
use crate::source::Span;
use crate::syntax::Keyword;
use crate::syntax::ast::{Body, Instruction, OutputKind};

use super::{Purpose, codes};

/// Something that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// How it is written: `` `ON` ``, `` `OUTPUT OVA` ``.
    pub what: &'static str,
    /// What to do instead, if there is something.
    pub instead: Option<&'static str>,
}

const fn refused(what: &'static str, instead: Option<&'static str>) -> Option<Refused> {
    Some(Refused { what, instead })
}

/// What is refused as a whole instruction. The compiler asks for an answer for every new keyword.
pub fn keyword(keyword: Keyword) -> Option<Refused> {
    use Keyword as K;
    match keyword {
        K::Arg | K::Secret | K::Include | K::From | K::Output => None,
        K::Datacenter | K::Cluster | K::Host | K::Pool | K::Datastore | K::Folder | K::Network => None,
        K::Cpu | K::Memory | K::Config | K::Annotation | K::Address | K::Hostname => None,
        K::Disk | K::Nic | K::Cdrom | K::Hardware | K::Label | K::Tag => None,
        K::Login | K::User | K::Workdir | K::Env | K::Shell => None,
        K::Run | K::Key | K::Copy | K::Fetch | K::Reboot | K::Wait | K::Note | K::Checkpoint | K::Seal => None,
        K::Healthcheck | K::OnRemove => None,
        K::On | K::Snapshot | K::OnFail | K::Serial => None,
    }
}

/// What is refused of a FROM's source.
pub fn source(name: &str) -> Option<Refused> {
    if name.starts_with("ova:") {
        return refused("`FROM ova:`", Some("import the file as a template, and name that"));
    }
    None
}

/// What is refused of what an OUTPUT leaves.
pub fn output(kind: OutputKind) -> Option<Refused> {
    match kind {
        OutputKind::Template | OutputKind::Vm | OutputKind::Library | OutputKind::None => None,
        OutputKind::Ova => refused("`OUTPUT OVA`", Some("OUTPUT TEMPLATE leaves a template to export from")),
    }
}

/// What is refused as a flag, with that value (as far as it is literal).
pub fn flag(keyword: Keyword, name: &str, value: Option<&str>) -> Option<Refused> {
    let (_, _, _, refused) = FLAGS.iter().find(|(of, flag, values, _)| {
        of.is_none_or(|k| k == keyword)
            && *flag == name
            && (values.is_empty() || value.is_some_and(|v| values.contains(&v)))
    })?;
    Some(*refused)
}

/// Flags that are refused: of which instruction (None: of all), which, with which values (none: with any).
pub static FLAGS: &[(Option<Keyword>, &str, &[&str], Refused)] = &[];

/// Everything that is refused, for the documentation.
pub fn all() -> Vec<Refused> {
    let mut out: Vec<Refused> = Keyword::ALL.iter().filter_map(|k| keyword(*k)).collect();
    out.extend(source("ova:"));
    out.extend(output(OutputKind::Ova));
    out.extend(FLAGS.iter().map(|(_, _, _, refused)| *refused));
    out
}

/// How a refusal is told: an error for a build, a warning for `lint`.
pub(super) fn diagnostic(refused: Refused, span: Span, purpose: Purpose) -> Diagnostic {
    let severity = match purpose {
        Purpose::Build => Severity::Error,
        Purpose::Lint => Severity::Warning,
    };
    let mut diagnostic =
        Diagnostic::at(&codes::NOT_EXECUTED, span, format!("this version can't execute {} yet", refused.what))
            .severity(severity);
    if let Some(instead) = refused.instead {
        diagnostic = diagnostic.help(instead);
    }
    diagnostic
}

/// The flags and the kind of output of an instruction that are refused.
pub(super) fn flags(instruction: &Instruction, purpose: Purpose, problems: &mut Problems) {
    for given in &instruction.flags {
        let value = given.value.as_ref().and_then(|v| v.literal());
        if let Some(refused) = flag(instruction.keyword.node, &given.name.node, value.as_deref()) {
            problems.push(diagnostic(refused, given.span, purpose));
        }
    }
    if let Body::Output { kind, .. } = &instruction.body
        && let Some(refused) = output(kind.node)
    {
        problems.push(diagnostic(refused, kind.span, purpose));
    }
}
