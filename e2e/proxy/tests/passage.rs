//! The proxy in front of a server that counts what reaches it.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use atelier_fault_proxy::{Door, Plan, Proxy};
use bytes::Bytes;
use http_body_util::{BodyExt as _, StreamBody, combinators::UnsyncBoxBody};
use hyper::{Request, Response, body::Frame, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use kube::{Client, Config};
use reqwest::Method;
use tokio::{net::TcpListener, time::timeout};

const EVENT: &str = r#"{"type":"ADDED","object":{}}"#;

/// A server that answers each request with its number, and a watch with two events and then nothing.
async fn server() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it listens");
    let count = Arc::new(AtomicUsize::new(0));
    let seen = count.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let seen = seen.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let number = seen.fetch_add(1, Ordering::SeqCst) + 1;
                async move { Ok::<_, Infallible>(answer(&request, number)) }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    (address, count)
}

fn answer(request: &Request<Incoming>, number: usize) -> Response<UnsyncBoxBody<Bytes, Infallible>> {
    let watches = request.uri().query().is_some_and(|query| query.contains("watch=true"));
    let path = request.uri().path().to_owned();
    let body = async_stream::stream! {
        if watches {
            yield Ok(Frame::data(Bytes::from(format!("{EVENT}\n{EVENT}\n"))));
            std::future::pending::<()>().await;
        }
        yield Ok(Frame::data(Bytes::from(format!("{number} {path}"))));
    };
    Response::new(StreamBody::new(body).boxed_unsync())
}

struct Setting {
    proxy: Proxy,
    door: Door,
    reached: Arc<AtomicUsize>,
    client: reqwest::Client,
}

impl Setting {
    async fn with(plan: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (address, reached) = server().await;
        let config = Config::new(format!("http://{address}").parse().expect("it is a URL"));
        let proxy = Proxy::new(
            Client::try_from(config).expect("the configuration is complete"),
            Some("ns".to_owned()),
        );
        proxy.arm(&plan.parse::<Plan>().expect("it is a plan"));
        Self {
            door: proxy.open(0).await.expect("a port is free"),
            proxy,
            reached,
            client: reqwest::Client::new(),
        }
    }

    async fn send(&self, method: Method, path: &str) -> reqwest::Result<(u16, String)> {
        let url = format!("http://{}{path}", self.door.address);
        let answer = self.client.request(method, url).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    async fn write(&self) -> reqwest::Result<(u16, String)> {
        self.send(Method::POST, "/api/v1/namespaces/ns/services").await
    }

    fn reached(&self) -> usize {
        self.reached.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn without_a_fault_calls_pass_and_are_narrowed_to_the_namespace() {
    let setting = Setting::with("write 9: drop").await;
    let (_, list) = setting.send(Method::GET, "/api/v1/pods").await.unwrap();
    assert_eq!(list, "1 /api/v1/namespaces/ns/pods");
    assert_eq!(setting.write().await.unwrap().0, 200);
    assert_eq!(setting.proxy.log().entries.len(), 1);
}

#[tokio::test]
async fn before_it_takes_effect_a_write_is_refused_or_lost() {
    let setting = Setting::with("write 1: refuse 409, write 2: drop").await;
    assert_eq!(setting.write().await.unwrap().0, 409);
    assert!(setting.write().await.is_err());
    assert_eq!((setting.reached(), setting.proxy.log().entries.len()), (0, 0));
    assert_eq!(setting.proxy.fired().len(), 2);
}

#[tokio::test]
async fn after_it_took_effect_its_answer_is_another_or_lost() {
    let setting = Setting::with("write 1: mask 500, write 2: drop-answer").await;
    assert_eq!(setting.write().await.unwrap().0, 500);
    assert!(setting.write().await.is_err());
    assert_eq!((setting.reached(), setting.proxy.log().entries.len()), (2, 2));
}

#[tokio::test]
async fn a_stale_read_is_answered_from_memory() {
    let setting = Setting::with("read 3: stale").await;
    let read = async || {
        setting
            .send(Method::GET, "/api/v1/namespaces/ns/pods/p")
            .await
            .unwrap()
            .1
    };
    let answers = [read().await, read().await, read().await, read().await];
    assert_eq!(answers[2], answers[0]);
    assert!(answers[3].starts_with("3 "), "{answers:?}");
}

#[tokio::test]
async fn a_killed_operator_reaches_nothing_more_and_the_next_one_does() {
    let mut setting = Setting::with("write 1: kill").await;
    assert!(setting.write().await.is_err());
    timeout(Duration::from_secs(10), setting.proxy.killed()).await.unwrap();
    assert!(setting.write().await.is_err());
    assert_eq!(setting.reached(), 1);
    setting.door = setting.proxy.open(0).await.unwrap();
    assert_eq!(setting.write().await.unwrap().0, 200);
}

#[tokio::test]
async fn a_watch_that_lost_an_event_ends_with_gone() {
    let setting = Setting::with("event 1: lose").await;
    let (_, text) = setting.send(Method::GET, "/api/v1/pods?watch=true").await.unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert_eq!(lines[0], EVENT);
    assert!(lines[1].contains("\"code\":410"), "{text}");
}

#[tokio::test]
async fn all_watches_end_on_demand() {
    let setting = Setting::with("write 9: drop").await;
    let proxy = setting.proxy.clone();
    let watch = setting.send(Method::GET, "/api/v1/pods?watch=true");
    let end = async {
        while setting.reached() == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // The watch has begun upstream; whether its answer is on its way already does not matter.
        loop {
            proxy.end_watches();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        text = watch => assert!(text.unwrap().1.contains("\"code\":410")),
        () = end => {}
    }
}
