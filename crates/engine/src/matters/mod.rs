//! What each kind of request is about: its facts, its fulfilment, and the requests themselves.

pub mod backchannel;
pub mod brief;
pub mod callbacks;
pub mod exceptions;
pub mod facts;
pub mod first_token;
pub mod fulfilment;
pub mod link;
pub mod lockouts;
pub mod policies;
pub mod request;
pub mod request_deadlines;
pub mod reviews;
