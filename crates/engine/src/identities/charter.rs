//! Another charter for an identity: its grants follow.

use crate::kernel::Kernel;
