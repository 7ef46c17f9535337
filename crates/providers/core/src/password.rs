//! `random_password`

use std::collections::BTreeMap;

use stack_core::{Path, Schema, Secret, Value};
use stack_provider::{Cx, Failure, Owner, Ownership, ProviderError, Resource, async_trait};

use crate::random;

const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const NUMERIC: &str = "0123456789";
const SPECIAL: &str = "!@#$%&*()-_=+[]{}<>:?";

/// A random password, drawn from the operating system's randomness and sealed in the state.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct RandomPasswordModel {
    /// Characters to draw, 1 to 4096; at least the sum of `min_lower`, `min_upper`, `min_numeric` and `min_special`.
    #[schema(replace)]
    pub length: u16,
    /// Use the letters a-z.
    #[schema(replace, default = true)]
    pub lower: bool,
    /// Use the letters A-Z.
    #[schema(replace, default = true)]
    pub upper: bool,
    /// Use the digits 0-9.
    #[schema(replace, default = true)]
    pub numeric: bool,
    /// Use the special characters `!@#$%&*()-_=+[]{}<>:?`, or those of `override_special`.
    #[schema(replace, default = true)]
    pub special: bool,
    /// Least number of letters a-z.
    #[schema(replace, default = 0)]
    pub min_lower: u16,
    /// Least number of letters A-Z.
    #[schema(replace, default = 0)]
    pub min_upper: u16,
    /// Least number of digits.
    #[schema(replace, default = 0)]
    pub min_numeric: u16,
    /// Least number of special characters.
    #[schema(replace, default = 0)]
    pub min_special: u16,
    /// Special characters to use instead of the usual ones.
    #[schema(replace)]
    pub override_special: Option<String>,
    /// Any values; a change of one of them draws anew.
    #[schema(replace)]
    pub keepers: Option<BTreeMap<String, String>>,
    /// The password.
    #[schema(computed)]
    pub result: Option<Secret<String>>,
    /// Always `none`: the password is the only identity there is.
    #[schema(computed)]
    pub id: Option<String>,
}

/// Resource type `random_password`.
#[derive(Clone, Copy, Debug)]
pub struct RandomPassword;

fn draw(arguments: &RandomPasswordModel) -> Result<Secret<String>, ProviderError> {
    let special = arguments.override_special.as_deref().unwrap_or(SPECIAL);
    let classes = [
        (arguments.lower, arguments.min_lower, LOWER),
        (arguments.upper, arguments.min_upper, UPPER),
        (arguments.numeric, arguments.min_numeric, NUMERIC),
        (arguments.special, arguments.min_special, special),
    ];
    let length = usize::from(arguments.length);
    let all: Vec<char> = classes
        .iter()
        .filter(|(used, ..)| *used)
        .flat_map(|(.., characters)| characters.chars())
        .collect();
    if all.is_empty() {
        return Err(ProviderError::invalid(
            "length",
            "there is no character to draw from; enable a class",
        ));
    }
    let mut drawn: Vec<char> = Vec::with_capacity(length);
    for (_, least, characters) in classes {
        let characters: Vec<char> = characters.chars().collect();
        for _ in 0..least {
            let index = random::below(characters.len().max(1))?;
            drawn.extend(characters.get(index));
        }
    }
    if drawn.len() > length {
        return Err(ProviderError::invalid(
            "length",
            "is less than the sum of the `min_*` arguments",
        ));
    }
    while drawn.len() < length {
        drawn.push(all[random::below(all.len())?]);
    }
    // Fisher-Yates, so that the characters asked for with `min_*` may stand anywhere.
    for i in (1..drawn.len()).rev() {
        drawn.swap(i, random::below(i + 1)?);
    }
    let password = Secret::new(drawn.iter().collect());
    drawn.fill('\0');
    Ok(password)
}

#[async_trait]
impl Resource for RandomPassword {
    const TYPE: &'static str = "random_password";
    const OWNERSHIP: Ownership = Ownership::Local;
    const TYPICAL_SECONDS: f64 = 0.0;
    type Model = RandomPasswordModel;
    type Client = ();

    async fn read(
        _: &Cx,
        (): &(),
        prior: &RandomPasswordModel,
    ) -> Result<Option<RandomPasswordModel>, ProviderError> {
        Ok(Some(prior.clone()))
    }

