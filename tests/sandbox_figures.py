"""Prints what a sandbox takes, seen by somebody else's client.

usage: python tests/sandbox_figures.py target/release/vmwbuild

It needs pyVmomi (tests/setup makes an environment with it). The time that the client, Python, takes is in the figures.
"""

import os
import re
import ssl
import statistics
import subprocess
import sys
import time

from pyVim.connect import SmartConnect
from pyVim.task import WaitForTask
from pyVmomi import vim

program = os.path.abspath(sys.argv[1])
root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MANY = 200


def available():
    """Memory that the machine has left, in KiB."""
    with open("/proc/meminfo") as file:
        return int(re.search(r"MemAvailable:\s+(\d+)", file.read())[1])


def median(times):
    return f"{statistics.median(times) * 1000:.1f} ms"


def timed(call):
    begun = time.monotonic()
    return call(), time.monotonic() - begun


server = subprocess.Popen(
    [program, "sandbox", "--listen", "127.0.0.1:0", "--boot-delay", "0s"], stdout=subprocess.PIPE, text=True
)
try:
    given = {}
    while "VMWARE_VALIDATE_CERTS" not in given:
        line = server.stdout.readline()
        if not line:
            sys.exit("the sandbox doesn't start")
        given |= re.findall(r"(VMWARE_\w+)='?([^' \n]*)", line)
    service = SmartConnect(
        host=given["VMWARE_HOST"],
        port=int(given["VMWARE_PORT"]),
        user=given["VMWARE_USER"],
        pwd=given["VMWARE_PASSWORD"],
        sslContext=ssl._create_unverified_context(),
    )
    content = service.RetrieveContent()
    find = content.searchIndex.FindByInventoryPath
    template, pool = find("DC0/vm/linux"), find("DC0/host/DC0_C0/Resources")
    auth = vim.vm.guest.NamePasswordAuthentication(username="root", password="any")
    processes = content.guestOperationsManager.processManager
    true = vim.vm.guest.ProcessManager.ProgramSpec(programPath="/bin/true", arguments="")
    spec = vim.vm.CloneSpec(location=vim.vm.RelocateSpec(pool=pool))

    def clone(name):
        return template.Clone(folder=template.parent, name=name, spec=spec)

    def ready(machines):
        while not all(vm.guest.guestOperationsReady for vm in machines):
            pass

    _, call = timed(lambda: [service.CurrentTime() for _ in range(100)])
    print(f"an empty call: {call * 10:.1f} ms")

    task = clone("one")
    WaitForTask(task)
    one = task.info.result
    on, until_ready = [], []
    for _ in range(20):
        begun = time.monotonic()
        task = one.PowerOn()
        WaitForTask(task)
        ready([one])
        until_ready.append(time.monotonic() - begun)
        on.append((task.info.completeTime - task.info.startTime).total_seconds())
        WaitForTask(one.PowerOff())
    print(f"power-on with no boot delay: {median(on)} by the task's own clock, {median(until_ready)} until ready")

    WaitForTask(one.PowerOn())
    ready([one])
    start, end = [], []
    for _ in range(200):
        begun = time.monotonic()
        pid = processes.StartProgramInGuest(one, auth, true)
        start.append(time.monotonic() - begun)
        while processes.ListProcessesInGuest(one, auth, [pid])[0].endTime is None:
            pass
        end.append(time.monotonic() - begun)
    print(f"a program: {median(start)} until it has started, {median(end)} until its end is seen (looked for every 5 ms)")

    before = available()
    begun = time.monotonic()
    tasks = [clone(f"vm{n}") for n in range(MANY)]
    for task in tasks:
        WaitForTask(task)
    machines = [task.info.result for task in tasks]
    tasks = [vm.PowerOn() for vm in machines]
    for task in tasks:
        WaitForTask(task)
    ready(machines)
    took = time.monotonic() - begun
    print(f"{MANY} machines cloned, on and ready: {took:.1f} s, {(before - available()) // MANY} KiB of memory each")
    begun = time.monotonic()
    for vm in machines:
        processes.StartProgramInGuest(vm, auth, true)
    print(f"a program in each: {time.monotonic() - begun:.2f} s")
finally:
    server.terminate()
    _, took = timed(server.wait)
    print(f"ended: {took:.2f} s")

took = []
for _ in range(5):
    build = [program, "build", "--sandbox", "examples/hello"]
    done, seconds = timed(lambda: subprocess.run(build, cwd=root, capture_output=True, check=True))
    took.append(seconds)
print(f"build --sandbox examples/hello: {median(took)} altogether, two boots of 100 ms among them")
