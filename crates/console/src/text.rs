//! The English of whatever isn't a sentence of one template: titles, labels, and words for the values of records.
//!
//! What one room of pages says stands in a file of its own, and what several say in `shared`.

macro_rules! words {
    ($($name:ident = $text:literal;)*) => {$(#[doc = $text] pub const $name: &str = $text;)*};
}

mod access;
mod directory;
mod door;
mod home;
mod identity;
mod inventory;
mod policy;
mod requests;
mod shared;
mod signals;
mod stop;
mod system;
mod targets;
mod watch;

pub use self::access::*;
pub use self::directory::*;
pub use self::door::*;
pub use self::home::*;
pub use self::identity::*;
pub use self::inventory::*;
pub use self::policy::*;
pub use self::requests::*;
pub use self::shared::*;
pub use self::signals::*;
pub use self::stop::*;
pub use self::system::*;
pub use self::targets::*;
pub use self::watch::*;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_reads_as_words() {
        assert_eq!(field("charter.retirement[0].after"), "Retirement 1: after");
        assert_eq!(field("charter.owner"), "Accountable owner");
        assert_eq!(field("rotation_cadence"), "Rotation cadence");
    }
}
