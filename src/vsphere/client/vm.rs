//! Virtual machines: cloning, configuration, power, templates, snapshots.

use std::time::Duration;

use super::endpoint::Deadline;
use super::error::{Error, Result};
use super::names;
use super::placement::Placement;
use super::session::Client;
use super::task::Progress;
use super::watch::Watcher;
use crate::vsphere::wire::{
    AnswerVm, Any, CloneVmTask, CreateSnapshotTask, DestroyTask, DeviceOperation, Element, Field, MarkAsTemplate,
    MarkAsVirtualMachine, Method, Moref, Nic, NicBacking, OptionValue, PowerOffVmTask, PowerOnVmTask, PowerState,
    RebootGuest, ReconfigVmTask, RemoveSnapshotTask, RenameTask, ResetVmTask, RevertToSnapshotTask, ShutdownGuest,
    VirtualDeviceConfigSpec, VirtualMachineCloneSpec, VirtualMachineConfigSpec, VirtualMachineQuestionInfo,
    VirtualMachineRelocateSpec, VirtualMachineRelocateSpecDiskLocator, VirtualMachineSnapshotInfo,
    VirtualMachineSnapshotTree,
};

/// A power-on that takes longer than this is looked at: it may wait for an answer.
const SUSPICIOUS: Duration = Duration::from_secs(3);
/// How long an operation is begun again that another one is in the way of.
const BUSY: Duration = Duration::from_secs(60);
/// How long after that it is tried again at the latest: not everything that keeps a machine busy shows.
const AGAIN: Duration = Duration::from_secs(30);
/// Pauses meanwhile.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What a clone shall be.
#[derive(Clone, Debug)]
pub struct CloneRequest {
    /// Its name, as the user writes it.
    pub name: String,
    /// Where it goes.
    pub placement: Placement,
    /// Whether it becomes a template at once. It can't be powered on then.
    pub template: bool,
    /// Clone from this snapshot, sharing its disks.
    pub linked: Option<Moref>,
    /// Clone from this snapshot, with disks of its own.
    pub snapshot: Option<Moref>,
    /// Changes of the hardware on the way. Real servers attach the networks while cloning; call
    /// [`Client::reconfigure`] with the same networks afterwards, which sends nothing when they are right.
    pub hardware: HardwareChange,
}

/// Changes of a virtual machine's configuration; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HardwareChange {
    /// Virtual processors.
    pub cpus: Option<u32>,
    /// Processor cores a socket.
    pub cores_per_socket: Option<u32>,
    /// Memory in MiB.
    pub memory_mib: Option<u64>,
    /// The annotation.
    pub annotation: Option<String>,
    /// Extra configuration; an empty value removes the key.
    pub extra: Vec<(String, String)>,
    /// What network adapters are attached to, by position: the first adapter, the second, … `None` leaves one alone.
    pub networks: Vec<Option<NicBacking>>,
}

impl HardwareChange {
    fn spec(&self) -> VirtualMachineConfigSpec {
        let extra = self.extra.iter().map(|(key, value)| OptionValue { key: key.clone(), value: Any::of(value) });
        VirtualMachineConfigSpec {
            annotation: self.annotation.clone(),
            num_cpus: self.cpus.map(|n| i32::try_from(n).unwrap_or(i32::MAX)),
            num_cores_per_socket: self.cores_per_socket.map(|n| i32::try_from(n).unwrap_or(i32::MAX)),
            memory_mb: self.memory_mib.map(|n| i64::try_from(n).unwrap_or(i64::MAX)),
            extra_config: extra.collect(),
            ..VirtualMachineConfigSpec::default()
        }
    }
}

/// How a machine came to be off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutDown {
    /// The guest has shut down, or it was off already.
    ByItself,
    /// The guest had not shut down in time, and the machine was powered off.
    TooSlow,
    /// The guest could not be asked: it has no Tools that run, or something else is being done with it.
    NotAsked,
}

