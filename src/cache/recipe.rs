//! The digest of what makes a machine: its source, its hardware, its steps with all that they depend on, and what it
//! leaves. Places in the file, comments, NOTEs and how expressions are written don't count.
//!
//! A secret counts by its name, never by its value. What another machine gives (a key, an attribute, files) counts by
//! that machine's own recipe: whether the value itself is still the same is decided by whether that machine was made
//! anew since (see `decide`).

use std::collections::{BTreeMap, BTreeSet};

use super::digest::{Digest, Sink};
use crate::sema::devices::{Devices, Settings};
use crate::sema::order_refs::{Uses, uses};
use crate::sema::program::{
    Action, Address, Attr, Copy, CopyFrom, EnvPiece, GuestContext, Hardware, Hostname, Invocation, KeySource, Machine,
    MachineId, Origin, Ova, Program, Ref, Rt, RtKind, Script, SecretId, Step, StepId, Template, TemplatePiece,
    WaitWhat,
};
use crate::sema::value::Value;

/// What a program's digests are made of, beside the program.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// What identifies the contents of an inventory's source: absent where nothing does.
    pub sources: BTreeMap<MachineId, String>,
    /// Where each machine goes.
    pub places: BTreeMap<MachineId, String>,
    /// Of the files that a COPY takes from the context: absent where they can't be known or read.
    pub files: BTreeMap<StepId, Digest>,
    /// The guest account of the command line, and that of the environment.
    pub users: [Option<String>; 2],
}

/// Why a machine has no digest, and so is always made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// Its source is a VM, whose disks change without a trace.
    Source,
    /// What it is made from, or takes values of, has none.
    Other(MachineId),
    /// `--no-cache`.
    NoCache(StepId),
    /// It exists, and is worked on.
    Existing,
    /// FETCH: what it leaves is here, not in vCenter.
    Fetches(StepId),
    /// What a COPY sends isn't known before the build, or can't be read.
    Files(StepId),
}

/// The digest at a place of a machine's sequence, and what went into it.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// The digest.
    pub digest: Result<Digest, Unknown>,
    /// The secrets that are used up to there.
    pub secrets: BTreeSet<SecretId>,
    /// The machines whose values are used up to there, also by what this one is made from, and by those in turn.
    pub values: BTreeSet<MachineId>,
}

/// What makes a machine.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// All of it.
    pub whole: Mark,
    /// Before its first step.
    pub base: Mark,
    /// After each step.
    pub steps: Vec<Mark>,
}

/// What tells a machine as a test of another from what it was before: its recipe, or where that isn't known (a report that is
/// FETCHed) as much as is known, and its text.
pub fn trial(machine: &Machine, recipe: &Recipe) -> String {
    if let Ok(digest) = &recipe.whole.digest {
        return digest.short();
    }
    let mut sink = Sink::new("trial");
    for known in std::iter::once(&recipe.base).chain(&recipe.steps).filter_map(|mark| mark.digest.as_ref().ok()) {
        sink.digest(known);
    }
    machine.steps.iter().for_each(|step| sink.text(&step.text));
    sink.end().short()
}

/// The recipes of all machines, by id.
pub fn recipes(program: &Program, world: &World) -> Vec<Recipe> {
    let mut raw: Vec<Recipe> = Vec::new();
    for machine in &program.machines {
        let parent = match machine.origin {
            // A machine comes after those it is made from.
            Origin::Machine(parent) => raw.get(parent.0 as usize).map(|r| (parent, &r.whole)),
            Origin::Inventory { .. } | Origin::Existing { .. } => None,
        };
        let made = Maker { program, world, machine }.recipe(parent);
        raw.push(made);
    }
    let seal = |mark: &Mark| seal(mark, &raw);
    raw.iter()
        .map(|r| Recipe { whole: seal(&r.whole), base: seal(&r.base), steps: r.steps.iter().map(seal).collect() })
        .collect()
}

