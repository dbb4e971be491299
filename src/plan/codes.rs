//! What keeps a build from starting, apart from what vSphere itself reports.

use crate::diagnostic::{Code, Severity};

macro_rules! codes {
    ($($name:ident $number:literal $kebab:literal $about:literal;)*) => {
        $(
            #[doc = $about]
            pub static $name: Code = Code {
                number: $number,
                name: $kebab,
                severity: Severity::Error,
                about: $about,
                wrong: "",
                right: "",
            };
        )*
        /// All of them, by number.
        pub static ALL: &[&Code] = &[$(&$name),*];
    };
}

codes! {
    NAME_TAKEN 691 "name-taken"
        "There is already a machine or template of the name that an OUTPUT gives, in the same folder. \
         `OUTPUT --exists=replace` swaps it for the new one once everything is built.";
}
