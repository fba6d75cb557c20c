//! Which way of multiplying is fastest on this machine: measured, not assumed.
//!
//! Packed weights are multiplied by our kernels or, for many rows, widened and multiplied by libtorch,
//! which wins where the processor multiplies tiles (AMX). The number of rows from which it does depends
//! on the processor and the threads.

use std::{
    fmt, fs, io,
    path::Path,
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, Instant},
};

use engine_sys::{Blocks, Format, Packed, RowOrder, Rows};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, TchError, Tensor};

use super::linear::widened;
use crate::Cache;

/// Where the table is kept.
const FILE: &str = "self-bench.json";
/// Rows that are measured.
const ROWS: [i64; 6] = [1, 4, 8, 16, 64, 256];
/// Width and height of the matrix: as in small models, and large enough to leave the first caches.
const SIDE: i64 = 1024;
/// What measuring may take, beyond the least number of rounds.
const PATIENCE: Duration = Duration::from_millis(200);
const ROUNDS: usize = 8;
const LEAST_ROUNDS: usize = 3;
/// Another way has to be so much faster, for the one shape stands for all.
const MARGIN: f32 = 0.9;

/// Rows from which on weights of each format are widened, by [`place`].
static WIDEN_FROM: [AtomicI64; 3] = [const { AtomicI64::new(0) }; 3];

/// A way to multiply an input.
type Way<'a> = Box<dyn Fn(&Tensor) -> Result<Tensor, TchError> + 'a>;

/// Times of the candidates on this machine, in microseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SelfBench {
    /// Features of the processor.
    pub processor: String,
    /// Threads that were used.
    pub threads: usize,
    /// Width and height of the matrix.
    pub side: i64,
    /// Numbers of rows.
    pub rows: Vec<i64>,
    /// One line each.
    pub candidates: Vec<Candidate>,
}

/// One way to multiply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// What it is.
    pub name: String,
    /// Its time for each number of rows.
    pub microseconds: Vec<f32>,
}

impl SelfBench {
    /// Measures, or takes the table that was kept, and makes the whole process choose by it. Call it when
    /// the number of threads is set.
    ///
    /// # Errors
    /// When libtorch fails.
    pub(crate) fn choose(cache: Option<&Cache>) -> Result<(), TchError> {
        let path = cache.map(|cache| cache.directory.join(FILE));
        let kept = path.as_deref().and_then(Self::read);
        let table = match &kept {
            Some(table) => table.clone(),
            None => Self::run()?,
        };
        tracing::info!(kept = kept.is_some(), "{table}");
        if let (None, Some(path)) = (kept, path)
            && let Err(error) = table.write(&path)
        {
            tracing::warn!(path = %path.display(), %error, "failed to keep the table");
        }
        table.install();
        Ok(())
    }

    /// The table in a file, if it speaks of this machine with these threads.
    fn read(path: &Path) -> Option<Self> {
        let table: Self = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        table
            .fits(&engine_sys::cpu_features(), engine_sys::threads())
            .then_some(table)
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let directory = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(directory)?;
        let file = tempfile::NamedTempFile::new_in(directory)?;
        serde_json::to_writer_pretty(&file, self)?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }

    /// Measures, in a fraction of a second. The engine should not compute meanwhile.
    fn run() -> Result<Self, TchError> {
        let packed = [(Blocks::Q4_1, 20), (Blocks::Q8_0, 34), (Blocks::BF16, 64)].map(|(blocks, bytes)| {
            let bytes = vec![0x11; (SIDE * SIDE / 32) as usize * bytes];
            let rows = Rows {
                bytes: &bytes,
                blocks,
                count: SIDE as usize,
                order: RowOrder::Plain,
            };
            Packed::pack(SIDE as usize, &[rows], engine_sys::threads())
        });
        let packed = packed.into_iter().collect::<Result<Vec<_>, _>>()?;
        let mut ways: Vec<(String, Way<'_>)> = Vec::new();
        for packed in &packed {
            let name = name(packed.format());
            let own = move |input: &Tensor| engine_sys::linear(input, packed, None, Kind::BFloat16);
            ways.push((name.to_owned(), Box::new(own)));
            let widened = move |input: &Tensor| widened(packed, input, None, Kind::BFloat16);
            ways.push((format!("{name} widened"), Box::new(widened)));
        }
        // For comparison only.
        let dense = random(&[SIDE, SIDE])?;
        let linear = move |input: &Tensor| input.f_linear::<Tensor>(&dense, None);
        ways.push(("libtorch bf16".to_owned(), Box::new(linear)));
        let quants = Tensor::f_ones([SIDE, SIDE], (Kind::Int, Device::Cpu))?;
        let quants = Tensor::f_internal_convert_weight_to_int4pack_for_cpu(&quants, 2)?;
        let scales = random(&[SIDE / 32, SIDE, 2])?;
        let int4 = move |input: &Tensor| input.f_internal_weight_int4pack_mm_for_cpu(&quants, 32, &scales);
        ways.push(("libtorch int4".to_owned(), Box::new(int4)));
        Ok(Self {
            processor: engine_sys::cpu_features(),
            threads: engine_sys::threads(),
            side: SIDE,
            rows: ROWS.to_vec(),
            candidates: measure(ways)?,
        })
    }

    /// Whether the table speaks of a processor with these features and of so many threads.
    fn fits(&self, processor: &str, threads: usize) -> bool {
        self.processor == processor && self.threads == threads && self.rows == ROWS
    }

    /// Makes all linear layers of the process choose by this table.
    fn install(&self) {
        for format in [Format::Int4, Format::Int8, Format::Bf16] {
            WIDEN_FROM[place(format)].store(self.widen_from(format), Ordering::Relaxed);
        }
    }

    /// The number of rows from which on widening is faster for good.
    fn widen_from(&self, format: Format) -> i64 {
        let times = |name: &str| {
            let found = self.candidates.iter().find(|candidate| candidate.name == name);
            found.map_or(&[][..], |candidate| &candidate.microseconds)
        };
        let name = name(format);
        let (own, widened) = (times(name), times(&format!("{name} widened")));
        let pairs = own.iter().zip(widened).zip(&self.rows).rev();
        let wins = pairs.take_while(|((own, widened), _)| **widened < **own * MARGIN);
        wins.last().map_or(i64::MAX, |(_, rows)| *rows)
    }
}

impl fmt::Display for SelfBench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            processor,
            threads,
            side,
            ..
        } = self;
        write!(
            f,
            "microseconds of a {side} x {side} product, {threads} threads, {processor}\n{:16}",
            "rows"
        )?;
        for rows in &self.rows {
            write!(f, "{rows:>8}")?;
        }
        for candidate in &self.candidates {
            write!(f, "\n{:16}", candidate.name)?;
            for time in &candidate.microseconds {
                write!(f, "{time:>8.0}")?;
            }
        }
        Ok(())
    }
}

