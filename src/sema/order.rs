//! What comes before what: the nodes and edges of a checked program, and the cycles among them.
//!
//! The graph of a build is made of exactly these; they are worked out here because a cycle is an error of the
//! file, found before anything is planned.

use std::collections::{HashMap, HashSet, VecDeque};

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use crate::diagnostic::{Diagnostic, Label};
use crate::source::Span;
use crate::syntax::ast::OutputKind;

use super::program::{Action, Attr, Machine, MachineId, Need, Origin, Program, Ref, Step, StepId};
use super::{codes, order_refs as refs};

/// Something that a build does, at the grain at which one thing waits for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Node {
    /// Cloned and reconfigured.
    Clone(MachineId),
    /// Powered on, the guest ready.
    Boot(MachineId),
    /// ADDRESS and HOSTNAME applied; the attributes that are asked for known.
    Network(MachineId),
    /// A step.
    Step(StepId),
    /// What other machines copy from it fetched (`COPY --from`).
    Export(MachineId),
    /// Shut down, made a template, whatever its outputs ask.
    Finish(MachineId),
}

impl Node {
    /// The machine that it belongs to.
    pub fn machine(self) -> MachineId {
        match self {
            Node::Clone(m) | Node::Boot(m) | Node::Network(m) | Node::Export(m) | Node::Finish(m) => m,
            Node::Step(step) => step.machine,
        }
    }
}

/// Why one node waits for another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// The next thing of the same machine.
    Sequence,
    /// `FROM` a stage.
    From,
    /// A key's value.
    Key(String),
    /// An attribute's value.
    Attr(Attr),
    /// `--after`, `--serial`.
    After,
    /// `COPY --from`.
    Copy,
}

/// `to` waits for `from`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Edge {
    /// Done first.
    pub from: Node,
    /// Waits.
    pub to: Node,
    /// Why.
    pub why: Why,
    /// Where the file says so.
    pub span: Span,
}

/// Whether a machine is powered on during the build.
pub fn boots(machine: &Machine) -> bool {
    !machine.steps.is_empty()
        || machine.address.is_some()
        || machine.hostname.is_some()
        || leaves_running(machine)
        || wants_network(machine)
}

/// Whether a machine is left running.
pub fn leaves_running(machine: &Machine) -> bool {
    machine.outputs.iter().any(|o| o.kind == OutputKind::Vm && !o.off)
}

fn wants_network(machine: &Machine) -> bool {
    machine.wanted.iter().any(|a| matches!(a, Attr::Ip | Attr::Hostname))
}

fn has_network(machine: &Machine) -> bool {
    machine.address.is_some() || machine.hostname.is_some() || wants_network(machine)
}

/// The machines that others copy files from.
fn exporters(program: &Program) -> HashSet<MachineId> {
    let steps = program.machines.iter().flat_map(|m| &m.steps);
    steps
        .filter_map(|s| match &s.action {
            Action::Copy(copy) => copy.from,
            Action::Run(_) | Action::Key { .. } | Action::Fetch { .. } | Action::Reboot => None,
            Action::Wait { .. } | Action::Checkpoint(_) | Action::Snapshot(_) => None,
        })
        .collect()
}

/// A machine's nodes, in their sequence.
fn sequence(machine: &Machine, exports: bool) -> Vec<Node> {
    let id = machine.id;
    let mut nodes = vec![Node::Clone(id)];
    if boots(machine) || exports {
        nodes.push(Node::Boot(id));
    }
    if has_network(machine) {
        nodes.push(Node::Network(id));
    }
    nodes.extend(machine.steps.iter().map(|s| Node::Step(s.id)));
    if exports {
        nodes.push(Node::Export(id));
    }
    nodes.push(Node::Finish(id));
    nodes
}

/// All nodes of a program: machine after machine, each in its sequence.
pub fn nodes(program: &Program) -> Vec<Node> {
    let exporters = exporters(program);
    program.machines.iter().flat_map(|m| sequence(m, exporters.contains(&m.id))).collect()
}

