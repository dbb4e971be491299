//! COPY: what is copied is looked for before the build begins.

use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use crate::diagnostic::{Diagnostic, Problems};
use crate::source::Span;
use crate::syntax;
use crate::syntax::Keyword;
use crate::syntax::ast::{Body, CopySource, Instruction, Text};

use super::check::Checker;
use super::codes;
use super::include::{near_file, normalize};
use super::instruction_step::{PATHS, directory_needed};
use super::machine::{Making, bad_argument};
use super::names_scope::Place;
use super::program::{Copy, CopyFrom, MachineId, Template};
use super::text::{Secrets, Usage, check_text};

/// What files and heredocs that are copied may hold.
const BODY: Usage<'static> = Usage { what: "a copied text", secrets: Secrets::Allowed };

impl Checker<'_> {
    pub(super) fn copy(
        &mut self,
        making: &Making,
        instruction: &Instruction,
        place: Place,
        problems: &mut Problems,
    ) -> Option<Copy> {
        let Body::Copy { sources, dest } = &instruction.body else { return None };
        let from = match instruction.flag("from") {
            Some(_) => Some(self.copy_from(making.id, instruction, place, problems)?),
            None => None,
        };
        let render = instruction.flag("render");
        if let (Some(flag), Some(_)) = (render, from) {
            problems.push(
                Diagnostic::at(
                    &codes::FLAG_WITHOUT_EFFECT,
                    flag.span,
                    "`--render` works on files of the context, not of another machine",
                )
                .help("leave it out, or put the values in with a RUN on one of the machines"),
            );
        }
        let mut out = Vec::new();
        let mut paths = Vec::new();
        let mut failed = false;
        for source in sources {
            match self.copy_source(source, instruction, from, place, problems) {
                Some((mut sources, mut found)) => {
                    // With --render all of them are read now, and what is no file is told then.
                    if let (CopySource::Path(text), None) = (source, render) {
                        failed |= found.iter().any(|path| !self.sendable(path, text.span, problems));
                    }
                    out.append(&mut sources);
                    paths.append(&mut found);
                }
                None => failed = true,
            }
        }
        let to = self.text(dest, "the destination of COPY", PATHS, place, problems);
        if out.len() > 1 && to.as_ref().and_then(Template::as_literal).is_some_and(|d| !d.ends_with('/')) {
            problems.push(directory_needed(dest, Keyword::Copy));
        }
        let chown = match instruction.flag("chown").and_then(|f| f.value.as_ref()) {
            Some(text) => Some(self.text(text, "the owner", PATHS, place, problems)?),
            None => None,
        };
        let chmod = match instruction.flag("chmod") {
            Some(_) => Some(self.chmod(instruction, place, problems)?),
            None => None,
        };
        let render = match render {
            Some(flag) if from.is_none() => Some(self.render(&paths, flag.span, place, problems)?),
            Some(_) | None => None,
        };
        if failed {
            return None;
        }
        Some(Copy { sources: out, dest: to?, chown, chmod, render, from })
    }

    /// One source as written: it may be several files, and those that are known by name.
    fn copy_source(
        &self,
        source: &CopySource,
        instruction: &Instruction,
        from: Option<MachineId>,
        place: Place,
        problems: &mut Problems,
    ) -> Option<(Vec<CopyFrom>, Vec<PathBuf>)> {
        let text = match source {
            CopySource::Heredoc(index) => {
                let heredoc = instruction.heredocs.get(*index)?;
                if from.is_some() {
                    problems.push(
                        bad_argument(heredoc.marker, "with `--from` everything copied is a path in the other machine")
                            .help("write the text with a COPY of its own"),
                    );
                    return None;
                }
                let body = check_text(&heredoc.body, BODY, &self.view(place), problems)?;
                return Some((vec![CopyFrom::Inline(body)], vec![]));
            }
            CopySource::Path(text) => text,
        };
        let path = self.text(text, "a source of COPY", PATHS, place, problems)?;
        let Some(literal) = path.as_literal().filter(|_| from.is_none()) else {
            return Some((vec![CopyFrom::Path(path)], vec![]));
        };
        let found = self.in_context(text, literal, problems)?;
        let sources = found.iter().map(|p| CopyFrom::Path(Template::literal(slashes(p)))).collect();
        Some((sources, found))
    }

    /// The files and directories of the context that a source names, relative to it.
    fn in_context(&self, text: &Text, literal: &str, problems: &mut Problems) -> Option<Vec<PathBuf>> {
        let relative = normalize(Path::new(literal));
        if relative.is_absolute() || relative.components().next() == Some(Component::ParentDir) {
            problems.push(
                Diagnostic::at(&codes::OUTSIDE_CONTEXT, text.span, format!("`{literal}` is not in the context"))
                    .note(format!("the context is {}", self.inputs.context.display()))
                    .help("copy the file into it, or build with a directory above as the context"),
            );
            return None;
        }
        // `dir/.` and `dir/` mean the directory's contents to some; what was written is kept for those.
        let kept =
            if literal.ends_with('/') { PathBuf::from(format!("{}/", slashes(&relative))) } else { relative.clone() };
        let target = self.inputs.context.join(&relative);
        match self.files.is_dir(&target) {
            Ok(_) => return Some(vec![if relative.as_os_str().is_empty() { PathBuf::from(".") } else { kept }]),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                problems.push(Diagnostic::at(
                    &codes::COPY_NOT_FOUND,
                    text.span,
                    format!("`{literal}` can't be read: {error}"),
                ));
                return None;
            }
        }
        if literal.contains(['*', '?', '[']) {
            let matches = self.matches(&relative);
            if !matches.is_empty() {
                return Some(matches);
            }
            problems.push(
                Diagnostic::at(
                    &codes::COPY_NOT_FOUND,
                    text.span,
                    format!("nothing in the context matches `{literal}`"),
                )
                .note(format!("the context is {}", self.inputs.context.display())),
            );
            return None;
        }
        let mut diagnostic =
            Diagnostic::at(&codes::COPY_NOT_FOUND, text.span, format!("there is no `{literal}` in the context"))
                .note(format!("the context is {}", self.inputs.context.display()));
        if let Some(near) = near_file(self.files, &target) {
            let near = slashes(&relative.with_file_name(near));
            diagnostic = diagnostic.meant(text.span, &near);
        }
        problems.push(diagnostic);
        None
    }

    /// Whether all of a source, which is there, can be sent; what can't is told.
    fn sendable(&mut self, source: &Path, span: Span, problems: &mut Problems) -> bool {
        let (files, context) = (self.files, &self.inputs.context);
        let source = normalize(source);
        let odd = self.unsendable.entry(source.clone()).or_insert_with(|| files.unsendable(context, &source));
        let Some(first) = odd.first() else { return true };
        let others = match odd.len() {
            1 => String::new(),
            2 => ", and so is another one".to_owned(),
            n => format!(", and so are {} others", n - 1),
        };
        let shown = slashes(first);
        let message = format!("`{shown}` can't be copied: it is a device, socket or named pipe, not a file{others}");
        let help = match *first == source {
            true => "copy a file or a directory",
            false => "remove it, or leave it out by a line in `.vmwignore`",
        };
        problems.push(
            Diagnostic::at(&codes::COPY_NOT_FOUND, span, message)
                .note(format!("the context is {}", context.display()))
                .help(help),
        );
        false
    }

    /// What a pattern with `*`, `?` or `[…]` means: names are matched part by part.
    fn matches(&self, pattern: &Path) -> Vec<PathBuf> {
        let parts: Vec<String> = pattern.components().map(|c| c.as_os_str().to_string_lossy().into_owned()).collect();
        let fixed: PathBuf = parts.iter().take_while(|p| !p.contains(['*', '?', '['])).collect();
        let Ok(files) = self.files.walk(&self.inputs.context.join(&fixed)) else { return vec![] };
        let mut out: Vec<PathBuf> = Vec::new();
        for file in files {
            let Ok(relative) = file.strip_prefix(&self.inputs.context) else { continue };
            let names: Vec<String> =
                relative.components().map(|c| c.as_os_str().to_string_lossy().into_owned()).collect();
            if names.len() < parts.len() || !parts.iter().zip(&names).all(|(p, n)| wildcard(p, n)) {
                continue;
            }
            let found: PathBuf = names.iter().take(parts.len()).collect();
            if out.last() != Some(&found) && !out.contains(&found) {
                out.push(found);
            }
        }
        out.sort();
        out
    }

    fn chmod(&self, instruction: &Instruction, place: Place, problems: &mut Problems) -> Option<u32> {
        let span = instruction.flag("chmod")?.value.as_ref()?.span;
        let text = self.flag_text(instruction, "chmod", "the permissions", place, problems)?;
        let digits = (3..=5).contains(&text.len()) && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
        match u32::from_str_radix(&text, 8) {
            Ok(mode) if digits && mode <= 0o7777 => Some(mode),
            Ok(_) | Err(_) => {
                problems.push(
                    bad_argument(span, format!("`{text}` are no permissions"))
                        .help("write them in octal: `--chmod=0644`, `--chmod=755`"),
                );
                None
            }
        }
    }

    fn copy_from(
        &self,
        own: MachineId,
        instruction: &Instruction,
        place: Place,
        problems: &mut Problems,
    ) -> Option<MachineId> {
        let flag = instruction.flag("from")?;
        let span = flag.value.as_ref()?.span;
        let text = self.flag_text(instruction, "from", "the value of `--from`", place, problems)?;
        let (machines, key) = self.machines_meant(&text, span, "COPY --from", problems)?;
        if key.is_some() {
            problems.push(
                bad_argument(span, "`--from` takes a stage, not a key")
                    .help("a key's value can stand in a heredoc: `COPY <<EOF dest`"),
            );
            return None;
        }
        match machines.as_slice() {
            [one] if *one == own => {
                problems.push(bad_argument(span, "a machine can't COPY from itself").help("use `RUN cp source dest`"));
                None
            }
            [one] => Some(*one),
            [] => None,
            several => {
                let stage = self.machine(several.first().copied()?).and_then(|m| self.stages.get(m.stage))?;
                let first = self.machine(several.first().copied()?)?.value.label();
                problems.push(
                    Diagnostic::new(
                        &codes::NO_SUCH_REPLICA,
                        format!("{} makes {} machines", stage.called(), several.len()),
                    )
                    .primary(span, "which one is meant?")
                    .label(stage.for_span.unwrap_or(stage.from.span), "they are made here")
                    .help(format!("name one: `--from={text}[{first}]`")),
                );
                None
            }
        }
    }

    /// The texts of all files that are copied, with their values.
    fn render(
        &mut self,
        paths: &[PathBuf],
        flag: Span,
        place: Place,
        problems: &mut Problems,
    ) -> Option<Vec<(PathBuf, Template)>> {
        let mut out = Vec::new();
        let mut failed = false;
        for path in paths {
            let target = self.inputs.context.join(path);
            let files = match self.files.walk(&target) {
                Ok(files) => files,
                Err(error) => {
                    problems.push(Diagnostic::at(
                        &codes::COPY_NOT_FOUND,
                        flag,
                        format!("`{}` can't be read: {error}", path.display()),
                    ));
                    failed = true;
                    continue;
                }
            };
            for file in files {
                let Some(text) = self.render_text(&file, flag, problems) else { continue };
                let relative = file.strip_prefix(&self.inputs.context).unwrap_or(&file).to_path_buf();
                match check_text(&text, BODY, &self.view(place), problems) {
                    Some(template) => out.push((relative, template)),
                    None => failed = true,
                }
            }
        }
        (!failed).then_some(out)
    }

    /// A file's text; None for one that is not text, which is copied as it is.
    fn render_text(&mut self, file: &Path, flag: Span, problems: &mut Problems) -> Option<Rc<Text>> {
        if let Some(known) = self.rendered.get(file) {
            return known.clone();
        }
        let text = match self.files.read(file) {
            Ok(bytes) => String::from_utf8(bytes).ok().filter(|t| !t.contains('\0')),
            Err(error) => {
                problems.push(Diagnostic::at(
                    &codes::COPY_NOT_FOUND,
                    flag,
                    format!("`{}` can't be read: {error}", file.display()),
                ));
                None
            }
        };
        let parsed = text.map(|text| {
            let shown = file.strip_prefix(&self.inputs.context).unwrap_or(file);
            let source = self.sources.add(shown.to_string_lossy(), Some(file), text);
            Rc::new(syntax::parse_body(self.sources, source, problems))
        });
        self.rendered.insert(file.to_path_buf(), parsed.clone());
        parsed
    }
}

