//! A small owned XML tree: just what SOAP needs, read with limits and written back.
//!
//! Names are kept without their prefix: within a vim25 message everything is in one namespace. The one attribute
//! whose namespace matters, `xsi:type`, is resolved by namespace, since a server may bind any prefix to it.

use quick_xml::NsReader;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;
use thiserror::Error;

/// The namespace of `xsi:type`.
pub const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
/// The namespace of `xsd:string` and its kin.
pub const XSD: &str = "http://www.w3.org/2001/XMLSchema";
/// The namespace of the vSphere API.
pub const VIM25: &str = "urn:vim25";
/// The namespace of storage policies.
pub const PBM: &str = "urn:pbm";

/// How much of an XML document is read before giving up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of the document.
    pub bytes: usize,
    /// Deepest nesting of elements.
    pub depth: usize,
    /// Most elements.
    pub elements: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { bytes: 64 << 20, depth: 128, elements: 2_000_000 }
    }
}

/// Why a document could not be read or written.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum XmlError {
    /// Larger than [`Limits::bytes`].
    #[error("larger than {limit} bytes")]
    TooLarge {
        /// The limit that was passed.
        limit: usize,
    },
    /// Nested deeper than [`Limits::depth`].
    #[error("nested deeper than {limit} elements")]
    TooDeep {
        /// The limit that was passed.
        limit: usize,
    },
    /// More elements than [`Limits::elements`].
    #[error("more than {limit} elements")]
    TooMany {
        /// The limit that was passed.
        limit: usize,
    },
    /// Ends before its root element does.
    #[error("it ends in the middle, inside <{within}>")]
    Truncated {
        /// The innermost open element.
        within: String,
    },
    /// Has no root element at all.
    #[error("it is empty")]
    Empty,
    /// Not UTF-8.
    #[error("not UTF-8 at byte {at}")]
    NotUtf8 {
        /// Offset of the first bad byte.
        at: usize,
    },
    /// Has a document type declaration: SOAP forbids one, HTML pages have one.
    #[error("it has a document type (<!DOCTYPE …>), as HTML pages do and SOAP forbids")]
    Doctype,
    /// Not well-formed.
    #[error("not well-formed XML at byte {at}: {reason}")]
    Malformed {
        /// Offset of the trouble.
        at: u64,
        /// What the parser says.
        reason: String,
    },
    /// A value holds a character that XML 1.0 can't carry.
    #[error("the value of <{element}> holds U+{code:04X}, which XML can't carry")]
    Unwritable {
        /// The element whose value it is.
        element: String,
        /// The character's code point.
        code: u32,
    },
}

/// One element, with all that is inside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// Local name.
    pub name: String,
    /// Local name of `xsi:type`. Names that begin with a small letter are XML Schema's own (`string`, `int`).
    pub xsi_type: Option<String>,
    /// Further attributes by local name, save namespace declarations.
    pub attrs: Vec<(String, String)>,
    /// Child elements.
    pub children: Vec<Element>,
    /// Text; empty when there are children and only blanks between them.
    pub text: String,
}

impl Element {
    /// An empty element.
    pub fn new(name: impl Into<String>) -> Self {
        Element { name: name.into(), ..Element::default() }
    }

    /// An element that holds text.
    pub fn text(name: impl Into<String>, text: impl Into<String>) -> Self {
        Element { name: name.into(), text: text.into(), ..Element::default() }
    }

    /// Sets `xsi:type`.
    pub fn typed(mut self, xsi_type: impl Into<String>) -> Self {
        self.xsi_type = Some(xsi_type.into());
        self
    }

    /// Sets an attribute.
    pub fn attr(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attrs.push((name.into(), value.into()));
        self
    }

    /// Adds a child.
    pub fn with(mut self, child: Element) -> Self {
        self.children.push(child);
        self
    }

    /// The same under another name.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attrs.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The first child of that name.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|c| c.name == name)
    }

    /// The first child of that name, to change.
    pub fn child_mut(&mut self, name: &str) -> Option<&mut Element> {
        self.children.iter_mut().find(|c| c.name == name)
    }

    /// All children of that name.
    pub fn children_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> + 'a {
        self.children.iter().filter(move |c| c.name == name)
    }

    /// The text of the first child of that name.
    pub fn child_text(&self, name: &str) -> Option<&str> {
        self.child(name).map(|c| c.text.as_str())
    }

    /// Reads a whole document and returns its root element.
    pub fn parse(document: &[u8], limits: Limits) -> Result<Element, XmlError> {
        if document.len() > limits.bytes {
            return Err(XmlError::TooLarge { limit: limits.bytes });
        }
        let text = std::str::from_utf8(document).map_err(|e| XmlError::NotUtf8 { at: e.valid_up_to() })?;
        Parser::new(text.trim_start_matches('\u{feff}'), limits).run()
    }

    /// Writes the element as a document of its own, without an XML declaration, in the vim25 namespace.
    pub fn to_xml(&self) -> Result<String, XmlError> {
        let mut out = String::with_capacity(512);
        let declared = [("xmlns", VIM25), ("xmlns:xsi", XSI), ("xmlns:xsd", XSD)];
        self.write(&mut out, &declared)?;
        Ok(out)
    }

    /// Appends the element; `declared` are namespace declarations for its start tag.
    pub(super) fn write(&self, out: &mut String, declared: &[(&str, &str)]) -> Result<(), XmlError> {
        out.push('<');
        out.push_str(&self.name);
        for (name, value) in declared {
            self.write_attr(out, name, value)?;
        }
        if let Some(kind) = &self.xsi_type {
            let schema = kind.starts_with(|c: char| c.is_ascii_lowercase());
            let prefix = if schema { "xsd:" } else { "" };
            self.write_attr(out, "xsi:type", &format!("{prefix}{kind}"))?;
        }
        for (name, value) in &self.attrs {
            self.write_attr(out, name, value)?;
        }
        if self.children.is_empty() && self.text.is_empty() {
            out.push_str("/>");
            return Ok(());
        }
        out.push('>');
        escape(out, &self.text, false).map_err(|code| self.unwritable(code))?;
        for child in &self.children {
            child.write(out, &[])?;
        }
        out.push_str("</");
        out.push_str(&self.name);
        out.push('>');
        Ok(())
    }

    fn write_attr(&self, out: &mut String, name: &str, value: &str) -> Result<(), XmlError> {
        out.push(' ');
        out.push_str(name);
        out.push_str("=\"");
        escape(out, value, true).map_err(|code| self.unwritable(code))?;
        out.push('"');
        Ok(())
    }

    fn unwritable(&self, code: u32) -> XmlError {
        XmlError::Unwritable { element: self.name.clone(), code }
    }
}