/// Works the recipes of all machines in whose values are used: stages may use each other's back and forth, so that
/// only now all are there.
fn seal(mark: &Mark, raw: &[Recipe]) -> Mark {
    if mark.values.is_empty() {
        return mark.clone();
    }
    let (mut values, mut open) = (BTreeSet::new(), mark.values.clone());
    let mut secrets = mark.secrets.clone();
    while let Some(next) = open.pop_first() {
        if values.insert(next)
            && let Some(recipe) = raw.get(next.0 as usize)
        {
            open.extend(recipe.whole.values.difference(&values));
            secrets.extend(&recipe.whole.secrets);
        }
    }
    let digest = mark.digest.clone().and_then(|own| {
        let mut sink = Sink::new("values");
        sink.digest(&own);
        for id in &values {
            let other = raw.get(id.0 as usize).ok_or(Unknown::Other(*id))?;
            sink.digest(other.whole.digest.as_ref().map_err(|_| Unknown::Other(*id))?);
        }
        Ok(sink.end())
    });
    Mark { digest, secrets, values }
}

struct Maker<'a> {
    program: &'a Program,
    world: &'a World,
    machine: &'a Machine,
}

impl<'a> Maker<'a> {
    fn recipe(&self, parent: Option<(MachineId, &Mark)>) -> Recipe {
        let machine = self.machine;
        let (mut secrets, mut values) = (BTreeSet::new(), BTreeSet::new());
        let source = match (&machine.origin, parent) {
            (Origin::Machine(_), Some((id, parent))) => {
                secrets.extend(&parent.secrets);
                values.extend(&parent.values);
                parent.digest.clone().map(|d| d.to_string()).map_err(|_| Unknown::Other(id))
            }
            (Origin::Machine(id), None) => Err(Unknown::Other(*id)),
            (Origin::Existing { .. }, _) => Err(Unknown::Existing),
            (Origin::Inventory { .. }, _) => self.world.sources.get(&machine.id).cloned().ok_or(Unknown::Source),
        };
        let mut line = Line { digest: source.map(|s| self.base(&s, &mut secrets, &mut values)), secrets, values };
        let base = line.mark();
        let mut steps = Vec::new();
        for step in &machine.steps {
            line.step(self, step);
            steps.push(line.mark());
        }
        if let Ok(before) = &line.digest {
            let mut sink = Sink::new("outputs");
            sink.digest(before);
            sink.number(machine.outputs.len() as u64);
            for output in &machine.outputs {
                // Names don't count: an output is found by its name.
                sink.text(&format!("{:?}", output.kind));
                sink.flag(output.off);
                sink.text(output.snapshot.as_deref().unwrap_or_default());
            }
            // Linked clones of it need a snapshot.
            let linked = |m: &Machine| m.linked && m.origin == Origin::Machine(machine.id);
            sink.flag(self.program.machines.iter().any(linked));
            line.digest = Ok(sink.end());
        }
        Recipe { whole: line.mark(), base, steps }
    }

    /// What a machine is before its first step.
    fn base(&self, source: &str, secrets: &mut BTreeSet<SecretId>, values: &mut BTreeSet<MachineId>) -> Digest {
        let machine = self.machine;
        let mut w = Writer { sink: Sink::new("machine"), maker: self, secrets, values };
        w.sink.text(source);
        w.sink.flag(machine.linked);
        w.sink.text(machine.snapshot.as_deref().unwrap_or_default());
        if machine.ova != Ova::default() {
            w.ova(&machine.ova);
        }
        w.sink.text(&format!("{:?}", machine.os));
        w.sink.text(self.world.places.get(&machine.id).map_or("", String::as_str));
        w.hardware(&machine.hardware);
        w.option(machine.address.as_ref(), Writer::address);
        if !machine.more_addresses.is_empty() {
            w.list(&machine.more_addresses, Writer::address);
        }
        w.option(machine.hostname.as_ref(), Writer::hostname);
        if machine.address.is_some() || machine.hostname.is_some() {
            w.context(&machine.context, Uses::Login);
        }
        w.sink.end()
    }
}

/// A machine's sequence, as far as it is written.
struct Line {
    digest: Result<Digest, Unknown>,
    secrets: BTreeSet<SecretId>,
    values: BTreeSet<MachineId>,
}

impl Line {
    fn mark(&self) -> Mark {
        Mark { digest: self.digest.clone(), secrets: self.secrets.clone(), values: self.values.clone() }
    }

