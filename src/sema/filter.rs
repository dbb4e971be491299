//! The filters of `value | name(args)`: the table that docs and "did you mean" are made from, and their types.

use crate::syntax::ast::Type;

use super::types::{a_type, holds_secret, is_scalar};

/// A filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // each is the filter of that name; signatures stand in the table
pub enum Filter {
    Raw,
    Quote,
    Trim,
    Upper,
    Lower,
    Replace,
    Default,
    Base64,
    Json,
    Lines,
    Join,
    Pad,
    Basename,
    Dirname,
    Int,
    Ip,
    Host,
    Netmask,
    Prefix,
}

/// What a filter takes before the `|`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Anything but a list, as its text.
    Text,
    /// Anything.
    Any,
    /// A list.
    List,
    /// A string, json, size or duration.
    Number,
    /// A string, json or cidr.
    Address,
    /// A cidr.
    Cidr,
}

impl Takes {
    /// For docs and messages.
    pub fn name(self) -> &'static str {
        match self {
            Takes::Text => "text",
            Takes::Any => "any",
            Takes::List => "list",
            Takes::Number => "string, json, size or duration",
            Takes::Address => "string, json or cidr",
            Takes::Cidr => "cidr",
        }
    }

    fn accepts(self, ty: &Type) -> bool {
        match self {
            Takes::Text => is_scalar(ty),
            Takes::Any => true,
            Takes::List => matches!(ty, Type::List(_)),
            Takes::Number => matches!(ty, Type::String | Type::Json | Type::Size | Type::Duration | Type::Int),
            Takes::Address => matches!(ty, Type::String | Type::Json | Type::Cidr | Type::Ip),
            Takes::Cidr => *ty == Type::Cidr,
        }
    }
}

/// A filter's argument.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// Its name in docs.
    pub name: &'static str,
    /// Its type; None: that of the value before the `|`.
    pub ty: Option<Type>,
    /// Used when the argument is not given; None: it must be.
    pub default: Option<&'static str>,
}

/// A row of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Signature {
    /// Which.
    pub filter: Filter,
    /// How it is written.
    pub name: &'static str,
    /// What stands before the `|`.
    pub takes: Takes,
    /// Its arguments.
    pub params: &'static [Param],
    /// What comes out, for docs. What is computed from a secret is a secret.
    pub gives: &'static str,
    /// One sentence.
    pub about: &'static str,
    /// Expression and result.
    pub example: (&'static str, &'static str),
}

const fn text(name: &'static str) -> Param {
    Param { name, ty: Some(Type::String), default: None }
}

