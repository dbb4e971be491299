"""Does by pyVmomi what tests/alike.rs compares with what we send for the same.

usage: alike.py six VM                  customizes a guest with two adapters, of which one has IPv6
       alike.py clone TEMPLATE NAME     clones a template and changes the clone on the way
       alike.py policy TEMPLATE NAME POLICY   clones a template by a storage policy
       alike.py cloud-init NAME         has the server keep a specification that is cloud-init's
"""

import os
import sys
from urllib.parse import urlparse

from pyVim.connect import Disconnect, SmartConnect
from pyVmomi import SoapStubAdapter, VmomiSupport, pbm, vim

what, *names = sys.argv[1:]
url = urlparse(os.environ["GOVC_URL"])
service = SmartConnect(
    protocol=url.scheme,
    host=url.hostname,
    port=url.port,
    user=os.environ["GOVC_USERNAME"],
    pwd=os.environ["GOVC_PASSWORD"],
)
content = service.RetrieveContent()


def find(path):
    return content.searchIndex.FindByInventoryPath(path)


def six(name):
    own = vim.vm.customization
    first = own.IPSettings(
        ip=own.UnknownIpGenerator(),
        ipV6Spec=own.IPSettings.IpV6AddressSpec(
            ip=[own.FixedIpV6(ipAddress="2001:db8::5", subnetMask=64)], gateway=["2001:db8::1"]
        ),
    )
    spec = own.Specification(
        identity=own.LinuxPrep(hostName=own.FixedName(name="six"), domain=""),
        globalIPSettings=own.GlobalIPSettings(dnsSuffixList=["example.org"], dnsServerList=["2001:db8::53"]),
        nicSettingMap=[
            own.AdapterMapping(adapter=first),
            own.AdapterMapping(adapter=own.IPSettings(ip=own.DhcpIpGenerator())),
        ],
    )
    return find(f"DC0/vm/{name}").Customize(spec=spec)


def clone(template, name):
    template = find(f"DC0/vm/{template}")
    config = vim.vm.ConfigSpec(
        annotation="it's <ours> & more",
        numCPUs=4,
        numCoresPerSocket=2,
        memoryMB=512,
        extraConfig=[
            vim.option.OptionValue(key="guestinfo.role", value="web"),
            vim.option.OptionValue(key="guestinfo.empty", value=""),
        ],
    )
    location = vim.vm.RelocateSpec(datastore=template.datastore[0], pool=find("DC0/host/DC0_C0/Resources"))
    spec = vim.vm.CloneSpec(location=location, config=config, powerOn=False, template=False)
    return template.Clone(folder=find("DC0/vm"), name=name, spec=spec)


def policy(template, name, policy):
    # The policy service knows the session by a header.
    cookie = service._stub.cookie.split(";")[0].split("=", 1)[1].strip('"')
    stub = SoapStubAdapter(
        host=url.hostname,
        port=-url.port,
        version="pbm.version.version2",
        path="/pbm",
        requestContext={"vcSessionCookie": cookie},
    )
    manager = pbm.ServiceInstance("ServiceInstance", stub).RetrieveContent().profileManager
    storage = pbm.profile.ResourceType(resourceType=pbm.profile.ResourceTypeEnum.STORAGE)
    ids = manager.PbmQueryProfile(resourceType=storage, profileCategory="REQUIREMENT")
    (profile,) = [p for p in manager.PbmRetrieveContent(profileIds=ids) if p.name == policy]
    template = find(f"DC0/vm/{template}")
    spec = vim.vm.DefinedProfileSpec(profileId=profile.profileId.uniqueId)
    disks = [device for device in template.config.hardware.device if isinstance(device, vim.vm.device.VirtualDisk)]
    place = template.datastore[0]
    location = vim.vm.RelocateSpec(
        datastore=place,
        pool=find("DC0/host/DC0_C0/Resources"),
        profile=[spec],
        disk=[vim.vm.RelocateSpec.DiskLocator(diskId=d.key, datastore=place, profile=[spec]) for d in disks],
    )
    spec = vim.vm.CloneSpec(location=location, powerOn=False, template=False)
    return template.Clone(folder=find("DC0/vm"), name=name, spec=spec)


def cloud_init(name):
    own = vim.vm.customization
    data = '{"local-hostname": "of-cloud-init"}'
    spec = own.Specification(
        identity=own.CloudinitPrep(metadata=data), globalIPSettings=own.GlobalIPSettings(), nicSettingMap=[]
    )
    info = vim.CustomizationSpecInfo(name=name, description="", type="Linux")
    item = vim.CustomizationSpecItem(info=info, spec=spec)
    # The simulator says that it is older than such specifications are, and knows them.
    stub = SoapStubAdapter(
        host=url.hostname, port=-url.port, version=VmomiSupport.newestVersions.Get("vim"), path="/sdk"
    )
    stub.cookie = service._stub.cookie
    manager = vim.CustomizationSpecManager(content.customizationSpecManager._moId, stub)
    manager.CreateCustomizationSpec(item=item)


task = {"six": six, "cloud-init": cloud_init, "clone": clone, "policy": policy}[what](*names)
while task and task.info.state in ("queued", "running"):
    pass  # asking takes its time
assert not task or task.info.state == "success", task.info.error
Disconnect(service)
