"""Prints what issue-sized work takes on the sandbox, beside the least that it can take and beside govc.

usage: python benches/sandbox.py [--ansible] target/dist/vmwbuild [ROUNDS]

It needs nothing but Python; govc is measured where it is on PATH or in VMWBUILD_TEST_GOVC. Run it on a machine that does
nothing else. Every row is the median of the rounds (5), and the work is checked: what isn't done isn't measured.

--ansible prints another table alone: small commands beside govc and Ansible's vmware_vm_shell. It needs govc, and
ansible-playbook with the collection community.vmware on PATH or in VMWBUILD_TEST_ANSIBLE_PLAYBOOK; `VMWBUILD_TEST_ANSIBLE=1
tests/setup` sets up both, and the variables that it writes name them.

- first output: from the moment at which a command in the guest prints a line until `build` has printed it, while the
  command goes on. Both clocks are this machine's.
- 100 MB upload and download: a whole build less the same build without it; raw is the same bytes over HTTP by the
  transfer URLs alone, asked of the same server.
- a platform: machines that wait for each other, each with a command that sleeps; the critical path is what sleeping
  alone takes.
"""

import json
import os
import re
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import xml.sax.saxutils

with_ansible = "--ansible" in sys.argv
arguments = [argument for argument in sys.argv[1:] if argument != "--ansible"]
if not arguments:
    sys.exit(__doc__)
program = os.path.abspath(arguments[0])
rounds = int(arguments[1]) if len(arguments) > 1 else 5
govc = os.environ.get("VMWBUILD_TEST_GOVC") or shutil.which("govc")
ansible = os.environ.get("VMWBUILD_TEST_ANSIBLE_PLAYBOOK") or shutil.which("ansible-playbook")
if with_ansible and not (govc and ansible):
    missing = "ansible-playbook" if govc else "govc"
    sys.exit(f"--ansible: there is no {missing}: `VMWBUILD_TEST_ANSIBLE=1 tests/setup` sets it up, and says which variables name it")
SIZE = 100_000_000
place = tempfile.mkdtemp(prefix="vmwbuild-bench-")
anyone = ssl._create_unverified_context()
serial = 0


def median(times):
    return statistics.median(times)


def row(what, *cells):
    print(f"| {what:<44} | " + " | ".join(f"{cell:>14}" for cell in cells) + " |", flush=True)


def ms(seconds):
    return "-" if seconds is None else f"{seconds * 1000:.0f} ms"


