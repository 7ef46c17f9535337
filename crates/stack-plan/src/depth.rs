//! How deep evaluation may go: a stack has an end, and a configuration has none.

use std::cell::Cell;

use stack_core::{Diagnostic, Diagnostics, ModulePath, Value};

/// Most values that may be evaluated for the sake of one another.
pub(crate) const MAX_DEPTH: usize = 1000;

/// How deep a value with a name may nest; what is stored nests less deep.
const MAX_NESTING: usize = 200;

/// How many values are being evaluated, each for the sake of the one before.
#[derive(Default)]
pub(crate) struct Depth(Cell<usize>);

impl Depth {
    /// Does work for the sake of the work around it.
    ///
    /// # Errors
    /// As the work, or there is too much around it.
    pub(crate) fn deeper<T>(
        &self,
        (module, name): &(ModulePath, String),
        work: impl FnOnce() -> Result<T, Diagnostics>,
    ) -> Result<T, Diagnostics> {
        let depth = self.0.get();
        // A chain as long as the graph allows, and a few steps around it.
        if depth >= MAX_DEPTH + 10 {
            return Err(too_long(module, name));
        }
        self.0.set(depth + 1);
        let done = work();
        self.0.set(depth);
        done
    }
}

/// The value, unless its parts nest too deep to be walked.
///
/// # Errors
/// They do.
pub(crate) fn walkable(value: Value, module: &ModulePath, name: &str) -> Result<Value, Diagnostics> {
    if value.nests_deeper_than(MAX_NESTING) {
        let why = format!("it nests more than {MAX_NESTING} levels deep");
        return Err(too_deep(module, name, &why));
    }
    Ok(value)
}

/// The error of a value at the end of too long a chain.
pub(crate) fn too_long(module: &ModulePath, name: &str) -> Diagnostics {
    let why = format!("more than {MAX_DEPTH} other values are behind it, each referring to the next");
    too_deep(module, name, &why)
}

fn too_deep(module: &ModulePath, name: &str, why: &str) -> Diagnostics {
    let place = if module.is_root() {
        name.to_owned()
    } else {
        format!("{module}.{name}")
    };
    let detail = format!("The value of {place} cannot be evaluated: {why}.");
    Diagnostic::error("STK0203", "Values too deep", detail).into()
}
