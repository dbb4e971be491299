//! What a controller that died has left: its heir goes on with that, or clears it away.

use super::{Good, Staying, told};
use crate::cli::build::Earlier;
use crate::cli::telling::Telling;
use crate::cli::{args, clean, load, record, resume};
use crate::engine::journal::{Broken, Record, now};
use crate::engine::watch::{Lock, Watch};
use crate::engine::{Control, Up};
use crate::source::Sources;

impl Staying<'_> {
    /// What the build of a dead controller has left: gone on with where its journal is here, else cleaned up.
    pub(super) async fn inherit(
        &self,
        name: &str,
        good: &mut Good,
        lock: Option<&Lock>,
        control: &Control,
        watch: &mut Watch,
        telling: &mut Telling,
    ) {
        let opened = record::store().map(|store| store.open(name));
        match opened {
            Some(Ok((journal, header, past))) if past.ended.is_none() => {
                match resume::refusal(&header, &past) {
                    None => {
                        self.tell(telling, &told("resumes", &format!("going on with the build {name}")));
                        journal.note(&Record::Resumed { when: now() });
                        let build = load::Build {
                            id: name.to_owned(),
                            date: header.date.clone(),
                            args: Some(header.args.clone().into_iter().collect()),
                            existing: Some(header.existing.clone()),
                        };
                        let earlier =
                            Earlier { journal, past, placement: record::placement(&header.settings), up: true };
                        let code = self.resume(build, earlier, good, control, telling).await;
                        self.after(name, code, lock, watch, telling).await;
                    }
                    Some(why) => {
                        let text = format!("the build {name} of a dead controller can't be gone on with ({why})");
                        self.tell(telling, &told("removes", &text));
                        let yes = args::Removal { dry_run: false, yes: true };
                        let clean = args::Clean {
                            build: Some(name.to_owned()),
                            all: false,
                            older_than: None,
                            removal: yes,
                            connection: args::Connection::default(),
                        };
                        let left = past.left();
                        let swept = clean::sweep(&self.client, &clean, &journal, &header, &past, &left).await;
                        if let Err((_, list)) = swept {
                            telling.show(&list, &Sources::new());
                            telling.forget();
                        }
                    }
                }
                watch.inherit([name.to_owned()]);
            }
            Some(Err(Broken::Locked)) => {
                let text = format!("another process here still works on the build {name}: it is left alone");
                self.tell(telling, &told("busy", &text));
            }
            // Begun elsewhere: its machines tell which build they are of.
            _ => watch.inherit([name.to_owned()]),
        }
    }

    async fn resume(
        &self,
        build: load::Build,
        earlier: Earlier,
        before: &mut Good,
        control: &Control,
        telling: &mut Telling,
    ) -> u8 {
        let name = build.id.clone();
        let mut sources = Sources::new();
        let read = Good::read(self.flags, build, Some(before), &mut sources, self.verbose);
        let mut good = match read {
            Ok((good, _)) => good,
            Err((code, list)) => {
                telling.show(&list, &sources);
                return code;
            }
        };
        match good.options(self.flags, name, Some(earlier), self.verbose) {
            Ok(mut engine) => {
                engine.up = Some(Up::default());
                self.build(&good, engine, control, telling).await
            }
            Err((code, list)) => {
                telling.show(&list, &good.sources);
                code
            }
        }
    }
}
