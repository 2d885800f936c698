//! Names on the command line: wherever a command takes the id of a record that has a name, it takes the name.
//!
//! Arguments that don't read as they are, are read once more with every id as plain text; what is no id is asked of the
//! server, and the ids take the place of the names. So no command knows of it, and a new one can't forget it.

use std::any::TypeId;
use std::ffi::{OsStr, OsString};

use clap::builder::{StringValueParser, ValueParser};
use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, Command, CommandFactory, FromArgMatches};
use tenure_core::base::id::{
    ApplicationId, CloudAccountId, IdentityId, IssuerId, NeedId, PersonId, ResourceId, SourceId, TargetId, TeamId,
    VendorId,
};

use super::Cli;
use super::context::{Context, Globals};

/// A sort of record: the type of its ids, whether a text is one, and the list that it stands in.
struct Sort {
    of: fn() -> TypeId,
    is_id: fn(&str) -> bool,
    list: &'static str,
}

macro_rules! sorts {
    ($($id:ty: $list:literal),* $(,)?) => {
        &[$(Sort { of: TypeId::of::<$id>, is_id: |text| text.parse::<$id>().is_ok(), list: $list }),*]
    };
}

const SORTS: &[Sort] = sorts!(
    IdentityId: "identities",
    PersonId: "people",
    ApplicationId: "applications",
    TeamId: "teams",
    ResourceId: "resources",
    VendorId: "vendors",
    NeedId: "needs",
    SourceId: "sources",
    TargetId: "targets",
    IssuerId: "issuers",
    CloudAccountId: "cloud-accounts",
);

/// An argument that is given a name.
struct Given {
    list: &'static str,
    name: String,
    /// How the option is spelt; nothing of an argument by place.
    options: Vec<String>,
}

/// The arguments with ids for names. Where nothing can be asked they stay as they are, and reading them says what is
/// wrong.
///
/// # Errors
/// The server knows no such name, or several.
pub async fn resolved(arguments: Vec<OsString>) -> anyhow::Result<Vec<OsString>> {
    let mut command = Cli::command();
    command.build();
    let loose = loosened(command.clone());
    let matches = match loose.try_get_matches_from(&arguments) {
        Ok(matches) => matches,
        // Help is asked for beside a name: of what takes names, the strict command would say that it is no id.
        Err(error) if error.kind() == ErrorKind::DisplayHelp => error.exit(),
        Err(_) => return Ok(arguments),
    };
    let mut given = Vec::new();
    find(&command, &matches, &mut given);
    if given.is_empty() {
        return Ok(arguments);
    }
    let Ok(client) = Globals::from_arg_matches(&matches)
        .map_err(anyhow::Error::from)
        .and_then(|globals| Context::new(globals).client())
    else {
        return Ok(arguments);
    };
    let valued = all_options(&command);
    let mut resolved = arguments;
    for given in given {
        let id = client.id_of(given.list, &given.name).await?;
        replace(&valued, &mut resolved, &given, &id);
    }
    Ok(resolved)
}

fn sort_of(argument: &Arg) -> Option<&'static Sort> {
    let parsed = argument.get_value_parser().type_id();
    SORTS.iter().find(|sort| parsed == (sort.of)())
}

/// The same command, which takes any text for an id.
fn loosened(command: Command) -> Command {
    let plain = command.mut_args(|argument| match sort_of(&argument) {
        Some(_) => argument.value_parser(ValueParser::from(StringValueParser::new())),
        None => argument,
    });
    plain.mut_subcommands(loosened)
}

/// What is given by name, in the command and those below it.
fn find(command: &Command, matches: &ArgMatches, given: &mut Vec<Given>) {
    for argument in command.get_arguments() {
        let Some(sort) = sort_of(argument) else { continue };
        let values = matches.try_get_many::<String>(argument.get_id().as_str()).ok().flatten();
        for value in values.into_iter().flatten().filter(|value| !(sort.is_id)(value)) {
            given.push(Given { list: sort.list, name: value.clone(), options: options(argument) });
        }
    }
    if let Some((name, matches)) = matches.subcommand()
        && let Some(command) = command.find_subcommand(name)
    {
        find(command, matches, given);
    }
}

fn options(argument: &Arg) -> Vec<String> {
    let long = argument.get_long().map(|long| format!("--{long}"));
    long.into_iter().chain(argument.get_short().map(|short| format!("-{short}"))).collect()
}

/// Puts an id in the place of a name, among arguments of which these options take a value.
fn replace(valued: &[String], arguments: &mut [OsString], given: &Given, id: &str) {
    let takes_a_value = |text: &OsStr| valued.iter().any(|option| text == option.as_str());
    for n in 1..arguments.len() {
        let before = n.checked_sub(1).and_then(|n| arguments.get(n)).cloned().unwrap_or_default();
        let Some(argument) = arguments.get_mut(n) else { continue };
        let is_its_own = match given.options.is_empty() {
            true => !takes_a_value(&before),
            false => given.options.iter().any(|option| before == option.as_str()),
        };
        if is_its_own && *argument == given.name.as_str() {
            *argument = id.into();
        } else if let Some(option) =
            given.options.iter().find(|option| *argument == format!("{option}={}", given.name).as_str())
        {
            *argument = format!("{option}={id}").into();
        }
    }
}

/// Every option that takes a value, of a command and those below it.
fn all_options(command: &Command) -> Vec<String> {
    let own = command.get_arguments().filter(|argument| argument.get_action().takes_values()).flat_map(options);
    own.chain(command.get_subcommands().flat_map(all_options)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str) -> Vec<(String, &'static str)> {
        let mut command = Cli::command();
        command.build();
        let matches = loosened(command.clone()).try_get_matches_from(line.split(' ')).unwrap();
        let mut given = Vec::new();
        find(&command, &matches, &mut given);
        given.into_iter().map(|given| (given.name, given.list)).collect()
    }

    #[test]
    fn names_are_found_by_place_and_by_option() {
        let id = IdentityId::from_u128(7).to_string();
        assert_eq!(found("tenure identity show exporter"), [("exporter".to_owned(), "identities")]);
        assert_eq!(found(&format!("tenure identity show {id}")), []);
        assert_eq!(found("tenure identity list --owner ada --state active"), [("ada".to_owned(), "people")]);
    }

    #[test]
    fn an_id_takes_the_place_of_its_name_and_of_nothing_else() {
        let mut command = Cli::command();
        command.build();
        let valued = all_options(&command);
        let replaced = |line: &str, options: &[&str]| {
            let mut arguments: Vec<OsString> = line.split(' ').map(Into::into).collect();
            let given = Given {
                list: "people",
                name: "ada".into(),
                options: options.iter().map(|option| (*option).to_owned()).collect(),
            };
            replace(&valued, &mut arguments, &given, "per_1");
            arguments.join(OsStr::new(" ")).into_string().unwrap()
        };
        assert_eq!(
            replaced("tenure application create --name ada --owner ada", &["--owner"]),
            "tenure application create --name ada --owner per_1"
        );
        assert_eq!(
            replaced("tenure application list --owner=ada", &["--owner"]),
            "tenure application list --owner=per_1"
        );
        assert_eq!(replaced("tenure person suspend ada --reason ada", &[]), "tenure person suspend per_1 --reason ada");
    }
}
