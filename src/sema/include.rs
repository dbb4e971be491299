//! INCLUDE followed, and the lines of all files sorted into globals and stages.

use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Problems, did_you_mean};
use crate::source::{SourceId, Sources, Span};
use crate::syntax::ast::{Body, File, Instruction, Item};
use crate::syntax::{self, Keyword};

use super::{Files, codes};

/// How many INCLUDEs a compilation may follow: files that include each other twice grow without a cycle.
const MAX_INCLUDES: usize = 1000;

/// A stage's lines, as written.
#[derive(Debug)]
pub(super) struct RawStage {
    /// FROM (or ON).
    pub from: Arc<Instruction>,
    /// What follows, in order.
    pub lines: Vec<Arc<Instruction>>,
}

/// All lines, INCLUDE followed.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// Those before the first FROM of their file.
    pub globals: Vec<Arc<Instruction>>,
    /// The stages, in the order written.
    pub stages: Vec<RawStage>,
}

/// Follows INCLUDE and sorts the lines. `context` is what the paths of a file without a place (standard input)
/// are relative to.
pub(super) fn layout(
    sources: &mut Sources,
    main: &File,
    files: &dyn Files,
    context: &Path,
    problems: &mut Problems,
) -> Layout {
    let path = sources.get(main.source).path.clone();
    let mut walk = Walk {
        sources,
        files,
        context,
        problems,
        layout: Layout::default(),
        open: Open::Global,
        chain: vec![],
        followed: 0,
    };
    walk.file(main, path.as_deref());
    walk.layout
}

/// Where the next line belongs.
#[derive(Clone)]
enum Open {
    /// Before the first FROM.
    Global,
    /// To that stage.
    Stage(usize),
    /// To nothing: a stage was opened, and ended, in the file that this INCLUDE names.
    Closed { include: Span, told: bool },
}

struct Walk<'a> {
    sources: &'a mut Sources,
    files: &'a dyn Files,
    context: &'a Path,
    problems: &'a mut Problems,
    layout: Layout,
    open: Open,
    /// The files being read, outermost first, each with its path and the INCLUDE that led further in.
    chain: Vec<(Option<PathBuf>, Span)>,
    followed: usize,
}

