//! Settings structs that know their own keys.
//!
//! serde's derive is close to what a settings file needs, but three things are missing: `key:` with
//! nothing after it must mean "the default", a struct must be able to take the keys of another one
//! inline without serde's `flatten` (which buffers values and forgets that `15` may be text), and an
//! unknown key should name the key that was probably meant. [`Fields`] and [`settings!`](crate::settings!) add these
//! with no buffering: each key is handed to the struct that owns it while its value is still unread.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// A struct whose fields are the keys of a YAML mapping. Written by [`settings!`](crate::settings!).
pub trait Fields: Default {
    /// Reads the value of `key` if the key is one of this struct's.
    ///
    /// Answers `false`, with the value still unread, when it is not.
    ///
    /// # Errors
    /// What the value's own type says about it.
    fn set<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error>;

    /// Writes every field that is not empty, or that is marked `always`.
    ///
    /// # Errors
    /// What the serializer says.
    fn put<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error>;

    /// Calls `each` with every key, those of inlined structs included.
    fn keys(each: &mut dyn FnMut(&'static str));

    /// Looks at the whole once it is read: rules between keys, and values derived from others.
    ///
    /// # Errors
    /// A sentence for the person who wrote the file.
    fn check(&mut self) -> Result<(), String>;
}

/// Reads a struct of settings; the body of its `Deserialize`.
///
/// # Errors
/// Unknown keys, values of the wrong type, and whatever [`Fields::check`] refuses.
pub fn deserialize<'de, T: Fields, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    struct Settings<T>(PhantomData<T>);

    impl<'de, T: Fields> Visitor<'de> for Settings<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a mapping of settings")
        }

        fn visit_unit<E: serde::de::Error>(self) -> Result<T, E> {
            checked(T::default())
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
            let mut settings = T::default();
            while let Some(key) = map.next_key::<String>()? {
                if !settings.set(&key, &mut map)? {
                    // The only kind of error that every format places at the key itself.
                    return Err(A::Error::unknown_field(&hint::<T>(&key), &[]));
                }
            }
            checked(settings)
        }
    }

    from.deserialize_map(Settings(PhantomData))
}

fn checked<T: Fields, E: serde::de::Error>(mut settings: T) -> Result<T, E> {
    settings.check().map_err(E::custom)?;
    Ok(settings)
}

/// The error for a key that is known but cannot be had, placed at the key.
pub fn refused_key<E: serde::de::Error>(key: &str, why: &str) -> E {
    E::unknown_field(&format!("{key}: {why}"), &[])
}

fn hint<T: Fields>(key: &str) -> String {
    let mut known = Vec::new();
    T::keys(&mut |name| known.push(name));
    match crate::nearest(key, known.iter().copied()) {
        Some(name) => format!("{key:?}, did you mean {name:?}?"),
        None => format!("{key:?}"),
    }
}

/// Writes a struct of settings; the body of its `Serialize`.
///
/// # Errors
/// What the serializer says.
pub fn serialize<T: Fields, S: Serializer>(settings: &T, to: S) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(None)?;
    settings.put(&mut map)?;
    map.end()
}

/// Reads one value into a field; nothing after the colon leaves the default.
///
/// # Errors
/// What the value's type says about it.
pub fn value<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    field: &mut T,
    map: &mut A,
) -> Result<(), A::Error> {
    if let Some(value) = map.next_value::<Option<T>>()? {
        *field = value;
    }
    Ok(())
}

/// Writes one field, unless it is empty and not to be written then.
///
/// # Errors
/// What the serializer says.
pub fn put_field<T: Serialize + Empty, M: SerializeMap>(
    map: &mut M,
    key: &'static str,
    field: &T,
    always: bool,
) -> Result<(), M::Error> {
    if always || !field.is_empty() {
        map.serialize_entry(key, field)?;
    }
    Ok(())
}

/// Whether a value says nothing, and can be left out when settings are printed.
///
/// As in Go's `omitempty`: zero, false, empty texts and lists, and structs of nothing but these.
pub trait Empty {
    /// True if leaving the value out loses nothing.
    fn is_empty(&self) -> bool {
        false
    }
}

macro_rules! zero_is_empty {
    ($($t:ty),*) => { $(impl Empty for $t {
        fn is_empty(&self) -> bool { *self == <$t>::default() }
    })* };
}
zero_is_empty!(bool, u8, u16, u32, u64, usize, i32, i64, f64);

impl Empty for String {
    fn is_empty(&self) -> bool {
        self.is_empty()
    }
}

impl<T> Empty for Option<T> {
    fn is_empty(&self) -> bool {
        self.is_none()
    }
}

