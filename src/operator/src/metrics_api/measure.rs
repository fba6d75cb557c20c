//! The values, asked for when an autoscaler wants them.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use api::names;
use futures::{FutureExt, future::BoxFuture, future::try_join_all};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use tokio::time::sleep;

use super::{
    Metric,
    samples::{Sample, Samples, rate},
    scrape::{self, place},
};
use crate::{asker::Asker, cluster::Cluster, gateways::Gateways};

/// Between two readings where there is none to compare the first one with.
const MOMENT: Duration = Duration::from_secs(1);

/// Why there is no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Missing(pub String);

/// Where values come from.
pub trait Measure: Send + Sync + 'static {
    /// The value of `metric` for one version of a model.
    fn measure<'a>(
        &'a self,
        metric: Metric,
        namespace: &'a str,
        model: &'a str,
        version: &'a str,
    ) -> BoxFuture<'a, Result<f64, Missing>>;
}

/// The gateways and workers of the cluster.
pub struct Measures {
    cluster: Cluster,
    gateways: Arc<Gateways>,
    asker: Asker,
    samples: Mutex<Samples>,
}

impl Measure for Measures {
    fn measure<'a>(
        &'a self,
        metric: Metric,
        namespace: &'a str,
        model: &'a str,
        version: &'a str,
    ) -> BoxFuture<'a, Result<f64, Missing>> {
        async move {
            match metric {
                Metric::InFlight => self.in_flight(namespace, model, version).await,
                Metric::QueueSeconds | Metric::TokensPerSecond | Metric::KvCacheUsage => {
                    let workers = self.workers(namespace, model, version).await?;
                    value(metric, &workers)
                }
            }
        }
        .boxed()
    }
}

impl Measures {
    /// Those of `cluster`.
    pub fn new(cluster: Cluster, gateways: Arc<Gateways>) -> Self {
        Self {
            cluster,
            gateways,
            asker: Asker::default(),
            samples: Mutex::default(),
        }
    }

    async fn in_flight(&self, namespace: &str, model: &str, version: &str) -> Result<f64, Missing> {
        let traffic = self.gateways.traffic().await;
        let traffic = traffic.map_err(|error| Missing(error.to_string()))?;
        let seen = traffic.of(namespace, model, version);
        let seen = seen.ok_or_else(|| Missing(format!("no gateway knows workers of {namespace}/{model}@{version}")))?;
        // Those that wait for a worker will be there in a moment.
        let held = traffic.of_model(namespace, model).map_or(0, |it| it.held);
        Ok((seen.in_flight + held) as f64)
    }

    /// What all ready workers tell, each with an earlier reading.
    async fn workers(&self, namespace: &str, model: &str, version: &str) -> Result<Vec<(Sample, Sample)>, Missing> {
        let labels = names::selector_string(&names::serving_selector(model, version));
        let pods = self.cluster.list::<Pod>(namespace, &labels).await;
        let pods = pods.map_err(|error| Missing(error.to_string()))?;
        let ready: Vec<_> = pods.iter().filter_map(|pod| Some((pod, address(pod)?))).collect();
        if ready.is_empty() {
            return Err(Missing(format!("no worker of {namespace}/{model}@{version} is ready")));
        }
        // Without one, the others' values would be taken for all.
        try_join_all(ready.into_iter().map(|(pod, address)| self.worker(pod, address))).await
    }

    async fn worker(&self, pod: &Pod, address: IpAddr) -> Result<(Sample, Sample), Missing> {
        let uid = pod.uid().unwrap_or_default();
        let first = self.sample(pod, address).await?;
        let known = self
            .samples
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .add(&uid, first);
        match known {
            Some(before) => Ok((before, first)),
            None => {
                sleep(MOMENT).await;
                Ok((first, self.sample(pod, address).await?))
            }
        }
    }

    async fn sample(&self, pod: &Pod, address: IpAddr) -> Result<Sample, Missing> {
        let (port, path) = place(pod).ok_or_else(|| {
            let annotation = names::ANNOTATION_METRICS;
            Missing(format!(
                "worker pod {} has no port and path in {annotation}",
                pod.name_any()
            ))
        })?;
        let reading = scrape::read(&self.asker, SocketAddr::new(address, port), path).await;
        let reading = reading.map_err(|why| Missing(format!("worker pod {} does not tell: {why}", pod.name_any())))?;
        Ok(Sample {
            at: Instant::now(),
            reading,
        })
    }
}

