//! A deployment as a VMWfile.

use super::Options;
use super::inputs::{Input, Piece, Ty};
use super::model::{Action, Deployment, Network, Step, Task};
use super::words;

/// The text of the whole file.
pub(super) fn vmwfile(deployment: &Deployment, options: &Options) -> String {
    let mut writer = Writer { out: String::new(), deployment, options, runs: 0, users: Vec::new() };
    writer.head();
    for (at, task) in deployment.tasks.iter().enumerate() {
        writer.task(at, task);
    }
    writer.out
}

struct Writer<'d> {
    out: String,
    deployment: &'d Deployment,
    options: &'d Options,
    /// How many RUN instructions there are so far.
    runs: usize,
    /// The user that each task ends with, for those that start from it.
    users: Vec<Option<String>>,
}

impl Writer<'_> {
    fn line(&mut self, text: &str) {
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn inputs(&self) -> &[Input] {
        &self.deployment.inputs.list
    }

    fn word(&self, pieces: &[Piece]) -> String {
        words::word(pieces, self.inputs())
    }

    fn head(&mut self) {
        let deployment = self.deployment;
        let mut title = "Converted from a vmwscript deployment".to_owned();
        if !deployment.label.is_empty() {
            title.push_str(&format!(": {}", deployment.label));
        }
        if !deployment.version.is_empty() {
            title.push_str(&format!(", version {}", deployment.version));
        }
        self.out.push_str(&words::comment(&title));
        self.line("");
        for input in deployment.inputs.list.iter().filter(|i| i.used || !i.for_vcenter) {
            if let Some(about) = &input.about {
                self.out.push_str(&words::comment(about));
            }
            let line = declaration(input);
            self.line(&line);
        }
        if deployment.inputs.list.iter().any(|i| i.used && !i.secret)
            && (!deployment.placement.is_empty() || deployment.login.is_some())
        {
            self.line("");
        }
        for (keyword, value) in &deployment.placement {
            let line = format!("{keyword} {}", self.word(value));
            self.line(&line);
        }
        if let Some(login) = &deployment.login {
            let password = [Piece::Hole(login.password)];
            let line = format!("LOGIN {} PASSWORD {}", self.word(&login.user), self.word(&password));
            self.line(&line);
        }
    }

    fn task(&mut self, at: usize, task: &Task) {
        self.line("");
        if !task.about.is_empty() {
            self.out.push_str(&words::comment(&task.about));
        }
        let parent = task.parent.and_then(|p| self.deployment.tasks.get(p));
        let source = parent.map_or_else(|| self.word(&task.source), |p| p.alias.clone());
        let line = format!("FROM {source} AS {}", task.alias);
        self.line(&line);
        let kind = if task.template { "TEMPLATE" } else { "VM" };
        let line = format!("OUTPUT {kind} {}", self.word(&task.output));
        self.line(&line);
        let mut user = task.parent.and_then(|p| self.users.get(p).cloned().flatten());
        if let Some(network) = &task.network {
            self.network(network, &mut user);
        }
        let login = self.deployment.login.as_ref().map(|l| self.word(&l.user));
        let wanted: Vec<Wanted> = task.steps.iter().map(|s| self.wanted(s, login.as_deref())).collect();
        for (n, step) in task.steps.iter().enumerate() {
            let flag = self.user(&wanted, n, &mut user, login.as_deref());
            self.step(step, flag.as_deref());
        }
        self.users.resize(self.users.len().max(at + 1), None);
        if let Some(last) = self.users.get_mut(at) {
            *last = user;
        }
    }

    fn network(&mut self, network: &Network, user: &mut Option<String>) {
        if let Some(address) = &network.address {
            let mut line = format!("ADDRESS {}", self.word(address));
            if let Some(gateway) = &network.gateway {
                line.push_str(&format!(" GATEWAY {}", self.word(gateway)));
            }
            if !network.dns.is_empty() {
                let servers: Vec<String> = network.dns.iter().map(|d| self.word(d)).collect();
                line.push_str(&format!(" DNS {}", servers.join(" ")));
            }
            if let Some(device) = &network.device {
                line.push_str(&format!(" DEVICE {}", self.word(device)));
            }
            self.line(&line);
        }
        if let Some(hostname) = &network.hostname {
            let line = format!("HOSTNAME {}", self.word(hostname));
            self.line(&line);
        }
        if network.address.is_none() && network.hostname.is_none() {
            return;
        }
        if let Some(wanted) = network.user.as_ref().map(|u| self.word(u)).filter(|u| user.as_ref() != Some(u)) {
            self.line(&format!("USER {wanted}"));
            *user = Some(wanted);
        }
        self.line("NOTE Restart with the network configured");
        self.line("REBOOT");
    }

    /// Who a step has to be run by.
    fn wanted(&self, step: &Step, login: Option<&str>) -> Wanted {
        match &step.action {
            Action::Run(_) | Action::RunKey { .. } => match &step.user {
                Some(user) => Wanted::User { name: self.word(user), said: true },
                None => Wanted::User { name: login.unwrap_or_default().to_owned(), said: false },
            },
            Action::Key { .. } | Action::Fetch { .. } | Action::LeftOut(_) => Wanted::Anybody,
        }
    }

    /// Writes USER where the user changes for more than one step; a `--user=` for the one that differs.
    fn user(&mut self, wanted: &[Wanted], at: usize, user: &mut Option<String>, login: Option<&str>) -> Option<String> {
        let Some(Wanted::User { name, said }) = wanted.get(at) else { return None };
        let now = user.as_deref().or(login).unwrap_or_default();
        // A step of the guest account needs no USER before there is one; and where there is no LOGIN, there is no
        // name to go back to.
        let unsaid = user.is_none() && !said;
        if user.is_some() && now == name || unsaid || name.is_empty() {
            return None;
        }
        let next = wanted.iter().skip(at + 1).find_map(|w| match w {
            Wanted::User { name, .. } => Some(name.as_str()),
            Wanted::Anybody => None,
        });
        if user.is_some() && next == Some(now) {
            return Some(name.clone());
        }
        self.line(&format!("USER {name}"));
        *user = Some(name.clone());
        None
    }

    fn step(&mut self, step: &Step, user: Option<&str>) {
        if let Action::LeftOut(what) = &step.action {
            self.out.push_str(&words::comment(what));
            return;
        }
        let note = words::prose(&step.note, self.inputs());
        if !note.is_empty() {
            self.line(&format!("NOTE {note}"));
        }
        let mut flags = String::new();
        if let Some(user) = user {
            flags.push_str(&format!(" --user={user}"));
        }
        if step.ignore {
            flags.push_str(" --allow-failure");
        }
        match &step.action {
            Action::Run(command) => self.run(command, &flags),
            Action::RunKey { stage, key } => {
                self.runs += 1;
                let owner = stage.as_ref().map(|s| format!("{s}.")).unwrap_or_default();
                // That is what an execKey is; a lint warns of it otherwise.
                if !owner.is_empty() {
                    self.line("# vmw: allow(raw-from-elsewhere)");
                }
                self.line(&format!("RUN{flags} ${{{{ {owner}{key} | raw }}}}"));
            }
            Action::Key { name, path, delete, secret } => {
                let ty = if *secret { ": secret" } else { "" };
                let delete = if *delete { " DELETE" } else { "" };
                let line = format!("KEY {name}{ty} FROM FILE {}{delete}", self.word(path));
                self.line(&line);
            }
            Action::Fetch { path, delete } => {
                let line = format!("FETCH {} ./", self.word(path));
                self.line(&line);
                if *delete {
                    let command = [&[Piece::Text("rm -f -- ".to_owned())], &*words::shell_word(path)].concat();
                    self.run(&command, "");
                }
            }
            Action::LeftOut(_) => {}
        }
    }

    fn run(&mut self, command: &[Piece], flags: &str) {
        let by_environment = self.options.by_environment.contains(&self.runs);
        self.runs += 1;
        let shell = words::shell(command, self.inputs(), by_environment);
        let mut flags = flags.to_owned();
        for (variable, value) in &shell.environment {
            flags.push_str(&format!(" --env={variable}={value}"));
        }
        if words::fits_a_line(&shell.text) {
            self.line(&format!("RUN{flags} {}", shell.text));
            return;
        }
        let mut end = "EOS".to_owned();
        while shell.text.lines().any(|l| l.trim() == end) {
            end.push('S');
        }
        self.line(&format!("RUN{flags} <<{end}"));
        self.line(&shell.text);
        self.line(&end);
    }
}

