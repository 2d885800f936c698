//! People, teams, feeds of people, and transfers of identities.

use reqwest::Method;
use tenure_api::people::{
    Departure, ImportPeople, ImportReport, NewDecision, NewDeparture, NewJoinerCheck, NewOffer, NewPerson, NewRoles,
    NewStandIn, NewTeam, PersonChange, PersonMade,
};
use tenure_api::request::RequestView;
use tenure_api::requests::{Because, ResumePerson};
use tenure_api::views::{Page, Revised};
use tenure_core::base::id::{DifferenceId, IdentityId, PersonId, TransferId};
use tenure_core::identity::transfer::Transfer;
use tenure_core::people::difference::Difference;
use tenure_core::people::person::Person;
use tenure_core::people::team::Team;

use crate::transport::json;
use crate::{Client, ClientError, ListQuery};

/// Every method fails with [`ClientError`]: a problem if the server refuses, else what broke.
impl Client {
    /// `POST /v1/people`. Where there is a second administrator, the roles come by a request that the reply names.
    pub async fn create_person(&self, ask: &NewPerson) -> Result<PersonMade, ClientError> {
        self.post("/v1/people", ask).await
    }

    /// `GET /v1/people`; filters: `state`, `role`, `class`, `manager`, `team`, `source`.
    pub async fn people(&self, query: &ListQuery) -> Result<Page<Revised<Person>>, ClientError> {
        self.list("/v1/people", query).await
    }

    /// `GET /v1/people/{id}`.
    pub async fn person(&self, id: PersonId) -> Result<Revised<Person>, ClientError> {
        self.get(&format!("/v1/people/{id}")).await
    }

    /// `POST /v1/people/{id}/change`.
    pub async fn change_person(&self, id: PersonId, ask: &PersonChange) -> Result<Revised<Person>, ClientError> {
        self.post(&format!("/v1/people/{id}/change"), ask).await
    }

    /// `POST /v1/people/{id}/roles`: asks for them.
    pub async fn ask_for_roles(&self, id: PersonId, ask: &NewRoles) -> Result<RequestView, ClientError> {
        self.post(&format!("/v1/people/{id}/roles"), ask).await
    }

    /// `POST /v1/people/{id}/suspend`.
    pub async fn suspend_person(&self, id: PersonId, reason: &str) -> Result<Revised<Person>, ClientError> {
        self.person_step(id, "suspend", reason).await
    }

    /// `POST /v1/people/{id}/resume`.
    pub async fn resume_person(&self, id: PersonId, ask: &ResumePerson) -> Result<Revised<Person>, ClientError> {
        self.post(&format!("/v1/people/{id}/resume"), ask).await
    }

    /// `POST /v1/people/{id}/depart`: for ever; or, as a dry run, what it would come to.
    pub async fn depart_person(&self, id: PersonId, ask: &NewDeparture) -> Result<Departure, ClientError> {
        self.post(&format!("/v1/people/{id}/depart"), ask).await
    }

    /// `POST /v1/people/{id}/checks`: a control point of a joiner was passed.
    pub async fn record_joiner_check(
        &self,
        id: PersonId,
        ask: &NewJoinerCheck,
    ) -> Result<Revised<Person>, ClientError> {
        self.post(&format!("/v1/people/{id}/checks"), ask).await
    }

    /// `PUT /v1/people/{id}/stand-in`: one's own.
    pub async fn name_stand_in(&self, id: PersonId, ask: &NewStandIn) -> Result<Revised<Person>, ClientError> {
        json(self.request(Method::PUT, &format!("/v1/people/{id}/stand-in")).json(ask)).await
    }

    /// `POST /v1/people/{id}/end-stand-in`: one's own.
    pub async fn end_stand_in(&self, id: PersonId) -> Result<Revised<Person>, ClientError> {
        self.step(&format!("/v1/people/{id}/end-stand-in")).await
    }

    async fn person_step(&self, id: PersonId, step: &str, reason: &str) -> Result<Revised<Person>, ClientError> {
        let ask = Because { reason: reason.to_owned() };
        self.post(&format!("/v1/people/{id}/{step}"), &ask).await
    }

    /// `POST /v1/people/{id}/erase`: erases the personal values; the record and every proof stay.
    pub async fn erase_person(&self, id: PersonId) -> Result<Revised<Person>, ClientError> {
        self.step(&format!("/v1/people/{id}/erase")).await
    }

    /// `POST /v1/people/import`: follows what a source says about people, or says what following it would do.
    pub async fn import_people(&self, ask: &ImportPeople) -> Result<ImportReport, ClientError> {
        self.post("/v1/people/import", ask).await
    }

    /// `POST /v1/teams`.
    pub async fn create_team(&self, ask: &NewTeam) -> Result<Revised<Team>, ClientError> {
        self.post("/v1/teams", ask).await
    }

    /// `GET /v1/teams`; filter: `name`.
    pub async fn teams(&self, query: &ListQuery) -> Result<Page<Revised<Team>>, ClientError> {
        self.list("/v1/teams", query).await
    }

    /// `GET /v1/differences`; filters: `state` (open, decided), `source`, `person`.
    pub async fn differences(&self, query: &ListQuery) -> Result<Page<Revised<Difference>>, ClientError> {
        self.list("/v1/differences", query).await
    }

    /// `POST /v1/differences/{id}/decide`.
    pub async fn decide_difference(
        &self,
        id: DifferenceId,
        ask: &NewDecision,
    ) -> Result<Revised<Difference>, ClientError> {
        self.post(&format!("/v1/differences/{id}/decide"), ask).await
    }

    /// `POST /v1/identities/{id}/transfer`: offers it to another owner.
    pub async fn start_transfer(&self, id: IdentityId, ask: &NewOffer) -> Result<Revised<Transfer>, ClientError> {
        self.post(&format!("/v1/identities/{id}/transfer"), ask).await
    }

    /// `GET /v1/transfers`; filters: `state`, `identity`, `from`, `offered_to`.
    pub async fn transfers(&self, query: &ListQuery) -> Result<Page<Revised<Transfer>>, ClientError> {
        self.list("/v1/transfers", query).await
    }

    /// `POST /v1/transfers/{id}/offer`.
    pub async fn offer_transfer(&self, id: TransferId, ask: &NewOffer) -> Result<Revised<Transfer>, ClientError> {
        self.post(&format!("/v1/transfers/{id}/offer"), ask).await
    }

    /// `POST /v1/transfers/{id}/accept`.
    pub async fn accept_transfer(&self, id: TransferId) -> Result<Revised<Transfer>, ClientError> {
        self.step(&format!("/v1/transfers/{id}/accept")).await
    }

    /// `POST /v1/transfers/{id}/decline`.
    pub async fn decline_transfer(&self, id: TransferId) -> Result<Revised<Transfer>, ClientError> {
        self.step(&format!("/v1/transfers/{id}/decline")).await
    }

    /// `POST /v1/transfers/{id}/withdraw`.
    pub async fn withdraw_transfer(&self, id: TransferId) -> Result<Revised<Transfer>, ClientError> {
        self.step(&format!("/v1/transfers/{id}/withdraw")).await
    }
}
