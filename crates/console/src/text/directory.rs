//! Words of who and what there is besides identities, made, changed and leaving.

words! {
    CHANGED_MEANWHILE = "somebody else has made it:";
    EMPTIED_MEANWHILE = "somebody else has emptied it";
    HELD_BECAUSE = "On hold because";
    STOP_ALL = "Stop everything of it";
    STOP_THEIRS = "Stop everything of theirs";
    OVER = "over";
    NO_PEOPLE = "There is nobody yet.";
    NO_TEAMS = "There are no teams yet.";
    NO_APPLICATIONS = "There are no applications yet.";
    NO_VENDORS = "There are no vendors yet.";
    NO_RESOURCES = "There are no resources yet.";
    NO_ENVIRONMENTS = "There are no environments yet.";
    NO_CLOUD_ACCOUNTS = "There are no cloud accounts yet.";
    EMAIL = "E-mail address";
    CLASS = "Class";
    ROLES = "Roles";
    MANAGER = "Manager";
    LEAVES = "Leaves";
    ITS_MEMBERS = "Its members";
    ITS_RESOURCES = "Its resources";
    CONTACT = "Contact";
    CONTRACT_ENDS = "Contract ends";
    CHECKED = "Credentials are checked";
    CHECKED_ONLINE = "by asking Tenure, so that what is revoked is refused at once";
    CHECKED_OFFLINE = "by their signature, so that what is revoked is accepted until its own end";
    UNREACHABLE = "When Tenure can’t be reached";
    UNREACHABLE_DENIES = "everything is refused";
    UNREACHABLE_ACCEPTS = "what is good until a later time is accepted";
    COUNTS_AS = "Counts as";
    PRODUCTION = "production";
    NOT_PRODUCTION = "not production";
    SIGNING_KEYS = "Signing keys";
    REGISTER_LEAD = "Its charter says who answers for it, what it is for, what it touches and what ends it. Nothing is issued to it before somebody else has approved that.";
    REGISTER_BUTTON = "Register and ask for approval";
    KIND = "Kind";
    NAME_HINT = "unique for ever";
    PURPOSE = "What it is for";
    PURPOSE_HINT = "the business need, in at most 1000 bytes";
    OWNER_HINT = "e-mail address, name or id; you, if left empty";
    BACKUP_HINT = "who stands in; may be left empty";
    RUN_BY_HINT = "a team or a company";
    SERVES_HINT = "whom it is good for: a team or a company";
    BOUNDARY = "Trust domain";
    BOUNDARY_HINT = "inside which it is trusted, such as prod.example.com";
    LAST_DAY = "Its last day";
    LAST_DAY_HINT = "its end at the latest";
    IDLE = "Ends when unused for";
    IDLE_HINT = "such as 30d";
    COVERAGE = "What it holds at rest";
    WORKLOAD_HINT = "what runs it, such as deployment/exporter";
    PUBLIC_KEY = "Its public key";
    PUBLIC_KEY_HINT = "as a JWK; left empty, it enrols a key of its own with a join token";
    NEW_APPLICATION = "New application";
    NEW_APPLICATION_LEAD = "What identities work for. It has somebody who answers for it.";
    NEW_ENVIRONMENT = "New environment";
    NEW_ENVIRONMENT_LEAD = "Each is an issuer of its own, with keys of its own: what is of one is good in no other.";
    NEW_RESOURCE = "New resource";
    NEW_RESOURCE_LEAD = "What identities act on: a service, a database, an API.";
    NEW_PERSON = "New person";
    NEW_PERSON_LEAD = "Somebody whom identities can belong to, or who decides. How they sign in is theirs to bind, by an invitation.";
    URI = "URI";
    URI_HINT = "by which its tokens name it, such as https://orders.internal";
    TYPE_HINT = "such as database, api, queue";
    MAKE = "Make it";
    EMAIL_HINT = "may be left empty";
    ROLES_HINT = "of requester, owner, manager, security, administrator, auditor, with commas between them; may be left empty";
    NEW_TEAM = "New team";
    NEW_TEAM_LEAD = "People who answer for something together, such as the removal of an application’s identities. Being in one confers nothing.";
    REMOVERS_HINT = "a team; may be left empty if each identity names its own";
    REMOVERS_OF_ONE_HINT = "a team; the application’s, if left empty";
    MANAGER_HINT = "who approves what they ask for; e-mail address, name or id; may be left empty";
    TEAMS_HINT = "with commas between them; may be left empty";
    ONLY_THE_FIRST = "only the first two hundred of each were looked at";
    WHAT_THEY_HOLD = "What they hold";
    SUSPEND_PERSON_LEAD = "Nothing of theirs works until somebody of security who didn’t stop them lets them go on: sessions and tokens end at once.";
    RESUME_PERSON_LEAD = "They may act again. What was revoked meanwhile stays revoked.";
    DEPART_LEAD = "They leave for good: what they answer for goes to others or stops, and what they hold ends. First it says what that would be.";
    WOULD_LEAVE = "This is what would leave with them. Nothing is done yet.";
    WHAT_LEAVES = "What leaves with them?";
    THEY_LEAVE = "They leave";
    LEAVES_FOR_GOOD = "Leaves for good";
    LEFT_BEHIND = "What they answer for";
    INVITE = "Invite";
    INVITE_LEAD = "An invitation lets them choose how they sign in, within a day. Whoever has its link can use it: hand it to nobody else.";
    ONE_MORE_WAY = "Add a way to sign in.";
    ONE_MORE_WAY_HINT = "What they have stays.";
    REPLACES = "Replace what was lost.";
    REPLACES_HINT = "The sign-ins and sessions that they have end with its use.";
    INVITED_LEAD = "Copy the link now. It stands on this page alone and is shown this once.";
    LINK = "Link";
    GOOD_UNTIL = "Good until";
    BUT = "But";
    WAITS_FOR_ANOTHER = "it is good for nothing before another administrator confirms it";
    INVITATIONS = "Invitations";
    NO_INVITATIONS = "There are no invitations of the last day.";
    FOR_WHOM = "For";
    USED = "used or taken back";
    USED_AT = "Used or taken back";
    GOOD = "good";
    NOT_GOOD = "waits for another administrator";
    EDIT_LEAD = "What takes something away is so at once. What lets somebody do more becomes a request that another administrator has to approve.";
    CHANGE = "Change";
    STAYS_HINT = "stays as it is, if left empty";
    FOR_WHICH_NEED = "For which need";
    FOR_WHICH_NEED_HINT = "has to be said of what takes a request";
    NO_END_HINT = "none, if left empty";
    ANSWERS_FOR = "Answers for";
    WAITS_FOR_THEM = "What waits for them";
    OF_REVIEWS = "Reviews";
    OF_TRANSFERS = "Identities offered to them";
    OF_VOTES = "Votes, by name";
}

/// Who stands in for somebody, and when.
pub fn stands_in(person: &str, from: &str, until: &str) -> String {
    format!("{person}, from {from} until {until}")
}

/// How many identities somebody would leave behind.
pub fn left_behind(count: usize, more: bool) -> String {
    match (count, more) {
        (0, _) => "none".to_owned(),
        (count, true) => format!("{count} at once, and more in batches"),
        (count, false) => count.to_string(),
    }
}

/// How many grants end.
pub fn grants_end(count: usize) -> String {
    format!("{count} of theirs end{}", if count == 1 { "s" } else { "" })
}

/// An invitation, as a title.
pub fn invitation_of(person: &str) -> String {
    format!("Invitation of {person}")
}

/// How long an answer takes.
pub fn median(span: &str, answers: usize) -> String {
    format!("half of {answers} took {span} or less")
}