/// The value that follows from what all workers told, before and now.
fn value(metric: Metric, workers: &[(Sample, Sample)]) -> Result<f64, Missing> {
    let sum = |of: &dyn Fn(&(Sample, Sample)) -> Option<f64>| {
        let sum = workers.iter().map(of).sum::<Option<f64>>();
        sum.ok_or_else(|| Missing(format!("a worker does not tell {}", metric.name())))
    };
    match metric {
        Metric::TokensPerSecond => sum(&|(before, now)| {
            now.reading.tokens?;
            Some(rate(*before, *now, |reading| reading.tokens.unwrap_or_default()))
        }),
        Metric::KvCacheUsage => Ok(100.0 * sum(&|(_, now)| now.reading.cache)? / workers.len() as f64),
        Metric::QueueSeconds => {
            // How long a request that comes now will wait: those before it, at the rate they are answered.
            let waiting = sum(&|(_, now)| Some(now.reading.waiting))?;
            let answered = sum(&|(before, now)| {
                now.reading.answered?;
                Some(rate(*before, *now, |reading| reading.answered.unwrap_or_default()))
            })?;
            let looked = workers.iter().map(|(before, now)| (now.at - before.at).as_secs_f64());
            Ok(match () {
                () if waiting <= 0.0 => 0.0,
                () if answered > 0.0 => waiting / answered,
                // None was answered for so long: they wait at least as long.
                () => looked.fold(0.0, f64::max),
            })
        }
        Metric::InFlight => Err(Missing("gateways count requests, workers do not".into())),
    }
}

/// Where a worker is, if it is ready.
fn address(pod: &Pod) -> Option<IpAddr> {
    let status = pod.status.as_ref()?;
    let mut conditions = status.conditions.iter().flatten();
    let is_ready = conditions.any(|it| it.type_ == "Ready" && it.status == "True");
    let ip = status.pod_ip.as_ref()?.parse().ok()?;
    (is_ready && pod.metadata.deletion_timestamp.is_none()).then_some(ip)
}

#[cfg(test)]
mod tests {
    use super::super::scrape::Reading;
    use super::*;

    fn workers(readings: &[(Reading, Reading)]) -> Vec<(Sample, Sample)> {
        let begin = Instant::now();
        let sample = |at, reading: &Reading| Sample { at, reading: *reading };
        let pair =
            |(before, now): &(Reading, Reading)| (sample(begin, before), sample(begin + Duration::from_secs(10), now));
        readings.iter().map(pair).collect()
    }

    fn reading(waiting: f64, answered: f64, tokens: f64, cache: f64) -> Reading {
        Reading {
            waiting,
            answered: Some(answered),
            tokens: Some(tokens),
            cache: Some(cache),
        }
    }

    #[test]
    fn workers_add_up() {
        let seen = workers(&[
            (reading(0.0, 0.0, 100.0, 0.9), reading(6.0, 10.0, 600.0, 0.2)),
            (reading(9.0, 5.0, 0.0, 0.1), reading(2.0, 35.0, 100.0, 0.6)),
        ]);
        assert_eq!(value(Metric::TokensPerSecond, &seen), Ok(60.0));
        assert_eq!(value(Metric::KvCacheUsage, &seen), Ok(40.0));
        // Eight wait, and four are answered each second.
        assert_eq!(value(Metric::QueueSeconds, &seen), Ok(2.0));
    }

    #[test]
    fn a_queue_that_does_not_move_is_as_long_as_it_was_looked_at() {
        let of = |waiting| workers(&[(reading(1.0, 3.0, 0.0, 0.0), reading(waiting, 3.0, 0.0, 0.0))]);
        assert_eq!(value(Metric::QueueSeconds, &of(5.0)), Ok(10.0));
        assert_eq!(value(Metric::QueueSeconds, &of(0.0)), Ok(0.0));
    }

    #[test]
    fn one_that_does_not_tell_leaves_no_value() {
        let silent = Reading::default();
        let seen = workers(&[
            (silent, silent),
            (reading(0.0, 0.0, 0.0, 0.0), reading(0.0, 0.0, 5.0, 0.5)),
        ]);
        for metric in [
            Metric::QueueSeconds,
            Metric::TokensPerSecond,
            Metric::KvCacheUsage,
            Metric::InFlight,
        ] {
            assert!(value(metric, &seen).is_err(), "{metric:?}");
        }
    }
}
