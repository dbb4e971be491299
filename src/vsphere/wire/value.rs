//! How Rust values become elements and back: the traits, the simple types, references and values of any type.

use thiserror::Error;

use super::xml::{Element, XmlError};

/// Why a message could not be understood.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum WireError {
    /// Not usable XML.
    #[error("{0}")]
    Xml(#[from] XmlError),
    /// Well-formed, but not a SOAP message.
    #[error("not a SOAP message: its root is <{root}>")]
    NotSoap {
        /// The root element.
        root: String,
    },
    /// A SOAP message with another body than the one awaited.
    #[error("the body holds <{found}> where <{wanted}> belongs")]
    Unexpected {
        /// The awaited element.
        wanted: String,
        /// What is there; empty when nothing is.
        found: String,
    },
    /// A required element is missing.
    #[error("<{parent}> lacks <{child}>")]
    Missing {
        /// The element that lacks it.
        parent: String,
        /// What it lacks.
        child: String,
    },
    /// A text is not what its type allows.
    #[error("<{element}> holds `{text}`, which is not {wanted}")]
    BadValue {
        /// The element.
        element: String,
        /// Its text, shortened.
        text: String,
        /// What it should be: "a number", say.
        wanted: &'static str,
    },
    /// An element has a type that can't be used there.
    #[error("<{element}> is of type {found}, not {wanted}")]
    BadType {
        /// The element.
        element: String,
        /// Its `xsi:type`, empty when it has none.
        found: String,
        /// What it should be.
        wanted: &'static str,
    },
}

impl WireError {
    pub(super) fn bad_value(element: &Element, wanted: &'static str) -> Self {
        let text: String = element.text.chars().take(80).collect();
        WireError::BadValue { element: element.name.clone(), text, wanted }
    }

    pub(super) fn missing(parent: &Element, child: &str) -> Self {
        WireError::Missing { parent: parent.name.clone(), child: child.to_owned() }
    }
}

/// What is written as exactly one element.
pub trait Value: Sized {
    /// The type's name in `xsi:type`.
    const TYPE: &'static str;
    /// Writes the value as an element of that name, without `xsi:type` unless the type always needs one.
    fn to_element(&self, name: &str) -> Element;
    /// Reads the value of an element, whatever its name.
    fn from_element(element: &Element) -> Result<Self, WireError>;
}

/// What is written as any number of elements of one name within a parent.
pub trait Field: Sized {
    /// Appends the field's elements to its parent.
    fn write(&self, name: &str, parent: &mut Element);
    /// Reads the field from its parent.
    fn read(parent: &Element, name: &str) -> Result<Self, WireError>;
}

impl<T: Value> Field for T {
    fn write(&self, name: &str, parent: &mut Element) {
        parent.children.push(self.to_element(name));
    }
    fn read(parent: &Element, name: &str) -> Result<Self, WireError> {
        T::from_element(parent.child(name).ok_or_else(|| WireError::missing(parent, name))?)
    }
}

impl<T: Value> Field for Option<T> {
    fn write(&self, name: &str, parent: &mut Element) {
        if let Some(value) = self {
            parent.children.push(value.to_element(name));
        }
    }
    fn read(parent: &Element, name: &str) -> Result<Self, WireError> {
        parent.child(name).map(T::from_element).transpose()
    }
}

impl<T: Value> Field for Vec<T> {
    fn write(&self, name: &str, parent: &mut Element) {
        parent.children.extend(self.iter().map(|value| value.to_element(name)));
    }
    fn read(parent: &Element, name: &str) -> Result<Self, WireError> {
        parent.children_named(name).map(T::from_element).collect()
    }
}

/// Nothing: what methods without a result return.
impl Field for () {
    fn write(&self, _: &str, _: &mut Element) {}
    fn read(_: &Element, _: &str) -> Result<Self, WireError> {
        Ok(())
    }
}

impl Value for String {
    const TYPE: &'static str = "string";
    fn to_element(&self, name: &str) -> Element {
        Element::text(name, self)
    }
    fn from_element(element: &Element) -> Result<Self, WireError> {
        Ok(element.text.clone())
    }
}

