//! From text to a value of a type.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::syntax::ast::Type;
use crate::syntax::literal;

use super::value::Value;

/// The longest text of a key, in bytes.
pub const MAX_KEY_TEXT: usize = 1 << 20;

/// How much of a text is shown in a message, in characters.
const SHOWN: usize = 60;

/// Reads text as a value of a type. Blanks around are trimmed but for string and secret. The error is a reason that
/// shows the text (never for a secret), as in "`1O` is not an int (decimal digits, with `-` before them if negative)".
pub fn parse_value(ty: &Type, text: &str) -> Result<Value, String> {
    let trimmed = text.trim();
    match ty {
        Type::String => Ok(Value::Str(text.into())),
        Type::Secret => Ok(Value::Secret(text.into())),
        Type::Int => parse_int(trimmed).map(Value::Int),
        Type::Bool => match trimmed {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err(format!("{} is not a bool (`true` or `false`)", shown(trimmed))),
        },
        Type::Ip => trimmed
            .parse::<IpAddr>()
            .map(Value::Ip)
            .map_err(|_| format!("{} is not an ip (as in `10.0.0.1` or `fd00::1`)", shown(trimmed))),
        Type::Cidr => trimmed.parse::<IpNet>().map(Value::Cidr).map_err(|_| {
            format!("{} is not a cidr (an address with its prefix length, as in `10.0.0.1/24`)", shown(trimmed))
        }),
        Type::Duration => literal::duration(trimmed).map(Value::Duration).ok_or_else(|| match parse_int(trimmed) {
            Ok(n) if n >= 0 => format!("`{n}` is no duration: its unit is missing (as in `{n}s` or `{n}m`)"),
            _ => format!("{} is not a duration (as in `90s` or `1h30m`)", shown(trimmed)),
        }),
        Type::Size => literal::size(trimmed).map(Value::Size).ok_or_else(|| match parse_int(trimmed) {
            Ok(n) if n >= 0 => format!("`{n}` is no size: its unit is missing (as in `{n}MB` or `{n}GB`)"),
            _ => format!("{} is not a size (as in `512MiB` or `8GB`)", shown(trimmed)),
        }),
        Type::Json => serde_json::from_str(trimmed)
            .map(Value::Json)
            .map_err(|error| format!("{} is not json: {error}", shown(trimmed))),
        Type::List(of) => parse_list(of, text).map(Value::List),
    }
}

/// Reads what a key's command or file gave: UTF-8 without NUL, at most 1 MiB, one trailing line end taken off.
pub fn parse_key(ty: &Type, bytes: &[u8]) -> Result<Value, String> {
    let bytes = bytes.strip_suffix(b"\n").map_or(bytes, |b| b.strip_suffix(b"\r").unwrap_or(b));
    if bytes.len() > MAX_KEY_TEXT {
        return Err(format!("the text has {} bytes, more than the {MAX_KEY_TEXT} that a key may have", bytes.len()));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| format!("the text is not UTF-8: byte {} is wrong", error.valid_up_to() + 1))?;
    if let Some(at) = text.find('\0') {
        return Err(format!("the text has a NUL character (byte {})", at + 1));
    }
    parse_value(ty, text)
}

/// A JSON array, or one element a line.
fn parse_list(of: &Type, text: &str) -> Result<Vec<Value>, String> {
    if text.trim_start().starts_with('[')
        && let Ok(serde_json::Value::Array(items)) = serde_json::from_str(text.trim())
    {
        return items.into_iter().map(|item| from_json(of, item)).collect();
    }
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.split('\n').map(|line| parse_value(of, line.strip_suffix('\r').unwrap_or(line))).collect()
}

/// An element of a JSON array as a value of a type: a string is read as the type's text.
fn from_json(ty: &Type, item: serde_json::Value) -> Result<Value, String> {
    use serde_json::Value as Json;
    match (ty, item) {
        (Type::Json, item) => Ok(Value::Json(item)),
        (Type::List(of), Json::Array(items)) => {
            Ok(Value::List(items.into_iter().map(|item| from_json(of, item)).collect::<Result<_, _>>()?))
        }
        (_, Json::String(text)) => parse_value(ty, &text),
        (_, item @ (Json::Bool(_) | Json::Number(_))) => parse_value(ty, &item.to_string()),
        (ty, _) if super::types::holds_secret(ty) => Err("an element of the list is no text".into()),
        (ty, item) => Err(format!("{} is not {}", shown(&item.to_string()), super::types::a_type(ty))),
    }
}

/// `-?[0-9]+`, decimal, 64 bits.
pub fn parse_int(text: &str) -> Result<i64, String> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("{} is not an int (decimal digits, with `-` before them if negative)", shown(text)));
    }
    text.parse().map_err(|_| format!("{} does not fit into an int of 64 bits", shown(text)))
}

/// A text in a message: in backticks, control characters escaped, cut when long.
pub(super) fn shown(text: &str) -> String {
    if text.is_empty() {
        return "an empty text".into();
    }
    let mut out: String = text.chars().take(SHOWN).flat_map(escape_control).collect();
    if text.chars().nth(SHOWN).is_some() {
        out.push('…');
    }
    format!("`{out}`")
}

