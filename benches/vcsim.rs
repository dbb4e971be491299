//! What a RUN costs, and what a platform costs beyond its own commands: `cargo bench --bench vcsim`.
//!
//! Everything is measured side by side in one run, in turns, against one simulator (`tests/vcsim`, guests are podman
//! containers): small commands by `vmwbuild build`, by `govc guest.run`, and by nothing but `podman exec`; then a
//! platform of machines that wait for each other. Needs what `tests/setup` makes, with its variables exported.
//! Exits with an error only when it could not measure: a goal that is missed is printed as such.

#![allow(missing_docs, clippy::print_stdout)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use common::site::Site;
use common::{DEADLINE, Vcsim, context, docker, run};

/// Builds of each kind; medians are taken over them.
const ROUNDS: usize = 5;
/// Commands that the peers run in each round.
const PEERS: usize = 4;
/// Commands of the larger builds.
const MANY: usize = 20;
/// Commands that each wait for the one before.
const CHAIN: usize = 10;
/// Machines that wait for a key.
const WORKERS: usize = 4;
/// The machine in which the peers run their commands.
const PEER_VM: &str = "bench-peer";
/// At most this part of govc's time per RUN, beyond what `podman exec` costs.
const TIME_GOAL: f64 = 0.2;
/// At most so many requests per RUN.
const REQUESTS_GOAL: f64 = 4.0;

fn main() -> ExitCode {
    let Some(vcsim) = Vcsim::start(&["-exec", "podman"]) else {
        println!("not measured: the simulator is left out (VMWBUILD_TEST_SKIP_VCSIM)");
        return ExitCode::FAILURE;
    };
    let bench = Bench { site: Site::Vcsim(vcsim) };
    bench.runs();
    bench.platform();
    ExitCode::SUCCESS
}

struct Bench {
    site: Site,
}

/// One build: how long the process took, and its requests by method.
struct Sample {
    seconds: f64,
    requests: BTreeMap<String, u64>,
}

impl Sample {
    fn total(&self) -> f64 {
        self.requests.values().sum::<u64>() as f64
    }
}

/// The kinds of builds that are compared. All make one machine that stays on.
#[derive(Clone, Copy)]
enum Kind {
    /// Cloned and booted, no command.
    None,
    /// So many commands that are known from the start.
    Runs(usize),
    /// So many commands, each of which needs what the one before has printed, so that none can be sent early.
    Chain(usize),
}

impl Kind {
    fn file(self, vm: &str) -> String {
        let mut text = format!("ARG template\nFROM ${{{{ template }}}} AS m\nOUTPUT VM {vm}\n");
        match self {
            Kind::None => {}
            Kind::Runs(count) => text.extend((1..=count).map(|n| format!("RUN echo {n}\n"))),
            Kind::Chain(count) => {
                text += "KEY k1 FROM RUN echo 1\n";
                text.extend((2..=count).map(|n| format!("KEY k{n} FROM RUN echo ${{{{ k{} }}}}{n}\n", n - 1)));
            }
        }
        text
    }
}

impl Bench {
    fn sim(&self) -> &Vcsim {
        self.site.sim()
    }

    /// Builds once; the machine is removed afterwards, untimed.
    fn build(&self, kind: Kind, vm: &str) -> Sample {
        let dir = context(&[("VMWfile", kind.file(vm))]);
        self.sim().requests(true);
        let run = self.site.built(dir.path(), &[]);
        let requests = self.sim().requests(true);
        if vm != PEER_VM {
            self.sim().govc(&["vm.destroy", vm]);
        }
        Sample { seconds: run.elapsed.as_secs_f64(), requests }
    }

    /// One command by govc, with the session that it keeps between its calls.
    fn govc(&self) -> Sample {
        self.sim().requests(true);
        let mut command = self.sim().govc_command(&["guest.run", "-vm", PEER_VM, "exec", "/bin/echo", "1"]);
        let run = run(command.env("GOVC_PERSIST_SESSION", "true"), DEADLINE);
        assert!(run.code == Some(0) && run.stdout() == "1\n", "govc: {run}");
        Sample { seconds: run.elapsed.as_secs_f64(), requests: self.sim().requests(true) }
    }

    /// One command by nothing but the container engine.
    fn podman(container: &str) -> f64 {
        let run = docker(&["exec", container, "/bin/echo", "1"]);
        assert!(run.code == Some(0) && run.stdout() == "1\n", "podman: {run}");
        run.elapsed.as_secs_f64()
    }

