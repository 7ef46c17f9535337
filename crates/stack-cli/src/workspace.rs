//! A configuration with everything a command needs to work on it.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use stack_config::configuration::{Configuration, Module, Settings};
use stack_config::sources::{Entry, MemorySources};

use stack_config::{Sources, VariableInput, evaluate};
use stack_core::{Diagnostic, Diagnostics, Secret, SourceMap, Value};
use stack_engine::Providers;
use stack_engine::backend::Local;
use stack_engine::backend::key::KeyInputs;
use stack_engine::plan_file::{PlanFile, PlanFileError, SavedSources};
use stack_engine::store::Store;
use stack_plan::{Options, PlanInput};
use stack_state::seal::{Sealer, Withheld};
use stack_state::{Lineage, Salt, State};

use crate::arguments::{VariableArgument, VariableArguments, WorkspaceArguments};
use crate::disk::{Disk, cause};
use crate::error::{CommandError, chain};
use crate::registry;

/// Version of this program.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Where states lie unless the configuration says otherwise, below the folder of the root module.
const DEFAULT_STATE: &str = ".stack";

/// A configuration, checked, with the values of its variables and the place of its state.
pub(crate) struct Workspace {
    /// Folder of the root module as it was given.
    pub(crate) folder: String,
    /// What the user wrote.
    pub(crate) configuration: Configuration,
    /// The texts that diagnostics point into.
    pub(crate) map: SourceMap,
    /// Values of the root module's variables.
    pub(crate) variables: BTreeMap<Arc<str>, Value>,
    /// Name of the environment.
    pub(crate) environment: String,
    /// When the command started (RFC 3339).
    pub(crate) timestamp: String,
    /// All providers.
    pub(crate) providers: Arc<Providers>,
    /// Where the state is.
    pub(crate) place: Place,
    /// What is to be said besides errors.
    pub(crate) warnings: Diagnostics,
    /// Files as functions see them.
    files: Rooted,
    disk: Arc<Disk>,
}

/// Where a state is kept and what opens it.
#[derive(Clone)]
pub(crate) struct Place {
    /// Where.
    pub(crate) backend: Arc<Local>,
    /// Its key.
    pub(crate) keys: Arc<KeyInputs>,
    /// Name of the environment.
    pub(crate) environment: String,
}

impl Place {
    /// The state without a lock; `None` if nothing was ever recorded.
    pub(crate) fn read(&self) -> Result<Option<State>, CommandError> {
        Ok(Store::read(&*self.backend, self.keys.clone())?)
    }

    /// The state without its secrets, which needs no key: what is sealed is null and sensitive.
    pub(crate) fn read_masked(&self) -> Result<Option<State>, CommandError> {
        Ok(Store::read_with(&*self.backend, &Withheld::default())?)
    }

    /// The state without a lock; a new one if nothing was ever recorded.
    pub(crate) fn read_or_new(&self) -> Result<State, CommandError> {
        let fresh = || {
            let salt = Salt(*uuid::Uuid::new_v4().as_bytes());
            State::new(
                Lineage::from(uuid::Uuid::new_v4().to_string()),
                &self.environment,
                salt,
            )
        };
        Ok(self.read()?.unwrap_or_else(fresh))
    }

    /// What seals for a lineage.
    pub(crate) fn sealer(&self, lineage: Lineage, salt: Salt) -> Sealer {
        Sealer::new(self.keys.clone(), lineage, salt)
    }
}

/// Files whose relative paths start in the folder of the root module.
struct Rooted {
    inner: Arc<dyn Sources>,
    folder: String,
}

impl Rooted {
    fn path(&self, path: &str) -> String {
        if path.starts_with('/') || self.folder == "." {
            path.to_owned()
        } else {
            format!("{}/{path}", self.folder)
        }
    }
}

