//! A checked program lowered to a DAG of steps over machines.
//!
//! What waits for what is worked out in [`crate::sema::order`], since a cycle is an error of the file; here it
//! becomes a graph that a plan and an engine can walk. The example of the [crate] leads here from a text.

mod dot;
mod json;
mod layout;
mod mermaid;
mod svg;
mod view;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use petgraph::Direction;
use petgraph::algo::toposort;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

pub use crate::sema::order::{Edge, Node, Why, boots, leaves_running};
use crate::sema::order::{edges, nodes};
use crate::sema::program::{MachineId, Program};
use crate::source::Span;

pub use dot::dot;
pub use json::json;
pub use mermaid::mermaid;
pub use svg::svg;
pub use view::{Arrow, Grain, Kind, Lane, Shape, View, critical, view};

/// Why one node waits for another, on the graph's edges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Why.
    pub why: Why,
    /// Where the file says so.
    pub span: Span,
}

/// A build's graph. Edges lead from what is done first to what waits for it; none but those that are needed.
#[derive(Clone, Debug, Default)]
pub struct Dag {
    graph: DiGraph<Node, Reason>,
    index: HashMap<Node, NodeIndex>,
}

/// The graph of a checked program.
pub fn lower(program: &Program) -> Dag {
    let mut dag = Dag::default();
    for node in nodes(program) {
        let index = dag.graph.add_node(node);
        dag.index.insert(node, index);
    }
    for Edge { from, to, why, span } in edges(program) {
        if let (Some(from), Some(to)) = (dag.index.get(&from), dag.index.get(&to)) {
            dag.graph.add_edge(*from, *to, Reason { why, span });
        }
    }
    dag
}

impl Dag {
    /// The graph itself.
    pub fn graph(&self) -> &DiGraph<Node, Reason> {
        &self.graph
    }

    /// All nodes: machine after machine, each in its sequence.
    pub fn nodes(&self) -> impl Iterator<Item = Node> {
        self.graph.node_weights().copied()
    }

    /// A machine's nodes, in their sequence.
    pub fn of(&self, machine: MachineId) -> impl Iterator<Item = Node> {
        self.nodes().filter(move |node| node.machine() == machine)
    }

    /// Whether there is such a node: a machine that never boots has no [`Node::Boot`], say.
    pub fn contains(&self, node: Node) -> bool {
        self.index.contains_key(&node)
    }

    /// What a node waits for, in the order of [`Dag::nodes`].
    pub fn needs(&self, node: Node) -> Vec<Node> {
        self.neighbours(node, Direction::Incoming)
    }

    /// What waits for a node, in the order of [`Dag::nodes`].
    pub fn needed_by(&self, node: Node) -> Vec<Node> {
        self.neighbours(node, Direction::Outgoing)
    }

    fn neighbours(&self, node: Node, direction: Direction) -> Vec<Node> {
        let Some(index) = self.index.get(&node) else { return vec![] };
        let mut found: Vec<NodeIndex> = self.graph.neighbors_directed(*index, direction).collect();
        found.sort_unstable();
        found.dedup();
        found.iter().filter_map(|i| self.graph.node_weight(*i).copied()).collect()
    }

    /// What a node waits for, and why, in the order of [`Dag::nodes`].
    pub fn reasons(&self, node: Node) -> Vec<(Node, &Reason)> {
        let Some(index) = self.index.get(&node) else { return vec![] };
        let edges = self.graph.edges_directed(*index, Direction::Incoming);
        let mut found: Vec<_> = edges.map(|e| (e.source(), e.weight())).collect();
        found.sort_by_key(|(from, _)| *from);
        found.into_iter().filter_map(|(from, why)| Some((self.graph.node_weight(from).copied()?, why))).collect()
    }

    /// All edges, in the order of the nodes that wait.
    pub fn edges(&self) -> Vec<(Node, Node, &Reason)> {
        let mut found: Vec<_> = self.graph.edge_references().map(|e| (e.target(), e.source(), e.weight())).collect();
        found.sort_by_key(|(to, from, _)| (*to, *from));
        let weight = |index| self.graph.node_weight(index).copied();
        found.into_iter().filter_map(|(to, from, reason)| Some((weight(from)?, weight(to)?, reason))).collect()
    }

    /// An order in which everything can be done, one after another. None for a graph with a cycle, which a program
    /// without errors never gives.
    pub fn order(&self) -> Option<Vec<Node>> {
        let order = toposort(&self.graph, None).ok()?;
        Some(order.into_iter().filter_map(|i| self.graph.node_weight(i).copied()).collect())
    }
}
