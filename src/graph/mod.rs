//! A checked program lowered to a DAG of steps over machines.

use std::collections::HashMap;

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};

use crate::sema::order::{self, Edge, Node};
use crate::sema::program::{MachineId, Program};

/// The graph of a build: what is done, and what must be done before.
#[derive(Clone, Debug, Default)]
pub struct Dag {
    graph: DiGraph<Node, Edge>,
    index: HashMap<Node, NodeIndex>,
    sequences: HashMap<MachineId, Vec<Node>>,
}

impl Dag {
    /// What must be done before a node.
    pub fn needs(&self, node: Node) -> impl Iterator<Item = Node> {
        let index = self.index.get(&node).copied();
        index.into_iter().flat_map(|i| self.graph.neighbors_directed(i, Direction::Incoming)).map(|i| self.graph[i])
    }

    /// A machine's nodes, in their sequence.
    pub fn of(&self, machine: MachineId) -> impl Iterator<Item = Node> {
        self.sequences.get(&machine).into_iter().flatten().copied()
    }
}

/// Lowers a checked program.
pub fn lower(program: &Program) -> Dag {
    let mut dag = Dag::default();
    for node in order::nodes(program) {
        dag.index.insert(node, dag.graph.add_node(node));
        dag.sequences.entry(node.machine()).or_default().push(node);
    }
    for edge in order::edges(program) {
        if let (Some(from), Some(to)) = (dag.index.get(&edge.from), dag.index.get(&edge.to)) {
            dag.graph.add_edge(*from, *to, edge);
        }
    }
    dag
}
/// DOT.
pub fn dot(_dag: &Dag, _program: &Program) -> String {
    String::new()
}
