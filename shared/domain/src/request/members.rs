//! Reading the members of a JSON object without building the object.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The reason why the members of a JSON text cannot be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoMembers<'names> {
    #[error("this is not an object")]
    NotAnObject,
    /// The member with this name is given more than once, so none of its values counts.
    #[error("{0} is given more than once")]
    Twice(&'names str),
}

/// The raw text of the named members of the JSON object `json`, in the order of `names`; `None` where one is absent.
///
/// Other members are passed over, however often they stand there. `json` is known to be JSON: a control character in the name
/// of a member, which would make it none, is not noticed here.
///
/// # Errors
/// When `json` is not an object, or has one of the members twice.
pub fn members<'json, 'names, const N: usize>(
    json: &'json str,
    names: [&'names str; N],
) -> Result<[Option<&'json RawValue>; N], NoMembers<'names>> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let members = Members { names, lifetime: PhantomData };
    let found = serde::Deserializer::deserialize_map(&mut deserializer, members);
    let Ok((found, twice)) = found.and_then(|found| deserializer.end().map(|()| found)) else {
        return Err(NoMembers::NotAnObject);
    };
    twice.map_or(Ok(found), |position| Err(NoMembers::Twice(names[position])))
}

struct Members<'names, 'json, const N: usize> {
    names: [&'names str; N],
    lifetime: PhantomData<&'json ()>,
}

impl<'json, const N: usize> Visitor<'json> for Members<'_, 'json, N> {
    /// The members, and which of them was found to stand twice.
    type Value = ([Option<&'json RawValue>; N], Option<usize>);

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<Access: MapAccess<'json>>(self, mut map: Access) -> Result<Self::Value, Access::Error> {
        let mut found = [None; N];
        let mut twice = None;
        while let Some(position) = map.next_key_seed(Name(&self.names))? {
            match position {
                Some(position) => {
                    if found[position].replace(map.next_value()?).is_some() {
                        twice = twice.or(Some(position));
                    }
                }
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok((found, twice))
    }
}

/// The position among `names` of a member's name, which is the raw text of a JSON string.
pub(crate) fn position_of(name: &RawValue, names: &[&str]) -> Option<usize> {
    Name(names).deserialize(&mut serde_json::Deserializer::from_str(name.get())).ok().flatten()
}

/// Reads a key of what is known to be JSON as its position among the wanted names, so that no key is copied. As bytes: a key
/// that is no Unicode text (`"\ud800"`) is nobody's name, and passed over like any other. Of bytes, `serde_json` takes control
/// characters too, which JSON does not have.
struct Name<'names>(&'names [&'names str]);

impl<'json> DeserializeSeed<'json> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<Source: serde::Deserializer<'json>>(self, source: Source) -> Result<Self::Value, Source::Error> {
        source.deserialize_bytes(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a member name")
    }

    fn visit_bytes<Error>(self, key: &[u8]) -> Result<Self::Value, Error> {
        Ok(self.0.iter().position(|name| name.as_bytes() == key))
    }
}

/// What kind of JSON value a raw text is, in the words of an error.
#[must_use]
pub fn kind_of(raw: &RawValue) -> &'static str {
    match raw.get().as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<const N: usize>(json: &str, names: [&str; N], expected: [Option<&str>; N]) {
        assert_eq!(members(json, names).unwrap().map(|raw| raw.map(RawValue::get)), expected, "{json}");
    }

    #[test]
    fn each_kind_of_value_has_its_name() {
        for (json, kind) in [
            ("{}", "an object"),
            ("[]", "an array"),
            ("\"\"", "a string"),
            ("true", "a boolean"),
            ("false", "a boolean"),
            ("null", "null"),
            ("-1", "a number"),
        ] {
            assert_eq!(kind_of(serde_json::from_str(json).unwrap()), kind);
        }
    }

    #[test]
    fn finds_named_members_and_passes_over_the_rest() {
        check(r#"{"a":1,"b":[2, 3],"c":{}}"#, ["b", "x", "a"], [Some("[2, 3]"), None, Some("1")]);
        check("{}", ["a"], [None]);
        check(r#" { "a" : "ä" } "#, ["a"], [Some("\"ä\"")]);
    }

    #[test]
    fn a_member_that_stands_twice_is_named_and_an_escaped_name_is_the_same_name() {
        let twice = |json| members(json, ["a", "ä"]).unwrap_err();
        assert_eq!(twice(r#"{"a":1,"a":1}"#), NoMembers::Twice("a"));
        assert_eq!(twice(r#"{"a":1,"b":1,"\u0061":null}"#), NoMembers::Twice("a"));
        assert_eq!(twice(r#"{"\u00e4":1,"ä":2}"#).to_string(), "ä is given more than once");
        check(r#"{"b":1,"a":{"a":1,"a":1},"b":2}"#, ["a"], [Some(r#"{"a":1,"a":1}"#)]);
        check(r#"{"\u0061":1}"#, ["a"], [Some("1")]);
        check(r#"{"\u00e4":1}"#, ["ä"], [Some("1")]);
    }

    #[test]
    fn a_name_that_is_no_unicode_text_is_passed_over() {
        check(r#"{"\ud800":1,"a":2,"\udc00x":{}}"#, ["a"], [Some("2")]);
    }

    #[test]
    fn what_is_not_one_object_is_refused() {
        for json in ["[]", "1", "\"a\"", "null", "{", "{} {}", ""] {
            assert_eq!(members(json, ["a"]).unwrap_err(), NoMembers::NotAnObject, "{json}");
        }
    }

    #[test]
    fn what_is_passed_over_may_nest_as_it_likes() {
        let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        check(&format!(r#"{{"deep":{deep},"a":1}}"#), ["a"], [Some("1")]);
        check(&format!(r#"{{"deep":{deep}}}"#), ["deep"], [Some(&deep)]);
    }
}
