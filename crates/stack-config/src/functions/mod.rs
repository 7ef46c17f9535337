//! Functions of the language.
//!
//! A function declares its parameters; what they do not take on themselves happens before the call: arguments are
//! converted, null is refused, an unknown argument makes the result unknown, marks of arguments move to the result.

mod cidr;
mod collection;
mod conversion;
mod date;
mod encoding;
mod filesystem;
mod format;
mod hash;
pub(crate) mod json_text;
mod numeric;
mod regex;
mod string;
mod template;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use stack_core::{Marks, Type, Unknown, Value};

use crate::evaluate::Scope;

/// What a function may use besides its arguments.
pub(crate) struct CallContext<'s> {
    /// Where the call stands: files, time, provider functions.
    pub(crate) scope: &'s dyn Scope,
    /// How many template functions are being rendered around this call.
    pub(crate) depth: usize,
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FunctionError {
    /// The argument at fault, if it is one.
    pub(crate) argument: Option<usize>,
    /// Lower case fragment. One that was put together may quote arguments; one that stands in the program does not.
    pub(crate) message: Cow<'static, str>,
    /// The function has seen to it that no secret is quoted.
    quotes_nothing: bool,
}

impl FunctionError {
    /// The call as a whole.
    pub(crate) fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            argument: None,
            message: message.into(),
            quotes_nothing: false,
        }
    }

    /// One argument, counted from zero.
    pub(crate) fn argument(index: usize, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            argument: Some(index),
            ..Self::new(message)
        }
    }

    /// The message quotes no argument, whatever was put into it.
    pub(crate) fn quoting_nothing(self) -> Self {
        Self {
            quotes_nothing: true,
            ..self
        }
    }

    /// The message, or what stands for it where an argument is sensitive and may be quoted.
    pub(crate) fn told(&self, sensitive: bool) -> &str {
        if sensitive && !self.quotes_nothing && matches!(self.message, Cow::Owned(_)) {
            "the reason quotes an argument that is sensitive, so it is not told"
        } else {
            &self.message
        }
    }
}

impl From<String> for FunctionError {
    fn from(message: String) -> Self {
        Self::new(message)
    }
}

/// Result of a function.
pub(crate) type Called = Result<Value, FunctionError>;

/// One parameter.
#[derive(Clone, Debug)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) ty: Type,
    null: bool,
    unknown: bool,
    marked: bool,
    dynamic: bool,
}

impl Parameter {
    /// A parameter of this type that takes neither null nor unknown values nor marks itself.
    pub(crate) fn new(name: &'static str, ty: Type) -> Self {
        Self {
            name,
            ty,
            null: false,
            unknown: false,
            marked: false,
            dynamic: false,
        }
    }

    /// The function takes null.
    pub(crate) fn nullable(mut self) -> Self {
        self.null = true;
        self
    }

    /// The function takes unknown values of known type.
    pub(crate) fn unknown(mut self) -> Self {
        self.unknown = true;
        self
    }

    /// The function takes values whose type is unknown too; otherwise they make the result one.
    pub(crate) fn dynamic(mut self) -> Self {
        self.dynamic = true;
        self
    }

    /// The function deals with the marks of the argument; otherwise they are taken off, inside as well.
    pub(crate) fn marked(mut self) -> Self {
        self.marked = true;
        self
    }
}

/// The text of an argument.
pub(crate) fn text(value: &Value) -> Result<&str, FunctionError> {
    value
        .as_str()
        .ok_or_else(|| FunctionError::new("a string is required"))
}

/// A parameter of type `string`.
pub(crate) fn string(name: &'static str) -> Parameter {
    Parameter::new(name, Type::String)
}

/// A parameter of type `number`.
pub(crate) fn number(name: &'static str) -> Parameter {
    Parameter::new(name, Type::Number)
}

/// A parameter of any type.
pub(crate) fn any(name: &'static str) -> Parameter {
    Parameter::new(name, Type::Dynamic)
}

/// The type of a result.
pub(crate) enum Returns {
    /// Always this.
    Type(Type),
    /// Depends on the arguments, which may be unknown.
    Of(fn(&[Value]) -> Result<Type, FunctionError>),
}

