//! The command line: `tenure <noun> <verb>`.
//!
//! Data goes to standard output, everything said about it to standard error. Exit codes: 0 done, 1 refused or failed, 2
//! wrong usage.

mod access;
mod break_glass;
mod bulk;
mod campaign;
mod claim;
mod context;
mod deprecation;
mod directory;
mod drift;
mod exception;
mod failure;
mod finding;
mod identity;
mod import;
mod known_context;
mod log;
mod login;
mod names;
mod open;
mod output;
mod package;
mod person;
mod policy;
mod reading;
mod removal;
mod request;
mod review;
mod revocation;
mod sign_in;
mod signal;
mod source;
mod target;
mod target_login;
mod template;
mod third_party;
mod transfer;
mod usage;
mod view;
mod why;
mod workload;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use context::{Context, Globals};

use crate::{demo, restore, server};
pub use output::width as terminal_width;

/// Governs non-human identities: no charter, no credential; one cut ends every credential; the log proves both.
#[derive(Parser)]
#[command(
    name = "tenure",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    after_help = "\
Start here:
  tenure demo                                 a small organisation, from charters to receipts, in seconds
  tenure server &                             a server on http://localhost:8420, data in ./.tenure
  tenure setup --name \"Ada Lovelace\"          the first administrator; the token goes to ./.tenure/operator-token

