//! Words that know nothing of the domain: ids, JSON, time, text, problems, entropy.

pub mod backoff;
pub mod entropy;
pub mod id;
pub mod json;
pub mod placed;
pub mod problem;
pub mod state;
pub mod text;
pub mod time;
pub mod uri;
pub mod varint;
