//! Runtime decisions about identities and people (OpenID AuthZEN).

use crate::kernel::Kernel;
