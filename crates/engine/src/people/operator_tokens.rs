//! Operator tokens: bearer tokens that stand for a named person (S-7).

use crate::kernel::Kernel;
