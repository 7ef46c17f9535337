//! JSON documents of `show` and `output`, in the shape that the field's tools read.

mod checks;
mod configuration;
mod plan;
mod state;
mod value;

pub(crate) use plan::{PlanFacts, plan_document};
use stack_plan::{Action, Reason};
pub(crate) use state::{output_document, outputs, state_document};
pub(crate) use value::raw_value;

/// The words for an action.
pub(crate) fn actions(action: Action) -> &'static [&'static str] {
    match action {
        Action::NoOp => &["no-op"],
        Action::Read => &["read"],
        Action::Create => &["create"],
        Action::Update => &["update"],
        Action::DeleteThenCreate => &["delete", "create"],
        Action::CreateThenDelete => &["create", "delete"],
        Action::Delete => &["delete"],
        Action::Forget => &["forget"],
        Action::ForgetThenCreate => &["forget", "create"],
    }
}

/// The word for a reason, if there is one for it.
pub(crate) fn reason_name(reason: &Reason, action: Action) -> Option<&'static str> {
    Some(match reason {
        Reason::CannotUpdate => "replace_because_cannot_update",
        Reason::Tainted => "replace_because_tainted",
        Reason::Requested => "replace_by_request",
        Reason::Triggered => "replace_by_triggers",
        Reason::ContainerEnds if action == Action::Forget => "forget_because_container_ends",
        Reason::ContainerEnds => "replace_because_container_ends",
        Reason::NoResource | Reason::Removed => "delete_because_no_resource_config",
        Reason::NoModule => "delete_because_no_module",
        Reason::CountIndex => "delete_because_count_index",
        Reason::EachKey => "delete_because_each_key",
        Reason::WrongRepetition => "delete_because_wrong_repetition",
        Reason::ConfigUnknown => "read_because_config_unknown",
        Reason::DependencyPending => "read_because_dependency_pending",
        Reason::Deposed | Reason::Gone | Reason::Kept => return None,
    })
}
