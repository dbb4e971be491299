//! OVAs that nobody exported: a descriptor, a disk without blocks, archives of each kind; and a web server for them.

#![allow(clippy::unwrap_used)] // a test may

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use sha2::Digest;

/// A machine with one disk, one adapter and nothing on them.
pub const OVF: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData" xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData">
  <References><File ovf:id="file1" ovf:href="disk1.vmdk" ovf:size="1024"/></References>
  <DiskSection><Info>disks</Info><Disk ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:capacity="1" ovf:capacityAllocationUnits="byte * 2^30" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/></DiskSection>
  <NetworkSection><Info>networks</Info><Network ovf:name="VM Network"><Description>one</Description></Network></NetworkSection>
  <VirtualSystem ovf:id="small">
    <Info>a machine</Info><Name>small</Name>
    <VirtualHardwareSection><Info>hardware</Info>
      <System><vssd:ElementName>Virtual Hardware Family</vssd:ElementName><vssd:InstanceID>0</vssd:InstanceID><vssd:VirtualSystemType>vmx-13</vssd:VirtualSystemType></System>
      <Item><rasd:ElementName>1 CPU</rasd:ElementName><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>1</rasd:VirtualQuantity></Item>
      <Item><rasd:ElementName>256MB</rasd:ElementName><rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>256</rasd:VirtualQuantity></Item>
      <Item><rasd:ElementName>scsi0</rasd:ElementName><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceSubType>lsilogic</rasd:ResourceSubType><rasd:ResourceType>6</rasd:ResourceType></Item>
      <Item><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:ElementName>disk0</rasd:ElementName><rasd:HostResource>ovf:/disk/vmdisk1</rasd:HostResource><rasd:InstanceID>4</rasd:InstanceID><rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
      <Item><rasd:AddressOnParent>1</rasd:AddressOnParent><rasd:Connection>VM Network</rasd:Connection><rasd:ElementName>net0</rasd:ElementName><rasd:InstanceID>5</rasd:InstanceID><rasd:ResourceSubType>E1000</rasd:ResourceSubType><rasd:ResourceType>10</rasd:ResourceType></Item>
    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
"#;

/// A stream-optimized disk of 1 GiB without any blocks: its header and its description.
pub fn disk() -> Vec<u8> {
    let mut disk = b"KDMV".to_vec();
    disk.extend(3u32.to_le_bytes());
    disk.extend((1u32 << 16).to_le_bytes());
    disk.extend((1u64 << 21).to_le_bytes());
    disk.resize(512, 0);
    disk.extend(
        b"# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType=\"streamOptimized\"\n",
    );
    disk.extend(b"RDONLY 2097152 SPARSE \"disk1.vmdk\"\n");
    disk.resize(1024, 0);
    disk
}

/// SHA-256.
pub fn digest(content: &[u8]) -> String {
    sha2::Sha256::digest(content).iter().map(|b| format!("{b:02x}")).collect()
}

/// How an archive is written.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    Ustar,
    Gnu,
    /// With the size and the name in extended headers.
    Pax,
}

/// A tar archive.
pub fn archive(form: Form, files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = match form {
            Form::Ustar | Form::Pax => tar::Header::new_ustar(),
            Form::Gnu => tar::Header::new_gnu(),
        };
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        if let Form::Pax = form {
            let size = content.len().to_string();
            builder.append_pax_extensions([("size", size.as_bytes()), ("path", name.as_bytes())]).unwrap();
            // What an extended header says is meant.
            header.set_path("shortened").unwrap();
            header.set_cksum();
            builder.append(&header, *content).unwrap();
        } else {
            builder.append_data(&mut header, name, *content).unwrap();
        }
    }
    builder.into_inner().unwrap()
}

/// The manifest of files.
pub fn manifest(files: &[(&str, &[u8])]) -> String {
    files.iter().map(|(name, content)| format!("SHA256({name})= {}\n", digest(content))).collect()
}

/// A whole OVA of [`OVF`] and [`disk`].
pub fn small(form: Form) -> Vec<u8> {
    let disk = disk();
    let manifest = manifest(&[("small.ovf", OVF.as_bytes()), ("disk1.vmdk", &disk)]);
    archive(form, &[("small.ovf", OVF.as_bytes()), ("small.mf", manifest.as_bytes()), ("disk1.vmdk", &disk)])
}

/// What a path of a [`Web`] answers.
#[derive(Clone, Debug)]
pub enum Page {
    /// This, with a tag.
    Whole(Vec<u8>),
    /// This, and then the connection breaks; as many bytes as this were announced.
    Cut(Vec<u8>, usize),
    /// Another place.
    Moved(String),
}

/// A web server.
pub struct Web {
    pub url: String,
    pub pages: Arc<Mutex<HashMap<String, Page>>>,
    /// How often each path was asked for.
    pub asked: Arc<Mutex<HashMap<String, usize>>>,
}

impl Web {
    pub fn start() -> Web {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (pages, asked): (Arc<Mutex<HashMap<String, Page>>>, Arc<Mutex<HashMap<String, usize>>>) =
            Default::default();
        let (served, counted) = (Arc::clone(&pages), Arc::clone(&asked));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (served, counted) = (Arc::clone(&served), Arc::clone(&counted));
                std::thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                    let Some(Ok(first)) = lines.next() else { return };
                    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
                    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
                    *counted.lock().unwrap().entry(path.clone()).or_default() += 1;
                    let page = served.lock().unwrap().get(&path).cloned();
                    // Whoever asked may have seen enough.
                    let _ = match page {
                        Some(Page::Whole(content)) => {
                            let head = format!(
                                "200 OK\r\nETag: \"{}\"\r\nContent-Length: {}",
                                digest(&content),
                                content.len()
                            );
                            answer(&mut stream, &head, &content)
                        }
                        Some(Page::Cut(content, size)) => {
                            answer(&mut stream, &format!("200 OK\r\nContent-Length: {size}"), &content)
                        }
                        Some(Page::Moved(to)) => {
                            answer(&mut stream, &format!("302 Found\r\nLocation: {to}\r\nContent-Length: 0"), b"")
                        }
                        None => answer(&mut stream, "404 Not Found\r\nContent-Length: 7", b"nothing"),
                    };
                });
            }
        });
        Web { url, pages, asked }
    }

    pub fn serve(&self, path: &str, page: Page) -> String {
        self.pages.lock().unwrap().insert(path.to_owned(), page);
        format!("{}{path}", self.url)
    }
}

fn answer(stream: &mut std::net::TcpStream, head: &str, body: &[u8]) -> std::io::Result<()> {
    stream.write_all(format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n").as_bytes())?;
    stream.write_all(body)
}