    fn step(&mut self, maker: &Maker<'_>, step: &Step) {
        let Ok(before) = self.digest else { return };
        let reads = |copy: &Copy| copy.from.is_none() && copy.sources.iter().any(|s| matches!(s, CopyFrom::Path(_)));
        self.digest = match &step.action {
            _ if step.options.no_cache => Err(Unknown::NoCache(step.id)),
            Action::Fetch { .. } => Err(Unknown::Fetches(step.id)),
            Action::Copy(copy) if reads(copy) && !maker.world.files.contains_key(&step.id) => {
                Err(Unknown::Files(step.id))
            }
            // It leaves the machine as it was, but for a restart.
            Action::Checkpoint(_) => {
                let mut sink = Sink::new("checkpoint");
                sink.digest(&before);
                Ok(sink.end())
            }
            Action::Run(_)
            | Action::Key { .. }
            | Action::Copy(_)
            | Action::Reboot
            | Action::Snapshot(_)
            | Action::Wait { .. } => {
                let mut w =
                    Writer { sink: Sink::new("step"), maker, secrets: &mut self.secrets, values: &mut self.values };
                w.sink.digest(&before);
                w.step(step);
                Ok(w.sink.end())
            }
        };
    }
}

/// Writes parts of a program into a digest, and notes what they use.
struct Writer<'a, 'b> {
    sink: Sink,
    maker: &'b Maker<'a>,
    secrets: &'b mut BTreeSet<SecretId>,
    values: &'b mut BTreeSet<MachineId>,
}

