//! Whether everybody can read, reach and understand what is on the pages.

use serde_json::Value;

use super::{super::rooms::support::Doc, Browser, all_well, doc, fees, fill, house, open};

const LOOK: &str = include_str!("look.js");

/// What is wrong with what is seen now.
async fn faults(browser: &Browser, what: &str) {
    let seen = browser.eval(LOOK).await;
    assert!(seen["texts"].as_u64().unwrap() >= 5, "{what}: {seen}");
    assert_eq!(seen["faults"], Value::Array(Vec::new()), "{what}");
    for (role, name) in browser.heard().await {
        let named = [
            "button",
            "link",
            "textbox",
            "radio",
            "combobox",
            "image",
            "dialog",
            "region",
            "navigation",
            "heading",
            "progressbar",
        ];
        assert!(
            !named.contains(&&*role) || !name.trim().is_empty(),
            "{what}: a {role} has no name"
        );
    }
}

/// One page with some of everything.
async fn lived_in() -> (super::House, Browser) {
    let (house, browser) = (house().await, Browser::start().await);
    let long = "a-name-that-goes-on-and-on-without-a-single-place-where-it-could-be-broken-into-two-lines.pdf";
    let aside = Doc {
        quarantined: Some("LowCoverage".into()),
        ..doc("scan-of-a-fax.png", &[])
    };
    fill(&house, &browser, &[fees(), doc(long, &["Pets are welcome."]), aside]).await;
    (house, browser)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_legible_and_fit_whatever_the_size_and_the_colours() {
    let (house, browser) = lived_in().await;
    let origin = format!("http://{}", house.gateway.address);
    for (scheme, width) in [("light", 1100), ("dark", 1100), ("light", 320), ("dark", 320)] {
        browser.prefer(scheme, "no-preference").await;
        browser.resize(width, 800).await;
        let kind = format!("{scheme}-{width}");
        browser.open("about:blank").await;
        browser.open(&format!("{origin}/console/")).await;
        browser
            .until("document.getElementById('recent').childElementCount > 0")
            .await;
        faults(&browser, &format!("home {kind}")).await;
        browser.keep_picture(&format!("home-{kind}"), true).await;
        browser.eval("sessionStorage.clear()").await;
        browser.open(&format!("{origin}{}", super::PAGE)).await;
        browser.says("It needs a token of yours").await;
        browser.click("Where do I get a token?").await;
        browser.says("kubectl create token").await;
        faults(&browser, &format!("sign-in {kind}")).await;
        browser.keep_picture(&format!("sign-in-{kind}"), true).await;

        open(&house, &browser, "dora", "ask").await;
        house
            .models
            .say("The deposit is 50 EUR [1]. Cards work [1].\n\n- Guests pay on the day that they leave [2].");
        browser
            .enter(
                "Your question",
                "How much is the deposit, do cards work, and when do guests pay?",
            )
            .await;
        browser.press("Enter").await;
        browser.until("document.querySelector('.turn .feedback')").await;
        faults(&browser, &format!("answer {kind}")).await;
        browser.keep_picture(&format!("answer-{kind}"), true).await;
        browser.click("Title of fees.pdf").await;
        browser
            .until("document.querySelector('dialog img')?.naturalWidth > 100")
            .await;
        faults(&browser, &format!("page {kind}")).await;
        browser.keep_picture(&format!("page-{kind}"), false).await;
        browser.press("Escape").await;
        browser.click("Report an error").await;
        browser.says("What is wrong?").await;
        faults(&browser, &format!("report {kind}")).await;
        browser.keep_picture(&format!("report-{kind}"), false).await;
        browser.press("Escape").await;
        browser.until("!document.querySelector('dialog')").await;
        house.models.say("The deposit is 5000 EUR [1].");
        browser.enter("Your question", "Is the deposit 5000 EUR?").await;
        browser.press("Enter").await;
        browser.says("is not supported by the documents").await;
        faults(&browser, &format!("refusal {kind}")).await;
        browser.enter("Your question", "Zebra quartz volcano?").await;
        browser.click("Find passages only").await;
        browser
            .until("document.querySelectorAll('.turn').length === 3 && !document.querySelector('.turn .waiting')")
            .await;
        faults(&browser, &format!("search {kind}")).await;

        for (view, says) in [
            ("Documents", "What you have uploaded"),
            ("Quarantine", "1 document set aside"),
            ("History", "5000 EUR"),
            ("Audit", "5000 EUR"),
            ("About", "Members"),
        ] {
            browser.click(view).await;
            // What is looked for may stand in the view before, which stays for a moment.
            let shown = format!(
                "document.querySelector('#view-{}')?.checkVisibility()",
                view.to_lowercase()
            );
            browser.until(&shown).await;
            browser.says(says).await;
            browser.until("[...document.querySelectorAll('.view')].every((one) => !one.checkVisibility() || !one.querySelector('.waiting'))").await;
            assert_eq!(browser.eval("document.activeElement.textContent").await, view);
            faults(&browser, &format!("{view} {kind}")).await;
            browser
                .keep_picture(&format!("{}-{kind}", view.to_lowercase()), true)
                .await;
        }
    }
    all_well(&house, &browser);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_lead_everywhere_and_out_again() {
    let (house, browser) = lived_in().await;
    open(&house, &browser, "dora", "documents").await;
    browser.reload().await;
    browser.says("2 documents").await;
    let called = "(document.activeElement.getAttribute('aria-label') ?? document.activeElement.labels?.[0]?.textContent
        ?? document.activeElement.textContent).trim()";
    let mut way = Vec::new();
    for _ in 0..40 {
        browser.press("Tab").await;
        let at = browser.eval(called).await.as_str().unwrap().to_owned();
        let seen = "(() => {
            const style = getComputedStyle(document.activeElement);
            return document.activeElement === document.body || style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
        })()";
        assert_eq!(browser.eval(seen).await, true, "nobody sees that {at} has the focus");
        if browser.eval("document.activeElement === document.body").await == true {
            break;
        }
        way.push(at);
    }
    // In the order in which it is read, and out at the end.
    let order = [
        "Skip to content",
        "Atelier",
        "Sign out",
        "Ask",
        "Documents",
        "Quarantine",
        "History",
        "Audit",
        "About",
    ];
    assert_eq!(way[..order.len()], order, "{way:?}");
    let field = way.iter().position(|at| at == "Choose files, or drop them here");
    let first = way.iter().position(|at| at.starts_with("Remove Title of a-name"));
    let last = way.iter().position(|at| at == "Remove Title of fees.pdf");
    assert!(
        field.is_some() && field < first && first < last && last == Some(way.len() - 1),
        "{way:?}"
    );

    // Past the links, to what there is to read.
    browser.eval("document.querySelector('.skip').focus()").await;
    browser.press("Enter").await;
    browser.until("document.activeElement.id === 'main'").await;
    browser
        .until("document.querySelector('#view-documents').checkVisibility()")
        .await;

    // In a dialog, and nowhere else until it is closed.
    browser
        .eval("document.querySelector('[aria-label=\"Remove Title of fees.pdf\"]').focus()")
        .await;
    browser.press("Enter").await;
    browser.says("Remove this document?").await;
    for key in ["Tab", "Tab", "Tab", "Tab", "Shift+Tab", "Shift+Tab"] {
        browser.press(key).await;
        let inside = "document.activeElement === document.body || document.querySelector('dialog').contains(document.activeElement)";
        assert_eq!(browser.eval(inside).await, true);
    }
    browser.press("Escape").await;
    browser.until("!document.querySelector('dialog')").await;
    browser.until(&format!("{called} === 'Remove Title of fees.pdf'")).await;

    // What there is is also there for whoever only listens.
    let heard = browser.heard().await;
    let has = |role: &str, name: &str| heard.iter().any(|(r, n)| r == role && n == name);
    for (role, name) in [
        ("banner", ""),
        ("main", ""),
        ("navigation", "In this Room"),
        ("heading", "handbook"),
        ("heading", "Documents"),
        ("status", ""),
        ("list", ""),
        ("button", "Remove Title of fees.pdf"),
    ] {
        assert!(has(role, name), "no {role} {name} in {heard:?}");
    }
    all_well(&house, &browser);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_look_itself_finds_what_is_wrong() {
    let (house, browser) = lived_in().await;
    browser
        .open(&format!("http://{}/console/", house.gateway.address))
        .await;
    browser
        .until("document.getElementById('recent').childElementCount > 0")
        .await;
    faults(&browser, "as it is").await;
    browser
        .eval(
            "for (const [tag, text, style] of [
                ['p', 'pale', { color: '#999999' }],
                ['p', 'wide', { width: '4000px' }],
                ['h5', 'deep', {}],
                ['button', 'low', { height: '20px', minHeight: '0', padding: '0' }],
                ['p', 'clear', { color: 'rgb(0 0 0 / 40%)' }],
            ]) {
                const one = document.createElement(tag);
                one.textContent = text;
                Object.assign(one.style, style);
                document.querySelector('main').append(one);
            }",
        )
        .await;
    let seen = browser.eval(LOOK).await;
    let found = seen["faults"].to_string();
    for fault in [
        "of p \\\"pale",
        "of p \\\"clear",
        "the page is 4",
        "p \\\"wide\\\" ends",
        "h5 \\\"deep\\\" comes after",
        "low\\\" is 20",
    ] {
        assert!(found.contains(fault), "no {fault} in {found}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_moves_for_those_who_do_not_want_it() {
    let (house, browser) = lived_in().await;
    let moving = "import('/console/assets/notice.js').then(({ waiting }) => {
        document.querySelector('main').append(waiting('x'));
        const spinner = document.querySelector('.spinner');
        const style = getComputedStyle(spinner);
        const button = getComputedStyle(document.querySelector('button'));
        return [style.animationName, button.transitionDuration];
    })";
    for (motion, expected) in [("reduce", ["none", "0s"]), ("no-preference", ["turn", "0.12s"])] {
        browser.prefer("light", motion).await;
        browser.open("about:blank").await;
        browser
            .open(&format!("http://{}/console/", house.gateway.address))
            .await;
        let seen = browser.eval(moving).await;
        assert_eq!(seen, serde_json::json!(expected), "{motion}");
    }
}