/// The body of a function: arguments are converted and counted.
pub(crate) type Body = fn(&CallContext<'_>, &[Value]) -> Called;

/// A function.
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) variadic: Option<Parameter>,
    returns: Returns,
    not_null: bool,
    call: Body,
}

impl Function {
    /// A function whose result has this type and is never null.
    pub(crate) fn new(name: &'static str, parameters: Vec<Parameter>, returns: Type, call: Body) -> Self {
        Self {
            name,
            parameters,
            variadic: None,
            returns: Returns::Type(returns),
            not_null: true,
            call,
        }
    }

    /// A function whose result has a type that depends on the arguments, and may be null.
    pub(crate) fn generic(
        name: &'static str,
        parameters: Vec<Parameter>,
        returns: fn(&[Value]) -> Result<Type, FunctionError>,
        call: Body,
    ) -> Self {
        Self {
            name,
            parameters,
            variadic: None,
            returns: Returns::Of(returns),
            not_null: false,
            call,
        }
    }

    /// Takes any number of further arguments.
    pub(crate) fn variadic(mut self, parameter: Parameter) -> Self {
        self.variadic = Some(parameter);
        self
    }

    /// The result is never null.
    pub(crate) fn not_null(mut self) -> Self {
        self.not_null = true;
        self
    }

    /// The parameter of an argument.
    pub(crate) fn parameter(&self, index: usize) -> Option<&Parameter> {
        self.parameters.get(index).or(self.variadic.as_ref())
    }

    /// Calls the function with converted arguments.
    pub(crate) fn call(&self, context: &CallContext<'_>, mut arguments: Vec<Value>) -> Called {
        let mut marks = Marks::NONE;
        let mut unknown = false;
        let mut dynamic = false;
        for (i, argument) in arguments.iter_mut().enumerate() {
            let Some(parameter) = self.parameter(i) else {
                continue;
            };
            if argument.is_null() && !parameter.null {
                return Err(FunctionError::argument(i, "argument must not be null"));
            }
            if !parameter.marked {
                let own = argument.marks_deep();
                if !own.is_empty() {
                    marks = marks.union(own);
                    *argument = argument.unmark_deep();
                }
            }
            // A null without a type may stand for a value of any type, so it decides as little as an unknown one.
            dynamic |= matches!(argument.unmarked(), Value::Null(Type::Dynamic)) && !parameter.dynamic;
            if let Value::Unknown(u) = argument.unmarked() {
                dynamic |= u.ty == Type::Dynamic && !parameter.dynamic;
                unknown |= !parameter.unknown;
                if parameter.marked && !parameter.unknown {
                    marks = marks.union(argument.marks());
                }
            }
        }
        if dynamic {
            return Ok(Value::unknown(Type::Dynamic).mark(marks));
        }
        if unknown {
            let ty = match &self.returns {
                Returns::Type(ty) => ty.clone(),
                Returns::Of(returns) => returns(&arguments)?,
            };
            let mut result = Unknown::of(ty);
            result.not_null = self.not_null && result.ty != Type::Dynamic;
            return Ok(Value::Unknown(Box::new(result)).mark(marks));
        }
        Ok((self.call)(context, &arguments)?.mark(marks))
    }
}

static REGISTRY: LazyLock<BTreeMap<&'static str, Function>> = LazyLock::new(|| {
    let groups = [
        cidr::functions(),
        collection::functions(),
        conversion::functions(),
        date::functions(),
        encoding::functions(),
        filesystem::functions(),
        format::functions(),
        hash::functions(),
        numeric::functions(),
        regex::functions(),
        string::functions(),
        template::functions(),
    ];
    groups.into_iter().flatten().map(|f| (f.name, f)).collect()
});

/// The function of this name.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    REGISTRY.get(name)
}

/// Functions whose arguments are not evaluated before the call.
pub(crate) const LAZY: [&str; 3] = ["can", "try", "type"];

/// The names of all functions, sorted.
pub fn names() -> Vec<&'static str> {
    let mut names: Vec<&'static str> = REGISTRY.keys().copied().chain(LAZY).collect();
    names.sort_unstable();
    names
}
