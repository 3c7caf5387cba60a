//! Words with a fixed set of meanings.

use headwater_model::name::NameScheme;

/// Declares an enum that settings write as one of a few words.
macro_rules! words {
    (
        $(#[$meta:meta])*
        pub enum $name:ident ($what:literal) {
            $( $(#[$vmeta:meta])* $variant:ident = $word:literal ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $( $(#[$vmeta])* $variant ),* }

        impl $name {
            /// Every word there is.
            pub const WORDS: &[&str] = &[$($word),*];

            /// The word.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $( Self::$variant => $word ),* }
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let word = <String as ::serde::Deserialize>::deserialize(from)?;
                match word.as_str() {
                    $( $word => Ok(Self::$variant), )*
                    _ => Err(<D::Error as ::serde::de::Error>::custom(format!(
                        concat!("unknown ", $what, " {:?}, supported: {}"),
                        word,
                        Self::WORDS.join(", "),
                    ))),
                }
            }
        }

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(self.word())
            }
        }

        impl ::headwater_yaml::Empty for $name {}
    };
}
pub(crate) use words;

words! {
    /// `http` or `https`.
    #[derive(Default)]
    pub enum Scheme("scheme") {
        /// In the clear.
        #[default]
        Http = "http",
        /// Encrypted.
        Https = "https",
    }
}

words! {
    /// Which names of metrics and labels are accepted.
    #[derive(Default)]
    pub enum Validation("name validation scheme") {
        /// Any text that is not empty.
        #[default]
        Utf8 = "utf8",
        /// The classic characters.
        Legacy = "legacy",
    }
}

impl Validation {
    /// The scheme as the model has it.
    #[must_use]
    pub const fn scheme(self) -> NameScheme {
        match self {
            Self::Utf8 => NameScheme::Utf8,
            Self::Legacy => NameScheme::Legacy,
        }
    }
}

words! {
    /// How a target is asked to write names outside the classic characters.
    pub enum Escaping("name escaping scheme") {
        /// As they are.
        AllowUtf8 = "allow-utf-8",
        /// With underscores in place of foreign characters.
        Underscores = "underscores",
        /// With words in place of dots.
        Dots = "dots",
        /// So that they can be read back.
        Values = "values",
    }
}

impl Escaping {
    /// What holds if this was said, or nothing, under a validation scheme.
    pub(crate) fn settle(said: Option<Self>, validation: Validation) -> Result<Self, String> {
        match (said, validation) {
            (None, Validation::Utf8) => Ok(Self::AllowUtf8),
            (None, Validation::Legacy) => Ok(Self::Underscores),
            (Some(Self::AllowUtf8), Validation::Legacy) => {
                Err("utf8 metric names requested but validation scheme is not set to UTF8".into())
            }
            (Some(said), _) => Ok(said),
        }
    }
}