impl Sources for Rooted {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        self.inner.read(&self.path(path))
    }

    fn list(&self, dir: &str) -> Result<Vec<Entry>, String> {
        self.inner.list(&self.path(dir))
    }

    fn current_folder(&self) -> String {
        self.inner.current_folder()
    }

    fn home_folder(&self) -> Option<String> {
        self.inner.home_folder()
    }
}

/// A configuration that was read and passed all checks that need no values.
struct Checked {
    configuration: Configuration,
    warnings: Diagnostics,
}

/// Reads and checks the configuration in a folder.
fn check(sources: &dyn Sources, folder: &str, providers: &Providers) -> Result<Checked, CommandError> {
    let loaded = stack_config::load(sources, folder);
    let mut diagnostics = loaded.diagnostics;
    let Some(configuration) = loaded.configuration else {
        return Err(CommandError::from(diagnostics).with_sources(&loaded.sources));
    };
    diagnostics.extend(stack_config::check_version(&configuration, VERSION));
    diagnostics.extend(stack_config::validate(
        &configuration,
        &registry::Known(providers),
    ));
    if diagnostics.has_errors() {
        return Err(CommandError::from(diagnostics).with_sources(&configuration.sources));
    }
    Ok(Checked {
        configuration,
        warnings: diagnostics,
    })
}

impl Workspace {
    /// Reads the configuration in a folder and everything that goes with it.
    pub(crate) fn load(folder: Option<&str>, arguments: &WorkspaceArguments) -> Result<Self, CommandError> {
        let folder = clean_folder(folder);
        let providers = Arc::new(registry::providers());
        let disk = Arc::new(Disk::default());
        let Checked {
            configuration,
            warnings,
        } = check(&*disk, &folder, &providers)?;
        let mut map = configuration.sources.clone();
        // Of variables a saved plan holds the values it rests on, not the files, which may hold others.
        let inputs = variable_inputs(&Disk::default(), &folder, &arguments.variables.0)?;
        let (variables, problems) = stack_config::variable_values(&configuration, &mut map, &inputs);
        let mut all = warnings;
        all.extend(problems);
        if all.has_errors() {
            return Err(CommandError::from(all).with_sources(&map));
        }
        let place = place(&configuration.root.settings, &folder, &arguments.env)
            .map_err(|error| error.with_sources(&map))?;
        Ok(Self {
            files: Rooted {
                inner: disk.clone(),
                folder: folder.clone(),
            },
            folder,
            configuration,
            map,
            variables,
            environment: arguments.env.clone(),
            timestamp: now(),
            providers,
            place,
            warnings: all,
            disk,
        })
    }

    /// A workspace without configuration: only the state may hold something.
    pub(crate) fn empty(folder: Option<&str>, arguments: &WorkspaceArguments) -> Result<Self, CommandError> {
        let folder = clean_folder(folder);
        let disk = Arc::new(Disk::default());
        Ok(Self {
            files: Rooted {
                inner: disk.clone(),
                folder: folder.clone(),
            },
            configuration: Configuration {
                root: Module::default(),
                sources: SourceMap::default(),
            },
            map: SourceMap::default(),
            variables: BTreeMap::new(),
            environment: arguments.env.clone(),
            timestamp: now(),
            providers: Arc::new(registry::providers()),
            place: place(&Settings::default(), &folder, &arguments.env)?,
            warnings: Diagnostics::new(),
            folder,
            disk,
        })
    }

