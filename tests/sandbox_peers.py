"""Drives a sandbox with pyVmomi: what tests/sandbox_peers.rs runs. Prints "done" at the end of its way."""

import os
import ssl
import urllib.error
import urllib.request
from urllib.parse import urlparse

from pyVim.connect import Disconnect, SmartConnect
from pyVim.task import WaitForTask
from pyVmomi import vim, vmodl

PC = vmodl.query.PropertyCollector
FILES = vim.vm.guest.FileManager
PROGRAM = vim.vm.guest.ProcessManager.ProgramSpec

unverified = ssl._create_unverified_context()
url = urlparse(os.environ["GOVC_URL"])
service = SmartConnect(
    host=url.hostname,
    port=url.port,
    user=os.environ["GOVC_USERNAME"],
    pwd=os.environ["GOVC_PASSWORD"],
    sslContext=unverified,
)
content = service.RetrieveContent()
assert content.about.apiType == "VirtualCenter"
assert service.CurrentTime().year > 2000


def refused(fault, call):
    """The fault that a call must end in."""
    try:
        call()
    except fault as error:
        return error
    raise AssertionError(f"{fault} was not raised")


def all_of(kind):
    view = content.viewManager.CreateContainerView(content.rootFolder, [kind], True)
    found = {entity.name: entity for entity in view.view}
    view.Destroy()
    return found


template = all_of(vim.VirtualMachine)["linux"]
assert template.config.template
assert [device.deviceInfo.label for device in template.config.hardware.device][-1] == "Network adapter 1"
pool = content.searchIndex.FindByInventoryPath("DC0/host/DC0_C0/Resources")
folder = template.parent


def clone(name, **options):
    spec = vim.vm.CloneSpec(location=vim.vm.RelocateSpec(pool=pool), **options)
    task = template.Clone(folder=folder, name=name, spec=spec)
    WaitForTask(task)
    assert task.info.state == "success" and task.info.entityName == "linux"
    return task.info.result


error = refused(
    vmodl.fault.InvalidArgument,
    lambda: template.Clone(folder=folder, name="x", spec=vim.vm.CloneSpec(location=vim.vm.RelocateSpec())),
)
assert error.invalidProperty == "spec.location.pool"

option = vim.option.OptionValue(key="guestinfo.key", value="value")
vm = clone("py", powerOn=True, config=vim.vm.ConfigSpec(annotation="about", extraConfig=[option]))
assert vm.config.annotation == "about"
assert [o.value for o in vm.config.extraConfig if o.key == "guestinfo.key"] == ["value"]
assert refused(vim.fault.DuplicateName, lambda: clone("py")).object == vm



def until(done):
    """Follows property updates until they are as wanted."""
    paths = ["guest.guestOperationsReady", "guest.ipAddress", "runtime.powerState"]
    spec = PC.FilterSpec(
        objectSet=[PC.ObjectSpec(obj=vm)],
        propSet=[PC.PropertySpec(type=vim.VirtualMachine, pathSet=paths)],
    )
    waiting = content.propertyCollector.CreateFilter(spec, True)
    values, version = {}, None
    while not done(values):
        updates = content.propertyCollector.WaitForUpdatesEx(version, PC.WaitOptions(maxWaitSeconds=20))
        assert updates, "nothing changed in time"
        version = updates.version
        for update in (o for f in updates.filterSet for o in f.objectSet):
            values.update({change.name: change.val for change in update.changeSet})
    waiting.Destroy()
    return values


values = until(lambda now: now.get("guest.guestOperationsReady") and now.get("guest.ipAddress"))
assert values["runtime.powerState"] == "poweredOn"

auth = vim.vm.guest.NamePasswordAuthentication(username="root", password="any")
guest = content.guestOperationsManager
guest.authManager.ValidateCredentialsInGuest(vm, auth)
program = PROGRAM(programPath="/bin/sh", arguments="-c 'echo $A; exit 3' > /tmp/out", envVariables=["A=b"])
pid = guest.processManager.StartProgramInGuest(vm, auth, program)
while True:
    (process,) = guest.processManager.ListProcessesInGuest(vm, auth, [pid])
    if process.endTime:
        break
assert (process.exitCode, process.owner) == (3, "root")


def send(place, data):
    request = urllib.request.Request(place, data=data, method="PUT")
    return urllib.request.urlopen(request, context=unverified).status


file = guest.fileManager.InitiateFileTransferFromGuest(vm, auth, "/tmp/out")
assert file.size == 2 and file.attributes.permissions == 0o644
assert urllib.request.urlopen(file.url, context=unverified).read() == b"b\n"
again = refused(urllib.error.HTTPError, lambda: urllib.request.urlopen(file.url, context=unverified))
assert again.code == 404, again
attributes = FILES.PosixFileAttributes(permissions=0o600)
place = guest.fileManager.InitiateFileTransferToGuest(vm, auth, "/tmp/in", attributes, 3, True)
assert send(place, b"abc") == 200
place = guest.fileManager.InitiateFileTransferToGuest(vm, auth, "/tmp/in", attributes, 0, True)
assert refused(urllib.error.HTTPError, lambda: send(place, b"")).code == 500
listed = guest.fileManager.ListFilesInGuest(vm, auth, "/tmp", matchPattern="^(in|out)$")
assert sorted((f.path, f.size, f.attributes.permissions) for f in listed.files) == [("in", 3, 0o600), ("out", 2, 0o644)]

