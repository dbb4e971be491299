//! Who needs whom, as a picture.

#![allow(clippy::indexing_slicing, reason = "cards are named by their places in the list that is made here")]

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::time::Duration;

use super::super::path::Part;
use super::super::record::Record;
use super::super::text::span as time;
use super::{cut, esc};
use crate::engine::event::MachineResult;

/// Sizes in pixels.
const WIDTH: usize = 216;
const HEIGHT: usize = 52;
const ACROSS: usize = 110;
const DOWN: usize = 18;

/// Replicas beyond this many are one box.
const FEW: usize = 6;

/// One box: a machine, or the many replicas of a stage.
struct Card {
    title: String,
    said: String,
    took: Duration,
    mark: &'static str,
    critical: bool,
    depth: usize,
    at: (usize, usize),
}

/// The section; nothing where there is only one machine.
pub(super) fn write(out: &mut String, record: &Record, critical: &[Part]) {
    if record.machines.len() < 2 {
        return;
    }
    let (mut cards, of) = cards(record, critical);
    let edges = edges(record, &of, critical);
    // Machines come after those that they are made from; what leads back (a later machine's key) makes no depth.
    for (from, to) in edges.keys() {
        if from < to {
            cards[*to].depth = cards[*to].depth.max(cards[*from].depth + 1);
        }
    }
    let mut rows: BTreeMap<usize, usize> = BTreeMap::new();
    for card in &mut cards {
        let row = rows.entry(card.depth).or_default();
        card.at = (card.depth * (WIDTH + ACROSS) + 1, *row * (HEIGHT + DOWN) + 1);
        *row += 1;
    }
    let columns = rows.keys().last().map_or(1, |d| d + 1);
    let lines = rows.values().max().copied().unwrap_or(1);
    let (width, height) = (columns * (WIDTH + ACROSS) - ACROSS + 2, lines * (HEIGHT + DOWN) - DOWN + 2);
    out.push_str("<section>\n<h2>Graph</h2>\n<div class=\"wide\">");
    let _ = writeln!(
        out,
        "<svg class=\"graph\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
         aria-label=\"Which machine needs which\">"
    );
    // What is critical is drawn over the rest.
    for critical in [false, true] {
        for ((from, to), edge) in edges.iter().filter(|(_, edge)| edge.critical == critical) {
            line(out, &cards[*from], &cards[*to], edge);
        }
    }
    cards.iter().for_each(|card| draw(out, card));
    out.push_str("</svg></div>\n</section>\n");
}

/// The boxes, and which one each machine is in.
fn cards(record: &Record, critical: &[Part]) -> (Vec<Card>, Vec<usize>) {
    let base = |label: &str| label.split('[').next().unwrap_or_default().to_owned();
    let mut counts: HashMap<String, usize> = HashMap::new();
    for machine in &record.machines {
        *counts.entry(base(&machine.info.label)).or_default() += 1;
    }
    let (mut cards, mut of): (Vec<Card>, Vec<usize>) = (Vec::new(), Vec::new());
    let mut groups: HashMap<String, usize> = HashMap::new();
    for (index, machine) in record.machines.iter().enumerate() {
        let group = base(&machine.info.label);
        let count = counts.get(&group).copied().unwrap_or(1);
        let on_path = critical.iter().any(|p| p.machine == index);
        let mark = match &machine.result {
            Some(MachineResult::Built { .. } | MachineResult::Ran(_) | MachineResult::Cached(_)) => "ok",
            Some(MachineResult::Failed(_)) => "bad",
            Some(MachineResult::Cancelled) | None => "soft",
        };
        if let Some(at) = groups.get(&group) {
            let card = &mut cards[*at];
            card.took = card.took.max(machine.elapsed);
            card.critical |= on_path;
            let rank = |mark: &str| ["ok", "soft", "bad"].iter().position(|m| *m == mark);
            if rank(mark) > rank(card.mark) {
                card.mark = mark;
            }
            of.push(*at);
            continue;
        }
        let (title, said) = if count > FEW {
            groups.insert(group.clone(), cards.len());
            (format!("{group} × {count}"), "the slowest's time".to_owned())
        } else {
            (machine.info.label.clone(), machine.info.leaves.clone())
        };
        of.push(cards.len());
        cards.push(Card { title, said, took: machine.elapsed, mark, critical: on_path, depth: 0, at: (0, 0) });
    }
    (cards, of)
}

