//! Words of the pages before the console.

/// The sign-in page.
pub const SIGN_IN: &str = "Sign in";

/// The page of who is signed in.
pub const SIGNED_IN: &str = "Signed in";

/// The page of the command line's sign-in.
pub const COMMAND_LINE: &str = "Command line";

/// The set-up page.
pub const SET_UP: &str = "Set up";

/// The page of a form whose session has ended.
pub const SESSION_OVER: &str = "Sign in anew";

/// The page of an approval link that is not good.
pub const NO_SUCH_LINK: &str = "No such link";