/// The state of a virtual machine.
#[derive(Clone, Debug, PartialEq)]
pub struct VmState {
    /// Whether it runs.
    pub power: PowerState,
    /// Whether it is a template.
    pub template: bool,
    /// Its name, decoded.
    pub name: String,
    /// Its BIOS uuid, where known.
    pub uuid: Option<String>,
    /// What it waits for an answer to.
    pub question: Option<VirtualMachineQuestionInfo>,
}

impl Client {
    /// Calls a method that does no harm when it is carried out twice: again after a lost reply.
    pub(super) async fn call_again<M: Method>(&self, method: &M) -> Result<M::Returns> {
        let mut times = 1;
        loop {
            match self.call(method).await {
                Err(lost) if lost.lost_reply() && times < MOST_LOST => times += 1,
                other => return other,
            }
        }
    }

    /// Begins a task that does no harm when it is begun twice, and waits for its end; begins it again while another
    /// operation is in the way. `what` completes "can't …".
    async fn run_task<M: Method<Returns = Moref>>(
        &self,
        method: &M,
        what: &str,
        deadline: Deadline,
    ) -> Result<Option<Any>> {
        let patience = Patience::new(deadline);
        loop {
            let outcome = match self.call_again(method).await {
                Ok(task) => self.wait_task(&task, what, deadline).await,
                Err(error) => Err(error),
            };
            match outcome {
                Err(error) => patience.again(error).await?,
                done => return done,
            }
        }
    }

    /// Starts a clone; returns its task, to be given to [`Client::wait_clone`]. When it fails with
    /// [`Error::lost_reply`], [`Client::lost_clone`] finds what has come of it: a source has clones of others too, so its
    /// tasks don't tell.
    pub async fn start_clone(&self, source: &Moref, clone: &CloneRequest) -> Result<Moref> {
        let placement = &clone.placement;
        let wanted = &clone.hardware.networks;
        let device_change = match wanted.iter().any(Option::is_some) {
            true => attach(&self.nics(source).await?, wanted)?,
            false => Vec::new(),
        };
        let config = clone.hardware.spec();
        let disk_move_type = match (&clone.linked, &clone.snapshot) {
            (Some(_), _) => Some("createNewChildDiskBacking".to_owned()),
            // One disk of its own, however long the chain is that the snapshot stands on.
            (None, Some(_)) => Some("moveAllDiskBackingsAndConsolidate".to_owned()),
            (None, None) => None,
        };
        let spec = VirtualMachineCloneSpec {
            location: VirtualMachineRelocateSpec {
                datastore: Some(placement.datastore.clone()),
                disk: self.disks_by_policy(source, placement, disk_move_type.as_deref()).await?,
                disk_move_type,
                pool: Some(placement.pool.clone()),
                host: placement.host.clone(),
                device_change,
                profile: placement.profile(),
                ..VirtualMachineRelocateSpec::default()
            },
            template: clone.template,
            config: (config != VirtualMachineConfigSpec::default()).then_some(config),
            snapshot: clone.linked.clone().or_else(|| clone.snapshot.clone()),
            ..VirtualMachineCloneSpec::default()
        };
        let request = CloneVmTask {
            this: source.clone(),
            folder: placement.folder.clone(),
            name: names::encode(&clone.name),
            spec,
        };
        let patience = Patience::new(Deadline::after(BUSY));
        loop {
            match self.call(&request).await {
                Err(error) if error.lost_reply() => return Err(error),
                Err(error) => patience.again(error).await?,
                Ok(task) => return Ok(task),
            }
        }
    }

