//! Values of expressions.

mod access;
mod call;
mod conditional;
mod equality;
mod iteration;
mod operator;

use std::collections::BTreeMap;
use std::sync::Arc;

use stack_core::{Diagnostic, Diagnostics, Marks, Span, Type, Unknown, Value};

pub(crate) use equality::equal;

use crate::expression::{Expr, Kind, Node};
use crate::reference::Reference;
use crate::sources::{MemorySources, Sources};
use crate::syntax::template::text;

/// What an expression can see.
pub trait Scope {
    /// Value of a subject, without the steps in [`Reference::rest`]: for a resource with `count` a tuple of its
    /// instances, with `for_each` an object of them; for a module an object of its outputs, or a tuple or object of
    /// such objects. The steps are there so that a mistake in them can be reported before evaluation.
    ///
    /// # Errors
    /// There is no such thing here, or it has no value.
    fn value(&self, reference: &Reference) -> Result<Value, Diagnostics>;

    /// Files for the functions that read them.
    fn sources(&self) -> &dyn Sources;

    /// The folder of the module, as `path.module` gives it.
    fn module_dir(&self) -> &str;

    /// Calls `provider::PROVIDER::NAME`; `None` where there is no such function.
    fn provider_function(&self, provider: &str, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
        let _ = (provider, name, args);
        None
    }

    /// The time now in RFC 3339 for `timestamp()`; `None` where it is not known before apply.
    fn timestamp(&self) -> Option<String> {
        None
    }

    /// The time of the plan in RFC 3339 for `plantimestamp()`; `None` where there is none.
    fn plan_timestamp(&self) -> Option<String> {
        None
    }

    /// Fresh random bytes for `uuid()` and salts; `None` where the result is not known before apply.
    fn random(&self) -> Option<[u8; 16]> {
        None
    }
}

pub(crate) type Evaluated = Result<Value, Diagnostics>;

/// The value of an expression.
///
/// # Errors
/// Everything wrong with it, as far as one evaluation finds out.
pub fn evaluate(expr: &Expr, scope: &dyn Scope) -> Result<Value, Diagnostics> {
    evaluate_with(expr, scope, &[])
}

/// The value of an expression with further names bound, as in the content of a `dynamic` block.
///
/// # Errors
/// Everything wrong with it, as far as one evaluation finds out.
pub fn evaluate_with(
    expr: &Expr,
    scope: &dyn Scope,
    bound: &[(Arc<str>, Value)],
) -> Result<Value, Diagnostics> {
    evaluate_at_depth(expr, scope, bound, 0)
}

/// [`evaluate_with`], inside this many template functions.
pub(crate) fn evaluate_at_depth(
    expr: &Expr,
    scope: &dyn Scope,
    bound: &[(Arc<str>, Value)],
    depth: usize,
) -> Result<Value, Diagnostics> {
    Evaluator::new(expr, scope, bound, depth)?.node(expr.node())
}

impl<'s> Evaluator<'s> {
    /// Looks up everything the expression refers to. This happens before anything is evaluated, so that `try` does not
    /// hide a misspelt name.
    fn new(
        expr: &Expr,
        scope: &'s dyn Scope,
        bound: &[(Arc<str>, Value)],
        depth: usize,
    ) -> Result<Self, Diagnostics> {
        let mut diagnostics = Diagnostics::new();
        let mut outside = Vec::with_capacity(expr.free().len());
        for free in expr.free() {
            let found = match bound.iter().rev().find(|(name, _)| *name == free.root) {
                Some((_, value)) => Some(Outside {
                    value: value.clone(),
                    rest: None,
                }),
                None => match &free.reference {
                    Err(diagnostic) => {
                        diagnostics.push((**diagnostic).clone());
                        None
                    }
                    Ok(reference) => diagnostics.absorb(scope.value(reference)).map(|value| Outside {
                        value,
                        rest: Some(reference.rest.len()),
                    }),
                },
            };
            outside.push(found.unwrap_or(Outside {
                value: Value::NULL,
                rest: None,
            }));
        }
        if diagnostics.has_errors() {
            return Err(diagnostics);
        }
        Ok(Self {
            scope,
            outside,
            locals: Vec::new(),
            items: Vec::new(),
            depth,
        })
    }
}

/// The value of a part of an expression that may refer to nothing.
pub(crate) fn evaluate_part(node: &Node) -> Evaluated {
    Evaluator {
        scope: &NoScope,
        outside: Vec::new(),
        locals: Vec::new(),
        items: Vec::new(),
        depth: 0,
    }
    .node(node)
}

