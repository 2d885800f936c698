//! What each kind of request is about: its facts, its fulfilment, and the requests themselves.

pub mod backchannel;
pub mod break_glass;
pub mod brief;
pub mod callbacks;
pub mod contracts;
pub mod exceptions;
pub mod first_token;
pub mod fulfilment;
pub mod inventory_changes;
pub mod inventory_matter;
pub mod link;
pub mod lockouts;
pub mod matter_facts;
pub mod notes;
pub mod packages;
pub mod policies;
pub mod request;
pub mod request_deadlines;
pub mod right_size;
pub mod roles;
pub mod tiers;
pub mod votes;
