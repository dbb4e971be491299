//! An instruction cut into the parts between which its line may be broken.

use crate::source::{Sources, Span};
use crate::syntax::ast::{
    Body, Command, CopySource, ForOver, Heredoc, Instruction, KeyFrom, OnFail, OutputKind, Pair, Piece, Text, Type,
    WaitFor,
};

use super::expr;

/// Words that stay together on a line: a word, a flag, `AS name`, a whole shell command.
pub(super) struct Unit {
    pub text: String,
    /// Where it stands in the source; units without a place of their own have that of the one before.
    pub start: u32,
    pub end: u32,
    pub flag: bool,
    /// As the author wrote it, continuations and the comments in them included.
    pub verbatim: bool,
    /// The author broke the line before it.
    pub broken: bool,
    /// Comment lines to stand before it, without `#`.
    pub comments: Vec<String>,
}

struct Units<'a> {
    sources: &'a Sources,
    escape: char,
    list: Vec<Unit>,
    heredocs: &'a [Heredoc],
    /// A keyword that the next unit begins with.
    lead: String,
}

/// The parts of an instruction after its keyword.
pub(super) fn units(instruction: &Instruction, escape: char, sources: &Sources) -> Vec<Unit> {
    let mut all = Units { sources, escape, list: Vec::new(), heredocs: &instruction.heredocs, lead: String::new() };
    for flag in &instruction.flags {
        let value = flag.value.as_ref().map(|v| format!("={}", all.word(v))).unwrap_or_default();
        all.push(flag.span, format!("--{}{value}", flag.name.node));
        if let Some(unit) = all.list.last_mut() {
            unit.flag = true;
        }
    }
    all.body(&instruction.body, instruction.keyword.span.after());
    let mut list = all.list;
    // Broken where the source has a line end between a unit and what stands before it.
    list.sort_by_key(|u| u.start);
    let mut before = instruction.keyword.span.end;
    for unit in &mut list {
        let gap = Span { start: before.min(unit.start), end: unit.start, ..instruction.span };
        unit.broken = sources.slice(gap).contains('\n');
        before = before.max(unit.end);
    }
    list
}

