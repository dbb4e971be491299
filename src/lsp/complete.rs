//! What can stand at the cursor. Worked out from the line's text, since a line that is being written is seldom one
//! that can be read.

use std::path::Path;

use gen_lsp_types::{
    CompletionItem, CompletionItemKind, CompletionItemTextEdit, CompletionResponse, Documentation, InsertTextFormat,
    MarkupContent, MarkupKind, Range, TextDocumentPositionParams, TextEdit,
};

use super::hover::{describe, reference};
use super::index::Kind;
use super::server::Asked;
use crate::sema::filter;
use crate::syntax::Keyword;
use crate::syntax::table::{FlagValue, Place};

/// The most files that are offered.
const MOST_FILES: usize = 200;

/// What a machine is asked for besides its keys, with a word on each.
const ATTRIBUTES: [(&str, &str); 5] = [
    ("name", "its name in vCenter"),
    ("uuid", "its BIOS UUID"),
    ("moref", "its managed object reference"),
    ("hostname", "what the guest calls itself"),
    ("ip", "its first address"),
];

/// The types of the language.
const TYPES: [&str; 10] = ["string", "int", "bool", "ip", "cidr", "duration", "size", "json", "secret", "list<string>"];

pub(super) fn complete(asked: &Asked<'_>, at: &TextDocumentPositionParams) -> Option<CompletionResponse> {
    let offset = asked.offset(at.position) as usize;
    let writer = Writer { asked, offset, items: Vec::new() };
    Some(CompletionResponse::CompletionItemList(writer.complete()))
}

struct Writer<'a> {
    asked: &'a Asked<'a>,
    offset: usize,
    items: Vec<CompletionItem>,
}

