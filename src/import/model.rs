//! From JSON to a deployment: what its tasks do, with everything named and every doubt reported.

use std::collections::{HashMap, HashSet};

use crate::diagnostic::{Diagnostic, Problems};
use crate::source::Span;

use super::codes;
use super::fields::{Fields, Words};
use super::inputs::{Inputs, Piece, Ty, one_line};
use super::json::{Document, Kind, Value};
use super::names::{is_sensitive, name_of};
use super::passwords::{self, Hidden};

mod steps;

/// A text with values in it.
pub(super) type Pieces = Vec<Piece>;

/// Everything that is written.
#[derive(Debug)]
pub(super) struct Deployment {
    pub(super) label: String,
    pub(super) version: String,
    pub(super) inputs: Inputs,
    /// Keyword and value.
    pub(super) placement: Vec<(&'static str, Pieces)>,
    pub(super) login: Option<Login>,
    pub(super) tasks: Vec<Task>,
}

/// The guest's account.
#[derive(Debug)]
pub(super) struct Login {
    pub(super) user: Pieces,
    /// The SECRET.
    pub(super) password: usize,
}

/// One task: a stage.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) about: String,
    pub(super) alias: String,
    pub(super) source: Pieces,
    /// The task whose template it is made from.
    pub(super) parent: Option<usize>,
    pub(super) template: bool,
    pub(super) output: Pieces,
    pub(super) network: Option<Network>,
    pub(super) steps: Vec<Step>,
}

/// `networkConfig`.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) address: Option<Pieces>,
    pub(super) gateway: Option<Pieces>,
    pub(super) dns: Vec<Pieces>,
    pub(super) device: Option<Pieces>,
    pub(super) hostname: Option<Pieces>,
    pub(super) user: Option<Pieces>,
}

/// One command.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) note: Pieces,
    pub(super) user: Option<Pieces>,
    pub(super) ignore: bool,
    pub(super) action: Action,
}

/// What it does.
#[derive(Debug)]
pub(super) enum Action {
    Run(Pieces),
    /// Runs the text of a key, of another stage or of its own.
    RunKey {
        stage: Option<String>,
        key: String,
    },
    Key {
        name: String,
        path: Pieces,
        delete: bool,
        secret: bool,
    },
    Fetch {
        path: Pieces,
        delete: bool,
    },
    /// A comment, since there is nothing like it.
    LeftOut(String),
}

const PLAN: &[&str] = &["label", "version", "vmconfig", "deployment"];
const CONFIG: &[&str] =
    &["vcenterURL", "datacentre", "datastore", "network", "host", "template", "guestCredentials", "command", "vmname"];
const CREDENTIALS: &[&str] = &["guestUser", "guestPass"];
const TASK: &[&str] = &["name", "note", "task"];
const INNER: &[&str] = &["inputTemplate", "outputName", "outputType", "networkConfig", "import", "version", "commands"];
const NETWORK: &[&str] = &["distro", "device", "address", "gateway", "dns", "hostname", "sudoUser"];
const COMMAND: &[&str] =
    &["type", "note", "cmd", "sudoUser", "execKey", "resultKey", "ignore", "filePath", "delAfterDownload"];

/// Distributions whose way of setting the network `ADDRESS` finds out by itself.
const KNOWN_DISTROS: &[&str] = &[
    "centos",
    "rhel",
    "redhat",
    "fedora",
    "rocky",
    "alma",
    "almalinux",
    "oracle",
    "debian",
    "ubuntu",
    "photon",
    "suse",
];

/// Reads a deployment; `None`, with an error, when the JSON is none.
pub(super) fn read(document: Document, hidden: &mut Hidden, problems: &mut Problems) -> Option<Deployment> {
    let mut making = Making {
        inputs: Inputs::default(),
        hidden,
        problems,
        login: None,
        template: None,
        keys: HashMap::new(),
        other_user: Vec::new(),
        may_fail: None,
    };
    for call in &document.calls {
        making.inputs.declare(call, making.problems);
    }
    making.plan(&document.root)
}