    /// Checks the configuration in a folder without values for its variables.
    pub(crate) fn validate(folder: Option<&str>) -> Result<(Diagnostics, SourceMap), CommandError> {
        let folder = clean_folder(folder);
        let providers = registry::providers();
        let disk = Arc::new(Disk::default());
        let Checked {
            configuration,
            warnings,
        } = check(&*disk, &folder, &providers)?;
        let files = Rooted { inner: disk, folder };
        let variables: BTreeMap<Arc<str>, Value> = BTreeMap::new();
        let state = State::new(Lineage::from(""), "default", Salt::default());
        let options = Options::default();
        let input = PlanInput {
            configuration: &configuration,
            sources: &files,
            catalog: &providers,
            state: &state,
            variables: &variables,
            environment: "default",
            timestamp: "",
            options: &options,
        };
        match stack_plan::Planner::new(input) {
            Ok(_) => Ok((warnings, configuration.sources.clone())),
            Err(cycles) => {
                let mut all = warnings;
                all.extend(cycles);
                Err(CommandError::from(all).with_sources(&configuration.sources))
            }
        }
    }

    /// What a saved plan was made from: nothing else is read. Only ephemeral variables, which are never stored, are
    /// given anew.
    pub(crate) fn saved(file: &PlanFile, arguments: &VariableArguments) -> Result<Self, CommandError> {
        let providers = Arc::new(registry::providers());
        let sources: Arc<dyn Sources> = Arc::new(file.sources.clone());
        let Checked {
            configuration,
            warnings,
        } = check(&*sources, &file.folder, &providers)?;
        let place = place(&configuration.root.settings, &file.folder, &file.environment)?;
        let mut map = configuration.sources.clone();
        let mut reduced = configuration.clone();
        reduced
            .root
            .variables
            .retain(|name, _| !file.variables.contains_key(name));
        let inputs = given_anew(&Disk::default(), &arguments.0)?;
        let (anew, problems) = stack_config::variable_values(&reduced, &mut map, &inputs);
        let mut all = warnings;
        all.extend(problems);
        if all.has_errors() {
            let hint = "a saved plan has settled all variables but the ephemeral ones";
            return Err(CommandError::from(all).with_sources(&map).hint(hint));
        }
        Ok(Self {
            files: Rooted {
                inner: sources,
                folder: file.folder.clone(),
            },
            folder: file.folder.clone(),
            map,
            configuration,
            variables: file
                .variables
                .iter()
                .map(|(name, value)| (name.clone(), value.clone()))
                .chain(anew)
                .collect(),
            environment: file.environment.clone(),
            timestamp: file.timestamp.clone(),
            providers,
            place,
            warnings: all,
            disk: Arc::default(),
        })
    }

    /// What a plan follows from.
    pub(crate) fn input<'a>(&'a self, state: &'a State, options: &'a Options) -> PlanInput<'a> {
        PlanInput {
            configuration: &self.configuration,
            sources: &self.files,
            catalog: &*self.providers,
            state,
            variables: &self.variables,
            environment: &self.environment,
            timestamp: &self.timestamp,
            options,
        }
    }

    /// The values of variables that may be stored.
    pub(crate) fn stored_variables(&self) -> BTreeMap<Arc<str>, Value> {
        let stored = |name: &Arc<str>| {
            !self
                .configuration
                .root
                .variables
                .get(name)
                .is_some_and(|v| v.ephemeral)
        };
        self.variables
            .iter()
            .filter(|(name, _)| stored(name))
            .map(|(n, v)| (n.clone(), v.clone()))
            .collect()
    }

    /// Everything that was read so far.
    pub(crate) fn saved_sources(&self) -> SavedSources {
        SavedSources {
            files: self.disk.files(),
            folders: self.disk.folders(),
            current_folder: self.disk.current_folder(),
            home_folder: self.disk.home_folder(),
        }
    }
}

/// The state of a folder, for commands that need no values of variables.
pub(crate) fn place_of(folder: Option<&str>, environment: &str) -> Result<Place, CommandError> {
    let folder = clean_folder(folder);
    let loaded = stack_config::load(&Disk::default(), &folder);
    let Some(configuration) = loaded.configuration else {
        return Err(CommandError::from(loaded.diagnostics).with_sources(&loaded.sources));
    };
    place(&configuration.root.settings, &folder, environment)
        .map_err(|error| error.with_sources(&configuration.sources))
}