impl Writer<'_, '_> {
    fn option<T: ?Sized>(&mut self, value: Option<&T>, write: impl FnOnce(&mut Self, &T)) {
        self.sink.flag(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn list<T>(&mut self, list: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.sink.number(list.len() as u64);
        list.iter().for_each(|item| write(self, item));
    }

    fn ova(&mut self, ova: &Ova) {
        self.sink.text("ova");
        self.list(&ova.properties, |w, (key, value, _)| {
            w.sink.text(key);
            w.sink.text(value);
        });
        self.sink.text(ova.configuration.as_deref().unwrap_or_default());
        self.sink.text(&format!("{:?}", ova.disks));
    }

    fn hardware(&mut self, hardware: &Hardware) {
        let Hardware { cpus, cores, memory, config, annotation, devices, labels, tags } = hardware;
        let number = |n: &Option<u32>| n.map_or(u64::MAX, u64::from);
        self.sink.number(number(cpus));
        self.sink.number(number(cores));
        self.sink.number(memory.unwrap_or(u64::MAX));
        self.list(config, |w, (key, value)| {
            w.sink.text(key);
            w.template(value);
        });
        self.option(annotation.as_ref(), Self::template);
        // Nothing is written of what isn't asked for, so that recipes of before still hold.
        if !devices.is_empty() {
            self.devices(devices);
        }
        if !labels.is_empty() {
            self.sink.text("labels");
            self.list(labels, |w, (key, value)| {
                w.sink.text(key);
                w.template(value);
            });
        }
        if !tags.is_empty() {
            self.sink.text("tags");
            self.list(tags, |w, tag| {
                w.sink.text(&tag.category);
                w.sink.text(&tag.name);
            });
        }
    }

    fn devices(&mut self, devices: &Devices) {
        let Devices { grown, added, nics, new_nics, cdrom, settings } = devices;
        self.sink.text("devices");
        self.list(grown, |w, disk| {
            w.sink.number(u64::from(disk.number));
            w.sink.number(disk.size);
        });
        self.list(added, |w, disk| {
            w.sink.number(disk.size);
            w.sink.flag(disk.thin);
        });
        self.list(nics, |w, nic| {
            w.sink.number(u64::from(nic.number));
            w.option(nic.network.as_ref(), |w, network| w.sink.text(&network.value));
        });
        self.list(new_nics, |w, network| w.sink.text(&network.value));
        self.option(cdrom.as_ref(), |w, cdrom| {
            w.option(cdrom.image.as_deref(), |w, image| w.sink.text(image));
        });
        let Settings { firmware, secure_boot, vtpm, version, cpu_hot_add, memory_hot_add, nested, span: _ } = settings;
        self.option(firmware.as_ref(), |w, firmware| w.sink.text(firmware.as_str()));
        for switch in [secure_boot, vtpm, cpu_hot_add, memory_hot_add, nested] {
            self.option(switch.as_ref(), |w, on| w.sink.flag(*on));
        }
        self.sink.number(version.map_or(u64::MAX, u64::from));
    }

    fn address(&mut self, address: &Address) {
        let Address { cidr, gateway, dns, search, device, nic, method, spec, span: _ } = address;
        self.option(cidr.as_ref(), Self::rt);
        self.option(gateway.as_ref(), Self::rt);
        self.list(dns, Self::rt);
        self.list(search, Self::template);
        self.option(device.as_ref(), Self::template);
        self.sink.text(&format!("{method:?}"));
        if *nic != 1 {
            self.sink.number(u64::from(*nic));
        }
        if let Some(spec) = spec {
            self.sink.text(spec);
        }
    }

    fn hostname(&mut self, hostname: &Hostname) {
        let Hostname { name, method, spec, span: _ } = hostname;
        self.template(name);
        self.sink.text(&format!("{method:?}"));
        if let Some(spec) = spec {
            self.sink.text(spec);
        }
    }

    fn step(&mut self, step: &Step) {
        let options = &step.options;
        let uses = if options.unless.is_some() { Uses::All } else { uses(&step.action) };
        self.action(step.id, &step.action);
        self.context(&step.context, uses);
        self.option(options.unless.as_ref(), Self::invocation);
        self.list(&options.ok, |w, code| w.sink.text(&code.to_string()));
        self.list(&options.reboot_on, |w, code| w.sink.text(&code.to_string()));
        self.sink.flag(options.allow_failure);
    }

    fn action(&mut self, id: StepId, action: &Action) {
        match action {
            Action::Run(invocation) => {
                self.sink.text("run");
                self.invocation(invocation);
            }
            Action::Key { name, ty, from } => {
                self.sink.text("key");
                self.sink.text(name);
                self.sink.text(&format!("{ty:?}"));
                match from {
                    KeySource::Run(invocation) => self.invocation(invocation),
                    KeySource::File { path, delete } => {
                        self.sink.text("file");
                        self.template(path);
                        self.sink.flag(*delete);
                    }
                    KeySource::Value(rt) => self.rt(rt),
                }
            }
            Action::Snapshot(name) => {
                self.sink.text("snapshot");
                self.sink.text(name);
            }
            Action::Copy(copy) => {
                self.sink.text("copy");
                self.copy(id, copy);
            }
            Action::Wait { what, interval: _ } => {
                self.sink.text("wait");
                match what {
                    WaitWhat::Tools | WaitWhat::Ip | WaitWhat::Login | WaitWhat::Off => {
                        self.sink.text(&format!("{what:?}"));
                    }
                    WaitWhat::File(path) => self.template(path),
                    WaitWhat::Run(invocation) => self.invocation(invocation),
                }
            }
            Action::Reboot => self.sink.text("reboot"),
            Action::Fetch { .. } => self.sink.text("fetch"),
            Action::Checkpoint(_) => self.sink.text("checkpoint"),
        }
    }

    fn copy(&mut self, id: StepId, copy: &Copy) {
        let Copy { sources, dest, chown, chmod, render, from } = copy;
        self.list(sources, |w, source| match source {
            CopyFrom::Path(path) => {
                w.sink.text("path");
                w.template(path);
            }
            CopyFrom::Inline(body) => {
                w.sink.text("inline");
                w.template(body);
            }
        });
        self.template(dest);
        self.option(chown.as_ref(), Self::template);
        self.sink.number(chmod.map_or(u64::MAX, u64::from));
        // Which files are rendered, and where they are, is in the files' own digest.
        self.option(render.as_deref(), |w, list| w.list(list, |w, (_, template)| w.template(template)));
        self.option(from.as_ref(), |w, from| w.other(*from));
        let files = self.maker.world.files.get(&id);
        self.option(files, |w, files| w.sink.digest(files));
    }

    /// Of an account its name counts, not its password: that opens the guest, and changes nothing in it.
    fn context(&mut self, context: &GuestContext, uses: Uses) {
        let GuestContext { login, user, workdir, env, open_env: _, shell } = context;
        if uses >= Uses::Login {
            let machine = self.maker.machine;
            let [command_line, environment] = &self.maker.world.users;
            match (login, command_line, &machine.default_login, environment) {
                (Some(login), ..) | (None, None, Some(login), _) => self.template(&login.user),
                (None, Some(user), ..) | (None, None, None, Some(user)) => self.template(&Template::literal(user)),
                (None, None, None, None) => self.sink.text("nobody"),
            }
        }
        if uses >= Uses::Files {
            // As of a login, not the password.
            self.option(user.as_ref(), |w, user| {
                w.template(&user.name);
                w.sink.text(&format!("{:?}", user.via));
            });
            self.option(workdir.as_ref(), Self::template);
        }
        if uses >= Uses::All {
            self.list(env, |w, var| {
                w.sink.text(&var.name);
                w.list(&var.value, |w, piece| match piece {
                    EnvPiece::Literal(text) => w.sink.text(&format!("={text}")),
                    EnvPiece::Variable(name) => w.sink.text(&format!("${name}")),
                    EnvPiece::Value(rt) => w.rt(rt),
                });
            });
            self.list(shell, Self::template);
        }
    }

    fn invocation(&mut self, invocation: &Invocation) {
        match invocation {
            Invocation::Exec(words) => {
                self.sink.text("exec");
                self.list(words, Self::template);
            }
            Invocation::Script(script) => {
                self.sink.text("script");
                self.script(script);
            }
        }
    }

    /// The text around its holes: how an expression is written in one doesn't count.
    fn script(&mut self, script: &Script) {
        let Script { text, holes, dialect, shebang, errexit } = script;
        let mut from = 0;
        self.sink.number(holes.len() as u64);
        for hole in holes {
            self.sink.text(text.get(from..hole.start).unwrap_or_default());
            self.sink.text(&format!("{:?}", hole.kind));
            self.rt(&hole.value);
            from = hole.end;
        }
        self.sink.text(text.get(from..).unwrap_or_default());
        self.sink.text(&format!("{dialect:?}"));
        self.sink.flag(*shebang);
        self.sink.flag(*errexit);
    }

    fn template(&mut self, template: &Template) {
        self.list(&template.pieces, |w, piece| match piece {
            TemplatePiece::Literal(text) => {
                w.sink.text("text");
                w.sink.text(text);
            }
            TemplatePiece::Value(rt) => w.rt(rt),
        });
    }

    fn rt(&mut self, rt: &Rt) {
        self.sink.text(&format!("{:?}", rt.ty));
        match &rt.kind {
            RtKind::Const(value) => self.value(value),
            RtKind::Ref(of) => self.reference(of),
            RtKind::Unset => self.sink.text("unset"),
            RtKind::Missing => self.sink.text("missing"),
            RtKind::Convert(of) => {
                self.sink.text("convert");
                self.rt(of);
            }
            RtKind::List(items) => {
                self.sink.text("list");
                self.list(items, Self::rt);
            }
            RtKind::Field(of, name) => {
                self.sink.text("field");
                self.sink.text(name);
                self.rt(of);
            }
            RtKind::Index(of, at) => {
                self.sink.text("index");
                self.rt(of);
                self.rt(at);
            }
            RtKind::Unary(op, of) => {
                self.sink.text(&format!("{op:?}"));
                self.rt(of);
            }
            RtKind::Binary(op, a, b) => {
                self.sink.text(&format!("{op:?}"));
                self.rt(a);
                self.rt(b);
            }
            RtKind::If { cond, then, other } => {
                self.sink.text("if");
                self.rt(cond);
                self.rt(then);
                self.rt(other);
            }
            RtKind::Filter(filter, of, args) => {
                self.sink.text(&format!("{filter:?}"));
                self.rt(of);
                self.list(args, Self::rt);
            }
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::List(items) => self.list(items, Self::value),
            // Never in clear. A checked program holds none: secrets are references.
            Value::Secret(_) => self.sink.text("a secret"),
            other => self.sink.text(&other.to_text()),
        }
    }

    fn reference(&mut self, of: &Ref) {
        match of {
            Ref::Secret(id) => {
                self.secrets.insert(*id);
                let name = self.maker.program.secrets.get(id.0 as usize).map_or("", |s| s.name.as_str());
                self.sink.text(&format!("secret {name}"));
            }
            Ref::Key(machine, name) => {
                self.other(*machine);
                self.sink.text(&format!("key {name}"));
            }
            Ref::Attr(machine, attr) => {
                self.other(*machine);
                self.sink.text(attribute(*attr));
            }
        }
    }

    /// Something of a machine: its own, or another's.
    fn other(&mut self, id: MachineId) {
        let own = id == self.maker.machine.id;
        if !own {
            self.values.insert(id);
        }
        let label = self.maker.program.machines.get(id.0 as usize).map_or("", |m| m.label.as_str());
        self.sink.text(if own { "self" } else { label });
    }
}

fn attribute(attr: Attr) -> &'static str {
    crate::sema::order::attr_name(attr)
}
