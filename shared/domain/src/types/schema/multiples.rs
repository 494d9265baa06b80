//! The `multipleOf` keyword for numbers that no ordinary arithmetic is exact for.
//!
//! The validator divides them as fractions of any length, which takes up to a tenth of a millisecond for 1e300 and 0.5. Here
//! numbers whose quotient is beyond all measure are divided as doubles are, in nanoseconds; all others as the validator does.

use jsonschema::paths::Location;
use jsonschema::{Draft, Keyword, ValidationError, Validator};
use serde_json::{Map, Value, json};

use super::MadeKeyword;

/// Up to here the validator divides without fractions.
const EXACT: f64 = 1e21;

/// The factory of the keyword.
pub(super) fn keyword<'schema>(
    _: &'schema Map<String, Value>,
    value: &'schema Value,
    _: Location,
) -> MadeKeyword<'schema> {
    let no_number = || ValidationError::schema("it is not a number");
    let divisor = value.as_f64().filter(|divisor| *divisor > 0.0).ok_or_else(no_number)?;
    let options = jsonschema::options().with_draft(Draft::Draft202012).offline();
    let exact = options.build(&json!({"multipleOf": value})).map_err(|_| no_number())?;
    Ok(Box::new(MultipleOf { text: value.to_string(), divisor, exact }))
}

struct MultipleOf {
    text: String,
    divisor: f64,
    exact: Validator,
}

impl<'instance> Keyword<'instance> for MultipleOf {
    fn validate(&self, instance: &'instance Value) -> Result<(), ValidationError<'instance>> {
        if self.is_valid(instance) {
            return Ok(());
        }
        Err(ValidationError::custom(format!("{instance} is not a multiple of {}", self.text)))
    }

    fn is_valid(&self, instance: &'instance Value) -> bool {
        let Some(number) = instance.as_f64().filter(|_| instance.is_number()) else { return true };
        let smallest = 1.0 / EXACT;
        let is_ordinary = (number / self.divisor).abs() < EXACT
            && self.divisor >= smallest
            && (number == 0.0 || number.abs() >= smallest);
        if is_ordinary || self.divisor.fract() == 0.0 {
            return self.exact.is_valid(instance);
        }
        number % self.divisor == 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_numbers_are_divided_exactly_and_others_like_doubles() {
        let fits = |divisor: Value, number: Value| {
            let members = Map::new();
            keyword(&members, &divisor, Location::new()).unwrap().is_valid(&number)
        };
        for (divisor, number, expected) in [
            (json!(0.01), json!(19.99), true),
            (json!(0.01), json!(19.999), false),
            (json!(0.1), json!(0.3), true),
            (json!(3), json!(9_007_199_254_740_993_u64), true),
            (json!(3), json!(9_007_199_254_740_994_u64), false),
            (json!(0.01), json!(100_000_000_000_000_u64), true),
            (json!(0.5), json!(1e300), true),
            (json!(0.5), json!(1e-300), false),
            (json!(1e-300), json!(1.0), false),
            (json!(0.5), json!("no number"), true),
            // A multiple as fractions go; as a double it is none.
            (json!(0.1), json!(1e300), false),
            // From a quotient of 1e21 on, and not before.
            (json!(0.1), json!(1e19), true),
            (json!(0.1), json!(1e20), false),
            (json!(1e-10), json!(1e15), false),
        ] {
            assert_eq!(fits(divisor.clone(), number.clone()), expected, "{number} of {divisor}");
        }
    }

    #[test]
    fn what_is_no_multiple_is_named_with_the_divisor() {
        let (members, divisor, six, seven) = (Map::new(), json!(3), json!(6), json!(7));
        let threes = keyword(&members, &divisor, Location::new()).unwrap();
        assert!(threes.validate(&six).is_ok());
        let error = threes.validate(&seven).unwrap_err().to_string();
        assert_eq!(error, "7 is not a multiple of 3");
        for none in [json!(0), json!(-1), json!("3")] {
            assert!(keyword(&members, &none, Location::new()).is_err(), "{none}");
        }
    }
}