/// Whether a product of `rows` rows with weights of `format` widens them first.
pub(super) fn widens(format: Format, rows: i64) -> bool {
    match WIDEN_FROM[place(format)].load(Ordering::Relaxed) {
        // Not measured: that of an AMX machine, and never otherwise.
        0 => engine_sys::has_tiles() && rows >= 64,
        from => rows >= from,
    }
}

fn place(format: Format) -> usize {
    match format {
        Format::Int4 => 0,
        Format::Int8 | Format::Int8Halves => 1,
        Format::Bf16 => 2,
    }
}

fn name(format: Format) -> &'static str {
    match format {
        Format::Int4 => "int4",
        Format::Int8 | Format::Int8Halves => "int8",
        Format::Bf16 => "bf16",
    }
}

fn random(shape: &[i64]) -> Result<Tensor, TchError> {
    Tensor::f_randn(shape, (Kind::BFloat16, Device::Cpu))
}

/// Times every way for every number of rows, all of them in turn, several times over: threads that
/// have just started share a core for a while, and what is measured first would pay for it alone.
fn measure(ways: Vec<(String, Way<'_>)>) -> Result<Vec<Candidate>, TchError> {
    let inputs = ROWS
        .iter()
        .map(|rows| random(&[*rows, SIDE]))
        .collect::<Result<Vec<_>, _>>()?;
    let mut best = vec![vec![f32::MAX; ROWS.len()]; ways.len()];
    let started = Instant::now();
    for round in 0..ROUNDS {
        if round >= LEAST_ROUNDS && started.elapsed() > PATIENCE {
            break;
        }
        for ((_, way), best) in ways.iter().zip(&mut best) {
            for (input, best) in inputs.iter().zip(best) {
                let start = Instant::now();
                let _ = way(input)?;
                // The first run also builds what libtorch keeps for a shape.
                if round > 0 {
                    *best = best.min(start.elapsed().as_secs_f32() * 1e6);
                }
            }
        }
    }
    let candidates = ways.into_iter().zip(best);
    let candidates = candidates.map(|((name, _), microseconds)| Candidate { name, microseconds });
    Ok(candidates.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(own: &[f32], widened: &[f32]) -> SelfBench {
        let candidate = |name: &str, times: &[f32]| Candidate {
            name: name.into(),
            microseconds: times.into(),
        };
        SelfBench {
            processor: engine_sys::cpu_features(),
            threads: engine_sys::threads(),
            side: SIDE,
            rows: ROWS.to_vec(),
            candidates: vec![candidate("int4", own), candidate("int4 widened", widened)],
        }
    }

    #[test]
    fn weights_are_widened_from_where_that_wins_for_good() {
        let own = [10.0, 20.0, 30.0, 60.0, 240.0, 1000.0];
        let from = |widened: [f32; 6]| table(&own, &widened).widen_from(Format::Int4);
        assert_eq!(from([99.0, 99.0, 99.0, 50.0, 90.0, 200.0]), 16);
        assert_eq!(from([1.0, 99.0, 99.0, 99.0, 90.0, 200.0]), 64);
        assert_eq!(from([1.0, 1.0, 1.0, 1.0, 1.0, 950.0]), i64::MAX);
        assert_eq!(table(&own, &own).widen_from(Format::Int8), i64::MAX);
    }

    #[test]
    fn the_table_is_measured_printed_and_kept() {
        let measured = SelfBench::run().unwrap();
        // Tests beside this one set the number of threads, which is the whole process's.
        assert!(measured.fits(&engine_sys::cpu_features(), measured.threads));
        assert!(!measured.fits("another", measured.threads));
        assert!(!measured.fits(&measured.processor, measured.threads + 1));
        assert_eq!(measured.candidates.len(), 8);
        for candidate in &measured.candidates {
            assert!(
                candidate.microseconds.iter().all(|time| *time > 0.0 && *time < 1e8),
                "{measured}"
            );
        }
        assert!(measured.to_string().contains("\nint8 widened "));
        let text = serde_json::to_string(&measured).unwrap();
        assert_eq!(serde_json::from_str::<SelfBench>(&text).unwrap(), measured);
    }
}
