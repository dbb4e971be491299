"""Clones a template by a storage policy, as pyVmomi says it, and prints the request: what tests/storage.rs compares.

usage: storage.py TEMPLATE NAME POLICY
"""

import os
import ssl
import sys
from urllib.parse import urlparse

from pyVim.connect import Disconnect, SmartConnect
from pyVmomi import SoapStubAdapter, pbm, vim

template_name, name, policy = sys.argv[1:]
url = urlparse(os.environ["GOVC_URL"])
unverified = ssl._create_unverified_context()
service = SmartConnect(
    host=url.hostname,
    port=url.port,
    user=os.environ["GOVC_USERNAME"],
    pwd=os.environ["GOVC_PASSWORD"],
    sslContext=unverified,
)

# The policy service knows the session by a header.
cookie = service._stub.cookie.split(";")[0].split("=", 1)[1].strip('"')
stub = SoapStubAdapter(
    host=url.hostname,
    port=url.port,
    version="pbm.version.version2",
    path="/pbm",
    sslContext=unverified,
    requestContext={"vcSessionCookie": cookie},
)
manager = pbm.ServiceInstance("ServiceInstance", stub).RetrieveContent().profileManager
storage = pbm.profile.ResourceType(resourceType=pbm.profile.ResourceTypeEnum.STORAGE)
ids = manager.PbmQueryProfile(resourceType=storage, profileCategory="REQUIREMENT")
(profile,) = [p for p in manager.PbmRetrieveContent(profileIds=ids) if p.name == policy]

content = service.RetrieveContent()


def find(path):
    return content.searchIndex.FindByInventoryPath(path)


template = find(f"DC0/vm/{template_name}")
spec = vim.vm.DefinedProfileSpec(profileId=profile.profileId.uniqueId)
disks = [device for device in template.config.hardware.device if isinstance(device, vim.vm.device.VirtualDisk)]
location = vim.vm.RelocateSpec(
    datastore=template.datastore[0],
    pool=find("DC0/host/DC0_C0/Resources"),
    profile=[spec],
    disk=[vim.vm.RelocateSpec.DiskLocator(diskId=d.key, datastore=template.datastore[0], profile=[spec]) for d in disks],
)
serialize = service._stub.SerializeRequest


def heard(mo, info, args):
    request = serialize(mo, info, args)
    if info.wsdlName == "CloneVM_Task":
        print(request.decode())
    return request


service._stub.SerializeRequest = heard
clone = vim.vm.CloneSpec(location=location, powerOn=False, template=False)
task = template.Clone(folder=find("DC0/vm"), name=name, spec=clone)
while task.info.state in ("queued", "running"):
    pass  # asking takes its time
assert task.info.state == "success", task.info.error
Disconnect(service)