    /// Where a clone's disks go under a storage policy: that of the clone is for its other files alone.
    async fn disks_by_policy(
        &self,
        source: &Moref,
        placement: &Placement,
        disk_move_type: Option<&str>,
    ) -> Result<Vec<VirtualMachineRelocateSpecDiskLocator>> {
        if placement.policy.is_none() {
            return Ok(Vec::new());
        }
        let properties = self.properties(source, &["config.hardware.device"]).await?;
        let devices: Vec<Element> = properties.list("config.hardware.device");
        let disks = devices.iter().filter(|device| device.xsi_type.as_deref() == Some("VirtualDisk"));
        let keys = disks.filter_map(|disk| i32::read(disk, "key").ok());
        let locators = keys.map(|disk_id| VirtualMachineRelocateSpecDiskLocator {
            disk_id,
            datastore: placement.datastore.clone(),
            disk_move_type: disk_move_type.map(str::to_owned),
            profile: placement.profile(),
        });
        Ok(locators.collect())
    }

    /// Begins a task that must not run twice, on a machine that is ours alone: after a lost reply the task is looked for,
    /// and begun anew only where there is none.
    pub(super) async fn begin_once<M: Method<Returns = Moref>>(
        &self,
        object: &Moref,
        operation: &str,
        method: &M,
    ) -> Result<Moref> {
        let patience = Patience::new(Deadline::after(BUSY));
        let mut times = 1;
        loop {
            let begun = tokio::time::Instant::now();
            match self.call(method).await {
                Err(lost) if lost.lost_reply() => match self.lost_task(object, operation, begun.elapsed()).await {
                    Ok(Some(task)) => return Ok(task),
                    Ok(None) if times < MOST_LOST => times += 1,
                    _ => return Err(lost),
                },
                Err(error) => patience.again(error).await?,
                done => return done,
            }
        }
    }

    /// Waits for a clone; returns the new virtual machine.
    pub async fn wait_clone(
        &self,
        task: &Moref,
        name: &str,
        deadline: Deadline,
        progress: impl FnMut(Progress) + Send,
    ) -> Result<Moref> {
        let result = self.wait_task_with(task, &format!("clone `{name}`"), deadline, progress).await?;
        self.result_of(result, "CloneVM_Task")
    }

    /// The object that a task resulted in.
    fn result_of(&self, result: Option<Any>, call: &str) -> Result<Moref> {
        result.and_then(|r| r.get::<Moref>().ok()).ok_or_else(|| Error::Protocol {
            address: self.address().to_owned(),
            call: call.to_owned(),
            detail: "the task succeeded without saying what it made".to_owned(),
            excerpt: String::new(),
            lost_reply: true,
        })
    }

    /// Changes the configuration; sends nothing when there is nothing to change. Fails when there are fewer network
    /// adapters than networks.
    pub async fn reconfigure(&self, vm: &Moref, change: &HardwareChange, deadline: Deadline) -> Result<()> {
        let mut spec = change.spec();
        if change.networks.iter().any(Option::is_some) {
            spec.device_change = attach(&self.nics(vm).await?, &change.networks)?;
        }
        if spec == VirtualMachineConfigSpec::default() {
            return Ok(());
        }
        let request = ReconfigVmTask { this: vm.clone(), spec };
        self.run_task(&request, "change the virtual machine's configuration", deadline).await.map(drop)
    }

    /// The network adapters, in their order in the virtual machine.
    pub async fn nics(&self, vm: &Moref) -> Result<Vec<Nic>> {
        let properties = self.properties(vm, &["config.hardware.device"]).await?;
        let devices: Vec<Element> = properties.list("config.hardware.device");
        let mut nics: Vec<Nic> = devices.iter().filter_map(Nic::of).collect();
        nics.sort_by_key(|nic| nic.key().unwrap_or(i32::MAX));
        Ok(nics)
    }

