//! Reading a client's JSON as values, and refusing what two readers may read differently.
//!
//! A member that stands twice is one value to one reader and another to the next: a schema would check the one, and whoever
//! reads the record would see the other. So it is refused, at any depth, and with it what nests too deep to be read again.

use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

use crate::limits;
use crate::problem::{Problem, quoted};
use crate::request::members::{NoMembers, members};

/// The body without the byte order mark that some clients put before their JSON.
#[must_use]
pub fn without_byte_order_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body)
}

/// Reads `raw` as a value. A problem calls it `name`.
///
/// # Errors
/// 422 when a member stands twice in one object, when it nests deeper than [`limits::JSON_LEVELS`], or when it holds
/// something that cannot be kept: a string that is no Unicode text, a number out of range.
pub fn read(name: &str, raw: &RawValue) -> Result<Value, Problem> {
    let mut deserializer = serde_json::Deserializer::from_str(raw.get());
    Levels(limits::JSON_LEVELS).deserialize(&mut deserializer).map_err(|error| {
        let why = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        let why = why.strip_suffix(&place).unwrap_or(&why);
        Problem::unprocessable(format!("{name} cannot be read: {why}"))
    })
}

/// Reads the members `names` of the object `raw`, and makes an object of them alone. Others are passed over, whatever they
/// are.
///
/// # Errors
/// 422 as [`read`], and when one of them stands twice.
pub fn read_members<const N: usize>(raw: &RawValue, names: [&str; N]) -> Result<Value, Problem> {
    let found = members(raw.get(), names).map_err(|error| match error {
        NoMembers::Twice(_) => Problem::unprocessable(error.to_string()),
        NoMembers::NotAnObject => Problem::unprocessable("data must be an object"),
    })?;
    let mut read_members = Map::new();
    for (name, raw) in names.into_iter().zip(found) {
        if let Some(raw) = raw {
            read_members.insert(name.to_owned(), read(name, raw)?);
        }
    }
    Ok(Value::Object(read_members))
}

/// Reads a value of at most so many levels.
#[derive(Clone, Copy)]
struct Levels(usize);

impl Levels {
    fn inside<E: Error>(self) -> Result<Self, E> {
        let too_deep = || E::custom(format_args!("at most {} levels may be nested", limits::JSON_LEVELS));
        self.0.checked_sub(1).map(Self).ok_or_else(too_deep)
    }
}

impl<'json> DeserializeSeed<'json> for Levels {
    type Value = Value;

    fn deserialize<Source: serde::Deserializer<'json>>(self, source: Source) -> Result<Value, Source::Error> {
        source.deserialize_any(self)
    }
}

impl<'json> Visitor<'json> for Levels {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<Access: SeqAccess<'json>>(self, mut elements: Access) -> Result<Value, Access::Error> {
        let inside = self.inside()?;
        let mut array = Vec::new();
        while let Some(element) = elements.next_element_seed(inside)? {
            array.push(element);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<Access: MapAccess<'json>>(self, mut members: Access) -> Result<Value, Access::Error> {
        let inside = self.inside()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if name.starts_with(RESERVED) {
                return Err(Error::custom(format_args!("no member may be called {}", quoted(&name))));
            }
            match object.entry(name) {
                Entry::Vacant(place) => drop(place.insert(members.next_value_seed(inside)?)),
                Entry::Occupied(there) => {
                    let name = quoted(there.key());
                    return Err(Error::custom(format_args!("the member {name} is given more than once")));
                }
            }
        }
        Ok(Value::Object(object))
    }
}

