//! Values of PowerShell, as far as they are needed here.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::rc::Rc;
use std::time::Instant;

use super::syntax::Function;

#[derive(Clone, Debug)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Char(char),
    Text(Rc<str>),
    Bytes(Rc<RefCell<Vec<u8>>>),
    List(Rc<RefCell<Vec<Value>>>),
    Hash(Rc<RefCell<Vec<(String, Value)>>>),
    Object(Rc<Object>),
    Type(String),
    Code(Rc<Function>),
}

#[derive(Debug)]
pub struct Object {
    /// Its type, in lower case and without `System.`.
    pub kind: String,
    pub fields: RefCell<Vec<(String, Value)>>,
    pub native: Native,
}

/// What an object is made of that isn't in its properties.
#[derive(Debug)]
pub enum Native {
    None,
    File(RefCell<Option<File>>),
    /// Standard output.
    Output,
    /// A process: its number, and where a child of ours tells its exit code: Linux has room for a byte of it only.
    Process {
        pid: i32,
        told: RefCell<Option<File>>,
        code: Cell<Option<i32>>,
    },
    Watch(Instant),
    /// A text encoding: strict UTF-8, or that of old consoles.
    Utf8 {
        strict: bool,
    },
    Oem,
}

/// What was thrown.
#[derive(Debug)]
pub struct Thrown {
    /// The exception's type, in lower case and without `System.`.
    pub kind: String,
    pub message: String,
}

impl Thrown {
    pub fn new(message: impl Into<String>) -> Self {
        Thrown { kind: "management.automation.runtimeexception".to_owned(), message: message.into() }
    }

    pub fn of(kind: &str, message: impl Into<String>) -> Self {
        Thrown { kind: kind.to_owned(), message: message.into() }
    }

    pub fn io(error: &std::io::Error, path: &str) -> Self {
        let (kind, message) = match error.kind() {
            std::io::ErrorKind::NotFound => ("io.filenotfoundexception", format!("Could not find file '{path}'.")),
            std::io::ErrorKind::PermissionDenied => {
                ("unauthorizedaccessexception", format!("Access to the path '{path}' is denied."))
            }
            _ => ("io.ioexception", format!("{path}: {error}")),
        };
        Thrown::of(kind, message)
    }
}

/// What ends a statement early.
#[derive(Debug)]
pub enum Flow {
    Break,
    Continue,
    Return,
    Exit(i32),
    Throw(Thrown),
}

impl From<Thrown> for Flow {
    fn from(thrown: Thrown) -> Self {
        Flow::Throw(thrown)
    }
}

pub type Done<T> = Result<T, Flow>;

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text.into())
    }
}

impl Value {
    pub fn list(values: Vec<Value>) -> Self {
        Value::List(Rc::new(RefCell::new(values)))
    }

    pub fn bytes(bytes: Vec<u8>) -> Self {
        Value::Bytes(Rc::new(RefCell::new(bytes)))
    }

    pub fn object(kind: &str, native: Native, fields: Vec<(&str, Value)>) -> Self {
        let fields = fields.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect();
        Value::Object(Rc::new(Object { kind: kind.to_owned(), fields: RefCell::new(fields), native }))
    }

    /// What a pipeline gave, as one value.
    pub fn collected(mut values: Vec<Value>) -> Self {
        match values.len() {
            0 => Value::Null,
            1 => values.remove(0),
            _ => Value::list(values),
        }
    }

    /// Its parts, where it has some that a pipeline would pass on one by one.
    pub fn parts(&self) -> Vec<Value> {
        match self {
            Value::Null => Vec::new(),
            Value::List(list) => list.borrow().clone(),
            Value::Bytes(bytes) => bytes.borrow().iter().map(|b| Value::Int(i64::from(*b))).collect(),
            other => vec![other.clone()],
        }
    }

    pub fn truth(&self) -> bool {
        match self {
            Value::Null => false,
            Value::Bool(is) => *is,
            Value::Int(n) => *n != 0,
            Value::Double(n) => *n != 0.0,
            Value::Text(text) => !text.is_empty(),
            Value::List(list) => match list.borrow().as_slice() {
                [] => false,
                [one] => one.truth(),
                _ => true,
            },
            Value::Bytes(bytes) => !bytes.borrow().is_empty(),
            _ => true,
        }
    }

    pub fn text(&self) -> String {
        match self {
            Value::Null => String::new(),
            Value::Bool(is) => if *is { "True" } else { "False" }.to_owned(),
            Value::Int(n) => n.to_string(),
            Value::Double(n) => n.to_string(),
            Value::Char(c) => c.to_string(),
            Value::Text(text) => text.to_string(),
            Value::Bytes(_) | Value::List(_) => self.parts().iter().map(Value::text).collect::<Vec<_>>().join(" "),
            Value::Hash(_) => "System.Collections.Hashtable".to_owned(),
            Value::Object(object) => match object.fields.borrow().iter().find(|(name, _)| name == "tostring") {
                Some((_, value)) => value.text(),
                None => object.kind.clone(),
            },
            Value::Type(name) => name.clone(),
            Value::Code(_) => "{…}".to_owned(),
        }
    }

    pub fn double(&self) -> Result<f64, Thrown> {
        match self {
            Value::Double(n) => Ok(*n),
            other => other.int().map(|n| n as f64),
        }
    }

    pub fn int(&self) -> Result<i64, Thrown> {
        match self {
            Value::Null => Ok(0),
            Value::Bool(is) => Ok(i64::from(*is)),
            Value::Int(n) => Ok(*n),
            Value::Double(n) => Ok(n.round() as i64),
            Value::Char(c) => Ok(i64::from(u32::from(*c))),
            Value::Text(text) => {
                let text = text.trim();
                let parsed = if text.is_empty() { Ok(0) } else { text.parse::<i64>().map_err(drop) };
                let parsed = parsed.or_else(|()| text.parse::<f64>().map(|n| n.round() as i64).map_err(drop));
                parsed.map_err(|()| {
                    Thrown::new(format!(
                        "Cannot convert value \"{text}\" to type \"System.Int32\". Error: \"Input string was not in a \
                         correct format.\""
                    ))
                })
            }
            other => Err(Thrown::new(format!("Cannot convert {} to a number.", other.text()))),
        }
    }

    /// As a count or an index.
    pub fn size(&self) -> Result<usize, Thrown> {
        usize::try_from(self.int()?).map_err(|_| Thrown::of("argumentoutofrangeexception", "The number is negative."))
    }

    /// The bytes that it is, or that its parts are.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Thrown> {
        match self {
            Value::Bytes(bytes) => Ok(bytes.borrow().clone()),
            other => other.parts().iter().map(|v| v.int().map(|n| n as u8)).collect(),
        }
    }
}