    fn runs(&self) {
        self.build(Kind::None, PEER_VM);
        let containers = self.sim().containers();
        let container = containers.iter().find(|name| name.contains(PEER_VM)).expect("the machine's container");
        self.govc();
        let kinds = [Kind::None, Kind::Runs(1), Kind::Runs(MANY), Kind::Chain(CHAIN)];
        let mut builds: Vec<Vec<Sample>> = kinds.iter().map(|_| Vec::new()).collect();
        let (mut govc, mut podman) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            for (at, kind) in kinds.into_iter().enumerate() {
                builds[at].push(self.build(kind, &format!("bench-{round}-{at}")));
            }
            podman.extend((0..PEERS).map(|_| Self::podman(container)));
            govc.extend((0..PEERS).map(|_| self.govc()));
        }
        let podman = median(podman);
        let peer =
            Cost { seconds: median(govc.iter().map(|s| s.seconds)), requests: median(govc.iter().map(Sample::total)) };
        let cost = |at: usize, count: usize| {
            let count = count as f64;
            // Builds of one round are neighbours in time, so differences are taken within rounds.
            let pairs = || builds[at].iter().zip(&builds[0]);
            Cost {
                seconds: median(pairs().map(|(with, without)| (with.seconds - without.seconds) / count)),
                requests: median(pairs().map(|(with, without)| (with.total() - without.total()) / count)),
            }
        };
        let rows = [
            ("vmwbuild, 1 RUN", cost(1, 1)),
            ("vmwbuild, 20 RUN", cost(2, MANY)),
            ("vmwbuild, 10 KEY FROM RUN, each of the one before", cost(3, CHAIN)),
        ];

        println!("## What a command costs\n");
        println!(
            "Medians of {ROUNDS} builds of each kind and {} commands of each peer. A build's cost per command is its \
             time less that of\nthe same build without commands, divided by their number; so one command bears logging \
             in to the guest and cleaning\nup there as well. Share: (time - podman exec) / (govc - podman exec).\n",
            ROUNDS * PEERS
        );
        println!("| per command | time | beyond podman exec | share of govc's | requests |");
        println!("|---|---:|---:|---:|---:|");
        println!("| podman exec | {:.0} ms | | | |", podman * 1e3);
        let print = |name: &str, cost: &Cost| {
            println!(
                "| {name} | {:.0} ms | {:.0} ms | {:.2} | {:.1} |",
                cost.seconds * 1e3,
                (cost.seconds - podman) * 1e3,
                cost.share(&peer, podman),
                cost.requests
            );
        };
        print("govc guest.run", &peer);
        rows.iter().for_each(|(name, cost)| print(name, cost));

        println!("\n| whole build, one machine | time | requests |");
        println!("|---|---:|---:|");
        for (name, samples) in ["no RUN", "1 RUN", "20 RUN", "10 KEY FROM RUN"].iter().zip(&builds) {
            let seconds = median(samples.iter().map(|s| s.seconds));
            println!("| {name} | {seconds:.2} s | {:.0} |", median(samples.iter().map(Sample::total)));
        }

        println!("\n| requests by method | no RUN | 1 RUN | 20 RUN | 10 KEY FROM RUN | 1 govc guest.run |");
        println!("|---|---:|---:|---:|---:|---:|");
        builds.push(govc);
        let mut methods: Vec<&String> = builds.iter().flatten().flat_map(|s| s.requests.keys()).collect();
        methods.sort_unstable();
        methods.dedup();
        for method in methods {
            let counts = builds.iter().map(|samples| {
                let count = median(samples.iter().map(|s| s.requests.get(method).copied().unwrap_or(0) as f64));
                format!(" {count:.0} |")
            });
            println!("| {method} |{}", counts.collect::<String>());
        }