/// An object with one member of such a name is not read as an object by `serde_json`, but as whatever JSON the member's text
/// is. Stored text must read back as what was checked, here and with whoever reads an answer.
const RESERVED: &str = "$serde_json::private::";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::problem::Code;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    fn check(json: &str, detail: &str) {
        let problem = read("attributes", &raw(json)).unwrap_err();
        assert_eq!((problem.code, problem.detail.as_ref()), (Code::UnprocessableEntity, detail), "{json}");
    }

    #[test]
    fn a_mark_before_a_body_is_no_part_of_it() {
        for (body, read) in
            [(&b"\xEF\xBB\xBF{}"[..], &b"{}"[..]), (b"{}", b"{}"), (b"\xEF\xBB", b"\xEF\xBB"), (b"\xEF\xBB\xBF", b"")]
        {
            assert_eq!(without_byte_order_mark(body), read);
        }
    }

    #[test]
    fn a_member_that_stands_twice_is_named_wherever_it_is() {
        check(r#"{"name":1,"name":"x"}"#, r#"attributes cannot be read: the member "name" is given more than once"#);
        check(
            r#"{"a":[{"b":{"c":1,"d":2,"c":1}}]}"#,
            r#"attributes cannot be read: the member "c" is given more than once"#,
        );
        check(r#"{"a":1,"\u0061":1}"#, r#"attributes cannot be read: the member "a" is given more than once"#);
        check(r#"{"":1,"":1}"#, r#"attributes cannot be read: the member "" is given more than once"#);
        let long = "ä".repeat(100);
        let detail = format!(r#"attributes cannot be read: the member "{}…" is given more than once"#, "ä".repeat(80));
        check(&format!(r#"{{"{long}":1,"{long}":1}}"#), &detail);
        check(
            r#"{" at line 1 column 2":1," at line 1 column 2":1}"#,
            r#"attributes cannot be read: the member " at line 1 column 2" is given more than once"#,
        );
        // Members of different objects, and of different case, are different members.
        for fine in [r#"{"a":{"a":{"a":1}},"A":1}"#, r#"[{"a":1},{"a":1}]"#, r#"{"ä":1,"a\u0308":1}"#] {
            assert_eq!(read("attributes", &raw(fine)).unwrap(), serde_json::from_str::<Value>(fine).unwrap());
        }
    }

    fn nested(levels: usize, open: &str, inner: &str, close: &str) -> String {
        format!("{}{inner}{}", open.repeat(levels), close.repeat(levels))
    }

    #[test]
    fn so_many_levels_are_read_and_one_more_is_refused() {
        let detail = "attributes cannot be read: at most 100 levels may be nested";
        for (open, inner, close) in [("[", "", "]"), (r#"{"a":"#, "1", "}"), (r#"[{"a":"#, "{}", "}]")] {
            let levels_each = open.matches(['[', '{']).count();
            let levels_inside = inner.matches('{').count();
            let most = (limits::JSON_LEVELS - levels_inside) / levels_each;
            let fits = nested(most, open, inner, close);
            assert_eq!(read("attributes", &raw(&fits)).unwrap().to_string(), fits);
            for levels in [most + 1, 127, 128, 129, 10_000, 1_000_000] {
                check(&nested(levels, open, inner, close), detail);
            }
        }
    }

    #[test]
    fn what_cannot_be_kept_is_told_why() {
        check(r#"{"a":"\ud800"}"#, "attributes cannot be read: unexpected end of hex escape");
        check(r#"{"\ud800":1}"#, "attributes cannot be read: unexpected end of hex escape");
        check("[1e999]", "attributes cannot be read: number out of range");
        check(
            r#"{"a":{"$serde_json::private::RawValue":"[[]]"}}"#,
            r#"attributes cannot be read: no member may be called "$serde_json::private::RawValue""#,
        );
    }

    #[test]
    fn only_the_members_that_are_named_are_read() {
        let data = raw(&format!(r#"{{"schema":{{"a":1}},"x":1,"x":2,"y":{},"key":"k"}}"#, nested(9_000, "[", "", "]")));
        let read = read_members(&data, ["key", "schema", "none"]).unwrap();
        assert_eq!(read.to_string(), r#"{"key":"k","schema":{"a":1}}"#);
        let detail = |data: &str| read_members(&raw(data), ["key", "schema"]).unwrap_err().detail;
        assert_eq!(detail(r#"{"key":1,"k\u0065y":1}"#), "key is given more than once");
        assert_eq!(
            detail(r#"{"schema":{"a":{"b":1,"b":1}}}"#),
            r#"schema cannot be read: the member "b" is given more than once"#
        );
        assert_eq!(
            detail(&format!(r#"{{"schema":{}}}"#, nested(101, "[", "", "]"))),
            "schema cannot be read: at most 100 levels may be nested"
        );
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::btree_map("[a-c]{0,2}|.{0,3}", inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_any_reader_reads(value in json()) {
            let read = read("attributes", &raw(&value.to_string())).unwrap();
            prop_assert_eq!(&read, &value);
            prop_assert_eq!(read.to_string(), value.to_string());
        }
    }
}
