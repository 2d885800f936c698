//! The pages of the demo's directory, where one chooses as whom one signs in. No server but the demo's own directory
//! shows them.

use askama::Template;

use crate::assets;

/// Somebody as whom one can sign in.
#[derive(Debug, Clone)]
pub struct Somebody {
    /// What stands for them in the form.
    pub subject: String,
    /// Their name.
    pub name: String,
    /// What they are there.
    pub what: String,
}

/// The page on which one chooses as whom one signs in.
#[derive(Debug, Template)]
#[template(path = "demo.html")]
pub struct WhoPage {
    /// Everybody there is.
    pub people: Vec<Somebody>,
}

/// The page of a link that was used, or is none.
#[derive(Debug, Template)]
#[template(path = "demo_used.html")]
pub struct UsedLink {
    /// The address of the console.
    pub console: String,
}
