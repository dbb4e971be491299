//! Where things stand in the drawing. Boxes have a row (their machine's lane) and a column (their rank), so that time
//! runs to the right. An arrow that leaves its row goes down or up in the gutter behind its column, then along a
//! channel above the row of its target: it never crosses a box.

#![expect(
    clippy::indexing_slicing,
    reason = "arrows name boxes of this view, and cells and rows are made for them here"
)]

use std::collections::{BTreeMap, HashMap};

use unicode_width::UnicodeWidthStr;

use super::view::{Grain, View, shortened};

/// Pixels a character, a little more than the usual sans-serif needs at 11 pixels.
const CHAR: f64 = 6.3;
/// The same at the 9 pixels of what is written at arrows.
const SMALL_CHAR: f64 = 5.2;
/// The most characters in a box.
const MAX_TITLE: usize = 30;
/// The most characters in a lane's head.
const MAX_HEAD: usize = 36;
/// How high a box is.
pub(super) const BOX: f64 = 26.0;
/// The same with a second line.
pub(super) const TALL_BOX: f64 = 38.0;
/// The most room that is made for what is written at an arrow.
const MAX_LABEL: f64 = 80.0;
/// Between two lines beside each other.
const TRACK: f64 = 12.0;
/// Room for an arrow's head.
const HEAD: f64 = 14.0;

/// A box in its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Placed {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
    pub title: String,
    pub second: Option<String>,
}

/// A row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub y: f64,
    pub height: f64,
    /// Above its boxes, for arrows.
    channel: f64,
}

/// An arrow: its corners, and where its label ends.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Route {
    pub points: Vec<(f64, f64)>,
    pub label: (f64, f64),
}

/// A drawing.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Layout {
    pub width: f64,
    pub height: f64,
    /// The room for the lanes' heads; none without lanes.
    pub head: f64,
    pub boxes: Vec<Placed>,
    pub rows: Vec<Row>,
    pub routes: Vec<Route>,
}

/// Lays a view out; `top` pixels stay free above it.
pub(super) fn layout(view: &View, top: f64) -> Layout {
    let cells = cells(view);
    let head = match view.grain {
        Grain::Machines => 0.0,
        Grain::Steps => {
            let widest = view.lanes.iter().flat_map(|l| [l.label.clone(), l.outputs.join(", ")]);
            widest.map(|t| text_width(&shortened(&t, MAX_HEAD))).fold(0.0, f64::max) + 20.0
        }
    };
    let mut boxes = sizes(view);
    let straight: Vec<bool> = view.arrows.iter().map(|a| is_straight(a.from, a.to, &cells)).collect();
    let tracks = gutter_tracks(view, &cells, &straight);
    let columns = columns(view, &boxes, &cells, &straight, &tracks, head);
    for (placed, cell) in boxes.iter_mut().zip(&cells) {
        placed.x = columns.get(cell.column).map_or(0.0, |c| c.x);
    }
    let channels = channel_tracks(view, &cells, &straight, &boxes, &columns, &tracks);
    let rows = rows(&boxes, &cells, &channels, top);
    for (placed, cell) in boxes.iter_mut().zip(&cells) {
        placed.y = rows.get(cell.row).map_or(0.0, |r| r.y + r.channel);
    }
    let routes = view
        .arrows
        .iter()
        .enumerate()
        .map(|(index, arrow)| {
            let (from, to) = (&boxes[arrow.from], &boxes[arrow.to]);
            let (out, into) = (from.y + from.height / 2.0, to.y + to.height / 2.0);
            let right = from.x + from.width;
            if straight[index] {
                return Route { points: vec![(right, out), (to.x, into)], label: (to.x - HEAD, into - 4.0) };
            }
            let gutter = gutter_x(&columns, &cells[arrow.from], tracks.get(&arrow.from).copied().unwrap_or(0));
            let row = &rows[cells[arrow.to].row];
            let channel = row.y + row.channel - TRACK * (channels.of.get(&index).copied().unwrap_or(0) as f64 + 0.6);
            let down = to.x - HEAD;
            let points =
                vec![(right, out), (gutter, out), (gutter, channel), (down, channel), (down, into), (to.x, into)];
            Route { points, label: (down - 3.0, channel - 2.5) }
        })
        .collect();
    let width = columns.last().map_or(head, |c| c.x + c.width + c.gutter);
    let height = rows.last().map_or(top, |r| r.y + r.height);
    Layout { width: width.max(360.0), height: height + 8.0, head, boxes, rows, routes }
}

