//! What DISK, NIC, CDROM and HARDWARE ask for, and their check. All of it is known before the build.

use crate::diagnostic::{Diagnostic, Problems};
use crate::source::Span;
use crate::syntax::Keyword;
use crate::syntax::ast::{Instruction, Pair, Piece, Quote, Text, Type};

use super::check::Checker;
use super::codes;
use super::instruction::Number;
use super::machine::{Making, bad_argument};
use super::names::text_list_or;
use super::names_scope::{Moment, Place};
use super::program::{Machine, Setting};
use super::text::{Known, Secrets, Usage, check_static, check_static_text};
use super::value::{Value, format_size};
use crate::diagnostic::did_you_mean;

const STORED: Secrets<'static> = Secrets::Refused("what vCenter stores can be read there");
/// vSphere's unit of disks that is always taken.
const MIB: u64 = 1 << 20;
/// The largest virtual disk.
const LARGEST_DISK: u64 = 62 << 40;
/// Adapters of one machine.
const MOST_NICS: i64 = 10;
/// Disks of one machine: four SCSI controllers of 64.
const MOST_DISKS: i64 = 256;
/// The first hardware version that today's vCenters take, and one that none has yet.
const VERSIONS: std::ops::RangeInclusive<i64> = 4..=99;

/// Devices and settings beside processors and memory. All empty or None: nothing changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Devices {
    /// `DISK n SIZE`.
    pub grown: Vec<GrownDisk>,
    /// `DISK ADD`.
    pub added: Vec<NewDisk>,
    /// `NIC n NETWORK`, `NIC n REMOVE`.
    pub nics: Vec<Nic>,
    /// `NIC ADD`: the networks.
    pub new_nics: Vec<Setting>,
    /// `CDROM`.
    pub cdrom: Option<Cdrom>,
    /// `HARDWARE`.
    pub settings: Settings,
}

/// A disk that is to be at least so large.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrownDisk {
    /// From 1, as in "Hard disk 1".
    pub number: u32,
    /// In bytes.
    pub size: u64,
    /// The instruction.
    pub span: Span,
}

/// A disk that is added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDisk {
    /// In bytes.
    pub size: u64,
    /// Whether its blocks are allocated as they are written.
    pub thin: bool,
    /// The instruction.
    pub span: Span,
}

/// What becomes of a network adapter.
#[derive(Clone, Debug, PartialEq)]
pub struct Nic {
    /// From 1, as in "Network adapter 1".
    pub number: u32,
    /// The network that it is attached to; None: it is removed.
    pub network: Option<Setting>,
    /// The instruction.
    pub span: Span,
}

/// What is in the first CD drive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cdrom {
    /// `[datastore] path.iso`; None: nothing.
    pub image: Option<String>,
    /// The instruction.
    pub span: Span,
}

/// `HARDWARE`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `firmware=bios|efi`.
    pub firmware: Option<Firmware>,
    /// `secureboot=`.
    pub secure_boot: Option<bool>,
    /// `vtpm=`.
    pub vtpm: Option<bool>,
    /// `version=`: at least this one.
    pub version: Option<u32>,
    /// `cpu-hot-add=`.
    pub cpu_hot_add: Option<bool>,
    /// `memory-hot-add=`.
    pub memory_hot_add: Option<bool>,
    /// `nested=`: virtual machines within it.
    pub nested: Option<bool>,
    /// The first HARDWARE.
    pub span: Option<Span>,
}

/// What a machine starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Firmware {
    /// BIOS.
    Bios,
    /// UEFI.
    Efi,
}

impl Firmware {
    /// As vSphere calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Firmware::Bios => "bios",
            Firmware::Efi => "efi",
        }
    }
}