Exit codes: 0 done, 1 refused or failed, 2 wrong usage.
Each noun explains itself: tenure identity --help"
)]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Server(server::Args),
    Demo(demo::Args),
    Backup(restore::BackupArgs),
    Restore(restore::RestoreArgs),
    Recover(server::RecoverArgs),
    Setup(directory::Setup),
    Login(login::Login),
    Logout(login::Logout),
    Whoami(login::Whoami),
    Open(open::Open),
    #[command(subcommand)]
    Person(person::Person),
    #[command(subcommand)]
    Team(person::Team),
    #[command(subcommand)]
    Difference(person::Difference),
    #[command(subcommand)]
    Transfer(transfer::Transfer),
    #[command(subcommand)]
    Invitation(sign_in::Invitation),
    #[command(subcommand)]
    SignInProvider(sign_in::SignInProvider),
    #[command(subcommand)]
    Application(directory::Application),
    #[command(subcommand)]
    Environment(directory::Environment),
    #[command(subcommand)]
    Resource(directory::Resource),
    #[command(subcommand)]
    Issuer(directory::Issuer),
    #[command(subcommand)]
    Identity(identity::Identity),
    #[command(subcommand)]
    Exception(exception::Exception),
    #[command(subcommand)]
    Finding(finding::Finding),
    #[command(subcommand)]
    Rule(finding::Rule),
    Drill(break_glass::Drill),
    #[command(subcommand)]
    Context(known_context::KnownContext),
    #[command(subcommand)]
    BreakGlass(break_glass::BreakGlass),
    #[command(subcommand)]
    Deprecation(deprecation::Deprecation),
    #[command(subcommand)]
    Need(exception::Need),
    #[command(subcommand)]
    Request(request::Request),
    #[command(subcommand)]
    Template(template::Template),
    #[command(subcommand)]
    Naming(third_party::Naming),
    #[command(subcommand)]
    Vendor(third_party::Vendor),
    #[command(subcommand)]
    Removal(removal::Removal),
    #[command(subcommand)]
    CloudAccount(third_party::CloudAccount),
    #[command(subcommand)]
    DataDomain(third_party::DataDomain),
    #[command(subcommand)]
    Package(package::Package),
    #[command(subcommand)]
    Review(review::Review),
    #[command(subcommand)]
    Campaign(campaign::Campaign),
    #[command(subcommand)]
    Why(why::Why),
    #[command(subcommand)]
    View(view::View),
    #[command(subcommand)]
    Grant(identity::Grant),
    #[command(subcommand)]
    Credential(revocation::Credential),
    #[command(subcommand)]
    Cut(revocation::Cut),
    #[command(subcommand)]
    Hold(revocation::Hold),
    #[command(subcommand)]
    Receipt(revocation::Receipt),
    #[command(subcommand)]
    Source(source::Source),
    #[command(subcommand)]
    Target(target::Target),
    #[command(subcommand)]
    Account(target::Account),
    #[command(subcommand)]
    TargetLogin(target_login::TargetLogin),
    #[command(subcommand)]
    Drift(drift::Drift),
    Import(Box<import::Import>),
    #[command(subcommand)]
    Signal(signal::Signal),
    #[command(subcommand)]
    Policy(policy::Policy),
    #[command(subcommand)]
    Key(workload::Key),
    #[command(subcommand)]
    Token(workload::Token),
    #[command(subcommand)]
    Access(access::Access),
    Enrol(workload::Enrol),
    Events(log::Events),
    #[command(subcommand)]
    Log(log::Log),
    /// Prints the contract of the HTTP API: a document of OpenAPI 3.1, as `GET /openapi.json` gives it.
    ///
    /// Example: tenure openapi > openapi.json
    Openapi,
    /// Prints a completion script for a shell.
    ///
    /// Example: tenure completions bash > ~/.local/share/bash-completion/completions/tenure
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Runs what the arguments say.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let result =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(anyhow::Error::from).and_then(
            |runtime| {
                runtime.block_on(async {
                    // Names are looked for only where something is none of what a command takes.
                    let cli = match Cli::try_parse_from(&arguments) {
                        Ok(cli) => cli,
                        Err(_) => Cli::parse_from(names::resolved(arguments).await?),
                    };
                    run(cli).await
                })
            },
        );
    result.unwrap_or_else(|error| failure::report(&error))
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let context = Context::new(cli.globals);
    match cli.command {
        Command::Server(args) => Box::pin(server::run(args)).await?,
        Command::Backup(args) => restore::backup(args)?,
        Command::Restore(args) => Box::pin(restore::restore(args)).await?,
        Command::Recover(args) => Box::pin(server::recover(args)).await?,
        Command::Demo(args) => return Box::pin(demo::run(args)).await,
        Command::Setup(setup) => setup.run(&context).await?,
        Command::Login(login) => login.run(&context).await?,
        Command::Logout(logout) => logout.run(&context).await?,
        Command::Whoami(whoami) => whoami.run(&context).await?,
        Command::Open(open) => open.run(&context)?,
        Command::Invitation(verb) => verb.run(&context).await?,
        Command::SignInProvider(verb) => verb.run(&context).await?,
        Command::Person(verb) => Box::pin(verb.run(&context)).await?,
        Command::Team(verb) => verb.run(&context).await?,
        Command::Difference(verb) => verb.run(&context).await?,
        Command::Transfer(verb) => verb.run(&context).await?,
        Command::Application(verb) => verb.run(&context).await?,
        Command::Environment(verb) => verb.run(&context).await?,
        Command::Resource(verb) => verb.run(&context).await?,
        Command::Issuer(verb) => verb.run(&context).await?,
        Command::Identity(verb) => Box::pin(verb.run(&context)).await?,
        Command::View(verb) => verb.run(&context).await?,
        Command::Template(verb) => verb.run(&context).await?,
        Command::Naming(verb) => verb.run(&context).await?,
        Command::Vendor(verb) => verb.run(&context).await?,
        Command::Removal(verb) => verb.run(&context).await?,
        Command::Campaign(verb) => verb.run(&context).await?,
        Command::CloudAccount(verb) => verb.run(&context).await?,
        Command::DataDomain(verb) => verb.run(&context).await?,
        Command::Package(verb) => verb.run(&context).await?,
        Command::Review(verb) => verb.run(&context).await?,
        Command::Exception(verb) => Box::pin(verb.run(&context)).await?,
        Command::Finding(verb) => verb.run(&context).await?,
        Command::Drill(drill) => drill.run(&context).await?,
        Command::Context(verb) => verb.run(&context).await?,
        Command::BreakGlass(verb) => verb.run(&context).await?,
        Command::Deprecation(verb) => verb.run(&context).await?,
        Command::Rule(verb) => verb.run(&context).await?,
        Command::Need(verb) => verb.run(&context).await?,
        Command::Request(verb) => Box::pin(verb.run(&context)).await?,
        Command::Why(verb) => verb.run(&context).await?,
        Command::Grant(verb) => verb.run(&context).await?,
        Command::Credential(verb) => verb.run(&context).await?,
        Command::Cut(verb) => verb.run(&context).await?,
        Command::Hold(verb) => verb.run(&context).await?,
        Command::Receipt(verb) => verb.run(&context).await?,
        Command::Source(verb) => verb.run(&context).await?,
        Command::Target(verb) => verb.run(&context).await?,
        Command::Account(verb) => verb.run(&context).await?,
        Command::TargetLogin(verb) => verb.run(&context).await?,
        Command::Drift(verb) => verb.run(&context).await?,
        Command::Import(import) => import.run(&context).await?,
        Command::Signal(verb) => verb.run(&context).await?,
        Command::Policy(verb) => Box::pin(verb.run(&context)).await?,
        Command::Key(verb) => verb.run(&context)?,
        Command::Token(verb) => verb.run(&context).await?,
        Command::Access(verb) => Box::pin(verb.run(&context)).await?,
        Command::Enrol(enrol) => enrol.run(&context).await?,
        Command::Events(events) => events.run(&context).await?,
        Command::Log(verb) => verb.run(&context).await?,
        Command::Openapi => {
            let mut text = serde_json::to_vec_pretty(&tenure_server::contract())?;
            text.push(b'\n');
            output::raw(&text)?;
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "tenure", &mut script);
            output::raw(&script)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_data_folder_is_the_servers_or_the_clients() {
        let cli = Cli::try_parse_from(["tenure", "server", "--data", "/srv/x"]).unwrap();
        assert!(
            matches!(cli.command, Command::Server(args) if args.data.as_deref() == Some(std::path::Path::new("/srv/x")))
        );
        assert!(Cli::try_parse_from(["tenure", "setup", "--name", "Ada", "--data", "/srv/x"]).is_ok());
        assert!(Cli::try_parse_from(["tenure", "-o", "json", "identity", "list"]).is_ok());
        assert!(Cli::try_parse_from(["tenure", "identity", "list", "-o", "json"]).is_ok());
    }

    #[test]
    fn no_argument_takes_a_token() {
        fn walk(command: &clap::Command) {
            for argument in command.get_arguments() {
                let name = argument.get_id().as_str();
                assert!(
                    // TokenReview is an API of Kubernetes.
                    !name.contains("token")
                        || name.ends_with("_file")
                        || name == "token_id"
                        || name.starts_with("token_review"),
                    "{} {name}",
                    command.get_name()
                );
            }
            command.get_subcommands().for_each(walk);
        }
        walk(&Cli::command());
    }
}
