//! To whom an object belongs that has the name of a child.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};

/// To whom an object belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// To this very object.
    Ours,
    /// To a deleted one of the same name.
    Predecessor,
    /// To somebody else.
    Foreign,
}

/// To whom an object with these `owners` belongs, as `owner` sees it.
pub fn claim(owners: &[OwnerReference], owner: &OwnerReference) -> Claim {
    let named = |reference: &OwnerReference| (&reference.kind, &reference.name) == (&owner.kind, &owner.name);
    if owners.iter().any(|reference| reference.uid == owner.uid) {
        Claim::Ours
    } else if owners.iter().any(named) {
        Claim::Predecessor
    } else {
        Claim::Foreign
    }
}

/// Those that this very object owns: one of the same name may have been deleted a moment ago.
pub fn owned<K: Resource>(objects: Vec<K>, owner: &OwnerReference) -> Vec<K> {
    let is_ours = |object: &K| claim(object.owner_references(), owner) == Claim::Ours;
    objects.into_iter().filter(is_ours).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn reference(kind: &str, name: &str, uid: &str) -> OwnerReference {
        OwnerReference {
            kind: kind.into(),
            name: name.into(),
            uid: uid.into(),
            ..OwnerReference::default()
        }
    }

    #[rstest]
    #[case::ours("LlmModel", "m", "model-uid", Claim::Ours)]
    #[case::recreated("LlmModel", "m", "former-uid", Claim::Predecessor)]
    #[case::other_model("LlmModel", "other", "other-uid", Claim::Foreign)]
    #[case::other_kind("Room", "m", "other-uid", Claim::Foreign)]
    fn objects_of_others_are_told_apart(
        #[case] kind: &str,
        #[case] name: &str,
        #[case] uid: &str,
        #[case] expected: Claim,
    ) {
        let owner = reference("LlmModel", "m", "model-uid");
        assert_eq!(claim(&[reference(kind, name, uid)], &owner), expected);
        assert_eq!(claim(&[], &owner), Claim::Foreign);
    }
}