    /// Powers on and waits until it is. A pending question fails it with [`Error::Question`].
    /// `Ok` when it is on already.
    pub async fn power_on(&self, vm: &Moref, deadline: Deadline) -> Result<()> {
        let request = PowerOnVmTask { this: vm.clone(), host: None };
        let questions = async {
            tokio::time::sleep(SUSPICIOUS).await;
            self.watch(vm, &["runtime.question"])
                .until(deadline, "the virtual machine to power on", |p| {
                    match p.get::<VirtualMachineQuestionInfo>("runtime.question") {
                        Some(question) => Err::<Option<()>, _>(asked(vm, question)),
                        None => Ok(None),
                    }
                })
                .await
        };
        let outcome = tokio::select! {
            done = self.run_task(&request, "power on the virtual machine", deadline) => done.map(|_| ()),
            asked = questions => asked,
        };
        match outcome {
            Err(error) => unless_already(error, "poweredOn"),
            done => done,
        }
    }

    /// Powers off, hard. `Ok` when it is off already.
    pub async fn power_off(&self, vm: &Moref, deadline: Deadline) -> Result<()> {
        let request = PowerOffVmTask { this: vm.clone() };
        let outcome = self.run_task(&request, "power off the virtual machine", deadline).await;
        outcome.map(drop).or_else(|error| unless_already(error, "poweredOff"))
    }

    /// Waits for a power state.
    async fn await_power(&self, vm: &Moref, state: PowerState, deadline: Deadline) -> Result<()> {
        let what = format!("the virtual machine to be {}", state.as_str());
        let mut watcher = self.watch(vm, &["runtime.powerState"]);
        watcher
            .until(deadline, &what, |p| {
                Ok((p.get::<PowerState>("runtime.powerState").as_ref() == Some(&state)).then_some(()))
            })
            .await
    }

    /// Asks the guest to shut down; when it hasn't by `patience`, or can't be asked, powers off. Whatever it returns as
    /// `Ok`, the virtual machine is off.
    pub async fn shut_down(&self, vm: &Moref, patience: Deadline, deadline: Deadline) -> Result<ShutDown> {
        let request = ShutdownGuest { this: vm.clone() };
        let mut asked = self.call(&request).await;
        // Asking twice does no harm: one that shuts down already doesn't listen any more.
        for _ in 1..MOST_LOST {
            if !asked.as_ref().is_err_and(Error::lost_reply) {
                break;
            }
            asked = heard(self.call(&request).await);
        }
        match asked {
            Ok(()) => match self.await_power(vm, PowerState::Off, patience).await {
                Ok(()) => return Ok(ShutDown::ByItself),
                Err(Error::Timeout { .. }) => {}
                Err(other) => return Err(other),
            },
            Err(error) if already(&error, "poweredOff") => return Ok(ShutDown::ByItself),
            Err(error) if error.is_fault("NoPermission") || error.is_fault("ManagedObjectNotFound") => {
                return Err(error);
            }
            // No Tools, or busy: the guest can't be asked.
            Err(Error::Fault { .. }) => {
                self.power_off(vm, deadline).await?;
                return Ok(ShutDown::NotAsked);
            }
            Err(other) => return Err(other),
        }
        self.power_off(vm, deadline).await?;
        Ok(ShutDown::TooSlow)
    }

    /// Asks the guest to restart; returns at once. When it fails with [`Error::lost_reply`], look whether the guest restarts
    /// before it is asked `again`: one that doesn't listen any more has heard the first.
    pub async fn reboot_guest(&self, vm: &Moref, again: bool) -> Result<()> {
        let asked = self.call(&RebootGuest { this: vm.clone() }).await;
        if again { heard(asked) } else { asked }
    }

    /// Resets, hard.
    pub async fn reset(&self, vm: &Moref, deadline: Deadline) -> Result<()> {
        let task = self.begin_once(vm, "VirtualMachine.reset", &ResetVmTask { this: vm.clone() }).await?;
        self.wait_task(&task, "reset the virtual machine", deadline).await.map(drop)
    }

