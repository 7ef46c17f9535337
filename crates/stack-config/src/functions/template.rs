//! Functions that render templates.

use stack_core::Type;

use super::filesystem::read;
use super::string::str_of;
use super::{CallContext, Called, Function, FunctionError, any, string};
use crate::template::render;

pub(super) fn functions() -> Vec<Function> {
    vec![
        Function::generic(
            "templatefile",
            vec![string("path"), any("vars")],
            |_| Ok(Type::Dynamic),
            templatefile,
        ),
        Function::generic(
            "templatestring",
            vec![string("template"), any("vars")],
            |_| Ok(Type::Dynamic),
            |context, args| render(context, str_of(args, 0), "<templatestring argument>", &args[1]),
        ),
    ]
}

fn templatefile(context: &CallContext<'_>, args: &[stack_core::Value]) -> Called {
    let path = str_of(args, 0);
    let template = String::from_utf8(read(context, path)?)
        .map_err(|_| FunctionError::argument(0, format!("contents of \"{path}\" are not valid UTF-8")))?;
    render(context, &template, path, &args[1])
}