fn variables_not_allowed(span: Span) -> Diagnostics {
    error(span, "Variables not allowed", "Variables may not be used here.")
}

/// A scope with nothing in it: for constants.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoScope;

impl Scope for NoScope {
    fn value(&self, reference: &Reference) -> Result<Value, Diagnostics> {
        Err(variables_not_allowed(reference.span))
    }

    fn sources(&self) -> &dyn Sources {
        static EMPTY: MemorySources = MemorySources::new();
        &EMPTY
    }

    fn module_dir(&self) -> &str {
        "."
    }
}

/// The value of a free traversal's subject.
struct Outside {
    value: Value,
    /// How many steps follow the subject; `None` where all do.
    rest: Option<usize>,
}

/// Walks one expression.
pub(crate) struct Evaluator<'s> {
    scope: &'s dyn Scope,
    outside: Vec<Outside>,
    /// Variables of `for`, innermost last.
    locals: Vec<(Arc<str>, Value)>,
    /// Members that splats are at, innermost last.
    items: Vec<Value>,
    depth: usize,
}

/// A diagnostic of an evaluation.
pub(crate) fn error(span: Span, summary: &str, detail: impl Into<String>) -> Diagnostics {
    Diagnostics::from(Diagnostic::error("STK0210", summary, detail).at(span))
}

/// A value of type unknown that will be known after apply.
pub(crate) fn dynamic() -> Value {
    Value::unknown(Type::Dynamic)
}

/// An unknown value of this type that will not be null.
pub(crate) fn unknown_not_null(ty: Type) -> Value {
    let mut unknown = Unknown::of(ty);
    unknown.not_null = true;
    Value::Unknown(Box::new(unknown))
}

impl Evaluator<'_> {
    /// `type(...)` as a whole expression: the type as text; none for any other expression.
    pub(crate) fn top_level_type(expr: &Expr, scope: &dyn Scope) -> Option<Result<String, Diagnostics>> {
        match &expr.node().kind {
            Kind::Call(call) if call.name.as_ref() == "type" => {}
            _ => return None,
        }
        let mut evaluator = match Evaluator::new(expr, scope, &[], 0) {
            Ok(evaluator) => evaluator,
            Err(diagnostics) => return Some(Err(diagnostics)),
        };
        evaluator.type_call(expr.node())
    }

    pub(crate) fn node(&mut self, node: &Node) -> Evaluated {
        match &node.kind {
            Kind::Literal(value) => Ok(value.clone()),
            Kind::Invalid(diagnostic) => Err(Diagnostics::from((**diagnostic).clone())),
            Kind::Pending(_) => Ok(Value::from("")),
            Kind::Template(parts) => self.template(parts),
            Kind::Wrap(inner) | Kind::Parenthesis(inner) => self.node(inner),
            Kind::Tuple(members) => self.tuple(members),
            Kind::Object(items) => self.object(items),
            Kind::Traversal { free, steps } => {
                let Some(outside) = self.outside.get(*free) else {
                    return Err(variables_not_allowed(node.span));
                };
                let rest = outside.rest.unwrap_or(steps.len()).min(steps.len());
                access::steps(outside.value.clone(), &steps[steps.len() - rest..], node.span)
            }
            Kind::Local { name, steps } => {
                let value = self
                    .locals
                    .iter()
                    .rev()
                    .find(|(n, _)| n == name)
                    .map(|(_, v)| v.clone());
                access::steps(value.unwrap_or(Value::NULL), steps, node.span)
            }
            Kind::Attribute(..) | Kind::Index(..) => self.steps(node),
            Kind::Splat(source, each) => self.splat(source, each, node.span),
            Kind::SplatItem => Ok(self.items.last().cloned().unwrap_or(Value::NULL)),
            Kind::Unary(operator, operand) => self.unary(*operator, operand, node.span),
            Kind::Binary(first, links) => self.binary(first, links),
            Kind::Conditional(condition, yes, no) => self.conditional(condition, yes, no),
            Kind::Call(call) => self.call(call, node.span),
            Kind::For(each) => self.for_expression(each),
            Kind::Join(each) => self.join(each),
        }
    }

    /// Attributes and indices one after the other, walked without recursion.
    fn steps(&mut self, last: &Node) -> Evaluated {
        let (mut steps, mut first) = (Vec::new(), last);
        while let Kind::Attribute(inner, _) | Kind::Index(inner, _) = &first.kind {
            steps.push(first);
            first = inner;
        }
        let mut value = self.node(first)?;
        for step in steps.into_iter().rev() {
            value = match &step.kind {
                Kind::Attribute(_, name) => access::attribute(&value, name, step.span)?,
                Kind::Index(_, index) => access::index(&value, &self.node(index)?, index.span)?,
                _ => value,
            };
        }
        Ok(value)
    }

    fn tuple(&mut self, members: &[Node]) -> Evaluated {
        let mut diagnostics = Diagnostics::new();
        let mut values = Vec::with_capacity(members.len());
        for member in members {
            values.extend(diagnostics.absorb(self.node(member)));
        }
        if diagnostics.has_errors() {
            Err(diagnostics)
        } else {
            Ok(Value::tuple(values))
        }
    }

    fn object(&mut self, items: &[(Node, Node)]) -> Evaluated {
        let mut diagnostics = Diagnostics::new();
        let mut attributes = BTreeMap::new();
        let mut known = true;
        let mut marks = Marks::NONE;
        for (key, value) in items {
            let key = match &key.kind {
                Kind::Literal(Value::String(name)) => Some((Some(name.clone()), Marks::NONE)),
                _ => {
                    let evaluated = self.node(key).and_then(|value| object_key(&value, key.span));
                    diagnostics.absorb(evaluated)
                }
            };
            let value = diagnostics.absorb(self.node(value));
            let (Some((key, own)), Some(value)) = (key, value) else {
                continue;
            };
            marks = marks.union(own);
            match key {
                Some(key) => {
                    attributes.insert(key.to_string(), value);
                }
                None => known = false,
            }
        }
        if diagnostics.has_errors() {
            return Err(diagnostics);
        }
        let object = if known {
            Value::Object(Arc::new(attributes))
        } else {
            dynamic()
        };
        Ok(object.mark(marks))
    }

    /// Joins the parts of a text.
    fn template(&mut self, parts: &[Node]) -> Evaluated {
        let mut diagnostics = Diagnostics::new();
        let mut out = String::new();
        let mut known = true;
        let mut marks = Marks::NONE;
        for part in parts {
            let Some(value) = diagnostics.absorb(self.node(part)) else {
                continue;
            };
            let Some(value) = diagnostics.absorb(template_part(&value, part.span)) else {
                continue;
            };
            let (value, own) = value.unmark();
            marks = marks.union(own);
            match value {
                Value::String(piece) if known => out.push_str(&piece),
                Value::Unknown(unknown) if known => {
                    out.push_str(&unknown.prefix);
                    known = false;
                }
                _ => {}
            }
        }
        if diagnostics.has_errors() {
            return Err(diagnostics);
        }
        let value = if known {
            text(out)
        } else {
            unknown_with_prefix(&out)
        };
        Ok(value.mark(marks))
    }
}

