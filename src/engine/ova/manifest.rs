//! Manifests: the digests that the files of an OVA must have.

use std::collections::BTreeMap;

use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};

use crate::diagnostic::Diagnostic;
use crate::plan::codes;

/// What a manifest says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Manifest(BTreeMap<String, (Kind, String)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Sha1,
    Sha256,
    Sha512,
}

impl Manifest {
    /// Reads lines as `SHA256(disk1.vmdk)= 0123…`. Others are passed over: it may be signed.
    pub(super) fn parse(text: &str) -> Manifest {
        let line = |line: &str| {
            let (kind, rest) = line.trim().split_once('(')?;
            let (name, digest) = rest.rsplit_once(')')?;
            let digest = digest.trim_start().strip_prefix('=')?.trim().to_ascii_lowercase();
            let kind = match kind.trim().to_ascii_uppercase().replace('-', "").as_str() {
                "SHA1" => Kind::Sha1,
                "SHA256" => Kind::Sha256,
                "SHA512" => Kind::Sha512,
                _ => return None,
            };
            Some((name.to_owned(), (kind, digest)))
        };
        Manifest(text.lines().filter_map(line).collect())
    }

    /// Digests of a file, of those kinds that the manifest has it by.
    pub(super) fn digester(&self, name: &str) -> Digester {
        Digester::of(self.0.get(name).map(|(kind, _)| *kind))
    }

    /// Whether a file is what the manifest says; files that it doesn't name are not its business.
    pub(super) fn check(&self, name: &str, digests: &Digests) -> Result<(), Diagnostic> {
        let Some((kind, wanted)) = self.0.get(name) else { return Ok(()) };
        match digests.0.iter().find(|(own, _)| own == kind) {
            Some((_, own)) if own == wanted => Ok(()),
            found => {
                let own = found.map_or("unknown", |(_, own)| own);
                let text = format!("`{name}` in the OVA is another than its manifest says");
                Err(Diagnostic::new(&codes::OVA_UNUSABLE, text)
                    .note(format!("its digest should be {wanted}, and is {own}"))
                    .help("it was damaged or changed since it was exported: get it anew"))
            }
        }
    }
}

/// Computes digests of what passes by.
#[derive(Default)]
pub(super) struct Digester {
    sha1: Option<Sha1>,
    sha256: Option<Sha256>,
    sha512: Option<Sha512>,
}

/// The digests of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Digests(Vec<(Kind, String)>);

impl Digester {
    /// Of every kind that a manifest may have, for one that is still to come.
    pub(super) fn all() -> Digester {
        Digester { sha1: Some(Sha1::new()), sha256: Some(Sha256::new()), sha512: Some(Sha512::new()) }
    }

    /// As the manifest is written.
    pub(super) fn sha256() -> Digester {
        Digester::of(Some(Kind::Sha256))
    }

    fn of(kind: Option<Kind>) -> Digester {
        match kind {
            None => Digester::default(),
            Some(Kind::Sha1) => Digester { sha1: Some(Sha1::new()), ..Digester::default() },
            Some(Kind::Sha256) => Digester { sha256: Some(Sha256::new()), ..Digester::default() },
            Some(Kind::Sha512) => Digester { sha512: Some(Sha512::new()), ..Digester::default() },
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.sha1.iter_mut().for_each(|d| d.update(bytes));
        self.sha256.iter_mut().for_each(|d| d.update(bytes));
        self.sha512.iter_mut().for_each(|d| d.update(bytes));
    }

    pub(super) fn end(self) -> Digests {
        let sha1 = self.sha1.map(|d| (Kind::Sha1, hex(&d.finalize())));
        let sha256 = self.sha256.map(|d| (Kind::Sha256, hex(&d.finalize())));
        let sha512 = self.sha512.map(|d| (Kind::Sha512, hex(&d.finalize())));
        Digests([sha1, sha256, sha512].into_iter().flatten().collect())
    }
}

impl Digests {
    /// The SHA-256 as a manifest's line.
    pub(super) fn line(&self, name: &str) -> String {
        let digest = self.0.iter().find(|(kind, _)| *kind == Kind::Sha256).map_or("", |(_, digest)| digest);
        format!("SHA256({name})= {digest}\n")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may
mod tests {
    use super::*;

    #[test]
    fn manifests_of_all_kinds_are_read_and_checked() {
        let digests = |text: &[u8]| {
            let mut digester = Digester::all();
            digester.update(text);
            digester.end()
        };
        let manifest = Manifest::parse(
            "SHA1(a (1).vmdk)= a9993e364706816aba3e25717850c26c9cd0d89d\r\n\
             SHA256(b)=BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD\n\
             SHA512(c) = ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f\n\
             -----BEGIN CERTIFICATE-----\n",
        );
        for name in ["a (1).vmdk", "b", "c"] {
            manifest.check(name, &digests(b"abc")).unwrap();
            let mut own = manifest.digester(name);
            own.update(b"abc");
            manifest.check(name, &own.end()).unwrap();
            assert!(manifest.check(name, &digests(b"abd")).unwrap_err().message.contains(name));
        }
        manifest.check("not named", &Digests::default()).unwrap();
        assert!(digests(b"abc").line("b").starts_with("SHA256(b)= ba7816bf"));
    }
}
