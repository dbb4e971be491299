//! What is drawn: boxes in the lanes of their machines, arrows between them, and the critical path. Every format
//! writes the same view.

use std::collections::HashMap;

use crate::sema::order::attr_name;
use crate::sema::program::{Attr, Machine, Origin, Program};
use crate::source::Span;
use crate::syntax::ast::OutputKind;

use super::{Dag, Node, Why};

/// How fine the drawing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grain {
    /// Everything that a build does.
    Steps,
    /// A box a machine.
    Machines,
}

/// A graph as it is drawn.
#[derive(Clone, Debug)]
pub struct View {
    /// How fine it is.
    pub grain: Grain,
    /// The machines, in the order in which they are built.
    pub lanes: Vec<Lane>,
    /// Machine after machine, each in its sequence.
    pub boxes: Vec<Shape>,
    /// In the order of what waits.
    pub arrows: Vec<Arrow>,
    /// How many nodes of the build stand on its critical path.
    pub length: usize,
}

/// A machine.
#[derive(Clone, Debug)]
pub struct Lane {
    /// `m0`, `m1`, …
    pub id: String,
    /// As in messages: `worker[2]`.
    pub label: String,
    /// `AS name`.
    pub stage: Option<String>,
    /// `template docker`, `VM web`.
    pub outputs: Vec<String>,
}

impl Lane {
    /// Name and outputs in one line.
    pub fn title(&self) -> String {
        format!("{} → {}", self.label, self.outputs.join(", "))
    }
}

/// What a box stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole machine.
    Machine,
    /// Its clone.
    Clone,
    /// Its start.
    Boot,
    /// Address, host name, attributes.
    Network,
    /// A step.
    Step,
    /// Files fetched for other machines.
    Export,
    /// What it leaves is made.
    Finish,
}

impl Kind {
    /// As in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Machine => "machine",
            Kind::Clone => "clone",
            Kind::Boot => "start",
            Kind::Network => "network",
            Kind::Step => "step",
            Kind::Export => "export",
            Kind::Finish => "finish",
        }
    }
}

/// A box.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Unique, of letters, digits and `_`.
    pub id: String,
    /// Index of its machine in [`View::lanes`].
    pub lane: usize,
    /// What it is.
    pub kind: Kind,
    /// All that is to be said in it.
    pub title: String,
    /// The longest way to it, in boxes: what stands further left is done before.
    pub rank: usize,
    /// On the critical path.
    pub critical: bool,
    /// Where the file says so.
    pub span: Span,
}

/// An arrow from what is done first to what waits for it.
#[derive(Clone, Debug)]
pub struct Arrow {
    /// Index in [`View::boxes`].
    pub from: usize,
    /// Index in [`View::boxes`].
    pub to: usize,
    /// Why it waits; empty where it only comes next in its machine.
    pub reasons: Vec<Reason>,
    /// On the critical path.
    pub critical: bool,
    /// Where the file says so.
    pub span: Span,
}

/// Why something waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// `from`, `key`, `attribute`, `after`, `copy`.
    pub kind: &'static str,
    /// The key or attribute.
    pub name: Option<String>,
}

impl Arrow {
    /// What is written at it.
    pub fn label(&self) -> String {
        let words = self.reasons.iter().map(|r| r.name.clone().unwrap_or_else(|| r.kind.to_owned()));
        words.collect::<Vec<_>>().join(", ")
    }
}

