//! Starts and stops the real parts that a whole run needs, on one machine.
//!
//! `stack-sandbox up` starts an EC2 endpoint, real hosts behind it, a Kubernetes cluster and what the
//! service mesh is installed from; `down` removes all of it again; `status` explains what runs and why a
//! part cannot.

#![expect(clippy::print_stderr, reason = "the reports of a program go to its streams")]

mod cluster;
mod command;
mod digest;
mod ec2;
mod home;
mod hosts;
mod mesh;
mod network;
mod packages;
mod part;
mod parts;
mod process;
mod progress;
mod run;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::home::Home;
use crate::part::Context;

/// Real parts on one machine: EC2, hosts, Kubernetes, Istio.
#[derive(Debug, Parser)]
#[command(name = "stack-sandbox", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Installs what is missing and starts the parts, after removing what a crash has left.
    Up(Selection),
    /// Stops the parts and removes everything they made on the machine; programs stay cached.
    Down(Selection),
    /// Says for each part what runs, and what to do where it does not.
    Status {
        /// One JSON object a line instead of text.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        selection: Selection,
    },
}

#[derive(Debug, clap::Args)]
struct Selection {
    /// Names of the parts; without any, all of them.
    parts: Vec<String>,
    /// Takes the named parts alone, without the parts they need.
    #[arg(long, requires = "parts")]
    only: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match command(Arguments::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(1)
        }
    }
}

async fn command(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let home = Home::from_environment()?;
    let files = home::files()?;
    let cx = Context::new(home, files);
    let all = parts::all();
    match arguments.verb {
        Verb::Up(selection) => {
            let chosen = run::choose(&all, &selection.parts, selection.only, run::Direction::Up)?;
            run::up(&cx, &chosen).await
        }
        Verb::Down(selection) => {
            let chosen = run::choose(&all, &selection.parts, selection.only, run::Direction::Down)?;
            run::down(&cx, &chosen).await
        }
        Verb::Status { json, selection } => {
            let chosen = run::choose(&all, &selection.parts, true, run::Direction::Up)?;
            run::status(&cx, &chosen, json).await
        }
    }
}
