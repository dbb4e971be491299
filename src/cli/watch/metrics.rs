//! How things stand, for Prometheus: served over HTTP, and written to a file.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::cli::args;
use crate::cli::build::Refused;
use crate::cli::codes;
use crate::diagnostic::Diagnostic;
use crate::engine::watch::Figures;
use crate::vsphere::client::Client;

/// How long a client may take to ask.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest request that is read; what follows the first line doesn't matter.
const LONGEST: usize = 8 << 10;
/// How old a look may be before `/healthz` says that something is wrong.
const STALE: i64 = 900;

/// What is counted here.
#[derive(Default)]
struct Counts {
    holds: bool,
    file_well: bool,
    rounds: (u64, u64),
    took: f64,
    replacements: BTreeMap<String, u64>,
    told: BTreeMap<&'static str, u64>,
    watched: Option<(Arc<Mutex<Figures>>, Client)>,
}

/// Everything that is told.
pub(super) struct Metrics {
    platform: String,
    file: Option<PathBuf>,
    counts: Mutex<Counts>,
}

impl Metrics {
    /// Begins to serve them, where that is asked for.
    pub(super) async fn start(flags: &args::Watching, platform: &str) -> Result<Arc<Self>, Refused> {
        let counts = Mutex::new(Counts { file_well: true, ..Counts::default() });
        let file = flags.metrics_file.clone();
        let metrics = Arc::new(Metrics { platform: platform.to_owned(), file, counts });
        if let Some(address) = flags.metrics {
            let listener = TcpListener::bind(address).await.map_err(|e| {
                let text = format!("can't serve metrics at {address}: {e}");
                (2, vec![Diagnostic::new(&codes::OUTPUT_UNWRITABLE, text).help("choose another address or port")])
            })?;
            if let (0, Ok(address)) = (address.port(), listener.local_addr()) {
                crate::cli::terminal::say(&format!("metrics at http://{address}/metrics"));
            }
            tokio::spawn(serve(listener, Arc::clone(&metrics)));
        }
        if let Some(file) = &metrics.file {
            metrics.try_write().map_err(|e| {
                let text = format!("can't write `{}`: {e}", file.display());
                (
                    2,
                    vec![
                        Diagnostic::new(&codes::OUTPUT_UNWRITABLE, text)
                            .help("name a file in a directory that is there"),
                    ],
                )
            })?;
        }
        Ok(metrics)
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the lock is held.
    pub(super) fn holds(&self, holds: bool) {
        self.counts().holds = holds;
        self.write();
    }

    /// Whether the file can be used.
    pub(super) fn file(&self, well: bool) {
        self.counts().file_well = well;
    }

    /// Something was told.
    pub(super) fn count(&self, what: &'static str) {
        *self.counts().told.entry(what).or_default() += 1;
    }

    /// A build has ended.
    pub(super) fn round<'a>(&self, well: bool, replaced: impl Iterator<Item = &'a String>) {
        let mut counts = self.counts();
        if well {
            counts.rounds.0 += 1;
        } else {
            counts.rounds.1 += 1;
        }
        for label in replaced {
            let stage = label.split('[').next().unwrap_or(label).to_owned();
            *counts.replacements.entry(stage).or_default() += 1;
        }
    }

    /// How long a build took.
    pub(super) fn took(&self, time: Duration) {
        self.counts().took += time.as_secs_f64();
    }

    /// Where the engine's figures are from now on.
    pub(super) fn follow(&self, figures: Arc<Mutex<Figures>>, client: Client) {
        self.counts().watched = Some((figures, client));
    }

    /// Writes the file, if there is one; what can't be written is written the next time.
    pub(super) fn write(&self) {
        let _ = self.try_write();
    }

    fn try_write(&self) -> std::io::Result<()> {
        let Some(path) = &self.file else { return Ok(()) };
        let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(std::path::Path::new("."));
        let mut builder = tempfile::Builder::new();
        // Whoever collects them is another user.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
        let mut file = builder.prefix(".vmwbuild-").tempfile_in(directory)?;
        std::io::Write::write_all(&mut file, self.text().as_bytes())?;
        file.persist(path).map(drop).map_err(|e| e.error)
    }

