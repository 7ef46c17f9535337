//! Keeps what is sensitive out of everything that a provider says.
//!
//! Real systems quote what they refuse, and programs print what they were given. Whatever text a provider hands to the
//! engine passes through here, together with the values that the call was given, so that no provider can forget it.

use std::error::Error;
use std::fmt;
use std::fmt::Write as _;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use stack_core::{Marks, Schema, Type, Value};

use crate::{Cx, Failure, Observer, Preview, ProviderError};

/// What stands in the place of a secret.
const MASK: &str = "(sensitive value)";

/// Shorter texts are not looked for: they are part of ordinary words, and masking them would tell where they stand.
const SHORTEST: usize = 4;

/// Shorter texts are not taken for an echo of a secret: they occur by chance.
const SHORTEST_ECHO: usize = 8;

/// Lines of a longer secret (of a private key, say) are looked for one by one from this length on.
const SHORTEST_LINE: usize = 16;

/// Every secret that a command knows of, whatever it is part of: a script that holds a password is a secret as a whole,
/// and what it prints may be the password alone. Clones share what is in it.
#[derive(Clone, Default)]
pub struct Hidden(Arc<RwLock<Secrets>>);

impl Hidden {
    /// Hides every text in a value that is marked as sensitive by itself. Of what is sensitive as a whole the parts may be
    /// common words, and hiding them everywhere would leave little to read.
    pub fn add(&self, value: &Value) {
        let mut texts = Vec::new();
        marked_texts(value, &mut texts);
        if texts.is_empty() {
            return;
        }
        let mut secrets = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for text in &texts {
            secrets.add(text);
            secrets.whole.push(text.trim().to_owned());
        }
        secrets.sort();
    }

    /// The value, with every member marked that says something hidden: the output of a script that was given a secret.
    pub fn marked(&self, value: Value) -> Value {
        let Value::Object(members) = &value else {
            return value;
        };
        let secrets = self.all();
        let says = |member: &Value| !member.marks_deep().contains(Marks::SENSITIVE) && secrets.are_in(member);
        if !members.values().any(says) {
            return value;
        }
        Value::object(members.iter().map(|(name, member)| {
            let new = if says(member) {
                member.clone().sensitive()
            } else {
                member.clone()
            };
            (name.clone(), new)
        }))
    }

