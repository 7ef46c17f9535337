//! The body of a plan file as JSON.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use stack_config::sources::Entry;
use stack_core::Value;
use stack_core::codec::{self, Seal};
use stack_plan::{Mode, Options};
use stack_state::State;

use super::answers::{AnswerWire, RequestWire};
use super::findings::LookedWire;
use super::{PlanFile, PlanFileError, SavedSources};

#[derive(Serialize, Deserialize)]
struct Body {
    tool_version: String,
    folder: String,
    files: BTreeMap<String, Result<String, String>>,
    folders: BTreeMap<String, Result<Vec<(String, bool)>, String>>,
    current_folder: String,
    home_folder: Option<String>,
    variables: BTreeMap<String, ValueWire>,
    environment: String,
    timestamp: String,
    mode: String,
    refresh: bool,
    targets: Vec<String>,
    excludes: Vec<String>,
    replace: Vec<String>,
    state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recovery: Option<LookedWire>,
    answers: Vec<(RequestWire, AnswerWire)>,
}

/// A value with its type; both texts are JSON.
#[derive(Serialize, Deserialize)]
pub(super) struct ValueWire {
    ty: String,
    json: String,
}

impl ValueWire {
    pub(super) fn of(value: &Value, seal: &dyn Seal) -> Result<Self, PlanFileError> {
        let encoded = codec::write(value, seal, "plan")?;
        Ok(Self {
            ty: encoded.ty,
            json: encoded.json,
        })
    }

    pub(super) fn value(&self, seal: &dyn Seal) -> Result<Value, PlanFileError> {
        let encoded = codec::Encoded {
            ty: self.ty.clone(),
            json: self.json.clone(),
        };
        Ok(codec::read(
            &encoded.json,
            &codec::type_from_json(&encoded.ty)?,
            seal,
            "plan",
        )?)
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, b| text + &format!("{b:02x}"))
}

pub(super) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.is_ascii() {
        return None;
    }
    let mut out = [0; N];
    for (i, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(out)
}

pub(super) fn damaged(reason: impl std::fmt::Display) -> PlanFileError {
    PlanFileError::NotAPlan {
        reason: reason.to_string(),
    }
}

fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Normal => "normal",
        Mode::Destroy => "destroy",
        Mode::RefreshOnly => "refresh-only",
    }
}

pub(super) fn encode_state(state: &State, seal: &dyn Seal) -> Result<String, PlanFileError> {
    let bytes = stack_state::snapshot::encode(state, seal).map_err(|e| PlanFileError::State {
        reason: e.to_string(),
    })?;
    Ok(STANDARD.encode(bytes))
}

pub(super) fn decode_state(text: &str, seal: &dyn Seal) -> Result<State, PlanFileError> {
    let bytes = STANDARD.decode(text).map_err(damaged)?;
    stack_state::snapshot::Snapshot::parse(&bytes)
        .and_then(|s| s.open(seal))
        .map_err(|e| PlanFileError::State {
            reason: e.to_string(),
        })
}

pub(super) fn encode(plan: &PlanFile, seal: &dyn Seal) -> Result<String, PlanFileError> {
    let recovery = plan.recovery.as_ref();
    let mut variables = BTreeMap::new();
    for (name, value) in &plan.variables {
        variables.insert(name.to_string(), ValueWire::of(value, seal)?);
    }
    let mut answers = Vec::with_capacity(plan.answers.len());
    for (request, answer) in &plan.answers {
        answers.push((RequestWire::of(request, seal)?, AnswerWire::of(answer, seal)?));
    }
    let options = &plan.options;
    let body = Body {
        tool_version: plan.tool_version.clone(),
        folder: plan.folder.clone(),
        files: plan
            .sources
            .files
            .iter()
            .map(|(path, read)| {
                (
                    path.clone(),
                    read.as_ref().map(|b| STANDARD.encode(b)).map_err(Clone::clone),
                )
            })
            .collect(),
        folders: plan
            .sources
            .folders
            .iter()
            .map(|(path, list)| {
                let list = list
                    .as_ref()
                    .map(|l| l.iter().map(|e| (e.name.clone(), e.folder)).collect());
                (path.clone(), list.map_err(Clone::clone))
            })
            .collect(),
        current_folder: plan.sources.current_folder.clone(),
        home_folder: plan.sources.home_folder.clone(),
        variables,
        environment: plan.environment.clone(),
        timestamp: plan.timestamp.clone(),
        mode: mode_word(options.mode).to_owned(),
        refresh: options.refresh,
        targets: options.targets.iter().map(ToString::to_string).collect(),
        excludes: options.excludes.iter().map(ToString::to_string).collect(),
        replace: options.replace.iter().map(ToString::to_string).collect(),
        state: encode_state(&plan.state, seal)?,
        recovery: recovery.map(|looked| LookedWire::of(looked, seal)).transpose()?,
        answers,
    };
    serde_json::to_string(&body).map_err(damaged)
}

pub(super) fn decode(bytes: &[u8], own_version: &str, seal: &dyn Seal) -> Result<PlanFile, PlanFileError> {
    let body: Body = serde_json::from_slice(bytes).map_err(damaged)?;
    if body.tool_version != own_version {
        return Err(PlanFileError::OtherVersion {
            made_by: body.tool_version,
            own: own_version.to_owned(),
        });
    }
    let mode = [Mode::Normal, Mode::Destroy, Mode::RefreshOnly]
        .into_iter()
        .find(|m| mode_word(*m) == body.mode)
        .ok_or_else(|| damaged("its mode is unknown"))?;
    let targets = |texts: &[String]| {
        texts
            .iter()
            .map(|t| t.parse().map_err(damaged))
            .collect::<Result<Vec<_>, _>>()
    };
    let options = Options {
        mode,
        refresh: body.refresh,
        targets: targets(&body.targets)?,
        excludes: targets(&body.excludes)?,
        replace: body
            .replace
            .iter()
            .map(|t| t.parse().map_err(damaged))
            .collect::<Result<_, _>>()?,
    };
    let mut files = BTreeMap::new();
    for (path, read) in body.files {
        let read = match read {
            Ok(text) => Ok(STANDARD.decode(text).map_err(damaged)?),
            Err(reason) => Err(reason),
        };
        files.insert(path, read);
    }
    let folders = body
        .folders
        .into_iter()
        .map(|(path, list)| {
            (
                path,
                list.map(|l| {
                    l.into_iter()
                        .map(|(name, folder)| Entry { name, folder })
                        .collect()
                }),
            )
        })
        .collect();
    let state = decode_state(&body.state, seal)?;
    let recovery = body.recovery.map(|looked| looked.looked(seal)).transpose()?;
    let mut variables = BTreeMap::new();
    for (name, value) in &body.variables {
        variables.insert(Arc::from(name.as_str()), value.value(seal)?);
    }
    let mut answers = BTreeMap::new();
    for (request, answer) in &body.answers {
        answers.insert(request.request(seal)?, answer.answer(seal)?);
    }
    let (current_folder, home_folder) = (body.current_folder, body.home_folder);
    Ok(PlanFile {
        tool_version: body.tool_version,
        folder: body.folder,
        sources: SavedSources {
            files,
            folders,
            current_folder,
            home_folder,
        },
        variables,
        environment: body.environment,
        timestamp: body.timestamp,
        options,
        state,
        recovery,
        answers,
    })
}
