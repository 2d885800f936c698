//! The pages before the console: signing in, setting up, what a session that ended leaves.

use askama::Template;

use crate::problem::Wrong;
use crate::text;

/// The sign-in page.
#[derive(Debug, Template)]
#[template(path = "sign_in.html")]
pub struct SignIn {
    /// Whether an invitation was entered in this browser.
    pub invited: bool,
    /// Who is signed in already.
    pub signed_in_as: Option<String>,
    /// Whether it takes a sign-in of the last minutes.
    pub fresh: bool,
    /// Where it leads.
    pub return_to: String,
    /// Where else one can sign in.
    pub providers: Vec<Provider>,
}

/// A provider of people.
#[derive(Debug)]
pub struct Provider {
    /// Its name.
    pub name: String,
    /// The address at which a sign-in there begins.
    pub to: String,
}

impl SignIn {
    fn title(&self) -> &'static str {
        text::SIGN_IN
    }
}

/// Who is signed in, and what they can do about it.
#[derive(Debug, Template)]
#[template(path = "signed_in.html")]
pub struct SignedIn {
    /// Who.
    pub name: String,
    /// Whether it is good for approving and enabling now.
    pub fresh: bool,
}

impl SignedIn {
    fn title(&self) -> &'static str {
        text::SIGNED_IN
    }
}

/// The page on which somebody lets a command line act for them.
#[derive(Debug, Template)]
#[template(path = "command_line.html")]
pub struct CommandLine {
    /// Who.
    pub name: String,
    /// Where it listens.
    pub port: u16,
    /// What it has to answer for.
    pub challenge: String,
}

impl CommandLine {
    fn title(&self) -> &'static str {
        text::COMMAND_LINE
    }
}

/// The set-up of a new server. The token is never given back.
#[derive(Debug, Template)]
#[template(path = "set_up.html")]
pub struct SetUp {
    /// What was wrong with what was sent.
    pub wrong: Option<Wrong>,
    /// The name as it was typed.
    pub name: String,
    /// The address as it was typed.
    pub email: String,
}

impl SetUp {
    fn title(&self) -> &'static str {
        text::SET_UP
    }
}

/// A form that was sent after its session had ended: what it held is kept, to be sent again.
#[derive(Debug, Template)]
#[template(path = "over.html")]
pub struct SessionOver {
    /// Where it was sent.
    pub action: String,
    /// What it held.
    pub fields: Vec<(String, String)>,
}

impl SessionOver {
    fn title(&self) -> &'static str {
        text::SESSION_OVER
    }
}

/// The page of an approval link that is not good.
#[derive(Debug, Template)]
#[template(path = "no_such_link.html")]
pub struct NoSuchLink {}

impl NoSuchLink {
    fn title(&self) -> &'static str {
        text::NO_SUCH_LINK
    }
}
