//! Words with a full stop that ends no sentence.

/// Without the last full stop, in lower case.
const ABBREVIATIONS: &str = "mr mrs ms dr prof st sr jr rev gen col capt lt sgt hon vs etc e.g i.e cf al approx dept \
    est inc ltd co corp ed eds jan feb mar apr jun jul aug sep sept oct nov dec mon tue wed thu fri a.m p.m u.s u.k \
    u.n ave blvd rd tel ext avg resp z.b d.h u.a u.ä o.ä usw bzw ca evtl ggf inkl exkl bd hrsg s.o s.u vgl str mio \
    mrd std dipl ing bspw sog zzgl abzgl hr fr frl m.in np tzn tzw itd itp ul al pl św inż mgr hab ww r godz tj zob \
    por tys mln mld zł mme mlle env éd chap av p.ex c.-à-d \
    sra srta ud uds ej p.ej aprox avda";

/// Abbreviations before numbers, which are words like others elsewhere.
const BEFORE_NUMBERS: &str =
    "no nos fig figs vol vols p pp para sec art ch nr abs s str rozdz ust pkt poz pág págs núm cap ok max min";

/// Those of them that often end a sentence. One does where a capital letter follows.
const MAY_END: &str = "etc usw itd itp a.m p.m inc ltd co corp jr zł r mio mrd mln tys al";

/// Words before ordinal numbers, which have a full stop in some languages.
const BEFORE_ORDINALS: &str = "der die das den dem des am im vom zum zur beim bis seit ab ein eine einem einen einer \
    ihr sein dnia dzień z od do w na art ust pkt nr no abs";

/// Whether a word in lower case is an abbreviation.
pub fn is_one(word: &str) -> bool {
    is_in(ABBREVIATIONS, word)
}

/// Whether it is one where a number follows.
pub fn precedes_number(word: &str) -> bool {
    is_in(BEFORE_NUMBERS, word)
}

/// Whether it is one that may end a sentence.
pub fn may_end(word: &str) -> bool {
    is_in(MAY_END, word)
}

/// Whether a number with a full stop behind this word is an ordinal one.
pub fn precedes_ordinal(word: &str) -> bool {
    is_in(BEFORE_ORDINALS, word.trim_end_matches('.'))
}

fn is_in(list: &str, word: &str) -> bool {
    list.split_ascii_whitespace().any(|known| known == word)
}