/// What must be done for a need to be met; None for a machine or step that the program doesn't have.
fn provider(program: &Program, need: &Need) -> Option<Node> {
    let known = |id: MachineId| program.machines.get(id.0 as usize);
    match need {
        Need::Step(id) => known(id.machine)?.steps.get(id.index as usize).map(|s| Node::Step(s.id)),
        Need::Finished(id) => known(*id).map(|m| Node::Finish(m.id)),
        Need::Attr(id, Attr::Uuid | Attr::Moref) => known(*id).map(|m| Node::Clone(m.id)),
        Need::Attr(id, Attr::Hostname | Attr::Ip) => known(*id).map(|m| Node::Network(m.id)),
    }
}

/// The node that gives a reference its value; None for a secret and a key that is never captured.
fn source_of(program: &Program, reference: &Ref) -> Option<(Node, Why)> {
    match reference {
        Ref::Secret(_) => None,
        Ref::Key(machine, name) => {
            let info = program.machines.get(machine.0 as usize)?.keys.get(name)?;
            let node = provider(program, &Need::Step(info.step?))?;
            Some((node, Why::Key(name.clone())))
        }
        Ref::Attr(machine, attr) => {
            let node = provider(program, &Need::Attr(*machine, *attr))?;
            Some((node, Why::Attr(*attr)))
        }
    }
}

/// The edges of a program, in the order of its nodes; no two between the same nodes.
pub fn edges(program: &Program) -> Vec<Edge> {
    let exporters = exporters(program);
    let mut out = Collector { program, seen: HashSet::new(), edges: Vec::new() };
    for machine in &program.machines {
        let sequence = sequence(machine, exporters.contains(&machine.id));
        for pair in sequence.windows(2) {
            if let [before, after] = pair {
                out.add(*before, *after, Why::Sequence, machine.span);
            }
        }
        if let Origin::Machine(parent) = machine.origin {
            out.add(Node::Finish(parent), Node::Clone(machine.id), Why::From, machine.span);
        }
        if let Some(before) = machine.serial.and_then(|s| s.after) {
            out.add(Node::Finish(before), Node::Clone(machine.id), Why::After, machine.span);
        }
        refs::hardware(&machine.hardware, &mut |r, span| out.reference(r, Node::Clone(machine.id), span));
        if boots(machine) {
            // The guest is ready when the account is accepted.
            let node = Node::Boot(machine.id);
            refs::context(&machine.context, refs::Uses::Login, &mut |r, span| out.reference(r, node, span));
        }
        if has_network(machine) {
            let node = Node::Network(machine.id);
            // vCenter wants to know before the guest boots.
            let at =
                |method| if method == super::program::NetworkMethod::Customize { Node::Boot(machine.id) } else { node };
            machine
                .address
                .iter()
                .chain(&machine.more_addresses)
                .for_each(|a| refs::address(a, &mut |r, span| out.reference(r, at(a.method), span)));
            machine
                .hostname
                .iter()
                .for_each(|h| refs::hostname(h, &mut |r, span| out.reference(r, at(h.method), span)));
            if machine.address.is_some() || machine.hostname.is_some() {
                let uses = refs::Uses::Files;
                refs::context(&machine.context, uses, &mut |r, span| out.reference(r, node, span));
            }
        }
        for step in &machine.steps {
            out.step(step);
        }
    }
    out.edges
}

struct Collector<'a> {
    program: &'a Program,
    seen: HashSet<(Node, Node)>,
    edges: Vec<Edge>,
}

impl Collector<'_> {
    fn add(&mut self, from: Node, to: Node, why: Why, span: Span) {
        if self.seen.insert((from, to)) {
            self.edges.push(Edge { from, to, why, span });
        }
    }

    /// What a reference in `to` waits for. A machine's own earlier steps and its ancestors come before it
    /// anyway; an edge would say nothing.
    fn reference(&mut self, reference: &Ref, to: Node, span: Span) {
        let Some((from, why)) = source_of(self.program, reference) else { return };
        if !precedes(self.program, from, to) {
            self.add(from, to, why, span);
        }
    }

    fn step(&mut self, step: &Step) {
        let to = Node::Step(step.id);
        refs::step(step, &mut |r, span| self.reference(r, to, span));
        if let Action::Copy(copy) = &step.action
            && let Some(from) = copy.from
        {
            let export = Node::Export(from);
            self.add(export, to, Why::Copy, step.span);
            refs::copy_sources(&copy.sources, &mut |r, span| self.reference(r, export, span));
        }
        for need in &step.needs {
            if let Some(from) = provider(self.program, need)
                && !precedes(self.program, from, to)
            {
                self.add(from, to, Why::After, step.span);
            }
        }
    }
}

