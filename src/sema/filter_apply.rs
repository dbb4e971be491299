//! What the filters do.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ipnet::IpNet;

use crate::shell;
use crate::syntax::ast::Type;

use super::filter::Filter;
use super::value::Value;
use super::value_parse::{parse_int, parse_value};

/// The widest `pad`, in characters.
const MAX_PAD: i64 = 1000;

/// The longest text that an expression may make, in bytes.
const MAX_TEXT: usize = 16 << 20;

/// Applies a filter to a value and arguments that the check has let pass. The error is a reason; it never shows a
/// secret. Taint is the caller's business: the texts of secrets go in and come out like others.
pub(super) fn apply(filter: Filter, value: &Value, args: &[Value]) -> Result<Value, String> {
    let text = || value.to_text();
    let arg = |i: usize| args.get(i).map(Value::to_text).unwrap_or_default();
    Ok(match filter {
        Filter::Raw => Value::Str(text()),
        Filter::Quote => Value::Str(shell::quote(&text())),
        Filter::Trim => Value::Str(text().trim().to_owned()),
        Filter::Upper => Value::Str(text().to_uppercase()),
        Filter::Lower => Value::Str(text().to_lowercase()),
        Filter::Replace => {
            let from = arg(0);
            if from.is_empty() {
                return Err("`replace` can't look for an empty text".into());
            }
            let (text, to) = (text(), arg(1));
            within_limit(text.matches(&from).count().saturating_mul(to.len()))?;
            Value::Str(text.replace(&from, &to))
        }
        // The evaluator sees to missing values; what is here is there.
        Filter::Default => value.clone(),
        Filter::Base64 => Value::Str(BASE64.encode(text())),
        Filter::Json => Value::Str(value.to_json().to_string()),
        Filter::Lines => Value::List(text().lines().map(|line| Value::Str(line.to_owned())).collect()),
        Filter::Join => match value {
            Value::List(items) => {
                let separator = arg(0);
                within_limit(items.len().saturating_mul(separator.len()))?;
                Value::Str(items.iter().map(Value::to_text).collect::<Vec<_>>().join(&separator))
            }
            other => other.clone(),
        },
        Filter::Pad => Value::Str(pad(&text(), value, args)?),
        Filter::Basename => Value::Str(basename(&text()).to_owned()),
        Filter::Dirname => Value::Str(dirname(&text()).to_owned()),
        Filter::Int => Value::Int(match value {
            Value::Int(v) => *v,
            Value::Size(bytes) => i64::try_from(*bytes).map_err(|_| "the size does not fit into an int")?,
            Value::Duration(d) => i64::try_from(d.as_secs()).map_err(|_| "the duration does not fit into an int")?,
            other => parse_int(other.to_text().trim())?,
        }),
        Filter::Ip => match value {
            Value::Ip(ip) => Value::Ip(*ip),
            Value::Cidr(net) => Value::Ip(net.addr()),
            other => parse_value(&Type::Ip, &other.to_text())?,
        },
        Filter::Host => Value::Ip(host(cidr(value)?, int_arg(args, 0)?)?),
        Filter::Netmask => Value::Ip(cidr(value)?.netmask()),
        Filter::Prefix => Value::Int(cidr(value)?.prefix_len().into()),
    })
}

/// Keeps a computed text from eating the memory: an expression can multiply lengths.
pub(super) fn within_limit(bytes: usize) -> Result<(), String> {
    if bytes > MAX_TEXT { Err(format!("the text would be longer than {} MiB", MAX_TEXT >> 20)) } else { Ok(()) }
}

fn cidr(value: &Value) -> Result<IpNet, String> {
    match value {
        Value::Cidr(net) => Ok(*net),
        other => Err(format!("{} is not a cidr", super::types::a_type(&other.type_of()))),
    }
}

fn int_arg(args: &[Value], index: usize) -> Result<i64, String> {
    match args.get(index) {
        Some(Value::Int(v)) => Ok(*v),
        _ => Err("the argument is not an int".into()),
    }
}

fn pad(text: &str, value: &Value, args: &[Value]) -> Result<String, String> {
    let width = int_arg(args, 0)?;
    if !(0..=MAX_PAD).contains(&width) {
        return Err(format!("`pad` takes a width from 0 to {MAX_PAD}, not {width}"));
    }
    let fill = args.get(1).map_or_else(|| "0".to_owned(), Value::to_text);
    if fill.chars().count() != 1 {
        return Err("`pad` fills with one character".into());
    }
    let (sign, digits) = match value {
        Value::Int(_) => text.strip_prefix('-').map_or(("", text), |digits| ("-", digits)),
        _ => ("", text),
    };
    let missing = usize::try_from(width).unwrap_or(0).saturating_sub(text.chars().count());
    Ok(format!("{sign}{}{digits}", fill.repeat(missing)))
}

/// As POSIX: trailing slashes don't count, `/` stays.
fn basename(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() {
        return if path.is_empty() { "" } else { "/" };
    }
    trimmed.rsplit('/').next().unwrap_or(trimmed)
}

/// As POSIX: `.` for a name alone.
fn dirname(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() {
        return if path.is_empty() { "." } else { "/" };
    }
    match trimmed.rsplit_once('/') {
        None => ".",
        Some((parent, _)) => {
            let parent = parent.trim_end_matches('/');
            if parent.is_empty() { "/" } else { parent }
        }
    }
}

/// The address number `n` of a network; negative from the end.
fn host(net: IpNet, n: i64) -> Result<IpAddr, String> {
    let outside = || format!("the network {} has no address number {n}", net.trunc());
    let (first, last) = match (net.network(), net.broadcast()) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(u32::from(a)), u128::from(u32::from(b))),
        (IpAddr::V6(a), IpAddr::V6(b)) => (u128::from(a), u128::from(b)),
        _ => return Err(outside()),
    };
    let distance = u128::from(n.unsigned_abs());
    let address = if n >= 0 { first.checked_add(distance) } else { last.checked_sub(distance - 1) };
    let address = address.filter(|a| (first..=last).contains(a)).ok_or_else(outside)?;
    Ok(match net {
        IpNet::V4(_) => IpAddr::V4(u32::try_from(address).map_err(|_| outside())?.into()),
        IpNet::V6(_) => IpAddr::V6(address.into()),
    })
}
