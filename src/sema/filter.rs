//! The filters of `value | name(args)`.

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
