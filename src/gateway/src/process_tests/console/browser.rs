//! A headless Chromium, driven by its DevTools protocol over a pipe: it ends with the test, and needs no port.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::oneshot,
};

use crate::process_tests::within;

/// Names of programs that will do. All of them speak the same protocol.
const PROGRAMS: [&str; 4] = [
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
];

/// The protocol goes in and out by the descriptors 3 and 4.
const BY_PIPE: &str = r#"exec "$0" "$@" 3<&0 4>&1 0</dev/null 1>&2"#;

const FLAGS: [&str; 14] = [
    "--headless",
    // Containers and root have no sandbox to give. What is opened here is our own.
    "--no-sandbox",
    "--remote-debugging-pipe",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--no-first-run",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--lang=en-US",
    "about:blank",
];

fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = PROGRAMS
        .iter()
        .flat_map(|name| std::env::split_paths(&path).map(move |directory| directory.join(name)))
        .find(|program| program.is_file());
    found.unwrap_or_else(|| panic!("install one of {PROGRAMS:?}: the console is tested in it"))
}

type Waiting = Mutex<BTreeMap<u64, oneshot::Sender<Value>>>;

/// A browser with one page.
pub struct Browser {
    input: tokio::sync::Mutex<ChildStdin>,
    waiting: Arc<Waiting>,
    events: Arc<Mutex<Vec<Value>>>,
    next: AtomicU64,
    session: String,
    size: Mutex<(u32, u32)>,
    _child: Child,
    _profile: TempDir,
}

async fn listen(output: ChildStdout, waiting: Arc<Waiting>, events: Arc<Mutex<Vec<Value>>>) {
    let mut output = BufReader::new(output);
    let mut message = Vec::new();
    while output.read_until(0, &mut message).await.is_ok_and(|read| read > 0) {
        message.pop();
        let value: Value = serde_json::from_slice(&message).expect("the protocol is JSON");
        message.clear();
        match value["id"].as_u64() {
            Some(id) => {
                if let Some(waiting) = waiting.lock().unwrap().remove(&id) {
                    let _ = waiting.send(value);
                }
            }
            None => events.lock().unwrap().push(value),
        }
    }
    // Whoever still waits learns that nothing comes.
    waiting.lock().unwrap().clear();
}

impl Browser {
    pub async fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut child = Command::new("sh")
            .args(["-c", BY_PIPE])
            .arg(program())
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args(FLAGS)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (waiting, events) = (Arc::<Waiting>::default(), Arc::<Mutex<Vec<Value>>>::default());
        tokio::spawn(listen(output, waiting.clone(), events.clone()));
        let mut browser = Self {
            input: input.into(),
            waiting,
            events,
            next: AtomicU64::new(1),
            session: String::new(),
            size: Mutex::default(),
            _child: child,
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"})).await;
        let target = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.call("Target.attachToTarget", target).await;
        browser.session = attached["sessionId"].as_str().unwrap().into();
        for domain in ["Page", "Runtime", "Log", "Network", "DOM", "Accessibility"] {
            browser.call(&format!("{domain}.enable"), json!({})).await;
        }
        browser.resize(1100, 900).await;
        browser
    }

    /// Asks for something, and gives the result.
    pub async fn call(&self, method: &str, params: Value) -> Value {
        let answer = self.try_call(method, params).await;
        answer.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    async fn try_call(&self, method: &str, params: Value) -> Result<Value, String> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut message = json!({"id": id, "method": method, "params": params});
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        let (sender, answer) = oneshot::channel();
        self.waiting.lock().unwrap().insert(id, sender);
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.input
            .lock()
            .await
            .write_all(&bytes)
            .await
            .expect("the browser runs");
        let answer = within(answer).await.expect("the browser runs");
        match answer.get("error") {
            None => Ok(answer["result"].clone()),
            Some(error) => Err(error.to_string()),
        }
    }

    pub async fn resize(&self, width: u32, height: u32) {
        *self.size.lock().unwrap() = (width, height);
        self.measure(width, height).await;
    }

