//! Whom the red team plays.
//!
//! Its documents name two groups that nobody is in: whoever calls themselves so is not believed ([`Principal::of`]). The
//! gateway puts those into them who may test the Room and say as whom, for one request.

use std::{collections::BTreeSet, fmt, str::FromStr};

use crate::{
    document::Acl,
    grant::{Clearance, Principal},
};

/// What names of ours begin with. No user has one.
const OURS: &str = "atelier:";
/// The group that canaries are for. Groups whose names begin so are ours.
const GROUP: &str = "atelier:redteam";
/// The group that baits are for.
const BAITED: &str = "atelier:redteam:baited";

/// Somebody whom the red team plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Whoever sees the canaries: where nobody does, nothing is proved.
    Control,
    /// Whoever would see them, with less clearance than this.
    Below(Clearance),
    /// Whoever is not named, with all clearance that there is. They see the baits.
    Stranger,
}

impl Role {
    /// How much they see, of what the caller does: never more.
    pub fn clearance(self, callers: Clearance) -> Clearance {
        match self {
            Self::Control | Self::Stranger => callers,
            Self::Below(Clearance(clearance)) => callers.min(Clearance(clearance.saturating_sub(1))),
        }
    }

    /// Who they are. Each has a history of their own, and none of them that of a person.
    pub fn principal(self, groups: BTreeSet<String>) -> Principal {
        let (name, group) = match self {
            Self::Control => ("control", GROUP),
            Self::Below(_) => ("below", GROUP),
            Self::Stranger => ("stranger", BAITED),
        };
        let mut groups: BTreeSet<String> = groups.into_iter().filter(|group| !is_reserved_group(group)).collect();
        groups.insert(group.into());
        Principal {
            user: format!("{GROUP}:{name}"),
            groups,
        }
    }
}

/// As in the header.
impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Control => f.write_str("control"),
            Self::Below(clearance) => write!(f, "below={}", clearance.0),
            Self::Stranger => f.write_str("stranger"),
        }
    }
}

impl FromStr for Role {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "control, stranger or below=CLEARANCE, with a clearance from 1 to 100";
        match text {
            "control" => Ok(Self::Control),
            "stranger" => Ok(Self::Stranger),
            _ => {
                let clearance = text.strip_prefix("below=").and_then(|text| text.parse().ok());
                let clearance = clearance.filter(|clearance| (1..=100).contains(clearance));
                clearance.map(Clearance).map(Self::Below).ok_or(EXPECTED)
            }
        }
    }
}

/// Whether a user's name is one of ours.
pub fn is_reserved_user(user: &str) -> bool {
    user.starts_with(OURS)
}

/// Whether the name of a group is one of ours.
pub fn is_reserved_group(group: &str) -> bool {
    group.starts_with(GROUP)
}

/// For whom canaries are.
pub fn canary_acl() -> Acl {
    Acl::of([format!("group:{GROUP}")])
}

/// For whom baits are.
pub fn bait_acl() -> Acl {
    Acl::of([format!("group:{BAITED}")])
}

/// The names in lists of documents that are planted, and count for nobody.
pub fn planted_names() -> [String; 2] {
    [format!("group:{GROUP}"), format!("group:{BAITED}")]
}

/// Whether a document with this list was planted.
pub fn is_planted(acl: &Acl) -> bool {
    let planted = planted_names();
    acl.names()
        .is_some_and(|names| !names.is_empty() && names.iter().all(|name| planted.contains(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_see_what_they_are_for_and_never_more() {
        let groups = || BTreeSet::from(["hr".to_owned(), BAITED.to_owned(), GROUP.to_owned()]);
        let sees = |role: Role, acl: &Acl| acl.admits(&role.principal(groups()));
        for (role, canary, bait) in [
            (Role::Control, true, false),
            (Role::Below(Clearance(3)), true, false),
            (Role::Stranger, false, true),
        ] {
            assert_eq!(
                (sees(role, &canary_acl()), sees(role, &bait_acl())),
                (canary, bait),
                "{role}"
            );
            assert!(sees(role, &Acl::of(["group:hr".into()])) && sees(role, &Acl::everyone()));
            assert_eq!(role.to_string().parse(), Ok(role));
            assert!(role.clearance(Clearance(7)) <= Clearance(7));
            assert!(is_reserved_user(&role.principal(groups()).user));
        }
        assert_eq!(Role::Below(Clearance(3)).clearance(Clearance(100)), Clearance(2));
        assert_eq!(Role::Below(Clearance(9)).clearance(Clearance(1)), Clearance(1));
        for text in ["", "Control", "below", "below=0", "below=101", "below=-1", "below=1 "] {
            assert!(text.parse::<Role>().is_err(), "{text}");
        }
    }

    #[test]
    fn nobody_is_believed_who_takes_a_name_of_ours() {
        let of = |user: &str, groups: &[&str]| Principal::of(user, groups.iter().map(ToString::to_string));
        for user in ["atelier:redteam:control", "atelier:gateway", "atelier:"] {
            assert_eq!(of(user, &[]), None, "{user}");
        }
        let jane = of("jane", &["hr", GROUP, BAITED, "atelier:redteam:x", "atelier:staff"]).unwrap();
        assert_eq!(jane.groups, ["atelier:staff".to_owned(), "hr".to_owned()].into());
        assert!(!canary_acl().admits(&jane) && !bait_acl().admits(&jane));
    }

    #[test]
    fn what_is_planted_is_known_by_its_list() {
        assert!(is_planted(&canary_acl()) && is_planted(&bait_acl()));
        let other = Acl::of([planted_names()[0].clone(), "user:jane".into()]);
        for acl in [Acl::everyone(), Acl::of([]), other] {
            assert!(!is_planted(&acl));
        }
    }
}