    /// Prometheus' text format.
    fn text(&self) -> String {
        let counts = self.counts();
        let (figures, requests) = match &counts.watched {
            Some((figures, client)) => {
                (figures.lock().unwrap_or_else(PoisonError::into_inner).clone(), client.requests().total)
            }
            None => (Figures::default(), 0),
        };
        let mut out = String::new();
        let mut one = |name: &str, kind: &str, help: &str, values: &[(String, String)]| {
            let _ = writeln!(out, "# HELP vmwbuild_{name} {help}\n# TYPE vmwbuild_{name} {kind}");
            for (labels, value) in values {
                let _ = writeln!(out, "vmwbuild_{name}{labels} {value}");
            }
        };
        let plain = |value: String| vec![(String::new(), value)];
        let by = |label: &str, pairs: &[(&str, String)]| -> Vec<(String, String)> {
            pairs.iter().map(|(of, value)| (format!("{{{label}=\"{}\"}}", escaped(of)), value.clone())).collect()
        };
        let version = env!("CARGO_PKG_VERSION");
        let info = format!("{{version=\"{version}\",platform=\"{}\"}}", escaped(&self.platform));
        one("info", "gauge", "What is watched, and by which version.", &[(info, "1".to_owned())]);
        let holds = u8::from(counts.holds).to_string();
        one("lock_held", "gauge", "Whether this controller holds the platform's lock.", &plain(holds));
        let well = u8::from(counts.file_well).to_string();
        one("file_usable", "gauge", "Whether the VMWfile and its arguments can be used as they are now.", &plain(well));
        one("machines_wanted", "gauge", "Machines that are to run.", &plain(figures.wanted.to_string()));
        let states = [
            ("living", figures.living.to_string()),
            ("suspect", figures.suspect.to_string()),
            ("held", figures.held.to_string()),
            ("missing", figures.missing.to_string()),
        ];
        let help = "Machines by state; held are dead and not replaced for now.";
        one("machines", "gauge", help, &by("state", &states));
        one(
            "budget_left",
            "gauge",
            "Replacements that --max-replacements allows now.",
            &plain(figures.budget.to_string()),
        );
        let replaced: Vec<(&str, String)> =
            counts.replacements.iter().map(|(s, n)| (s.as_str(), n.to_string())).collect();
        one("replacements_total", "counter", "Machines replaced, by stage.", &by("stage", &replaced));
        let rounds = [("ok", counts.rounds.0.to_string()), ("failed", counts.rounds.1.to_string())];
        one("builds_total", "counter", "Builds of this controller.", &by("result", &rounds));
        one("build_seconds_total", "counter", "Time spent in builds.", &plain(format!("{:.3}", counts.took)));
        let checks = [("ok", figures.checks.0.to_string()), ("failed", figures.checks.1.to_string())];
        one("healthchecks_total", "counter", "HEALTHCHECKs that were run.", &by("result", &checks));
        let told: Vec<(&str, String)> = counts.told.iter().map(|(what, n)| (*what, n.to_string())).collect();
        one("events_total", "counter", "What stands in the log, by kind.", &by("what", &told));
        one("requests_total", "counter", "Requests made to vCenter.", &plain(requests.to_string()));
        let help = "When all was looked at last.";
        one("last_look_timestamp_seconds", "gauge", help, &plain(figures.looked.to_string()));
        out
    }

    /// Whether it does its work: one that waits for the lock does.
    fn is_well(&self) -> bool {
        let counts = self.counts();
        let Some((figures, _)) = counts.watched.as_ref().filter(|_| counts.holds) else { return true };
        let looked = figures.lock().unwrap_or_else(PoisonError::into_inner).looked;
        looked == 0 || time::OffsetDateTime::now_utc().unix_timestamp() - looked < STALE
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

async fn serve(listener: TcpListener, metrics: Arc<Metrics>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let metrics = Arc::clone(&metrics);
                // Who asks for nonsense, or hangs up, is told nothing.
                tokio::spawn(async move { drop(tokio::time::timeout(PATIENCE, answer(stream, &metrics)).await) });
            }
            // Too many open files, as a rule: that passes.
            Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
        }
    }
}

async fn answer(mut stream: TcpStream, metrics: &Metrics) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut part = [0u8; 1024];
    while !head.windows(4).any(|w| w == b"\r\n\r\n") && head.len() < LONGEST {
        match stream.read(&mut part).await? {
            0 => return Ok(()),
            n => head.extend_from_slice(part.get(..n).unwrap_or_default()),
        }
    }
    let head = String::from_utf8_lossy(&head);
    let mut words = head.split_whitespace();
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (status, kind, body) = match (method, path.split('?').next().unwrap_or_default()) {
        ("GET" | "HEAD", "/metrics") => ("200 OK", "text/plain; version=0.0.4; charset=utf-8", metrics.text()),
        ("GET" | "HEAD", "/healthz") if metrics.is_well() => ("200 OK", "text/plain", "ok\n".to_owned()),
        ("GET" | "HEAD", "/healthz") => {
            ("503 Service Unavailable", "text/plain", "nothing was looked at for a while\n".to_owned())
        }
        _ => ("404 Not Found", "text/plain", "there are /metrics and /healthz\n".to_owned()),
    };
    let length = body.len();
    let answer =
        format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all(answer.as_bytes()).await?;
    if method == "GET" {
        stream.write_all(body.as_bytes()).await?;
    }
    stream.shutdown().await
}
