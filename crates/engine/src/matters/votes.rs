//! Votes: judged by policy for the place that the voter fills, and by the kernel for everything that no policy can change (S-8, S-9).

use crate::kernel::Kernel;
