//! `vmwbuild builds`: the builds that are remembered.

use serde_json::json;

use super::{args, record, terminal};
use crate::engine::journal::{Kept, Standing};
use crate::source::Sources;

/// Runs it; the exit code.
pub(crate) fn run(options: &args::Builds) -> u8 {
    let store = match record::needed() {
        Ok(store) => store,
        Err((code, list)) => {
            terminal::show(&list, &Sources::new(), args::When::Auto);
            return code;
        }
    };
    let all = store.all();
    if options.json {
        let list: Vec<_> = all
            .iter()
            .map(|(build, kept)| match kept {
                Ok(kept) => of(kept),
                Err(_) => json!({ "build": build, "state": "unreadable" }),
            })
            .collect();
        terminal::print(&format!("{:#}\n", serde_json::Value::from(list)));
        return 0;
    }
    if all.is_empty() {
        terminal::say(&format!("no builds in {}", store.root().display()));
        return 0;
    }
    for (build, kept) in all {
        match kept {
            Ok(kept) => terminal::tell(&line(&kept)),
            Err(e) => {
                let why = record::problem(&build, &store, e).message;
                terminal::tell(&format!("{build}  {:<11}  {why}\n", "unreadable"));
            }
        }
    }
    0
}

/// A word for how a build stands.
pub(super) fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Running => "running",
        Standing::Interrupted | Standing::Stopped => "interrupted",
        Standing::Done => "done",
        Standing::Failed => "failed",
        Standing::Kept => "kept",
    }
}

fn file(kept: &Kept) -> String {
    kept.header.file.as_ref().map_or_else(|| "standard input".to_owned(), |f| f.display().to_string())
}

fn line(kept: &Kept) -> String {
    let header = &kept.header;
    let mut line = format!("{}  {:<11}  {}  {}", header.build, word(kept.standing), header.date, file(kept));
    if header.sandbox {
        line += "  (sandbox)";
    } else if kept.standing != Standing::Running {
        let left: Vec<String> = kept.past.left().iter().map(|l| l.path()).collect();
        if !left.is_empty() {
            line += &format!("  left: {}", left.join(", "));
        }
        if kept.standing == Standing::Interrupted {
            line += "  (can be gone on with)";
        }
    }
    line + "\n"
}

fn of(kept: &Kept) -> serde_json::Value {
    let header = &kept.header;
    let left: Vec<_> = match header.sandbox || kept.standing == Standing::Running {
        true => Vec::new(),
        false => kept.past.left().iter().map(|l| l.path()).collect(),
    };
    json!({
        "build": header.build,
        "state": word(kept.standing),
        "resumable": kept.standing == Standing::Interrupted && super::resume::refusal(header, &kept.past).is_none(),
        "date": header.date,
        "file": header.file,
        "vcenter": if header.sandbox { serde_json::Value::Null } else { header.connection.url.clone().into() },
        "sandbox": header.sandbox,
        "left": left,
        "logs": kept.directory.join("logs"),
    })
}
