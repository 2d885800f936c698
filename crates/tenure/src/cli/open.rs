//! The pages of the console, opened from the command line.

use clap::Args;
use serde_json::json;
use tenure_api::pages::is_id;
use tenure_console::address::Address;
use tenure_console::records::page_of;

use super::context::Context;
use super::failure::Failure;

/// Opens the page of something in a browser.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tenure open                              what waits for you
  tenure open billing-exporter             an identity, by name
  tenure open req_…                        anything that has a page, by id
  tenure open --person ada@example.com
  tenure open --stop billing               finds what is called so, to stop it
  tenure open --print rct_…                prints the address, to be sent to somebody")]
pub struct Open {
    #[command(flatten)]
    what: What,
    /// Open no browser: print the address.
    #[arg(long)]
    print: bool,
}

/// What is opened.
#[derive(Args)]
#[group(multiple = false)]
struct What {
    /// An identity by name, or anything by id; what waits for you if not given.
    #[arg(value_name = "NAME|ID")]
    named: Option<String>,
    /// A person, by name or e-mail address.
    #[arg(long, value_name = "NAME")]
    person: Option<String>,
    /// A team, by name.
    #[arg(long, value_name = "NAME")]
    team: Option<String>,
    /// An application, by name.
    #[arg(long, value_name = "NAME")]
    application: Option<String>,
    /// A resource, by URI.
    #[arg(long, value_name = "URI")]
    resource: Option<String>,
    /// A vendor, by name.
    #[arg(long, value_name = "NAME")]
    vendor: Option<String>,
    /// The page on which what is called so is stopped.
    #[arg(long, value_name = "WORDS")]
    stop: Option<String>,
}

impl What {
    fn address(self) -> Result<Address, Failure> {
        let by_name = [
            ("/people", self.person),
            ("/teams", self.team),
            ("/applications", self.application),
            ("/resources", self.resource),
            ("/vendors", self.vendor),
        ];
        for (list, name) in by_name {
            if let Some(name) = name {
                return Ok(Address::new(list).below(&name));
            }
        }
        match (self.named, self.stop) {
            (Some(id), _) if is_id(&id) => page_of(&id).ok_or_else(|| {
                Failure::usage(format!("{id} has no page of its own"))
                    .hint("open what it belongs to: an identity, by name")
            }),
            (Some(name), _) => Ok(Address::new("/identities").below(&name)),
            (None, Some(words)) => Ok(Address::new("/stop").with("q", words)),
            (None, None) => Ok(Address::new("/")),
        }
    }
}

impl Open {
    /// Opens it.
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        let address = format!("{}{}", context.anonymous()?.base(), self.what.address()?);
        if !self.print {
            browser(&address);
        }
        context.out.record(&json!({ "address": address }))
    }
}

/// Asks the desktop for a browser. Without one, the person opens the address themselves.
pub(super) fn browser(url: &str) {
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let quiet = std::process::Stdio::null;
    let _ = std::process::Command::new(opener).arg(url).stdin(quiet()).stdout(quiet()).stderr(quiet()).spawn();
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        open: Open,
    }

    fn address(arguments: &[&str]) -> Result<String, String> {
        let line = Line::try_parse_from([&["open"], arguments].concat()).map_err(|error| error.to_string())?;
        line.open.what.address().map(|address| address.to_string()).map_err(|failure| failure.to_string())
    }

    #[test]
    fn what_is_named_has_an_address_and_nothing_gets_out_of_it() {
        let id = |prefix: &str| format!("{prefix}_{}", "0".repeat(26));
        assert_eq!(address(&[]).unwrap(), "/");
        assert_eq!(address(&["billing-exporter"]).unwrap(), "/identities/billing-exporter");
        assert_eq!(address(&[&id("req")]).unwrap(), format!("/requests/{}", id("req")));
        assert_eq!(address(&["--person", "ada@example.com"]).unwrap(), "/people/ada%40example.com");
        assert_eq!(address(&["--stop", "a b&c"]).unwrap(), "/stop?q=a%20b%26c");
        assert_eq!(address(&["../x?y#z"]).unwrap(), "/identities/..%2Fx%3Fy%23z");
        assert!(address(&[&id("gra")]).unwrap_err().contains("no page of its own"));
        assert!(address(&["x", "--team", "y"]).is_err(), "one thing at a time");
    }
}