/// The view of a graph.
pub fn view(dag: &Dag, program: &Program, grain: Grain) -> View {
    let path = critical(dag, |_| 1);
    let on_path: HashMap<Node, usize> = path.iter().enumerate().map(|(i, n)| (*n, i)).collect();
    // Two neighbours on the path; not any two nodes of it that happen to have an edge.
    let steps_on = |from: Node, to: Node| match (on_path.get(&from), on_path.get(&to)) {
        (Some(a), Some(b)) => *b == a + 1,
        _ => false,
    };
    let lanes = program.machines.iter().map(|m| lane(m, program)).collect();
    let mut boxes: Vec<Shape> = Vec::new();
    let mut place: HashMap<Node, usize> = HashMap::new();
    for machine in &program.machines {
        let lane = machine.id.0 as usize;
        for node in dag.of(machine.id) {
            if grain == Grain::Steps || !place.contains_key(&Node::Clone(machine.id)) {
                boxes.push(shape(node, machine, program, lane, grain));
            }
            let at = boxes.len() - 1;
            place.insert(node, at);
            if let Some(shape) = boxes.get_mut(at) {
                shape.critical |= on_path.contains_key(&node);
            }
        }
    }
    let mut arrows: Vec<Arrow> = Vec::new();
    let mut known: HashMap<(usize, usize), usize> = HashMap::new();
    for (from, to, why) in dag.edges() {
        let (Some(a), Some(b)) = (place.get(&from), place.get(&to)) else { continue };
        if a == b {
            continue;
        }
        let at = *known.entry((*a, *b)).or_insert_with(|| {
            arrows.push(Arrow { from: *a, to: *b, reasons: Vec::new(), critical: false, span: why.span });
            arrows.len() - 1
        });
        let Some(arrow) = arrows.get_mut(at) else { continue };
        arrow.critical |= steps_on(from, to);
        if let Some(reason) = reason(&why.why).filter(|r| !arrow.reasons.contains(r)) {
            arrow.reasons.push(reason);
        }
    }
    let mut view = View { grain, lanes, boxes, arrows, length: path.len() };
    view.rank();
    view
}

impl View {
    /// Works out the ranks. Machines that wait for each other's steps have no order; what would go round in a circle
    /// stays where it is.
    #[expect(
        clippy::indexing_slicing,
        reason = "arrows are made between boxes of this view, and the lists are as long"
    )]
    fn rank(&mut self) {
        let mut waits = vec![0usize; self.boxes.len()];
        let mut out: Vec<Vec<usize>> = vec![Vec::new(); self.boxes.len()];
        for arrow in &self.arrows {
            waits[arrow.to] += 1;
            out[arrow.from].push(arrow.to);
        }
        let mut ready: Vec<usize> = (0..self.boxes.len()).filter(|i| waits[*i] == 0).collect();
        let mut done = vec![false; self.boxes.len()];
        let mut placed = 0;
        while placed < self.boxes.len() {
            let Some(at) = ready.pop() else {
                // A circle: the first box in it goes ahead.
                ready.extend(done.iter().position(|d| !d));
                continue;
            };
            if std::mem::replace(&mut done[at], true) {
                continue;
            }
            placed += 1;
            let rank = self.boxes[at].rank + 1;
            for to in &out[at] {
                if done[*to] {
                    continue;
                }
                self.boxes[*to].rank = self.boxes[*to].rank.max(rank);
                waits[*to] -= 1;
                if waits[*to] == 0 {
                    ready.push(*to);
                }
            }
        }
    }
}

/// The heaviest chain of nodes that wait for each other, first to last; of equal ones that of the nodes that come
/// first. With a weight of one it is the longest in steps.
pub fn critical(dag: &Dag, weight: impl Fn(Node) -> u64) -> Vec<Node> {
    let Some(order) = dag.order() else { return Vec::new() };
    let mut best: HashMap<Node, (u64, Option<Node>)> = HashMap::new();
    for node in &order {
        let before = dag.needs(*node).into_iter().filter_map(|n| Some((best.get(&n)?.0, n)));
        let heaviest = before.fold(None, |a: Option<(u64, Node)>, b| match a {
            Some(a) if a.0 >= b.0 => Some(a),
            _ => Some(b),
        });
        let sum = heaviest.map_or(0, |h| h.0).saturating_add(weight(*node));
        best.insert(*node, (sum, heaviest.map(|h| h.1)));
    }
    let mut last: Option<(u64, Node)> = None;
    for node in dag.nodes() {
        let sum = best.get(&node).map_or(0, |b| b.0);
        if last.is_none_or(|l| sum > l.0) {
            last = Some((sum, node));
        }
    }
    let mut path = Vec::new();
    let mut at = last.map(|l| l.1);
    while let Some(node) = at {
        path.push(node);
        at = best.get(&node).and_then(|b| b.1);
    }
    path.reverse();
    path
}

fn reason(why: &Why) -> Option<Reason> {
    let (kind, name) = match why {
        Why::Sequence => return None,
        Why::From => ("from", None),
        Why::Key(name) => ("key", Some(name.clone())),
        Why::Attr(attr) => ("attribute", Some(attr_name(*attr).to_owned())),
        Why::After => ("after", None),
        Why::Copy => ("copy", None),
    };
    Some(Reason { kind, name })
}