impl Settings {
    /// As they were written: `firmware=efi`.
    pub fn words(&self) -> Vec<String> {
        let switch = |key: &str, on: Option<bool>| on.map(|on| format!("{key}={}", if on { "on" } else { "off" }));
        [
            self.firmware.map(|firmware| format!("firmware={}", firmware.as_str())),
            switch("secureboot", self.secure_boot),
            switch("vtpm", self.vtpm),
            self.version.map(|version| format!("version={version}")),
            switch("cpu-hot-add", self.cpu_hot_add),
            switch("memory-hot-add", self.memory_hot_add),
            switch("nested", self.nested),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

impl Devices {
    /// Whether nothing of a machine's devices changes.
    pub fn is_empty(&self) -> bool {
        *self == Devices::default()
    }

    /// What changes, in words.
    pub fn words(&self) -> Vec<String> {
        let mut out: Vec<String> = Vec::new();
        out.extend(self.grown.iter().map(|d| format!("disk {} grows to {}", d.number, format_size(d.size))));
        out.extend(
            self.added.iter().map(|d| {
                format!("a disk of {} is added, {}", format_size(d.size), if d.thin { "thin" } else { "thick" })
            }),
        );
        out.extend(self.nics.iter().map(|nic| match &nic.network {
            Some(network) => format!("network adapter {} on {}", nic.number, network.value),
            None => format!("network adapter {} is removed", nic.number),
        }));
        out.extend(self.new_nics.iter().map(|network| format!("a network adapter is added, on {}", network.value)));
        out.extend(self.cdrom.iter().map(|cdrom| match &cdrom.image {
            Some(image) => format!("the CD drive holds {image}"),
            None => "the CD drive is emptied".to_owned(),
        }));
        out.extend(self.settings.words());
        out
    }
}

/// The words of DISK, NIC and CDROM that aren't values.
const WORDS: [&str; 7] = ["ADD", "NETWORK", "NONE", "REMOVE", "SIZE", "THICK", "THIN"];

/// Which of these a word is: nothing quoted, nothing put in.
fn bare(text: &Text) -> Option<&'static str> {
    match text.pieces.as_slice() {
        [Piece::Literal { text, quote: Quote::Bare, .. }] => WORDS.into_iter().find(|w| text.eq_ignore_ascii_case(w)),
        _ => None,
    }
}

fn forms(keyword: Keyword, span: Span, problems: &mut Problems) {
    let forms = keyword.info().forms.iter().map(|form| format!("`{form}`"));
    let forms: Vec<String> = forms.collect();
    problems
        .push(bad_argument(span, format!("{keyword} isn't written so")).help(format!("it is {}", forms.join(" or "))));
}

fn twice(what: &str, first: Span, again: Span, problems: &mut Problems) {
    problems.push(
        Diagnostic::new(&codes::GIVEN_TWICE, format!("{what} is given twice"))
            .primary(again, "given again here")
            .label(first, "first given here")
            .help("keep one of them"),
    );
}

impl Checker<'_> {
    /// DISK. None if it has errors (or, in `lint`, hangs on what has no value).
    pub(super) fn disk(
        &self,
        making: &mut Making,
        instruction: &Instruction,
        words: &[Text],
        problems: &mut Problems,
    ) -> Option<()> {
        let place = making.place(Moment::Before("the size of a disk"));
        let keywords: Vec<Option<&str>> = words.iter().map(bare).collect();
        let devices = &mut making.hardware.devices;
        match (words, keywords.as_slice()) {
            ([_, size, rest @ ..], [Some("ADD"), _, kind @ ..]) if rest.len() < 2 => {
                let thin = match kind {
                    [] | [Some("THIN")] => true,
                    [Some("THICK")] => false,
                    _ => {
                        forms(Keyword::Disk, instruction.span, problems);
                        return None;
                    }
                };
                let size = self.disk_size(size, place, problems)?;
                devices.added.push(NewDisk { size, thin, span: instruction.span });
            }
            ([number, _, size], [_, Some("SIZE"), _]) => {
                let number = self.device_number(number, "Hard disk", MOST_DISKS, place, problems);
                let size = self.disk_size(size, place, problems);
                let (number, size) = (number?, size?);
                if let Some(first) = devices.grown.iter().find(|d| d.number == number) {
                    twice(&format!("the size of disk {number}"), first.span, instruction.span, problems);
                    return None;
                }
                devices.grown.push(GrownDisk { number, size, span: instruction.span });
            }
            _ => {
                forms(Keyword::Disk, instruction.span, problems);
                return None;
            }
        }
        Some(())
    }

    fn disk_size(&self, text: &Text, place: Place, problems: &mut Problems) -> Option<u64> {
        let usage = Usage { what: "the size of a disk", secrets: STORED };
        let Some(Known::Value(Value::Size(bytes))) =
            check_static(text, &Type::Size, usage, &self.view(place), problems)
        else {
            return None;
        };
        if bytes == 0 || bytes % MIB != 0 || bytes > LARGEST_DISK {
            problems.push(bad_argument(text.span, "a disk's size is a multiple of 1MiB, up to 62TiB"));
            return None;
        }
        Some(bytes)
    }

    /// A device's number, from 1.
    fn device_number(&self, text: &Text, label: &str, most: i64, place: Place, problems: &mut Problems) -> Option<u32> {
        let what = format!("the number of a {}", label.to_lowercase());
        let refuse = |value: &Value| {
            bad_argument(text.span, format!("{what} is from 1 to {most}, not {}", value.to_text()))
                .help(format!("they are counted as vCenter labels them: the first one is `{label} 1`"))
        };
        let usage = Usage { what: &what, secrets: STORED };
        self.number_in(Number { text, usage, bounds: 1..=most }, refuse, place, problems)
    }

    /// NIC.
    pub(super) fn nic(
        &self,
        making: &mut Making,
        instruction: &Instruction,
        words: &[Text],
        problems: &mut Problems,
    ) -> Option<()> {
        let place = making.place(Moment::Before("a network adapter"));
        let keywords: Vec<Option<&str>> = words.iter().map(bare).collect();
        let (number, network) = match (words, keywords.as_slice()) {
            ([_, network], [Some("ADD"), _]) => {
                let network = self.placement_value(Keyword::Network, network, place, problems)?;
                making.hardware.devices.new_nics.push(network);
                return Some(());
            }
            ([_, network], [Some("NETWORK"), _]) => (Some(1), Some(network)),
            ([number, _, network], [_, Some("NETWORK"), _]) => {
                (self.device_number(number, "Network adapter", MOST_NICS, place, problems), Some(network))
            }
            ([number, _], [_, Some("REMOVE")]) => {
                (self.device_number(number, "Network adapter", MOST_NICS, place, problems), None)
            }
            _ => {
                forms(Keyword::Nic, instruction.span, problems);
                return None;
            }
        };
        let network = match network {
            Some(text) => Some(self.placement_value(Keyword::Network, text, place, problems)?),
            None => None,
        };
        let number = number?;
        let devices = &mut making.hardware.devices;
        if let Some(first) = devices.nics.iter().find(|n| n.number == number) {
            twice(&format!("network adapter {number}"), first.span, instruction.span, problems);
            return None;
        }
        devices.nics.push(Nic { number, network, span: instruction.span });
        Some(())
    }

    /// CDROM.
    pub(super) fn cdrom(
        &self,
        making: &mut Making,
        instruction: &Instruction,
        words: &[Text],
        problems: &mut Problems,
    ) -> Option<()> {
        let place = making.place(Moment::Before("what is in the CD drive"));
        let usage = Usage { what: "what is in the CD drive", secrets: STORED };
        let image = if let [word] = words
            && bare(word) == Some("NONE")
        {
            None
        } else {
            let mut parts = Vec::new();
            for word in words {
                parts.push(check_static_text(word, usage, &self.view(place), problems)?.value()?);
            }
            // `[iso] tools.iso` may be one word or two.
            let image = parts.join(" ");
            if image_parts(&image).is_none() {
                problems.push(
                    bad_argument(instruction.span, format!("`{image}` doesn't say which datastore it is on"))
                        .help("write `CDROM [datastore] folder/image.iso`, or `CDROM NONE`"),
                );
                return None;
            }
            Some(image)
        };
        let devices = &mut making.hardware.devices;
        if let Some(first) = &devices.cdrom {
            twice("CDROM", first.span, instruction.span, problems);
            return None;
        }
        devices.cdrom = Some(Cdrom { image, span: instruction.span });
        Some(())
    }

    /// HARDWARE.
    pub(super) fn hardware_settings(
        &self,
        making: &mut Making,
        instruction: &Instruction,
        pairs: &[Pair],
        problems: &mut Problems,
    ) -> Option<()> {
        const KEYS: [&str; 7] =
            ["firmware", "secureboot", "vtpm", "version", "cpu-hot-add", "memory-hot-add", "nested"];
        let place = making.place(Moment::Before("a setting of the hardware"));
        let before = problems.len();
        let mut unset = false;
        for pair in pairs {
            let key = pair.key.node.to_ascii_lowercase();
            let Some(key) = KEYS.iter().copied().find(|k| *k == key) else {
                let mut unknown =
                    bad_argument(pair.key.span, format!("the hardware has no setting `{}` here", pair.key.node))
                        .note(format!("it is one of {}", text_list_or(KEYS)));
                if let Some(near) = did_you_mean(&key, KEYS) {
                    unknown = unknown.meant(pair.key.span, near);
                }
                problems.push(unknown);
                continue;
            };
            let mark = format!("HARDWARE {key}");
            if let Some(first) = making.config_spans.insert(mark.clone(), pair.key.span) {
                twice(&format!("`{mark}`"), first, pair.key.span, problems);
                continue;
            }
            let settings = &mut making.hardware.devices.settings;
            settings.span.get_or_insert(instruction.span);
            let done = match key {
                "firmware" => self.firmware(&pair.value, place, problems).map(|v| settings.firmware = Some(v)),
                "version" => self.version(&pair.value, place, problems).map(|v| settings.version = Some(v)),
                _ => self.switch(key, &pair.value, place, problems).map(|on| match key {
                    "secureboot" => settings.secure_boot = Some(on),
                    "vtpm" => settings.vtpm = Some(on),
                    "cpu-hot-add" => settings.cpu_hot_add = Some(on),
                    "memory-hot-add" => settings.memory_hot_add = Some(on),
                    _ => settings.nested = Some(on),
                }),
            };
            unset |= done.is_none();
        }
        let settings = &making.hardware.devices.settings;
        if settings.firmware == Some(Firmware::Bios)
            && (settings.secure_boot == Some(true) || settings.vtpm == Some(true))
        {
            problems.push(
                bad_argument(instruction.span, "secure boot and a virtual TPM need UEFI")
                    .help("write `HARDWARE firmware=efi …`"),
            );
        }
        (problems.len() == before && !unset).then_some(())
    }

    fn firmware(&self, text: &Text, place: Place, problems: &mut Problems) -> Option<Firmware> {
        let usage = Usage { what: "the firmware", secrets: STORED };
        let value = check_static_text(text, usage, &self.view(place), problems)?.value()?;
        match value.to_ascii_lowercase().as_str() {
            "bios" => Some(Firmware::Bios),
            "efi" | "uefi" => Some(Firmware::Efi),
            _ => {
                problems.push(bad_argument(text.span, format!("the firmware is `bios` or `efi`, not `{value}`")));
                None
            }
        }
    }

    fn version(&self, text: &Text, place: Place, problems: &mut Problems) -> Option<u32> {
        let usage = Usage { what: "the hardware version", secrets: STORED };
        let value = check_static_text(text, usage, &self.view(place), problems)?.value()?;
        let digits = value.strip_prefix("vmx-").unwrap_or(&value);
        match digits.parse::<u32>() {
            Ok(version) if VERSIONS.contains(&i64::from(version)) => Some(version),
            _ => {
                problems.push(
                    bad_argument(text.span, format!("`{value}` is no hardware version"))
                        .help("write its number: `version=19` for `vmx-19`"),
                );
                None
            }
        }
    }

    fn switch(&self, key: &str, text: &Text, place: Place, problems: &mut Problems) -> Option<bool> {
        let what = format!("`{key}`");
        let usage = Usage { what: &what, secrets: STORED };
        let value = check_static_text(text, usage, &self.view(place), problems)?.value()?;
        match value.to_ascii_lowercase().as_str() {
            "on" | "true" | "yes" => Some(true),
            "off" | "false" | "no" => Some(false),
            _ => {
                problems.push(bad_argument(text.span, format!("`{key}` is `on` or `off`, not `{value}`")));
                None
            }
        }
    }
}

/// The datastore and the path of `[datastore] path`.
pub fn image_parts(image: &str) -> Option<(&str, &str)> {
    let (datastore, path) = image.strip_prefix('[')?.split_once(']')?;
    let path = path.trim();
    let clean = |text: &str| !text.trim().is_empty() && !text.chars().any(char::is_control);
    (clean(datastore) && clean(path)).then_some((datastore, path))
}

/// Disks of a linked clone lie on its source's, and can't grow.
pub(super) fn check(machine: &Machine, problems: &mut Problems) {
    if let Some(disk) = machine.hardware.devices.grown.first().filter(|_| machine.linked) {
        problems.push(
            Diagnostic::new(&codes::BAD_ARGUMENT, "the disks of a linked clone can't grow")
                .primary(disk.span, "")
                .label(machine.span, "a linked clone")
                .help("leave out `--linked`, or use `DISK ADD`"),
        );
    }
}

/// What a machine's own placement and its adapters say of the same one.
pub(super) fn check_network(making: &Making, problems: &mut Problems) {
    let first = making.hardware.devices.nics.iter().find(|n| n.number == 1);
    if let (Some(nic), Some(network)) = (first, making.placement.get(&Keyword::Network)) {
        twice("the network of the first adapter", network.span, nic.span, problems);
    }
}