/// All filters.
pub static TABLE: &[Signature] = &[
    Signature {
        filter: Filter::Raw,
        name: "raw",
        takes: Takes::Text,
        params: &[],
        gives: "string",
        about: "Inserts the value into shell text as code, outside all quotes. Only for text that you would type there yourself.",
        example: (r#""-v -x" | raw"#, "-v -x"),
    },
    Signature {
        filter: Filter::Quote,
        name: "quote",
        takes: Takes::Text,
        params: &[],
        gives: "string",
        about: "Quotes the value as one word for a POSIX shell, for text that a shell reads again: `ssh host`, `su -c`, `eval`.",
        example: (r#""it's" | quote"#, r"'it'\''s'"),
    },
    Signature {
        filter: Filter::Trim,
        name: "trim",
        takes: Takes::Text,
        params: &[],
        gives: "string",
        about: "Takes off blanks and line ends at both ends.",
        example: (r#""  a b\n" | trim"#, "a b"),
    },
    Signature {
        filter: Filter::Upper,
        name: "upper",
        takes: Takes::Text,
        params: &[],
        gives: "string",
        about: "Turns letters into capitals.",
        example: (r#""web" | upper"#, "WEB"),
    },
    Signature {
        filter: Filter::Lower,
        name: "lower",
        takes: Takes::Text,
        params: &[],
        gives: "string",
        about: "Turns capitals into small letters.",
        example: (r#""Web" | lower"#, "web"),
    },
    Signature {
        filter: Filter::Replace,
        name: "replace",
        takes: Takes::Text,
        params: &[text("from"), text("to")],
        gives: "string",
        about: "Puts `to` wherever `from` stands; `from` is plain text and not empty.",
        example: (r#""a.b.c" | replace(".", "-")"#, "a-b-c"),
    },
    Signature {
        filter: Filter::Default,
        name: "default",
        takes: Takes::Any,
        params: &[Param { name: "value", ty: None, default: None }],
        gives: "the value's type",
        about: "Gives `value` when a key is unset, or a field of json is missing or null.",
        example: (r#"config.port | default(80)"#, "80"),
    },
    Signature {
        filter: Filter::Base64,
        name: "base64",
        takes: Takes::Text,
        params: &[],
        gives: "string",
        about: "Encodes the text's bytes in base64, with padding and without line ends.",
        example: (r#""hello" | base64"#, "aGVsbG8="),
    },
    Signature {
        filter: Filter::Json,
        name: "json",
        takes: Takes::Any,
        params: &[],
        gives: "string",
        about: "Writes the value as JSON: a string in double quotes with escapes, a list as an array.",
        example: (r#"["a", "b"] | json"#, r#"["a","b"]"#),
    },
    Signature {
        filter: Filter::Lines,
        name: "lines",
        takes: Takes::Text,
        params: &[],
        gives: "list<string>",
        about: "Splits text into its lines; an empty text has none.",
        example: (r#""a\nb" | lines | join("+")"#, "a+b"),
    },
    Signature {
        filter: Filter::Join,
        name: "join",
        takes: Takes::List,
        params: &[text("separator")],
        gives: "string",
        about: "Joins a list's elements to one text.",
        example: (r#"["a", "b"] | join(",")"#, "a,b"),
    },
    Signature {
        filter: Filter::Pad,
        name: "pad",
        takes: Takes::Text,
        params: &[
            Param { name: "width", ty: Some(Type::Int), default: None },
            Param { name: "fill", ty: Some(Type::String), default: Some("0") },
        ],
        gives: "string",
        about: "Fills up to `width` characters (at most 1000) from the left with `fill`, one character; a minus sign stays in front.",
        example: ("7 | pad(3)", "007"),
    },
    Signature {
        filter: Filter::Basename,
        name: "basename",
        takes: Takes::Text,
        params: &[],
        gives: "string",
        about: "The last part of a path with `/`.",
        example: (r#""/srv/app.tar" | basename"#, "app.tar"),
    },
    Signature {
        filter: Filter::Dirname,
        name: "dirname",
        takes: Takes::Text,
        params: &[],
        gives: "string",
        about: "A path with `/` without its last part.",
        example: (r#""/srv/app.tar" | dirname"#, "/srv"),
    },
    Signature {
        filter: Filter::Int,
        name: "int",
        takes: Takes::Number,
        params: &[],
        gives: "int",
        about: "Reads text as a decimal int; a size gives its bytes, a duration its whole seconds.",
        example: (r#""42" | int"#, "42"),
    },
    Signature {
        filter: Filter::Ip,
        name: "ip",
        takes: Takes::Address,
        params: &[],
        gives: "ip",
        about: "Reads text as an address; of a cidr, the address without its prefix length.",
        example: (r#"address | ip"#, "10.0.0.101"),
    },
    Signature {
        filter: Filter::Host,
        name: "host",
        takes: Takes::Cidr,
        params: &[Param { name: "n", ty: Some(Type::Int), default: None }],
        gives: "ip",
        about: "The address number `n` of the network, from 0; a negative `n` counts from the end.",
        example: ("network | host(10)", "10.0.0.10"),
    },
    Signature {
        filter: Filter::Netmask,
        name: "netmask",
        takes: Takes::Cidr,
        params: &[],
        gives: "ip",
        about: "The network's mask.",
        example: ("network | netmask", "255.255.255.0"),
    },
    Signature {
        filter: Filter::Prefix,
        name: "prefix",
        takes: Takes::Cidr,
        params: &[],
        gives: "int",
        about: "The prefix length.",
        example: ("network | prefix", "24"),
    },
];

impl Filter {
    /// The filter of a name.
    pub fn named(name: &str) -> Option<Filter> {
        TABLE.iter().find(|s| s.name == name).map(|s| s.filter)
    }

    /// Its row of the table.
    #[allow(clippy::indexing_slicing, reason = "the table is a constant with rows in it")]
    pub fn signature(self) -> &'static Signature {
        // The table has a row for each variant (a test holds it), so that the first row is never returned for another.
        TABLE.iter().find(|s| s.filter == self).unwrap_or(&TABLE[0])
    }

    /// What comes out when a value of type `input` goes in; the error is a reason. Arguments are not looked at: a
    /// secret among them makes the result one.
    pub fn result(self, input: &Type) -> Result<Type, String> {
        let signature = self.signature();
        let takes = signature.takes;
        if holds_secret(input) && matches!(takes, Takes::Number | Takes::Address | Takes::Cidr) {
            return Err(format!("`{}` can't take a secret, which is only ever text", signature.name));
        }
        if !takes.accepts(input) {
            let wanted = match takes {
                Takes::Text if matches!(input, Type::List(_)) => "one value".to_owned(),
                Takes::List => "a list".to_owned(),
                other => format!("a {}", other.name()),
            };
            return Err(format!("`{}` takes {wanted}, not {}", signature.name, a_type(input)));
        }
        let plain = match self {
            Filter::Raw
            | Filter::Quote
            | Filter::Trim
            | Filter::Upper
            | Filter::Lower
            | Filter::Replace
            | Filter::Base64
            | Filter::Json
            | Filter::Join
            | Filter::Pad
            | Filter::Basename
            | Filter::Dirname => Type::String,
            Filter::Lines => Type::List(Box::new(Type::String)),
            Filter::Default => input.clone(),
            Filter::Int | Filter::Prefix => Type::Int,
            Filter::Ip | Filter::Host | Filter::Netmask => Type::Ip,
        };
        Ok(if holds_secret(input) { super::types::tainted(&plain) } else { plain })
    }
}

impl Signature {
    /// As in `pad(width, fill = "0")`.
    pub fn usage(&self) -> String {
        if self.params.is_empty() {
            return self.name.to_owned();
        }
        let params: Vec<String> = self
            .params
            .iter()
            .map(|p| match p.default {
                Some(default) => format!("{} = {default:?}", p.name),
                None => p.name.to_owned(),
            })
            .collect();
        format!("{}({})", self.name, params.join(", "))
    }
}