    fn all(&self) -> Secrets {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Texts that must not be said, the longest first, so that one secret inside another leaves nothing of it.
#[derive(Clone, Default)]
pub(crate) struct Secrets {
    texts: Vec<String>,
    /// Those among them that are no lines or other spellings.
    whole: Vec<String>,
    /// Further ones, which others may add to.
    hidden: Option<Hidden>,
}

impl Secrets {
    /// What is sensitive in a value, by its marks and by its schema.
    pub(crate) fn of(schema: &Schema, values: &[&Value]) -> Self {
        let mut texts = Vec::new();
        for value in values {
            by_schema(schema, value, &mut texts);
        }
        let mut secrets = Self::default();
        for text in &texts {
            secrets.add(text);
        }
        secrets.sort();
        secrets
    }

    /// These and those, and everything else that the command knows of.
    pub(crate) fn and(mut self, other: &Self, cx: &Cx) -> Self {
        self.texts.extend(other.texts.iter().cloned());
        self.sort();
        self.hidden = Some(cx.hidden().clone());
        self
    }

    /// Whether one of them stands in a text of a value.
    fn are_in(&self, value: &Value) -> bool {
        if let Some(members) = value.as_sequence() {
            members.iter().any(|member| self.are_in(member))
        } else if let Some(members) = value.as_mapping() {
            members.values().any(|member| self.are_in(member))
        } else {
            let text = value.as_str().unwrap_or_default();
            let long = self.whole.iter().filter(|secret| secret.len() >= SHORTEST_ECHO);
            text.len() >= SHORTEST_ECHO && long.into_iter().any(|secret| text.contains(secret.as_str()))
        }
    }

    fn sort(&mut self) {
        self.texts
            .sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        self.texts.dedup();
        self.whole.sort();
        self.whole.dedup();
    }

    /// All of them, as they are now.
    fn now(&self) -> Self {
        let mut all = self.hidden.as_ref().map(Hidden::all).unwrap_or_default();
        if all.texts.is_empty() {
            all.texts.clone_from(&self.texts);
        } else {
            all.texts.extend(self.texts.iter().cloned());
            all.sort();
        }
        all
    }

    fn add(&mut self, text: &str) {
        for text in [text, text.trim()] {
            if text.len() >= SHORTEST {
                self.texts.push(text.to_owned());
                self.texts.push(escaped(text));
                self.texts.push(percent(text));
                // Behind up to two other bytes, as in the credentials of a request, a text has other digits.
                self.texts
                    .extend((0..3).filter_map(|before| base64(text.as_bytes(), before)));
            }
        }
        if text.contains('\n') {
            let lines = text.lines().map(str::trim);
            self.texts.extend(
                lines
                    .filter(|line| line.len() >= SHORTEST_LINE)
                    .map(str::to_owned),
            );
        }
    }

    /// The text without any of them.
    pub(crate) fn masked(&self, text: &str) -> String {
        let mut out = text.to_owned();
        for secret in &self.now().texts {
            if out.contains(secret.as_str()) {
                out = out.replace(secret.as_str(), MASK);
            }
        }
        out
    }

    /// An error that says none of them, nor do its causes.
    pub(crate) fn masked_error(&self, mut error: ProviderError) -> ProviderError {
        error.message = self.masked(&error.message);
        error.operation = error.operation.map(|operation| self.masked(&operation));
        error.request_id = error.request_id.map(|id| self.masked(&id));
        error.source = error.source.map(|source| self.masked_cause(source));
        error
    }

    fn masked_cause(&self, source: Box<dyn Error + Send + Sync>) -> Box<dyn Error + Send + Sync> {
        let mut texts = vec![source.to_string()];
        let mut next = source.source();
        while let Some(cause) = next {
            texts.push(cause.to_string());
            next = cause.source();
        }
        if texts.iter().all(|text| self.masked(text) == *text) {
            return source;
        }
        let chain = texts.iter().rev().fold(None, |cause, text| {
            Some(Box::new(Cause {
                text: self.masked(text),
                cause,
            }))
        });
        chain.map_or(source, |cause| cause)
    }

    pub(crate) fn masked_failure(&self, failure: Failure<Value>) -> Failure<Value> {
        Failure {
            error: self.masked_error(failure.error),
            object: failure.object,
        }
    }

    pub(crate) fn masked_preview(&self, preview: Preview) -> Preview {
        Preview {
            planned: preview.planned,
            warnings: preview
                .warnings
                .into_iter()
                .map(|(path, text)| (path, self.masked(&text)))
                .collect(),
            rendered: preview.rendered.map(|text| self.masked(&text)),
            not_checked: preview.not_checked.map(|text| self.masked(&text)),
        }
    }

    /// The context of a call whose progress says none of them.
    pub(crate) fn masked_context(&self, cx: &Cx) -> Cx {
        let observer = Masking {
            secrets: self.clone(),
            inner: Arc::clone(cx.observer()),
        };
        cx.observed(Arc::new(observer))
    }
}

/// One cause of an error, as a text.
#[derive(Debug)]
struct Cause {
    text: String,
    cause: Option<Box<Cause>>,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}

struct Masking {
    secrets: Secrets,
    inner: Arc<dyn Observer>,
}

#[async_trait]
impl Observer for Masking {
    fn progress(&self, text: &str) {
        self.inner.progress(&self.secrets.masked(text));
    }

    async fn partial(&self, object: Value) -> Result<(), ProviderError> {
        self.inner.partial(object).await
    }
}

fn by_schema(schema: &Schema, value: &Value, out: &mut Vec<String>) {
    let Some(members) = value.as_mapping() else {
        return leaves(value, false, out);
    };
    let marked = value.marks().contains(Marks::SENSITIVE);
    for (name, member) in members {
        match (schema.attributes.get(name), schema.blocks.get(name)) {
            (_, Some(block)) if !marked => match member.as_sequence() {
                Some(blocks) => {
                    for part in blocks {
                        by_schema(&block.schema, part, out);
                    }
                }
                None => by_schema(&block.schema, member, out),
            },
            (attribute, _) => {
                // What a provider made up of a whole object is common words for the most part; marks in it count.
                let by_schema =
                    attribute.is_some_and(|a| a.sensitive && (!a.computed || a.ty != Type::Dynamic));
                leaves(member, marked || by_schema, out);
            }
        }
    }
}

/// The texts that are marked by themselves.
fn marked_texts(value: &Value, out: &mut Vec<String>) {
    if let Some(members) = value.as_sequence() {
        for member in members {
            marked_texts(member, out);
        }
    } else if let Some(members) = value.as_mapping() {
        for member in members.values() {
            marked_texts(member, out);
        }
    } else if let Some(text) = value.as_str()
        && value.marks().contains(Marks::SENSITIVE)
    {
        out.push(text.to_owned());
    }
}

/// The texts in what is marked; names of members too, where the whole is.
fn leaves(value: &Value, inside: bool, out: &mut Vec<String>) {
    let inside = inside || value.marks().contains(Marks::SENSITIVE);
    match value.unmarked() {
        Value::String(text) if inside => out.push(text.to_string()),
        Value::Number(number) if inside => out.push(number.to_string()),
        Value::List(_, members) | Value::Set(_, members) | Value::Tuple(members) => {
            for member in members.iter() {
                leaves(member, inside, out);
            }
        }
        Value::Map(_, members) | Value::Object(members) => {
            for (name, member) in members.iter() {
                // Names that a type gives its members are no secrets, and common words; those of a map may be.
                if inside && matches!(value.unmarked(), Value::Map(..)) {
                    out.push(name.clone());
                }
                leaves(member, inside, out);
            }
        }
        Value::String(_)
        | Value::Number(_)
        | Value::Null(_)
        | Value::Bool(_)
        | Value::Unknown(_)
        | Value::Marked(..) => {}
    }
}

/// As it stands in a text of JSON, or in one that was printed for debugging.
fn escaped(text: &str) -> String {
    let quoted = format!("{text:?}");
    quoted[1..quoted.len() - 1].to_owned()
}

/// As it stands in an address.
fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The digits of base64 that depend on nothing but the text, where it stands behind some other bytes; `None` where these
/// are too few.
fn base64(text: &[u8], before: usize) -> Option<String> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes: Vec<u8> = std::iter::repeat_n(0, before)
        .chain(text.iter().copied())
        .collect();
    let mut out = String::new();
    for start in (0..bytes.len() * 8).step_by(6) {
        // A digit that begins in the bytes before, or ends behind the text, tells of others too.
        if start < before * 8 || start + 6 > bytes.len() * 8 {
            continue;
        }
        let digit = (start..start + 6).fold(0, |digit, bit| {
            digit << 1 | usize::from(bytes[bit / 8] >> (7 - bit % 8) & 1)
        });
        out.push(char::from(DIGITS[digit]));
    }
    (out.len() >= SHORTEST).then_some(out)
}

#[cfg(test)]
mod tests {
    use stack_core::Attribute;

