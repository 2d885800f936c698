//! People: who they are, their teams, how they sign in, what they may use.

pub mod difference;
pub mod person;
pub mod person_grant;
pub mod sign_in;
pub mod team;
pub mod view;
