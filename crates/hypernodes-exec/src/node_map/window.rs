//! How far a stream may run ahead of whoever reads it.

/// The most rows that are called for beyond those known to be needed.
const MAX_STEP: u64 = 1024;

/// Bounds the rows that are called for by how many the reader is thought to need.
///
/// Without a row goal there is no bound but that of the gate. With one, calls stop at the goal;
/// a reader who has all of it and asks for more is given one more step, twice as long each time,
/// so that what is called for in vain is never more than was needed, nor than `MAX_STEP`.
#[derive(Debug)]
pub(super) struct Window(Option<Goal>);

#[derive(Debug)]
struct Goal {
    /// Rows that may be called for so far.
    rows: u64,
    step: u64,
}

impl Window {
    pub(super) fn new(goal: Option<usize>) -> Self {
        Self(goal.map(|goal| Goal {
            rows: goal.max(1) as u64,
            step: goal.max(1) as u64,
        }))
    }

    /// How many more rows may be called for, or read, where `rows` were.
    pub(super) fn room(&self, rows: u64) -> usize {
        self.0.as_ref().map_or(usize::MAX, |goal| {
            usize::try_from(goal.rows.saturating_sub(rows)).unwrap_or(usize::MAX)
        })
    }

    /// The reader asks for more than the `emitted` rows that it has.
    pub(super) fn asked(&mut self, emitted: u64) {
        if let Some(goal) = &mut self.0
            && emitted >= goal.rows
        {
            goal.step = (goal.step * 2).min(goal.step.max(MAX_STEP));
            goal.rows = emitted + goal.step;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_that_proves_too_small_is_followed_by_longer_steps() {
        let mut window = Window::new(Some(10));
        assert_eq!(window.room(4), 6);
        window.asked(9);
        assert_eq!(window.room(10), 0, "one row of the goal is missing");
        window.asked(10);
        assert_eq!(window.room(10), 20);
        window.asked(30);
        assert_eq!(window.room(30), 40);
        for _ in 0..20 {
            let rows = 1_000_000 - window.room(1_000_000) as u64;
            window.asked(rows);
        }
        assert!(window.room(1_000_000) <= MAX_STEP as usize);
        assert_eq!(Window::new(None).room(1_000_000), usize::MAX);
    }
}
