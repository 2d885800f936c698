//! Who reads a page, and what the forms of pages send.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use tenure_console::address::{Address, encoded};
use tenure_console::door::SessionOver;
use tenure_console::frame::{self, Frame, Place};
use tenure_console::list::COLUMNS;
use tenure_console::problem::Way;
use tenure_console::text;
use tenure_core::base::id::PersonId;
use tenure_core::base::problem::Reason;
use tenure_core::base::time::Timestamp;
use tenure_core::people::person::Role;
use tenure_core::store::document::Order;
use tenure_core::store::row::{Record, RowKind};
use tenure_engine::credentials::misuse;
use tenure_engine::kernel::caller::Caller;
use tenure_engine::kernel::error::OpError;
use tenure_engine::kernel::query::ListAsk;
use tenure_engine::people::sign_in;

use crate::app::App;
use crate::caller::cookie::must_be_same_origin;
use crate::caller::operator::Operator;
use crate::contract::body::{Unchecked, check_fields};
use crate::contract::error::Failure;
use crate::contract::list::{Filtered, List};
use crate::contract::page::{page, problem_page};
use crate::contract::query::parameters;
use crate::sign_in::browser::{Browser, name};

/// What isn't there for software.
const FOR_PEOPLE: &str = "page for software: ask the API, under /v1";

/// The person who reads a page: by the cookie of their browser, or by whatever else they may call the API with. Who
/// isn't signed in is led to the sign-in and back.
pub(crate) struct Reader {
    pub caller: Caller,
    pub person: PersonId,
    pub now: Timestamp,
    called: frame::Reader,
}

impl Reader {
    fn new(app: &App, caller: Caller) -> Result<Self, Failure> {
        // Software reads what the API says.
        let person = caller.person_id().ok_or(OpError::NotFound(FOR_PEOPLE))?;
        let called = frame::Reader { name: name(&caller), fresh: sign_in::me(&app.kernel, &caller).fresh };
        Ok(Self { person, now: app.kernel.now(), called, caller })
    }

    /// Whether they hold a role: pages offer nobody what would be refused to them.
    pub(crate) fn holds(&self, role: Role) -> bool {
        self.caller.person().is_some_and(|person| person.holds(role))
    }

    /// The frame of a page that they read.
    pub(crate) fn frame(&self, title: impl Into<String>, place: Place) -> Frame {
        Frame::new(title, place, self.called.clone(), self.now)
    }
}

impl FromRequestParts<App> for Reader {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        match caller(parts, app).await.map_err(Refusal)? {
            Some(Caller::Identity { identity, .. }) => {
                misuse::note_used_by_person(&app.kernel, &identity, parts.uri.path()).await;
                Err(Refusal::from(OpError::NotFound(FOR_PEOPLE)).into_response())
            }
            Some(caller) => Ok(Self::new(app, caller).map_err(Refusal)?),
            None => Err(to_sign_in(parts)),
        }
    }
}

/// The caller, if they are known. A credential in a header is judged as the API judges it.
async fn caller(parts: &mut Parts, app: &App) -> Result<Option<Caller>, Failure> {
    if parts.headers.contains_key(header::AUTHORIZATION) {
        return Ok(Some(Operator::from_request_parts(parts, app).await?.0));
    }
    Ok(Browser::from_request_parts(parts, app).await?.0)
}

/// To the sign-in, and back to the page that was asked for.
fn to_sign_in(parts: &Parts) -> Response {
    let back = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let way = match parts.method {
        Method::GET if back != "/" => format!("/sign-in?return_to={}", encoded(&back)),
        _ => "/sign-in".to_owned(),
    };
    Redirect::to(&way).into_response()
}

/// What a list's page is asked. An address with a filter that says nothing, as a form sends it, leads to the one without
/// it, so that each list has one address.
pub(crate) struct Asked<T> {
    pub reader: Reader,
    pub ask: ListAsk<T>,
    pub address: Address,
}

impl<T: Filtered> FromRequestParts<App> for Asked<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let reader = Reader::from_request_parts(parts, app).await?;
        let query = parts.uri.query().unwrap_or_default();
        let given = parameters(query).map_err(|problems| Refusal::from(OpError::Invalid(problems)))?;
        let (said, empty): (Vec<_>, Vec<_>) = given.into_iter().partition(|(_, value)| !value.trim().is_empty());
        // Boxes send the same parameter several times; the list has one for all of them, and the API has none of it.
        let is_columns = |(name, _): &(String, String)| T::KIND == RowKind::Identity && name == COLUMNS;
        let (columns, asked): (Vec<_>, Vec<_>) = said.into_iter().partition(is_columns);
        let mut address = Address::new(parts.uri.path()).of(asked);
        let bare = address.to_string();
        let words: Vec<String> = columns.into_iter().map(|(_, words)| words).collect();
        if !words.is_empty() {
            address = address.with(COLUMNS, words.join(","));
        }
        if !empty.is_empty() || words.len() > 1 {
            return Err(Redirect::to(&address.to_string()).into_response());
        }
        let asked = match words.is_empty() {
            true => query,
            false => bare.split_once('?').map_or("", |(_, query)| query),
        };
        let List { ask } = List::of(asked).map_err(Refusal)?;
        Ok(Self { reader, ask, address })
    }
}