    use super::*;
    use crate::ErrorKind;

    fn secrets(text: &str) -> Secrets {
        Secrets::of(&Schema::default(), &[&Value::string(text).sensitive()])
    }

    #[test]
    fn a_secret_is_masked_in_every_spelling() {
        let all = secrets("p@ss \"word\"");
        let said = [
            "got p@ss \"word\" back",
            r#"got {"a":"p@ss \"word\""} back"#,
            "GET /users/p%40ss%20%22word%22",
            // `x:`, `xy:` and nothing before it
            "Authorization: Basic eDpwQHNzICJ3b3JkIg==",
            "Authorization: Basic eHk6cEBzcyAid29yZCI=",
            "cEBzcyAid29yZCI=",
        ];
        for text in said {
            let masked = all.masked(text);
            assert!(masked.contains(MASK), "{text} -> {masked}");
        }
        assert_eq!(all.masked("password"), "password");
    }

    #[test]
    fn what_a_command_knows_is_hidden_too() {
        let cx = Cx::new(
            crate::Sessions::new(),
            tokio_util::sync::CancellationToken::new(),
            std::time::Duration::from_secs(1),
        );
        let all = secrets("a script with hunter2 in it").and(&Secrets::default(), &cx);
        assert_eq!(all.masked("bad: hunter2"), "bad: hunter2");
        cx.hidden().add(&Value::string("hunter2").sensitive());
        assert_eq!(all.masked("bad: hunter2"), "bad: (sensitive value)");
        assert_eq!(all.masked("a script with hunter2 in it"), "(sensitive value)");
    }

    #[test]
    fn an_echo_of_a_secret_is_marked() {
        let hidden = Hidden::default();
        hidden.add(&Value::string("long-secret").sensitive());
        let value = Value::object([
            ("stdout".to_owned(), Value::string("it is long-secret\n")),
            ("id".to_owned(), Value::string("7")),
        ]);
        let marked = hidden.marked(value);
        let is_marked = |name: &str| !marked.attribute(name).unwrap().marks().is_empty();
        assert!(is_marked("stdout") && !is_marked("id"));
    }

    #[test]
    fn short_texts_stay() {
        assert_eq!(secrets("on").masked("turned on"), "turned on");
    }

    #[test]
    fn lines_of_a_key_are_masked_one_by_one() {
        let all = secrets("-----BEGIN-----\nMIIEowIBAAKCAQEA\nshort\n");
        assert_eq!(
            all.masked("bad line MIIEowIBAAKCAQEA"),
            "bad line (sensitive value)"
        );
        assert_eq!(all.masked("a short line"), "a short line");
    }

    #[test]
    fn the_schema_counts_as_much_as_the_mark() {
        let mut schema = Schema::default();
        let mut secret = Attribute::optional(Type::String);
        secret.sensitive = true;
        schema.attributes.insert("password".to_owned(), secret);
        schema
            .attributes
            .insert("name".to_owned(), Attribute::optional(Type::String));
        let value = Value::object([
            ("password".to_owned(), Value::string("hunter2")),
            ("name".to_owned(), Value::string("operator")),
        ]);
        let all = Secrets::of(&schema, &[&value]);
        assert_eq!(
            all.masked("operator has hunter2"),
            "operator has (sensitive value)"
        );
    }

    #[test]
    fn causes_are_masked_too() {
        let inner = ProviderError::new(ErrorKind::Denied, "no hunter2 here");
        let outer = ProviderError::new(ErrorKind::Denied, "outer")
            .operation("PUT /hunter2")
            .source(inner);
        let masked = secrets("hunter2").masked_error(outer);
        assert_eq!(masked.to_string(), "PUT /(sensitive value): outer");
        assert_eq!(
            Error::source(&masked).unwrap().to_string(),
            "no (sensitive value) here"
        );
    }
}