/// Appends text so that a parser gives it back unchanged. A carriage return must be a reference (a literal one is
/// read as a line feed), and so must blanks in attributes.
fn escape(out: &mut String, text: &str, attribute: bool) -> Result<(), u32> {
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' if attribute => out.push_str("&quot;"),
            '\r' => out.push_str("&#13;"),
            '\n' if attribute => out.push_str("&#10;"),
            '\t' if attribute => out.push_str("&#9;"),
            '\n' | '\t' => out.push(c),
            '\u{fffe}' | '\u{ffff}' => return Err(c.into()),
            c if c < ' ' => return Err(c.into()),
            c => out.push(c),
        }
    }
    Ok(())
}

struct Parser<'a> {
    reader: NsReader<&'a [u8]>,
    limits: Limits,
    open: Vec<Element>,
    elements: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, limits: Limits) -> Self {
        Parser { reader: NsReader::from_str(text), limits, open: Vec::new(), elements: 0 }
    }

    fn run(mut self) -> Result<Element, XmlError> {
        loop {
            let event = self.reader.read_event().map_err(|e| self.broken(&e))?;
            match event {
                Event::Start(start) => {
                    let element = self.start(&start)?;
                    self.open.push(element);
                }
                Event::Empty(start) => {
                    let element = self.start(&start)?;
                    if let Some(root) = self.close(element) {
                        return Ok(root);
                    }
                }
                Event::End(_) => {
                    // The reader itself refuses end tags that match no open element.
                    if let Some(element) = self.open.pop()
                        && let Some(root) = self.close(element)
                    {
                        return Ok(root);
                    }
                }
                Event::Text(text) => self.append(&text.xml10_content()),
                Event::CData(text) => self.append(&text.xml10_content()),
                Event::GeneralRef(reference) => {
                    let resolved = match reference.resolve_char_ref() {
                        Ok(Some(c)) => Some(c),
                        Ok(None) => predefined(&reference),
                        Err(e) => return Err(self.broken(&e)),
                    };
                    match resolved {
                        Some(c) => self.append(c.encode_utf8(&mut [0; 4])),
                        None => return Err(self.malformed(format!("unknown reference &{};", &*reference))),
                    }
                }
                Event::DocType(_) => return Err(XmlError::Doctype),
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
                Event::Eof => return Err(self.ended()),
            }
        }
    }

    fn start(&mut self, start: &BytesStart<'_>) -> Result<Element, XmlError> {
        self.elements += 1;
        if self.elements > self.limits.elements {
            return Err(XmlError::TooMany { limit: self.limits.elements });
        }
        if self.open.len() >= self.limits.depth {
            return Err(XmlError::TooDeep { limit: self.limits.depth });
        }
        let mut element = Element::new(start.local_name().as_ref());
        for attr in start.attributes() {
            let attr = attr.map_err(|e| self.malformed(e.to_string()))?;
            if attr.key.as_namespace_binding().is_some() {
                continue;
            }
            let value = quick_xml::escape::unescape(&attr.value).map_err(|e| self.malformed(e.to_string()))?;
            let (namespace, local) = self.reader.resolver().resolve_attribute(attr.key);
            let xsi = matches!(namespace, ResolveResult::Bound(ns) if ns.as_ref() == XSI);
            match local.as_ref() {
                "type" if xsi => {
                    let local = value.trim().rsplit(':').next().unwrap_or_default();
                    element.xsi_type = Some(local.to_owned());
                }
                local => element.attrs.push((local.to_owned(), value.into_owned())),
            }
        }
        Ok(element)
    }

    /// Hangs a finished element into its parent, or returns it when it is the root.
    fn close(&mut self, mut element: Element) -> Option<Element> {
        if !element.children.is_empty() && element.text.trim().is_empty() {
            element.text.clear();
        }
        match self.open.last_mut() {
            Some(parent) => {
                parent.children.push(element);
                None
            }
            None => Some(element),
        }
    }

    fn append(&mut self, text: &str) {
        if let Some(element) = self.open.last_mut() {
            element.text.push_str(text);
        }
    }

    fn ended(&self) -> XmlError {
        match self.open.last() {
            Some(element) => XmlError::Truncated { within: element.name.clone() },
            None => XmlError::Empty,
        }
    }

    fn broken(&self, error: &quick_xml::Error) -> XmlError {
        match error {
            // An unclosed tag or reference at the end is a reply that was cut off.
            quick_xml::Error::Syntax(_) if !self.open.is_empty() => self.ended(),
            other => self.malformed(other.to_string()),
        }
    }

    fn malformed(&self, reason: String) -> XmlError {
        XmlError::Malformed { at: self.reader.error_position(), reason }
    }
}

fn predefined(name: &str) -> Option<char> {
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => None,
    }
}
