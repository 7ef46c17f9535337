//! The legality table, and what each record does.
