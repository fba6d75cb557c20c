//! Whether it takes longer to find nothing where something is hidden.

use rooms::redteam::{
    Role, Summary,
    timing::{self, LEAST, LEVEL, mann_whitney},
};

use super::player::Player;

/// Searches of each kind.
const SAMPLES: usize = LEAST + 4;
/// Samples that all have to tell the same: one of a hundred does by accident.
const ROUNDS: usize = 3;

/// Adds the times of both queries, taken by turns. Those that differ are taken again: what is no accident stays.
pub async fn compare(player: &Player, role: Role, (near, far): (&str, &str), summary: &mut Summary) {
    let mut direction = None;
    let mut last = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        last = sample(player, role, near, far).await;
        let differs = timing::probability(&last.0, &last.1).is_some_and(|p| p <= LEVEL);
        if !differs {
            break;
        }
        let is_slower = mann_whitney(&last.0, &last.1).is_some_and(|test| test.larger > 0.5);
        if direction.is_some_and(|direction| direction != is_slower) {
            // Once slower and once faster is neither.
            last.1.clone_from(&last.0);
            break;
        }
        direction = Some(is_slower);
    }
    summary.add_times(&last.0, &last.1);
}

/// Seconds of each, of those that were answered.
async fn sample(player: &Player, role: Role, near: &str, far: &str) -> (Vec<f64>, Vec<f64>) {
    let (mut nears, mut fars) = (Vec::new(), Vec::new());
    // The first one finds everything cold.
    player.timed(role, near).await;
    player.timed(role, far).await;
    for _ in 0..SAMPLES {
        let is_first = rand::random::<bool>();
        for is_near in [is_first, !is_first] {
            let told = player.timed(role, if is_near { near } else { far }).await;
            if told.status == 200 {
                let times = if is_near { &mut nears } else { &mut fars };
                times.push(told.seconds);
            }
        }
    }
    (nears, fars)
}