/// An unknown text that starts with this one.
fn unknown_with_prefix(prefix: &str) -> Value {
    let mut unknown = Unknown::of(Type::String);
    unknown.not_null = true;
    if let Value::String(prefix) = text(safe_prefix(prefix)) {
        unknown.prefix = prefix;
    }
    Value::Unknown(Box::new(unknown))
}

/// The part of a prefix that stays whatever follows: without a last character that could combine with the next.
fn safe_prefix(prefix: &str) -> &str {
    use unicode_segmentation::UnicodeSegmentation as _;
    match prefix.graphemes(true).next_back() {
        Some(last) if !last.ends_with(|c: char| c.is_ascii_punctuation() || c == ' ' || c == '\n') => {
            &prefix[..prefix.len() - last.len()]
        }
        _ => prefix,
    }
}

/// A part of a template as text.
fn template_part(value: &Value, span: Span) -> Evaluated {
    let summary = "Invalid template interpolation value";
    if value.is_null() {
        return Err(error(
            span,
            summary,
            "The expression result is null. Cannot include a null value in a string template.",
        ));
    }
    stack_core::convert::convert(value, &Type::String).map_err(|e| {
        error(
            span,
            summary,
            format!(
                "Cannot include the given value in a string template: {}.",
                e.told(value)
            ),
        )
    })
}

/// The key of an object constructor: the text, or none while it is unknown, and its marks.
fn object_key(value: &Value, span: Span) -> Result<(Option<Arc<str>>, Marks), Diagnostics> {
    if value.is_null() {
        return Err(error(
            span,
            "Null value as key",
            "Can't use a null value as a key.",
        ));
    }
    let key = stack_core::convert::convert(value, &Type::String).map_err(|e| {
        error(
            span,
            "Incorrect key type",
            format!("Can't use this value as a key: {}.", e.told(value)),
        )
    })?;
    let (key, marks) = key.unmark();
    match key {
        Value::String(key) => Ok((Some(key), marks)),
        _ => Ok((None, marks)),
    }
}