    /// Makes a template of a powered-off virtual machine.
    pub async fn mark_as_template(&self, vm: &Moref) -> Result<()> {
        let request = MarkAsTemplate { this: vm.clone() };
        let patience = Patience::new(Deadline::after(BUSY));
        let mut times = 1;
        loop {
            match self.call(&request).await {
                Err(lost) if lost.lost_reply() => match self.vm_state(vm).await {
                    Ok(state) if state.template => return Ok(()),
                    _ if times < MOST_LOST => times += 1,
                    _ => return Err(lost),
                },
                Err(error) => patience.again(error).await?,
                done => return done,
            }
        }
    }

    /// Makes a virtual machine of a template.
    pub async fn mark_as_vm(&self, vm: &Moref, pool: &Moref, host: Option<&Moref>) -> Result<()> {
        let request = MarkAsVirtualMachine { this: vm.clone(), pool: pool.clone(), host: host.cloned() };
        match self.call(&request).await {
            Err(lost) if lost.lost_reply() => match self.vm_state(vm).await {
                Ok(state) if !state.template => Ok(()),
                _ => Err(lost),
            },
            other => other,
        }
    }

    /// Renames any object.
    pub async fn rename(&self, object: &Moref, name: &str, deadline: Deadline) -> Result<()> {
        let request = RenameTask { this: object.clone(), new_name: names::encode(name) };
        self.run_task(&request, &format!("rename it to `{name}`"), deadline).await.map(drop)
    }

    /// Deletes any object (a virtual machine with its files). `Ok` when it is gone already.
    pub async fn destroy(&self, object: &Moref, deadline: Deadline) -> Result<()> {
        match self.run_task(&DestroyTask { this: object.clone() }, "delete it", deadline).await {
            Err(e) if e.is_fault("ManagedObjectNotFound") => Ok(()),
            other => other.map(drop),
        }
    }

    /// Powers off if needed, and deletes. `Ok` when it is gone already.
    pub async fn destroy_vm(&self, vm: &Moref, deadline: Deadline) -> Result<()> {
        let state = match self.vm_state(vm).await {
            Err(e) if e.is_fault("ManagedObjectNotFound") => return Ok(()),
            other => other?,
        };
        if let Some(question) = &state.question {
            // Whatever it asks, nothing else can be done with it before there is an answer; it goes anyway.
            if let Some(choice) = refusal(question) {
                let _ = self.answer(vm, &question.id, choice).await;
            }
        }
        let mut on = state.power != PowerState::Off && !state.template;
        let mut first = true;
        // A lease that nobody knows holds a machine until it ends by itself; then the machine goes with it.
        let mut busy: Option<Watcher> = None;
        loop {
            if on {
                match self.power_off(vm, deadline).await {
                    Err(e) if e.is_fault("ManagedObjectNotFound") => return Ok(()),
                    other => other?,
                }
            }
            match self.destroy(vm, deadline).await {
                // What was under way has powered it on meanwhile.
                Err(e) if first && e.is_fault("InvalidPowerState") => (on, first) = (true, false),
                Err(e) if e.is_fault("ManagedObjectNotFound") => return Ok(()),
                Err(e) if e.is_fault("TaskInProgress") && !deadline.passed() => {
                    // What is known at first comes at once, so that nothing that changes meanwhile is missed.
                    let watcher = busy.get_or_insert_with(|| self.watch(vm, &["recentTask", "disabledMethod"]));
                    match watcher.next(deadline.at_most(AGAIN), "the machine to be free").await {
                        Err(e) if e.is_fault("ManagedObjectNotFound") => return Ok(()),
                        Err(Error::Timeout { .. }) if !deadline.passed() => {}
                        other => drop(other?),
                    }
                }
                other => return other,
            }
        }
    }

