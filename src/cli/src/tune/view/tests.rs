use serde_json::{Value, json};

use super::*;

fn job(spec: Value, status: Value) -> FineTuneJob {
    let mut all = json!({
        "base": {"name": "base"}, "method": "LoRA",
        "dataset": {"format": "Chat", "sources": []},
    });
    all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    serde_json::from_value(json!({
        "apiVersion": "atelier.dev/v1alpha1", "kind": "FineTuneJob",
        "metadata": {"name": "tone", "namespace": "models"}, "spec": all, "status": status,
    }))
    .unwrap()
}

fn training() -> Value {
    json!({
        "phase": "Training", "step": 240, "totalSteps": 500, "epoch": "0.96", "loss": "1.83421", "evalLoss": "1.9021",
        "learningRate": "0.00015", "tokensPerSecond": "812.4", "eta": "2026-11-26T10:12:05Z",
        "resourceUse": {"memory": 2_254_857_830_i64}, "checkpoint": {"step": 200, "uri": "pvc://tone-tune/checkpoints/tone"},
        "dataset": {"digest": "sha256:0", "documents": 1200, "dropped": {"exact": 30, "pii": 4}},
    })
}

fn now() -> Timestamp {
    "2026-11-26T10:00:00Z".parse().unwrap()
}

#[test]
fn a_training_on_its_way() {
    let mut history = History::default();
    for (step, loss) in [(60, "3.2"), (120, "2.4"), (180, "2.0"), (240, "1.8342")] {
        history.see(&serde_json::from_value(json!({"step": step, "loss": loss})).unwrap());
    }
    let lines = picture(&job(json!({}), training()), &history, now(), 90);
    let expected = [
        "models/tone · LoRA of base · Training",
        "███████████████████▏░░░░░░░░░░░░░░░░░░░░  48 % · step 240 of 500 · epoch 0.96 · 12m5s left",
        "loss 1.8342 · validation 1.9021 · learning rate 1.5e-4 · 812 tokens/s · memory 2.1 GiB",
        "1200 records to learn from, 34 dropped · last checkpoint at step 200",
        "loss: from 3.2000 at step 60 to 1.8342 at step 240",
    ];
    assert_eq!(lines[..5], expected);
    assert_eq!(lines.len(), 5 + CURVE_HEIGHT);
    assert!(!lines[5].starts_with('⠀'), "{lines:?}");
    assert!(lines[5].ends_with('⠀'), "it falls: {lines:?}");
}

#[test]
fn a_sweep_has_a_table_of_trials() {
    let sweep = json!({"sweep": {"space": [], "maxTrials": 2, "metric": "evalLoss"}});
    let status = json!({"phase": "Training", "trials": [
        {"name": "tone-t0", "phase": "Succeeded", "settings": {"learningRate": "0.001"}, "metric": "1.5", "step": 100},
        {"name": "tone-t1", "phase": "Training", "settings": {"learningRate": "0.1", "lora.rank": "8"}, "step": 20},
    ]});
    let job = job(sweep, status);
    let lines = picture(&job, &History::default(), now(), 80);
    assert_eq!(
        lines[1..],
        [
            "TRIAL    PHASE      STEP  evalLoss  SETTINGS",
            "tone-t0  Succeeded  100   1.5000    learningRate=0.001",
            "tone-t1  Training   20    -         learningRate=0.1 lora.rank=8",
        ]
    );
    assert_eq!(line(&job), "Training · 1 of 2 trials ended");
}

#[test]
fn an_end_is_told_with_its_reason() {
    let failed = json!({"phase": "Failed", "conditions": [{
        "type": "Failed", "status": "True", "reason": "NotFinite", "message": "the loss of step 7 is\u{1b}[2J NaN",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }]});
    let failed = job(json!({}), failed);
    assert_eq!(
        end(&failed),
        Some(End::Failed("NotFinite: the loss of step 7 is [2J NaN".into()))
    );
    let output = json!({"digest": "sha256:1", "uri": "pvc://tone-tune/outputs/1", "kind": "Adapter"});
    let done = job(
        json!({}),
        json!({"phase": "Succeeded", "step": 5, "totalSteps": 5, "output": output}),
    );
    assert_eq!(end(&done), Some(End::Succeeded));
    let lines = picture(&done, &History::default(), now(), 120);
    assert_eq!(
        lines.last().unwrap(),
        "output: Adapter sha256:1 at pvc://tone-tune/outputs/1"
    );
    assert!(
        lines[1].starts_with(&"█".repeat(BAR_WIDTH)) && lines[1].contains("100 %"),
        "{lines:?}"
    );
    assert_eq!(end(&job(json!({}), training())), None);
    assert_eq!(end(&job(json!({}), json!({}))), None);
}

#[test]
fn a_line_says_everything_that_changes() {
    assert_eq!(
        line(&job(json!({}), training())),
        "Training · step 240 of 500 · loss 1.8342 · validation 1.9021 · learning rate 1.5e-4 · 812 tokens/s · memory 2.1 GiB"
    );
    assert_eq!(line(&job(json!({}), json!({}))), "Pending");
}

#[test]
fn no_line_is_longer_than_the_terminal() {
    for width in [1, 20, 60] {
        let lines = picture(&job(json!({}), training()), &History::default(), now(), width);
        assert!(lines.iter().all(|line| line.chars().count() <= width), "{lines:?}");
    }
}