impl Value for bool {
    const TYPE: &'static str = "boolean";
    fn to_element(&self, name: &str) -> Element {
        Element::text(name, if *self { "true" } else { "false" })
    }
    fn from_element(element: &Element) -> Result<Self, WireError> {
        match element.text.trim() {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(WireError::bad_value(element, "a boolean")),
        }
    }
}

macro_rules! number {
    ($rust:ty, $xsd:literal) => {
        impl Value for $rust {
            const TYPE: &'static str = $xsd;
            fn to_element(&self, name: &str) -> Element {
                Element::text(name, self.to_string())
            }
            fn from_element(element: &Element) -> Result<Self, WireError> {
                element.text.trim().parse().map_err(|_| WireError::bad_value(element, "a number of its size"))
            }
        }
    };
}
number!(i16, "short");
number!(i32, "int");
number!(i64, "long");

/// An element passed through as it is, whatever it holds (devices that are not understood, say).
impl Value for Element {
    const TYPE: &'static str = "anyType";
    fn to_element(&self, name: &str) -> Element {
        self.clone().named(name)
    }
    fn from_element(element: &Element) -> Result<Self, WireError> {
        Ok(element.clone())
    }
}

/// A managed object reference: which kind of object, and its id on that server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Moref {
    /// The managed object type, `VirtualMachine` say.
    pub kind: String,
    /// The id, `vm-42` say. Means nothing on another server.
    pub value: String,
}

impl Moref {
    /// A reference to an object of that kind.
    pub fn new(kind: impl Into<String>, value: impl Into<String>) -> Self {
        Moref { kind: kind.into(), value: value.into() }
    }
}

impl std::fmt::Display for Moref {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.kind, self.value)
    }
}

impl Value for Moref {
    const TYPE: &'static str = "ManagedObjectReference";
    fn to_element(&self, name: &str) -> Element {
        Element::text(name, &self.value).attr("type", &self.kind)
    }
    fn from_element(element: &Element) -> Result<Self, WireError> {
        let kind = element.attribute("type").ok_or_else(|| WireError::BadType {
            element: element.name.clone(),
            found: element.xsi_type.clone().unwrap_or_default(),
            wanted: "a managed object reference",
        })?;
        Ok(Moref::new(kind, element.text.trim()))
    }
}

/// A value of any type, as properties and option values have: the element with its `xsi:type`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Any(pub Element);

impl Any {
    /// Wraps a value together with its type.
    pub fn of<T: Value>(value: &T) -> Self {
        let element = value.to_element("val");
        let kind = element.xsi_type.clone().unwrap_or_else(|| T::TYPE.to_owned());
        Any(element.typed(kind))
    }

    /// Wraps a list as `ArrayOf…`, whose items bear the name of their (base) type.
    pub fn array<T: Value>(base: &str, values: &[T]) -> Self {
        let mut chars = base.chars();
        let upper: String = chars.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(chars).collect();
        let mut element = Element::new("val").typed(format!("ArrayOf{upper}"));
        element.children = values.iter().map(|v| v.to_element(base)).collect();
        Any(element)
    }

    /// The local name of its type; empty when none is stated.
    pub fn kind(&self) -> &str {
        self.0.xsi_type.as_deref().unwrap_or_default()
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// Reads it as a `T`, whatever type is stated.
    pub fn get<T: Value>(&self) -> Result<T, WireError> {
        T::from_element(&self.0)
    }

    /// Reads an `ArrayOf…` of `T`.
    pub fn list<T: Value>(&self) -> Result<Vec<T>, WireError> {
        self.0.children.iter().map(T::from_element).collect()
    }
}

impl Value for Any {
    const TYPE: &'static str = "anyType";
    fn to_element(&self, name: &str) -> Element {
        self.0.clone().named(name)
    }
    fn from_element(element: &Element) -> Result<Self, WireError> {
        Ok(Any(element.clone()))
    }
}