nobody = vim.vm.guest.NamePasswordAuthentication(username="nobodyatall", password="x")
processes, files = guest.processManager, guest.fileManager
nonsense = PC.FilterSpec(
    objectSet=[PC.ObjectSpec(obj=vm)], propSet=[PC.PropertySpec(type=vim.VirtualMachine, pathSet=["nonsense"])]
)
refused(vim.fault.FileNotFound, lambda: processes.StartProgramInGuest(vm, auth, PROGRAM(programPath="sh", arguments="")))
refused(vim.fault.FileNotFound, lambda: files.DeleteFileInGuest(vm, auth, "/nowhere"))
refused(vim.fault.FileAlreadyExists, lambda: files.MakeDirectoryInGuest(vm, auth, "/tmp", False))
refused(vim.fault.GuestProcessNotFound, lambda: processes.TerminateProcessInGuest(vm, auth, 99999))
refused(vim.fault.InvalidGuestLogin, lambda: guest.authManager.ValidateCredentialsInGuest(vm, nobody))
refused(vim.fault.InvalidPowerState, vm.MarkAsTemplate)
refused(vim.fault.InvalidPowerState, lambda: WaitForTask(vm.PowerOn()))
refused(vim.fault.InvalidPowerState, lambda: WaitForTask(vm.Destroy()))
refused(vmodl.fault.NotSupported, vm.Suspend)
error = refused(vmodl.query.InvalidProperty, lambda: content.propertyCollector.RetrieveContents([nonsense]))
assert error.name == "nonsense"

WaitForTask(vm.CreateSnapshot("s", "a description", False, False))
(tree,) = vm.snapshot.rootSnapshotList
assert (tree.name, tree.description, tree.vm, tree.snapshot) == ("s", "a description", vm, vm.snapshot.currentSnapshot)
files.DeleteFileInGuest(vm, auth, "/tmp/in")
WaitForTask(vm.RevertToCurrentSnapshot())
assert vm.runtime.powerState == "poweredOff"
WaitForTask(vm.Rename("renamed"))
WaitForTask(vm.Reconfigure(vim.vm.ConfigSpec(numCPUs=4, memoryMB=4096)))
assert (vm.name, vm.summary.config.numCpu, vm.summary.config.memorySizeMB) == ("renamed", 4, 4096)
assert content.searchIndex.FindByUuid(None, vm.config.uuid, True) == vm
# Powered on and off, by itself and hard; what the snapshot kept is there.
WaitForTask(vm.PowerOn())
until(lambda now: now.get("guest.guestOperationsReady"))
assert [f.size for f in files.ListFilesInGuest(vm, auth, "/tmp", matchPattern="^in$").files] == [3]
files.MakeDirectoryInGuest(vm, auth, "/tmp/a/b", True)
files.MoveFileInGuest(vm, auth, "/tmp/in", "/tmp/a/b/moved", False)
files.DeleteDirectoryInGuest(vm, auth, "/tmp/a", True)
WaitForTask(vm.Reset())
until(lambda now: now.get("guest.guestOperationsReady"))
vm.RebootGuest()
until(lambda now: now.get("guest.guestOperationsReady") is False)
until(lambda now: now.get("guest.guestOperationsReady"))
vm.ShutdownGuest()
until(lambda now: now.get("runtime.powerState") == "poweredOff")
WaitForTask(vm.PowerOn())
WaitForTask(vm.PowerOff())
relocate = vim.vm.RelocateSpec(pool=pool, diskMoveType="createNewChildDiskBacking")
linked = vim.vm.CloneSpec(location=relocate, snapshot=vm.snapshot.currentSnapshot)
task = vm.Clone(folder=folder, name="linked", spec=linked)
WaitForTask(task)
assert task.info.state == "success" and all_of(vim.VirtualMachine)["linked"] == task.info.result
WaitForTask(tree.snapshot.RemoveSnapshot_Task(False))
assert vm.snapshot is None
WaitForTask(task.info.result.Destroy())
vm.MarkAsTemplate()
vm.MarkAsVirtualMachine(pool)
WaitForTask(vm.Destroy())
assert refused(vmodl.fault.ManagedObjectNotFound, lambda: vm.name).obj == vm

# Everything that can be read can be understood: pyVmomi knows the whole schema. What it has that an older server
# lacks is refused as such.
managers = [content.sessionManager, content.taskManager, content.eventManager, content.setting, content.viewManager]
managers += [content.authorizationManager, content.perfManager, content.extensionManager, content.licenseManager]
view = content.viewManager.CreateContainerView(content.rootFolder, [], True).view
assert len(view) > 15
for thing in [*view, *managers]:
    for known in thing._GetPropertyList():
        try:
            getattr(thing, known.name)
        except vmodl.fault.MethodNotFound:
            assert known.name in ("externallyManagedFolderInfo", "networkBootMode"), (thing, known.name)

Disconnect(service)
print("done")
