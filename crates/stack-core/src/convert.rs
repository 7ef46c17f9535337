//! Conversion between types and unification of types.
