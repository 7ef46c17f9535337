//! `stack_data`

use stack_core::{Path, Schema, Type, Unknown, Value};
use stack_provider::{Cx, Failure, Owner, Ownership, ProviderError, Refined, Resource, async_trait};

/// Keeps a value in the state, and replaces itself (and what depends on it through `replace_triggered_by`) when a trigger
/// changes. Behaves as `terraform_data`, but keeps a sensitive input sensitive in `output`.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct StackDataModel {
    /// Any value; given back as `output` after apply.
    pub input: Value,
    /// Any value; a change of it, also of its type only, replaces the object.
    #[schema(replace)]
    pub triggers_replace: Value,
    /// The input as it was last applied. Known after apply whenever the input changes.
    #[schema(computed)]
    pub output: Value,
    /// A random UUID that stays for the life of the object.
    #[schema(computed)]
    pub id: Option<String>,
}

/// Resource type `stack_data`.
#[derive(Clone, Copy, Debug)]
pub struct StackData;

/// Equal in value and type; marks do not count, and neither does the type of a null.
fn same_value(a: Option<&Value>, b: Option<&Value>) -> bool {
    let (a, b) = (a.unwrap_or(&Value::NULL), b.unwrap_or(&Value::NULL));
    (a.is_null() && b.is_null()) || a.unmark_deep() == b.unmark_deep()
}

/// The output that will come of this input, not known yet.
fn unknown_output(input: &Value) -> Value {
    Value::unknown(input.ty()).mark(input.marks_deep())
}

/// The planned object of a create.
fn plan_new(planned: &Value, input: &Value) -> Value {
    let id = Unknown {
        not_null: true,
        ..Unknown::of(Type::String)
    };
    let output = if input.is_null() {
        input.clone()
    } else {
        unknown_output(input)
    };
    planned
        .with_attribute("id", Value::Unknown(Box::new(id)))
        .with_attribute("output", output)
}

#[async_trait]
impl Resource for StackData {
    const TYPE: &'static str = "stack_data";
    const OWNERSHIP: Ownership = Ownership::Local;
    const TYPICAL_SECONDS: f64 = 0.0;
    type Model = StackDataModel;
    type Client = ();

    async fn read(_: &Cx, (): &(), prior: &StackDataModel) -> Result<Option<StackDataModel>, ProviderError> {
        Ok(Some(prior.clone()))
    }

    async fn create(
        _: &Cx,
        (): &(),
        _: &Owner,
        planned: StackDataModel,
    ) -> Result<StackDataModel, Failure<StackDataModel>> {
        Ok(StackDataModel {
            output: planned.input.clone(),
            id: Some(uuid::Uuid::new_v4().to_string()),
            ..planned
        })
    }

    async fn update(
        _: &Cx,
        (): &(),
        prior: &StackDataModel,
        planned: StackDataModel,
    ) -> Result<StackDataModel, Failure<StackDataModel>> {
        Ok(StackDataModel {
            output: planned.input.clone(),
            id: prior.id.clone(),
            ..planned
        })
    }

    async fn delete(_: &Cx, (): &(), _: &StackDataModel) -> Result<(), ProviderError> {
        Ok(())
    }

    async fn find(_: &Cx, (): &(), _: &Owner, _: &Value) -> Result<Option<StackDataModel>, ProviderError> {
        Ok(None)
    }

    /// The id becomes the id of the object; its input is empty until the next apply.
    async fn import(_: &Cx, (): &(), id: &str) -> Result<StackDataModel, ProviderError> {
        Ok(StackDataModel {
            input: Value::NULL,
            triggers_replace: Value::NULL,
            output: Value::NULL,
            id: Some(id.to_owned()),
        })
    }

    fn refine(prior: Option<&Value>, planned: Value) -> Refined {
        let input = planned.attribute("input").unwrap_or(&Value::NULL).clone();
        let Some(prior) = prior.filter(|p| !p.is_null()) else {
            return plan_new(&planned, &input).into();
        };
        let trigger = "triggers_replace";
        if !same_value(prior.attribute(trigger), planned.attribute(trigger)) {
            return Refined {
                planned: plan_new(&planned, &input),
                replace: vec![Path::of(&[trigger])],
            };
        }
        if !same_value(prior.attribute("input"), Some(&input)) {
            return planned.with_attribute("output", unknown_output(&input)).into();
        }
        planned.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(input: Value, trigger: Value, output: Value) -> Value {
        Value::object([
            ("input".to_owned(), input),
            ("triggers_replace".to_owned(), trigger),
            ("output".to_owned(), output),
            ("id".to_owned(), "i".into()),
        ])
    }

    #[test]
    fn the_output_of_a_null_input_is_known() {
        let refined = StackData::refine(
            None,
            object(Value::NULL, Value::NULL, Value::unknown(Type::Dynamic)),
        );
        assert!(refined.planned.attribute("output").unwrap().is_null());
        assert!(!refined.planned.attribute("id").unwrap().is_known());
    }

    #[test]
    fn a_change_of_type_alone_makes_the_output_unknown() {
        let tuple = Value::tuple(vec!["a".into()]);
        let list = Value::list(Type::String, vec!["a".into()]);
        let prior = object(tuple.clone(), Value::NULL, tuple);
        let planned = prior.with_attribute("input", list);
        let refined = StackData::refine(Some(&prior), planned);
        let output = refined.planned.attribute("output").unwrap();
        assert_eq!(output, &Value::unknown(Type::list(Type::String)));
        assert_eq!(refined.planned.attribute("id"), Some(&Value::from("i")));
        assert!(refined.replace.is_empty());
    }

    #[test]
    fn an_unchanged_input_keeps_the_output() {
        let prior = object("a".into(), Value::NULL, "a".into());
        let planned = prior.with_attribute("input", Value::from("a").sensitive());
        let refined = StackData::refine(Some(&prior), planned);
        assert_eq!(refined.planned.attribute("output"), Some(&Value::from("a")));
    }

    #[test]
    fn a_trigger_replaces_also_when_it_is_unknown() {
        let prior = object("a".into(), "1".into(), "a".into());
        for trigger in [Value::from("2"), Value::from(1), Value::unknown(Type::String)] {
            let refined = StackData::refine(Some(&prior), prior.with_attribute("triggers_replace", trigger));
            assert_eq!(refined.replace, [Path::of(&["triggers_replace"])]);
            assert!(!refined.planned.attribute("output").unwrap().is_known());
        }
    }

    #[test]
    fn a_sensitive_input_gives_a_sensitive_output() {
        let refined = StackData::refine(
            None,
            object(
                Value::from("pw").sensitive(),
                Value::NULL,
                Value::unknown(Type::Dynamic),
            ),
        );
        let output = refined.planned.attribute("output").unwrap();
        assert!(output.marks().contains(stack_core::Marks::SENSITIVE));
    }
}
