//! What falls due, decided purely: the worker reads, asks here, and executes.

pub mod expiry;
pub mod grant;
pub mod idle;
pub mod receipt;
