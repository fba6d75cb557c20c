//! How long the kernels take beside what libtorch has: `cargo run --release -p atelier-engine-sys
//! --example kernels`. The best of many runs, in microseconds; weights take turns so that they do not
//! stay in the first caches.

use std::time::Instant;

use atelier_engine_sys::{Blocks, HeadNorms, LoraAdapter, Packed, PageTable, Pages, RopeTables, RowOrder, Rows};
use tch::{Device, Kind, TchError, Tensor};

const SIDE: i64 = 2048;
const WEIGHTS: usize = 10;

fn main() -> Result<(), TchError> {
    println!("{}", atelier_engine_sys::cpu_features());
    let _guard = atelier_engine_sys::InferenceMode::enter();
    for threads in [1, 2] {
        atelier_engine_sys::set_threads(threads);
        tch::set_num_threads(threads as i32);
        println!("\n{threads} threads; {SIDE} x {SIDE}");
        linear()?;
        rest()?;
    }
    Ok(())
}

fn random(shape: &[i64]) -> Result<Tensor, TchError> {
    Tensor::f_randn(shape, (Kind::Float, Device::Cpu))?.f_to_kind(Kind::BFloat16)
}

/// Microseconds of the fastest of many calls; `run` gets the number of the call.
fn best(mut run: impl FnMut(usize) -> Result<(), TchError>) -> Result<f64, TchError> {
    let started = Instant::now();
    let (mut best, mut calls) = (f64::MAX, 0);
    while calls < 20 || (started.elapsed().as_millis() < 250 && calls < 20_000) {
        let start = Instant::now();
        run(calls)?;
        best = best.min(start.elapsed().as_secs_f64() * 1e6);
        calls += 1;
    }
    Ok(best)
}

fn packed(blocks: Blocks, bytes_per_group: usize) -> Result<Vec<Packed>, TchError> {
    let bytes = vec![0x11; (SIDE * SIDE / 32) as usize * bytes_per_group];
    let part = Rows {
        bytes: &bytes,
        blocks,
        count: SIDE as usize,
        order: RowOrder::Plain,
    };
    (0..WEIGHTS).map(|_| Packed::pack(SIDE as usize, &[part], 2)).collect()
}

fn linear() -> Result<(), TchError> {
    let ours = [
        ("int4", packed(Blocks::Q4_1, 20)?),
        ("int8", packed(Blocks::Q5_1, 24)?),
        ("int8 halves", packed(Blocks::Q8_0, 34)?),
        ("bf16", packed(Blocks::BF16, 64)?),
    ];
    let dense = (0..WEIGHTS)
        .map(|_| random(&[SIDE, SIDE]))
        .collect::<Result<Vec<_>, _>>()?;
    let quants = Tensor::f_ones([SIDE, SIDE], (Kind::Int, Device::Cpu))?;
    let int4 = (0..WEIGHTS)
        .map(|_| Tensor::f_internal_convert_weight_to_int4pack_for_cpu(&quants, 2))
        .collect::<Result<Vec<_>, _>>()?;
    let scales = random(&[SIDE / 32, SIDE, 2])?;
    println!(
        "{:12} {}",
        "rows",
        [1, 2, 4, 8, 12, 16, 24, 32, 64, 512]
            .map(|m| format!("{m:>8}"))
            .concat()
    );
    let row = |name: &str, run: &dyn Fn(&Tensor, usize) -> Result<(), TchError>| {
        let mut line = format!("{name:12} ");
        for rows in [1, 2, 4, 8, 12, 16, 24, 32, 64, 512] {
            let input = random(&[rows, SIDE])?;
            line += &format!("{:8.0}", best(|call| run(&input, call % WEIGHTS))?);
        }
        println!("{line}");
        Ok::<_, TchError>(())
    };
    for (name, weights) in &ours {
        row(name, &|input, i| {
            atelier_engine_sys::linear(input, &weights[i], None, Kind::BFloat16).map(drop)
        })?;
    }
    row("aten bf16", &|input, i| {
        input.f_linear::<Tensor>(&dense[i], None).map(drop)
    })?;
    row("aten int4", &|input, i| {
        input
            .f_internal_weight_int4pack_mm_for_cpu(&int4[i], 32, &scales)
            .map(drop)
    })?;
    let name = "widen int4";
    println!(
        "{name:12} {:8.0}",
        best(|call| ours[0].1[call % WEIGHTS]
            .dequantize_rows(SIDE as usize, Kind::BFloat16)
            .map(drop))?
    );
    Ok(())
}

