//! The queries, and how often each calls each function.
//!
//! The numbers are counted in the rows themselves, by what the query says: a function is needed
//! for a row that reaches it through the filters, joins and branches before it, and is not
//! called where its argument is null.

use std::ops::RangeInclusive;

use super::fixture::{Data, Row, f, g, m};

/// The calls of f, g, h and m.
pub(super) struct Wanted(pub(super) [RangeInclusive<usize>; 4]);

pub(super) struct Case {
    pub(super) query: &'static str,
    pub(super) calls: fn(&Data) -> Wanted,
    /// Of a limited query without order, the one without limit.
    pub(super) chosen_from: Option<&'static str>,
}

pub(super) fn case(query: &'static str, calls: fn(&Data) -> Wanted) -> Case {
    Case {
        query,
        calls,
        chosen_from: None,
    }
}

/// A limited query without order, which may give any of the rows of `all`, or one whose calls may
/// still run when it ends.
pub(super) fn limited(query: &'static str, all: &'static str, calls: fn(&Data) -> Wanted) -> Case {
    Case {
        query,
        calls,
        chosen_from: Some(all),
    }
}

impl Case {
    /// Whether the whole result is ordered.
    pub(super) fn is_ordered(&self) -> bool {
        let tail = self.query.rsplit(')').next().unwrap_or_default();
        let whole = !self.query.contains('(') || tail.contains("order by");
        whole && self.query.contains("order by")
    }
}

pub(super) fn none() -> Wanted {
    Wanted([0..=0, 0..=0, 0..=0, 0..=0])
}

impl Wanted {
    pub(super) fn f(mut self, calls: usize) -> Self {
        self.0[0] = calls..=calls;
        self
    }
    pub(super) fn g(mut self, calls: usize) -> Self {
        self.0[1] = calls..=calls;
        self
    }
    pub(super) fn f_within(mut self, calls: RangeInclusive<usize>) -> Self {
        self.0[0] = calls;
        self
    }
    pub(super) fn g_within(mut self, calls: RangeInclusive<usize>) -> Self {
        self.0[1] = calls;
        self
    }
    pub(super) fn h_within(mut self, calls: RangeInclusive<usize>) -> Self {
        self.0[2] = calls;
        self
    }
    pub(super) fn m_within(mut self, calls: RangeInclusive<usize>) -> Self {
        self.0[3] = calls;
        self
    }
    pub(super) fn h(mut self, calls: usize) -> Self {
        self.0[2] = calls..=calls;
        self
    }
    pub(super) fn m(mut self, calls: usize) -> Self {
        self.0[3] = calls..=calls;
        self
    }
}

impl Data {
    pub(super) fn n(&self) -> usize {
        self.t.len()
    }
    pub(super) fn k(&self) -> usize {
        self.s.len()
    }
    /// Rows of `t`.
    pub(super) fn t(&self, is_needed: impl Fn(&Row) -> bool) -> usize {
        self.t.iter().filter(|row| is_needed(row)).count()
    }
    /// Rows of `s`.
    pub(super) fn s(&self, is_needed: impl Fn(&Row) -> bool) -> usize {
        self.s.iter().filter(|row| is_needed(row)).count()
    }
    /// How many of the rows that are open are tested in their order until so many are hits.
    pub(super) fn until(
        &self,
        hits: usize,
        is_hit: impl Fn(&Row) -> bool,
        rows: Vec<Row>,
        is_open: impl Fn(&Row) -> bool,
    ) -> usize {
        let open = rows.into_iter().filter(is_open);
        let found = open.scan(0, |found, row| {
            let is_wanted = *found < hits;
            *found += usize::from(is_hit(&row));
            is_wanted.then_some(())
        });
        found.count()
    }
    /// Rows of `t` by a key.
    pub(super) fn sorted<K: Ord>(&self, key: impl Fn(&Row) -> K) -> Vec<Row> {
        let mut rows = self.t.clone();
        rows.sort_by_key(|row| key(row));
        rows
    }
}

/// Whether f gives a value.
pub(super) fn some(x: i64) -> bool {
    f(x).is_some()
}

