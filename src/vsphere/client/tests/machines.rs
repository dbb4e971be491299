//! Power, guests and keeping alive: what a simulator doesn't do to us.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::server::{Answer, Server, fault, soap};
use super::{connect, soon};
use crate::vsphere::client::{Client, Deadline, Endpoint, Error, GuestAuth, ShutDown};
use crate::vsphere::wire::{
    Any, ChoiceOption, CreateFilter, CreatePropertyCollector, DynamicProperty, ElementDescription, Moref,
    ObjectContent, ObjectUpdate, ObjectUpdateKind, PowerOffVmTask, PowerOnVmTask, PropertyChange, PropertyChangeOp,
    PropertyFilterUpdate, RetrievePropertiesEx, RetrieveResult, TaskInfo, TaskState, UpdateSet,
    VirtualMachineQuestionInfo, WaitForUpdatesEx,
};

fn vm() -> Moref {
    Moref::new("VirtualMachine", "vm-1")
}

fn task() -> Moref {
    Moref::new("Task", "task-1")
}

fn update(obj: &Moref, name: &str, val: Any) -> Answer {
    let change = PropertyChange { name: name.to_owned(), op: PropertyChangeOp::Assign, val: Some(val) };
    let object = ObjectUpdate {
        kind: ObjectUpdateKind::Enter,
        obj: obj.clone(),
        change_set: vec![change],
        missing_set: Vec::new(),
    };
    let filter = PropertyFilterUpdate { object_set: vec![object], ..PropertyFilterUpdate::default() };
    soap::<WaitForUpdatesEx>(&Some(UpdateSet { version: "1".into(), filter_set: vec![filter], truncated: None }))
}

#[tokio::test]
async fn a_question_is_told_instead_of_waiting_for_ever() {
    let question = VirtualMachineQuestionInfo {
        id: "q".into(),
        text: "moved or copied?".into(),
        choice: ChoiceOption {
            choice_info: vec![ElementDescription { label: "Copied".into(), summary: String::new(), key: "2".into() }],
            ..ChoiceOption::default()
        },
    };
    let server = Server::http(move |got| {
        let this = got.body.child_text("_this").unwrap_or_default();
        match (got.method.as_str(), this) {
            ("PowerOnVM_Task", _) => Some(soap::<PowerOnVmTask>(&task())),
            ("CreatePropertyCollector", _) => {
                Some(soap::<CreatePropertyCollector>(&Moref::new("PropertyCollector", format!("pc-{}", got.before))))
            }
            ("CreateFilter", _) => Some(soap::<CreateFilter>(&Moref::new("PropertyFilter", "f"))),
            ("WaitForUpdatesEx", "pc-1") => Some(update(&vm(), "runtime.question", Any::of(&question))),
            ("WaitForUpdatesEx", _) => Some(Answer::Hang),
            _ => None,
        }
    })
    .await;
    let client = connect(&server).await;
    match client.power_on(&vm(), soon()).await {
        Err(Error::Question { text, choices, .. }) => {
            assert_eq!((text.as_str(), choices), ("moved or copied?", vec![("2".to_owned(), "Copied".to_owned())]));
        }
        other => panic!("{other:?}"),
    }
    client.logout().await.expect("an orderly end");
    assert_eq!(server.count("DestroyPropertyCollector"), 1, "the one that waits; the other dies with the session");
}

