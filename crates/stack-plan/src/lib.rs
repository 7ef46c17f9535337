//! stack-plan.
