//! OVAs that nobody exported: a descriptor, a disk without blocks, archives of each kind; and a web server for them.

#![allow(clippy::unwrap_used)] // a test may

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
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

/// [`OVF`] with properties to be set, and configurations.
pub fn app() -> String {
    let options = "<DeploymentOptionSection><Info>sizes</Info>\
        <Configuration ovf:id=\"small\"><Label>s</Label><Description>s</Description></Configuration>\
        <Configuration ovf:id=\"large\"><Label>l</Label><Description>l</Description></Configuration>\
        </DeploymentOptionSection>\n  <VirtualSystem ";
    let properties = "<Info>a machine</Info><ProductSection><Info>p</Info>\
        <Property ovf:key=\"hostname\" ovf:type=\"string\" ovf:qualifiers=\"MinLen(1), MaxLen(8)\" ovf:userConfigurable=\"true\"/>\
        <Property ovf:key=\"port\" ovf:type=\"uint16\" ovf:userConfigurable=\"true\" ovf:value=\"80\"/>\
        <Property ovf:key=\"size\" ovf:type=\"string\" ovf:qualifiers=\"ValueMap{&quot;s&quot;, &quot;l&quot;}\" ovf:userConfigurable=\"true\" ovf:value=\"s\"/>\
        <Property ovf:key=\"fixed\" ovf:type=\"string\" ovf:value=\"as it is\"/></ProductSection>";
    OVF.replace("<VirtualSystem ", options).replace("<Info>a machine</Info>", properties)
}

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
    /// No: a status and its words.
    Refused(&'static str),
}

/// A web server.
pub struct Web {
    pub url: String,
    pub pages: Arc<Mutex<HashMap<String, Page>>>,
    /// How often each path was asked for.
    pub asked: Arc<Mutex<HashMap<String, usize>>>,
    /// The authority that its certificate is of, in PEM form; nothing without TLS.
    pub ca_pem: String,
}

impl Web {
    pub fn start() -> Web {
        Web::with(None)
    }

    /// One with TLS, whose certificate is for that name and of an authority of its own.
    pub fn secure(name: &str) -> Web {
        let mut authority = CertificateParams::default();
        authority.distinguished_name.push(DnType::CommonName, "an authority of tests");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let ca_pem = authority.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(authority, key);
        let own = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&own, &issuer).unwrap();
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], private)
            .unwrap();
        Web { ca_pem, ..Web::with(Some(Arc::new(config))) }
    }

    fn with(tls: Option<Arc<ServerConfig>>) -> Web {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let pages: Arc<Mutex<HashMap<String, Page>>> = Arc::default();
        let asked: Arc<Mutex<HashMap<String, usize>>> = Arc::default();
        let (served, counted) = (Arc::clone(&pages), Arc::clone(&asked));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (served, counted, tls) = (Arc::clone(&served), Arc::clone(&counted), tls.clone());
                std::thread::spawn(move || {
                    let stream = stream.unwrap();
                    // Whoever asked may have seen enough, of the certificate too.
                    let _ = match tls {
                        None => talk(stream, &served, &counted),
                        Some(config) => {
                            let mut tls = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
                            let done = talk(&mut tls, &served, &counted);
                            tls.conn.send_close_notify();
                            done.and(tls.flush())
                        }
                    };
                });
            }
        });
        Web { url, pages, asked, ca_pem: String::new() }
    }

    pub fn serve(&self, path: &str, page: Page) -> String {
        self.pages.lock().unwrap().insert(path.to_owned(), page);
        format!("{}{path}", self.url)
    }
}

fn talk(
    mut stream: impl Read + Write,
    pages: &Mutex<HashMap<String, Page>>,
    asked: &Mutex<HashMap<String, usize>>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(&mut stream).lines();
    let Some(first) = lines.next().transpose()? else { return Ok(()) };
    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
    drop(lines);
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    *asked.lock().unwrap().entry(path.clone()).or_default() += 1;
    let page = pages.lock().unwrap().get(&path).cloned();
    let (head, body) = match page {
        Some(Page::Whole(content)) => {
            (format!("200 OK\r\nETag: \"{}\"\r\nContent-Length: {}", digest(&content), content.len()), content)
        }
        Some(Page::Cut(content, size)) => (format!("200 OK\r\nContent-Length: {size}"), content),
        Some(Page::Moved(to)) => (format!("302 Found\r\nLocation: {to}\r\nContent-Length: 0"), Vec::new()),
        Some(Page::Refused(status)) => (format!("{status}\r\nContent-Length: 11"), b"sign in, do".to_vec()),
        None => ("404 Not Found\r\nContent-Length: 7".to_owned(), b"nothing".to_vec()),
    };
    stream.write_all(format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n").as_bytes())?;
    stream.write_all(&body)
}
