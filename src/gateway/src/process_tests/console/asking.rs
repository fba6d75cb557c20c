//! Questions, answers, and what is said about them.

use protocol::rooms::answers;
use serde_json::json;

use super::{Doc, all_well, browser::Browser, doc, fees, fill, handbook, house, open};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_documents_answer_together() {
    let (house, browser) = (house().await, Browser::start().await);
    let titled = |name: &str, title: &str, texts: &[&str]| Doc {
        title: Some(title.into()),
        ..doc(name, texts)
    };
    let documents = [
        titled(
            "policies/travel-2026.pdf",
            "Travel policy 2026",
            &[
                "Hotels up to 140 EUR a night are paid without a request. A night above that needs the consent of the head of the team.",
            ],
        ),
        titled(
            "forms/expenses.docx",
            "How to claim expenses",
            &["Receipts are handed in within 30 days after the journey. The money is paid with the next salary."],
        ),
    ];
    fill(&house, &browser, &documents).await;
    open(&house, &browser, "dora", "ask").await;
    let answer = "Hotels up to **140 EUR a night** are paid without a request [1]. A night above that needs the consent \
                  of the head of the team [1]. Receipts are handed in within 30 days after the journey [2].";
    house.models.say(answer);
    browser
        .enter(
            "Your question",
            "Which hotels are paid without a request, and when are receipts handed in?",
        )
        .await;
    browser.press("Enter").await;
    browser.until("document.querySelector('.turn .feedback')").await;
    let sources =
        "[...document.querySelectorAll('.sources li')].map((one) => one.innerText.split('\\n')[0].trim()).join()";
    let sources = browser.eval(sources).await;
    let sources = sources.as_str().unwrap();
    assert!(
        sources.contains("Travel policy 2026") && sources.contains("How to claim expenses"),
        "{sources}"
    );
    assert!(browser.text().await.contains("policies/travel-2026.pdf"));
    assert_eq!(
        browser
            .eval("document.querySelectorAll('.answer-text .cite').length")
            .await,
        3
    );
    browser.keep_picture("together", true).await;
    browser.click("Travel policy 2026").await;
    browser
        .until("document.querySelector('dialog img')?.naturalWidth > 100")
        .await;
    browser.keep_picture("together-page", false).await;
    browser.press("Escape").await;
    browser.prefer("dark", "reduce").await;
    browser.click("Documents").await;
    browser.says("2 documents").await;
    browser.keep_picture("together-documents", false).await;
    all_well(&house, &browser);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_streams_and_its_sources_open_with_their_page() {
    let (house, browser) = (house().await, Browser::start().await);
    fill(&house, &browser, &[fees()]).await;
    open(&house, &browser, "jane", "ask").await;
    house.models.say("The deposit is 50 EUR [1]. **Cards work** [1].");
    house.models.pieces.forget_permits(usize::MAX >> 8);
    house.models.pieces.add_permits(7);
    browser
        .enter("Your question", "How much is the deposit, and do cards work?")
        .await;
    browser.press("Enter").await;
    // The first sentence is there while the model still writes the second one.
    browser.says("The deposit is 50 EUR").await;
    browser.says("Writing").await;
    assert_eq!(
        browser
            .eval("document.querySelector('.answer').getAttribute('aria-busy')")
            .await,
        "true"
    );
    house.models.pieces.add_permits(1000);
    browser.says("Sources").await;
    browser
        .until("document.getElementById('status').textContent === 'The answer is there, with 1 source.'")
        .await;
    assert_eq!(
        browser
            .eval("document.querySelector('.answer-text strong').textContent")
            .await,
        "Cards work"
    );
    assert_eq!(browser.eval("document.activeElement.tagName").await, "TEXTAREA");
    browser.keep_picture("ask-light", true).await;

    // By keys alone: to the mark in the text, in, and out again.
    browser.eval("document.querySelector('.cite').focus()").await;
    browser.press("Enter").await;
    browser
        .until("document.querySelector('dialog img')?.naturalWidth > 100")
        .await;
    let quote = browser
        .eval("document.querySelector('dialog blockquote').innerText")
        .await;
    assert_eq!(quote, "The deposit is 50 EUR. Cards work.");
    assert!(
        browser
            .eval("document.querySelector('dialog img').src.startsWith('blob:')")
            .await
            == true
    );
    assert!(
        browser
            .eval("document.querySelector('dialog').contains(document.activeElement)")
            .await
            == true
    );
    browser.keep_picture("page", false).await;
    browser.press("Escape").await;
    browser.until("!document.querySelector('dialog')").await;
    assert_eq!(browser.eval("document.activeElement.className").await, "cite");
    browser.click("Title of fees.pdf").await;
    browser
        .until("document.querySelector('dialog img')?.naturalWidth > 100")
        .await;
    browser.click("Close").await;
    browser.until("!document.querySelector('dialog')").await;

    // Where it is known which part of the page is meant, it has a frame.
    let framed = "Promise.all([import('/console/assets/picture.js'), import('/console/assets/api.js')]).then(([{ show }, { Room }]) =>
        show(new Room('ns', 'handbook'), {
            id: document_id, title: 'Staff handbook', source: 'files', page: 1, pages: 3, headings: ['7. Fees'],
            quote: 'The deposit is 50 EUR. Cards work.', area: [0.07, 0.212, 0.58, 0.248],
        }))";
    let id = json!(protocol::rooms::document_id("files", "fees.pdf")).to_string();
    browser.eval(&framed.replace("document_id", &id)).await;
    browser
        .until("document.querySelector('dialog img')?.naturalWidth > 100")
        .await;
    let share = "(() => {
        const [frame, sheet] = ['.page-area', '.page-sheet img'].map((one) => document.querySelector(one).getBoundingClientRect());
        return Math.round((frame.width / sheet.width) * 100);
    })()";
    assert_eq!(browser.eval(share).await, 51);
    browser.keep_picture("page-framed", false).await;
    // There is no picture of the second page, and nothing before the first one.
    browser.click("Next page").await;
    browser.says("There is no picture of page 2.").await;
    browser
        .until("document.querySelector('dialog [role=status]').textContent.includes('no picture of page 2')")
        .await;
    browser.click("Previous page").await;
    browser
        .until("document.querySelector('dialog img')?.naturalWidth > 100")
        .await;
    assert_eq!(
        browser
            .eval("document.querySelector('dialog [aria-disabled=true]').textContent")
            .await,
        "Previous page"
    );
    browser.press("Escape").await;
    browser.until("!document.querySelector('dialog')").await;

    // What was asked before goes along.
    house.models.say("On the day that they leave [1].");
    browser
        .enter("Your question", "And when do guests pay the deposit?")
        .await;
    browser.press("Enter").await;
    browser
        .until("document.querySelectorAll('.turn').length === 2 && !document.querySelector('[aria-busy]')")
        .await;
    let asked = house.models.asked.lock().unwrap().last().unwrap().to_string();
    assert!(asked.contains("How much is the deposit, and do cards work?"), "{asked}");
    all_well(&house, &browser);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_supported_or_not_known_is_said_plainly() {
    let (house, browser) = (house().await, Browser::start().await);
    fill(&house, &browser, &[fees()]).await;
    open(&house, &browser, "jane", "ask").await;
    let ask = async |question: &str, answers: &str| {
        house.models.say(answers);
        browser.enter("Your question", question).await;
        browser.press("Enter").await;
        browser
            .until("document.querySelector('.turn') && !document.querySelector('[aria-busy]')")
            .await;
        browser.says(question).await;
        browser.until("document.querySelector('.turn .feedback')").await;
        browser
            .eval("document.querySelector('.turn').innerText")
            .await
            .as_str()
            .unwrap()
            .to_owned()
    };
    let text = ask("Zebra quartz volcano?", "Never asked.").await;
    assert!(
        text.contains("do not say enough about this") && !text.contains("Never asked"),
        "{text}"
    );
    let text = ask(
        "How much is the deposit?",
        "The deposit is 50 EUR [1]. Pets stay for free [1].",
    )
    .await;
    assert!(text.contains("The rest of this answer is withheld"), "{text}");
    assert!(
        text.contains("little of it is in what it cites") && !text.contains("Pets"),
        "{text}"
    );
    browser.keep_picture("refused-light", true).await;

    let mut annotating = handbook();
    annotating["answer"] = json!({"ungrounded": "Annotate"});
    house.room("handbook", annotating);
    let text = ask(
        "Is the deposit 50 EUR?",
        "The deposit is 50 EUR [1]. Pets stay for free [1]. Cards work [1].",
    )
    .await;
    assert!(text.contains("1 sentence of this answer is not supported"), "{text}");
    let marked = "[...document.querySelectorAll('.turn:first-child mark')].map((one) => one.innerText)";
    let marked = browser.eval(marked).await;
    let marked = marked.as_array().unwrap();
    let only = marked[0].as_str().unwrap();
    assert!(
        marked.len() == 1 && only.contains("Pets stay for free") && !only.contains("Cards"),
        "{marked:?}"
    );
    assert!(
        only.contains("Not supported: little of it is in what it cites"),
        "{only}"
    );
    browser.keep_picture("annotated-light", true).await;
    // The same is marked where nobody knows any more where sentences began.
    browser.click("History").await;
    browser
        .until("document.querySelector('#view-history')?.parentElement.querySelector('mark')")
        .await;
    let past = browser
        .eval("document.querySelector('#view-history').parentElement.querySelector('mark').innerText")
        .await;
    assert!(past.as_str().unwrap().starts_with("Pets stay for free"), "{past}");
    browser.keep_picture("history-light", true).await;
    all_well(&house, &browser);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thumbs_reasons_and_corrections_are_kept_with_the_answer() {
    let (house, browser) = (house().await, Browser::start().await);
    fill(&house, &browser, &[fees()]).await;
    open(&house, &browser, "jane", "ask").await;
    house.models.say("The deposit is 50 EUR [1].");
    browser.enter("Your question", "How much is the deposit?").await;
    browser.press("Enter").await;
    browser.says("Sources").await;
    browser.click("Not helpful").await;
    browser.says("What is wrong?").await;
    assert!(
        browser
            .eval("document.querySelector('dialog').contains(document.activeElement)")
            .await
            == true
    );
    browser.keep_picture("report-light", false).await;
    browser.click("It is out of date").await;
    browser.enter("More about it", "It is 60 since May.").await;
    browser
        .enter("What would have been right", "The deposit is 60 EUR.")
        .await;
    browser.click("Send report").await;
    browser.until("!document.querySelector('dialog')").await;
    browser.says("your report is kept").await;
    assert_eq!(
        browser
            .eval("document.querySelector('[aria-pressed=true]').innerText")
            .await,
        "Not helpful"
    );
    let seen: answers::Audit = house.get("ann", "handbook/audit").await.json();
    let said: Vec<_> = seen.entries[0]
        .feedback
        .iter()
        .map(|said| (&*said.kind, &*said.value))
        .collect();
    for one in [
        ("thumbs", "down"),
        ("error_report", "outdated"),
        ("correction", "The deposit is 60 EUR."),
    ] {
        assert!(said.contains(&one), "{said:?}");
    }
    assert!(
        seen.entries[0]
            .feedback
            .iter()
            .any(|said| said.comment.as_deref() == Some("It is 60 since May."))
    );
    // The auditor reads it.
    open(&house, &browser, "ann", "audit").await;
    browser.says("The deposit is 60 EUR.").await;
    browser.keep_picture("audit-light", true).await;
    all_well(&house, &browser);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_ask_searches() {
    let (house, browser) = (house().await, Browser::start().await);
    fill(&house, &browser, &[fees()]).await;
    open(&house, &browser, "finn", "ask").await;
    browser.says("You may search this Room, but not ask it.").await;
    browser.enter("What are you looking for?", "deposit").await;
    browser.press("Enter").await;
    browser.says("passages found").await;
    browser.says("Cards work.").await;
    browser.keep_picture("search-light", true).await;
    assert!(!browser.text().await.contains("History"));
    assert!(house.models.asked.lock().unwrap().is_empty());
    // A Room without a model is the same for everybody.
    let mut unasked = handbook();
    unasked.as_object_mut().unwrap().remove("model");
    house.room("handbook", unasked);
    open(&house, &browser, "jane", "ask").await;
    browser.says("This Room has no model to ask.").await;
    all_well(&house, &browser);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_loses_their_rights_in_the_middle_of_an_answer_does_not_keep_it() {
    let (house, browser) = (house().await, Browser::start().await);
    fill(&house, &browser, &[fees()]).await;
    open(&house, &browser, "jane", "ask").await;
    house.models.say("The deposit is 50 EUR [1]. Cards work [1].");
    house.models.pieces.forget_permits(usize::MAX >> 8);
    house.models.pieces.add_permits(7);
    browser
        .enter("Your question", "How much is the deposit, and do cards work?")
        .await;
    browser.press("Enter").await;
    browser.says("The deposit is 50 EUR").await;
    house.gateway.reviewer.revoke("jane");
    house.gateway.gateway.rooms.authorizer().forget_rooms();
    browser
        .says("There is no such Room, or you may not do this in it.")
        .await;
    assert!(!browser.text().await.contains("50 EUR"));
    all_well(&house, &browser);
}
