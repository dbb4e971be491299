//! How rooms write their codes down.

/// The statics of a `codes.rs`, and their list `ALL`. Two forms:
///
/// - `NAME 680 "kebab-name" "about";` (an error) or `NAME 680 "kebab-name" Warning "about";`: without examples, since
///   no VMWfile alone raises it;
/// - `/// doc` `NAME = 100 "kebab-name" Error about "…" wrong "…" right "…";`.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal $kebab:literal $severity:ident
        about $about:literal wrong $wrong:literal right $right:literal;)*) => {
        $($(#[$doc])* pub static $name: $crate::diagnostic::Code = $crate::diagnostic::Code {
            number: $number,
            name: $kebab,
            severity: $crate::diagnostic::Severity::$severity,
            about: $about,
            wrong: $wrong,
            right: $right,
        };)*
        /// All codes of this file, by number.
        pub static ALL: &[&$crate::diagnostic::Code] = &[$(&$name),*];
    };
    ($($name:ident $number:literal $kebab:literal $severity:ident $about:literal;)*) => {
        $crate::diagnostic::codes! {
            $(#[doc = $about] $name = $number $kebab $severity about $about wrong "" right "";)*
        }
    };
    ($($name:ident $number:literal $kebab:literal $about:literal;)*) => {
        $crate::diagnostic::codes! { $($name $number $kebab Error $about;)* }
    };
}

pub(crate) use codes;