impl Units<'_> {
    fn push(&mut self, span: Span, text: String) {
        let lead = std::mem::take(&mut self.lead);
        let text = if lead.is_empty() { text } else { format!("{lead} {text}") };
        self.list.push(Unit {
            text,
            start: span.start,
            end: span.end,
            flag: false,
            verbatim: false,
            broken: false,
            comments: Vec::new(),
        });
    }

    /// A keyword before the next unit.
    fn keyword(&mut self, word: &str) {
        if !self.lead.is_empty() {
            self.lead.push(' ');
        }
        self.lead.push_str(word);
    }

    /// A keyword that nothing follows.
    fn last_keyword(&mut self, word: &str, place: Span) {
        self.keyword(word);
        let place = self.list.iter().map(|u| u.end).max().map_or(place, |end| Span { start: end, end, ..place });
        self.push(place, String::new());
        if let Some(unit) = self.list.last_mut() {
            unit.text.truncate(unit.text.trim_end().len());
        }
    }

    fn text(&mut self, text: &Text) {
        let word = self.word(text);
        self.push(text.span, word);
    }

    fn texts(&mut self, list: &[Text]) {
        for text in list {
            self.text(text);
        }
    }

    fn named(&mut self, word: &str, text: &Text) {
        self.keyword(word);
        self.text(text);
    }

    /// Text as it was written, over all its lines.
    fn verbatim(&mut self, text: &Text) {
        let mut written = self.sources.slice(text.span).replace("\r\n", "\n");
        if written.starts_with("--") {
            self.keyword("--");
        }
        if written.contains('\n') {
            written = without_blanks_at_ends(&written, self.escape);
        }
        self.push(text.span, written);
        if let Some(unit) = self.list.last_mut() {
            unit.verbatim = true;
        }
    }

    /// A word: as it was written, but for line breaks in it and blanks in its interpolations.
    fn word(&self, text: &Text) -> String {
        let mut out = String::new();
        let mut at = text.span.start;
        let copy = |out: &mut String, from: u32, to: u32| {
            let written = self.sources.slice(Span { start: from, end: to, ..text.span });
            if written.contains('\n') { out.push_str(&joined(written, self.escape)) } else { out.push_str(written) }
        };
        for piece in &text.pieces {
            if let Piece::Hole { span, expr, .. } = piece {
                copy(&mut out, at, span.start);
                out.push_str(&format!("${{{{ {} }}}}", expr::render(expr, self.sources)));
                at = span.end;
            }
        }
        copy(&mut out, at, text.span.end);
        out
    }

    fn pairs(&mut self, pairs: &[Pair]) {
        for pair in pairs {
            let key = joined(self.sources.slice(pair.key.span), self.escape);
            let value = self.word(&pair.value);
            self.push(pair.key.span.to(pair.value.span), format!("{key}={value}"));
        }
    }

    fn array(&mut self, items: &[Text]) {
        let count = items.len();
        for (i, item) in items.iter().enumerate() {
            let open = if i == 0 { "[" } else { "" };
            let close = if i + 1 == count { "]" } else { "," };
            let word = self.word(item);
            self.push(item.span, format!("{open}{word}{close}"));
        }
    }

    fn heredoc(&mut self, doc: &Heredoc) {
        let dash = if doc.strip { "-" } else { "" };
        let name = &doc.name;
        let text = match (doc.quoted, name.contains('\'')) {
            (false, _) => format!("<<{dash}{name}"),
            (true, false) => format!("<<{dash}'{name}'"),
            (true, true) => format!("<<{dash}\"{name}\""),
        };
        self.push(doc.marker, text);
    }

    fn command(&mut self, command: &Command) {
        match command {
            Command::Shell(text) => self.verbatim(text),
            Command::Exec(items) => self.array(items),
            Command::Script => {
                let docs = self.heredocs;
                if let [doc, ..] = docs {
                    self.heredoc(doc);
                }
            }
        }
    }

    fn declaration(&mut self, name: &crate::source::Spanned<String>, ty: Option<&crate::source::Spanned<Type>>) {
        match ty {
            None => self.push(name.span, name.node.clone()),
            Some(ty) => self.push(name.span.to(ty.span), format!("{}: {}", name.node, self.sources.slice(ty.span))),
        }
    }

    fn value(&mut self, value: &crate::syntax::ast::Expr) {
        self.keyword("=");
        let text = expr::render(value, self.sources);
        self.push(value.span, text);
    }

    fn body(&mut self, body: &Body, place: Span) {
        match body {
            Body::Arg { name, ty, default } => {
                self.declaration(name, ty.as_ref());
                if let Some(default) = default {
                    self.value(default);
                }
            }
            Body::Secret { name, generate } => {
                self.push(name.span, name.node.clone());
                if let Some(length) = generate {
                    self.named("GENERATE", length);
                }
            }
            Body::From { source, alias, replicas } => {
                self.text(source);
                self.alias(alias.as_ref());
                if let Some(replicas) = replicas {
                    self.keyword("FOR");
                    self.push(replicas.var.span, replicas.var.node.clone());
                    self.keyword("IN");
                    match &replicas.over {
                        ForOver::Range { from, to } => {
                            let text = format!("{}..{}", self.word(from), self.word(to));
                            self.push(from.span.to(to.span), text);
                        }
                        ForOver::List(list) => {
                            let text = format!("${{{{ {} }}}}", expr::render(list, self.sources));
                            self.push(list.span, text);
                        }
                        ForOver::Csv(path) => self.named("FILE", path),
                    }
                }
            }
            Body::On { selector, alias } => {
                self.texts(selector);
                self.alias(alias.as_ref());
            }
            Body::Output { kind, name } => {
                let word = match kind.node {
                    OutputKind::Template => "TEMPLATE",
                    OutputKind::Vm => "VM",
                    OutputKind::Library => "LIBRARY",
                    OutputKind::Ova => "OVA",
                    OutputKind::None => "NONE",
                };
                self.push(kind.span, word.to_owned());
                if let Some(name) = name {
                    self.text(name);
                }
            }
            Body::Cpu { count, cores } => {
                self.text(count);
                if let Some(cores) = cores {
                    self.named("CORES", cores);
                }
            }
            Body::Disk { words } | Body::Nic { words } | Body::Cdrom { words } | Body::Tag { words } => {
                self.texts(words);
            }
            Body::Hardware { pairs } | Body::Config { pairs } | Body::Label { pairs } | Body::Env { pairs } => {
                self.pairs(pairs);
            }
            Body::Annotation { text } | Body::Note { text } => self.verbatim(text),
            Body::Address { cidr, gateway, dns, search, device } => {
                match cidr {
                    Some(cidr) => self.text(cidr),
                    None => self.push(place, "DHCP".to_owned()),
                }
                if let Some(gateway) = gateway {
                    self.named("GATEWAY", gateway);
                }
                for (word, list) in [("DNS", dns), ("SEARCH", search)] {
                    if !list.is_empty() {
                        self.keyword(word);
                        self.texts(list);
                    }
                }
                if let Some(device) = device {
                    self.named("DEVICE", device);
                }
            }
            Body::Login { user, password } | Body::User { name: user, password } => {
                self.text(user);
                if let Some(password) = password {
                    self.named("PASSWORD", password);
                }
            }
            Body::Include { path: text }
            | Body::Memory { size: text }
            | Body::Hostname { name: text }
            | Body::Workdir { path: text }
            | Body::Snapshot { name: text }
            | Body::Serial { count: text } => self.text(text),
            Body::Shell { argv, array } => {
                if *array {
                    self.array(argv);
                } else {
                    self.texts(argv);
                }
            }
            Body::Run { command } => self.command(command),
            Body::Key { name, ty, from } => {
                self.declaration(name, ty.as_ref());
                match from {
                    KeyFrom::Run(command) => {
                        self.keyword("FROM RUN");
                        self.command(command);
                    }
                    KeyFrom::File { path, delete } => {
                        self.named("FROM FILE", path);
                        if *delete {
                            self.last_keyword("DELETE", place);
                        }
                    }
                    KeyFrom::Value(value) => self.value(value),
                }
            }
            Body::Copy { sources, dest } => {
                let docs = self.heredocs;
                for source in sources {
                    match source {
                        CopySource::Path(path) => self.text(path),
                        CopySource::Heredoc(index) => {
                            if let Some(doc) = docs.get(*index) {
                                self.heredoc(doc);
                            }
                        }
                    }
                }
                self.text(dest);
            }
            Body::Fetch { paths, dest } => {
                self.texts(paths);
                self.text(dest);
            }
            Body::Reboot | Body::Seal => {}
            Body::Wait { what } => match what {
                WaitFor::Tools => self.last_keyword("TOOLS", place),
                WaitFor::Ip => self.last_keyword("IP", place),
                WaitFor::Login => self.last_keyword("LOGIN", place),
                WaitFor::Off => self.last_keyword("OFF", place),
                WaitFor::File(path) => self.named("FILE", path),
                WaitFor::Run(command) => {
                    self.keyword("RUN");
                    self.command(command);
                }
            },
            Body::Checkpoint { name } | Body::Placement { value: name } => {
                if let Some(name) = name {
                    self.text(name);
                }
            }
            Body::OnFail { action } => match action {
                OnFail::Run(command) => {
                    self.keyword("RUN");
                    self.command(command);
                }
                OnFail::Fetch { paths, dest } => {
                    self.keyword("FETCH");
                    self.texts(paths);
                    self.text(dest);
                }
                OnFail::Revert(name) => self.named("REVERT", name),
            },
            Body::Healthcheck { command } | Body::OnRemove { command } => {
                self.keyword("RUN");
                self.command(command);
            }
        }
    }

    fn alias(&mut self, alias: Option<&crate::source::Spanned<String>>) {
        if let Some(alias) = alias {
            self.keyword("AS");
            self.push(alias.span, alias.node.clone());
        }
    }
}

