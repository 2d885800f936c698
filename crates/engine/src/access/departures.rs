//! People who are suspended, come back, or leave.

use crate::kernel::Kernel;
