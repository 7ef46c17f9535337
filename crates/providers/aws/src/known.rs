//! Models of objects whose arguments are only partly known.

use stack_core::{Number, Path, SchemaOf, Type, Value};
use stack_provider::ProviderError;

/// The known part of planned arguments: an unknown one is left out, or empty where it is required.
pub(crate) fn known_part<M: SchemaOf>(planned: &Value) -> Result<M, ProviderError> {
    let mut known = planned.clone();
    for (name, attribute) in M::schema().attributes {
        let value = planned.attribute(&name).unwrap_or(&Value::NULL);
        if value.is_wholly_known() && !(value.is_null() && attribute.required) {
            continue;
        }
        let left_out = match (&attribute.default, &attribute.ty) {
            (Some(default), _) => default.clone(),
            (None, Type::String) if attribute.required => "".into(),
            (None, Type::Number) if attribute.required => Value::Number(Number::from(0)),
            (None, Type::Bool) if attribute.required => false.into(),
            (None, ty) => Value::Null(ty.clone()),
        };
        known = known.with_attribute(&name, left_out);
    }
    Ok(M::decode(&known, &Path::root())?)
}
