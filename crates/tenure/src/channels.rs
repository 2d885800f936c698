//! The channels that people are notified on, as they are configured.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use tenure_core::base::time::Clock;
use tenure_core::store::secret::Secret;
use tenure_engine::kernel::notice::Notify;
use tenure_outbound::{MailSettings, Outbound};
use tenure_server::outbound::{MailNotify, WebhookNotify};

use crate::config::{Config, MailConfig, WebhookConfig};

/// Each channel that the configuration has.
pub fn configured(
    config: &Config,
    outbound: &Arc<Outbound>,
    url: &str,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Vec<Arc<dyn Notify>>> {
    let mut channels: Vec<Arc<dyn Notify>> = Vec::new();
    if let Some(mail) = &config.mail {
        channels.push(Arc::new(MailNotify::new(mail_settings(mail)?)?));
    }
    if let Some(webhook) = &config.webhook {
        channels.push(Arc::new(webhook_of(webhook, outbound, url, clock)?));
    }
    Ok(channels)
}

fn mail_settings(mail: &MailConfig) -> anyhow::Result<MailSettings> {
    if mail.host.is_empty() || mail.from.is_empty() {
        bail!("`mail` needs `host` and `from`");
    }
    let password = secret("TENURE_MAIL_PASSWORD", mail.password_file.as_ref())?;
    let login = match (&mail.username, password) {
        (Some(name), Some(password)) => Some((name.clone(), password)),
        (None, None) => None,
        (Some(_), None) => bail!("`mail.username` needs `mail.password_file` or TENURE_MAIL_PASSWORD"),
        (None, Some(_)) => bail!("a mail password needs `mail.username`"),
    };
    Ok(MailSettings { host: mail.host.clone(), port: mail.port, from: mail.from.clone(), login, tls: mail.tls })
}

fn webhook_of(
    webhook: &WebhookConfig,
    outbound: &Arc<Outbound>,
    url: &str,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<WebhookNotify> {
    let Some(secret) = secret("TENURE_WEBHOOK_SECRET", webhook.secret_file.as_ref())? else {
        bail!("`webhook` needs `secret_file` or TENURE_WEBHOOK_SECRET: what it posts is signed");
    };
    Ok(WebhookNotify::new(Arc::clone(outbound), Arc::clone(clock), &webhook.url, &secret, url)?)
}

/// A secret from its variable, or else from its file, without the line's end.
#[expect(clippy::disallowed_methods, reason = "the binary's configuration: settings are read here, and handed in")]
fn secret(variable: &str, file: Option<&PathBuf>) -> anyhow::Result<Option<Secret<String>>> {
    if let Ok(text) = std::env::var(variable) {
        return Ok(Some(Secret::new(text)));
    }
    let read = |path: &Path| {
        std::fs::read_to_string(path).with_context(|| format!("can't read the secret {}", path.display()))
    };
    let text = file.map(|path| read(path).map(Secret::new)).transpose()?;
    Ok(text.map(|text| Secret::new(text.expose().trim_end_matches(['\r', '\n']).to_owned())))
}
