//! What holds for every document.

use proptest::prelude::*;

use crate::vsphere::wire::{
    CreateFolder, Element, Limits, Method, Moref, parse_reply, parse_request, request_document,
};

fn name() -> impl Strategy<Value = String> {
    "[A-Za-z_][A-Za-z0-9_.]{0,8}"
}

/// Any text that XML can carry.
fn text() -> impl Strategy<Value = String> {
    let plain = any::<char>().prop_filter("XML can carry it", |c| {
        matches!(c, '\t' | '\n' | '\r') || (*c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}'))
    });
    prop::collection::vec(
        prop_oneof![4 => plain, 1 => Just('&'), 1 => Just('<'), 1 => Just('\r'), 1 => Just(' ')],
        0..20,
    )
    .prop_map(|chars| chars.into_iter().collect())
}

fn element() -> impl Strategy<Value = Element> {
    let attrs = prop::collection::btree_map("[a-z]{1,6}", text(), 0..3);
    let leaf = (name(), prop::option::of("[A-Za-z]{1,8}"), attrs, text()).prop_map(|(name, xsi_type, attrs, text)| {
        let attrs = attrs.into_iter().filter(|(name, _)| name != "xmlns").collect();
        Element { name, xsi_type, attrs, children: Vec::new(), text }
    });
    leaf.prop_recursive(4, 30, 4, |inner| {
        (name(), prop::collection::vec(inner, 1..4)).prop_map(|(name, children)| Element {
            name,
            children,
            ..Element::default()
        })
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(element in element()) {
        let document = element.to_xml().expect("it can be written");
        prop_assert_eq!(Element::parse(document.as_bytes(), Limits::default()).expect("it can be read"), element);
    }

    #[test]
    fn requests_carry_any_value(value in text(), id in text()) {
        let request = CreateFolder { this: Moref::new("Folder", "group-v1"), name: value };
        let document = request_document(&request.to_body(), Some(&id)).expect("it can be written");
        let read = parse_request(document.as_bytes(), Limits::default()).expect("it can be read");
        prop_assert_eq!(CreateFolder::from_body(&read.body).expect("the same method"), request);
        prop_assert_eq!(read.operation_id, Some(id));
    }

    #[test]
    fn nothing_makes_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse_reply(&bytes, Limits::default());
        let _ = parse_request(&bytes, Limits::default());
    }

    #[test]
    fn nor_does_what_looks_like_xml(text in "([<>/&;=\"' a-z:!\\[\\]?-]|xmlns|<a>|</a>|<!\\[CDATA\\[|\\]\\]>|&#x){0,60}") {
        let _ = Element::parse(text.as_bytes(), Limits::default());
    }

    #[test]
    fn no_cut_off_reply_is_taken_for_a_whole_one(element in element(), at in any::<prop::sample::Index>()) {
        let document = element.to_xml().expect("it can be written");
        let cut = &document.as_bytes()[..at.index(document.len())];
        prop_assert!(Element::parse(cut, Limits::default()).is_err());
    }
}