/// A text without its continuations, and the comment lines in them.
fn joined(written: &str, escape: char) -> String {
    let mut out = String::with_capacity(written.len());
    let mut rest = written;
    while let Some(at) = rest.find(escape) {
        let (before, tail) = rest.split_at(at);
        out.push_str(before);
        let tail = tail.get(escape.len_utf8()..).unwrap_or_default();
        if let Some(more) = tail.strip_prefix(escape) {
            out.extend([escape, escape]);
            rest = more;
            continue;
        }
        match line_end(tail) {
            Some(more) => rest = skip_comments(more),
            None => {
                out.push(escape);
                rest = tail;
            }
        }
    }
    out.push_str(rest);
    out
}

/// What follows the line end, if only blanks stand before it.
fn line_end(text: &str) -> Option<&str> {
    let text = text.trim_start_matches([' ', '\t']);
    text.strip_prefix("\r\n").or_else(|| text.strip_prefix('\n'))
}

fn skip_comments(mut text: &str) -> &str {
    loop {
        let line = text.trim_start_matches([' ', '\t']);
        match line.find('\n') {
            Some(end) if line.starts_with('#') || line.get(..end).is_some_and(|l| l.trim().is_empty()) => {
                text = line.get(end + 1..).unwrap_or_default();
            }
            _ => return text,
        }
    }
}

/// Blanks after the escape character at a line's end mean nothing.
fn without_blanks_at_ends(written: &str, escape: char) -> String {
    let lines: Vec<&str> = written
        .split('\n')
        .map(|line| {
            let trimmed = line.trim_end_matches([' ', '\t', '\r']);
            let comment = line.trim_start().starts_with('#');
            if trimmed.ends_with(escape) || comment { trimmed } else { line }
        })
        .collect();
    lines.join("\n")
}
