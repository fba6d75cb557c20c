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
    let sweep = json!({"sweep": {"space": [], "maxTrials": 4, "metric": "evalLoss"}});
    let status = json!({"phase": "Training", "trials": [
        {"name": "tone-t0", "phase": "Succeeded", "settings": {"learningRate": "0.001"}, "metric": "1.5", "step": 100},
        {"name": "tone-t1", "phase": "Training", "settings": {"learningRate": "0.1", "lora.rank": "8"}, "step": 20},
        {"name": "tone-t2", "phase": "Failed", "reason": "Stopped", "settings": {"learningRate": "9"}, "metric": "NaN"},
    ]});
    let job = job(sweep, status);
    let lines = picture(&job, &History::default(), now(), 80);
    assert_eq!(
        lines[1..],
        [
            "████████████████████░░░░░░░░░░░░░░░░░░░░  50 % · 2 of 4 trials ended",
            "TRIAL    PHASE             STEP  evalLoss  SETTINGS",
            "tone-t0  Succeeded         100   1.5000 *  learningRate=0.001",
            "tone-t1  Training          20    -         learningRate=0.1 lora.rank=8",
            "tone-t2  Failed (Stopped)  -     NaN       learningRate=9",
        ]
    );
    assert_eq!(line(&job), "Training · 2 of 4 trials ended");
}

#[test]
fn of_many_trials_those_under_way_and_the_best_are_shown() {
    let values: Vec<_> = (0..30).map(|it| it.to_string()).collect();
    let space = json!([{"name": "seed", "values": values}]);
    let sweep = json!({"sweep": {"space": space, "maxTrials": 100, "algorithm": "Grid", "metric": "facts"}});
    let trial = |number: usize| match number {
        29 => json!({"name": "t29", "phase": "Training"}),
        _ => json!({"name": format!("t{number}"), "phase": "Succeeded", "metric": format!("0.{number:02}")}),
    };
    let job = job(
        sweep,
        json!({"phase": "Training", "trials": (0..30).map(trial).collect::<Vec<_>>()}),
    );
    let lines = picture(&job, &History::default(), now(), 80);
    assert!(lines[1].ends_with("29 of 30 trials ended"), "{lines:?}");
    assert!(
        lines[3].starts_with("t10 ") && lines.last().unwrap() == "and 10 more",
        "{lines:?}"
    );
    assert!(
        lines[21].contains("0.2800 *") && lines[22].starts_with("t29 "),
        "{lines:?}"
    );
}

/// A condition that is true or not.
fn condition(type_: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({
        "type": type_, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    })
}

#[test]
fn before_there_is_a_loss_it_says_what_is_done() {
    let waiting = condition(
        "Progressing",
        "True",
        "BaseNotReady",
        "LlmModel base has no version yet",
    );
    let waiting = job(json!({}), json!({"phase": "Pending", "conditions": [waiting]}));
    let lines = picture(&waiting, &History::default(), now(), 20);
    assert_eq!(lines, ["models/tone · LoRA …", "LlmModel base has no", "version yet"]);
    assert_eq!(line(&waiting), "Pending · LlmModel base has no version yet");
    // Figures say it better.
    let mut status = training();
    status["conditions"] = json!([condition(
        "Progressing",
        "True",
        "Training",
        "the training is under way"
    )]);
    assert!(!line(&job(json!({}), status)).contains("under way"));
}

#[test]
fn a_suspended_training_has_no_speed() {
    let mut status = training();
    status["phase"] = json!("Suspended");
    let lines = picture(&job(json!({}), status), &History::default(), now(), 90);
    assert!(lines[1].ends_with("step 240 of 500 · epoch 0.96"), "{lines:?}");
    assert_eq!(lines[2], "loss 1.8342 · validation 1.9021 · learning rate 1.5e-4");
}

#[test]
fn a_schedule_is_watched_on() {
    let schedule = || json!({"schedule": {"cron": "@daily"}});
    let next = condition(
        "Progressing",
        "True",
        "Scheduled",
        "the next run is due at 2026-11-27T00:00:00Z",
    );
    let runs = json!([
        {"name": "tone-202611260000", "phase": "Succeeded", "reason": "DataUnchanged", "scheduled": "2026-11-26T00:00:00Z"},
        {"name": "tone-202611250000", "phase": "Succeeded", "reason": "Published", "scheduled": "2026-11-25T00:00:00Z",
         "outputDigest": "sha256:0123456789abcdef"},
    ]);
    let output = json!({"digest": "sha256:0123456789abcdef", "uri": "pvc://tone-tune/outputs/0", "kind": "Adapter"});
    let status = json!({"phase": "Succeeded", "conditions": [next], "runs": runs, "output": output});
    let job = job(schedule(), status);
    assert_eq!(end(&job), None);
    assert_eq!(
        picture(&job, &History::default(), now(), 100)[1..],
        [
            "the next run is due at 2026-11-27T00:00:00Z",
            "output: Adapter sha256:0123456789abcdef at pvc://tone-tune/outputs/0",
            "RUN                PHASE                      DUE                   OUTPUT",
            "tone-202611260000  Succeeded (DataUnchanged)  2026-11-26T00:00:00Z  -",
            "tone-202611250000  Succeeded                  2026-11-25T00:00:00Z  sha256:0123456789ab",
        ]
    );
    assert!(line(&job).ends_with("the next run is due at 2026-11-27T00:00:00Z"));
    let refused = json!({"phase": "Failed", "conditions": [condition("Failed", "True", "InvalidSpec", "no")]});
    let refused = self::job(schedule(), refused);
    assert_eq!(end(&refused), Some(End::Failed("InvalidSpec: no".into())));
}

#[test]
fn what_came_of_it_is_compared() {
    let report = json!({
        "steps": 40, "firstLoss": "3.0", "lastLoss": "1.5", "evalLoss": "1.75", "referenceLoss": "2.5", "tokens": 1,
        "seconds": 1, "passed": false, "gate": "rejected against the base",
    });
    let failed = condition("Failed", "True", "GateFailed", &"word ".repeat(60));
    let job = job(
        json!({}),
        json!({"phase": "Failed", "report": report, "conditions": [failed]}),
    );
    let lines = picture(&job, &History::default(), now(), 120);
    assert_eq!(
        lines[1],
        "loss fell from 3.0000 to 1.5000 · validation 1.7500 where the reference has 2.5000 · gate rejected against the base"
    );
    assert!(
        lines[2].starts_with("GateFailed: word") && lines.len() == 5,
        "{lines:?}"
    );
}

#[test]
fn an_end_is_told_with_its_reason() {
    let words = "the loss of step 7 is\u{1b}[2J NaN";
    let failed = json!({"phase": "Failed", "conditions": [condition("Failed", "True", "NotFinite", words)]});
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
        lines[1].starts_with(&"█".repeat(bar::WIDTH)) && lines[1].contains("100 %"),
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
