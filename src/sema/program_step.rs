//! The steps of a checked program: what a machine's guest is asked to do, and what must have been before.

use std::sync::Arc;
use std::time::Duration;

use crate::shell;
use crate::source::Span;
use crate::syntax::ast::Type;

use super::program::{Attr, GuestContext, MachineId, Rt, StepId, Template};

/// One step.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its id.
    pub id: StepId,
    /// The instruction.
    pub span: Span,
    /// NOTE's text.
    pub note: Option<Template>,
    /// For output: the instruction in one line, as written, interpolations unevaluated.
    pub text: String,
    /// What it does.
    pub action: Action,
    /// Who does it, where and with what (the step's own `--user` and `--env` worked in).
    pub context: Arc<GuestContext>,
    /// The flags.
    pub options: StepOptions,
    /// What must have been before it can start, but for the machine's own earlier steps.
    pub needs: Vec<Need>,
}

/// What a step needs, or a machine needs before it is cloned or configured.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Need {
    /// That step done (a key captured, `--after=stage.key`, `--serial`).
    Step(StepId),
    /// That machine finished (`--after=stage`).
    Finished(MachineId),
    /// That attribute known.
    Attr(MachineId, Attr),
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum Action {
    /// RUN.
    Run(Invocation),
    /// KEY.
    Key {
        /// Its name.
        name: String,
        /// Its type.
        ty: Type,
        /// Where it comes from.
        from: KeySource,
    },
    /// COPY.
    Copy(Copy),
    /// FETCH: paths in the guest; destination here, a path below the context or absolute.
    #[allow(missing_docs)]
    Fetch { paths: Vec<Template>, dest: Template },
    /// REBOOT.
    Reboot,
    /// WAIT, looking again after `interval`.
    #[allow(missing_docs)]
    Wait { what: WaitWhat, interval: Option<Duration> },
    /// CHECKPOINT, and what it is called.
    Checkpoint(Option<String>),
    /// SNAPSHOT.
    Snapshot(String),
}

/// Where a key comes from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// A command's standard output.
    Run(Invocation),
    /// A file in the guest, deleted afterwards if asked.
    #[allow(missing_docs)]
    File { path: Template, delete: bool },
    /// An expression.
    Value(Rt),
}

/// What WAIT waits for.
#[derive(Clone, Debug)]
pub enum WaitWhat {
    /// Tools running.
    Tools,
    /// An address.
    Ip,
    /// The account accepted.
    Login,
    /// A file.
    File(Template),
    /// A command that succeeds.
    Run(Invocation),
    /// Powered off.
    Off,
}

/// A guest command.
#[derive(Clone, Debug)]
pub enum Invocation {
    /// A script, given to an interpreter as a file.
    Script(Script),
    /// A program with its arguments, no shell.
    Exec(Vec<Template>),
}

/// Shell text with holes. The text is what the author wrote, `${{ … }}` included; when the build runs
/// `shell::weave` puts constants in the holes and `shell::assignment` makes the prelude.
#[derive(Clone, Debug)]
pub struct Script {
    /// The text (heredoc bodies of the shell's own inline).
    pub text: String,
    /// In order, not overlapping.
    pub holes: Vec<ScriptHole>,
    /// Which shell language it is; None for a foreign `#!` interpreter (then there are no holes).
    pub dialect: Option<shell::Dialect>,
    /// A script heredoc with `#!`: run by that interpreter instead of SHELL.
    pub shebang: bool,
    /// Stop at the first failing command (a script heredoc without `#!`).
    pub errexit: bool,
}

/// A value's place in a [`Script`].
#[derive(Clone, Debug)]
pub struct ScriptHole {
    /// First byte in the text.
    pub start: usize,
    /// One past the last.
    pub end: usize,
    /// What is known of the value.
    pub kind: shell::HoleKind,
    /// The context in which it stands.
    pub context: shell::Context,
    /// The value.
    pub value: Rt,
}

/// COPY.
#[derive(Clone, Debug)]
pub struct Copy {
    /// What is copied.
    pub sources: Vec<CopyFrom>,
    /// Where to; ends in `/` for a directory.
    pub dest: Template,
    /// `--chown=user[:group]`.
    pub chown: Option<Template>,
    /// `--chmod=`, permission bits.
    pub chmod: Option<u32>,
    /// `--render`: interpolations in files are evaluated.
    pub render: Option<Vec<(std::path::PathBuf, Template)>>,
    /// `--from=stage`: paths in that machine's guest.
    pub from: Option<MachineId>,
}

/// One source of a COPY.
#[derive(Clone, Debug)]
pub enum CopyFrom {
    /// A path: below the context, or in `from`'s guest.
    Path(Template),
    /// A heredoc's body.
    Inline(Template),
}

/// The flags that every step has.
#[derive(Clone, Debug)]
pub struct StepOptions {
    /// `--unless=`: skipped when this guest command succeeds.
    pub unless: Option<Invocation>,
    /// `--timeout=`.
    pub timeout: Option<Duration>,
    /// `--retry=`: how many more attempts.
    pub retry: u32,
    /// `--delay=` between attempts.
    pub delay: Duration,
    /// `--ok=`: exit codes that are a success.
    pub ok: Vec<i32>,
    /// `--reboot-on=`: exit codes after which the machine is rebooted.
    pub reboot_on: Vec<i32>,
    /// `--allow-failure`.
    pub allow_failure: bool,
    /// `--no-cache`.
    pub no_cache: bool,
}

impl Default for StepOptions {
    fn default() -> Self {
        StepOptions {
            unless: None,
            timeout: None,
            retry: 0,
            delay: Duration::from_secs(5),
            ok: vec![0],
            reboot_on: Vec::new(),
            allow_failure: false,
            no_cache: false,
        }
    }
}