/// Why one box needs another, and whether the critical path goes that way.
#[derive(Default)]
struct Arrow {
    why: Vec<String>,
    critical: bool,
}

fn edges(record: &Record, of: &[usize], critical: &[Part]) -> BTreeMap<(usize, usize), Arrow> {
    let place: HashMap<_, _> = record.machines.iter().enumerate().map(|(at, m)| (m.info.id, of[at])).collect();
    let mut found: BTreeMap<(usize, usize), Arrow> = BTreeMap::new();
    for edge in &record.edges {
        let (Some(from), Some(to)) = (place.get(&edge.from.machine()), place.get(&edge.to.machine())) else { continue };
        if from == to {
            continue;
        }
        let arrow = found.entry((*from, *to)).or_default();
        if !arrow.why.contains(&edge.why) {
            arrow.why.push(edge.why.clone());
        }
    }
    for pair in critical.windows(2) {
        let ends = (of[pair[0].machine], of[pair[1].machine]);
        if let Some(arrow) = found.get_mut(&ends) {
            arrow.critical = true;
        }
    }
    found
}

fn draw(out: &mut String, card: &Card) {
    let (x, y) = card.at;
    let crit = if card.critical { " crit" } else { "" };
    let took = if card.took.is_zero() { String::new() } else { time(card.took) };
    let _ = writeln!(
        out,
        "<g class=\"card{crit}\" transform=\"translate({x} {y})\"><title>{}</title>\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"8\"/><circle class=\"{}\" cx=\"18\" cy=\"20\" r=\"5\"/>\
         <text class=\"name\" x=\"32\" y=\"25\">{}</text><text class=\"took\" x=\"{}\" y=\"25\">{took}</text>\
         <text class=\"said\" x=\"32\" y=\"42\">{}</text></g>",
        esc(&format!("{}: {}", card.title, card.said)),
        card.mark,
        esc(&cut(&card.title, 17)),
        WIDTH - 12,
        esc(&cut(&card.said, 27))
    );
}

fn line(out: &mut String, from: &Card, to: &Card, arrow: &Arrow) {
    let crit = if arrow.critical { " class=\"crit\"" } else { "" };
    let (x1, y1) = (from.at.0 + WIDTH, from.at.1 + HEIGHT / 2);
    let (x2, y2) = (to.at.0, to.at.1 + HEIGHT / 2);
    // That it is made from the other is what a line means; words are for the rest.
    let said: Vec<&str> = arrow.why.iter().map(String::as_str).filter(|why| *why != "from").collect();
    let why = esc(&cut(&said.join(", "), 18));
    if from.depth < to.depth {
        let bend = ACROSS / 2;
        let (c1, c2) = (x1 + bend, x2.saturating_sub(bend));
        let _ = writeln!(
            out,
            "<g{crit}><path d=\"M{x1} {y1}C{c1} {y1} {c2} {y2} {x2} {y2}\"/>\
             <text class=\"why\" x=\"{}\" y=\"{}\">{why}</text></g>",
            x2 - 10,
            y2 - 7
        );
    } else {
        // Back, or within a column: around the right side.
        let (x2, c) = (to.at.0 + WIDTH, x1.max(to.at.0 + WIDTH) + 40);
        let _ = writeln!(
            out,
            "<g{crit}><path d=\"M{x1} {y1}C{c} {y1} {c} {y2} {x2} {y2}\"/>\
             <text class=\"why back\" x=\"{}\" y=\"{}\">{why}</text></g>",
            c,
            (y1 + y2) / 2
        );
    }
}