    /// Makes a snapshot of the disks alone, under a name that no other one of the machine has; returns it.
    pub async fn create_snapshot(&self, vm: &Moref, name: &str, about: &str, deadline: Deadline) -> Result<Moref> {
        let request = CreateSnapshotTask {
            this: vm.clone(),
            name: names::encode(name),
            description: Some(about.to_owned()),
            memory: false,
            quiesce: false,
        };
        let what = format!("make the snapshot `{name}`");
        let patience = Patience::new(deadline);
        let mut lost = 0;
        loop {
            match self.call(&request).await {
                Ok(task) => {
                    let result = self.wait_task(&task, &what, deadline).await?;
                    return self.result_of(result, "CreateSnapshot_Task");
                }
                Err(error) if error.lost_reply() => {
                    self.settled(vm, "VirtualMachine.createSnapshot", deadline).await?;
                    if let Some(made) = self.snapshot_named(vm, name).await? {
                        return Ok(made);
                    }
                    lost += 1;
                    if lost == MOST_LOST {
                        return Err(error);
                    }
                }
                Err(error) => patience.again(error).await?,
            }
        }
    }

    /// The snapshot of that name.
    async fn snapshot_named(&self, vm: &Moref, name: &str) -> Result<Option<Moref>> {
        let trees = self.snapshots(vm).await?;
        let mut open: Vec<&VirtualMachineSnapshotTree> = trees.iter().collect();
        while let Some(tree) = open.pop() {
            if names::decode(&tree.name) == name {
                return Ok(Some(tree.snapshot.clone()));
            }
            open.extend(&tree.child_snapshot_list);
        }
        Ok(None)
    }

    /// Deletes a snapshot, and keeps those made after it. `Ok` when it is gone already.
    pub async fn remove_snapshot(&self, snapshot: &Moref, deadline: Deadline) -> Result<()> {
        let request = RemoveSnapshotTask { this: snapshot.clone(), remove_children: false, consolidate: Some(true) };
        match self.run_task(&request, "delete the snapshot", deadline).await {
            Err(e) if e.is_fault("ManagedObjectNotFound") => Ok(()),
            other => other.map(drop),
        }
    }

    /// Goes back to a snapshot.
    pub async fn revert_to_snapshot(&self, snapshot: &Moref, deadline: Deadline) -> Result<()> {
        let request = RevertToSnapshotTask { this: snapshot.clone(), ..Default::default() };
        // Twice is as good as once: nothing has been done in between.
        self.run_task(&request, "go back to the snapshot", deadline).await.map(drop)
    }

    /// The snapshot trees; none when there are no snapshots.
    pub async fn snapshots(&self, vm: &Moref) -> Result<Vec<VirtualMachineSnapshotTree>> {
        let properties = self.properties(vm, &["snapshot"]).await?;
        let info: Option<VirtualMachineSnapshotInfo> = properties.get("snapshot");
        Ok(info.map(|i| i.root_snapshot_list).unwrap_or_default())
    }

    /// The state, as it is now.
    pub async fn vm_state(&self, vm: &Moref) -> Result<VmState> {
        let paths = ["name", "runtime.powerState", "config.template", "config.uuid", "runtime.question"];
        let p = self.properties(vm, &paths).await?;
        Ok(VmState {
            power: p.get("runtime.powerState").unwrap_or_default(),
            template: p.get("config.template").unwrap_or_default(),
            name: names::decode(p.text("name").unwrap_or_default()),
            uuid: p.get("config.uuid"),
            question: p.get("runtime.question"),
        })
    }

    /// Answers a pending question.
    pub async fn answer(&self, vm: &Moref, question: &str, choice: &str) -> Result<()> {
        let (question_id, answer_choice) = (question.to_owned(), choice.to_owned());
        self.call(&AnswerVm { this: vm.clone(), question_id, answer_choice }).await
    }
}

