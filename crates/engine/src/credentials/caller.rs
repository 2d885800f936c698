//! An identity that calls the management API by its access token.

use crate::kernel::Kernel;