fn escape_control(c: char) -> Vec<char> {
    if c.is_control() { c.escape_default().collect() } else { vec![c] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(ty: &Type, text: &str) -> String {
        match parse_value(ty, text) {
            Ok(value) => format!("{value:?}"),
            Err(reason) => reason,
        }
    }

    #[test]
    fn texts_and_types() {
        let list = |of| Type::List(Box::new(of));
        let table = [
            (Type::Int, "7"),
            (Type::Int, " -0012\n"),
            (Type::Int, "+7"),
            (Type::Int, "0x10"),
            (Type::Int, "1O"),
            (Type::Int, ""),
            (Type::Int, "-"),
            (Type::Int, "٣"),
            (Type::Int, "9223372036854775808"),
            (Type::Int, "-9223372036854775808"),
            (Type::Bool, "true "),
            (Type::Bool, "True"),
            (Type::Bool, "1"),
            (Type::Ip, "10.0.0.1"),
            (Type::Ip, "fd00::1"),
            (Type::Ip, "10.0.0.01"),
            (Type::Ip, "10.0.0.1/24"),
            (Type::Cidr, "10.0.0.1/24"),
            (Type::Cidr, "fd00::5/64"),
            (Type::Cidr, "10.0.0.1"),
            (Type::Cidr, "10.0.0.1/33"),
            (Type::Duration, "1h30m"),
            (Type::Duration, "250ms"),
            (Type::Duration, "1d"),
            (Type::Duration, "30m1h"),
            (Type::Duration, "1h1h"),
            (Type::Duration, "90"),
            (Type::Duration, "99999999999999999h"),
            (Type::Size, "512MiB"),
            (Type::Size, "8GB"),
            (Type::Size, "8GiB"),
            (Type::Size, "8"),
            (Type::Size, "8 GB"),
            (Type::Size, "99999999PiB"),
            (Type::Json, r#" {"a": [1, "x"]} "#),
            (Type::Json, "{a: 1}"),
            (Type::String, " kept \n"),
            (Type::Secret, " kept \n"),
            (list(Type::Int), "[1, \"2\", 3]"),
            (list(Type::Int), "1\n 2\n3\n"),
            (list(Type::Int), "1\n\n3"),
            (list(Type::Int), ""),
            (list(Type::Int), "[1, null]"),
            (list(Type::String), "a b\n\nc\r\n"),
            (list(Type::String), "[odd\nlines]"),
            (list(Type::Secret), "[\"a\"]"),
            (list(Type::Secret), "[{\"a\": \"hidden\"}]"),
            (list(list(Type::Int)), "[[1], [2, 3]]"),
            (list(Type::Json), "[{\"a\": 1}]"),
            (Type::Ip, &"x".repeat(100)),
            (Type::Ip, "a\u{1b}[31m\nb"),
        ];
        let out: Vec<String> = table
            .iter()
            .map(|(ty, text)| format!("{} {text:?} -> {}", super::super::types::type_name(ty), read(ty, text)))
            .collect();
        insta::assert_snapshot!(out.join("\n"));
    }

    #[test]
    fn keys_lose_one_line_end_and_must_be_plain_text() {
        let key = |bytes: &[u8]| parse_key(&Type::String, bytes);
        assert_eq!(key(b"a\n\n"), Ok(Value::Str("a\n".into())));
        assert_eq!(key(b"a\r\n"), Ok(Value::Str("a".into())));
        assert_eq!(key(b""), Ok(Value::Str(String::new())));
        assert_eq!(key(b"ab\xff"), Err("the text is not UTF-8: byte 3 is wrong".into()));
        assert_eq!(key(b"a\0b"), Err("the text has a NUL character (byte 2)".into()));
        assert!(key(&vec![b'a'; MAX_KEY_TEXT]).is_ok());
        assert_eq!(
            key(&vec![b'a'; MAX_KEY_TEXT + 1]),
            Err("the text has 1048577 bytes, more than the 1048576 that a key may have".into())
        );
    }

    #[test]
    fn a_value_as_text_reads_back() {
        for (ty, text) in [
            (Type::Duration, "1h30m"),
            (Type::Duration, "0s"),
            (Type::Duration, "1s5ms"),
            (Type::Size, "512MiB"),
            (Type::Size, "1025B"),
            (Type::Size, "0B"),
            (Type::Cidr, "10.0.0.7/8"),
            (Type::Int, "-9223372036854775808"),
            (Type::List(Box::new(Type::Ip)), "[\"10.0.0.1\",\"::1\"]"),
        ] {
            assert_eq!(parse_value(&ty, text).map(|v| v.to_text()), Ok(text.to_owned()));
        }
        assert_eq!(parse_value(&Type::Size, "8192MB").map(|v| v.to_text()), Ok("8GiB".into()));
        assert_eq!(parse_value(&Type::Duration, "90m").map(|v| v.to_text()), Ok("1h30m".into()));
    }
}
