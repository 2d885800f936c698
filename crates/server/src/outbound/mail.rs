//! Notices by mail: one message a person.

use tenure_core::store::port::BoxFuture;
use tenure_engine::kernel::notice::{Notice, Notify, Undelivered};
use tenure_outbound::{Mail, MailError, MailFailure, MailSettings, Mailer};

/// The channel that sends notices through a mail server.
pub struct MailNotify(Mailer);

impl MailNotify {
    /// Sends through this server. Nothing is connected yet.
    ///
    /// # Errors
    /// See [`MailError`].
    pub fn new(settings: MailSettings) -> Result<Self, MailError> {
        Mailer::new(settings).map(Self)
    }

    async fn send(&self, notice: &Notice) -> Result<(), Undelivered> {
        let text = text(notice);
        for recipient in &notice.to {
            let mail = Mail {
                id: format!("{}.{}", notice.id, recipient.person),
                name: recipient.name.as_deref(),
                address: recipient.email.as_deref(),
                at: notice.at,
                subject: &notice.title,
                text: &text,
            };
            self.0.send(&mail).await.map_err(|failure| match failure {
                MailFailure::Later(why) => Undelivered::Later(why),
                MailFailure::Refused(why) => Undelivered::Refused(why),
            })?;
        }
        Ok(())
    }
}

impl Notify for MailNotify {
    fn channel(&self) -> &'static str {
        "mail"
    }

    fn addresses_people(&self) -> bool {
        true
    }

    fn deliver<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), Undelivered>> {
        Box::pin(self.send(notice))
    }
}

fn text(notice: &Notice) -> String {
    let mut text = notice.text.trim_end().to_owned();
    if let Some(link) = &notice.link {
        text.push_str(&format!("\n\n{link}"));
    }
    text.push_str(&format!("\n\n-- \nTenure tells you of {} at {} ({}).\n", notice.kind, notice.at, notice.id));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenure_core::base::time::Timestamp;

    #[test]
    fn a_notice_ends_with_its_link_and_where_it_comes_from() {
        let mut notice = Notice {
            id: "evt_1".into(),
            kind: "request.opened".into(),
            at: Timestamp::from_secs(1_800_000_000),
            title: "Approve".into(),
            text: "one\n.\ntwo\n\n".into(),
            link: Some("https://t.example/v1/requests/req_1".into()),
            to: vec![],
            roles: vec![],
            subjects: vec![],
            data: serde_json::Map::new(),
        };
        let foot = format!("-- \nTenure tells you of request.opened at {} (evt_1).\n", notice.at);
        assert_eq!(text(&notice), format!("one\n.\ntwo\n\nhttps://t.example/v1/requests/req_1\n\n{foot}"));
        notice.link = None;
        assert_eq!(text(&notice), format!("one\n.\ntwo\n\n{foot}"));
    }
}
