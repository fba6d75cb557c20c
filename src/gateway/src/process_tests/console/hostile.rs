//! Names and texts of strangers who mean harm.

use serde_json::{Value, json};

use super::{Browser, all_well, doc, fill, house, open};

/// Would run, if anybody read it as HTML.
const MARKUP: &str = "<img src=x onerror=\"window.hacked=1\"><script>window.hacked=1</script>.pdf";
/// Looks like `invoice-fdp.exe` the other way round.
const TURNED: &str = "invoice-\u{202E}exe.fdp\u{200B}\u{7}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_are_shown_as_what_they_are() {
    let (house, browser) = (house().await, Browser::start().await);
    let text = format!("The deposit is 50 EUR. {MARKUP} \u{202E}drow");
    fill(
        &house,
        &browser,
        &[doc(MARKUP, &[&text]), doc(TURNED, &["Cards work.\u{2066} Always."])],
    )
    .await;
    open(&house, &browser, "cara", "documents").await;
    browser.says("2 documents").await;
    let shown = browser.text().await;
    assert!(shown.contains(&format!("Title of {MARKUP}")), "{shown}");
    assert!(shown.contains("invoice-U+202Eexe.fdpU+200BU+0007"), "{shown}");
    browser.keep_picture("hostile-light", true).await;
    // Nothing but the numbers is left of what turns text around, also where only text can be.
    let isolated = "[...document.querySelectorAll('.row-title')].every((one) => one.firstChild.tagName === 'BDI')";
    assert_eq!(browser.eval(isolated).await, true);
    let hidden = |node: &str| format!("/[\\u202E\\u2066\\u200B]/.test({node}.textContent + {node}.title)");
    assert_eq!(browser.eval(&hidden("document.body")).await, false);
    let labels = "[...document.querySelectorAll('[aria-label]')].map((one) => one.getAttribute('aria-label')).join()";
    let labels = browser.eval(labels).await;
    let labels = labels.as_str().unwrap();
    assert!(
        labels.contains("invoice-⟨U+202E⟩exe") && !labels.contains('\u{202E}'),
        "{labels}"
    );
    browser.click("Pages of Title of invoice").await;
    browser
        .until("document.querySelector('dialog img')?.naturalWidth > 100")
        .await;
    browser.press("Escape").await;
    browser.until("!document.querySelector('dialog')").await;
    browser.click("Remove Title of <img").await;
    browser.says("Remove this document?").await;
    browser.press("Escape").await;
    browser.until("!document.querySelector('dialog')").await;

    // Also where a model says it, and where it is quoted.
    browser.click("Ask").await;
    house.models.say(&format!(
        "The deposit is 50 EUR [1]. <b>The deposit</b> is 50 EUR [1]. [The deposit](javascript:window.hacked=1) is 50 EUR [1]. {MARKUP}"
    ));
    browser
        .enter("Your question", &format!("How much is the deposit? {MARKUP}"))
        .await;
    browser.press("Enter").await;
    browser.until("document.querySelector('.turn .feedback')").await;
    browser.click("Title of <img").await;
    browser
        .until("document.querySelector('dialog img')?.naturalWidth > 100")
        .await;
    let strangers = "document.querySelectorAll('main script, main iframe, main [onerror], main a[href^=javascript], main b').length";
    assert_eq!(browser.eval(strangers).await, 0);
    assert_eq!(browser.eval(&hidden("document.body")).await, false);
    assert_eq!(browser.eval("window.hacked").await, Value::Null);
    all_well(&house, &browser);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_are_taken_apart_as_they_should_be() {
    let (house, browser) = (house().await, Browser::start().await);
    browser
        .open(&format!("http://{}/console/", house.gateway.address))
        .await;
    let html = async |markdown: &str| {
        let render = format!(
            "import('/console/assets/markdown.js').then(({{ render }}) => {{
                const cite = (number) => number < 4 && Object.assign(document.createElement('i'), {{ textContent: number }});
                const box = document.createElement('div');
                box.append(render({}, {{ cite }}));
                return box.innerHTML;
            }})",
            json!(markdown)
        );
        browser.eval(&render).await.as_str().unwrap().to_owned()
    };
    for (markdown, expected) in [
        (
            "A **b** and *c* and `d*e*`.",
            "<p>A <strong>b</strong> and <em>c</em> and <code>d*e*</code>.</p>",
        ),
        ("One.\n\nTwo\nlines.", "<p>One.</p><p>Two\nlines.</p>"),
        (
            "- a\n- b [1]\n\n1. c\n2. d",
            "<ul><li>a</li><li>b <i>1</i></li></ul><ol><li value=\"1\">c</li><li value=\"2\">d</li></ol>",
        ),
        ("# Title\ntext", "<p class=\"answer-heading\">Title</p><p>text</p>"),
        (
            "```\n<b>*x*\n```\nend",
            "<pre tabindex=\"0\">&lt;b&gt;*x*</pre><p>end</p>",
        ),
        (
            "See [1, 3] and [1-2], not [9] or [x].",
            "<p>See <i>1</i><i>3</i> and <i>1</i><i>2</i>, not [9] or [x].</p>",
        ),
        (
            "2 * 3 * 4 = 24 and snake_case_name",
            "<p>2 * 3 * 4 = 24 and snake_case_name</p>",
        ),
        ("![x](http://y) <script>", "<p>![x](http://y) &lt;script&gt;</p>"),
        ("a\u{202E}b", "<p>a<span class=\"unseen\">U+202E</span>b</p>"),
        ("", ""),
        ("```", "<pre tabindex=\"0\"></pre>"),
    ] {
        assert_eq!(html(markdown).await, expected, "{markdown}");
    }
    // A sentence that is not supported, as it comes and afterwards.
    let marked = async |function: &str, text: &str| {
        let call = format!(
            "import('/console/assets/marks.js').then((marks) => marks.{function}({}))",
            json!(text)
        );
        let text = browser.eval(&call).await.as_str().unwrap().to_owned();
        text.replace('\u{E000}', "{").replace('\u{E001}', "}")
    };
    const MARK: &str = rooms::answer::gate::UNSUPPORTED;
    for (function, text, expected) in [
        (
            "marked",
            format!(" Pets, e.g. cats. Stay [1]. {MARK} "),
            " {Pets, e.g. cats. Stay [1].} ",
        ),
        ("marked", "Pets stay.\u{E000} ".into(), "Pets stay. "),
        (
            "markedAfterwards",
            format!("One [1]. Two [1]. {MARK} Three."),
            "One [1]. {Two [1].} Three.",
        ),
        (
            "markedAfterwards",
            format!("One! [1] \"Two?\" {MARK}\n- Three {MARK}\nFour."),
            "One! [1] {\"Two?\"}\n{- Three}\nFour.",
        ),
        ("markedAfterwards", format!("{MARK} A"), "{} A"),
    ] {
        let expected = expected.to_owned();
        assert_eq!(marked(function, &text).await, expected, "{function} {text}");
    }
    // Events, however they are cut.
    let events = "import('/console/assets/events.js').then(async ({ events }) => {
        const bytes = new TextEncoder().encode('data: {\"a\":\"ä\"}\\n\\n: nothing\\n\\ndata: b\\r\\ndata:c\\r\\n\\r\\ndata: [DONE]\\n\\n');
        const found = [];
        for (let size = 1; size <= bytes.length; size += 1) {
            const body = new ReadableStream({ start(controller) {
                for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size));
                controller.close();
            } });
            const read = [];
            for await (const data of events(new Response(body))) read.push(data);
            found.push(read.join('|'));
        }
        return [...new Set(found)];
    })";
    assert_eq!(browser.eval(events).await, json!(["{\"a\":\"ä\"}|b\nc|[DONE]"]));
    let sizes = "import('/console/assets/text.js').then(({ bytes }) => [0, 1, 1023, 1024, 1500, 9 << 20, 1048575].map(bytes).join())";
    assert_eq!(
        browser.eval(sizes).await,
        "0 bytes,1 byte,1023 bytes,1 KiB,1.5 KiB,9 MiB,1 MiB"
    );
}