/// Where a box stands, counted.
#[derive(Clone, Copy, Debug)]
struct Cell {
    row: usize,
    column: usize,
}

fn cells(view: &View) -> Vec<Cell> {
    match view.grain {
        Grain::Steps => view.boxes.iter().map(|b| Cell { row: b.lane, column: b.rank }).collect(),
        // Machines have no lanes: each column is filled from above.
        Grain::Machines => {
            let mut next: HashMap<usize, usize> = HashMap::new();
            let mut cell = |column: usize| {
                let row = next.entry(column).or_default();
                *row += 1;
                Cell { row: *row - 1, column }
            };
            view.boxes.iter().map(|b| cell(b.rank)).collect()
        }
    }
}

fn sizes(view: &View) -> Vec<Placed> {
    let size = |b: &super::view::Shape| {
        let title = shortened(&b.title, MAX_TITLE);
        let second = match view.grain {
            Grain::Steps => None,
            Grain::Machines => view.lanes.get(b.lane).map(|l| shortened(&l.outputs.join(", "), MAX_TITLE)),
        };
        let width = text_width(&title).max(second.as_deref().map_or(0.0, text_width)) + 16.0;
        let height = if second.is_some() { TALL_BOX } else { BOX };
        Placed { x: 0.0, y: 0.0, width, height, title, second }
    };
    view.boxes.iter().map(size).collect()
}

/// Whether an arrow stays in its row, with nothing in its way.
fn is_straight(from: usize, to: usize, cells: &[Cell]) -> bool {
    let (a, b) = (cells[from], cells[to]);
    let between = |c: &Cell| c.row == a.row && c.column > a.column && c.column < b.column;
    // Boxes of a row stand near each other in the list; but a view of machines is small anyway.
    a.row == b.row && a.column < b.column && (to == from + 1 || !cells.iter().any(between))
}

/// For each box with arrows out of its row, its place in the gutter behind its column: those whose ways overlap
/// stand beside each other. Boxes that lead to one target only share a way to it.
fn gutter_tracks(view: &View, cells: &[Cell], straight: &[bool]) -> HashMap<usize, usize> {
    let routed = || view.arrows.iter().zip(straight).filter(|(_, s)| !**s).map(|(a, _)| a);
    let mut targets: HashMap<usize, Vec<usize>> = HashMap::new();
    routed().for_each(|a| targets.entry(a.from).or_default().push(a.to));
    // By column, and by the target that they share or the box itself.
    let mut ways: BTreeMap<(usize, bool, usize), (usize, usize)> = BTreeMap::new();
    let group = |from: usize| match targets.get(&from).map(Vec::as_slice) {
        Some([only]) => (cells[from].column, true, *only),
        _ => (cells[from].column, false, from),
    };
    for arrow in routed() {
        let (a, b) = (cells[arrow.from].row, cells[arrow.to].row);
        let way = ways.entry(group(arrow.from)).or_insert((a, a));
        *way = (way.0.min(a).min(b), way.1.max(a).max(b));
    }
    let mut taken: HashMap<usize, Vec<Vec<(usize, usize)>>> = HashMap::new();
    let mut tracks = HashMap::new();
    for (key, way) in ways {
        let column = taken.entry(key.0).or_default();
        tracks.insert(key, first_free(column, way, |a, b| a.0 <= b.1 && b.0 <= a.1));
    }
    targets.keys().filter_map(|from| Some((*from, *tracks.get(&group(*from))?))).collect()
}

/// Puts an interval on the first track where nothing overlaps it.
fn first_free<T: Copy>(tracks: &mut Vec<Vec<T>>, new: T, overlap: impl Fn(T, T) -> bool) -> usize {
    let free = tracks.iter().position(|t| !t.iter().any(|other| overlap(*other, new)));
    let at = free.unwrap_or(tracks.len());
    if at == tracks.len() {
        tracks.push(Vec::new());
    }
    if let Some(track) = tracks.get_mut(at) {
        track.push(new);
    }
    at
}

/// A column, with the gutter behind it.
#[derive(Clone, Copy, Debug)]
struct Column {
    x: f64,
    width: f64,
    gutter: f64,
}

