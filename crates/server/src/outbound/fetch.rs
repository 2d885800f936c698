//! Documents of issuers.

use std::sync::Arc;

use tenure_core::store::port::BoxFuture;
use tenure_engine::kernel::outbound::{Answered, Asking, Fetch, FetchError, Form};
use tenure_outbound::{Authorities, Destination, Outbound, OutboundError};

/// The port through which the engine fetches documents and posts what it says to agents.
pub struct DocumentFetch(Arc<Outbound>);

impl DocumentFetch {
    /// Fetches through this client.
    pub const fn new(outbound: Arc<Outbound>) -> Self {
        Self(outbound)
    }
}

impl Fetch for DocumentFetch {
    fn get<'a>(&'a self, url: &'a str, limit: usize) -> BoxFuture<'a, Result<Vec<u8>, FetchError>> {
        Box::pin(async move {
            let from = destination(url)?;
            self.0.document(&from, limit).await.map_err(|why| failed(url, &why))
        })
    }

    fn post_form<'a>(&'a self, form: Form<'a>, limit: usize) -> BoxFuture<'a, Result<Answered, FetchError>> {
        Box::pin(async move {
            let to = destination(form.url)?;
            let answered = self.0.post_form(&to, form.basic, form.fields, limit).await;
            let (status, body) = answered.map_err(|why| failed(form.url, &why))?;
            Ok(Answered { status: status.as_u16(), body })
        })
    }

    fn is_forbidden<'a>(&'a self, url: &'a str) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            match url.parse() {
                Ok(to) => self.0.forbids(&to).await,
                Err(_) => false,
            }
        })
    }

    fn ask<'a>(&'a self, asking: Asking<'a>, limit: usize) -> BoxFuture<'a, Result<Answered, FetchError>> {
        Box::pin(async move {
            let to = destination(asking.url)?;
            let failed = |why: &OutboundError| failed(asking.url, why);
            let authorities = match asking.ca {
                Some(pem) => Authorities::from_pem(pem).map_err(|why| failed(&why))?,
                None => Authorities::system(),
            };
            let (status, body) = self
                .0
                .ask(&to, &authorities, asking.bearer, asking.body, asking.patience, limit)
                .await
                .map_err(|why| failed(&why))?;
            Ok(Answered { status: status.as_u16(), body })
        })
    }

    fn post_json<'a>(&'a self, url: &'a str, bearer: &'a str, body: &'a str) -> BoxFuture<'a, Result<u16, FetchError>> {
        Box::pin(async move {
            let to = destination(url)?;
            let status = self.0.post_json(&to, bearer, body).await.map_err(|why| failed(url, &why))?;
            Ok(status.as_u16())
        })
    }
}

fn destination(url: &str) -> Result<Destination, FetchError> {
    url.parse().map_err(|why| failed(url, &why))
}

fn failed(url: &str, why: &OutboundError) -> FetchError {
    FetchError { url: url.to_owned(), why: why.to_string() }
}