/// A path with `/` between its parts, as in VMWfiles.
fn slashes(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "/")
}

/// Whether a name matches a pattern of `*`, `?` and `[…]`. A name that begins with a dot is matched by one that
/// does too, as in a shell.
fn wildcard(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    // The places in the pattern that may be reached; each `*` stays reached.
    let mut reached = vec![0];
    close_stars(&pattern, &mut reached);
    for c in name {
        let mut next = Vec::new();
        for at in reached {
            match pattern.get(at) {
                Some('*') => next.push(at),
                Some('?') => next.push(at + 1),
                Some('[') => {
                    if let Some((end, holds)) = class(&pattern, at, c) {
                        if holds {
                            next.push(end);
                        }
                    } else if c == '[' {
                        next.push(at + 1);
                    }
                }
                Some(p) if *p == c => next.push(at + 1),
                Some(_) | None => {}
            }
        }
        close_stars(&pattern, &mut next);
        reached = next;
    }
    reached.contains(&pattern.len())
}

/// What follows a `*` may be reached with it.
fn close_stars(pattern: &[char], reached: &mut Vec<usize>) {
    let mut index = 0;
    while let Some(at) = reached.get(index).copied() {
        if pattern.get(at) == Some(&'*') && !reached.contains(&(at + 1)) {
            reached.push(at + 1);
        }
        index += 1;
    }
    reached.sort_unstable();
    reached.dedup();
}

