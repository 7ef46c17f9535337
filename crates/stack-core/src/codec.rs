//! Values as JSON text, exact to the digit.
