//! The graph as DOT, for Graphviz.

use std::fmt::Write as _;

use crate::sema::order::attr_name;
use crate::sema::program::{Attr, Machine, Program};
use crate::syntax::ast::OutputKind;

use super::{Dag, Node, Why};

/// How many characters of a step are shown.
const MAX_LABEL: usize = 48;

/// The graph in DOT: a cluster a machine, its nodes in their sequence.
pub fn dot(dag: &Dag, program: &Program) -> String {
    let mut out = String::from("digraph vmwbuild {\n");
    out.push_str("  rankdir=LR;\n  compound=true;\n");
    out.push_str(
        "  node [shape=box, style=\"rounded,filled\", fillcolor=white, fontname=\"Helvetica\", fontsize=11];\n",
    );
    out.push_str("  edge [fontname=\"Helvetica\", fontsize=9];\n");
    for machine in &program.machines {
        let _ = writeln!(out, "  subgraph cluster_{} {{", machine.id.0);
        let _ = writeln!(out, "    label={};", quoted(&title(machine)));
        out.push_str("    style=rounded;\n    color=gray60;\n    fontname=\"Helvetica\";\n");
        for node in dag.nodes().filter(|n| n.machine() == machine.id) {
            let _ = writeln!(out, "    {} [label={}{}];", id(node), quoted(&label(node, machine)), shape(node));
        }
        out.push_str("  }\n");
    }
    for (from, to, reason) in dag.edges() {
        let text = match &reason.why {
            Why::Sequence => None,
            Why::From => Some("from".to_owned()),
            Why::Key(name) => Some(name.clone()),
            Why::Attr(attr) => Some(attr_name(*attr).to_owned()),
            Why::After => Some("after".to_owned()),
            Why::Copy => Some("copy".to_owned()),
        };
        match text {
            None => {
                let _ = writeln!(out, "  {} -> {};", id(from), id(to));
            }
            Some(text) => {
                let _ = writeln!(out, "  {} -> {} [label={}, color=\"#3060a0\"];", id(from), id(to), quoted(&text));
            }
        }
    }
    out.push_str("}\n");
    out
}

fn title(machine: &Machine) -> String {
    let outputs: Vec<String> = machine
        .outputs
        .iter()
        .map(|output| match output.kind {
            OutputKind::Template => format!("template {}", output.name),
            OutputKind::Vm => format!("VM {}", output.name),
            OutputKind::Library => format!("library {}", output.name),
            OutputKind::Ova => format!("OVA {}", output.name),
            OutputKind::None => "nothing".to_owned(),
        })
        .collect();
    format!("{} → {}", machine.label, outputs.join(", "))
}

fn id(node: Node) -> String {
    match node {
        Node::Clone(m) => format!("m{}_clone", m.0),
        Node::Boot(m) => format!("m{}_boot", m.0),
        Node::Network(m) => format!("m{}_network", m.0),
        Node::Step(step) => format!("m{}_step{}", step.machine.0, step.index),
        Node::Export(m) => format!("m{}_export", m.0),
        Node::Finish(m) => format!("m{}_finish", m.0),
    }
}

fn shape(node: Node) -> &'static str {
    match node {
        Node::Clone(_) | Node::Boot(_) | Node::Network(_) | Node::Export(_) => ", fillcolor=gray92",
        Node::Step(_) => "",
        Node::Finish(_) => ", fillcolor=\"#dcebdc\"",
    }
}

fn label(node: Node, machine: &Machine) -> String {
    match node {
        Node::Clone(_) => match &machine.origin {
            crate::sema::program::Origin::Machine(_) => "clone".to_owned(),
            crate::sema::program::Origin::Inventory { name, .. } => format!("clone {name}"),
        },
        Node::Boot(_) => "start".to_owned(),
        Node::Network(_) => {
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
        Node::Step(step) => {
            let step = machine.steps.get(step.index as usize);
            let note = step.and_then(|s| s.note.as_ref()).and_then(|n| n.as_literal());
            let text = note.map(str::to_owned).or_else(|| step.map(|s| s.text.clone())).unwrap_or_default();
            shortened(&text)
        }
        Node::Export(_) => "fetch for others".to_owned(),
        Node::Finish(_) => "finish".to_owned(),
    }
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= MAX_LABEL {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(MAX_LABEL - 1).collect();
    short.push('…');
    short
}

/// A DOT string: only `"` and `\` mean something in it, and line ends are written `\n`.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