/// Who runs a step.
enum Wanted {
    /// A name; empty for the guest account where no LOGIN names it. Whether the command says so itself.
    User {
        name: String,
        said: bool,
    },
    Anybody,
}

/// The line of an ARG or SECRET.
fn declaration(input: &Input) -> String {
    let name = &input.name;
    if input.secret {
        return format!("SECRET {name}");
    }
    let default = input.default.as_deref();
    let (ty, value) = match (input.ty, default) {
        (Ty::String, Some(text)) => ("", Some(words::string(text))),
        (Ty::String, None) => ("", None),
        (Ty::Int, Some(text)) => match text.trim().parse::<i64>() {
            Ok(number) => (": int", Some(number.to_string())),
            Err(_) => ("", Some(words::string(text))),
        },
        (Ty::Int, None) => (": int", None),
        (Ty::Bool, Some(text)) => match text.trim().parse::<bool>() {
            Ok(value) => (": bool", Some(value.to_string())),
            Err(_) => ("", Some(words::string(text))),
        },
        (Ty::Bool, None) => (": bool", None),
        (Ty::Ip, default) => (": ip", default.map(words::string)),
        (Ty::Cidr, default) => (": cidr", default.map(words::string)),
    };
    match value {
        Some(value) => format!("ARG {name}{ty} = {value}"),
        None => format!("ARG {name}{ty}"),
    }
}
