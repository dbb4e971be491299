//! Waiting by the property collector, as servers answer it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::server::{Answer, Server, fault, soap};
use super::{connect, soon};
use crate::vsphere::client::{Deadline, Error, Progress};
use crate::vsphere::wire::{
    Any, CreateFilter, CreatePropertyCollector, Fault, Moref, ObjectUpdate, ObjectUpdateKind, PropertyChange,
    PropertyChangeOp, PropertyFilterUpdate, TaskInfo, TaskState, UpdateSet, WaitForUpdatesEx,
};

fn vm() -> Moref {
    Moref::new("VirtualMachine", "vm-1")
}

fn update(version: usize, truncated: bool, obj: &Moref, changes: Vec<(&str, Option<Any>)>) -> Answer {
    let change_set = changes.into_iter().map(|(name, val)| PropertyChange {
        name: name.to_owned(),
        op: PropertyChangeOp::Assign,
        val,
    });
    let object = ObjectUpdate {
        kind: ObjectUpdateKind::Modify,
        obj: obj.clone(),
        change_set: change_set.collect(),
        missing_set: Vec::new(),
    };
    let filter = PropertyFilterUpdate { object_set: vec![object], ..PropertyFilterUpdate::default() };
    let set = UpdateSet { version: version.to_string(), filter_set: vec![filter], truncated: Some(truncated) };
    soap::<WaitForUpdatesEx>(&Some(set))
}

