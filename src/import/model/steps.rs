//! The commands of a task: what each does.

use super::*;

impl Making<'_> {
    pub(super) fn steps(
        &mut self,
        inner: &Fields<'_>,
        stage: usize,
        tasks: &[Task],
        own: &mut HashSet<String>,
    ) -> Vec<Step> {
        let mut steps = Vec::new();
        for item in inner.list("commands", self.problems).unwrap_or_default() {
            if let Some(fields) = Fields::of(item, "a command", COMMAND, self.problems) {
                let step = self.step(&fields, stage, tasks, own);
                steps.extend(step);
            }
        }
        steps
    }

    fn step(&mut self, fields: &Fields<'_>, stage: usize, tasks: &[Task], own: &mut HashSet<String>) -> Option<Step> {
        let kind = self.plain(fields, "type");
        let note = fields.text("note", self.problems).map(|w| {
            let mut pieces = self.pieces(&w);
            self.no_secrets(&mut pieces, w.span);
            pieces
        });
        let user = self.word(fields, "sudoUser");
        let ignore = fields.flag("ignore", self.problems);
        let (action, idle): (Action, &[&str]) = match kind.as_str() {
            "execute" => {
                let action = self.execute(fields, user.as_ref(), ignore, stage, tasks)?;
                (action, &["resultKey", "filePath", "delAfterDownload"])
            }
            "download" => (self.download(fields, stage, own)?, &["cmd", "execKey", "sudoUser", "ignore"]),
            kind => {
                let message = match kind {
                    "" => "this command has no `type`".to_owned(),
                    kind => format!("vmwscript had no command of type `{kind}`"),
                };
                let near = crate::diagnostic::did_you_mean(kind, ["execute", "download"]);
                let help = near.map_or("a comment stands in its place".to_owned(), |n| {
                    format!("did you mean `{n}`? vmwscript passed over it; a comment stands in its place")
                });
                self.problems.push(Diagnostic::at(&codes::UNKNOWN_STEP, fields.place("type"), message).help(help));
                let what = format!("A command of type \"{}\" stood here; vmwscript passed over it", one_line(kind));
                (Action::LeftOut(what), &[])
            }
        };
        for name in idle {
            let said = match fields.get(name).map(|v| &v.kind) {
                None | Some(Kind::Bool(false)) => false,
                Some(_) => fields.text(name, &mut Problems::new()).is_some(),
            };
            if said {
                let message = format!("`{name}` means nothing in a command of type `{kind}`");
                self.problems.push(
                    Diagnostic::at(&codes::NO_COUNTERPART, fields.place(name), message)
                        .help("vmwscript ignored it, and it is left out"),
                );
            }
        }
        let user = user.filter(|_| kind == "execute");
        Some(Step { note: note.unwrap_or_default(), user, ignore: ignore && kind == "execute", action })
    }

    fn execute(
        &mut self,
        fields: &Fields<'_>,
        user: Option<&Pieces>,
        ignore: bool,
        stage: usize,
        tasks: &[Task],
    ) -> Option<Action> {
        let command = fields.text("cmd", self.problems);
        let key = fields.text("execKey", self.problems);
        let span = key.as_ref().or(command.as_ref()).map_or_else(|| fields.place("type"), |w| w.span);
        let action = match (key, command) {
            (Some(key), command) => {
                if command.is_some() {
                    let message = "`cmd` beside `execKey` had no effect";
                    self.problems.push(
                        Diagnostic::at(&codes::NO_COUNTERPART, fields.place("cmd"), message).help("it is left out"),
                    );
                }
                self.run_key(&key, stage, tasks)
            }
            (None, Some(command)) => self.command(&command, user),
            (None, None) => {
                self.problems.push(
                    Diagnostic::at(&codes::MISSING_FIELD, span, "this command has neither `cmd` nor `execKey`")
                        .help("there is nothing to run, and it is left out"),
                );
                return None;
            }
        };
        if matches!(action, Action::LeftOut(_)) {
            return Some(action);
        }
        if ignore {
            self.problems.push(
                Diagnostic::at(
                    &codes::NOT_WAITED_FOR,
                    fields.place("ignore"),
                    "vmwscript didn't wait for this command",
                )
                .help("it is waited for now, and may fail (`--allow-failure`); end it with `&` to leave it running"),
            );
        } else {
            self.may_fail.get_or_insert(span);
        }
        Some(action)
    }

    fn run_key(&mut self, key: &Words, stage: usize, tasks: &[Task]) -> Action {
        let name = literal(&self.inputs.pieces(&key.parts, self.problems));
        match self.keys.get(&name) {
            Some((owner, name)) if *owner == stage => Action::RunKey { stage: None, key: name.clone() },
            Some((owner, name)) => {
                let stage = tasks.get(*owner).map(|t| t.alias.clone());
                Action::RunKey { stage, key: name.clone() }
            }
            None => {
                let message = format!("nothing before this step captures the key `{name}`");
                let mut diagnostic = Diagnostic::at(&codes::KEY_NOT_CAPTURED, key.span, message);
                let near = crate::diagnostic::did_you_mean(&name, self.keys.keys().map(String::as_str));
                if let Some(near) = near {
                    diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
                }
                self.problems.push(diagnostic);
                Action::LeftOut(format!(
                    "The text of the key \"{}\" was run here, which nothing captured",
                    one_line(&name)
                ))
            }
        }
    }

    fn command(&mut self, words: &Words, user: Option<&Pieces>) -> Action {
        let pieces = self.pieces(words);
        let other = match (&self.login, user) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(login), Some(user)) => login.user != *user,
        };
        if other && has_parts(&literal(&pieces)) {
            self.other_user.push(words.span);
        }
        Action::Run(self.without_passwords(pieces, words.span))
    }

    /// The command with SECRETs where it had passwords in clear.
    fn without_passwords(&mut self, pieces: Pieces, span: Span) -> Pieces {
        let mut out = Pieces::new();
        let mut before = String::new();
        for piece in pieces {
            let Piece::Text(text) = piece else {
                // Stands for a value while quotes are counted.
                before.push('x');
                out.push(piece);
                continue;
            };
            let mut from = 0;
            for found in passwords::in_command(&text) {
                self.hidden.inside(span, &found.value);
                let until = text.get(..found.range.start).unwrap_or_default();
                if !found.free || passwords::inside_quotes(&format!("{before}{until}")) {
                    let message = format!("what looks like the password of `{}` stays in the command", found.name);
                    self.problems.push(
                        Diagnostic::at(&codes::PASSWORD_LEFT, span, message)
                            .help("declare a SECRET, and put `${{ name }}` in its place by hand"),
                    );
                    continue;
                }
                let index = self.inputs.add_secret(&name_of(&found.name, "password"), span);
                let name = self.inputs.list.get(index).map(|i| i.name.clone()).unwrap_or_default();
                self.problems.push(password_taken_out(
                    span,
                    &name,
                    &format!("the value of `{}` in this command is left out", found.name),
                ));
                if let Some(literal) = text.get(from..found.range.start).filter(|t| !t.is_empty()) {
                    out.push(Piece::Text(literal.to_owned()));
                }
                out.push(Piece::Hole(index));
                from = found.range.end;
            }
            if let Some(rest) = text.get(from..).filter(|t| !t.is_empty()) {
                out.push(Piece::Text(rest.to_owned()));
            }
            before.push_str(&text);
        }
        out
    }

    fn download(&mut self, fields: &Fields<'_>, stage: usize, own: &mut HashSet<String>) -> Option<Action> {
        let Some(path) = self.word(fields, "filePath") else {
            self.problems.push(
                Diagnostic::at(&codes::MISSING_FIELD, fields.place("filePath"), "this download has no `filePath`")
                    .help("there is nothing to read, and it is left out"),
            );
            return None;
        };
        let delete = fields.flag("delAfterDownload", self.problems);
        let Some(key) = fields.text("resultKey", self.problems) else {
            self.problems.push(
                Diagnostic::at(&codes::MISSING_FIELD, fields.place("resultKey"), "this download has no `resultKey`")
                    .help("vmwscript read the file and kept nothing; the VMWfile fetches it into its directory"),
            );
            return Some(Action::Fetch { path, delete });
        };
        let written = literal(&self.inputs.pieces(&key.parts, self.problems));
        let name = self.inputs.names.take_key(own, &written);
        self.keys.insert(written.clone(), (stage, name.clone()));
        Some(Action::Key { name, path, delete, secret: is_sensitive(&written) })
    }
}