fn clean_folder(folder: Option<&str>) -> String {
    let folder = folder.unwrap_or(".").trim_end_matches('/');
    match folder {
        "" => "/".to_owned(),
        folder => folder.strip_prefix("./").unwrap_or(folder).to_owned(),
    }
}

/// All sources of values, the weakest first.
fn variable_inputs(
    disk: &Disk,
    folder: &str,
    arguments: &[VariableArgument],
) -> Result<Vec<VariableInput>, CommandError> {
    let mut inputs = from_environment();
    for entry in disk.list(folder).unwrap_or_default() {
        if !entry.folder && entry.name.ends_with(".auto.vars.hcl") {
            let path = if folder == "." {
                entry.name
            } else {
                format!("{folder}/{}", entry.name)
            };
            inputs.push(variable_file(disk, &path)?);
        }
    }
    inputs.extend(from_arguments(disk, arguments)?);
    Ok(inputs)
}

/// Sources of values for what a saved plan has not stored.
fn given_anew(disk: &Disk, arguments: &[VariableArgument]) -> Result<Vec<VariableInput>, CommandError> {
    let mut inputs = from_environment();
    inputs.extend(from_arguments(disk, arguments)?);
    Ok(inputs)
}

fn from_environment() -> Vec<VariableInput> {
    let mut all: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter_map(|(name, value)| Some((name.strip_prefix("STACK_VAR_")?.to_owned(), value)))
        .collect();
    all.sort();
    all.into_iter()
        .map(|(name, text)| VariableInput::Environment { name, text })
        .collect()
}

fn from_arguments(disk: &Disk, arguments: &[VariableArgument]) -> Result<Vec<VariableInput>, CommandError> {
    let input = |argument: &VariableArgument| match argument {
        VariableArgument::Value(name, text) => Ok(VariableInput::Argument {
            name: name.clone(),
            text: text.clone(),
        }),
        VariableArgument::File(path) => variable_file(disk, path),
    };
    arguments.iter().map(input).collect()
}

fn variable_file(disk: &Disk, path: &str) -> Result<VariableInput, CommandError> {
    let unreadable = |cause: String| {
        CommandError::new(
            "STK0505",
            "Unreadable variables file",
            format!("The file \"{path}\" could not be read: {cause}."),
        )
    };
    let bytes = disk.read(path).map_err(unreadable)?;
    let text = String::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8".to_owned()))?;
    Ok(VariableInput::File {
        path: path.to_owned(),
        text,
    })
}

/// Where the settings put the state of an environment.
fn place(settings: &Settings, folder: &str, environment: &str) -> Result<Place, CommandError> {
    let mut path = DEFAULT_STATE.to_owned();
    if let Some(backend) = &settings.backend {
        if &*backend.ty != "local" {
            let detail = format!(
                "There is no backend \"{}\". The only one is \"local\".",
                backend.ty
            );
            return Err(Diagnostic::error("STK0506", "Unknown backend", detail)
                .at(backend.span)
                .into());
        }
        for (name, attribute) in &backend.body.attributes {
            if &**name != "path" {
                let detail =
                    format!("The backend \"local\" has no argument \"{name}\". Its only one is \"path\".");
                return Err(Diagnostic::error("STK0506", "Unsupported argument", detail)
                    .at(attribute.name_span)
                    .into());
            }
            let value = evaluate(&attribute.expr, &Nothing::default())?;
            let text = value.as_str().filter(|text| !text.is_empty()).ok_or_else(|| {
                let detail =
                    "The path of the backend is a text: a folder, relative to that of the root module.";
                Diagnostic::error("STK0506", "Invalid path of the backend", detail).at(attribute.name_span)
            })?;
            path = text.to_owned();
        }
    }
    let path = if folder == "." {
        PathBuf::from(path)
    } else {
        Path::new(folder).join(path)
    };
    let backend = Arc::new(Local::new(&path, environment));
    Ok(Place {
        backend,
        keys: Arc::new(keys()),
        environment: environment.to_owned(),
    })
}

