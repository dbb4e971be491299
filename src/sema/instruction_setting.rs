//! Placement, the machine, its network, and who runs its steps.

use std::sync::Arc;

use indexmap::map::Entry;

use crate::diagnostic::{Diagnostic, Problems};
use crate::source::Span;
use crate::syntax::Keyword;
use crate::syntax::ast::{Body, Instruction, Pair, Text, Type};

use super::check::Checker;
use super::expr::Scope;
use super::instruction::{Number, via};
use super::machine::{Making, bad_argument};
use super::names_scope::{Moment, Place};
use super::program::{
    Address, BY_POLICY, EnvVar, Hostname, Login, NetworkMethod, Os, RunAs, Setting, Tag, Template, TemplatePiece, Via,
};
use super::script::ShellKind;
use super::text::{Known, Secrets, Usage, check_arg, check_env, check_static, check_static_text, check_text};
use super::value::Value;
use super::{codes, names};

const STORED: Secrets<'static> = Secrets::Refused("what vCenter stores can be read there");
const CONFIGURED: Secrets<'static> = Secrets::Refused("network settings are no secrets, and are shown");

/// Arguments of ADDRESS.
pub(super) const NETWORK: Usage<'static> = Usage { what: "a network address", secrets: CONFIGURED };

const MIB: u64 = 1 << 20;