/// A server whose `n`th wait is answered by `waits(n)`; none: nothing has changed; past the end it hangs.
async fn server(waits: impl Fn(usize) -> Option<Answer> + Send + Sync + 'static) -> Server {
    Server::http(move |got| match got.method.as_str() {
        "CreatePropertyCollector" => {
            Some(soap::<CreatePropertyCollector>(&Moref::new("PropertyCollector", format!("pc-{}", got.before))))
        }
        "CreateFilter" => Some(soap::<CreateFilter>(&Moref::new("PropertyFilter", "filter"))),
        "WaitForUpdatesEx" => Some(waits(got.before).unwrap_or_else(|| soap::<WaitForUpdatesEx>(&None))),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn empty_and_truncated_answers_go_on() {
    let text = |t: &str| Some(Any::of(&t.to_owned()));
    let server = server(move |n| match n {
        0 => Some(update(1, true, &vm(), vec![("a", text("1"))])),
        1 => Some(update(2, false, &vm(), vec![("b", text("2"))])),
        2 | 3 => None,
        4 => Some(update(3, false, &vm(), vec![("a", None)])),
        _ => Some(Answer::Hang),
    })
    .await;
    let client = connect(&server).await;
    let mut watcher = client.watch(&vm(), &["a", "b"]);
    let seen = AtomicUsize::new(0);
    watcher
        .until(soon(), "a to be unset", |p| {
            seen.fetch_add(1, Ordering::Relaxed);
            Ok((p.text("b") == Some("2") && p.text("a").is_none()).then_some(()))
        })
        .await
        .expect("in the end");
    assert_eq!(seen.load(Ordering::Relaxed), 3);
    let late = watcher.next(Deadline::after(Duration::from_millis(50)), "what never comes").await;
    assert!(matches!(late, Err(Error::Timeout { .. })), "{late:?}");
    drop(watcher);
    client.logout().await.expect("an orderly end");
    assert_eq!(server.count("DestroyPropertyCollector"), 1, "before logging out");
}

#[tokio::test]
async fn one_collector_serves_watchers_one_after_another() {
    let server = server(|n| Some(update(n, false, &vm(), vec![("a", Some(Any::of(&true)))]))).await;
    let client = connect(&server).await;
    for _ in 0..3 {
        let mut watcher = client.watch(&vm(), &["a"]);
        assert_eq!(watcher.next(soon(), "a value").await.expect("a value").get::<bool>("a"), Some(true));
        drop(watcher);
        // Its task gives the collector back as soon as it sees that nobody listens.
        while client.inner.collectors.lock().expect("a lock").is_empty() {
            tokio::task::yield_now().await;
        }
    }
    client.logout().await.expect("an orderly end");
    assert_eq!((server.count("CreatePropertyCollector"), server.count("DestroyPropertyCollector")), (1, 0));
    assert_eq!((server.count("CreateFilter"), server.count("DestroyPropertyFilter")), (3, 2));
}

#[tokio::test]
async fn a_collector_that_died_with_its_session_is_made_anew() {
    let server = Server::http(move |got| match got.method.as_str() {
        "CreatePropertyCollector" => {
            Some(soap::<CreatePropertyCollector>(&Moref::new("PropertyCollector", format!("pc-{}", got.before))))
        }
        "CreateFilter" => Some(soap::<CreateFilter>(&Moref::new("PropertyFilter", "filter"))),
        "WaitForUpdatesEx" if got.before == 0 => Some(fault("NotAuthenticated", "The session is not authenticated.")),
        "WaitForUpdatesEx" if got.before == 1 => Some(fault("ManagedObjectNotFound", "The object has been deleted")),
        "WaitForUpdatesEx" => Some(update(1, false, &vm(), vec![("a", Some(Any::of(&true)))])),
        _ => None,
    })
    .await;
    let client = connect(&server).await;
    let mut watcher = client.watch(&vm(), &["a"]);
    let value = watcher.next(soon(), "a value").await.expect("a value").get::<bool>("a");
    assert_eq!(value, Some(true));
    assert_eq!((server.count("Login"), server.count("CreatePropertyCollector")), (2, 2));
    drop(watcher);
    client.logout().await.expect("an orderly end");
}

#[tokio::test]
async fn a_session_that_cannot_be_renewed_is_an_error_not_a_loop() {
    let server = Server::http(move |got| match got.method.as_str() {
        "CurrentTime" => Some(fault("NotAuthenticated", "The session is not authenticated.")),
        _ => None,
    })
    .await;
    let client = connect(&server).await;
    let clock = crate::vsphere::wire::CurrentTime { this: Moref::new("ServiceInstance", "ServiceInstance") };
    let error = client.call(&clock).await.expect_err("refused twice");
    assert!(error.is_fault("NotAuthenticated") && error.is_fault("NoPermission"), "{error:?}");
    assert_eq!((server.count("CurrentTime"), server.count("Login")), (2, 2));
}

#[tokio::test]
async fn a_task_tells_its_progress_and_its_faults() {
    let task = Moref::new("Task", "task-1");
    let info = move |state: TaskState, progress: Option<i32>, error: Option<Fault>| {
        let info = TaskInfo { state, progress, error, ..TaskInfo::default() };
        vec![("info", Some(Any::of(&info)))]
    };
    let of = task.clone();
    let server = server(move |n| {
        Some(match n {
            0 => update(1, false, &of, info(TaskState::Queued, None, None)),
            1 => update(2, false, &of, info(TaskState::Running, Some(30), None)),
            2 => update(3, false, &of, info(TaskState::Running, Some(30), None)),
            3 => update(4, false, &of, info(TaskState::Running, Some(130), None)),
            _ => {
                let inner = Fault::new("NoDiskSpace", "Insufficient disk space on datastore 'DS'.")
                    .with("file", "[DS]".to_owned());
                let mut outer = Fault::new("GenericVmConfigFault", "A general system error occurred");
                outer.cause = Some(Box::new(inner));
                update(5, false, &of, info(TaskState::Error, None, Some(outer)))
            }
        })
    })
    .await;
    let client = connect(&server).await;
    let mut told = Vec::new();
    let error = client.wait_task_with(&task, "clone `x`", soon(), |p| told.push(p)).await.expect_err("it failed");
    let running = |percent| Progress { queued: false, percent };
    assert_eq!(told, [Progress { queued: true, percent: None }, running(Some(30)), running(Some(100))]);
    assert!(error.is_fault("VmConfigFault"), "{error:?}");
    assert_eq!(server.count("WaitForUpdatesEx"), 5, "none in advance, for nobody");
    let text = error.to_string();
    assert_eq!(
        text,
        "can't clone `x`: GenericVmConfigFault: A general system error occurred; Insufficient disk space on datastore 'DS'."
    );
    client.logout().await.expect("an orderly end");
}

#[tokio::test]
async fn a_wait_that_is_cut_off_cleans_up() {
    let server = server(|n| if n == 0 { None } else { Some(Answer::Hang) }).await;
    let client = connect(&server).await;
    let mut watcher = client.watch(&vm(), &["a"]);
    let cut = tokio::time::timeout(Duration::from_millis(100), watcher.next(soon(), "what never comes")).await;
    assert!(cut.is_err(), "nothing comes");
    drop(watcher);
    client.logout().await.expect("an orderly end");
    assert_eq!(server.count("CreatePropertyCollector"), server.count("DestroyPropertyCollector"));
    assert_eq!(server.count("Logout"), 1);
}

/// What stands in between cuts connections on which nothing happens for half a minute.
#[tokio::test]
async fn waits_that_are_cut_off_become_shorter() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let all = asked.clone();
    let server = Server::http(move |got| match got.method.as_str() {
        "CreatePropertyCollector" => {
            Some(soap::<CreatePropertyCollector>(&Moref::new("PropertyCollector", format!("pc-{}", got.before))))
        }
        "CreateFilter" => Some(soap::<CreateFilter>(&Moref::new("PropertyFilter", "filter"))),
        "WaitForUpdatesEx" => {
            let seconds = got.body.child("options").and_then(|o| o.child("maxWaitSeconds")).expect("a limit");
            let seconds: u32 = seconds.text.parse().expect("a number");
            let mut all = all.lock().expect("a lock");
            if all.last() != Some(&seconds) {
                all.push(seconds);
            }
            match seconds {
                0..30 => Some(update(1, false, &vm(), vec![("a", Some(Any::of(&true)))])),
                _ => Some(Answer::Close),
            }
        }
        _ => None,
    })
    .await;
    let client = connect(&server).await;
    let mut watcher = client.watch(&vm(), &["a"]);
    assert_eq!(watcher.next(soon(), "a value").await.expect("a value").get::<bool>("a"), Some(true));
    assert_eq!(*asked.lock().expect("a lock"), [120, 60, 30, 15]);
    drop(watcher);
    client.logout().await.expect("an orderly end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_takes_as_long_as_it_gets_further() {
    let task = Moref::new("Task", "task-1");
    let of = task.clone();
    let server = server(move |n| {
        let (state, percent) = match n {
            0..6 => (TaskState::Running, Some(10 * n as i32)),
            6 => (TaskState::Success, None),
            7 => (TaskState::Running, Some(10)),
            8 => (TaskState::Running, Some(20)),
            _ => return Some(Answer::Hang),
        };
        // Twice as long in all as it may stand still.
        std::thread::sleep(Duration::from_millis(400));
        let info = TaskInfo { state, progress: percent, ..TaskInfo::default() };
        Some(update(n + 1, false, &of, vec![("info", Some(Any::of(&info)))]))
    })
    .await;
    let client = connect(&server).await;
    let patience = || Deadline::after(Duration::from_secs(2));
    client.wait_task(&task, "clone `x`", patience()).await.expect("it gets further all the time");
    let error = client.wait_task(&task, "clone `x`", patience()).await.expect_err("it stands still");
    assert_eq!(error.to_string(), "clone `x`, at 20%, got no further for 2s");
    client.logout().await.expect("an orderly end");
    assert_eq!(server.count("CancelTask"), 1);
}