/// Whether `from` is before `to` by the sequence of their machine, or since `from`'s machine is one that `to`'s
/// is made from.
fn precedes(program: &Program, from: Node, to: Node) -> bool {
    if from.machine() == to.machine() {
        return rank(from) < rank(to);
    }
    let mut seen = HashSet::new();
    let mut at = to.machine();
    while seen.insert(at) {
        match program.machines.get(at.0 as usize).map(|m| &m.origin) {
            Some(Origin::Machine(parent)) if *parent == from.machine() => return true,
            Some(Origin::Machine(parent)) => at = *parent,
            Some(Origin::Inventory { .. } | Origin::Existing { .. }) | None => return false,
        }
    }
    false
}

/// A node's place in its machine's sequence.
fn rank(node: Node) -> (u8, u32) {
    match node {
        Node::Clone(_) => (0, 0),
        Node::Boot(_) => (1, 0),
        Node::Network(_) => (2, 0),
        Node::Step(id) => (3, id.index),
        Node::Export(_) => (4, 0),
        Node::Finish(_) => (5, 0),
    }
}

/// One diagnostic for each group of nodes that wait for each other, with every place in a shortest chain.
pub fn cycles(program: &Program) -> Vec<Diagnostic> {
    let edges = edges(program);
    // Steps one after another have no cycle.
    if edges.iter().all(|edge| edge.why == Why::Sequence) {
        return Vec::new();
    }
    let nodes = nodes(program);
    let mut graph = DiGraph::<Node, &Edge>::new();
    let index: HashMap<Node, NodeIndex> = nodes.iter().map(|n| (*n, graph.add_node(*n))).collect();
    for edge in &edges {
        if let (Some(from), Some(to)) = (index.get(&edge.from), index.get(&edge.to)) {
            graph.add_edge(*from, *to, edge);
        }
    }
    let mut groups: Vec<HashSet<Node>> = Vec::new();
    // Not `tarjan_scc`: that one recurses, and a long chain of steps would overflow the stack.
    for component in kosaraju_scc(&graph) {
        let alone = component.len() == 1;
        if !alone || component.iter().any(|n| graph.contains_edge(*n, *n)) {
            groups.push(component.iter().filter_map(|n| graph.node_weight(*n).copied()).collect());
        }
    }
    groups.sort_by_key(|g| g.iter().min().copied());
    groups.iter().map(|group| chain_diagnostic(program, &shortest_chain(&edges, group))).collect()
}

/// The shortest way around within a group, beginning with an edge that the file asks for. Empty for a group
/// without one, which can't be: sequences alone have no cycles.
fn shortest_chain<'a>(edges: &'a [Edge], group: &HashSet<Node>) -> Vec<&'a Edge> {
    let inside: Vec<&Edge> = edges.iter().filter(|e| group.contains(&e.from) && group.contains(&e.to)).collect();
    let mut out_of: HashMap<Node, Vec<&Edge>> = HashMap::new();
    inside.iter().for_each(|e| out_of.entry(e.from).or_default().push(e));
    let mut best: Vec<&Edge> = Vec::new();
    // Each group has few edges that aren't sequence; the search from each is linear. A cap keeps a hostile file
    // from making it quadratic: the first chain found is as true as the shortest.
    for start in inside.iter().filter(|e| e.why != Why::Sequence).take(64) {
        let mut came: HashMap<Node, &Edge> = HashMap::new();
        let mut queue = VecDeque::from([start.to]);
        let mut seen = HashSet::from([start.to]);
        while let Some(at) = queue.pop_front() {
            if at == start.from {
                break;
            }
            for edge in out_of.get(&at).into_iter().flatten() {
                if seen.insert(edge.to) {
                    came.insert(edge.to, edge);
                    queue.push_back(edge.to);
                }
            }
        }
        let mut chain = Vec::new();
        let mut at = start.from;
        while at != start.to {
            let Some(edge) = came.get(&at) else { break };
            chain.push(*edge);
            at = edge.from;
        }
        if at != start.to {
            continue;
        }
        chain.push(start);
        chain.reverse();
        if best.is_empty() || chain.len() < best.len() {
            best = chain;
        }
    }
    best
}

