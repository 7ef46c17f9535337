//! Values of variables: from the command line, from files, from module arguments.

use std::collections::BTreeMap;
use std::sync::Arc;

use stack_core::{Diagnostic, Diagnostics, Marks, SourceMap, Span, Value};

use crate::configuration::{Configuration, Variable};
use crate::parse::syntax::Item;
use crate::parse::{names, read, syntax};
use crate::suggest::did_you_mean;

/// One source of values for the variables of the root module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VariableInput {
    /// `--var name=text`
    Argument {
        /// Before the equals sign.
        name: String,
        /// Behind it.
        text: String,
    },
    /// `STACK_VAR_name=text`; one for an undeclared variable is ignored.
    Environment {
        /// Behind `STACK_VAR_`.
        name: String,
        /// The value.
        text: String,
    },
    /// A `*.vars.hcl` or `*.json` file.
    File {
        /// The path as it is shown.
        path: String,
        /// The content.
        text: String,
    },
}

/// A value with where it comes from.
struct Given {
    value: Value,
    place: Place,
}

enum Place {
    /// Said in the words of messages.
    Words(String),
    Text(Span),
}

/// The values of the root module's variables, converted to their types; what is not given takes its default.
///
/// Later inputs win over earlier ones. A text is taken as it stands for a variable of a primitive type and for one
/// without a type; for every other type it is an expression without references.
pub fn variable_values(
    configuration: &Configuration,
    sources: &mut SourceMap,
    inputs: &[VariableInput],
) -> (BTreeMap<Arc<str>, Value>, Diagnostics) {
    let mut diagnostics = Diagnostics::new();
    let mut given = BTreeMap::new();
    let variables = &configuration.root.variables;
    for input in inputs {
        match input {
            VariableInput::Argument { name, text } => {
                let Some(variable) = variables.get(name.as_str()) else {
                    diagnostics.push(undeclared_argument(name, variables));
                    continue;
                };
                let words = format!("set using --var=\"{name}=...\"");
                text_value(variable, text, words, sources, &mut given, &mut diagnostics);
            }
            VariableInput::Environment { name, text } => {
                if let Some(variable) = variables.get(name.as_str()) {
                    let words = format!("set using the STACK_VAR_{name} environment variable");
                    text_value(variable, text, words, sources, &mut given, &mut diagnostics);
                }
            }
            VariableInput::File { path, text } if path.ends_with(".json") => {
                json_file(path, text, variables, &mut given, &mut diagnostics);
            }
            VariableInput::File { path, text } => {
                file(path, text, variables, sources, &mut given, &mut diagnostics);
            }
        }
    }
    let mut values = BTreeMap::new();
    for (name, variable) in variables {
        let result = match given.remove(name) {
            Some(Given { value, place }) => variable
                .value(Some(value))
                .map_err(|cause| unsuitable(variable, &place, &cause)),
            None => variable.value(None).map_err(|_| {
                Diagnostic::error(
                    "STK0125",
                    "No value for required variable",
                    format!(
                        "The root module input variable \"{name}\" is not set, and has no default value."
                    ),
                )
                .at(variable.span)
                .hint(format!(
                    "set it with --var \"{name}=…\", in a --var-file, or in STACK_VAR_{name}"
                ))
            }),
        };
        match result {
            Ok(value) => {
                values.insert(name.clone(), value);
            }
            Err(diagnostic) => diagnostics.push(diagnostic),
        }
    }
    (values, diagnostics)
}

impl Variable {
    /// The value of the variable where `given` is passed to it: converted, with the default in the place of nothing
    /// (and of null where null is no value), and with the marks of the declaration. Rules are not checked.
    ///
    /// # Errors
    /// Why the value does not fit, as a lower case fragment.
    pub fn value(&self, given: Option<Value>) -> Result<Value, String> {
        let mut value = match given {
            Some(value) => self.constraint.convert(&value).map_err(|error| {
                let sensitive = self.sensitive.then(|| value.clone().sensitive());
                error.told(sensitive.as_ref().unwrap_or(&value))
            })?,
            None => self.default.clone().ok_or("a value is required")?,
        };
        if value.is_null() && !self.nullable {
            value = self
                .default
                .clone()
                .ok_or("required variable may not be set to null")?;
        }
        let mut marks = Marks::NONE;
        if self.sensitive {
            marks = marks.union(Marks::SENSITIVE);
        }
        if self.ephemeral {
            marks = marks.union(Marks::EPHEMERAL);
        }
        Ok(value.mark(marks))
    }
}