impl Checker<'_> {
    /// One instruction that is no step. None if it has errors (or, in `lint`, hangs on what has no value).
    pub(super) fn setting(
        &mut self,
        making: &mut Making,
        instruction: &Instruction,
        problems: &mut Problems,
    ) -> Option<()> {
        let steps = making.place(Moment::Steps);
        let keyword = instruction.keyword.node;
        match &instruction.body {
            Body::Placement { value } => {
                let place = making.place(Moment::Before("placement"));
                let setting = self.placement_setting(instruction, value.as_ref(), place, problems)?;
                let policy = self.policy_value(instruction, place, problems);
                if let Entry::Vacant(free) = making.placement.entry(keyword) {
                    free.insert(setting);
                    making.policy = policy.or(making.policy.take());
                }
            }
            Body::Cpu { count, cores } => self.cpu(making, count, cores.as_ref(), problems)?,
            Body::Memory { size } => self.memory(making, size, problems)?,
            Body::Disk { words } => self.disk(making, instruction, words, problems)?,
            Body::Nic { words } => self.nic(making, instruction, words, problems)?,
            Body::Cdrom { words } => self.cdrom(making, instruction, words, problems)?,
            Body::Hardware { pairs } => self.hardware_settings(making, instruction, pairs, problems)?,
            Body::Config { pairs } => {
                let config = self.stored_pairs(making, "CONFIG", pairs, problems)?;
                making.hardware.config.extend(config);
            }
            Body::Label { pairs } => {
                let labels = self.stored_pairs(making, "LABEL", pairs, problems)?;
                making.hardware.labels.extend(labels);
            }
            Body::Tag { words } => self.tags(making, words, problems)?,
            Body::Annotation { text } => {
                let place = making.place(Moment::Reconfigured);
                let usage = Usage { what: "an ANNOTATION", secrets: STORED };
                let annotation = check_text(text, usage, &self.view(place), problems)?;
                no_control(&annotation, text.span, "an ANNOTATION", problems)?;
                making.hardware.annotation = Some(annotation);
            }
            Body::Address { .. } => {
                let address = self.address(making, instruction, problems)?;
                let all = making.address.iter().chain(&making.more_addresses);
                let mut same = all.filter(|other| other.nic == address.nic && other.device == address.device);
                if let Some(first) = same.next() {
                    problems.push(
                        Diagnostic::new(&codes::GIVEN_TWICE, "ADDRESS is given twice")
                            .primary(instruction.span, "given again here")
                            .label(first.span, "first given here")
                            .help("keep one of them; `--nic=2` is the second adapter's"),
                    );
                    return None;
                }
                match &making.address {
                    None => making.address = Some(address),
                    Some(_) => making.more_addresses.push(address),
                }
            }
            Body::Hostname { name } => {
                let place = making.place(Moment::Network);
                let method = self.method(instruction, place, problems);
                let span = name.span;
                let name = self.text(name, "the host name", CONFIGURED, place, problems)?;
                if let Some(wrong) = name.as_literal().and_then(bad_hostname) {
                    problems.push(bad_argument(span, wrong));
                    return None;
                }
                let spec = self.spec(instruction, method, place, problems)?;
                making.hostname.get_or_insert(Hostname { name, method, spec, span: instruction.span });
            }
            Body::Login { user, password } => {
                Arc::make_mut(&mut making.context).login =
                    Some(self.login_value(instruction, user, password.as_ref(), steps, problems)?);
            }
            Body::User { name, password } => {
                let user = self.user(instruction, name, password.as_ref(), steps, problems)?;
                Arc::make_mut(&mut making.context).user = Some(user);
            }
            Body::Workdir { path } => {
                let secrets = Secrets::Refused("paths are shown, in the guest too");
                let path = self.text(path, "the path of the WORKDIR", secrets, steps, problems)?;
                let os = self.machine(making.id).map_or(Os::Unix, |m| m.os);
                let context = Arc::make_mut(&mut making.context);
                context.workdir = Some(joined(context.workdir.as_ref(), path, os));
            }
            Body::Env { pairs } => {
                let mut failed = false;
                for pair in pairs {
                    match env_var(&pair.key.node, pair.key.span, &pair.value, &self.view(steps), problems) {
                        Some(var) => Arc::make_mut(&mut making.context).add_env(var),
                        None => failed = true,
                    }
                }
                return (!failed).then_some(());
            }
            Body::Shell { argv, .. } => self.shell(making, instruction, argv, problems)?,
            // These are done by now, or have been refused.
            Body::Arg { .. } | Body::Secret { .. } | Body::Include { .. } | Body::From { .. } | Body::Output { .. } => {
            }
            Body::On { .. }
            | Body::Checkpoint { .. }
            | Body::Snapshot { .. }
            | Body::OnFail { .. }
            | Body::Healthcheck { .. }
            | Body::OnRemove { .. } => {}
            Body::Serial { .. } => self.serial_setting(making, instruction, problems)?,
            // Steps have their own place.
            Body::Run { .. }
            | Body::Seal
            | Body::Key { .. }
            | Body::Copy { .. }
            | Body::Fetch { .. }
            | Body::Reboot
            | Body::Wait { .. }
            | Body::Note { .. } => {}
        }
        Some(())
    }

    /// What DATACENTER … NETWORK says.
    pub(super) fn placement_setting(
        &self,
        instruction: &Instruction,
        value: Option<&Text>,
        place: Place,
        problems: &mut Problems,
    ) -> Option<Setting> {
        let keyword = &instruction.keyword;
        match value {
            Some(value) => self.placement_value(keyword.node, value, place, problems),
            None => Some(Setting { value: BY_POLICY.to_owned(), span: keyword.span }),
        }
    }

    /// The value of DATACENTER … NETWORK.
    pub(super) fn placement_value(
        &self,
        keyword: Keyword,
        value: &Text,
        place: Place,
        problems: &mut Problems,
    ) -> Option<Setting> {
        let what = format!("the value of {keyword}");
        let usage = Usage { what: &what, secrets: STORED };
        let Known::Value(text) = check_static_text(value, usage, &self.view(place), problems)? else { return None };
        if text.trim().is_empty() || text.chars().any(char::is_control) {
            let fault = if text.trim().is_empty() { "is empty" } else { "has control characters in it" };
            problems.push(bad_argument(value.span, format!("{what} {fault}")).help("give its name or inventory path"));
            return None;
        }
        Some(Setting { value: text, span: value.span })
    }

    /// The `--policy` of a DATASTORE.
    pub(super) fn policy_value(
        &self,
        instruction: &Instruction,
        place: Place,
        problems: &mut Problems,
    ) -> Option<Setting> {
        let value = instruction.flag("policy")?.value.as_ref()?;
        let what = "the storage policy of a DATASTORE";
        let text = self.flag_text(instruction, "policy", what, place, problems)?;
        if text.trim().is_empty() {
            problems.push(bad_argument(value.span, format!("{what} is empty")).help("give its name, or leave it out"));
            return None;
        }
        Some(Setting { value: text, span: value.span })
    }

    /// LOGIN, of a stage or for all.
    pub(super) fn login_value(
        &self,
        instruction: &Instruction,
        user: &Text,
        password: Option<&Text>,
        place: Place,
        problems: &mut Problems,
    ) -> Option<Login> {
        let written = user;
        let user = self.text(written, "the user of a LOGIN", Secrets::Allowed, place, problems);
        if password.is_none() && user.as_ref().and_then(Template::as_literal).is_some_and(|u| u.contains(':')) {
            problems.push(
                bad_argument(written.span, "user and password are two words of a LOGIN")
                    .help("write `LOGIN user PASSWORD ${{ password }}`, and `SECRET password` before the first FROM"),
            );
            return None;
        }
        let password = match password {
            Some(text) => {
                let usage = Usage { what: "the password of a LOGIN", secrets: Secrets::Allowed };
                Some(check_text(text, usage, &self.view(place), problems)?)
            }
            None => None,
        };
        Some(Login { user: user?, password, span: instruction.span })
    }

    /// The value of USER.
    fn user(
        &self,
        instruction: &Instruction,
        name: &Text,
        password: Option<&Text>,
        place: Place,
        problems: &mut Problems,
    ) -> Option<RunAs> {
        let how = self.flag_word(instruction, "via", place, problems);
        let secrets = Secrets::Refused("a user's name is shown");
        let name = self.text(name, "the name of the USER", secrets, place, problems);
        let Some(text) = password else { return Some(RunAs { name: name?, via: via(how.as_deref()), password: None }) };
        let usage = Usage { what: "the password of a USER", secrets: Secrets::Allowed };
        let password = check_text(text, usage, &self.view(place), problems);
        let via = via(how.as_deref());
        if !matches!(via, Via::Auto | Via::Sudo) {
            let how = how.unwrap_or_default();
            problems.push(
                bad_argument(
                    text.span,
                    format!("{how} takes no password here: it asks on a terminal, and there is none"),
                )
                .help("leave PASSWORD out, or use `--via=sudo`"),
            );
            return None;
        }
        Some(RunAs { name: name?, via, password: Some(password?) })
    }

    fn tags(&self, making: &mut Making, words: &[Text], problems: &mut Problems) -> Option<()> {
        let place = making.place(Moment::Before("a tag"));
        let mut failed = false;
        for word in words {
            let usage = Usage { what: "a tag", secrets: STORED };
            let Some(Known::Value(text)) = check_static_text(word, usage, &self.view(place), problems) else {
                failed = true;
                continue;
            };
            let Some(tag) = Tag::parse(&text, word.span) else {
                let wrong = format!("`{text}` is no tag: it is written `category/tag`");
                problems.push(bad_argument(word.span, wrong).help("as in `TAG environment/test`"));
                failed = true;
                continue;
            };
            let same = |other: &&Tag| other.category == tag.category && other.name == tag.name;
            match making.hardware.tags.iter().find(same) {
                Some(first) => {
                    problems.push(
                        Diagnostic::new(&codes::GIVEN_TWICE, format!("TAG `{tag}` is given twice"))
                            .primary(tag.span, "given again here")
                            .label(first.span, "first given here")
                            .help("keep one of them"),
                    );
                    failed = true;
                }
                None => making.hardware.tags.push(tag),
            }
        }
        (!failed).then_some(())
    }

    fn cpu(&self, making: &mut Making, count: &Text, cores: Option<&Text>, problems: &mut Problems) -> Option<()> {
        let place = making.place(Moment::Before("the number of processors"));
        let cpus = self.number(count, "the number of processors", place, problems);
        making.hardware.cpus = cpus;
        let Some(text) = cores else { return cpus.map(|_| ()) };
        let cores = self.number(text, "the number of cores", place, problems)?;
        making.hardware.cores = Some(cores);
        let cpus = cpus?;
        if cpus % cores != 0 {
            problems.push(
                Diagnostic::new(
                    &codes::BAD_ARGUMENT,
                    format!("{cpus} processors don't divide into sockets of {cores} cores"),
                )
                .primary(text.span, "cores a socket")
                .label(count.span, "processors in all")
                .help("the first number is the processors in all, CORES how many of them share a socket"),
            );
            return None;
        }
        Some(())
    }

    fn number(&self, text: &Text, what: &str, place: Place, problems: &mut Problems) -> Option<u32> {
        const MOST: i64 = 768; // of a virtual machine of the newest hardware version
        let usage = Usage { what, secrets: STORED };
        let refuse =
            |value: &Value| bad_argument(text.span, format!("{what} is from 1 to {MOST}, not {}", value.to_text()));
        self.number_in(Number { text, usage, bounds: 1..=MOST }, refuse, place, problems)
    }

    fn memory(&self, making: &mut Making, text: &Text, problems: &mut Problems) -> Option<()> {
        let place = making.place(Moment::Before("the size of the memory"));
        let usage = Usage { what: "the size of the memory", secrets: STORED };
        let Some(Known::Value(Value::Size(bytes))) =
            check_static(text, &Type::Size, usage, &self.view(place), problems)
        else {
            return None;
        };
        if bytes == 0 || bytes % (4 * MIB) != 0 {
            let up = (bytes / (4 * MIB) + 1).saturating_mul(4);
            problems.push(
                bad_argument(text.span, "a machine's memory is a multiple of 4MiB")
                    .help(format!("the next one is `{up}MiB`")),
            );
            return None;
        }
        making.hardware.memory = Some(bytes);
        Some(())
    }

    /// The pairs of CONFIG and LABEL; each key once in a stage.
    fn stored_pairs(
        &self,
        making: &mut Making,
        keyword: &str,
        pairs: &[Pair],
        problems: &mut Problems,
    ) -> Option<Vec<(String, Template)>> {
        let mut failed = false;
        let mut found = Vec::new();
        let place = making.place(Moment::Reconfigured);
        let what = format!("a value of {keyword}");
        for pair in pairs {
            let mark = format!("{keyword} {}", pair.key.node);
            if let Some(first) = making.config_spans.get(&mark) {
                problems.push(
                    Diagnostic::new(&codes::GIVEN_TWICE, format!("{keyword} `{}` is given twice", pair.key.node))
                        .primary(pair.key.span, "given again here")
                        .label(*first, "first given here")
                        .help("keep one of them"),
                );
                failed = true;
                continue;
            }
            making.config_spans.insert(mark, pair.key.span);
            let usage = Usage { what: &what, secrets: STORED };
            let value = check_text(&pair.value, usage, &self.view(place), problems);
            let value = value.filter(|v| no_control(v, pair.value.span, &what, problems).is_some());
            match value {
                Some(value) => found.push((pair.key.node.clone(), value)),
                None => failed = true,
            }
        }
        (!failed).then_some(found)
    }

    fn address(&self, making: &Making, instruction: &Instruction, problems: &mut Problems) -> Option<Address> {
        let Body::Address { cidr, gateway, dns, search, device } = &instruction.body else { return None };
        let place = making.place(Moment::Network);
        let view = self.view(place);
        let of = |what| Usage { what, secrets: CONFIGURED };
        let before = problems.len();
        let cidr = cidr.as_ref().and_then(|t| check_arg(t, &Type::Cidr, of("the address"), &view, problems));
        let gateway = gateway.as_ref().and_then(|t| check_arg(t, &Type::Ip, of("the gateway"), &view, problems));
        let dns = dns.iter().filter_map(|t| check_arg(t, &Type::Ip, of("a DNS server"), &view, problems)).collect();
        let search =
            search.iter().filter_map(|t| self.text(t, "a search domain", CONFIGURED, place, problems)).collect();
        let device = device.as_ref().and_then(|t| self.text(t, "the device", CONFIGURED, place, problems));
        let method = self.method(instruction, place, problems);
        let nic = self.nic_flag(instruction, making, problems);
        let spec = self.spec(instruction, method, place, problems);
        if let (NetworkMethod::Customize, Some(device)) = (method, device_text(instruction)) {
            problems.push(
                bad_argument(device, "vCenter knows network adapters by number, not by the guest's names for them")
                    .help("write `--nic=n` in the place of DEVICE"),
            );
        }
        (problems.len() == before).then_some(Address {
            cidr,
            gateway,
            dns,
            search,
            device,
            nic: nic.unwrap_or(1),
            method,
            spec: spec.flatten(),
            span: instruction.span,
        })
    }

    /// `--spec=`; None when it is wrong.
    fn spec(
        &self,
        instruction: &Instruction,
        method: NetworkMethod,
        place: Place,
        problems: &mut Problems,
    ) -> Option<Option<String>> {
        let Some(flag) = instruction.flag("spec") else { return Some(None) };
        if method != NetworkMethod::Customize {
            problems.push(
                Diagnostic::at(&codes::FLAG_WITHOUT_EFFECT, flag.span, "only customization has specifications")
                    .help("write `--method=customize` beside it, or leave it out"),
            );
        }
        self.flag_text(instruction, "spec", "the name of a customization specification", place, problems).map(Some)
    }

    /// `--nic=`.
    fn nic_flag(&self, instruction: &Instruction, making: &Making, problems: &mut Problems) -> Option<u32> {
        let text = instruction.flag("nic")?.value.as_ref()?;
        let place = making.place(Moment::Before("the number of a network adapter"));
        let usage = Usage { what: "the number of a network adapter", secrets: CONFIGURED };
        let refuse =
            |value: &Value| bad_argument(text.span, format!("`--nic` is from 1 to 10, not {}", value.to_text()));
        let number = self.number_in(Number { text, usage, bounds: 1..=10 }, refuse, place, problems);
        if let Body::Address { device: Some(device), .. } = &instruction.body {
            problems.push(
                bad_argument(text.span, "an ADDRESS has `--nic` or DEVICE, not both")
                    .label(device.span, "the device is named here")
                    .help("keep one of them"),
            );
        }
        number
    }

    /// `--method=`.
    fn method(&self, instruction: &Instruction, place: Place, problems: &mut Problems) -> NetworkMethod {
        match self.flag_word(instruction, "method", place, problems).as_deref() {
            Some("nmcli") => NetworkMethod::Nmcli,
            Some("netplan") => NetworkMethod::Netplan,
            Some("ifupdown") => NetworkMethod::Ifupdown,
            Some("customize") => NetworkMethod::Customize,
            Some(_) | None => NetworkMethod::Auto,
        }
    }

    fn shell(
        &self,
        making: &mut Making,
        instruction: &Instruction,
        argv: &[Text],
        problems: &mut Problems,
    ) -> Option<()> {
        let place = making.place(Moment::Steps);
        let secrets = Secrets::Refused("a process list shows how a shell is called");
        let words: Vec<Option<Template>> =
            argv.iter().map(|text| self.text(text, "a word of SHELL", secrets, place, problems)).collect();
        let words: Vec<Template> = words.into_iter().collect::<Option<_>>()?;
        let literal: Vec<Option<String>> = words.iter().map(|w| w.as_literal().map(str::to_owned)).collect();
        if literal.is_empty() {
            problems.push(bad_argument(instruction.span, "SHELL needs a program"));
            return None;
        }
        making.shell = ShellKind::of(&literal, instruction.span);
        // A lone `-c` is a habit, and left out; among other letters it would make the shell take the script's path
        // for a command.
        for (text, word) in argv.iter().zip(&literal).skip(1) {
            let letters = word.as_deref().and_then(|w| w.strip_prefix('-')).and_then(|w| w.strip_suffix('c'));
            let Some(letters) = letters.filter(|l| !l.is_empty() && l.bytes().all(|b| b.is_ascii_alphabetic())) else {
                continue;
            };
            if making.shell.dialect.is_some_and(|d| d.is_posix()) {
                problems.push(
                    bad_argument(text.span, format!("`-{letters}c` takes a text, and the shell is given a file"))
                        .help(format!("leave the `c` out: `-{letters}`")),
                );
                return None;
            }
        }
        Arc::make_mut(&mut making.context).shell = words;
        Some(())
    }
}

