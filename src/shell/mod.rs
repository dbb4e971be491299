//! Reading shell text: in which context each interpolated value stands, and putting constants there.

/// A shell language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// POSIX sh and its kin: dash, busybox, bash, ksh.
    Sh,
    /// PowerShell.
    PowerShell,
    /// cmd.exe.
    Cmd,
}

/// Where in shell text a value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Context {
    /// Outside all quotes.
    Bare,
}