fn unsuitable(variable: &Variable, place: &Place, cause: &str) -> Diagnostic {
    let (summary, name) = ("Invalid value for input variable", &variable.name);
    match place {
        Place::Words(words) => Diagnostic::error(
            "STK0126",
            summary,
            format!("Unsuitable value for var.{name} {words}: {cause}."),
        )
        .at(variable.span),
        Place::Text(span) => Diagnostic::error(
            "STK0126",
            summary,
            format!("The given value is not suitable for var.{name}: {cause}."),
        )
        .at(*span)
        .label(variable.span, "declared here"),
    }
}

fn undeclared_argument(name: &str, variables: &BTreeMap<Arc<str>, Variable>) -> Diagnostic {
    let error = Diagnostic::error(
        "STK0127",
        "Value for undeclared variable",
        format!(
            "A variable named \"{name}\" was assigned on the command line, but the root module does not declare a variable of that name."
        ),
    );
    match did_you_mean(name, names(variables)) {
        Some(near) => error.hint(format!("did you mean \"{near}\"?")),
        None => error.hint(format!(
            "to use this value, add a variable \"{name}\" {{}} block to the configuration"
        )),
    }
}

fn undeclared_in_file(name: &str, path: &str, variables: &BTreeMap<Arc<str>, Variable>) -> Diagnostic {
    let warning = Diagnostic::warning(
        "STK0127",
        "Value for undeclared variable",
        format!(
            "The root module does not declare a variable named \"{name}\" but a value was found in file \"{path}\"."
        ),
    );
    match did_you_mean(name, names(variables)) {
        Some(near) => warning.hint(format!("did you mean \"{near}\"?")),
        None => warning,
    }
}

fn text_value(
    variable: &Variable,
    text: &str,
    words: String,
    sources: &mut SourceMap,
    given: &mut BTreeMap<Arc<str>, Given>,
    diagnostics: &mut Diagnostics,
) {
    let value = if variable.takes_text {
        Some(Value::string(text))
    } else {
        let file = sources.add_hidden(format!("<value for var.{}>", variable.name), text);
        let parsed = crate::expression::parse_expression(text, file);
        let value = parsed.and_then(|expr| crate::constant::constant(&expr));
        diagnostics.absorb(value)
    };
    if let Some(value) = value {
        given.insert(
            variable.name.clone(),
            Given {
                value,
                place: Place::Words(words),
            },
        );
    } else {
        // Reported already; the default must not be reported as missing too.
        let value = Value::unknown(stack_core::Type::Dynamic);
        given.insert(
            variable.name.clone(),
            Given {
                value,
                place: Place::Words(words),
            },
        );
    }
}

fn file(
    path: &str,
    text: &str,
    variables: &BTreeMap<Arc<str>, Variable>,
    sources: &mut SourceMap,
    given: &mut BTreeMap<Arc<str>, Given>,
    diagnostics: &mut Diagnostics,
) {
    let file = sources.add_hidden(path, text);
    let tree = syntax::parse(file, text, diagnostics);
    let mut reader = read::Reader { text, diagnostics };
    for item in &tree.items {
        let attribute = match item {
            Item::Attribute(attribute) => attribute,
            Item::Block(block) => {
                let error = read::unsupported_block(block.name(), block.kind.span, &[], &[]);
                reader.error(error.hint("a file of values has one NAME = VALUE for each variable"));
                continue;
            }
        };
        let name = attribute.name();
        let Some(value) = reader.constant(&attribute.value) else {
            continue;
        };
        let span = attribute.value.span();
        if variables.contains_key(name) {
            given.insert(
                Arc::from(name),
                Given {
                    value,
                    place: Place::Text(span),
                },
            );
        } else {
            reader.error(undeclared_in_file(name, path, variables).at(attribute.key.span));
        }
    }
}

fn json_file(
    path: &str,
    text: &str,
    variables: &BTreeMap<Arc<str>, Variable>,
    given: &mut BTreeMap<Arc<str>, Given>,
    diagnostics: &mut Diagnostics,
) {
    let parsed = crate::json::parse(text);
    let members = match &parsed {
        Ok(Value::Object(members)) => members,
        Ok(_) => {
            diagnostics.push(Diagnostic::error(
                "STK0130",
                "Invalid variables file",
                format!("The file \"{path}\" must hold one JSON object with a member for each variable."),
            ));
            return;
        }
        Err(cause) => {
            diagnostics.push(Diagnostic::error(
                "STK0130",
                "Invalid variables file",
                format!("The file \"{path}\" is not valid JSON: {cause}."),
            ));
            return;
        }
    };
    for (name, value) in members.iter() {
        if variables.contains_key(name.as_str()) {
            let place = Place::Words(format!("set in file \"{path}\""));
            given.insert(
                Arc::from(name.as_str()),
                Given {
                    value: value.clone(),
                    place,
                },
            );
        } else {
            diagnostics.push(undeclared_in_file(name, path, variables));
        }
    }
}
