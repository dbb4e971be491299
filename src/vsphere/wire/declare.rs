//! Macros that declare vim25 types once, for both directions.

/// Declares data objects: fields in schema order, each with the name it bears on the wire.
macro_rules! data {
    ($(
        $(#[$meta:meta])*
        $name:ident { $( $(#[$fmeta:meta])* $field:ident: $type:ty = $wire:literal, )* }
    )*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name {
            $(
                #[doc = concat!("`", $wire, "`.")]
                $(#[$fmeta])*
                pub $field: $type,
            )*
        }

        impl $crate::vsphere::wire::Value for $name {
            const TYPE: &'static str = stringify!($name);
            fn to_element(&self, name: &str) -> $crate::vsphere::wire::Element {
                #[allow(unused_mut, reason = "types without fields")]
                let mut element = $crate::vsphere::wire::Element::new(name);
                $( $crate::vsphere::wire::Field::write(&self.$field, $wire, &mut element); )*
                element
            }
            fn from_element(
                element: &$crate::vsphere::wire::Element,
            ) -> Result<Self, $crate::vsphere::wire::WireError> {
                let _ = element;
                Ok($name { $( $field: $crate::vsphere::wire::Field::read(element, $wire)?, )* })
            }
        }
    )*};
}

/// Declares a family of types told apart by `xsi:type`. What is not listed is kept as it is in `Other`.
macro_rules! family {
    ($(
        $(#[$meta:meta])*
        $name:ident { $( $variant:ident($type:ty), )* }
    )*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub enum $name {
            $(
                #[doc = concat!("[`", stringify!($type), "`].")]
                $variant($type),
            )*
            /// A type that is not among those above.
            Other($crate::vsphere::wire::Element),
        }

        impl Default for $name {
            fn default() -> Self {
                $name::Other($crate::vsphere::wire::Element::default())
            }
        }

        impl $crate::vsphere::wire::Value for $name {
            const TYPE: &'static str = stringify!($name);
            fn to_element(&self, name: &str) -> $crate::vsphere::wire::Element {
                match self {
                    $(
                        $name::$variant(value) => {
                            let element = $crate::vsphere::wire::Value::to_element(value, name);
                            element.typed(<$type as $crate::vsphere::wire::Value>::TYPE)
                        }
                    )*
                    $name::Other(element) => element.clone().named(name),
                }
            }
            fn from_element(
                element: &$crate::vsphere::wire::Element,
            ) -> Result<Self, $crate::vsphere::wire::WireError> {
                $(
                    if element.xsi_type.as_deref() == Some(<$type as $crate::vsphere::wire::Value>::TYPE) {
                        return Ok($name::$variant($crate::vsphere::wire::Value::from_element(element)?));
                    }
                )*
                Ok($name::Other(element.clone()))
            }
        }
    )*};
}

/// Declares texts with a closed set of values, with the API's name of the type; what is not listed is kept in `Other`.
macro_rules! words {
    ($(
        $(#[$meta:meta])*
        $name:ident = $type:literal { $( $variant:ident = $wire:literal, )* }
    )*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $(
                #[doc = concat!("`", $wire, "`.")]
                $variant,
            )*
            /// A value that is not among those above.
            Other(String),
        }

        impl $name {
            /// The text on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $( $name::$variant => $wire, )*
                    $name::Other(text) => text,
                }
            }
        }

        impl Default for $name {
            fn default() -> Self {
                $name::Other(String::new())
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $( $wire => $name::$variant, )*
                    other => $name::Other(other.to_owned()),
                }
            }
        }

        impl $crate::vsphere::wire::Value for $name {
            const TYPE: &'static str = $type;
            fn to_element(&self, name: &str) -> $crate::vsphere::wire::Element {
                $crate::vsphere::wire::Element::text(name, self.as_str())
            }
            fn from_element(
                element: &$crate::vsphere::wire::Element,
            ) -> Result<Self, $crate::vsphere::wire::WireError> {
                Ok($name::from(element.text.trim()))
            }
        }
    )*};
}

/// Declares methods: the request with its parameters in schema order, what it returns, and whether sending it
/// twice does no harm (`read` or `write`; `pbm` is a `read` of the storage policies' service).
macro_rules! methods {
    ($(
        $(#[$meta:meta])*
        $replay:ident $name:ident = $method:literal { $( $field:ident: $type:ty = $wire:literal, )* } -> $returns:ty;
    )*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name {
            /// The object that it is called on.
            pub this: $crate::vsphere::wire::Moref,
            $(
                #[doc = concat!("`", $wire, "`.")]
                pub $field: $type,
            )*
        }

        impl $crate::vsphere::wire::Method for $name {
            const NAME: &'static str = $method;
            const SAFE: bool = methods!(@ $replay);
            const SERVICE: $crate::vsphere::wire::Service = methods!(@service $replay);
            type Returns = $returns;
            fn this(&self) -> &$crate::vsphere::wire::Moref {
                &self.this
            }
            fn to_body(&self) -> $crate::vsphere::wire::Element {
                let mut element = $crate::vsphere::wire::Element::new($method);
                $crate::vsphere::wire::Field::write(&self.this, "_this", &mut element);
                $( $crate::vsphere::wire::Field::write(&self.$field, $wire, &mut element); )*
                element
            }
            fn from_body(
                element: &$crate::vsphere::wire::Element,
            ) -> Result<Self, $crate::vsphere::wire::WireError> {
                Ok($name {
                    this: $crate::vsphere::wire::Field::read(element, "_this")?,
                    $( $field: $crate::vsphere::wire::Field::read(element, $wire)?, )*
                })
            }
        }
    )*};
    (@ read) => { true };
    (@ pbm) => { true };
    (@ write) => { false };
    (@service pbm) => { $crate::vsphere::wire::Service::Pbm };
    (@service $other:ident) => { $crate::vsphere::wire::Service::Vim };
}

pub(crate) use {data, family, methods, words};
