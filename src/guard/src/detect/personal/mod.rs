//! Data about people: addresses and numbers, most of them with a checksum.

mod card;
mod email;
mod iban;
mod national;
mod phone;

use std::sync::{Arc, LazyLock};

use crate::{
    rule::Rule,
    spec::{Locale, PersonalDataKind},
};

/// A rule and when it is of interest.
type Entry = (PersonalDataKind, Option<Locale>, Arc<Rule>);

/// All rules: they are built once.
static RULES: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    use PersonalDataKind as Kind;
    let everywhere = [
        (Kind::Email, email::rule()),
        (Kind::Iban, iban::rule()),
        (Kind::PaymentCard, card::rule()),
        (Kind::Phone, phone::international()),
    ];
    let everywhere = everywhere.map(|(kind, rule)| (kind, None, Arc::new(rule)));
    let of = |kind: Kind| move |(locale, rule): (Locale, Rule)| (kind, Some(locale), Arc::new(rule));
    let phones = phone::national().into_iter().map(of(Kind::Phone));
    let ids = national::rules().into_iter().map(of(Kind::NationalId));
    everywhere.into_iter().chain(ids).chain(phones).collect()
});

/// The rules for `kinds` and `locales`; none of either are all.
pub fn rules(kinds: &[PersonalDataKind], locales: &[Locale]) -> Vec<Arc<Rule>> {
    let wanted = RULES.iter().filter(|(kind, locale, _)| {
        let is_kind = kinds.is_empty() || kinds.contains(kind);
        is_kind && (locales.is_empty() || locale.is_none_or(|locale| locales.contains(&locale)))
    });
    wanted.map(|(.., rule)| rule.clone()).collect()
}
