//! SEAL: a guest made clean of what is one machine's own.

use crate::diagnostic::{Diagnostic, Problems};
use crate::shell;
use crate::syntax::Keyword;
use crate::syntax::ast::OutputKind;

use super::check::{Checker, LineStep};
use super::machine::bad_argument;
use super::order::leaves_running;
use super::program::{GuestContext, Invocation, Machine, Os, RunAs, Script, Template, Via};

/// What the guest runs.
const SCRIPT: &str = include_str!("seal.sh");
/// The same on Windows.
const WINDOWS: &str = include_str!("seal.ps1");

/// The command. `root` is emptied, whatever the guest's environment says.
pub(super) fn command(os: Os) -> Invocation {
    let (text, dialect) = match os {
        Os::Unix => (format!("root=\n{SCRIPT}"), shell::Dialect::Sh),
        Os::Windows => (WINDOWS.to_owned(), shell::Dialect::PowerShell),
    };
    Invocation::Script(Script { text, holes: Vec::new(), dialect: Some(dialect), shebang: false, errexit: false })
}

/// Root runs it by `sh`, with nothing of the stage's environment; on Windows the LOGIN, by PowerShell.
pub(super) fn context(context: &mut GuestContext, os: Os) {
    // Whom sudo asks about stays the same.
    let password = context.user.take().and_then(|user| user.password);
    let (user, shell) = match os {
        Os::Unix => (Some(RunAs { name: Template::literal("root"), via: Via::Auto, password }), "sh"),
        Os::Windows => (None, "powershell"),
    };
    context.user = user;
    context.env.clear();
    context.open_env.clear();
    context.workdir = None;
    context.shell = vec![Template::literal(shell)];
}

/// SEAL is the last step, and of a machine that is off in the end.
pub(super) fn check(checker: &Checker<'_>, machine: &Machine, problems: &mut Problems) {
    let lines = checker.lines(machine.id);
    let steps = lines.iter().enumerate().filter(|(line, _)| {
        // What `--if` leaves out doesn't run.
        matches!(checker.line_step(machine.id, *line), LineStep::Step(_))
    });
    let steps: Vec<_> = steps.map(|(_, instruction)| instruction).collect();
    let Some(at) = steps.iter().position(|i| i.keyword.node == Keyword::Seal) else { return };
    let Some(seal) = steps.get(at) else { return };
    if let Some(next) = steps.get(at + 1) {
        problems.push(
            Diagnostic::new(&super::codes::BAD_ARGUMENT, "nothing can be done in a guest that is sealed")
                .primary(next.span, "this comes after it")
                .label(seal.span, "sealed here")
                .help("make SEAL the last step of its stage"),
        );
    }
    let template = machine.outputs.iter().any(|o| o.kind == OutputKind::Template);
    if leaves_running(machine) && !template {
        problems.push(
            bad_argument(seal.span, "SEAL is for what is cloned, and this machine is left running")
                .help("leave SEAL out, or make it a template or `OUTPUT --off VM`"),
        );
    }
}