fn chain_diagnostic(program: &Program, chain: &[&Edge]) -> Diagnostic {
    // Told from what stands first in the file.
    let mut chain = chain.to_vec();
    let first = chain.iter().enumerate().filter(|(_, e)| e.why != Why::Sequence).min_by_key(|(_, e)| e.span);
    if let Some((at, _)) = first {
        let turn = (at + 1) % chain.len().max(1);
        chain.rotate_left(turn);
    }
    let mut machines: Vec<String> = Vec::new();
    for edge in chain.iter().rev() {
        let label = label_of(program, edge.to.machine());
        if machines.last() != Some(&label) {
            machines.push(label);
        }
    }
    // Around a circle the first and last are next to each other.
    if machines.len() > 1 && machines.first() == machines.last() {
        machines.pop();
    }
    let message = match machines.as_slice() {
        [one] => format!("a step of `{one}` waits for itself"),
        several if chain.iter().any(|e| !matches!(e.to, Node::Step(_)) && e.why != Why::Sequence) => {
            format!("{} wait for each other", super::names::text_list(several.iter().map(String::as_str)))
        }
        several => {
            format!("steps of {} wait for each other", super::names::text_list(several.iter().map(String::as_str)))
        }
    };
    let mut labels: Vec<Label> = Vec::new();
    let mut number = 0;
    // Told backwards in time: who waits, for what, which waits in turn.
    for edge in chain.iter().rev() {
        if edge.why == Why::Sequence {
            continue;
        }
        number += 1;
        let waits = describe(program, edge.to);
        let given = describe(program, edge.from);
        let text = match &edge.why {
            Why::Sequence => continue,
            Why::From => format!("{number}. {waits} waits for {given}"),
            Why::Key(name) => format!("{number}. {waits} waits for `{name}`, which {given} captures"),
            Why::Attr(attr) => format!("{number}. {waits} waits for `{}`, known after {given}", attr_name(*attr)),
            Why::After => format!("{number}. {waits} comes after {given}"),
            Why::Copy => format!("{number}. {waits} copies from {given}"),
        };
        labels.push(Label { span: edge.span, text });
        if let Node::Step(id) = edge.from
            && let Why::Key(name) = &edge.why
            && let Some(step) = program.machines.get(id.machine.0 as usize).and_then(|m| m.steps.get(id.index as usize))
        {
            let captured = Label { span: step.span, text: format!("`{name}` is captured here") };
            if !labels.contains(&captured) {
                labels.push(captured);
            }
        }
    }
    let mut diagnostic = Diagnostic::new(&codes::STEP_CYCLE, message)
        .help("take one of these out, or move a step so that what it gives is there before it is asked for");
    let mut labels = labels.into_iter();
    diagnostic.primary = labels.next();
    diagnostic.secondary = labels.collect();
    diagnostic
}

/// An attribute's name in the language.
pub fn attr_name(attr: Attr) -> &'static str {
    match attr {
        Attr::Uuid => "uuid",
        Attr::Moref => "moref",
        Attr::Hostname => "hostname",
        Attr::Ip => "ip",
    }
}

fn label_of(program: &Program, id: MachineId) -> String {
    program.machines.get(id.0 as usize).map(|m| m.label.clone()).unwrap_or_default()
}

fn describe(program: &Program, node: Node) -> String {
    let label = label_of(program, node.machine());
    match node {
        Node::Clone(_) => format!("the clone of `{label}`"),
        Node::Boot(_) => format!("the start of `{label}`"),
        Node::Network(_) => format!("the network of `{label}`"),
        Node::Step(id) => format!("step {} of `{label}`", id.index + 1),
        Node::Export(_) => format!("`{label}` after its last step"),
        Node::Finish(_) => format!("the end of `{label}`"),
    }
}