class Server:
    """A sandbox, and a small SOAP client for what no other one measures alone."""

    def __init__(self):
        self.process = subprocess.Popen(
            [program, "sandbox", "--listen", "127.0.0.1:0", "--boot-delay", "0s"],
            stdout=subprocess.PIPE,
            text=True,
            cwd=place,
        )
        self.given = {}
        while "VMWBUILD_THUMBPRINT" not in self.given:
            line = self.process.stdout.readline()
            if not line:
                sys.exit("the sandbox doesn't start")
            self.given |= {name: value.strip("'\"") for name, value in re.findall(r"export (VMWBUILD_\w+)=(\S+)", line)}
        self.url = self.given["VMWBUILD_VCENTER"]
        host = re.sub(r"^https?://", "", self.url).rstrip("/").removesuffix("/sdk")
        self.host, self.cookie = host, None
        user, password = self.given["VMWBUILD_USERNAME"], self.given["VMWBUILD_PASSWORD"]
        self.env = {
            **os.environ,
            **self.given,
            "VMWBUILD_LOGIN": "root:any",
            "VMWBUILD_STATE_DIR": os.path.join(place, "state"),
            "GOVC_URL": f"https://{host}/sdk",
            "GOVC_USERNAME": user,
            "GOVC_PASSWORD": password,
            "GOVC_INSECURE": "1",
            "GOVC_GUEST_LOGIN": "root:any",
            "VMWARE_HOST": host.rsplit(":", 1)[0],
            "VMWARE_PORT": host.rsplit(":", 1)[1],
            "VMWARE_USER": user,
            "VMWARE_PASSWORD": password,
            "VMWARE_VALIDATE_CERTS": "no",
        }
        escape = xml.sax.saxutils.escape
        self.call("Login", "SessionManager", "SessionManager", f"<userName>{escape(user)}</userName><password>{escape(password)}</password>")

    def call(self, method, kind, name, body):
        text = (
            '<?xml version="1.0"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" '
            'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>'
            f'<{method} xmlns="urn:vim25"><_this type="{kind}">{name}</_this>{body}</{method}>'
            "</soapenv:Body></soapenv:Envelope>"
        )
        request = urllib.request.Request(f"https://{self.host}/sdk", text.encode(), {"Content-Type": "text/xml"})
        if self.cookie:
            request.add_header("Cookie", self.cookie)
        with urllib.request.urlopen(request, context=anyone) as answer:
            self.cookie = self.cookie or answer.headers["Set-Cookie"].split(";")[0]
            return answer.read().decode()

    def moref(self, path):
        found = self.call("FindByInventoryPath", "SearchIndex", "SearchIndex", f"<inventoryPath>{path}</inventoryPath>")
        return re.search(r"<returnval[^>]*>([^<]+)<", found)[1]

    def transfer(self, vm, path, data):
        """Sends or, without data, fetches a file by its transfer URL; the time of the transfer alone."""
        auth = (
            '<auth xsi:type="NamePasswordAuthentication"><interactiveSession>false</interactiveSession>'
            "<username>root</username><password>any</password></auth>"
        )
        about = f'<vm type="VirtualMachine">{vm}</vm>{auth}<guestFilePath>{path}</guestFilePath>'
        if data is None:
            answer = self.call("InitiateFileTransferFromGuest", "GuestFileManager", "guestOperationsFileManager", about)
            url = re.search(r"<url>([^<]+)<", answer)[1]
        else:
            about += f'<fileAttributes xsi:type="GuestPosixFileAttributes"/><fileSize>{len(data)}</fileSize><overwrite>true</overwrite>'
            answer = self.call("InitiateFileTransferToGuest", "GuestFileManager", "guestOperationsFileManager", about)
            url = re.search(r"<returnval[^>]*>([^<]+)<", answer)[1]
        url = url.replace("&amp;", "&").replace("https://*", f"https://{self.host.split(':')[0]}")
        begun = time.monotonic()
        request = urllib.request.Request(url, data, method="GET" if data is None else "PUT")
        with urllib.request.urlopen(request, context=anyone) as answer:
            got = answer.read()
        took = time.monotonic() - begun
        assert data is not None or len(got) == SIZE, len(got)
        return took

    def run(self, command, **more):
        begun = time.monotonic()
        done = subprocess.run(command, cwd=place, env=self.env | more, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        took = time.monotonic() - begun
        if done.returncode:
            sys.exit(f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return took, done.stdout + done.stderr

    def govc(self, *args):
        return self.run([govc, *args])


def build(server, text, keep=False):
    """Builds a VMWfile whose machines are called NAME; the time, what was printed, and the name."""
    global serial
    serial += 1
    name = f"bench{serial}"
    with open(os.path.join(place, "VMWfile"), "w") as file:
        file.write(text.replace("NAME", name))
    took, said = server.run([program, "build", "--no-cache", "--progress", "plain"])
    return took, said, name


def first_output(server):
    late = []
    for _ in range(rounds):
        global serial
        serial += 1
        text = f"FROM linux AS a\nOUTPUT VM bench{serial}\nRUN sleep 1; date +printed-%s.%N; sleep 4; echo over\n"
        with open(os.path.join(place, "VMWfile"), "w") as file:
            file.write(text)
        process = subprocess.Popen(
            [program, "build", "--no-cache", "--progress", "plain"],
            cwd=place,
            env=server.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        seen = None
        for line in process.stdout:
            if seen is None and (found := re.search(r"\| printed-([\d.]+)", line)):
                seen = time.time() - float(found[1])
        if process.wait() or seen is None:
            sys.exit("the command printed nothing")
        late.append(seen)
    return median(late)


def transfers(server):
    with open(os.path.join(place, "big"), "wb") as file:
        file.write(os.urandom(1 << 20) * (SIZE >> 20))
        file.truncate(SIZE)
    with open(os.path.join(place, "big"), "rb") as file:
        data = file.read()
    plain, up, down, raw_up, raw_down, their_up, their_down = ([] for _ in range(7))
    for _ in range(rounds):
        head = "FROM linux AS a\nOUTPUT VM NAME\n"
        took, _, _ = build(server, f"{head}RUN test 1 = 1\n")
        plain.append(took)
        took, _, name = build(server, f"{head}COPY big /opt/big\nRUN test $(wc -c < /opt/big) = {SIZE}\n")
        up.append(took)
        vm = server.moref(f"DC0/vm/{name}")
        raw_up.append(server.transfer(vm, "/opt/raw", data))
        raw_down.append(server.transfer(vm, "/opt/raw", None))
        if govc:
            their_up.append(server.govc("guest.upload", "-f", "-vm", name, "big", "/opt/theirs")[0])
            their_down.append(server.govc("guest.download", "-f", "-vm", name, "/opt/theirs", "theirs")[0])
        took, _, _ = build(server, f"{head}RUN head -c {SIZE} /dev/zero > /opt/big\nFETCH /opt/big back\n")
        assert os.path.getsize(os.path.join(place, "back")) == SIZE
        down.append(took)
        os.remove(os.path.join(place, "back"))
    less = median(plain)
    return (
        (median(up) - less, median(raw_up), median(their_up) if their_up else None),
        (median(down) - less, median(raw_down), median(their_down) if their_down else None),
    )


def platform(server):
    """A manager, workers that need its key, and a machine that needs them all."""
    text = (
        "FROM linux AS manager\nOUTPUT VM NAME-manager\nKEY token FROM RUN sleep 2; echo t\n"
        "FROM linux AS worker FOR n IN 1..4\nOUTPUT VM NAME-worker${{ n }}\nRUN sleep 1\n"
        "RUN echo ${{ manager.token }}; sleep 2\nKEY done FROM RUN echo yes\n"
        "FROM linux AS front\nOUTPUT VM NAME-front\nRUN echo ${{ worker.done | join(\",\") }}; sleep 1\n"
    )
    times = [build(server, text)[0] for _ in range(rounds)]
    return median(times), 5.0


def runs(server):
    """Twenty commands in a machine that is there: ours in a build, theirs one after another."""
    head = "FROM linux AS a\nOUTPUT VM NAME\n"
    one, twenty, theirs = [], [], []
    for _ in range(rounds):
        one.append(build(server, head + "RUN true\n")[0])
        took, _, name = build(server, head + "".join(f"RUN echo {n} > /dev/null\n" for n in range(21)))
        twenty.append(took)
        if govc:
            begun = time.monotonic()
            for _ in range(3):
                server.govc("guest.run", "-vm", name, "/bin/true")
            theirs.append((time.monotonic() - begun) / 3)
    return (median(twenty) - median(one)) / 20, median(theirs) if theirs else None


class Vmwbuild:
    """RUNs of a build; what it says of itself is held to nothing else here: the tests of `--events` do that."""

    def begin(self, server, count):
        global serial
        serial += 1
        self.name, self.count = f"bench{serial}", count
        runs = "".join(f"RUN echo {n} >> /root/said\n" for n in range(count))
        with open(os.path.join(place, "VMWfile"), "w") as file:
            file.write(f"FROM linux AS a\nOUTPUT VM {self.name}\n{runs}")

    def work(self, server):
        events = os.path.join(place, "events")
        took, _ = server.run([program, "build", "--no-cache", "--progress", "plain", "--events", events])
        with open(events) as file:
            return took, next(event["requests"] for event in map(json.loads, file) if "requests" in event)


class Govc:
    """One process a command: that is how it is used."""

    def begin(self, server, count):
        self.name, self.count = machine(server), count

    def work(self, server):
        heard = tempfile.mkdtemp(dir=place)
        took = 0
        for n in range(self.count):
            script = f"'echo {n} >> /root/said'"
            command = [govc, "guest.run", "-vm", self.name, "/bin/sh", "-c", script]
            took += server.run(command, GOVC_DEBUG="true", GOVC_DEBUG_PATH=heard)[0]
        # Each has another file for its body.
        return took, sum(name.endswith(".req.headers") for _, _, names in os.walk(heard) for name in names)


class Ansible:
    """One playbook, a task a command."""

    def begin(self, server, count):
        self.name, self.count = machine(server), count
        self.home = tempfile.mkdtemp(dir=place)
        shell = {"datacenter": "DC0", "vm_id": self.name, "vm_id_type": "vm_name", "vm_username": "root"}
        shell |= {"vm_password": "any", "vm_shell": "/bin/sh", "wait_for_process": True}
        script = "-c 'echo {} >> /root/said'"
        tasks = [{"community.vmware.vmware_vm_shell": shell | {"vm_shell_args": script.format(n)}} for n in range(count)]
        play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}
        with open(os.path.join(self.home, "play.yml"), "w") as file:
            json.dump([play], file)
        # Every request that Python's own HTTP client begins is one byte more: pyVmomi and requests both use that.
        with open(os.path.join(self.home, "sitecustomize.py"), "w") as file:
            file.write(COUNTING)

    def work(self, server):
        heard = os.path.join(self.home, "requests")
        open(heard, "w").close()
        took, _ = server.run(
            [ansible, os.path.join(self.home, "play.yml")],
            ANSIBLE_HOME=self.home,
            ANSIBLE_LOCALHOST_WARNING="false",
            ANSIBLE_PYTHON_INTERPRETER=os.path.join(os.path.dirname(ansible), "python"),
            PYTHONPATH=self.home,
            BENCH_REQUESTS=heard,
        )
        return took, os.path.getsize(heard)


COUNTING = """import http.client, os
begin = http.client.HTTPConnection.putrequest
def counted(*args, **kwargs):
    with open(os.environ["BENCH_REQUESTS"], "a") as file:
        file.write(".")
    return begin(*args, **kwargs)
http.client.HTTPConnection.putrequest = counted
"""


def machine(server):
    """One that is on, and has answered a command."""
    name = build(server, "FROM linux AS a\nOUTPUT VM NAME\n")[2]
    server.govc("guest.run", "-vm", name, "/bin/true")
    return name


def commands(server):
    """Small commands by each client: what N of them add to the same without any, a command."""
    kinds = {"vmwbuild": Vmwbuild(), "govc": Govc(), "vmware_vm_shell": Ansible()}
    counts = (0, 1, 20)
    seen = {(kind, count): [] for kind in kinds for count in counts}
    for _ in range(rounds):
        for count in counts:
            for kind, client in kinds.items():
                client.begin(server, count)
                seen[kind, count].append(client.work(server))
                if count:
                    said = server.govc("guest.run", "-vm", client.name, "/bin/cat", "/root/said")[1]
                    assert said.split() == [str(n) for n in range(count)], said
    row("", *kinds)
    row("-" * 44, *["-" * 14] * 3)
    cost = {key: [median(values) for values in zip(*pairs)] for key, pairs in seen.items()}
    for count in counts[1:]:
        each = {kind: [(a - b) / count for a, b in zip(cost[kind, count], cost[kind, 0])] for kind in kinds}
        row(f"{count} small command{'s' if count > 1 else ''}: time of each", *(ms(each[kind][0]) for kind in kinds))
        row(f"{count} small command{'s' if count > 1 else ''}: requests of each", *(f"{each[kind][1]:.1f}" for kind in kinds))
    row("the same without commands: time", *(ms(cost[kind, 0][0]) for kind in kinds))


def everything(server):
    row("", "vmwbuild", "least possible", "govc")
    row("-" * 44, *["-" * 14] * 3)
    row("first output of a long RUN", ms(first_output(server)), "-", "at its end")
    ours, theirs = runs(server)
    row("a further RUN", ms(ours), "-", ms(theirs))
    up, down = transfers(server)
    row("upload of 100 MB", *map(ms, up))
    row("download of 100 MB", *map(ms, down))
    took, least = platform(server)
    row("a platform of 6 against its critical path", ms(took), ms(least), "-")


server = Server()
try:
    print(f"{rounds} rounds, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}\n")
    (commands if with_ansible else everything)(server)
finally:
    server.process.terminate()
    server.process.wait()
    shutil.rmtree(place, ignore_errors=True)
