//! `stack state rekey`

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use stack_core::ResourceAddress;
use stack_core::codec::{Seal, SealError};
use stack_engine::Providers;
use stack_plan::Catalog as _;
use stack_state::seal::{Sealer, Withheld};
use stack_state::{DeposedKey, State, Status};
use zeroize::Zeroizing;

use super::{Approval, Change};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::registry;
use crate::ui::Ui;
use crate::workspace::{new_keys, place_of};

#[derive(Debug, Args)]
#[command(
    after_help = "The new key is given as the key is: STACK_STATE_NEW_KEY, STACK_STATE_NEW_PASSPHRASE, \
                        STACK_STATE_NEW_KEY_FILE or STACK_STATE_NEW_KEY_COMMAND; or with --new-key-file."
)]
pub(in crate::commands) struct Arguments {
    /// Folder of the configuration [default: .]
    #[arg(value_name = "FOLDER")]
    folder: Option<String>,
    /// File with the new key; made if it is not there
    #[arg(long, value_name = "FILE")]
    new_key_file: Option<PathBuf>,
    /// The old key is lost: give up every sealed value
    #[arg(long)]
    forget: bool,
    #[command(flatten)]
    change: Change,
    #[command(flatten)]
    approval: Approval,
}

/// Seals nothing and notes where something would be sealed.
#[derive(Default)]
struct Present(RefCell<BTreeSet<String>>);

impl Present {
    fn has(&self, place: &str) -> bool {
        self.0.borrow().contains(place)
    }
}

impl Seal for Present {
    fn seal(&self, _: &str, context: &str) -> Result<String, SealError> {
        self.0.borrow_mut().insert(context.to_owned());
        Ok(String::new())
    }

    fn open(&self, _: &str, _: &str) -> Result<Zeroizing<String>, SealError> {
        Err(SealError::NoKey)
    }
}

fn refused(detail: &str) -> CommandError {
    CommandError::new("STK0526", "Key not changed", detail)
}

impl Arguments {
    pub(super) fn run(&self, ui: &Ui) -> Result<Exit, CommandError> {
        let new = new_keys(self.new_key_file.clone());
        if !new.is_named() && self.new_key_file.is_none() {
            return Err(CommandError::usage("No new key is given.")
                .hint("set STACK_STATE_NEW_KEY, or give --new-key-file"));
        }
        if new.is_named() && self.new_key_file.is_some() {
            return Err(CommandError::usage("Two new keys are given.")
                .hint("leave --new-key-file or the variable out"));
        }
        if self.forget {
            self.approval.check()?;
        }
        let place = place_of(self.folder.as_deref(), &self.change.env)?;
        let Some(locked) = self.change.lock(ui, &place, "stack state rekey")? else {
            return Ok(Exit::Error);
        };
        let old = locked.sealer(place.keys.clone())?;
        let (state, torn) = if self.forget {
            let withheld = Withheld::default();
            let (mut state, torn) = locked.load(&withheld)?;
            // Values in the journal that were replaced or removed since are in it no more.
            let present = Present::default();
            let encoded = stack_state::snapshot::encode(&state, &present);
            encoded.map_err(|error| refused(&crate::error::chain(&error)))?;
            let mut places = withheld.places();
            places.sort();
            places.dedup();
            places.retain(|place| place.starts_with("host keys of ") || present.has(place));
            state.pins.retain(|_, keys| !keys.is_empty());
            if !places.is_empty() && locked.load(&old).is_ok() {
                return Err(refused(
                    "The key at hand opens every sealed value, so nothing has to be given up.",
                )
                .hint("leave --forget out"));
            }
            ui.say(&give_up(&mut state, &places, &registry::providers()));
            if !self
                .approval
                .given(ui, "Give these values up? There is no way back.")
            {
                return Ok(Exit::Error);
            }
            (state, torn)
        } else {
            locked.load(&old)?
        };
        let sealer = Sealer::new(Arc::new(new), state.lineage.clone(), state.salt);
        let id = sealer.key_id()?.to_owned();
        if !self.forget && old.key_id().is_ok_and(|old| old == id) {
            return Err(
                refused("The new key is the one that the state is sealed with.").hint("give another one")
            );
        }
        locked.write(state, &torn, &sealer)?;
        ui.say(&format!(
            "The state is sealed with key {id} now. Give it to every command from here on. Plans saved before are not usable any more.\n"
        ));
        Ok(Exit::Done)
    }
}

/// Says what is given up and what becomes of it, and marks objects that cannot be used without it.
fn give_up(state: &mut State, places: &[String], providers: &Providers) -> String {
    let mut out = String::from("Sealed values that are given up:\n");
    if places.is_empty() {
        out.push_str("  none\n");
    }
    let objects: BTreeMap<String, (ResourceAddress, Option<DeposedKey>)> = state
        .objects()
        .map(|(address, deposed, _)| {
            let place = match deposed {
                None => address.to_string(),
                Some(key) => format!("{address} (deposed {key})"),
            };
            (place, (address.clone(), deposed.cloned()))
        })
        .collect();
    for place in places {
        // The longest, as one place may begin another.
        let object = objects
            .iter()
            .rev()
            .find_map(|(object, at)| Some((place.strip_prefix(object.as_str())?, at)))
            .filter(|(rest, _)| rest.is_empty() || rest.starts_with('/') || rest.starts_with(' '));
        let then = match object {
            Some((rest, (address, deposed))) => {
                let attribute = rest
                    .strip_prefix('/')
                    .and_then(|path| path.split(['.', '[']).next());
                of_object(state, address, deposed.as_ref(), attribute, providers)
            }
            None if place.starts_with("output.") => "the next apply computes it anew",
            None if place.starts_with("host keys of ") => {
                "no key of this host is trusted any more; it is not connected to until it is replaced"
            }
            None if place.starts_with("operation ") => {
                "the next apply finds out what became of it without this value"
            }
            None => "the next apply takes it from the configuration",
        };
        let _ = writeln!(out, "  {place}: {then}");
    }
    out.push('\n');
    out
}

/// What becomes of an object that loses a value.
fn of_object(
    state: &mut State,
    address: &ResourceAddress,
    deposed: Option<&DeposedKey>,
    attribute: Option<&str>,
    providers: &Providers,
) -> &'static str {
    let schema = providers.resource(&address.ty).map(|ty| ty.schema());
    let argument = attribute.is_some_and(|name| {
        let declared = schema.and_then(|schema| schema.attributes.get(name));
        declared.is_some_and(|a| a.required || (a.optional && !a.computed))
            || schema.is_some_and(|schema| schema.blocks.contains_key(name))
    });
    let object = state
        .instances
        .get_mut(address)
        .and_then(|instance| match deposed {
            None => instance.current.as_mut(),
            Some(key) => instance.deposed.get_mut(key),
        });
    if deposed.is_some() {
        return "the object is deleted by the next apply all the same";
    }
    if argument {
        return "the next plan sets it again, as configured";
    }
    if let Some(object) = object {
        object.status = Status::Tainted;
    }
    "it cannot be had again; the next plan replaces the object"
}
