//! A need ends: the identities that serve it are suspended (R76).

use crate::kernel::Kernel;
