//! A [`SecretReader`] with a script instead of a cluster.

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures::{FutureExt, future::BoxFuture};

use crate::hosted::{KeyName, NoKey, Secret, SecretReader};

const CERTIFICATES: &str = "ca.crt";

/// Keys by the names of their Secrets, of whatever namespace, and tokens by those of their ServiceAccounts.
#[derive(Default)]
pub struct ScriptedSecrets {
    known: Mutex<HashMap<String, Result<Vec<u8>, NoKey>>>,
    reads: AtomicUsize,
}

impl ScriptedSecrets {
    /// From now on, that is what a Secret gives; `NAME/ca.crt` is its key of certificates.
    pub fn set(&self, secret: &str, key: Result<&str, NoKey>) {
        let key = key.map(|key| key.as_bytes().to_vec());
        self.known.lock().unwrap().insert(secret.into(), key);
    }

    /// How often somebody asked.
    pub fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed)
    }
}

impl SecretReader for ScriptedSecrets {
    fn read_bytes(&self, name: &KeyName) -> BoxFuture<'static, Result<Vec<u8>, NoKey>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let all = self.known.lock().unwrap();
        let known = all.get(&name.secret).cloned();
        // One key is enough for most. Beside the URL of a database, certificates have a name of their own.
        let is_url = |known: &Result<Vec<u8>, NoKey>| {
            known
                .as_ref()
                .is_ok_and(|bytes| bytes.windows(3).any(|it| it == b"://"))
        };
        let known = match &*name.key {
            CERTIFICATES if known.as_ref().is_some_and(is_url) => {
                let own = all.get(&format!("{}/{CERTIFICATES}", name.secret)).cloned();
                Some(own.unwrap_or(Err(NoKey::NoEntry)))
            }
            _ => known,
        };
        std::future::ready(known.unwrap_or(Err(NoKey::NoSecret))).boxed()
    }

    fn account_token(
        &self,
        namespace: &str,
        account: &str,
        audience: &'static str,
    ) -> BoxFuture<'static, Result<Secret, NoKey>> {
        let name = KeyName {
            namespace: namespace.into(),
            secret: account.into(),
            key: audience.into(),
        };
        self.read(&name)
    }
}
