//! `cmd.exe`: it has no quoting that holds, so only values that can't be code stand in its text, as they are.

use super::{Context, Hole, HoleKind, Refusal, RefusalKind};

pub(super) fn read(holes: &[Hole]) -> Result<Vec<Context>, Vec<Refusal>> {
    let refused: Vec<Refusal> = holes
        .iter()
        .enumerate()
        .filter_map(|(index, hole)| {
            let kind = match hole.kind {
                HoleKind::Int | HoleKind::Plain | HoleKind::Raw => return None,
                HoleKind::List => RefusalKind::List,
                HoleKind::Text | HoleKind::Quoted => RefusalKind::CmdText,
            };
            Some(Refusal { hole: index, kind, at: hole.range() })
        })
        .collect();
    if refused.is_empty() { Ok(vec![Context::Verbatim; holes.len()]) } else { Err(refused) }
}