/// The shapes of SmolLM2-135M.
fn rest() -> Result<(), TchError> {
    for rows in [1, 16, 512] {
        let (mut residual, delta, weight) = (random(&[rows, 576])?, random(&[rows, 576])?, random(&[576])?);
        let gate_up = random(&[rows, 3072])?;
        let keys = random(&[1200, 3, 16, 64])?;
        let pages = Pages {
            keys: &keys,
            values: &keys,
        };
        let mut qkv = random(&[rows, 960])?;
        let table = random(&[2048, 32])?.f_to_kind(Kind::Float)?;
        let tables = RopeTables {
            cosines: &table,
            sines: &table,
        };
        let positions = vec![256; rows as usize];
        let slots: Vec<i64> = (0..rows).map(|row| row * 17).collect();
        let head = random(&[64])?;
        let norms = HeadNorms {
            query: &head,
            key: &head,
            epsilon: 1e-6,
        };
        println!("{rows} rows");
        println!(
            "  add_rms_norm 576 {:10.1}",
            best(|_| atelier_engine_sys::add_rms_norm(&mut residual, Some(&delta), &weight, 1e-5).map(drop))?
        );
        println!(
            "    aten           {:10.1}",
            best(|_| residual.f_add(&delta)?.f_rms_norm([576], Some(&weight), 1e-5).map(drop))?
        );
        println!(
            "  silu_mul 1536    {:10.1}",
            best(|_| atelier_engine_sys::silu_mul(&gate_up).map(drop))?
        );
        println!(
            "    aten           {:10.1}",
            best(|_| {
                let halves = gate_up.f_chunk(2, -1)?;
                halves[0].f_silu()?.f_mul(&halves[1]).map(drop)
            })?
        );
        println!(
            "  rope_and_store   {:10.1}",
            best(|_| atelier_engine_sys::rope_and_store(&mut qkv, pages, &positions, &slots, tables, None))?
        );
        println!(
            "    with norms     {:10.1}",
            best(|_| atelier_engine_sys::rope_and_store(&mut qkv, pages, &positions, &slots, tables, Some(norms)))?
        );
        for context in [256, 2048] {
            // Decode: every row its own pages. A chunk of 512: growing lengths over the same pages.
            let chunk = rows == 512;
            let pages_each = context / 16;
            let lengths: Vec<i64> = (0..rows)
                .map(|row| {
                    if chunk {
                        (context - rows + row + 1).max(1)
                    } else {
                        context
                    }
                })
                .collect();
            let first = (0..rows).map(|row| if chunk { 0 } else { row * pages_each }).collect();
            let entries = (0..rows.min(16) * pages_each).map(|i| (i * 7 % 1200) as i32).collect();
            let page_table = PageTable::new(entries, first, lengths, 1200, 16)?;
            println!(
                "  attention {context:5}  {:10.1}",
                best(|_| atelier_engine_sys::paged_attention(&qkv, 9, pages, &page_table, 0.125).map(drop))?
            );
        }
        let pairs = (0..8)
            .map(|_| Ok((random(&[16, 576])?, random(&[16, 960])?)))
            .collect::<Result<Vec<_>, TchError>>()?;
        let adapters: Vec<_> = pairs
            .iter()
            .map(|(down, up)| LoraAdapter { down, up, scale: 1e-3 })
            .collect();
        let chosen: Vec<i32> = (0..rows as i32).map(|row| row % 8).collect();
        let input = random(&[rows, 576])?;
        println!(
            "  lora, 8 adapters {:10.1}",
            best(|_| atelier_engine_sys::lora(&input, &mut qkv, &adapters, &chosen))?
        );
    }
    Ok(())
}