    async fn create(
        _: &Cx,
        (): &(),
        _: &Owner,
        planned: RandomPasswordModel,
    ) -> Result<RandomPasswordModel, Failure<RandomPasswordModel>> {
        Ok(RandomPasswordModel {
            result: Some(draw(&planned)?),
            id: Some("none".to_owned()),
            ..planned
        })
    }

    async fn delete(_: &Cx, (): &(), _: &RandomPasswordModel) -> Result<(), ProviderError> {
        Ok(())
    }

    async fn find(
        _: &Cx,
        (): &(),
        _: &Owner,
        _: &Value,
    ) -> Result<Option<RandomPasswordModel>, ProviderError> {
        Ok(None)
    }

    fn validate(config: &Value) -> Vec<(Path, String)> {
        let number = |name: &str| {
            let value = config.attribute(name)?;
            if value.is_null() {
                return Some(0);
            }
            value.as_number().and_then(stack_core::Number::as_i64)
        };
        let used = |name: &str| match config.attribute(name) {
            Some(value) if !value.is_null() => value.as_bool(),
            _ => Some(true),
        };
        let mut problems = Vec::new();
        let length = number("length");
        if length.is_some_and(|n| !(1..=4096).contains(&n)) {
            problems.push((
                Path::of(&["length"]),
                "a whole number from 1 to 4096 is required".to_owned(),
            ));
        }
        let mut sum = 0;
        for class in ["lower", "upper", "numeric", "special"] {
            let name = format!("min_{class}");
            let least = number(&name).unwrap_or(0);
            sum += least;
            if least > 0 && used(class) == Some(false) {
                problems.push((Path::of(&[&name]), format!("must be 0 while `{class}` is false")));
            }
        }
        if length.is_some_and(|n| n < sum) {
            let text = format!("is less than {sum}, the sum of the `min_*` arguments");
            problems.push((Path::of(&["length"]), text));
        }
        if ["lower", "upper", "numeric", "special"]
            .iter()
            .all(|class| used(class) == Some(false))
        {
            problems.push((
                Path::of(&["lower"]),
                "at least one class of characters must be used".to_owned(),
            ));
        }
        if config.attribute("override_special").and_then(Value::as_str) == Some("") {
            let text = "is empty; to use no special characters set `special = false`";
            problems.push((Path::of(&["override_special"]), text.to_owned()));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments() -> RandomPasswordModel {
        RandomPasswordModel {
            length: 24,
            lower: true,
            upper: true,
            numeric: true,
            special: true,
            min_lower: 0,
            min_upper: 0,
            min_numeric: 0,
            min_special: 0,
            override_special: None,
            keepers: None,
            result: None,
            id: None,
        }
    }

    #[test]
    fn classes_and_least_numbers_are_kept() {
        let arguments = RandomPasswordModel {
            length: 10,
            upper: false,
            min_numeric: 4,
            min_special: 3,
            override_special: Some("_.".to_owned()),
            ..arguments()
        };
        for _ in 0..50 {
            let password = draw(&arguments).unwrap();
            let text = password.expose();
            assert_eq!(text.chars().count(), 10);
            assert!(
                text.chars()
                    .all(|c| "_.".contains(c) || c.is_ascii_lowercase() || c.is_ascii_digit())
            );
            assert!(text.chars().filter(char::is_ascii_digit).count() >= 4);
            assert!(text.chars().filter(|c| "_.".contains(*c)).count() >= 3);
        }
    }

    #[test]
    fn two_draws_differ() {
        assert_ne!(draw(&arguments()).unwrap(), draw(&arguments()).unwrap());
    }

    #[test]
    fn arguments_that_cannot_work_are_named() {
        let config =
            |pairs: &[(&str, Value)]| Value::object(pairs.iter().map(|(k, v)| ((*k).to_owned(), v.clone())));
        let short = config(&[("length", Value::from(3)), ("min_lower", Value::from(4))]);
        assert_eq!(RandomPassword::validate(&short)[0].0, Path::of(&["length"]));
        let unused = config(&[
            ("length", Value::from(8)),
            ("special", Value::from(false)),
            ("min_special", Value::from(1)),
        ]);
        assert_eq!(RandomPassword::validate(&unused)[0].0, Path::of(&["min_special"]));
        let unknown = config(&[("length", Value::unknown(stack_core::Type::Number))]);
        assert!(RandomPassword::validate(&unknown).is_empty());
    }
}