fn lane(machine: &Machine, program: &Program) -> Lane {
    let outputs = machine.outputs.iter().map(|output| match output.kind {
        OutputKind::Template => format!("template {}", output.name),
        OutputKind::Vm => format!("VM {}", output.name),
        OutputKind::Library => format!("library {}", output.name),
        OutputKind::Ova => format!("OVA {}", output.name),
        OutputKind::None => "nothing".to_owned(),
    });
    let stage = program.stages.get(machine.stage.0 as usize).and_then(|s| s.name.clone());
    Lane { id: format!("m{}", machine.id.0), label: machine.label.clone(), stage, outputs: outputs.collect() }
}

fn shape(node: Node, machine: &Machine, program: &Program, lane: usize, grain: Grain) -> Shape {
    let step = match node {
        Node::Step(id) => machine.steps.get(id.index as usize),
        _ => None,
    };
    let span = step.map_or(machine.span, |s| s.span);
    let (kind, title) = match (grain, node) {
        (Grain::Machines, _) => (Kind::Machine, machine.label.clone()),
        (Grain::Steps, Node::Clone(_)) => match &machine.origin {
            Origin::Machine(_) => (Kind::Clone, "clone".to_owned()),
            Origin::Inventory { name, .. } => (Kind::Clone, format!("clone {name}")),
            Origin::Existing { path, .. } => (Kind::Clone, format!("on {path}")),
        },
        (Grain::Steps, Node::Boot(_)) => (Kind::Boot, "start".to_owned()),
        (Grain::Steps, Node::Network(_)) => (Kind::Network, network(machine)),
        (Grain::Steps, Node::Step(_)) => {
            let note = step.and_then(|s| s.note.as_ref()).and_then(|n| n.as_literal());
            let text = note.map(str::to_owned).or_else(|| step.map(|s| s.text.clone()));
            (Kind::Step, text.unwrap_or_default())
        }
        (Grain::Steps, Node::Export(_)) => (Kind::Export, "fetch for others".to_owned()),
        (Grain::Steps, Node::Finish(_)) => (Kind::Finish, finish(machine, program)),
    };
    Shape { id: id(node, grain), lane, kind, title, rank: 0, critical: false, span }
}

/// The end of a machine. What it leaves may get its name later still, which is no node: nothing waits for that.
fn finish(machine: &Machine, program: &Program) -> String {
    let mut after: Vec<&str> =
        machine.outputs.iter().flat_map(|o| &o.after).map(|id| program.machine(*id).label.as_str()).collect();
    after.dedup();
    match after.as_slice() {
        [] => "finish".to_owned(),
        all => format!("finish; its name once {} ended well", all.join(", ")),
    }
}

fn id(node: Node, grain: Grain) -> String {
    match (grain, node) {
        (Grain::Machines, _) => format!("m{}", node.machine().0),
        (Grain::Steps, Node::Clone(m)) => format!("m{}_clone", m.0),
        (Grain::Steps, Node::Boot(m)) => format!("m{}_boot", m.0),
        (Grain::Steps, Node::Network(m)) => format!("m{}_network", m.0),
        (Grain::Steps, Node::Step(step)) => format!("m{}_step{}", step.machine.0, step.index),
        (Grain::Steps, Node::Export(m)) => format!("m{}_export", m.0),
        (Grain::Steps, Node::Finish(m)) => format!("m{}_finish", m.0),
    }
}

fn network(machine: &Machine) -> String {
    let mut parts = Vec::new();
    if machine.address.is_some() {
        parts.push("address");
    }
    if machine.hostname.is_some() {
        parts.push("hostname");
    }
    let wanted = machine.wanted.iter().filter(|a| matches!(a, Attr::Ip | Attr::Hostname)).copied();
    parts.extend(wanted.map(attr_name).filter(|a| *a != "hostname" || machine.hostname.is_none()));
    format!("network: {}", parts.join(", "))
}

/// At most so many characters, the last an ellipsis where some are missing.
pub(super) fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most.saturating_sub(1)).collect();
    short.push('…');
    short
}
