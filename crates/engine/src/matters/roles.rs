//! Roles of people: asked for by a request.

use crate::kernel::Kernel;