        println!();
        for (name, cost) in &rows[..2] {
            let share = cost.share(&peer, podman);
            goal(&format!("{name}: at most {TIME_GOAL} of govc's time"), share <= TIME_GOAL, &format!("{share:.2}"));
            goal(
                &format!("{name}: at most {REQUESTS_GOAL:.0} requests per RUN"),
                cost.requests <= REQUESTS_GOAL,
                &format!("{:.1}", cost.requests),
            );
        }
    }

    /// A manager makes a key, which each worker needs in its last step.
    fn platform(&self) {
        let text = format!(
            "ARG template\n\
             FROM ${{{{ template }}}} AS manager\nOUTPUT VM bench-manager\n\
             RUN sleep 1\nKEY token: secret FROM RUN sleep 1; echo token\nRUN sleep 1\n\
             FROM ${{{{ template }}}} AS worker FOR n IN 1..{WORKERS}\nOUTPUT VM bench-worker-${{{{ n }}}}\n\
             RUN sleep 1\nRUN sleep 1; echo ${{{{ manager.token }}}} > /root/token\n"
        );
        let dir = context(&[("VMWfile", text)]);
        let samples: Vec<Platform> = (0..3)
            .map(|_| {
                self.sim().requests(true);
                let lines = self.stamped(dir.path());
                let requests = self.sim().requests(true).values().sum::<u64>() as f64;
                self.sim().govc(&["vm.destroy", "bench-manager", "bench-worker-*"]);
                Platform::of(&lines, requests)
            })
            .collect();
        let of = |get: fn(&Platform) -> f64| median(samples.iter().map(get));
        println!("\n## What a platform costs\n");
        println!(
            "A manager with three steps of 1 s, whose second is a KEY, and {WORKERS} workers with two steps of 1 s, whose \
             second needs the key.\nThe critical path is the longest chain of that build's own clones, boots and \
             commands that need each other, with nothing\nin between. Medians of 3 builds.\n"
        );
        println!("| | |\n|---|---:|");
        println!("| wall time of the process | {:.2} s |", of(|p| p.wall));
        println!("| critical path | {:.2} s |", of(|p| p.path));
        println!("| wall time / critical path | {:.2} |", of(|p| p.wall / p.path));
        println!("| all clones, boots and commands, one after another | {:.2} s |", of(|p| p.serial));
        println!("| requests | {:.0} |", of(|p| p.requests));
    }

    /// Builds; every line of its progress with the time at which it came, and at last an empty one at its end.
    fn stamped(&self, dir: &std::path::Path) -> Vec<(f64, String)> {
        let mut command = self.site.command(dir, &[]);
        let begun = Instant::now();
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("vmwbuild starts");
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let stamp = |begun: Instant| begun.elapsed().as_secs_f64();
        let mut lines: Vec<(f64, String)> =
            stderr.lines().map(|line| line.expect("text")).map(|line| (stamp(begun), line)).collect();
        let status = child.wait().expect("an end");
        lines.push((stamp(begun), String::new()));
        assert!(status.success(), "{status}: {lines:#?}");
        assert!(begun.elapsed() < Duration::from_secs(60), "too slow to be measured: {lines:#?}");
        lines
    }
}

/// What one command costs.
struct Cost {
    seconds: f64,
    requests: f64,
}

impl Cost {
    fn share(&self, govc: &Cost, podman: f64) -> f64 {
        (self.seconds - podman) / (govc.seconds - podman)
    }
}

/// One build of the platform, in seconds.
struct Platform {
    wall: f64,
    path: f64,
    serial: f64,
    requests: f64,
}

impl Platform {
    fn of(lines: &[(f64, String)], requests: f64) -> Self {
        let at = |label: &str, text: &str| {
            let found = lines.iter().find(|(_, line)| line.contains(&format!(" {label} ")) && line.contains(text));
            found.unwrap_or_else(|| panic!("no line of {label} with {text:?}: {lines:#?}"))
        };
        // The guest's own measure of each step, which the line ends with.
        let step = |label: &str, number: &str| {
            let (_, line) = at(label, &format!("[{number}] done in "));
            let took = line.rsplit(' ').next().and_then(|t| t.strip_suffix('s')).and_then(|t| t.parse::<f64>().ok());
            took.unwrap_or_else(|| panic!("no duration in {line:?}"))
        };
        let up = |label: &str| at(label, "waiting for VMware Tools").0;
        let cloned = |label: &str| up(label) - at(label, "cloning").0;
        let manager = ["1/3", "2/3", "3/3"].map(|n| step("manager", n));
        let key = up("manager") + manager[0] + manager[1];
        let mut path = key + manager[2];
        let mut serial = cloned("manager") + manager.iter().sum::<f64>();
        for label in (1..=WORKERS).map(|n| format!("worker[{n}]")) {
            let (own, last) = (step(&label, "1/2"), step(&label, "2/2"));
            path = path.max(key.max(up(&label) + own) + last);
            serial += cloned(&label) + own + last;
        }
        let wall = lines.last().map_or(0.0, |(at, _)| *at);
        Platform { wall, path, serial, requests }
    }
}

fn goal(what: &str, met: bool, value: &str) {
    println!("- {}: {what} ({value})", if met { "met" } else { "MISSED" });
}

fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        0 => (values[middle - 1] + values[middle]) / 2.0,
        _ => values[middle],
    }
}
