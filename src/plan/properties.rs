//! What a FROM sets of an OVF in a library, held to what vCenter tells of the item.

use super::codes;
use super::ova::choices;
use crate::diagnostic::Diagnostic;
use crate::sema::order;
use crate::sema::program::Machine;
use crate::sema::value_parse::parse_key;
use crate::syntax::ast::Type;
use crate::vsphere::client::{ItemProperty, LibraryItem, OvfChoices, OvfChosen};

/// What a machine of an OVF item sets, before anything is known of the item.
pub(super) fn wished(machine: &Machine) -> OvfChosen {
    let plain = |(key, value, _): &(String, String, _)| {
        (ItemProperty { id: key.clone(), ..ItemProperty::default() }, value.clone())
    };
    OvfChosen {
        accepts: machine.ova.accepts,
        configuration: machine.ova.configuration.clone(),
        properties: machine.ova.properties.iter().map(plain).collect(),
    }
}

/// The same, of an item of which something is known.
///
/// # Errors
/// It has no such configuration or property, a value isn't one of its type, or one that it needs is missing.
pub fn chosen(machine: &Machine, item: &LibraryItem, known: &OvfChoices) -> Result<OvfChosen, Diagnostic> {
    let mut chosen = wished(machine);
    let name = &item.name;
    let misfit = |text: String| Diagnostic::new(&codes::ITEM_MISFIT, text);
    if let (Some(wanted), Some(all)) = (&machine.ova.configuration, &known.configurations)
        && !all.contains(wanted)
    {
        let diagnostic = misfit(format!("the library item `{name}` has no configuration `{wanted}`"));
        return Err(choices(diagnostic, wanted, all.iter().map(String::as_str)).primary(machine.span, ""));
    }
    let Some(all) = &known.properties else { return Ok(chosen) };
    for ((key, value, span), set) in machine.ova.properties.iter().zip(&mut chosen.properties) {
        let Some(property) = all.iter().find(|p| p.key() == *key) else {
            let keys: Vec<String> = all.iter().map(ItemProperty::key).collect();
            let diagnostic = misfit(format!("the library item `{name}` has no property `{key}` that can be set"));
            return Err(choices(diagnostic, key, keys.iter().map(String::as_str)).primary(*span, ""));
        };
        let kind = property.kind.as_deref().unwrap_or_default();
        if let Some(wanted) = ill_typed(kind, value) {
            let diagnostic = misfit(format!("the property `{key}` of `{name}` takes {wanted}"));
            let help = format!("its type is {kind}");
            return Err(diagnostic.primary(*span, "").help(help));
        }
        set.0 = property.clone();
    }
    let given = |p: &ItemProperty| machine.ova.properties.iter().any(|(key, ..)| *key == p.key());
    let lacks = |p: &&ItemProperty| {
        let (kind, value) = (p.kind.as_deref().unwrap_or_default(), p.value.as_deref().unwrap_or_default());
        !p.ui_optional.unwrap_or_default() && !given(p) && value.is_empty() && ill_typed(kind, value).is_some()
    };
    // One that isn't powered on needs none of them yet.
    match all.iter().find(lacks).filter(|_| order::boots(machine)) {
        Some(property) => {
            let key = property.key();
            let text = format!("the library item `{name}` needs a value for its property `{key}`");
            let help =
                format!("give it by `FROM --property={key}=VALUE library:…`: a machine without it isn't powered on");
            Err(misfit(text).primary(machine.span, "").help(help))
        }
        None => Ok(chosen),
    }
}

/// What a property takes, if a value isn't one of its type, as vSphere writes it: `string(1..64)`, `int(0..65535)`,
/// `string["a", "b"]`. Types that aren't known take everything: vCenter knows better.
fn ill_typed(kind: &str, value: &str) -> Option<String> {
    let kind = kind.trim();
    let end = kind.find(['(', '[', ':']).unwrap_or(kind.len());
    let (base, rest) = kind.split_at(end);
    let within = |open: char, close: char| rest.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
    let bounds = within('(', ')').and_then(|range| range.split_once(".."));
    match base.trim() {
        "boolean" => {
            let is = ["true", "false"].iter().any(|word| value.eq_ignore_ascii_case(word));
            (!is).then(|| "`True` or `False`".to_owned())
        }
        "int" => {
            let (low, high) = bounds.unwrap_or_default();
            let number: Option<i128> = value.trim().parse().ok();
            let below = |n: i128| low.trim().parse().is_ok_and(|low: i128| n < low);
            let above = |n: i128| high.trim().parse().is_ok_and(|high: i128| n > high);
            match number {
                None => Some("a whole number".to_owned()),
                Some(n) if below(n) || above(n) => Some(format!("a whole number, {}", range(low, high))),
                Some(_) => None,
            }
        }
        "real" => value.trim().parse::<f64>().is_err().then(|| "a number".to_owned()),
        // `ip:NETWORK` is vCenter's to fill.
        "ip" if !rest.starts_with(':') => {
            parse_key(&Type::Ip, value.as_bytes()).is_err().then(|| "an address".to_owned())
        }
        "string" | "password" => {
            if let Some(list) = within('[', ']') {
                let all: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
                return (!all.contains(&value)).then(|| format!("one of {}", all.join(", ")));
            }
            let (low, high) = bounds.unwrap_or_default();
            let length = value.chars().count();
            let short = low.trim().parse().is_ok_and(|low: usize| length < low);
            let long = high.trim().parse().is_ok_and(|high: usize| length > high);
            (short || long).then(|| format!("{} characters", range(low, high)))
        }
        _ => None,
    }
}

/// A range of which one end may be open.
fn range(low: &str, high: &str) -> String {
    match (low.trim(), high.trim()) {
        (low, "") => format!("at least {low}"),
        ("", high) => format!("at most {high}"),
        (low, high) => format!("{low} to {high}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_held_to_the_types_of_vsphere() {
        for (kind, good, bad) in [
            ("boolean", &["True", "false"][..], &["", "yes"][..]),
            ("int", &["0", "-7"], &["", "x", "1.5"]),
            ("int(0..65535)", &["0", "65535"], &["-1", "65536", "1e3"]),
            ("real", &["1.5", "2"], &["", "x"]),
            ("ip", &["10.0.0.1", "fd00::1"], &["", "10.0.0", "host"]),
            ("ip:VM Network", &["", "x"], &[]),
            ("string", &["", "anything"], &[]),
            ("string(1..3)", &["a", "äöü"], &["", "abcd"]),
            ("password(8..)", &["12345678"], &["1234567"]),
            ("string(..2)", &["", "ab"], &["abc"]),
            ("string[\"small\", \"large, or so\"]", &["small", "large, or so"], &["", "medium"]),
            ("expression", &["", "x"], &[]),
            ("", &["", "x"], &[]),
        ] {
            for value in good {
                assert_eq!(ill_typed(kind, value), None, "{kind}: {value:?}");
            }
            for value in bad {
                assert!(ill_typed(kind, value).is_some(), "{kind}: {value:?}");
            }
        }
        assert_eq!(ill_typed("int(1..)", "0").as_deref(), Some("a whole number, at least 1"));
    }
}