/// What people look for among what is made again and again: the last. Ids go by time.
pub(crate) const NEWEST_FIRST: (Order, bool) = (Order::Id, true);

/// A page of a list, with how many there are, if that can be told: while the index of records is being made, a list by
/// no words and in no order of its own is shown all the same.
macro_rules! counted {
    ($ask:expr, |$given:ident| $list:expr) => {{
        let ask = $ask;
        let is_plain = ask.text.is_none() && ask.sort.is_none();
        let $given = $crate::console::reader::counting(ask.clone());
        match Box::pin($list).await {
            Err(tenure_engine::kernel::error::OpError::SearchBuilding { .. }) if is_plain => {
                let $given = ask;
                Box::pin($list).await
            }
            answer => answer,
        }
    }};
}

pub(crate) use counted;

/// The same question, with how many there are if its kind can be counted.
pub(crate) fn counting<T: Record>(ask: ListAsk<T>) -> ListAsk<T> {
    ListAsk { count: T::KIND.is_searched(), ..ask }
}

/// The most fields of a form: none of ours has as many, a list with two hundred boxes among them. What came too late is shown again, each field in markup of its
/// own.
const MOST_FIELDS: usize = 224;

/// A form of a page that somebody sent.
pub(crate) struct Sent {
    pub reader: Reader,
    fields: Vec<(String, String)>,
}

impl Sent {
    /// That its text reads as what it is. Asked of every form once it is known that whoever sent it may read the page,
    /// where what is wrong is shown with everything that was typed.
    pub(crate) fn checked(&self) -> Result<(), Failure> {
        check_fields(&self.fields)
    }

    /// Does what the form asks for, once its text was checked. What is large waits on the heap.
    pub(crate) fn done<T, E: Into<Failure>>(
        &self,
        deed: impl Future<Output = Result<T, E>>,
    ) -> impl Future<Output = Result<T, Failure>> {
        let deed = Box::pin(deed);
        async move {
            self.checked()?;
            deed.await.map_err(Into::into)
        }
    }

    /// A field, without space around it; nothing if the form has none of this name.
    pub(crate) fn given(&self, name: &str) -> Option<String> {
        self.fields.iter().find(|(given, _)| given == name).map(|(_, value)| value.trim().to_owned())
    }

    /// A field, without space around it; nothing if it was left empty.
    pub(crate) fn text(&self, name: &str) -> String {
        self.given(name).unwrap_or_default()
    }
}

impl Sent {
    /// Each value of a field that a form sends as often as it is chosen.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.fields.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.trim())
    }
}

impl FromRequest<App> for Sent {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let (mut parts, unread) = request.into_parts();
        let caller = caller(&mut parts, app).await.map_err(Refusal)?;
        if caller.is_none() {
            // Nobody's cookie spoke for it; a page of another site must not have what it sent shown here all the same.
            let own = must_be_same_origin(app, &parts.method, &parts.headers);
            own.map_err(|_| Refusal::from(OpError::Unauthenticated(Reason::ProofMissing)))?;
        }
        let action = parts.uri.path().to_owned();
        let Unchecked(fields) =
            Unchecked::<Vec<(String, String)>>::from_request(Request::from_parts(parts, unread), app)
                .await
                .map_err(Refusal)?;
        if fields.len() > MOST_FIELDS {
            let failure = Failure::malformed(format!("a form of these pages has at most {MOST_FIELDS} fields"));
            return Err(Refusal(failure).into_response());
        }
        match caller {
            Some(caller) => Ok(Self { reader: Reader::new(app, caller).map_err(Refusal)?, fields }),
            None => Err(page(StatusCode::UNAUTHORIZED, &SessionOver { action, fields })),
        }
    }
}

/// What did not work, as a page.
pub(crate) struct Refusal(pub Failure);

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

impl From<OpError> for Refusal {
    fn from(error: OpError) -> Self {
        Self(error.into())
    }
}

impl From<Refusal> for Response {
    fn from(refusal: Refusal) -> Self {
        refusal.into_response()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        problem_page(self.0, vec![Way { to: "/".to_owned(), word: text::TO_HOME }])
    }
}

/// What a page's handler answers.
pub(crate) type Shown = Result<Response, Refusal>;
