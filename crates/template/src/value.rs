//! The values a template works on: what Go's reflection sees, as an enum.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::float::format_float;

/// A value of a template expression. Cloning is cheap: text, lists, maps and
/// objects are shared.
#[derive(Clone, Default)]
pub enum Value {
    /// Go's invalid value or nil interface; printed alone it reads `<no value>`.
    #[default]
    Nil,
    /// A bool.
    Bool(bool),
    /// Any of Go's signed integers.
    Int(i64),
    /// A float64.
    Float(f64),
    /// A string. Bytes that are not UTF-8 must be replaced by the caller.
    Str(Arc<str>),
    /// A slice.
    List(Arc<[Value]>),
    /// A map with string keys.
    Map(Arc<Map>),
    /// Anything else, known by its methods.
    Object(Arc<dyn Object>),
}

/// A map with string keys, iterated in key order as Go's templates do.
#[derive(Debug, Clone, Default)]
pub struct Map {
    /// The entries.
    pub entries: BTreeMap<String, Value>,
    /// What a missing key yields: Go's zero value of the element type.
    pub missing: Value,
}

/// A value with behaviour: a time, a sample, a query result.
///
/// Names follow Go: `field` answers exported struct fields, `method` exported
/// methods. The text form is what `{{ . }}` prints.
pub trait Object: fmt::Display + fmt::Debug + Send + Sync {
    /// The Go type name used in error texts, for example `time.Time`.
    fn type_name(&self) -> &str;

    /// The value of a struct field, or `None` when there is no such field.
    fn field(&self, _name: &str) -> Option<Value> {
        None
    }

    /// Calls a method, or answers `None` when there is no such method.
    fn method(&self, _name: &str, _args: &[Value]) -> Option<Result<Value, String>> {
        None
    }

    /// Lets a registered function recognise its own objects.
    fn as_any(&self) -> &dyn std::any::Any;
}

impl Value {
    /// A string value.
    pub fn str(s: impl AsRef<str>) -> Self {
        Self::Str(Arc::from(s.as_ref()))
    }

    /// A `map[string]string`: a missing key reads as the empty string.
    pub fn string_map<K: Into<String>, V: AsRef<str>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let entries = pairs.into_iter().map(|(k, v)| (k.into(), Self::str(v)));
        Self::Map(Arc::new(Map {
            entries: entries.collect(),
            missing: Self::str(""),
        }))
    }

    /// A `map[string]interface {}`: a missing key reads as nil.
    pub fn map<K: Into<String>>(pairs: impl IntoIterator<Item = (K, Value)>) -> Self {
        Self::Map(Arc::new(Map {
            entries: pairs.into_iter().map(|(k, v)| (k.into(), v)).collect(),
            missing: Self::Nil,
        }))
    }

    /// A list value.
    pub fn list(items: impl IntoIterator<Item = Value>) -> Self {
        Self::List(items.into_iter().collect())
    }

    /// An object value.
    pub fn object(object: impl Object + 'static) -> Self {
        Self::Object(Arc::new(object))
    }

    /// The text, when this is a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(s) => Some(s),
            _ => None,
        }
    }

    /// The object of type `T`, when this holds one.
    pub fn downcast<T: 'static>(&self) -> Option<&T> {
        match self {
            Self::Object(object) => object.as_any().downcast_ref(),
            _ => None,
        }
    }

    /// Go's name of the type, as error texts show it.
    pub fn type_name(&self) -> Cow<'_, str> {
        Cow::Borrowed(match self {
            Self::Nil => "nil",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Str(_) => "string",
            Self::List(_) => "[]interface {}",
            Self::Map(m) => match m.missing {
                Self::Str(_) => "map[string]string",
                _ => "map[string]interface {}",
            },
            Self::Object(object) => return Cow::Owned(object.type_name().to_owned()),
        })
    }

    /// Whether `if` takes the value for true: not nil, zero, false or empty.
    pub fn truth(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(b) => *b,
            Self::Int(n) => *n != 0,
            Self::Float(f) => *f != 0.0,
            Self::Str(s) => !s.is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::Map(map) => !map.entries.is_empty(),
            Self::Object(_) => true,
        }
    }
}

/// Go's `%v`. A nil prints as `<nil>`; an action prints it as `<no value>`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("<nil>"),
            Self::Bool(b) => write!(f, "{b}"),
            Self::Int(n) => write!(f, "{n}"),
            Self::Float(x) => f.write_str(&format_float(*x, 'g', None)),
            Self::Str(s) => f.write_str(s),
            Self::List(items) => {
                f.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if i == 0 { "" } else { " " })?;
                }
                f.write_str("]")
            }
            Self::Map(map) => {
                f.write_str("map[")?;
                for (i, (key, value)) in map.entries.iter().enumerate() {
                    write!(f, "{}{key}:{value}", if i == 0 { "" } else { " " })?;
                }
                f.write_str("]")
            }
            Self::Object(object) => write!(f, "{object}"),
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Str(s) => write!(f, "{s:?}"),
            Self::Object(object) => write!(f, "{object:?}"),
            other => write!(f, "{other}"),
        }
    }
}

macro_rules! from_value {
    ($($ty:ty => $make:expr),* $(,)?) => {
        $(impl From<$ty> for Value {
            fn from(value: $ty) -> Self { ($make)(value) }
        })*
    };
}

from_value! {
    bool => Value::Bool,
    i64 => Value::Int,
    f64 => Value::Float,
    &str => Value::str,
    String => Value::str,
    Arc<str> => Value::Str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_go_does() {
        let list = Value::list([Value::Int(1), Value::Nil, Value::str("a")]);
        assert_eq!(list.to_string(), "[1 <nil> a]");
        let map = Value::string_map([("b", "2"), ("a", "1")]);
        assert_eq!(map.to_string(), "map[a:1 b:2]");
        assert_eq!(Value::Float(1e6).to_string(), "1e+06");
    }

    #[test]
    fn empty_things_are_false() {
        for value in [Value::Nil, 0i64.into(), 0.0.into(), "".into(), false.into()] {
            assert!(!value.truth(), "{value:?}");
        }
        assert!(!Value::list([]).truth());
        assert!(Value::from("x").truth());
    }
}