impl<T> Empty for Vec<T> {
    fn is_empty(&self) -> bool {
        self.is_empty()
    }
}

impl<K, V> Empty for BTreeMap<K, V> {
    fn is_empty(&self) -> bool {
        self.is_empty()
    }
}

/// Declares a struct of settings: its fields are its keys, in the order they are printed.
///
/// `key: type = default` sets a default other than the type's; `as "name"` names a key that is not
/// a Rust name; `=> always` prints the field even when it is empty. Structs after `inline` give
/// their keys to the same mapping. `check` names a function that looks at the whole.
///
/// ```
/// headwater_yaml::settings! {
///     /// How a queue sends.
///     #[derive(Clone, Debug, PartialEq)]
///     pub struct Queue {
///         /// Samples held per shard.
///         pub capacity: usize = 10_000,
///         /// Who receives.
///         pub name: String,
///     }
///     check(|queue: &mut Queue| match queue.capacity {
///         0 => Err("capacity must be greater than 0".into()),
///         _ => Ok(()),
///     })
/// }
///
/// let queue: Queue = headwater_yaml::from_str("capacity:\nname: 15\n")?;
/// assert_eq!((queue.capacity, queue.name.as_str()), (10_000, "15"));
///
/// let error = headwater_yaml::from_str::<Queue>("capacty: 5\n").unwrap_err();
/// assert_eq!(error.to_string(), "line 1, column 1: unknown key \"capacty\", did you mean \"capacity\"?");
/// # Ok::<(), headwater_yaml::Error>(())
/// ```
#[macro_export]
macro_rules! settings {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            $(
                $(#[$fmeta:meta])*
                $fvis:vis $field:ident : $ty:ty $(as $key:literal)? $(= $default:expr)? $(=> $always:ident)?
            ),* $(,)?
        }
        $(inline {
            $( $(#[$imeta:meta])* $ivis:vis $inline:ident : $ity:ty $(= $idefault:expr)? ),* $(,)?
        })?
        $(check($check:expr))?
    ) => {
        $(#[$meta])*
        $vis struct $name {
            $( $(#[$fmeta])* $fvis $field: $ty, )*
            $($( $(#[$imeta])* $ivis $inline: $ity, )*)?
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    $( $field: $crate::settings!(@default $($default)?), )*
                    $($( $inline: $crate::settings!(@default $($idefault)?), )*)?
                }
            }
        }

        impl $crate::Fields for $name {
            fn set<'de, A: $crate::serde::de::MapAccess<'de>>(
                &mut self,
                key: &str,
                map: &mut A,
            ) -> Result<bool, A::Error> {
                $(
                    if key == $crate::settings!(@key $field $($key)?) {
                        $crate::value(&mut self.$field, map)?;
                        return Ok(true);
                    }
                )*
                $($(
                    if $crate::Fields::set(&mut self.$inline, key, map)? {
                        return Ok(true);
                    }
                )*)?
                let _ = (key, map);
                Ok(false)
            }

            fn put<M: $crate::serde::ser::SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
                $(
                    $crate::put_field(
                        map,
                        $crate::settings!(@key $field $($key)?),
                        &self.$field,
                        $crate::settings!(@always $($always)?),
                    )?;
                )*
                $($( $crate::Fields::put(&self.$inline, map)?; )*)?
                let _ = map;
                Ok(())
            }

            fn keys(each: &mut dyn FnMut(&'static str)) {
                $( each($crate::settings!(@key $field $($key)?)); )*
                $($( <$ity as $crate::Fields>::keys(each); )*)?
                let _ = each;
            }

            fn check(&mut self) -> Result<(), String> {
                $($( $crate::Fields::check(&mut self.$inline)?; )*)?
                $( let check: fn(&mut $name) -> Result<(), String> = $check; check(self)?; )?
                Ok(())
            }
        }

        impl<'de> $crate::serde::Deserialize<'de> for $name {
            fn deserialize<D: $crate::serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                $crate::deserialize(from)
            }
        }

        impl $crate::serde::Serialize for $name {
            fn serialize<S: $crate::serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                $crate::serialize(self, to)
            }
        }

        impl $crate::Empty for $name {
            fn is_empty(&self) -> bool {
                true $( && $crate::Empty::is_empty(&self.$field) )*
                    $($( && $crate::Empty::is_empty(&self.$inline) )*)?
            }
        }
    };
    (@default) => { ::core::default::Default::default() };
    (@default $default:expr) => { $default };
    (@key $field:ident) => { stringify!($field) };
    (@key $field:ident $key:literal) => { $key };
    (@always) => { false };
    (@always always) => { true };
}
