//! Requests and answers in a plan file.

use serde::{Deserialize, Serialize};
use stack_core::codec::Seal;
use stack_core::{Path, ProviderAddress, ResourceAddress, Step};
use stack_plan::{Answer, Request};
use stack_state::DeposedKey;

use super::PlanFileError;
use super::wire::{ValueWire, damaged};

/// A [`Request`]; the fields that its kind does not have are absent.
#[derive(Serialize, Deserialize)]
pub(super) struct RequestWire {
    kind: String,
    address: String,
    provider: String,
    arguments: ValueWire,
    deposed: Option<String>,
    prior: Option<ValueWire>,
    config: Option<ValueWire>,
    id: Option<String>,
}

/// An [`Answer`].
#[derive(Serialize, Deserialize)]
pub(super) enum AnswerWire {
    Object(Option<ValueWire>),
    Preview {
        planned: Option<ValueWire>,
        warnings: Vec<(Vec<StepWire>, String)>,
        rendered: Option<String>,
        not_checked: Option<String>,
    },
    Failed(String, Option<Vec<StepWire>>),
}

#[derive(Serialize, Deserialize)]
pub(super) enum StepWire {
    Attribute(String),
    Index(usize),
}

fn path_wire(path: &Path) -> Vec<StepWire> {
    path.0
        .iter()
        .map(|step| match step {
            Step::Attribute(name) => StepWire::Attribute(name.to_string()),
            Step::Index(index) => StepWire::Index(*index),
        })
        .collect()
}

fn path(steps: &[StepWire]) -> Path {
    steps.iter().fold(Path::root(), |path, step| match step {
        StepWire::Attribute(name) => path.attribute(name),
        StepWire::Index(index) => path.index(*index),
    })
}

impl RequestWire {
    pub(super) fn of(request: &Request, seal: &dyn Seal) -> Result<Self, PlanFileError> {
        let (provider, arguments) = request.provider();
        let mut wire = Self {
            kind: String::new(),
            address: request.address().to_string(),
            provider: provider.to_string(),
            arguments: ValueWire::of(arguments, seal)?,
            deposed: None,
            prior: None,
            config: None,
            id: None,
        };
        let kind = match request {
            Request::Read { deposed, prior, .. } => {
                wire.deposed = deposed.as_ref().map(ToString::to_string);
                wire.prior = Some(ValueWire::of(prior, seal)?);
                "read"
            }
            Request::Data { config, .. } => {
                wire.config = Some(ValueWire::of(config, seal)?);
                "data"
            }
            Request::Preview { prior, proposed, .. } => {
                wire.prior = prior.as_ref().map(|p| ValueWire::of(p, seal)).transpose()?;
                wire.config = Some(ValueWire::of(proposed, seal)?);
                "preview"
            }
            Request::Import { id, .. } => {
                wire.id = Some(id.clone());
                "import"
            }
        };
        kind.clone_into(&mut wire.kind);
        Ok(wire)
    }

    pub(super) fn request(&self, seal: &dyn Seal) -> Result<Request, PlanFileError> {
        let address: ResourceAddress = self.address.parse().map_err(damaged)?;
        let provider: ProviderAddress = self.provider.parse().map_err(damaged)?;
        let arguments = self.arguments.value(seal)?;
        let prior = self.prior.as_ref().map(|v| v.value(seal)).transpose()?;
        let config = self.config.as_ref().map(|v| v.value(seal)).transpose()?;
        let lacks = || damaged("a request in it is incomplete");
        Ok(match self.kind.as_str() {
            "read" => {
                let deposed = self.deposed.as_deref().map(DeposedKey::from);
                Request::Read {
                    address,
                    deposed,
                    provider,
                    arguments,
                    prior: prior.ok_or_else(lacks)?,
                }
            }
            "data" => Request::Data {
                address,
                provider,
                arguments,
                config: config.ok_or_else(lacks)?,
            },
            "preview" => Request::Preview {
                address,
                provider,
                arguments,
                prior,
                proposed: config.ok_or_else(lacks)?,
            },
            "import" => Request::Import {
                address,
                provider,
                arguments,
                id: self.id.clone().ok_or_else(lacks)?,
            },
            _ => return Err(damaged("it has a request of an unknown kind")),
        })
    }
}

impl AnswerWire {
    pub(super) fn of(answer: &Answer, seal: &dyn Seal) -> Result<Self, PlanFileError> {
        let value = |v: &Option<stack_core::Value>| v.as_ref().map(|v| ValueWire::of(v, seal)).transpose();
        Ok(match answer {
            Answer::Object(object) => Self::Object(value(object)?),
            Answer::Preview {
                planned,
                warnings,
                rendered,
                not_checked,
            } => Self::Preview {
                planned: value(planned)?,
                warnings: warnings
                    .iter()
                    .map(|(p, text)| (path_wire(p), text.clone()))
                    .collect(),
                rendered: rendered.clone(),
                not_checked: not_checked.clone(),
            },
            Answer::Failed(text, at) => Self::Failed(text.clone(), at.as_ref().map(path_wire)),
        })
    }

    pub(super) fn answer(&self, seal: &dyn Seal) -> Result<Answer, PlanFileError> {
        let value = |v: &Option<ValueWire>| v.as_ref().map(|v| v.value(seal)).transpose();
        Ok(match self {
            Self::Object(object) => Answer::Object(value(object)?),
            Self::Preview {
                planned,
                warnings,
                rendered,
                not_checked,
            } => Answer::Preview {
                planned: value(planned)?,
                warnings: warnings.iter().map(|(p, text)| (path(p), text.clone())).collect(),
                rendered: rendered.clone(),
                not_checked: not_checked.clone(),
            },
            Self::Failed(text, at) => Answer::Failed(text.clone(), at.as_deref().map(path)),
        })
    }
}