struct Making<'a> {
    inputs: Inputs,
    hidden: &'a mut Hidden,
    problems: &'a mut Problems,
    login: Option<Login>,
    /// `vmconfig.template`.
    template: Option<Pieces>,
    /// resultKey → the stage that captured it last, and its name there.
    keys: HashMap<String, (usize, String)>,
    /// Commands of which vmwscript ran a part as another user.
    other_user: Vec<Span>,
    /// The first command whose failure now counts.
    may_fail: Option<Span>,
}

impl Making<'_> {
    fn plan(mut self, root: &Value) -> Option<Deployment> {
        let Kind::Object(members) = &root.kind else { return None };
        if !members.iter().any(|m| m.key.eq_ignore_ascii_case("deployment")) {
            let brace = Span { end: root.span.start + 1, ..root.span };
            self.problems.push(
                Diagnostic::at(&codes::NOT_A_DEPLOYMENT, brace, "this is JSON, but no deployment of vmwscript")
                    .primary(brace, "there is no field `deployment` in it")
                    .help("a deployment is an object with `label`, `vmconfig` and a list `deployment`"),
            );
            return None;
        }
        let fields = Fields::of(root, "a deployment", PLAN, self.problems)?;
        let label = self.plain(&fields, "label");
        let version = self.plain(&fields, "version");
        let mut placement = Vec::new();
        if let Some(config) = fields.get("vmconfig")
            && let Some(config) = Fields::of(config, "`vmconfig`", CONFIG, self.problems)
        {
            placement = self.config(&config);
        }
        let Some(items) = fields.list("deployment", self.problems) else {
            let place = fields.place("deployment");
            self.problems.push(Diagnostic::at(
                &codes::NOT_A_DEPLOYMENT,
                place,
                "`deployment` holds no list of tasks, so there is nothing to convert",
            ));
            return None;
        };
        if items.is_empty() {
            let message = "`deployment` is empty: the VMWfile has no stage";
            self.problems.push(Diagnostic::at(&codes::MISSING_FIELD, fields.place("deployment"), message));
        }
        let tasks = self.tasks(items);
        self.conclude();
        Some(Deployment { label, version, inputs: self.inputs, placement, login: self.login, tasks })
    }

    /// What is said once for the whole file.
    fn conclude(&mut self) {
        if let Some((first, others)) = self.other_user.split_first() {
            let mut diagnostic = Diagnostic::at(
                &codes::OTHER_USER,
                *first,
                "all of this command now runs as `sudoUser`, not only its first part",
            )
            .help("see whether the parts after `;`, `&&`, `|` and `>`, and `$HOME`, should be that user's");
            for other in others.iter().take(8) {
                diagnostic = diagnostic.label(*other, "this one too");
            }
            if others.len() > 8 {
                diagnostic = diagnostic.note(format!("and {} more", others.len() - 8));
            }
            self.problems.push(diagnostic);
        }
        if let Some(span) = self.may_fail {
            self.problems.push(
                Diagnostic::at(
                    &codes::FAILURES_STOP,
                    span,
                    "vmwscript went on after a failed command; a stage ends there",
                )
                .help("`--ok=0,1` says which exit codes are fine, `--allow-failure` that none matters"),
            );
        }
        for input in self.inputs.list.iter().filter(|i| i.for_vcenter && !i.used) {
            self.problems.push(
                Diagnostic::at(&codes::NO_COUNTERPART, input.span, "vCenter's address is no value of a VMWfile")
                    .help("give it to `vmwbuild build`: `--vcenter URL`, or the variable VMWBUILD_VCENTER"),
            );
        }
        for input in self.inputs.list.iter().filter(|i| i.secret) {
            if let Some(default) = &input.default {
                self.hidden.inside(input.span, passwords::in_address(default).unwrap_or(default));
                let vcenter = input.for_vcenter && !input.used;
                if !vcenter {
                    self.problems.push(password_taken_out(
                        input.span,
                        &input.name,
                        "the default of a password is left out",
                    ));
                }
            }
        }
    }

    /// A field's text without its calls' values, on one line; for comments.
    fn plain(&mut self, fields: &Fields<'_>, name: &str) -> String {
        let Some(words) = fields.text(name, self.problems) else { return String::new() };
        let pieces = self.pieces(&words);
        let text: String = pieces
            .iter()
            .map(|p| match p {
                Piece::Text(text) => text.clone(),
                Piece::Hole(index) => self.inputs.list.get(*index).map(|i| format!("<{}>", i.name)).unwrap_or_default(),
            })
            .collect();
        one_line(&text)
    }

    /// A text with values; its inputs are in use.
    fn pieces(&mut self, words: &Words) -> Pieces {
        let mut pieces = self.inputs.pieces(&words.parts, self.problems);
        let mut odd = false;
        for piece in &mut pieces {
            match piece {
                Piece::Text(text) => {
                    let clean = text.replace("\r\n", "\n");
                    let kept: String = clean.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
                    odd |= kept.len() != clean.len();
                    *text = kept;
                }
                Piece::Hole(index) => {
                    if let Some(input) = self.inputs.list.get_mut(*index) {
                        input.used = true;
                    }
                }
            }
        }
        if odd {
            let message = "control characters in this text are left out";
            self.problems.push(Diagnostic::at(&codes::CONTROL_CHARACTER, words.span, message));
        }
        pieces
    }

    /// A name, path or address: blanks around it taken off, secrets refused.
    fn word(&mut self, fields: &Fields<'_>, name: &str) -> Option<Pieces> {
        let words = fields.text(name, self.problems)?;
        let mut pieces = self.pieces(&words);
        if let Some(Piece::Text(first)) = pieces.first_mut() {
            *first = first.trim_start().to_owned();
        }
        if let Some(Piece::Text(last)) = pieces.last_mut() {
            *last = last.trim_end().to_owned();
        }
        pieces.retain(|p| !matches!(p, Piece::Text(t) if t.is_empty()));
        self.no_secrets(&mut pieces, words.span);
        (!pieces.is_empty()).then_some(pieces)
    }

    /// Puts a secret's name where its value must not be seen.
    fn no_secrets(&mut self, pieces: &mut Pieces, span: Span) {
        for piece in pieces {
            let Piece::Hole(index) = piece else { continue };
            let Some(input) = self.inputs.list.get(*index).filter(|i| i.secret) else { continue };
            self.problems.push(
                Diagnostic::at(&codes::SECRET_SHOWN, span, format!("the secret `{}` would be shown here", input.name))
                    .help("if it isn't secret, give the variable another name, and convert again"),
            );
            *piece = Piece::Text(input.name.clone());
        }
    }

    /// Gives an input the type of the argument that it is the whole of.
    fn typed(&mut self, pieces: &Pieces, ty: Ty) {
        if let [Piece::Hole(index)] = pieces.as_slice()
            && let Some(input) = self.inputs.list.get_mut(*index)
        {
            input.ty = ty;
        }
    }

    fn config(&mut self, fields: &Fields<'_>) -> Vec<(&'static str, Pieces)> {
        if let Some(words) = fields.text("vcenterURL", self.problems) {
            let pieces = self.inputs.pieces(&words.parts, self.problems);
            let mut inputs = false;
            for piece in &pieces {
                if let Piece::Hole(index) = piece
                    && let Some(input) = self.inputs.list.get_mut(*index)
                {
                    input.for_vcenter = true;
                    inputs = true;
                }
            }
            if !inputs {
                let message = "vCenter's address and account are no part of a VMWfile";
                self.problems.push(
                    Diagnostic::at(&codes::NO_COUNTERPART, fields.place("vcenterURL"), message)
                        .help("give them to `vmwbuild build`: `--vcenter URL`, or the variable VMWBUILD_VCENTER"),
                );
            }
        }
        let mut placement = Vec::new();
        for (name, keyword) in
            [("datacentre", "DATACENTER"), ("host", "HOST"), ("datastore", "DATASTORE"), ("network", "NETWORK")]
        {
            if let Some(value) = self.word(fields, name) {
                placement.push((keyword, value));
            }
        }
        self.template = self.word(fields, "template");
        for name in ["command", "vmname"] {
            if fields.text(name, self.problems).is_some() {
                let message = "running a command on a machine that is there already has no counterpart";
                self.problems.push(
                    Diagnostic::at(&codes::NO_COUNTERPART, fields.place(name), message)
                        .help("a VMWfile's steps run on machines that it makes"),
                );
            }
        }
        if let Some(credentials) = fields.get("guestCredentials")
            && let Some(credentials) = Fields::of(credentials, "`guestCredentials`", CREDENTIALS, self.problems)
        {
            self.credentials(&credentials);
        }
        placement
    }

    fn credentials(&mut self, fields: &Fields<'_>) {
        let user = self.word(fields, "guestUser");
        let given = fields.text("guestPass", self.problems);
        let Some(user) = user else {
            if given.is_some() {
                let message = "a password without a user makes no LOGIN";
                self.problems.push(
                    Diagnostic::at(&codes::MISSING_FIELD, fields.place("guestPass"), message)
                        .help("give both to `vmwbuild build`: `--login USER --login-password-file FILE`"),
                );
            }
            return;
        };
        let pieces = given.as_ref().map(|words| self.inputs.pieces(&words.parts, self.problems));
        let password = match pieces.as_deref() {
            Some([Piece::Hole(index)]) => {
                let index = *index;
                if let Some(input) = self.inputs.list.get_mut(index) {
                    input.secret = true;
                    input.used = true;
                }
                index
            }
            _ => {
                let wanted = match user.as_slice() {
                    [Piece::Text(user)] => format!("{}_password", name_of(user, "user")),
                    _ => "guest_password".to_owned(),
                };
                let index = self.inputs.add_secret(&wanted, fields.place("guestPass"));
                let name = self.inputs.list.get(index).map(|i| i.name.clone()).unwrap_or_default();
                if given.is_some() {
                    let message = "the guest's password is left out";
                    self.problems.push(password_taken_out(fields.place("guestPass"), &name, message));
                }
                index
            }
        };
        self.login = Some(Login { user, password });
    }

    fn tasks(&mut self, items: &[Value]) -> Vec<Task> {
        let mut read = Vec::new();
        for item in items {
            if let Some(fields) = Fields::of(item, "a task of `deployment`", TASK, self.problems) {
                let inner = fields.get("task").and_then(|t| Fields::of(t, "a `task`", INNER, self.problems));
                if inner.is_none() && fields.get("task").is_none() {
                    self.problems.push(
                        Diagnostic::at(
                            &codes::MISSING_FIELD,
                            fields.place("task"),
                            "there is no `task` in this object",
                        )
                        .help("it is left out"),
                    );
                }
                read.extend(inner.map(|inner| (fields, inner)));
            }
        }
        let mut tasks: Vec<Task> = read.iter().map(|(outer, inner)| self.head(outer, inner)).collect();
        self.alias(&mut tasks, &read);
        self.parents(&mut tasks, &read);
        for (at, (_, inner)) in read.iter().enumerate() {
            let mut own = HashSet::new();
            let steps = self.steps(inner, at, &tasks, &mut own);
            let network = self.network(inner);
            if let Some(task) = tasks.get_mut(at) {
                task.steps = steps;
                task.network = network;
            }
        }
        tasks
    }

    /// What a task starts from and leaves.
    fn head(&mut self, outer: &Fields<'_>, inner: &Fields<'_>) -> Task {
        let (name, note) = (self.plain(outer, "name"), self.plain(outer, "note"));
        let about = match (name.is_empty(), note.is_empty()) {
            (false, false) if name != note => format!("{name} - {note}"),
            (true, _) => note,
            (false, _) => name,
        };
        let source = self.word(inner, "inputTemplate").or_else(|| self.template.clone()).unwrap_or_else(|| {
            let index = self.inputs.add_arg("template", "The template to start from", inner.place("inputTemplate"));
            let name = self.inputs.list.get(index).map(|i| i.name.clone()).unwrap_or_default();
            self.problems.push(
                Diagnostic::at(&codes::MISSING_FIELD, inner.place("inputTemplate"), "the task has no `inputTemplate`")
                    .help(format!("ARG `{name}` stands in its place: write the template's name there")),
            );
            vec![Piece::Hole(index)]
        });
        let kind = self.plain(inner, "outputType");
        let template = kind.eq_ignore_ascii_case("template");
        if !template && !kind.eq_ignore_ascii_case("vm") {
            let message = match kind.as_str() {
                "" => "the task has no `outputType`".to_owned(),
                kind => format!("`outputType` is `Template` or `VM`, not `{kind}`"),
            };
            self.problems.push(
                Diagnostic::at(&codes::MISSING_FIELD, inner.place("outputType"), message)
                    .help("vmwscript left a running machine then, and so does the VMWfile"),
            );
        }
        let output = self.word(inner, "outputName").unwrap_or_default();
        for name in ["import", "version"] {
            if inner.text(name, self.problems).is_some() {
                let message = format!("`{name}` of a task had no effect, and has no counterpart");
                self.problems.push(Diagnostic::at(&codes::NO_COUNTERPART, inner.place(name), message));
            }
        }
        Task { about, alias: String::new(), source, parent: None, template, output, network: None, steps: Vec::new() }
    }

    /// Names the stages: as the tasks, or as what they leave where several tasks have one name.
    fn alias(&mut self, tasks: &mut [Task], read: &[(Fields<'_>, Fields<'_>)]) {
        let mut own: Vec<String> = read.iter().map(|(outer, _)| name_of(&self.plain_again(outer), "stage")).collect();
        let outputs: Vec<String> = tasks.iter().map(|t| name_of(&literal(&t.output), "stage")).collect();
        let mut count: HashMap<String, usize> = HashMap::new();
        own.iter().for_each(|name| *count.entry(name.clone()).or_default() += 1);
        for (at, name) in own.iter_mut().enumerate() {
            let twice = count.get(name).is_some_and(|n| *n > 1);
            if (twice || name.is_empty())
                && let Some(output) = outputs.get(at).filter(|o| !o.is_empty())
            {
                name.clone_from(output);
            }
        }
        for ((at, task), name) in tasks.iter_mut().enumerate().zip(own) {
            task.alias = self.inputs.names.take(&name, "stage");
            if task.output.is_empty() {
                let place = read.get(at).map(|(_, inner)| inner.place("outputName"));
                if let Some(place) = place {
                    self.problems.push(
                        Diagnostic::at(&codes::MISSING_FIELD, place, "the task has no `outputName`")
                            .help(format!("what it makes is called `{}`", task.alias)),
                    );
                }
                task.output = vec![Piece::Text(task.alias.clone())];
            }
        }
    }

    /// A task's name, for the second time: nothing is reported.
    fn plain_again(&mut self, outer: &Fields<'_>) -> String {
        let words = outer.text("name", &mut Problems::new());
        let pieces = words.map(|w| self.inputs.pieces(&w.parts, &mut Problems::new())).unwrap_or_default();
        literal(&pieces)
    }

    /// Finds the tasks that start from what others make.
    fn parents(&mut self, tasks: &mut [Task], read: &[(Fields<'_>, Fields<'_>)]) {
        let mut made: HashMap<Pieces, (usize, bool)> = HashMap::new();
        for (at, task) in tasks.iter().enumerate() {
            made.entry(task.output.clone()).or_insert((at, task.template));
        }
        for (at, task) in tasks.iter_mut().enumerate() {
            let Some((parent, template)) = made.get(&task.source).filter(|(n, _)| *n != at) else { continue };
            let parent = *parent;
            if *template {
                task.parent = Some(parent);
            }
            if !*template || parent > at {
                let Some((_, inner)) = read.get(at) else { continue };
                let place = inner.place("inputTemplate");
                let message = if *template {
                    "this template is made by a later task"
                } else {
                    "this is a machine that another task leaves running"
                };
                self.problems.push(
                    Diagnostic::at(&codes::RUNNING_SOURCE, place, message)
                        .help("let an earlier task make a template, and both start from that"),
                );
            }
        }
    }

    fn network(&mut self, inner: &Fields<'_>) -> Option<Network> {
        let fields = Fields::of(inner.get("networkConfig")?, "`networkConfig`", NETWORK, self.problems)?;
        let distro = self.plain(&fields, "distro");
        if !distro.is_empty() && !KNOWN_DISTROS.contains(&distro.to_ascii_lowercase().as_str()) {
            let message = format!("ADDRESS isn't told that the guest is `{distro}`");
            self.problems.push(
                Diagnostic::at(&codes::NO_COUNTERPART, fields.place("distro"), message)
                    .help("it finds out how the guest is configured; `--method=` names a way if it shouldn't"),
            );
        }
        let address = self.word(&fields, "address");
        let gateway = self.word(&fields, "gateway");
        let dns: Vec<Pieces> = self.word(&fields, "dns").map(|p| split(&p)).unwrap_or_default();
        address.iter().for_each(|a| self.typed(a, Ty::Cidr));
        gateway.iter().chain(&dns).for_each(|a| self.typed(a, Ty::Ip));
        let network = Network {
            address,
            gateway,
            dns,
            device: self.word(&fields, "device"),
            hostname: self.word(&fields, "hostname"),
            user: self.word(&fields, "sudoUser"),
        };
        if network.address.is_none() && (network.gateway.is_some() || !network.dns.is_empty()) {
            self.problems.push(
                Diagnostic::at(&codes::MISSING_FIELD, fields.place("address"), "`networkConfig` has no `address`")
                    .help("gateway and DNS need one, and are left out; `ADDRESS DHCP` asks for an address"),
            );
        }
        Some(network)
    }
}

