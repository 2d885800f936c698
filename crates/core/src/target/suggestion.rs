//! Who may answer for an account that nobody answers for, and what speaks for it. A suggestion makes nobody an owner.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::base::id::PersonId;
use crate::store::term::words;
use crate::target::connector::SeenAccount;

/// Suggestions for one account at most.
pub const MAX_SUGGESTED: usize = 8;
/// Reasons of one suggestion at most.
const MAX_REASONS: usize = 8;
/// Words of an account that are looked at, at most, and the length of one.
const MAX_WORDS: usize = 32;
const WORD: std::ops::RangeInclusive<usize> = 3..=120;

/// What speaks for somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Clue {
    /// They answer for the target.
    Target,
    /// They answer for accounts beside it whose names begin alike.
    Beside,
    /// Its name has the name of something that they answer for, or of their team.
    Name,
    /// What is written beside it names something that they answer for, or their team.
    Mark,
    /// It is used by what they answer for.
    Use,
    /// They answer for what runs from a repository that is written beside it.
    Repository,
    /// It was made by what they answer for, or by them.
    Creator,
    /// What is written beside it names them.
    Named,
}

impl Clue {
    /// What it is worth by itself.
    pub const fn strength(self) -> Strength {
        match self {
            Self::Target => Strength::Weak,
            Self::Beside | Self::Name | Self::Mark | Self::Use => Strength::Likely,
            Self::Repository | Self::Creator | Self::Named => Strength::Strong,
        }
    }
}

/// What a suggestion is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// Somebody to ask, where nobody is known.
    Weak,
    /// A pattern speaks for it.
    Likely,
    /// Something names them, or two patterns agree.
    Strong,
}

impl Strength {
    /// Every strength, the least first.
    pub const ALL: &[Self] = &[Self::Weak, Self::Likely, Self::Strong];

    /// The name in the API and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Weak => "weak",
            Self::Likely => "likely",
            Self::Strong => "strong",
        }
    }
}

words!(Strength);

/// One thing that speaks for somebody.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SuggestionReason {
    /// What sort.
    pub clue: Clue,
    /// What it was, in words: `comment: owner ada@acme.example`.
    pub said: String,
}

/// Somebody who may answer for an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Suggestion {
    /// Who.
    pub owner: PersonId,
    /// What it is worth.
    pub strength: Strength,
    /// What speaks for it, the strongest first.
    pub reasons: Vec<SuggestionReason>,
}

/// The suggestions that clues come to, the strongest first. Two patterns of different sorts that agree are strong.
pub fn weighed(clues: Vec<(PersonId, SuggestionReason)>) -> Vec<Suggestion> {
    let mut by_owner: BTreeMap<PersonId, Vec<SuggestionReason>> = BTreeMap::new();
    for (owner, reason) in clues {
        let reasons = by_owner.entry(owner).or_default();
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    let weigh = |(owner, mut reasons): (PersonId, Vec<SuggestionReason>)| {
        reasons.sort_by(|a, b| b.clue.cmp(&a.clue).then_with(|| a.said.cmp(&b.said)));
        let best = reasons.first().map_or(Strength::Weak, |reason| reason.clue.strength());
        let mut patterns: Vec<Clue> = reasons.iter().map(|reason| reason.clue).collect();
        patterns.dedup();
        let agree = patterns.iter().filter(|clue| clue.strength() == Strength::Likely).count() > 1;
        reasons.truncate(MAX_REASONS);
        Suggestion { owner, strength: if agree { Strength::Strong } else { best }, reasons }
    };
    let mut suggestions: Vec<Suggestion> = by_owner.into_iter().map(weigh).collect();
    suggestions.sort_by(|a, b| {
        let weight = |of: &Suggestion| (of.strength, of.reasons.first().map(|reason| reason.clue), of.reasons.len());
        weight(b).cmp(&weight(a)).then_with(|| a.owner.cmp(&b.owner))
    });
    suggestions.truncate(MAX_SUGGESTED);
    suggestions
}

/// How accounts that belong together begin: the name's first part, if it has several.
pub fn stem(name: &str) -> Option<&str> {
    let (stem, rest) = name.split_once(['_', '-', '.', '@', '/'])?;
    (WORD.contains(&stem.len()) && !rest.is_empty()).then_some(stem)
}

/// The parts of an account's name that may be the name of something, and its beginnings.
pub fn parts(name: &str) -> Vec<String> {
    let lower = name.to_lowercase();
    let mut parts: Vec<String> = Vec::new();
    let ends = lower.char_indices().filter(|(_, c)| matches!(c, '_' | '-' | '.' | '@' | '/')).map(|(at, _)| at);
    for end in ends.chain([lower.len()]) {
        parts.extend(lower.get(..end).map(|beginning| beginning.replace('_', "-")));
    }
    parts.extend(lower.split(['_', '-', '.', '@', '/']).map(str::to_owned));
    parts.retain(|part| WORD.contains(&part.len()));
    parts.sort_unstable();
    parts.dedup();
    parts.truncate(MAX_WORDS);
    parts
}

/// The words that people wrote beside an account, each with the mark that it stands in. What Tenure itself wrote is
/// none.
pub fn words_beside(seen: &SeenAccount) -> Vec<(String, String)> {
    let marks = seen.marks.iter().filter(|(name, _)| *name != "tenure");
    let apart = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '(' | ')' | '<' | '>' | '"' | '\'' | '=' | '|');
    let words = marks.flat_map(|(name, value)| {
        let clean = |word: &str| word.trim_matches([':', '.', '!', '?']).to_lowercase();
        value.split(apart).map(clean).map(|word| (name.clone(), word)).collect::<Vec<_>>()
    });
    words.filter(|(_, word)| WORD.contains(&word.len())).take(MAX_WORDS).collect()
}

/// What a mark's name makes of whom it names.
pub fn clue_of(mark: &str, otherwise: Clue) -> Clue {
    let mark = mark.to_lowercase();
    let any = |names: &[&str]| names.iter().any(|name| mark.contains(name));
    if any(&["creat", "made_by", "made by", "issued"]) {
        Clue::Creator
    } else if any(&["used", "client", "consumer"]) {
        Clue::Use
    } else {
        otherwise
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(n: u128, clue: Clue) -> (PersonId, SuggestionReason) {
        (PersonId::from_u128(n), SuggestionReason { clue, said: format!("{clue:?}") })
    }

    #[test]
    fn the_strongest_is_first_and_patterns_that_agree_are_strong() {
        let weighed = weighed(vec![
            said(1, Clue::Target),
            said(2, Clue::Name),
            said(3, Clue::Beside),
            said(3, Clue::Name),
            said(4, Clue::Named),
        ]);
        let told: Vec<_> = weighed.iter().map(|one| (one.owner, one.strength)).collect();
        let id = PersonId::from_u128;
        assert_eq!(told[0], (id(4), Strength::Strong));
        assert_eq!(told[1], (id(3), Strength::Strong));
        assert_eq!(told[2..], [(id(2), Strength::Likely), (id(1), Strength::Weak)]);
    }

    #[test]
    fn names_are_taken_apart_and_bounded() {
        assert_eq!(stem("billing_ro"), Some("billing"));
        assert_eq!((stem("billing"), stem("a_b"), stem("x@")), (None, None, None));
        assert_eq!(parts("Billing_RO_batch"), ["batch", "billing", "billing-ro", "billing-ro-batch"]);
        assert!(parts(&"ab1_".repeat(300)).len() <= MAX_WORDS);
    }
}
