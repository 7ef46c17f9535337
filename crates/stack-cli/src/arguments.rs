//! Options that several commands share.

use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use stack_core::ResourceAddress;
use stack_core::address::Target;
use stack_plan::{Mode, Options};

/// Which configuration, environment and values of variables.
#[derive(Clone, Debug, Args)]
pub(crate) struct WorkspaceArguments {
    /// Name of the environment
    #[arg(long, value_name = "NAME", env = "STACK_ENV", default_value = "default", hide_env_values = true, value_parser = environment)]
    pub(crate) env: String,
    #[command(flatten)]
    pub(crate) variables: VariableArguments,
}

pub(crate) fn environment(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if (1..=24).contains(&text.len()) && text.chars().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err("an environment has 1 to 24 of the characters a-z, 0-9 and -".to_owned())
    }
}

/// One `--var` or `--var-file`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum VariableArgument {
    /// `--var NAME=VALUE`
    Value(String, String),
    /// `--var-file FILE`
    File(String),
}

/// All of them in the order of the command line, for later ones win.
#[derive(Clone, Debug, Default)]
pub(crate) struct VariableArguments(pub(crate) Vec<VariableArgument>);

fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

impl Args for VariableArguments {
    fn augment_args(command: Command) -> Command {
        command
            .arg(
                Arg::new("var")
                    .long("var")
                    .value_name("NAME=VALUE")
                    .help("Value of a variable of the root module; may be repeated")
                    .action(ArgAction::Append)
                    .value_parser(assignment),
            )
            .arg(
                Arg::new("var-file")
                    .long("var-file")
                    .value_name("FILE")
                    .help("File with values of variables (*.vars.hcl, *.json); may be repeated")
                    .action(ArgAction::Append)
                    .value_parser(clap::value_parser!(String)),
            )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for VariableArguments {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut all: Vec<(usize, VariableArgument)> = Vec::new();
        let places = matches.indices_of("var").into_iter().flatten();
        let values = matches.get_many::<(String, String)>("var").into_iter().flatten();
        all.extend(
            places
                .zip(values)
                .map(|(i, (name, text))| (i, VariableArgument::Value(name.clone(), text.clone()))),
        );
        let places = matches.indices_of("var-file").into_iter().flatten();
        let values = matches.get_many::<String>("var-file").into_iter().flatten();
        all.extend(
            places
                .zip(values)
                .map(|(i, path)| (i, VariableArgument::File(path.clone()))),
        );
        all.sort_by_key(|(place, _)| *place);
        Ok(Self(all.into_iter().map(|(_, argument)| argument).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// What to plan.
#[derive(Clone, Debug, Args)]
pub(crate) struct PlanningArguments {
    /// Only this resource or module and what it depends on; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) target: Vec<Target>,
    /// Not this resource or module and not what depends on it; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) exclude: Vec<Target>,
    /// Replace this resource instance although nothing about it changes; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) replace: Vec<ResourceAddress>,
    /// Whether to read all objects from the real systems first
    #[arg(long, value_name = "BOOL", default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = ArgAction::Set)]
    pub(crate) refresh: bool,
    /// Record what the real systems say and change nothing in them
    #[arg(long, conflicts_with_all = ["destroy", "replace", "refresh"])]
    pub(crate) refresh_only: bool,
    /// Remove every object
    #[arg(long)]
    pub(crate) destroy: bool,
}

impl PlanningArguments {
    /// Whether one of them is given that a saved plan has settled already.
    pub(crate) fn is_given(&self) -> bool {
        let lists = !(self.target.is_empty() && self.exclude.is_empty() && self.replace.is_empty());
        lists || !self.refresh || self.refresh_only || self.destroy
    }

    /// The planner's words for them.
    pub(crate) fn options(&self) -> Options {
        let mode = match (self.destroy, self.refresh_only) {
            (true, _) => Mode::Destroy,
            (_, true) => Mode::RefreshOnly,
            _ => Mode::Normal,
        };
        Options {
            mode,
            refresh: self.refresh,
            targets: self.target.clone(),
            excludes: self.exclude.clone(),
            replace: self.replace.clone(),
        }
    }
}

/// How to change things.
#[derive(Clone, Debug, Args)]
pub(crate) struct ApplyArguments {
    /// Do not ask; needed without a terminal
    #[arg(long)]
    pub(crate) auto_approve: bool,
    /// Remote calls at a time
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = parallelism)]
    pub(crate) parallelism: usize,
    /// How long to wait for the lock of the state, as in 30s or 5m
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    pub(crate) lock_timeout: Duration,
}

fn parallelism(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|n| (1..=1000).contains(n))
        .ok_or_else(|| "a number from 1 to 1000".to_owned())
}

/// Reads `90`, `90s`, `5m`, `1h`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err("write a number of seconds (30s), minutes (5m) or hours (1h)".to_owned()),
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| "write a whole number, as in 30s or 5m".to_owned())?;
    number
        .checked_mul(factor)
        .map(Duration::from_secs)
        .ok_or_else(|| "the time is too long".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert!(duration("5 m").is_err() && duration("m").is_err() && duration("1d").is_err());
        assert!(duration("99999999999999999999h").is_err() && duration("9999999999999999999h").is_err());
    }

    #[test]
    fn environments_are_short_and_plain() {
        assert!(environment("feature-12").is_ok());
        for bad in ["", "A", "a_b", "../x", "abcdefghijklmnopqrstuvwxyz"] {
            assert!(environment(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn variables_keep_their_order() {
        let command = VariableArguments::augment_args(Command::new("x"));
        let words = ["x", "--var", "a=1", "--var-file", "f", "--var", "a=2=3"];
        let given = VariableArguments::from_arg_matches(&command.get_matches_from(words)).unwrap();
        let value = |text: &str| VariableArgument::Value("a".to_owned(), text.to_owned());
        assert_eq!(
            given.0,
            [value("1"), VariableArgument::File("f".to_owned()), value("2=3")]
        );
    }
}