fn password_taken_out(span: Span, name: &str, message: &str) -> Diagnostic {
    Diagnostic::at(&codes::PASSWORD_TAKEN_OUT, span, message)
        .help(format!("it is SECRET `{name}` now: give it by `--secret id={name},env=VARIABLE`, or when asked"))
}

/// The text of the literal parts.
pub(super) fn literal(pieces: &[Piece]) -> String {
    let text = |p: &Piece| match p {
        Piece::Text(text) => Some(text.clone()),
        Piece::Hole(_) => None,
    };
    pieces.iter().filter_map(text).collect()
}

/// A list in one text, split at blanks and commas.
fn split(pieces: &[Piece]) -> Vec<Pieces> {
    let mut out: Vec<Pieces> = vec![Pieces::new()];
    for piece in pieces {
        match piece {
            Piece::Hole(_) => {
                if let Some(last) = out.last_mut() {
                    last.push(piece.clone());
                }
            }
            Piece::Text(text) => {
                for (n, word) in text.split([' ', '\t', '\n', ',']).enumerate() {
                    if n > 0 {
                        out.push(Pieces::new());
                    }
                    if let Some(last) = out.last_mut().filter(|_| !word.is_empty()) {
                        last.push(Piece::Text(word.to_owned()));
                    }
                }
            }
        }
    }
    out.retain(|word| !word.is_empty());
    out
}

/// Whether more than one command stands in a text, or the home directory of whoever runs it.
fn has_parts(text: &str) -> bool {
    let mut quote = None;
    let mut chars = text.trim().chars().peekable();
    let mut before = ' ';
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None | Some('"'), '\\') => {
                chars.next();
            }
            (None, ';' | '|' | '>' | '\n') => return true,
            (None, '&') if chars.peek() == Some(&'&') => return true,
            (None, '~') if before == ' ' || before == '=' => return true,
            (None | Some('"'), '$') if chars.peek() == Some(&'H') => {
                let rest: String = chars.clone().take(4).collect();
                if rest == "HOME" {
                    return true;
                }
            }
            _ => {}
        }
        before = c;
    }
    false
}