/// A scope without anything in it.
#[derive(Default)]
struct Nothing(MemorySources);

impl stack_config::Scope for Nothing {
    fn value(&self, reference: &stack_config::reference::Reference) -> Result<Value, Diagnostics> {
        Err(Diagnostic::error(
            "STK0110",
            "Variables not allowed",
            "Variables may not be used here.",
        )
        .at(reference.span)
        .into())
    }

    fn sources(&self) -> &dyn Sources {
        &self.0
    }

    fn module_dir(&self) -> &str {
        ""
    }
}

/// What the environment says about the key. One look for the whole command: a command that prints the key runs once, and a
/// passphrase is derived from once, whoever asks.
fn keys() -> KeyInputs {
    static KEYS: OnceLock<KeyInputs> = OnceLock::new();
    KEYS.get_or_init(look_for_keys).clone()
}

fn look_for_keys() -> KeyInputs {
    let text = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    let folder = text("XDG_CONFIG_HOME").map(PathBuf::from);
    let folder = folder.or_else(|| Some(PathBuf::from(text("HOME")?).join(".config")));
    KeyInputs {
        default_file: folder.map(|folder| folder.join("stack/state.key")),
        terminal: std::io::stdin().is_terminal() && std::io::stderr().is_terminal(),
        ..named_keys("STACK_STATE_")
    }
}

/// What the environment says about a new key; the file is made if it is not there.
pub(crate) fn new_keys(file: Option<PathBuf>) -> KeyInputs {
    KeyInputs {
        default_file: file,
        terminal: true,
        new: true,
        ..named_keys("STACK_STATE_NEW_")
    }
}

/// Variables that are set, be it to nothing.
fn named_keys(prefix: &str) -> KeyInputs {
    let text = |name: &str| {
        let value = std::env::var_os(format!("{prefix}{name}"))?;
        Some(value.to_string_lossy().into_owned())
    };
    KeyInputs {
        key: text("KEY").map(Secret::new),
        passphrase: text("PASSPHRASE").map(Secret::new),
        file: text("KEY_FILE").map(PathBuf::from),
        command: text("KEY_COMMAND"),
        ..KeyInputs::default()
    }
}

/// The time in RFC 3339, UTC, in whole seconds.
pub(crate) fn now() -> String {
    let now = time::OffsetDateTime::now_utc();
    let whole = now.replace_nanosecond(0).unwrap_or(now);
    whole
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap_or_default()
}

/// Reads a plan file.
pub(crate) fn read_plan_file(path: &str) -> Result<PlanFile, CommandError> {
    let unreadable = |detail: String| CommandError::new("STK0507", "Plan file not usable", detail);
    let bytes = std::fs::read(path).map_err(|error| {
        unreadable(format!(
            "The file \"{path}\" could not be read: {}.",
            cause(&error)
        ))
    })?;
    let keys = Arc::new(keys());
    let decoded = PlanFile::decode(&bytes, VERSION, |lineage, salt| Sealer::new(keys, lineage, salt));
    decoded.map_err(|error| {
        if matches!(error, PlanFileError::Newer { .. }) {
            return CommandError::new("STK0522", "Written by a newer stack", format!("The file \"{path}\": {}", chain(&error)));
        }
        let seal = matches!(error, PlanFileError::Seal(_));
        let error = unreadable(format!("The file \"{path}\" cannot be used. {}", chain(&error)));
        if seal {
            error.hint("give the key that the plan was made with: STACK_STATE_KEY, STACK_STATE_PASSPHRASE or its key file")
        } else {
            error
        }
    })
}

/// Whether an argument names a plan file: a regular file is a plan, a folder is configuration.
pub(crate) fn is_plan_file(path: &str) -> bool {
    Path::new(path).is_file()
}