/// The edits that attach network adapters; none for those that are attached already.
fn attach(nics: &[Nic], networks: &[Option<NicBacking>]) -> Result<Vec<VirtualDeviceConfigSpec>> {
    if nics.len() < networks.len() {
        return Err(Error::Unsupported(format!(
            "there are {} networks for {} network adapters: add adapters to the template",
            networks.len(),
            nics.len()
        )));
    }
    let mut edits = Vec::new();
    for (nic, backing) in nics.iter().zip(networks) {
        let Some(backing) = backing else { continue };
        let right = nic.backing().is_some_and(|now| same(&now, backing));
        if right && nic.start_connected() == Some(true) {
            continue;
        }
        let mut nic = nic.clone();
        nic.attach(backing);
        let operation = Some(DeviceOperation::Edit);
        edits.push(VirtualDeviceConfigSpec { operation, device: nic.device().clone(), ..Default::default() });
    }
    Ok(edits)
}

/// Whether two backings are the same network, whatever else the server adds to its own.
pub(super) fn same(now: &NicBacking, wanted: &NicBacking) -> bool {
    match (now, wanted) {
        (NicBacking::Network(a), NicBacking::Network(b)) => match (&a.network, &b.network) {
            (Some(a), Some(b)) => a == b,
            _ => a.device_name == b.device_name,
        },
        (NicBacking::Port(a), NicBacking::Port(b)) => {
            a.port.switch_uuid == b.port.switch_uuid && a.port.portgroup_key == b.port.portgroup_key
        }
        (NicBacking::Opaque(a), NicBacking::Opaque(b)) => a == b,
        _ => false,
    }
}

/// Whether a power operation failed only because the machine is in that state already.
fn already(error: &Error, state: &str) -> bool {
    let existing = |error: &Error| error.fault().and_then(|f| f.field("existingState")).map(str::to_owned);
    error.is_fault("InvalidPowerState") && existing(error).as_deref() == Some(state)
}

/// What a repeated request to a guest means: one that doesn't listen any more has heard the first.
fn heard(outcome: Result<()>) -> Result<()> {
    match outcome {
        Err(e) if e.is_fault("ToolsUnavailable") || busy(&e) => Ok(()),
        other => other,
    }
}

/// Whether another operation is in the way.
fn busy(error: &Error) -> bool {
    let state = error.fault().is_some_and(|f| f.kind == "InvalidState");
    state || error.is_fault("TaskInProgress") || error.is_fault("ConcurrentAccess")
}

/// How often something is asked for whose replies are lost.
const MOST_LOST: u32 = 4;

/// Repeats what fails because another operation is in the way.
struct Patience {
    deadline: Deadline,
    begun: tokio::time::Instant,
}

impl Patience {
    fn new(deadline: Deadline) -> Self {
        Patience { deadline, begun: tokio::time::Instant::now() }
    }

    /// Waits when it is worth another try, else hands the error back.
    async fn again(&self, error: Error) -> Result<()> {
        let passed = self.begun.elapsed();
        // Each pause is as long as all before it.
        let pause = passed.clamp(FIRST_PAUSE, LONGEST_PAUSE);
        if !busy(&error) || passed + pause > BUSY || self.deadline.left() <= pause {
            return Err(error);
        }
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

/// The answer that refuses what a machine asks for, or else the one that is proposed.
fn refusal(question: &VirtualMachineQuestionInfo) -> Option<&str> {
    let choices = &question.choice.choice_info;
    let cancel = choices.iter().find(|c| c.label.to_lowercase().contains("cancel"));
    let proposed = question.choice.default_index.and_then(|n| usize::try_from(n).ok()).and_then(|n| choices.get(n));
    cancel.or(proposed).or(choices.first()).map(|choice| choice.key.as_str())
}

fn unless_already(error: Error, state: &str) -> Result<()> {
    if already(&error, state) { Ok(()) } else { Err(error) }
}

fn asked(vm: &Moref, question: VirtualMachineQuestionInfo) -> Error {
    let choices = question.choice.choice_info.into_iter().map(|c| (c.key, c.label)).collect();
    Error::Question { vm: vm.clone(), text: question.text, choices }
}