impl Writer<'_> {
    fn complete(mut self) -> Vec<CompletionItem> {
        let line = self.logical_line();
        if let Some(open) = line.rfind("${{").filter(|open| !line.get(*open..).is_some_and(|t| t.contains("}}"))) {
            let inside = line.get(open + 3..).unwrap_or_default().to_owned();
            self.expression(&inside);
            return self.items;
        }
        if self.in_heredoc() {
            return self.items;
        }
        let words = line.trim_start();
        let Some((keyword, rest)) = words.split_once([' ', '\t']) else {
            self.keywords(words);
            return self.items;
        };
        if let Some(keyword) = Keyword::parse(keyword) {
            self.arguments(keyword, rest.trim_start());
        }
        self.items
    }

    /// The text from the beginning of the instruction to the cursor, without the ends of continued lines.
    fn logical_line(&self) -> String {
        let source = self.asked.source();
        let mut line = source.line_at(self.offset as u32);
        let start = source.line_start(line) as usize;
        let mut text = self.asked.text().get(start..self.offset).unwrap_or_default().to_owned();
        let escape =
            self.asked.analysis.files.iter().find(|(id, _)| *id == self.asked.id).map_or('\\', |(_, f)| f.escape);
        while line > 1 {
            line -= 1;
            let Some(before) = source.line(line).trim_end().strip_suffix(escape) else { break };
            text = format!("{before} {text}");
            // Longer ones are no use to anybody.
            if text.len() > 1 << 16 {
                break;
            }
        }
        text
    }

    fn in_heredoc(&self) -> bool {
        let file = self.asked.analysis.files.iter().find(|(id, _)| *id == self.asked.id);
        let offset = self.offset as u32;
        file.into_iter().flat_map(|(_, f)| f.instructions()).flat_map(|i| &i.heredocs).any(|h| {
            let first = self.asked.source().line_at(h.marker.start);
            let begins = self.asked.source().line_start(first + 1);
            begins <= offset && offset < h.end.start
        })
    }

    /// Offers something in place of the last `typed` bytes.
    fn offer(&mut self, typed: &str, mut item: CompletionItem, text: String) {
        let start = self.offset.saturating_sub(typed.len()) as u32;
        let source = self.asked.source();
        let position = |offset| self.asked.encoding.position(source, offset);
        let range = Range { start: position(start), end: position(self.offset as u32) };
        item.text_edit = Some(CompletionItemTextEdit::TextEdit(TextEdit { range, new_text: text }));
        self.items.push(item);
    }

    fn plain(&mut self, typed: &str, label: &str, kind: CompletionItemKind, detail: &str) {
        let detail = (!detail.is_empty()).then(|| detail.to_owned());
        let item = CompletionItem { label: label.to_owned(), kind: Some(kind), detail, ..Default::default() };
        self.offer(typed, item, label.to_owned());
    }

    fn keywords(&mut self, typed: &str) {
        let global = self.asked.analysis.index.stage_at(self.asked.id, self.offset as u32).is_none();
        for keyword in Keyword::ALL {
            let info = keyword.info();
            let fits = match info.place {
                Place::Anywhere | Place::Opens | Place::Placement | Place::GlobalSetting => true,
                Place::Global => global,
                Place::Machine | Place::Setting | Place::Step | Place::Hook => !global,
            };
            let item = CompletionItem {
                label: info.name.to_owned(),
                kind: Some(CompletionItemKind::Keyword),
                detail: Some(info.summary.to_owned()),
                documentation: Some(markdown(reference(*keyword))),
                insert_text_format: Some(InsertTextFormat::Snippet),
                // What can't stand here comes last.
                sort_text: Some(format!("{}{}", u8::from(!fits), info.name)),
                ..Default::default()
            };
            self.offer(typed, item, snippet(info.forms.first().copied().unwrap_or(info.name)));
        }
    }

    fn arguments(&mut self, keyword: Keyword, rest: &str) {
        let last = rest.rsplit([' ', '\t']).next().unwrap_or_default().to_owned();
        let before = rest.get(..rest.len() - last.len()).unwrap_or_default().trim().to_owned();
        let only_flags = before.split_whitespace().all(|w| w.starts_with("--"));
        if last.starts_with("--") && only_flags {
            return self.flags(keyword, &last);
        }
        if matches!(keyword, Keyword::Arg | Keyword::Key)
            && let Some((name, typed)) = rest.split_once(':')
            && !name.contains(['=', '"'])
        {
            let typed = typed.trim_start();
            if !typed.contains([' ', '=']) {
                let typed = typed.to_owned();
                TYPES.iter().for_each(|ty| self.plain(&typed, ty, CompletionItemKind::TypeParameter, ""));
            }
            return;
        }
        match keyword {
            Keyword::From if only_flags => self.stages(&last),
            Keyword::Include if only_flags => {
                let base = self.asked.path.parent().map(Path::to_path_buf).unwrap_or_default();
                return self.files(&last, &base);
            }
            Keyword::Copy if !rest.contains("--from") => {
                let base = self.asked.root.parent().map(Path::to_path_buf).unwrap_or_default();
                self.files(&last, &base);
            }
            _ => {}
        }
        // Shell text has its own words.
        if !matches!(keyword, Keyword::Run | Keyword::Note | Keyword::Annotation) {
            for word in keyword.info().words {
                let taken = before.split_whitespace().any(|w| w.eq_ignore_ascii_case(word));
                if !taken {
                    self.plain(&last, word, CompletionItemKind::Keyword, "");
                }
            }
        }
    }

    fn flags(&mut self, keyword: Keyword, typed: &str) {
        if let Some((name, value)) = typed.split_once('=') {
            let Some(flag) = keyword.flag(name.trim_start_matches('-')) else { return };
            let value = value.to_owned();
            match flag.value {
                FlagValue::OneOf(words) => {
                    words.iter().for_each(|w| self.plain(&value, w, CompletionItemKind::EnumMember, ""));
                }
                FlagValue::Value(_) if matches!(flag.name, "from" | "after") => self.stages(&value),
                FlagValue::None | FlagValue::Value(_) | FlagValue::Guest(_) => {}
            }
            return;
        }
        for flag in keyword.flags() {
            let takes = flag.value != FlagValue::None;
            let label = format!("--{}{}", flag.name, if takes { "=" } else { "" });
            self.plain(typed, &label, CompletionItemKind::Field, flag.doc);
        }
    }

    fn stages(&mut self, typed: &str) {
        let names: Vec<String> = self.asked.analysis.index.stages.iter().filter_map(|s| s.name.clone()).collect();
        for name in names {
            self.plain(typed, &name, CompletionItemKind::Class, "a stage of this file");
        }
    }

    fn files(&mut self, typed: &str, base: &Path) {
        let (directory, name) = typed.rsplit_once('/').map_or(("", typed), |(d, n)| (d, n));
        let Ok(entries) = std::fs::read_dir(base.join(directory)) else { return };
        let mut found: Vec<(String, bool)> = entries
            .filter_map(|e| {
                let e = e.ok()?;
                Some((e.file_name().into_string().ok()?, e.file_type().ok()?.is_dir()))
            })
            .filter(|(n, _)| !n.starts_with('.') && !n.contains([' ', '"', '\'']))
            .collect();
        found.sort();
        for (file, directory) in found.into_iter().take(MOST_FILES) {
            let kind = if directory { CompletionItemKind::Folder } else { CompletionItemKind::File };
            let label = if directory { format!("{file}/") } else { file };
            self.plain(name, &label, kind, "");
        }
    }

    /// Inside of `${{ … }}`.
    fn expression(&mut self, inside: &str) {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let typed: String =
            inside.chars().rev().take_while(|c| is_name(*c)).collect::<Vec<_>>().into_iter().rev().collect();
        let before = inside.get(..inside.len() - typed.len()).unwrap_or_default().trim_end();
        if before.ends_with('|') {
            for row in filter::TABLE {
                let detail = format!("{} → {}", row.takes.name(), row.gives);
                let item = CompletionItem {
                    label: row.name.to_owned(),
                    kind: Some(CompletionItemKind::Function),
                    detail: Some(detail),
                    documentation: Some(markdown(row.about.to_owned())),
                    ..Default::default()
                };
                self.offer(&typed, item, row.name.to_owned());
            }
            return;
        }
        let own = self.asked.analysis.index.stage_at(self.asked.id, self.offset as u32);
        if let Some(owner) = before.strip_suffix('.') {
            // `worker[1].` is of the same stage as `worker.`.
            let owner = owner.split('[').next().unwrap_or_default();
            let owner: String = owner.chars().rev().take_while(|c| is_name(*c) || *c == '-').collect();
            let owner: String = owner.chars().rev().collect();
            let stage = if owner == "self" { own } else { self.asked.analysis.index.stage_named(&owner) };
            if let Some(stage) = stage {
                self.names(&typed, &|d| d.kind == Kind::Key && d.stage == Some(stage));
                ATTRIBUTES.iter().for_each(|(name, about)| self.plain(&typed, name, CompletionItemKind::Field, about));
            } else if owner == "build" {
                ["id", "date"].iter().for_each(|n| self.plain(&typed, n, CompletionItemKind::Field, ""));
            }
            return;
        }
        self.names(&typed, &|d| match d.kind {
            Kind::Arg | Kind::Key | Kind::Loop => d.stage.is_none() || d.stage == own,
            Kind::Secret | Kind::Stage => true,
        });
        self.plain(&typed, "self", CompletionItemKind::Variable, "this machine");
        self.plain(&typed, "build", CompletionItemKind::Variable, "this build");
    }

    fn names(&mut self, typed: &str, which: &dyn Fn(&super::index::Definition) -> bool) {
        let index = &self.asked.analysis.index;
        let found: Vec<CompletionItem> = index
            .definitions
            .iter()
            .filter(|d| which(d))
            .map(|d| CompletionItem {
                label: d.name.clone(),
                kind: Some(match d.kind {
                    Kind::Arg | Kind::Loop => CompletionItemKind::Variable,
                    Kind::Secret => CompletionItemKind::Constant,
                    Kind::Key => CompletionItemKind::Property,
                    Kind::Stage => CompletionItemKind::Class,
                }),
                detail: Some(
                    d.ty.as_ref()
                        .map_or_else(|| d.kind.name().to_owned(), |t| format!("{} of type {t}", d.kind.name())),
                ),
                documentation: Some(markdown(describe(self.asked, d))),
                ..Default::default()
            })
            .collect();
        for item in found {
            let label = item.label.clone();
            self.offer(typed, item, label);
        }
    }
}