/// None, and an error, for text with characters that can't be sent to vCenter. What only the running build knows is
/// looked at then.
fn no_control(text: &Template, span: Span, what: &str, problems: &mut Problems) -> Option<()> {
    let bad = text.pieces.iter().find_map(|piece| match piece {
        TemplatePiece::Literal(text) => text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t')),
        TemplatePiece::Value(_) => None,
    });
    let Some(c) = bad else { return Some(()) };
    problems.push(bad_argument(span, format!("{what} can't have the control character {c:?} in it")));
    None
}

/// One variable of ENV or `--env`.
pub(super) fn env_var(
    name: &str,
    span: Span,
    value: &Text,
    scope: &dyn Scope,
    problems: &mut Problems,
) -> Option<EnvVar> {
    if !names::is_name(name) {
        problems.push(
            bad_argument(span, format!("`{name}` can't be the name of a variable"))
                .note("it is made of letters, digits and `_`, and does not begin with a digit"),
        );
        return None;
    }
    Some(EnvVar { name: name.to_owned(), value: check_env(value, scope, problems)? })
}

/// A WORKDIR after another one: `sub` after `/srv` is `/srv/sub`; without one before it is `/sub`.
fn joined(base: Option<&Template>, path: Template, os: Os) -> Template {
    let (separator, root) = match os {
        Os::Unix => ("/", "/"),
        Os::Windows => ("\\", "C:\\"),
    };
    match path.pieces.first() {
        Some(TemplatePiece::Literal(text)) if !is_absolute(text) => {}
        // What begins with a value that only the build knows must be absolute: there is nothing to tell by.
        Some(_) | None => return path,
    }
    let mut pieces = base.map(|b| b.pieces.clone()).unwrap_or_default();
    if pieces.is_empty() {
        pieces.push(TemplatePiece::Literal(root.into()));
    }
    let slash = match pieces.last() {
        Some(TemplatePiece::Literal(text)) => !text.ends_with(['/', '\\']),
        Some(TemplatePiece::Value(_)) | None => true,
    };
    let mut out = Template::default();
    if slash {
        pieces.push(TemplatePiece::Literal(separator.into()));
    }
    pieces.extend(path.pieces);
    for piece in pieces {
        match (out.pieces.last_mut(), piece) {
            (Some(TemplatePiece::Literal(before)), TemplatePiece::Literal(text)) => before.push_str(&text),
            (_, piece) => out.pieces.push(piece),
        }
    }
    out
}

fn is_absolute(path: &str) -> bool {
    let drive = path.as_bytes();
    path.starts_with(['/', '\\']) || (drive.get(1) == Some(&b':') && drive.first().is_some_and(u8::is_ascii_alphabetic))
}

/// Why a literal can't be a host name.
fn bad_hostname(name: &str) -> Option<String> {
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    let fine = name.len() <= 253 && name.strip_suffix('.').unwrap_or(name).split('.').all(label);
    (!fine)
        .then(|| format!("`{name}` can't be a host name: it is labels of letters, digits and `-`, with dots between"))
}

/// Where an ADDRESS names the guest's device.
fn device_text(instruction: &Instruction) -> Option<Span> {
    match &instruction.body {
        Body::Address { device, .. } => device.as_ref().map(|d| d.span),
        _ => None,
    }
}
