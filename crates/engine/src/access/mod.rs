//! Who answers for an identity when its owner goes, and what people hold.

pub mod departures;
pub mod evaluation;
pub mod import;
pub mod leavers;
pub mod person_access;
pub mod person_receipts;
pub mod several;
pub mod transfers;
