//! What falls due, decided purely: the worker reads, asks here, and executes.

pub mod adapters;
pub mod dormancy;
pub mod due;
pub mod exception;
pub mod expiry;
pub mod feed;
pub mod grant;
pub mod history;
pub mod idle;
pub mod notice;
pub mod person;
pub mod person_grant;
pub mod posture;
pub mod receipt;
pub mod reconcile;
pub mod removal;
pub mod renewal;
pub mod review;
pub mod transfer;