fn markdown(value: String) -> Documentation {
    Documentation::MarkupContent(MarkupContent { kind: MarkupKind::Markdown, value })
}

/// `FROM source [AS name]` as a snippet: `FROM ${1:source}`. What may be left out is.
fn snippet(form: &str) -> String {
    let required = form.split(" [").next().unwrap_or(form).trim_end_matches('…');
    let mut out = String::new();
    let mut number = 0;
    for (index, word) in required.split(' ').enumerate() {
        if index > 0 {
            out.push(' ');
        }
        let fixed = word.chars().all(|c| c.is_ascii_uppercase() || c == '=');
        if index == 0 || fixed {
            out.push_str(word);
        } else {
            number += 1;
            let word = word.trim_end_matches('…');
            let shown: String = word.chars().filter(|c| !matches!(c, '$' | '{' | '}' | '\\')).collect();
            out.push_str(&format!("${{{number}:{shown}}}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::snippet;

    #[test]
    fn forms_become_snippets() {
        assert_eq!(snippet("FROM source [AS name]"), "FROM ${1:source}");
        assert_eq!(snippet("ARG name: type = default"), "ARG ${1:name:} ${2:type} = ${3:default}");
        assert_eq!(snippet("REBOOT"), "REBOOT");
        assert_eq!(snippet("ENV name=value…"), "ENV ${1:name=value}");
    }
}