impl Walk<'_> {
    fn file(&mut self, file: &File, path: Option<&Path>) {
        for item in &file.items {
            match item {
                Item::Blank(_) | Item::Comment(_) | Item::Directive { .. } => {}
                Item::Instruction(instruction) => self.instruction(instruction, path),
            }
        }
    }

    fn instruction(&mut self, instruction: &Arc<Instruction>, path: Option<&Path>) {
        match &instruction.body {
            Body::Include { path: target } => match target.literal() {
                Some(name) => self.include(instruction, target.span, &name, path),
                None => self.problems.push(
                    Diagnostic::at(&codes::INCLUDE_NOT_LITERAL, target.span, "the path of an INCLUDE must be literal")
                        .help("which lines a file has can't hang on a value; use `--if` on the steps instead"),
                ),
            },
            Body::From { .. } | Body::On { .. } => {
                self.open = Open::Stage(self.layout.stages.len());
                self.layout.stages.push(RawStage { from: Arc::clone(instruction), lines: vec![] });
            }
            _ => self.line(instruction),
        }
    }

    fn line(&mut self, instruction: &Arc<Instruction>) {
        match &mut self.open {
            Open::Global => self.layout.globals.push(Arc::clone(instruction)),
            Open::Stage(index) => {
                if let Some(stage) = self.layout.stages.get_mut(*index) {
                    stage.lines.push(Arc::clone(instruction));
                }
            }
            Open::Closed { include, told } => {
                if !*told {
                    *told = true;
                    self.problems.push(
                        Diagnostic::at(&codes::OUTSIDE_STAGE, instruction.keyword.span, "no stage is open here")
                            .label(*include, "a stage opened in this file ended with it")
                            .help("write a FROM before this line, or move the line up, before the INCLUDE"),
                    );
                }
            }
        }
    }

    fn include(&mut self, instruction: &Instruction, span: Span, name: &str, from: Option<&Path>) {
        let base = from.and_then(Path::parent).unwrap_or(self.context);
        let target = normalize(&base.join(name));
        if let Some(at) = self
            .chain
            .iter()
            .position(|(p, _)| p.as_deref() == Some(target.as_path()))
            .or_else(|| (from.map(normalize).as_deref() == Some(target.as_path())).then_some(self.chain.len()))
        {
            return self.cycle(at, span, name);
        }
        if self.followed >= MAX_INCLUDES {
            if self.followed == MAX_INCLUDES {
                self.followed += 1;
                self.problems.push(
                    Diagnostic::at(&codes::INCLUDE_CYCLE, span, format!("more than {MAX_INCLUDES} files are included"))
                        .help("files that include each other several times grow without end; include each once"),
                );
            }
            return;
        }
        self.followed += 1;
        let Some(source) = self.read(span, name, &target) else { return };
        let file = syntax::parse(self.sources, source, self.problems);
        let before = self.open.clone();
        let stages = self.layout.stages.len();
        self.chain.push((from.map(normalize), span));
        self.file(&file, Some(&target));
        self.chain.pop();
        if self.layout.stages.len() > stages {
            self.open = match before {
                Open::Global => Open::Global,
                Open::Stage(_) | Open::Closed { .. } => Open::Closed { include: instruction.span, told: false },
            };
        }
    }

    fn cycle(&mut self, at: usize, span: Span, name: &str) {
        let mut diagnostic = Diagnostic::at(&codes::INCLUDE_CYCLE, span, format!("`{name}` includes itself"))
            .help("take this INCLUDE out, or move what both need into a third file");
        for (_, include) in self.chain.iter().skip(at) {
            diagnostic = diagnostic.label(*include, "by way of this INCLUDE");
        }
        self.problems.push(diagnostic);
    }

    fn read(&mut self, span: Span, name: &str, target: &Path) -> Option<SourceId> {
        let bytes = match self.files.read(target) {
            Ok(bytes) => bytes,
            Err(error) => {
                let mut diagnostic = Diagnostic::at(
                    &codes::INCLUDE_NOT_FOUND,
                    span,
                    match error.kind() {
                        ErrorKind::NotFound => format!("there is no file `{name}`"),
                        _ => format!("`{name}` can't be read: {error}"),
                    },
                )
                .note(format!("looked for {}", target.display()));
                if error.kind() == ErrorKind::NotFound
                    && let Some(near) = near_file(self.files, target)
                {
                    let path = Path::new(name).with_file_name(&near);
                    let path = path.to_string_lossy();
                    diagnostic = diagnostic.help(format!("did you mean `{path}`?")).replace(
                        format!("write `{path}`"),
                        false,
                        span,
                        path.as_ref(),
                    );
                }
                self.problems.push(diagnostic);
                return None;
            }
        };
        match String::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => {
                // Named as the including file is: relative to where that name is.
                let base = Path::new(&self.sources.get(span.source).name).parent().map(Path::to_path_buf);
                let shown = normalize(&base.unwrap_or_default().join(name));
                Some(self.sources.add(shown.to_string_lossy(), Some(target), text))
            }
            Ok(_) | Err(_) => {
                self.problems.push(
                    Diagnostic::at(&codes::INCLUDE_NOT_FOUND, span, format!("`{name}` is not UTF-8 text"))
                        .help("a VMWfile is text; save it as UTF-8"),
                );
                None
            }
        }
    }
}

/// The name in `target`'s directory that is nearest to its own.
pub(super) fn near_file(files: &dyn Files, target: &Path) -> Option<String> {
    let directory = target.parent()?;
    let name = target.file_name()?.to_str()?;
    let found = files.walk(directory).ok()?;
    let mut names: Vec<String> = found
        .iter()
        .filter_map(|p| p.strip_prefix(directory).ok())
        .filter_map(|p| p.components().next())
        .map(|c| c.as_os_str().to_string_lossy().into_owned())
        .collect();
    names.dedup();
    did_you_mean(name, names.iter().map(String::as_str)).map(str::to_owned)
}

/// A path without `.` and `..`, as far as that can be told without looking.
pub(super) fn normalize(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                let popped = matches!(out.components().next_back(), Some(Component::Normal(_))) && out.pop();
                if !popped {
                    out.push("..");
                }
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => out.push(part),
        }
    }
    out
}

/// Whether a keyword may stand before the first FROM.
pub(super) fn may_be_global(keyword: Keyword) -> bool {
    use Keyword as K;
    match keyword {
        K::Arg | K::Secret | K::Include | K::Login => true,
        K::Datacenter | K::Cluster | K::Host | K::Pool | K::Datastore | K::Folder | K::Network => true,
        K::From | K::On | K::Output | K::Cpu | K::Memory | K::Disk | K::Nic | K::Cdrom | K::Hardware | K::Config => {
            false
        }
        K::Annotation | K::Label | K::Tag | K::Address | K::Hostname | K::User | K::Workdir | K::Env | K::Shell => {
            false
        }
        K::Run | K::Key | K::Copy | K::Fetch | K::Reboot | K::Wait | K::Note | K::Checkpoint | K::Snapshot => false,
        K::Seal | K::OnFail | K::Healthcheck | K::OnRemove | K::Serial => false,
    }
}