fn columns(
    view: &View,
    boxes: &[Placed],
    cells: &[Cell],
    straight: &[bool],
    tracks: &HashMap<usize, usize>,
    head: f64,
) -> Vec<Column> {
    let count = cells.iter().map(|c| c.column + 1).max().unwrap_or(0);
    let mut columns = vec![Column { x: 0.0, width: 0.0, gutter: 28.0 }; count];
    for (index, (placed, cell)) in boxes.iter().zip(cells).enumerate() {
        let Some(column) = columns.get_mut(cell.column) else { continue };
        column.width = column.width.max(placed.width);
        if let Some(track) = tracks.get(&index) {
            column.gutter = column.gutter.max(32.0 + 8.0 * (*track as f64 + 1.0));
        }
    }
    // What is written at an arrow stands between the lines of the gutter and the target.
    let lines: Vec<f64> = columns.iter().map(|c| c.gutter).collect();
    for (arrow, _) in view.arrows.iter().zip(straight).filter(|(_, s)| !**s) {
        let before = cells[arrow.to].column.checked_sub(1);
        if let Some((column, lines)) = before.and_then(|i| Some((columns.get_mut(i)?, lines.get(i)?))) {
            let label = (SMALL_CHAR * arrow.label().width() as f64).min(MAX_LABEL);
            column.gutter = column.gutter.max(lines + label);
        }
    }
    let mut x = head + 16.0;
    for column in &mut columns {
        column.x = x;
        x += column.width + column.gutter;
    }
    columns
}

fn gutter_x(columns: &[Column], cell: &Cell, track: usize) -> f64 {
    columns.get(cell.column).map_or(0.0, |c| c.x + c.width + 8.0 + 8.0 * track as f64)
}

/// The arrows' places in the channels.
struct Channels {
    /// By arrow, from below.
    of: HashMap<usize, usize>,
    /// By row, how many there are.
    count: HashMap<usize, usize>,
}

fn channel_tracks(
    view: &View,
    cells: &[Cell],
    straight: &[bool],
    boxes: &[Placed],
    columns: &[Column],
    tracks: &HashMap<usize, usize>,
) -> Channels {
    let mut channels = Channels { of: HashMap::new(), count: HashMap::new() };
    let mut taken: HashMap<usize, Vec<Vec<(f64, f64)>>> = HashMap::new();
    // Arrows that come the same way to the same box are one line.
    let mut shared: HashMap<(usize, usize, usize, String), usize> = HashMap::new();
    for (index, arrow) in view.arrows.iter().enumerate().filter(|(i, _)| !straight[*i]) {
        let gutter = gutter_x(columns, &cells[arrow.from], tracks.get(&arrow.from).copied().unwrap_or(0));
        let end = boxes[arrow.to].x - HEAD;
        let label = end - 3.0 - SMALL_CHAR * arrow.label().width() as f64;
        let way = (gutter.min(label).min(end), gutter.max(end));
        let row = cells[arrow.to].row;
        let track = tracks.get(&arrow.from).copied().unwrap_or(0);
        let same = (arrow.to, cells[arrow.from].column, track, arrow.label());
        if let Some(known) = shared.get(&same) {
            channels.of.insert(index, *known);
            continue;
        }
        let of_row = taken.entry(row).or_default();
        let free = first_free(of_row, way, |a, b| a.0 < b.1 + 4.0 && b.0 < a.1 + 4.0);
        shared.insert(same, free);
        channels.of.insert(index, free);
        channels.count.insert(row, of_row.len());
    }
    channels
}

fn rows(boxes: &[Placed], cells: &[Cell], channels: &Channels, top: f64) -> Vec<Row> {
    let count = cells.iter().map(|c| c.row + 1).max().unwrap_or(0);
    let highest = boxes.iter().map(|b| b.height).fold(BOX, f64::max);
    let mut y = top;
    (0..count)
        .map(|row| {
            let lines = channels.count.get(&row).copied().unwrap_or(0);
            let channel = 10.0 + TRACK * lines as f64;
            let height = channel + highest + 8.0;
            let made = Row { y, height, channel };
            y += height;
            made
        })
        .collect()
}

fn text_width(text: &str) -> f64 {
    CHAR * text.width() as f64
}

/// A lane's head, in two lines.
pub(super) fn head_lines(lane: &super::view::Lane) -> [String; 2] {
    [shortened(&lane.label, MAX_HEAD), shortened(&lane.outputs.join(", "), MAX_HEAD)]
}
