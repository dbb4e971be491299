//! A project whose VMWfile is built again and again, and what came of each build.

#![allow(clippy::unwrap_used)] // a test may

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;
use vmwbuild::vsphere::client::{Client, Deadline, EntityKind};
use vmwbuild::vsphere::wire::Moref;

use super::site::Site;
use super::{DEADLINE, Run, context, run};

/// A project on a vCenter.
pub struct Project {
    pub site: Site,
    pub dir: TempDir,
}

/// What came of a build.
pub struct Built {
    pub run: Run,
    /// `--result`.
    pub result: Value,
    /// Requests by method.
    pub requests: BTreeMap<String, u64>,
}

impl Built {
    pub fn of(&self, machine: &str) -> &Value {
        let all = self.result["machines"].as_array().unwrap();
        all.iter().find(|m| m["machine"] == machine).unwrap_or_else(|| panic!("no {machine}: {}", self.result))
    }

    /// How a machine ended, and how each of its steps did.
    pub fn how(&self, machine: &str) -> (String, Vec<String>) {
        let of = self.of(machine);
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        (text(&of["result"]), of["steps"].as_array().unwrap().iter().map(|s| text(&s["outcome"])).collect())
    }

    /// How each of its steps ended.
    pub fn steps(&self, machine: &str) -> Vec<String> {
        self.how(machine).1
    }

    pub fn result_of(&self, machine: &str) -> String {
        self.how(machine).0
    }

    pub fn count(&self, methods: &[&str]) -> u64 {
        self.requests.iter().filter(|(m, _)| methods.contains(&m.as_str())).map(|(_, n)| n).sum()
    }

    pub fn says(&self, text: &str) {
        let said = format!("{}{}", self.run.stdout(), self.run.stderr());
        let plain = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(plain.contains(text), "no {text:?} in {}", self.run);
    }
}

impl Project {
    pub fn new(site: Site, files: &[(&str, &str)]) -> Self {
        Project { site, dir: context(files) }
    }

    pub fn on_sandbox(files: &[(&str, &str)]) -> Self {
        Self::new(Site::here().unwrap(), files)
    }

    pub fn write(&self, path: &str, text: &str) {
        std::fs::write(self.dir.path().join(path), text).unwrap();
    }

    pub fn try_build(&self, args: &[&str]) -> Built {
        self.build_in(self.dir.path(), args)
    }

    pub fn build_in(&self, dir: &Path, args: &[&str]) -> Built {
        let template = format!("template={}", self.site.template());
        let result = tempfile::NamedTempFile::new().unwrap();
        let path = result.path().to_str().unwrap().to_owned();
        let mut all = vec!["build", "--progress", "plain", "--result", &path];
        if std::fs::read_to_string(dir.join("VMWfile")).unwrap().contains("ARG template") {
            all.extend(["--arg", &template]);
        }
        all.extend(args);
        let before = self.site.requests();
        let run = run(&mut self.site.with_state(dir, &all), DEADLINE);
        let mut requests = self.site.requests();
        for (method, count) in before {
            *requests.entry(method).or_default() -= count;
        }
        let text = std::fs::read_to_string(result.path()).unwrap();
        // What is refused before anything is built writes none.
        let result = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text:?} {run}"))
        };
        Built { run, result, requests }
    }

    pub fn build(&self, args: &[&str]) -> Built {
        let built = self.try_build(args);
        assert_eq!(built.run.code, Some(0), "{}\n{}", built.run, self.site.log());
        built
    }

    pub fn tool(&self, args: &[&str]) -> Run {
        run(&mut self.site.with_state(self.dir.path(), args), DEADLINE)
    }

    pub fn done(&self, args: &[&str]) -> Run {
        let run = self.tool(args);
        assert_eq!(run.code, Some(0), "{run}");
        run
    }

    pub fn read(&self, vm: &str, path: &str) -> String {
        self.done(&["exec", vm, "--", "cat", path]).stdout()
    }

    /// Does something by a client of our own.
    pub fn client<T>(&self, work: impl AsyncFnOnce(&Client) -> T) -> T {
        self.site.with_client(work)
    }

    /// All machines and templates by name.
    pub fn machines(&self) -> BTreeMap<String, Moref> {
        self.client(async |client| {
            let inventory = client.inventory().await.unwrap();
            inventory.all(EntityKind::Vm).map(|e| (e.name.clone(), e.moref.clone())).collect()
        })
    }

    pub fn moref(&self, name: &str) -> Moref {
        self.machines().get(name).unwrap_or_else(|| panic!("no {name}")).clone()
    }

    pub fn destroy(&self, name: &str) {
        let vm = self.moref(name);
        self.client(async |client| client.destroy_vm(&vm, soon()).await.unwrap());
    }

    pub fn power_off(&self, name: &str) {
        let vm = self.moref(name);
        self.client(async |client| client.power_off(&vm, soon()).await.unwrap());
    }
}

pub fn soon() -> Deadline {
    Deadline::after(DEADLINE)
}