    async fn measure(&self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// As somebody has set their system: `dark` or `light`, and whether things may move.
    pub async fn prefer(&self, scheme: &str, motion: &str) {
        let features = json!([
            {"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": motion},
        ]);
        self.call("Emulation.setEmulatedMedia", json!({"features": features}))
            .await;
    }

    pub async fn open(&self, url: &str) {
        self.call("Page.navigate", json!({"url": url})).await;
        self.until("document.readyState === 'complete'").await;
    }

    /// Loads the page that is open anew.
    pub async fn reload(&self) {
        self.eval("window.before = true").await;
        self.call("Page.reload", json!({})).await;
        self.until("window.before === undefined && document.readyState === 'complete'")
            .await;
    }

    /// What an expression of JavaScript is, once it is settled.
    pub async fn eval(&self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true});
        let answer = self.call("Runtime.evaluate", asked).await;
        let thrown = &answer["exceptionDetails"];
        assert!(thrown.is_null(), "{expression}: {thrown}");
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true. A page that is on its way to another one has no say.
    pub async fn until(&self, expression: &str) {
        let asked = json!({"expression": format!("Boolean({expression})"), "returnByValue": true});
        let waited = tokio::time::timeout(std::time::Duration::from_secs(60), async {
            loop {
                let answer = self.try_call("Runtime.evaluate", asked.clone()).await;
                if answer.is_ok_and(|answer| answer["result"]["value"] == true) {
                    return;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        });
        if waited.await.is_err() {
            let text = self.text().await;
            panic!(
                "it never was so: {expression}, on the page:\n{text}\nwith {:?}",
                self.complaints()
            );
        }
    }

    /// Waits until the page says something.
    pub async fn says(&self, text: &str) {
        let text = json!(text);
        self.until(&format!("document.body.innerText.includes({text})")).await;
    }

    /// What stands on the page.
    pub async fn text(&self) -> String {
        self.eval("document.body.innerText").await.as_str().unwrap().into()
    }

    /// Clicks, as a mouse does, on what people see or hear under a name.
    pub async fn click(&self, name: &str) {
        let find = format!(
            "(() => {{
                const scope = document.querySelector('dialog[open]') ?? document;
                const all = [...scope.querySelectorAll('button, a, summary, label, input[type=radio]')];
                const called = (one) => (one.getAttribute('aria-label') ?? one.textContent).trim();
                const seen = (one) => one.checkVisibility() && one.getAttribute('aria-disabled') !== 'true';
                return all.find((one) => seen(one) && called(one) === {0})
                    ?? all.find((one) => seen(one) && called(one).startsWith({0}));
            }})()",
            json!(name)
        );
        self.until(&find).await;
        let place = format!(
            "(() => {{
                const one = {find};
                one.scrollIntoView({{block: 'center', behavior: 'instant'}});
                const box = one.getClientRects()[0];
                return [box.left + box.width / 2, box.top + box.height / 2];
            }})()"
        );
        let place = self.eval(&place).await;
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", event).await;
        }
    }

    /// Writes into whatever has the focus.
    pub async fn write(&self, text: &str) {
        self.call("Input.insertText", json!({"text": text})).await;
    }

    /// Writes into the field with a label.
    pub async fn enter(&self, label: &str, text: &str) {
        let field = format!(
            "[...document.querySelectorAll('label')].find((one) => one.checkVisibility() && one.textContent === {})",
            json!(label)
        );
        self.until(&field).await;
        self.eval(&format!("document.getElementById({field}.htmlFor).focus()"))
            .await;
        self.write(text).await;
    }

    /// Presses a key: `Tab`, `Enter`, `Escape` or `Space`; with `Shift+` before it if need be.
    pub async fn press(&self, name: &str) {
        let (modifiers, name) = match name.strip_prefix("Shift+") {
            Some(name) => (8, name),
            None => (0, name),
        };
        let (key, code, text) = match name {
            "Tab" => ("Tab", 9, ""),
            "Enter" => ("Enter", 13, "\r"),
            "Escape" => ("Escape", 27, ""),
            "Space" => (" ", 32, " "),
            other => panic!("no key {other}"),
        };
        for kind in ["keyDown", "keyUp"] {
            let mut event =
                json!({"type": kind, "key": key, "code": name, "windowsVirtualKeyCode": code, "modifiers": modifiers});
            if kind == "keyDown" && !text.is_empty() {
                event["text"] = json!(text);
            }
            self.call("Input.dispatchKeyEvent", event).await;
        }
    }

    /// Chooses files in the field for them.
    pub async fn choose(&self, files: &[PathBuf]) {
        let document = self.call("DOM.getDocument", json!({})).await;
        let field = json!({"nodeId": document["root"]["nodeId"], "selector": "input[type=file]"});
        let field = self.call("DOM.querySelector", field).await;
        self.call(
            "DOM.setFileInputFiles",
            json!({"files": files, "nodeId": field["nodeId"]}),
        )
        .await;
    }

    /// A picture of what is seen, as PNG; of the whole page if `is_whole`.
    pub async fn picture(&self, is_whole: bool) -> Vec<u8> {
        let (width, height) = *self.size.lock().unwrap();
        if is_whole {
            let whole = self.eval("document.documentElement.scrollHeight").await;
            self.measure(width, whole.as_u64().unwrap() as u32).await;
        }
        let shot = self.call("Page.captureScreenshot", json!({"format": "png"})).await;
        self.measure(width, height).await;
        STANDARD.decode(shot["data"].as_str().unwrap()).unwrap()
    }

    /// Keeps a picture, if somebody wants to look: in the directory that `ATELIER_CONSOLE_PICTURES` names.
    pub async fn keep_picture(&self, name: &str, is_whole: bool) {
        if let Some(directory) = std::env::var_os("ATELIER_CONSOLE_PICTURES") {
            let bytes = self.picture(is_whole).await;
            std::fs::write(Path::new(&directory).join(format!("{name}.png")), bytes).unwrap();
        }
    }

    /// What is there for whoever does not see: role and name of each node.
    pub async fn heard(&self) -> Vec<(String, String)> {
        let tree = self.call("Accessibility.getFullAXTree", json!({})).await;
        let nodes = tree["nodes"].as_array().unwrap().iter();
        let nodes = nodes.filter(|node| node["ignored"] != true);
        let text = |value: &Value| value["value"].as_str().unwrap_or_default().to_owned();
        nodes.map(|node| (text(&node["role"]), text(&node["name"]))).collect()
    }

    fn events_of(&self, method: &str) -> Vec<Value> {
        let events = self.events.lock().unwrap();
        let found = events.iter().filter(|event| event["method"] == method);
        found.map(|event| event["params"].clone()).collect()
    }

    /// Addresses that were asked for, with their methods.
    pub fn asked(&self) -> Vec<(String, String)> {
        let requests = self.events_of("Network.requestWillBeSent");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let of = |event: &Value| (text(&event["request"]["method"]), text(&event["request"]["url"]));
        requests.iter().map(of).collect()
    }

    /// What the browser complains about: errors of scripts, and what the page's policy forbids. That a request was refused is
    /// none of it.
    pub fn complaints(&self) -> Vec<String> {
        let thrown = self.events_of("Runtime.exceptionThrown");
        let thrown = thrown.iter().map(|event| event["exceptionDetails"].to_string());
        let logged = self.events_of("Log.entryAdded");
        let logged = logged.iter().map(|event| &event["entry"]);
        let logged = logged.filter(|entry| entry["level"] == "error" && entry["source"] != "network");
        let said = self.events_of("Runtime.consoleAPICalled");
        let said = said.iter().filter(|event| event["type"] == "error");
        thrown
            .chain(logged.map(ToString::to_string))
            .chain(said.map(ToString::to_string))
            .collect()
    }
}