/// Whether f gives more than this.
pub(super) fn over(x: i64, least: i64) -> bool {
    f(x).is_some_and(|a| a > least)
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        // Projections and filters.
        case("select * from v", |d| {
            none().f(d.n()).g(d.n() + d.t(|r| some(r.x)))
        }),
        case("select x from v", |_| none()),
        case("select count(*) from v", |_| none()),
        case("select a, b, d from pv", |d| {
            none().f(d.n()).g(d.t(|r| some(r.x))).m(d.n())
        }),
        case("select x, a from v where a > {190}", |d| none().f(d.n())),
        case("select b from v2 where a > {190}", |d| {
            none().f(d.n()).g(d.t(|r| over(r.x, d.percent(190))))
        }),
        case("select x, b from v where a > {190}", |d| {
            none().f(d.n()).g(d.t(|r| over(r.x, d.percent(190))))
        }),
        case("select x, a, b from pv where a > {190}", |d| {
            none().f(d.n()).g(d.t(|r| over(r.x, d.percent(190))))
        }),
        case("select b from v2 where a > 1 and x > {99}", |d| {
            none()
                .f(d.t(|r| r.x > d.percent(99)))
                .g(d.t(|r| r.x > d.percent(99) && over(r.x, 1)))
        }),
        case("select x from pv where x < {10} and a > {5}", |d| {
            none().f(d.t(|r| r.x < d.percent(10)))
        }),
        case("select x from pv where a > {5} and x < {10}", |d| {
            none().f(d.t(|r| r.x < d.percent(10)))
        }),
        case("select x from pv where a > {150} and d > 2", |d| {
            none().f(d.n()).m(d.t(|r| over(r.x, d.percent(150))))
        }),
        case("select f(x), f(x) + 1 from t where f(x) > 1", |d| {
            none().f(d.n())
        }),
        case(
            "select q.a, q.a + 1, f(q.x) from (select x, f(x) a from t) q where q.a > 1",
            |d| none().f(d.n()),
        ),
        case("select x from t where f(x) between {1} and {2}", |d| {
            none().f(d.n())
        }),
        case("select f(x) between {1} and {2} from t", |d| {
            none().f(d.n())
        }),
        case("select coalesce(f(x), g(y)) from t", |d| {
            none().f(d.n()).g(d.t(|r| !some(r.x)))
        }),
        case("select coalesce(a, d) from pv", |d| {
            none().f(d.n()).m(d.t(|r| !some(r.x)))
        }),
        case(
            "select case when x < {40} then f(x) else g(x) end from t",
            |d| {
                none()
                    .f(d.t(|r| r.x < d.percent(40)))
                    .g(d.t(|r| r.x >= d.percent(40)))
            },
        ),
        case("select case when x < {40} then a else d end from pv", |d| {
            none()
                .f(d.t(|r| r.x < d.percent(40)))
                .m(d.t(|r| r.x >= d.percent(40)))
        }),
        case(
            "select case when f(x) > {99} then g(x) else 0 end from t",
            |d| none().f(d.n()).g(d.t(|r| over(r.x, d.percent(99)))),
        ),
        case("select x from t where f(x) > {100} or g(x) > {90}", |d| {
            none().f(d.n()).g(d.t(|r| !over(r.x, d.percent(100))))
        }),
        case("select x from t where f(x) > {190} or x < {50}", |d| {
            none().f(d.t(|r| r.x >= d.percent(50)))
        }),
        case("select x from pv where x < {50} or a > {190}", |d| {
            none().f(d.t(|r| r.x >= d.percent(50)))
        }),
        case(
            "select x from t where g(y) > {30} and f(x) > {100} and x >= {50}",
            |d| {
                none()
                    .g(d.t(|r| r.x >= d.percent(50)))
                    .f(d.t(|r| r.x >= d.percent(50) && g(r.y) > d.percent(30)))
            },
        ),
        case("select x, h(x, y, z) from t where x > {95}", |d| {
            none().h(d.t(|r| r.x > d.percent(95)))
        }),
        case("select x from v where a is null", |d| none().f(d.n())),
        case("select x from t where f(x) in (2, 4, 8)", |d| {
            none().f(d.n())
        }),
        case(
            "select x from pv where a in (2, 4, 8, 10, 12, 14, 16)",
            |d| none().f(d.n()),
        ),
        case("select x from t where f(x) in (g(y), 2)", |d| {
            none().f(d.n()).g(d.t(|r| f(r.x).is_some_and(|a| a != 2)))
        }),
        case("select q.a from v2 q where q.a * 2 > {300}", |d| {
            none().f(d.n())
        }),
        case("select x from t where f(x) = f(x)", |d| none().f(d.n())),
        case("select f(x) from t where random() >= 0", |d| {
            none().f(d.n())
        }),
        case("select nullif(f(x), 2) from t", |d| none().f(d.n())),
        case("select nullif(f(x), g(y)) from t", |d| {
            none().f(d.n()).g(d.t(|r| some(r.x)))
        }),
        case("select nvl2(f(x), g(x), m(x)) from t", |d| {
            none().f(d.n()).g(d.t(|r| some(r.x))).m(d.t(|r| !some(r.x)))
        }),
        case(
            "select case when x < {30} then f(x) when x < {60} then f(x) + 1 end from t",
            |d| none().f(d.t(|r| r.x < d.percent(60))),
        ),
        case(
            "select case when x < 5 then (case when f(x) > 1 then g(x) end) else (case when g(x) > 1 then f(x) end) end from t",
            |d| {
                // f is needed for x < 5 and, as g gives more than 1 there, for the rest; g for the
                // rest, and of x < 5 where f gives more than 1. But the guard of each would read the
                // other, so one of the two is made for all rows.
                let g = d.t(|r| r.x >= 5 || over(r.x, 1));
                none().f(d.n()).g_within(g..=d.n())
            },
        ),
        case("select case when x < {50} then g(f(x)) end from t", |d| {
            none()
                .f(d.t(|r| r.x < d.percent(50)))
                .g(d.t(|r| r.x < d.percent(50) && some(r.x)))
        }),
        case("select case when x <> 0 then f(100 / x) end from t", |d| {
            none().f(d.t(|r| r.x != 0))
        }),
        case(
            "select sum(case when f(x) is null then 1 else 0 end), count(f(x)) from t",
            |d| none().f(d.n()),
        ),
        case(
            "select case m(x) when 1 then f(x) when 2 then g(x) end from t",
            |d| {
                none()
                    .m(d.n())
                    .f(d.t(|r| m(r.x) == 1))
                    .g(d.t(|r| m(r.x) == 2))
            },
        ),
        // Calls of calls, literals, values.
        case("select g(f(x)) from t", |d| {
            none().f(d.n()).g(d.t(|r| some(r.x)))
        }),
        case(
            "select g(a), g(f(x)), a from (select x, f(x) a from t) where a is not null",
            |d| none().f(d.n()).g(d.t(|r| some(r.x))),
        ),
        case("select f(5), x from t", |_| none().f(1)),
        case("select f(5)", |_| none().f(1)),
        case("select f(5), f(6), f(5) + x from t where g(7) > 3", |_| {
            none().f(2).g(1)
        }),
        case("select f(column1) from (values (1), (2), (4))", |_| {
            none().f(3)
        }),
        case("select * from (values (f(1)), (f(2)))", |_| none().f(2)),
        case("select f(x), unnest([1, 2]) from t", |d| none().f(d.n())),
        // Sorts and limits.
        case(
            "select x, h(x, y, z) from (select * from t order by x limit 10)",
            |_| none().h(10),
        ),
        case(
            "select x, h(x, y, z) as hh from t order by x limit 10",
            |_| none().h(10),
        ),
        case(
            "select x, h(x, y, z) as hh from t order by x limit 10 offset 5",
            |_| none().h(10),
        ),
        case("select * from v order by y limit 10", |d| {
            let first = d.sorted(|r| r.y);
            none()
                .f(10)
                .g(10 + first[..10].iter().filter(|r| some(r.x)).count())
        }),
        case("select x, a, b from pv order by x limit 10", |d| {
            none().f(10).g(d.t(|r| r.x < 10 && some(r.x)))
        }),
        case(
            "select x, f(x) a, g(y) b from t order by a desc nulls last limit 10",
            |d| none().f(d.n()).g(10),
        ),
        case("select a, b from pv order by a nulls last limit 10", |d| {
            none().f(d.n()).g(10)
        }),
        case(
            "select x from t order by f(x) desc nulls last limit 10",
            |d| none().f(d.n()),
        ),
        case("select x, f(x) from t order by f(x), x", |d| {
            none().f(d.n())
        }),
        case(
            "select * from (select x, f(x) a from t order by x limit 10) where a > 2",
            |_| none().f(10),
        ),
        case(
            "select x, b from v where a > {190} and x > 5 order by y limit 3",
            |d| {
                let is_hit = |row: &Row| over(row.x, d.percent(190));
                let first = d.until(3, is_hit, d.sorted(|row| row.y), |row| row.x > 5);
                none().f_within(first..=d.t(|row| row.x > 5)).g(3)
            },
        ),
        case(
            "select x, b from v2 where a > {190} and x > 5 order by x limit 3",
            |d| {
                let is_hit = |row: &Row| over(row.x, d.percent(190));
                let first = d.until(3, is_hit, d.t.clone(), |row| row.x > 5);
                none().f_within(first..=d.t(|row| row.x > 5)).g(3)
            },
        ),
        case(
            "select x, case when y > 0 then f(x) else 0 end c from t order by y limit 10",
            |_| none().f(9),
        ),
        case(
            "select sum(a) from (select x, f(x) a from t order by y limit 10)",
            |_| none().f(10),
        ),
        // Whichever rows are taken, some of them are null under f.
        limited(
            "select x, f(x) from t limit 10",
            "select x, f(x) from t",
            |_| none().f(10),
        ),
        limited(
            "select x, f(x) from t limit 10 offset 5",
            "select x, f(x) from t",
            |_| none().f(10),
        ),
        limited(
            "select x, a, b from pv limit 10",
            "select x, a, b from pv",
            |_| none().f(10).g_within(0..=10),
        ),
        limited(
            "select g(a) from (select x, f(x) a from t limit 10)",
            "select g(f(x)) from t",
            |_| none().f(10).g_within(0..=10),
        ),
        // g of y, and of f where that is a value.
        limited("select * from v limit 10", "select * from v", |_| {
            none().f(10).g_within(10..=20)
        }),
        // How many both call together: `limits.rs`.
        limited(
            "select * from (select x, f(x) a from t union all select x, g(x) from s) limit 5",
            "select x, f(x) a from t union all select x, g(x) from s",
            |_| none().f_within(0..=5).g_within(0..=5),
        ),
        // Each partition looks for ten rows in steps of 10, 20, 40, and finds nine in ten rows. How
        // far it looks in many rows: `limits.rs`.
        limited(
            "select x, f(x) a from t where f(x) > 1 limit 10",
            "select x, f(x) a from t where f(x) > 1",
            |d| none().f_within(10..=d.n().min(400)),
        ),
        case(
            "select x, f(x) + 1 from t order by y limit 10 offset 5",
            |_| none().f(10),
        ),
        // Aggregates and windows.
        case("select m(x), count(*) from t group by m(x)", |d| {
            none().m(d.n())
        }),
        case(
            "select m(x) k, sum(f(x)) s from t group by m(x) having sum(f(x)) > 0",
            |d| none().m(d.n()).f(d.n()),
        ),
        case("select sum(f(x)) from t", |d| none().f(d.n())),
        case("select min(f(x)), max(g(x)) from t", |d| {
            none().f(d.n()).g(d.n())
        }),
        case("select min(a), max(b) from pv", |d| {
            none().f(d.n()).g(d.t(|r| some(r.x)))
        }),
        case("select sum(g(x)) filter (where f(x) > {100}) from t", |d| {
            none().f(d.n()).g(d.t(|r| over(r.x, d.percent(100))))
        }),
        case("select count(distinct m(x)) from t", |d| none().m(d.n())),
        case("select distinct m(x) from t", |d| none().m(d.n())),
        case(
            "select f(k), n from (select m(x) k, count(*) n from t group by m(x))",
            |d| none().m(d.n()).f(7),
        ),
        case("select z, f(z) from t group by z having f(z) > 10", |_| {
            none().f(100)
        }),
        case(
            "select a, count(*) from v where a > {190} group by a having a > {195}",
            |d| none().f(d.n()),
        ),
        case(
            "select f(x), count(*) from t group by f(x) having f(x) > {100}",
            |d| none().f(d.n()),
        ),
        case(
            "select m(x), z, count(*) from t group by grouping sets ((m(x)), (z))",
            |d| none().m(d.n()),
        ),
        case(
            "select m(x), m(y), count(*) from t group by rollup (m(x), m(y))",
            |d| none().m(2 * d.n()),
        ),
        case("select distinct on (m(x)) x from t order by m(x), x", |d| {
            none().m(d.n())
        }),
        case(
            "select x, row_number() over (partition by m(x) order by x) from t",
            |d| none().m(d.n()),
        ),
        case("select x, sum(f(x)) over (order by f(x), x) from t", |d| {
            none().f(d.n())
        }),
        case(
            "select x, sum(a) over (partition by d order by x) from pv",
            |d| none().f(d.n()).m(d.n()),
        ),
        case(
            "select x, a from (select x, a, row_number() over (order by y) rn from v) where rn <= 10",
            |_| none().f(10),
        ),
        case(
            "select * from (select x, f(x) a, rank() over (order by y) r from t) order by r limit 10",
            |_| none().f(10),
        ),
        case("select x, a, sum(a) over () from v where a > {190}", |d| {
            none().f(d.n())
        }),
        // Joins and subqueries.
        case("select t.x, s.y from t join s on f(t.x) = s.x", |d| {
            none().f(d.n())
        }),
        case(
            "select t.x, s.x from t join s on f(t.x) is not distinct from s.x",
            |d| none().f(d.n()),
        ),
        case(
            "select t.x from t join s on t.x = s.x and h(t.x, s.y, s.z) > 50",
            |d| none().h(d.k()),
        ),
        case(
            "select t.x from t join s on t.x = s.x and f(t.x) > 50",
            |d| none().f(d.k()),
        ),
        case(
            "select t.x, s.y from t left join s on t.x = s.x and f(s.y) > 50",
            |d| none().f(d.k()),
        ),
        case(
            "select t.x from t join s on t.x = s.x where f(t.x) > 50",
            |d| none().f(d.k()),
        ),
        case("select f(s.y) from t left join s on t.x = s.x", |d| {
            none().f(d.k())
        }),
        case("select t.x, s.y from t full join s on f(t.x) = s.x", |d| {
            none().f(d.n())
        }),
        case(
            "select a from (select x, f(x) a from s) v join (select x, y from t) w using (x)",
            |d| none().f(d.k()),
        ),
        case("select a from v where x in (select x from s)", |d| {
            none().f(d.k())
        }),
        case("select a from v where x not in (select x from s)", |d| {
            none().f(d.n() - d.k())
        }),
        case(
            "select a from v where exists (select 1 from s where s.x = v.x)",
            |d| none().f(d.k()),
        ),
        case(
            "select a from (select x, f(x) a from p) v where x in (select x from s)",
            |d| none().f(d.k()),
        ),
        case(
            "select x from t where f(x) > 1 and exists (select 1 from s where s.x = t.x)",
            |d| none().f(d.k()),
        ),
        case("select x from t where x in (select f(x) from s)", |d| {
            none().f(d.k())
        }),
        case("select x from t where f(x) in (select x from s)", |d| {
            none().f(d.n())
        }),
        case(
            "select count(*) from t where f(x) not in (select x from s)",
            |d| none().f(d.n()),
        ),
        case(
            "select x from t where exists (select 1 from s where f(s.x) = t.x)",
            |d| none().f(d.k()),
        ),
        case(
            "select x from t where x in (select x from s) or f(x) > {190}",
            |d| none().f(d.n() - d.k()),
        ),
        case(
            "select g(x) from t where g(x) > (select max(f(x)) from s)",
            |d| none().f(d.k()).g(d.n()),
        ),
        case(
            "select case when x > (select max(f(x)) from s) then g(x) end from t",
            |d| {
                let max = d.s.iter().filter_map(|r| f(r.x)).max().unwrap_or(0);
                none().f(d.k()).g(d.t(|r| r.x > max))
            },
        ),
        case("select v.a, s.y from v join s on v.x = s.x", |d| {
            none().f(d.k())
        }),
        case(
            "select v.a from v join s on v.x = s.x where v.a > 50",
            |d| none().f(d.k()),
        ),
        case(
            "select v.x, v.a, s.y from v join s on v.x = s.x order by v.x limit 10",
            |_| none().f(10),
        ),
        case(
            "select v.a, s.y from (select x, f(x) a from p) v join s on v.x = s.x",
            |d| none().f(d.k()),
        ),
        case(
            "select s.x, (select max(f(t.x)) from t where t.x = s.x) from s",
            |d| none().f(d.k()),
        ),
        case(
            "with c as (select x, f(x) a from t) select c1.a, c2.a from c c1 join c c2 on c1.x = c2.x where c1.x < {10}",
            |d| none().f(2 * d.t(|r| r.x < d.percent(10))),
        ),
        // Unions and common table expressions: once per reference.
        case(
            "select f(x) as u from t union all select g(x) from t",
            |d| none().f(d.n()).g(d.n()),
        ),
        case("select a from v union all select a from v", |d| {
            none().f(2 * d.n())
        }),
        case("select m(x) from t union select m(y) from t", |d| {
            none().m(2 * d.n())
        }),
        case(
            "select * from (select x, f(x) a from t union all select y, f(y) a from t) where a > {190}",
            |d| none().f(2 * d.n()),
        ),
        case(
            "select x from (select x, f(x) a from t union all select x, y from t) where a is not null",
            |d| none().f(d.n()),
        ),
        case(
            "with recursive r as (select 0 as n union all select g(n) from r where n < 20) select * from r",
            |_| none().g(20),
        ),
        // Parquet.
        case("select x, f(x) from p where x >= {99} and f(x) > 1", |d| {
            none().f(d.t(|r| r.x >= d.percent(99)))
        }),
        case("select x, f(x) from p order by x desc limit 10", |_| {
            none().f(10)
        }),
    ]
}