#[tokio::test]
async fn a_guest_that_does_not_shut_down_is_powered_off() {
    for refusal in [None, Some("ToolsUnavailable"), Some("InvalidState")] {
        // Patience may end before anything was waited for.
        let off = AtomicBool::new(false);
        let server = Server::http(move |got| {
            let this = got.body.child_text("_this").unwrap_or_default().to_owned();
            match got.method.as_str() {
                "ShutdownGuest" => refusal.map(|kind| fault(kind, "no")),
                "PowerOffVM_Task" => {
                    off.store(true, Ordering::SeqCst);
                    Some(soap::<PowerOffVmTask>(&task()))
                }
                "CreatePropertyCollector" => {
                    Some(soap::<CreatePropertyCollector>(&Moref::new("PropertyCollector", "pc")))
                }
                "CreateFilter" => Some(soap::<CreateFilter>(&Moref::new(
                    "PropertyFilter",
                    String::from_utf8_lossy(&got.content).contains("task-1").to_string(),
                ))),
                "WaitForUpdatesEx" if off.load(Ordering::SeqCst) => {
                    let done = TaskInfo { state: TaskState::Success, ..TaskInfo::default() };
                    Some(update(&task(), "info", Any::of(&done)))
                }
                "WaitForUpdatesEx" if got.before == 0 => {
                    assert_eq!(this, "pc");
                    Some(update(&vm(), "runtime.powerState", Any::of(&"poweredOn".to_owned())))
                }
                "WaitForUpdatesEx" => Some(Answer::Hang),
                _ => None,
            }
        })
        .await;
        let client = connect(&server).await;
        let patience = Deadline::after(Duration::from_millis(200));
        let how = client.shut_down(&vm(), patience, soon()).await.expect("off in the end");
        assert_eq!(how, if refusal.is_some() { ShutDown::NotAsked } else { ShutDown::TooSlow }, "{refusal:?}");
        assert_eq!(server.count("PowerOffVM_Task"), 1, "{refusal:?}");
    }
}

/// The managers of guest operations, for a server.
fn managers() -> Answer {
    let property = |name: &str| DynamicProperty { name: name.to_owned(), val: Any::of(&Moref::new("Manager", name)) };
    let prop_set = ["authManager", "processManager", "fileManager"].map(property).into();
    let obj = Moref::new("GuestOperationsManager", "GuestOperationsManager");
    let objects = vec![ObjectContent { obj, prop_set, missing_set: Vec::new() }];
    soap::<RetrievePropertiesEx>(&Some(RetrieveResult { token: None, objects }))
}

#[tokio::test]
async fn guest_operations_of_a_machine_go_one_after_another() {
    let server = Server::http(|got| match got.method.as_str() {
        "RetrievePropertiesEx" => Some(managers()),
        "ListProcessesInGuest" if got.before == 0 => Some(Answer::Hang),
        _ => None,
    })
    .await;
    let client = connect(&server).await;
    let auth = || GuestAuth { username: "root".into(), password: "p".into() };
    let (one, two) = (client.guest(&vm(), auth()), client.guest(&vm(), auth()));
    let other = client.guest(&Moref::new("VirtualMachine", "vm-2"), auth());
    let first = tokio::spawn(async move { one.processes(&[], soon()).await });
    while server.count("ListProcessesInGuest") == 0 {
        tokio::task::yield_now().await;
    }
    let short = Deadline::after(Duration::from_millis(100));
    let waited = two.terminate(7, short).await.expect_err("it is not its turn");
    assert!(waited.to_string().contains("waiting for other guest operations"), "{waited}");
    assert_eq!(server.count("TerminateProcessInGuest"), 0);
    other.terminate(7, soon()).await.expect("another machine's turn is its own");
    first.abort();
    two.terminate(7, soon()).await.expect("the turn is free again");
    assert!(two.validate(soon()).await.expect("a manager is there"));
    assert_eq!(server.count("RetrievePropertiesEx"), 1, "the managers are looked up once");
}

#[tokio::test]
async fn an_idle_session_is_kept_alive_until_logout() {
    let server = Server::http(|_| None).await;
    let endpoint = Endpoint { keep_alive: Duration::from_millis(20), ..server.endpoint() };
    let client = Client::connect(endpoint, soon()).await.expect("a session");
    let kept = async {
        while server.count("CurrentTime") < 3 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), kept).await.expect("it goes on");
    client.logout().await.expect("an orderly end");
    let so_far = server.count("CurrentTime");
    assert!(client.properties(&vm(), &["name"]).await.is_err());
    assert_eq!(server.count("CurrentTime"), so_far, "nothing after the end");
}
