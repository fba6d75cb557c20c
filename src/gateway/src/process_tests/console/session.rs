//! Coming in, and going out.

use serde_json::json;

use super::{PAGE, all_well, browser::Browser, fees, fill, house, open};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_pasted_and_kept_in_the_tab_alone() {
    let (house, browser) = (house().await, Browser::start().await);
    fill(&house, &browser, &[fees()]).await;
    let origin = format!("http://{}", house.gateway.address);
    // The first page asks which Room.
    browser.open(&format!("{origin}/console")).await;
    browser.enter("Namespace", "ns").await;
    browser.enter("Room", "handbook").await;
    browser.click("Open").await;
    browser.until(&format!("location.pathname === {}", json!(PAGE))).await;
    browser.says("It needs a token of yours").await;
    assert!(browser.eval("document.activeElement.type === 'password'").await == true);
    assert!(!browser.text().await.contains("Ask"));
    browser.write("nonsense").await;
    browser.press("Enter").await;
    browser.says("This token is not accepted").await;
    assert_eq!(
        browser
            .eval("document.activeElement.getAttribute('aria-invalid')")
            .await,
        "true"
    );
    browser.write("Bearer jane").await;
    browser.press("Enter").await;
    browser.says("Signed in as jane").await;
    assert_eq!(browser.eval("sessionStorage.getItem('atelier.token')").await, "jane");
    let elsewhere = browser
        .eval("JSON.stringify(localStorage) + document.cookie + location.href")
        .await;
    assert!(!elsewhere.as_str().unwrap().contains("jane"), "{elsewhere}");
    // The Room is remembered, and the token lives as long as the tab.
    browser.open(&format!("{origin}/console/")).await;
    browser.says("handbook").await;
    browser.open(&format!("{origin}{PAGE}")).await;
    browser.says("Signed in as jane").await;
    browser.click("Sign out").await;
    browser.says("You are signed out").await;
    assert_eq!(browser.eval("sessionStorage.length + localStorage.length").await, 0);
    assert_eq!(
        browser.eval("document.getElementById('views').childElementCount").await,
        0
    );
    all_well(&house, &browser);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_of_a_link_leaves_the_address_and_pushes_out_no_other() {
    let (house, browser) = (house().await, Browser::start().await);
    fill(&house, &browser, &[fees()]).await;
    open(&house, &browser, "jane", "ask").await;
    let address = browser.eval("location.href + history.length + document.referrer").await;
    assert!(!address.as_str().unwrap().contains("jane"), "{address}");
    browser.eval("location.hash = 'token=cara'").await;
    browser.says("brings another token").await;
    assert!(!browser.eval("location.href").await.as_str().unwrap().contains("cara"));
    browser.press("Escape").await;
    browser.until("!document.querySelector('dialog')").await;
    assert_eq!(browser.eval("sessionStorage.getItem('atelier.token')").await, "jane");
    browser.eval("location.hash = 'token=cara'").await;
    browser.click("Use that token").await;
    browser.says("Signed in as cara").await;
    browser.says("Quarantine").await;
    all_well(&house, &browser);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whose_token_ends_goes_on_with_another_one_and_loses_nothing() {
    let (house, browser) = (house().await, Browser::start().await);
    fill(&house, &browser, &[fees()]).await;
    open(&house, &browser, "jane", "ask").await;
    house.models.say("The deposit is 50 EUR [1].");
    browser.enter("Your question", "How much is the deposit?").await;
    browser.press("Enter").await;
    browser.says("Sources").await;
    // The gateway takes the token no more.
    browser.eval("sessionStorage.setItem('atelier.token', 'old')").await;
    browser.reload().await;
    browser.says("This token is not accepted").await;
    browser.write("jane").await;
    browser.press("Enter").await;
    browser.says("Signed in as jane").await;
    browser.enter("Your question", "Do cards work?").await;
    browser
        .eval("import('/console/assets/session.js').then((session) => session.keep('old'))")
        .await;
    browser.press("Enter").await;
    browser.says("Your token has expired").await;
    assert!(
        !browser.text().await.contains("Your question"),
        "what is inside is covered"
    );
    browser.write("jane").await;
    browser.press("Enter").await;
    browser.says("Do cards work?").await;
    // Somebody else finds nothing of it.
    browser
        .eval("import('/console/assets/session.js').then((session) => session.drop('expired'))")
        .await;
    browser.says("Your token has expired").await;
    browser.write("finn").await;
    browser.press("Enter").await;
    browser.says("Signed in as finn").await;
    assert!(!browser.text().await.contains("Do cards work?"));
    all_well(&house, &browser);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_enter_is_told_what_is_told_of_a_room_that_is_not_there() {
    let (house, browser) = (house().await, Browser::start().await);
    fill(&house, &browser, &[fees()]).await;
    let origin = format!("http://{}", house.gateway.address);
    let mut texts = Vec::new();
    for room in ["handbook", "nothing1"] {
        browser.open("about:blank").await;
        browser
            .open(&format!("{origin}/console/rooms/ns/{room}#token=other"))
            .await;
        browser.says("The Room does not open").await;
        // The request's id is another one each time.
        let gate = "document.getElementById('gate').innerText.replace(/Request \\S+/, '')";
        texts.push(browser.eval(gate).await);
        assert_eq!(browser.eval("JSON.stringify(localStorage)").await, "{}");
    }
    assert_eq!(texts[0], texts[1]);
    // An auditor comes in, and sees no documents.
    open(&house, &browser, "ann", "about").await;
    let text = browser.text().await;
    assert!(text.contains("cora") && text.contains("read who asked what"), "{text}");
    assert!(!text.contains("Documents"), "{text}");
    all_well(&house, &browser);
}
