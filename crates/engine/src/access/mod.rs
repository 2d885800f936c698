//! Who answers for an identity when its owner goes, and what people hold.

pub mod departures;
pub mod leavers;
pub mod person_access;
pub mod transfers;
pub mod decisions;
