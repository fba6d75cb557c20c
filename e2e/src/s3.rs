//! A real S3 server on this machine that pods can reach: versitygw over a directory.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use k8s_openapi::jiff::Timestamp;
use reqwest::Client;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::settings::{HOST_ADDRESS, s3_program};
use crate::wait;

/// The bucket.
pub const BUCKET: &str = "models";
const KEY_ID: &str = "AKIDOFTHETESTS";
const KEY: &str = "key-of-the-tests";
const REGION: &str = "eu-test-1";
/// Bytes that HMAC works on at a time with SHA-256.
const BLOCK_BYTES: usize = 64;

/// A running server; it ends with this value.
pub struct S3Server {
    address: String,
    process: Child,
    dir: TempDir,
}

impl S3Server {
    /// Starts one with an empty bucket.
    pub async fn start() -> Result<Self> {
        let dir = tempfile::tempdir().context("failed to create a directory")?;
        for name in ["data/models", "sidecar"] {
            std::fs::create_dir_all(dir.path().join(name)).context("failed to create a directory")?;
        }
        let listener =
            TcpListener::bind((HOST_ADDRESS, 0)).context("failed to listen where pods reach this machine")?;
        let address = listener.local_addr()?.to_string();
        drop(listener);
        let process = spawn(&address, &dir)?;
        let server = Self { address, process, dir };
        server.answers().await?;
        Ok(server)
    }

    /// It is gone, and what is in it stays.
    pub fn stop(&mut self) -> Result<()> {
        self.process.kill().context("failed to stop versitygw")?;
        self.process.wait().context("failed to stop versitygw").map(drop)
    }

    /// It is back.
    pub async fn start_again(&mut self) -> Result<()> {
        self.process = spawn(&self.address, &self.dir)?;
        self.answers().await
    }

    async fn answers(&self) -> Result<()> {
        wait::until("the S3 server", async || {
            Ok(tokio::net::TcpStream::connect(&self.address).await.ok().map(drop))
        })
        .await
    }

    /// The keys of a Secret that opens it.
    pub fn settings(&self) -> Value {
        json!({
            "AWS_ENDPOINT_URL": format!("http://{}", self.address),
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": KEY,
            "AWS_REGION": REGION,
        })
    }

    /// Stores an object of the bucket.
    pub async fn put(&self, key: &str, content: impl Into<Bytes>) -> Result<()> {
        let content = content.into();
        let path = format!("/{BUCKET}/{key}");
        let now = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let sha256 = hex::encode(Sha256::digest(&content));
        let request = Client::new()
            .put(format!("http://{}{path}", self.address))
            .header("x-amz-date", &now)
            .header("x-amz-content-sha256", &sha256)
            .header("authorization", self.authorization(&path, &now, &sha256));
        let answer = request
            .body(content)
            .send()
            .await
            .context("failed to reach the S3 server")?;
        let status = answer.status();
        ensure!(status.is_success(), "{status}: {}", answer.text().await?);
        Ok(())
    }

    /// Signature version 4: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>.
    fn authorization(&self, path: &str, now: &str, sha256: &str) -> String {
        let signed = "host;x-amz-content-sha256;x-amz-date";
        let request = format!(
            "PUT\n{path}\n\nhost:{}\nx-amz-content-sha256:{sha256}\nx-amz-date:{now}\n\n{signed}\n{sha256}",
            self.address
        );
        let day = &now[..8];
        let scope = format!("{day}/{REGION}/s3/aws4_request");
        let text = format!(
            "AWS4-HMAC-SHA256\n{now}\n{scope}\n{}",
            hex::encode(Sha256::digest(request))
        );
        let key = [day, REGION, "s3", "aws4_request", &text]
            .iter()
            .fold(format!("AWS4{KEY}").into_bytes(), |key, part| {
                hmac(&key, part.as_bytes())
            });
        format!(
            "AWS4-HMAC-SHA256 Credential={KEY_ID}/{scope}, SignedHeaders={signed}, Signature={}",
            hex::encode(key)
        )
    }
}

fn spawn(address: &str, dir: &TempDir) -> Result<Child> {
    Command::new(s3_program()?)
        .args(["--port", address, "--region", REGION, "posix", "--sidecar"])
        .args([dir.path().join("sidecar"), dir.path().join("data")])
        .env("ROOT_ACCESS_KEY", KEY_ID)
        .env("ROOT_SECRET_KEY", KEY)
        .stdout(Stdio::null())
        .spawn()
        .context("failed to start versitygw")
}

impl Drop for S3Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// HMAC with SHA-256 (RFC 2104), for keys of at most a block.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let padded = |with: u8| {
        let mut block = [with; BLOCK_BYTES];
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        block
    };
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(text).finalize();
    let outer = Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize();
    outer.to_vec()
}
