//! What brings `vmwbuild` into a repository and a shell: `init`, completions, manual pages, and the checks for GitHub,
//! GitLab and pre-commit, each tried by the program it is meant for.

#![allow(clippy::unwrap_used)] // a test may

use crate::common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{DEADLINE, Run, run};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A command that finds `vmwbuild` on its PATH, and none of this machine's settings.
fn command(program: impl AsRef<std::ffi::OsStr>, dir: &Path) -> Command {
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_vmwbuild"));
    let path = format!("{}:{}", binary.parent().unwrap().display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new(program);
    common::without_settings(&mut command)
        .current_dir(dir)
        .env("PATH", path)
        .env("NO_COLOR", "1")
        .env("LC_ALL", "C.UTF-8");
    command
}

fn vmwbuild(dir: &Path, args: &[&str]) -> Run {
    run(command("vmwbuild", dir).args(args), DEADLINE)
}

#[test]
fn a_new_project_is_clean_and_builds() {
    let dir = tempfile::tempdir().unwrap();
    let made = vmwbuild(dir.path(), &["init", "web", "--ci", "github"]);
    assert_eq!(made.code, Some(0), "{made}");
    let project = dir.path().join("web");
    assert!(project.join(".github/workflows/vmwfile.yml").is_file());
    for args in [&["lint", "--strict", "--max-warnings", "0"][..], &["fmt", "--check"]] {
        let done = vmwbuild(&project, args);
        assert_eq!((done.code, done.stderr()), (Some(0), String::new()), "{args:?}: {done}");
    }
    let built = vmwbuild(dir.path(), &["build", "--sandbox", "web", "--progress", "plain"]);
    assert_eq!(built.code, Some(0), "{built}");
    assert!(built.stdout().starts_with("template web-image\nVM web"), "{built}");

    // What somebody has changed since stays.
    std::fs::write(project.join("VMWfile"), "# mine\n").unwrap();
    let again = vmwbuild(&project, &["init", "--ci", "gitlab"]);
    assert_eq!(again.code, Some(0), "{again}");
    assert!(again.stderr().contains("kept ./VMWfile, which was there\n"), "{again}");
    assert!(again.stderr().contains("wrote ./.gitlab/vmwfile.yml\n"), "{again}");
    assert_eq!(std::fs::read_to_string(project.join("VMWfile")).unwrap(), "# mine\n");

    std::fs::write(dir.path().join("file"), "").unwrap();
    let refused = vmwbuild(dir.path(), &["init", "file/below"]);
    assert_eq!(refused.code, Some(2), "{refused}");
    assert!(refused.stderr().contains("can't write `file/below/VMWfile`"), "{refused}");
}

/// What a shell offers for a line, by the shell's own machinery.
fn offered(shell: &str, script: &str, dir: &Path) -> Vec<String> {
    let done = run(command(shell, dir).args(["-c", script]), DEADLINE);
    assert_eq!(done.code, Some(0), "{done}");
    let mut lines: Vec<String> = done.stdout().lines().map(|l| l.trim_end().to_owned()).collect();
    lines.sort();
    lines
}

#[test]
fn shells_complete_what_the_vmwfile_holds() {
    let cluster = "examples/cluster";
    let bash = |words: &str, at: usize| {
        let script = format!(
            "source <(vmwbuild completions bash); COMP_WORDS=({words}); COMP_CWORD={at}; COMP_TYPE=9; \
             _clap_complete_vmwbuild vmwbuild \"${{COMP_WORDS[{at}]}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        offered("bash", &script, root())
    };
    assert_eq!(bash(&format!("vmwbuild build {cluster} --target ''"), 4), ["base", "manager", "worker"]);
    assert_eq!(bash(&format!("vmwbuild build {cluster} --target m"), 4), ["manager"]);
    assert_eq!(bash(&format!("vmwbuild build {cluster} --arg w"), 4), ["workers="]);
    assert_eq!(bash(&format!("vmwbuild build {cluster} --secret ''"), 4), ["id=root_password,"]);
    assert_eq!(bash("vmwbuild explain unused-k", 2), ["unused-key"]);
    assert_eq!(bash("vmwbuild lint --deny secret-in", 3), ["secret-in-plain-text"]);
    assert!(bash("vmwbuild ''", 1).iter().any(|word| word == "sandbox"));

    let there = |shell: &str| Command::new(shell).arg("--version").output().is_ok();
    if there("fish") {
        let script = format!("vmwbuild completions fish | source; complete -C 'vmwbuild build {cluster} --target m'");
        assert_eq!(offered("fish", &script, root()), ["manager"]);
    }
    if there("zsh") {
        // What zsh's own `_describe` is handed.
        let zsh = |words: &str, at: usize| {
            let script = format!(
                "function compdef() {{ }}; source <(vmwbuild completions zsh); \
                 function _describe() {{ print -l -- ${{(P)${{@[-1]}}}} }}; \
                 words=({words}); CURRENT={at}; _clap_dynamic_completer_vmwbuild"
            );
            let lines = offered("zsh", &script, root()).into_iter();
            lines.map(|line| line.split(':').next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(zsh(&format!("vmwbuild build {cluster} --target ''"), 5), ["base", "manager", "worker"]);
        assert_eq!(zsh(&format!("vmwbuild build {cluster} --arg w"), 5), ["workers="]);
        assert_eq!(zsh("vmwbuild explain unused-k", 3), ["unused-key"]);
    }
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = vmwbuild(root(), &["completions", shell]);
        assert!(script.code == Some(0) && script.stdout().contains("VMWBUILD_COMPLETE"), "{script}");
        if ["bash", "fish", "zsh"].contains(&shell) && there(shell) {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), script.stdout()).unwrap();
            let read = run(command(shell, root()).arg("-n").arg(file.path()), DEADLINE);
            assert_eq!((read.code, read.stderr()), (Some(0), String::new()), "{shell}");
        }
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let dir = tempfile::tempdir().unwrap();
    let written = vmwbuild(dir.path(), &["man", "-o", "pages"]);
    assert_eq!(written.code, Some(0), "{written}");
    let help = vmwbuild(dir.path(), &["--help"]).stdout();
    let commands = help.lines().skip_while(|l| *l != "Commands:").skip(1).take_while(|l| !l.is_empty());
    let commands: Vec<&str> =
        commands.filter(|l| !l.starts_with("   ")).filter_map(|l| l.split_whitespace().next()).collect();
    assert!(commands.contains(&"build") && commands.len() > 8, "{commands:?}");
    for name in commands.into_iter().filter(|name| *name != "help") {
        let page = std::fs::read_to_string(dir.path().join(format!("pages/vmwbuild-{name}.1"))).expect(name);
        assert!(page.contains(".SH SYNOPSIS") && page.contains(".SH DESCRIPTION"), "{name}");
    }
    assert!(vmwbuild(dir.path(), &["man"]).stdout().contains(".TH vmwbuild 1"));
    let refused = vmwbuild(dir.path(), &["man", "-o", "pages/vmwbuild.1"]);
    assert_eq!(refused.code, Some(2), "{refused}");
}

/// A directory with a VMWfile that is right, and one with an error and a line out of form.
fn two_projects() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in
        [("good", "FROM linux AS one\nRUN true\n"), ("bad", "FROM linux AS one\nRUN   true\nRNU true\n")]
    {
        std::fs::create_dir(dir.path().join(name)).unwrap();
        std::fs::write(dir.path().join(name).join("VMWfile"), text).unwrap();
    }
    dir
}

/// Runs a script of `tests/project/` with the tests' Python; None where that is left out.
fn python(script: &str, args: &[&str], dir: &Path) -> Option<Run> {
    if common::left_out() {
        return None;
    }
    let mut command = command(common::setting("VMWBUILD_TEST_PYTHON"), dir);
    command.arg(root().join("tests/project").join(script)).args(args).env("PYTHONDONTWRITEBYTECODE", "1");
    Some(run(&mut command, DEADLINE))
}

#[test]
fn the_github_action_annotates_and_reports() {
    let dir = two_projects();
    let action = root().join("action.yml").display().to_string();
    let Some(good) = python("action.py", &[&action, "paths=good"], dir.path()) else { return };
    assert_eq!(good.code, Some(0), "{good}");
    let bad = python("action.py", &[&action, "paths=good bad", "sarif=out.sarif"], dir.path()).unwrap();
    assert_eq!(bad.code, Some(1), "{bad}");
    assert!(bad.stdout().contains("::error file=bad/VMWfile,line=3,"), "{bad}");
    let report = std::fs::read_to_string(dir.path().join("out.sarif")).unwrap();
    assert!(report.contains("bad/VMWfile"), "{report}");
    let steps: Vec<String> = bad.stdout().lines().filter_map(|l| l.strip_prefix("STEP ")).map(str::to_owned).collect();
    assert_eq!(steps, ["Install vmwbuild: 0", "Lint: 1", "Form: 1"], "{bad}");
}

#[test]
fn the_gitlab_component_reports_code_quality() {
    let dir = two_projects();
    let template = root().join("templates/lint/template.yml").display().to_string();
    let inputs = ["image=vmwbuild", "paths=bad"];
    let Some(done) = python("component.py", &[&[template.as_str()], &inputs[..]].concat(), dir.path()) else { return };
    assert_eq!(done.code, Some(1), "{done}");
    let report = std::fs::read_to_string(dir.path().join("gl-code-quality-report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report[0]["location"]["path"], "bad/VMWfile");
}

#[test]
fn pre_commit_runs_the_hooks() {
    if common::left_out() {
        return;
    }
    let dir = two_projects();
    let git = |at: &Path, args: &[&str]| {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"];
        let done = run(command("git", at).args(identity).args(args).env("HOME", dir.path()), DEADLINE);
        assert_eq!(done.code, Some(0), "{done}");
    };
    // What pre-commit clones; the hooks' own definition is all it needs of it.
    let hooks = dir.path().join("hooks");
    std::fs::create_dir(&hooks).unwrap();
    std::fs::copy(root().join(".pre-commit-hooks.yaml"), hooks.join(".pre-commit-hooks.yaml")).unwrap();
    for at in [&hooks, &dir.path().join("bad")] {
        git(at, &["init", "--quiet"]);
        git(at, &["add", "--all"]);
        git(at, &["commit", "--quiet", "--message", "first"]);
    }
    let hook = |id: &str| {
        let mut command = command(common::setting("VMWBUILD_TEST_PYTHON"), &dir.path().join("bad"));
        command.args([
            "-m",
            "pre_commit",
            "try-repo",
            &hooks.display().to_string(),
            id,
            "--all-files",
            "--color",
            "never",
        ]);
        run(command.env("HOME", dir.path()).env("PRE_COMMIT_HOME", dir.path().join("cache")), DEADLINE)
    };
    let lint = hook("vmwbuild-lint-system");
    assert_eq!(lint.code, Some(1), "{lint}");
    assert!(lint.stdout().contains("did you mean `RUN`"), "{lint}");
    std::fs::write(dir.path().join("bad/VMWfile"), "FROM linux AS one\nRUN   true\n").unwrap();
    git(&dir.path().join("bad"), &["add", "--all"]);
    assert_eq!(hook("vmwbuild-lint-system").code, Some(0));
    let fmt = hook("vmwbuild-fmt-system");
    assert!(fmt.stdout().contains("files were modified by this hook"), "{fmt}");
    assert_eq!(std::fs::read_to_string(dir.path().join("bad/VMWfile")).unwrap(), "FROM linux AS one\nRUN true\n");
}

/// The workflows in `.github`, and the one that `init` writes, as GitHub would read them; what they use is pinned.
#[test]
fn workflows_are_sound() {
    let folder = root().join(".github/workflows");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert_eq!(files.len(), 2, "{files:?}");
    for file in &files {
        let text = std::fs::read_to_string(file).unwrap();
        for used in text.lines().filter_map(|line| line.trim_start_matches([' ', '-']).strip_prefix("uses: ")) {
            let (_, version) = used.split_once('@').unwrap_or_else(|| panic!("{used}"));
            let (commit, comment) = version.split_once(" # v").unwrap_or_else(|| panic!("{used} says no version"));
            assert!(commit.len() == 40 && commit.chars().all(|c| c.is_ascii_hexdigit()), "{used} is not pinned");
            assert!(!comment.is_empty());
        }
    }
    if common::left_out() {
        return;
    }
    files.push(root().join("src/cli/init/github.yml"));
    let done =
        run(command(common::setting("VMWBUILD_TEST_ACTIONLINT"), root()).arg("-no-color").args(&files), DEADLINE);
    assert_eq!((done.code, done.stdout()), (Some(0), String::new()), "{done}");
}

/// The schema of `vmwbuild.toml` says of a file what the program says of it.
#[test]
fn the_schema_of_vmwbuild_toml_is_the_programs() {
    let schema = common::schema::Schema::new("vmwbuild.json");
    let mut texts = vec![std::fs::read_to_string(root().join("src/cli/init/vmwbuild.toml")).unwrap()];
    for page in ["settings.md", "lints.md", "recipes.md"] {
        let page = std::fs::read_to_string(root().join("docs").join(page)).unwrap();
        texts.extend(page.split("```toml\n").skip(1).filter_map(|part| Some(part.split_once("```")?.0.to_owned())));
    }
    assert!(texts.len() > 2, "{texts:?}");
    let all = "vcenter = \"lab\"\n[args]\na = 1\nb = [\"x\"]\n[placement]\ndatastore = \"x\"\n[lint]\n\
               deny = [\"unused-key\"]\n[lint.per-file-ignores]\n\"a/*\" = [\"unused-key\"]\n\
               [profile.prod]\nvcenter = \"x\"\n[profile.prod.args]\na = 2\n";
    let wrong = [
        "args = 1\n",
        "vcentre = \"x\"\n",
        "vcenter = 1\n",
        "[placement]\nplace = \"x\"\n",
        "[placement]\nhost = 1\n",
        "[lint]\ndeny = \"unused-key\"\n",
        "[lint]\nforbid = []\n",
        "[lint.per-file-ignores]\na = \"x\"\n",
        "[profile]\nprod = 1\n",
        "[profile.prod]\nlint = {}\n",
        "[profile.prod.placement]\nplace = \"x\"\n",
    ];
    let cases = texts.iter().map(|text| (text.as_str(), true)).chain([(all, true), ("", true)]);
    for (text, right) in cases.chain(wrong.map(|text| (text, false))) {
        let value: toml::Table = toml::from_str(text).unwrap();
        let said = schema.check(&serde_json::to_value(value).unwrap());
        assert_eq!(said.is_ok(), right, "{text}: {said:?}");
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("VMWfile"), "FROM linux AS web\nRUN true\n").unwrap();
        std::fs::write(dir.path().join("vmwbuild.toml"), text).unwrap();
        let lint = vmwbuild(dir.path(), &["lint"]);
        assert_eq!(lint.code == Some(0), right, "{text}: {lint}");
    }
}
