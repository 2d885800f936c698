//! The kinds of non-human identities.

use serde::{Deserialize, Serialize};

/// The kinds of non-human identities (R4, R8–R13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An account that software uses at a system.
    ServiceAccount,
    /// A running service or job.
    Workload,
    /// A CI/CD pipeline or build.
    Pipeline,
    /// A bot that acts in a chat, a repository or a ticket system.
    Bot,
    /// An AI agent.
    #[serde(alias = "ai_agent")]
    Agent,
    /// An integration that a third party operates.
    Integration,
    /// A device with a key of its own.
    Device,
}

impl Kind {
    /// Every kind.
    pub const ALL: &[Self] = &[
        Self::ServiceAccount,
        Self::Workload,
        Self::Pipeline,
        Self::Bot,
        Self::Agent,
        Self::Integration,
        Self::Device,
    ];

    /// The name in the log and in policies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ServiceAccount => "service_account",
            Self::Workload => "workload",
            Self::Pipeline => "pipeline",
            Self::Bot => "bot",
            Self::Agent => "agent",
            Self::Integration => "integration",
            Self::Device => "device",
        }
    }
}