/// `[a-z]`, `[!a]` at a place: where it ends, and whether it holds for a character. None if it never ends.
fn class(pattern: &[char], at: usize, c: char) -> Option<(usize, bool)> {
    let mut index = at + 1;
    let negated = matches!(pattern.get(index), Some('!' | '^'));
    if negated {
        index += 1;
    }
    let first = index;
    let mut holds = false;
    loop {
        let low = *pattern.get(index)?;
        if low == ']' && index > first {
            return Some((index + 1, holds != negated));
        }
        match (pattern.get(index + 1), pattern.get(index + 2)) {
            (Some('-'), Some(high)) if *high != ']' => {
                holds |= (low..=*high).contains(&c);
                index += 3;
            }
            _ => {
                holds |= low == c;
                index += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::wildcard;

    #[test]
    fn wildcards_match_as_in_a_shell() {
        for (pattern, name, expected) in [
            ("*", "a", true),
            ("*", ".a", false),
            (".*", ".a", true),
            ("*.conf", "a.conf", true),
            ("*.conf", "a.con", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("?", "ä", true),
            ("?", "", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]]", "]", true),
            ("[a", "[a", true),
            ("**", "abc", true),
        ] {
            assert_eq!(wildcard(pattern, name), expected, "{pattern} against {name}");
        }
    }
}
