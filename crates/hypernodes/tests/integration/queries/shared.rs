//! Joins and predicates that leave some rows of a side, and those several times: a call is made
//! once for each.

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;

use super::cases::{Case, case, none, over, some};
use super::fixture::{Data, Row, f, g, m};

impl Data {
    /// What rows of `t` have, each once.
    fn distinct(&self, of: impl Fn(&Row) -> i64) -> HashSet<i64> {
        self.t.iter().map(of).collect()
    }

    /// `y` of these rows of `t`.
    fn ys(&self, is_wanted: impl Fn(&Row) -> bool) -> HashSet<i64> {
        let rows = self.t.iter().filter(|row| is_wanted(row));
        rows.map(|row| row.y).collect()
    }

    /// How many rows of `t` are so of a row of `s`.
    fn t_of_s(&self, is_so: impl Fn(&Row, &Row) -> bool) -> usize {
        self.t(|t| self.s.iter().any(|s| is_so(t, s)))
    }

    /// How many rows of `s` are so of a row of `t`.
    fn s_of_t(&self, is_so: impl Fn(&Row, &Row) -> bool) -> usize {
        self.s(|s| self.t.iter().any(|t| is_so(t, s)))
    }
}

impl Data {
    /// A call for each row of `s` that matches such a row of `t`, and for those of `t` without a
    /// match, whose argument is the same, at most one a partition.
    fn groups_and_none(&self, is_left: impl Fn(&Row) -> bool) -> RangeInclusive<usize> {
        let groups = self.s_of_t(|t, s| t.z == s.x && is_left(t));
        let none = self.t(|t| is_left(t) && t.z >= self.s.len() as i64);
        groups + none.min(1)..=groups + none.min(8)
    }
}

pub(super) fn shared() -> Vec<Case> {
    vec![
        // A predicate on the other side, that calls or guards.
        case(
            "select s.x, t.x from s join t on s.x = t.z where t.y > {50} or f(s.x) > 3",
            |d| none().f(d.s_of_t(|t, s| s.x == t.z && t.y <= d.percent(50))),
        ),
        case(
            "select m(s.y) from s join t on s.x = t.z where g(t.y) > {50}",
            |d| {
                none()
                    .g(d.t_of_s(|t, s| s.x == t.z))
                    .m(d.s_of_t(|t, s| s.x == t.z && g(t.y) > d.percent(50)))
            },
        ),
        case(
            "select m(s.y) from s join t on s.x = t.z where g(t.y) > {50} and m(s.y) > 2",
            |d| {
                none()
                    .g(d.t_of_s(|t, s| s.x == t.z))
                    .m(d.s_of_t(|t, s| s.x == t.z && g(t.y) > d.percent(50)))
            },
        ),
        case(
            "select g(f(s.x)), t.x from s join t on s.x = t.z where m(t.y) = 2",
            |d| {
                let is_joined = |t: &Row, s: &Row| s.x == t.z && m(t.y) == 2;
                none()
                    .m(d.t_of_s(|t, s| s.x == t.z))
                    .f(d.s_of_t(is_joined))
                    .g(d.s_of_t(|t, s| is_joined(t, s) && some(s.x)))
            },
        ),
        case(
            "select q.b, t.x from (select x, g(y) as b from s) q join t on q.x = t.z where m(t.y) = 2 order by t.x limit 7",
            |d| {
                let mut passing = d.t.iter().filter(|t| m(t.y) == 2 && t.z < d.s.len() as i64);
                let mut sides: Vec<i64> = passing.by_ref().take(7).map(|t| t.z).collect();
                sides.sort_unstable();
                sides.dedup();
                none().m(d.t_of_s(|t, s| s.x == t.z)).g(sides.len())
            },
        ),
        // A key that is a call.
        case(
            "select g(t.y), s.y from s join t on m(t.x) = m(s.x) + 3 where s.x < 20",
            |d| none().m(d.n() + d.s(|s| s.x < 20)).g(d.t(|t| m(t.x) >= 3)),
        ),
        case(
            "select t.x, s.y from s join t on m(t.x) = m(s.x) + 3 where f(t.y) > {50} and s.x < 20",
            |d| {
                none()
                    .f(d.n())
                    .m(d.t(|t| f(t.y) > Some(d.percent(50))) + d.s(|s| s.x < 20))
            },
        ),
        // References of one table, and keys of two tables.
        case(
            "select f(a.x), c.z from t a join s b on a.z = b.x join t c on b.y = c.x where c.y < 20",
            |d| none().f(d.t_of_s(|a, b| a.z == b.x && d.t[b.y as usize].y < 20)),
        ),
        case(
            "select f(a.x) from t a, s b, t c where a.z = b.x and a.y = c.x and b.y = c.z",
            |d| none().f(d.t_of_s(|a, b| a.z == b.x && b.y == d.t[a.y as usize].z)),
        ),
        case(
            "select m(s.y), t.y from s join t on s.x = t.z where t.x in (select x from s where z > 3)",
            |d| {
                let is_in = |t: &Row| d.s.get(t.x as usize).is_some_and(|s| s.z > 3);
                none().m(d.s_of_t(|t, s| s.x == t.z && is_in(t)))
            },
        ),
        // A view below a join that leaves rows to a predicate above it.
        case(
            "select a from v where x in (select x from s) or y < 3",
            |d| none().f(d.t(|t| t.x < d.s.len() as i64 || t.y < 3)),
        ),
        case(
            "select v.a from v left join s on v.x = s.x where s.x is null",
            |d| none().f(d.t(|t| t.x >= d.s.len() as i64)),
        ),
        case(
            "select v.a from s right join v on v.x = s.x where s.y > 3 or s.x is null",
            |d| none().f(d.t(|t| d.s.get(t.x as usize).is_none_or(|s| s.y > 3))),
        ),
        // A condition that calls, of a side that keeps rows without a match: those with one.
        case(
            "select x from t where not exists (select 1 from s where s.x = t.x and f(t.y) > 3)",
            |d| none().f(d.k()),
        ),
        case(
            "select t.x, s.y from t left join s on t.x = s.x and f(t.x) > s.y",
            |d| none().f(d.k()),
        ),
        case(
            "select t.x, f(t.x), s.y from t left join s on t.x = s.x and f(t.x) > 3",
            |d| none().f(d.n()),
        ),
        case(
            "select t.x, s.y from t full join s on t.x = s.y and f(t.y) > 3 and m(s.y) > 2",
            |d| {
                none()
                    .f(d.t_of_s(|t, s| t.x == s.y))
                    .m(d.s_of_t(|t, s| t.x == s.y))
            },
        ),
        case(
            "select t.x, s.y from s right join (select x, g(z) b from t) t on t.x = s.x and s.y > 3 and f(t.b) > 3",
            |d| {
                let matched = d.s(|s| s.y > 3);
                none().g(matched).f(matched)
            },
        ),
        case(
            "select x from t where exists (select 1 from s where s.x = t.z and f(t.y) > 30) or y < 3",
            |d| none().f(d.t_of_s(|t, s| t.y >= 3 && s.x == t.z)),
        ),
        // Arms of a union.
        case(
            "select u.a from (select x, f(x) a from t union all select x, g(x) from s) u join (select y from s where y < 5) k on u.x = k.y",
            |d| {
                let is_key = |x: i64| d.s.iter().any(|s| s.y < 5 && s.y == x);
                none().f(d.t(|t| is_key(t.x))).g(d.s(|s| is_key(s.x)))
            },
        ),
        case(
            "select u.a, f(u.x) from (select x, f(x) a from t union all select x, g(x) from s) u join (select y from s where y < 5) k on u.x = k.y",
            |d| {
                let is_key = |x: i64| d.s.iter().any(|s| s.y < 5 && s.y == x);
                let (t, s) = (d.t(|t| is_key(t.x)), d.s(|s| is_key(s.x)));
                none().f(2 * t + s).g(s)
            },
        ),
        // The first rows of groups.
        case(
            "select distinct on (z) z, f(x) from t order by z, y",
            |_| none().f(100),
        ),
        case(
            "select distinct on (m(z)) x, f(x) from t order by m(z), y desc",
            |d| none().m(d.n()).f(7),
        ),
        case(
            "select distinct on (z) z, f(x) from t where g(y) > {20} order by z, y limit 5",
            |d| none().g(d.n()).f(5),
        ),
        case(
            "select z, first_value(f(x) order by y), last_value(h(x, y, z) order by y desc), sum(g(x)) from t group by z",
            |d| none().f(100).h(100).g(d.n()),
        ),
        case(
            "select z, first_value(f(x) order by y), max(f(x)) from t group by z",
            |d| none().f(d.n()),
        ),
        // What a subquery is compared with.
        case(
            "select x, m(x) from t where m(x) > (select min(y) from s where s.x = t.x)",
            |d| none().m(d.k()),
        ),
        // An offset alone.
        case("select f(x), x from t order by x offset 190", |d| {
            none().f(d.n() - 190)
        }),
        case(
            "select f(x) + 1, x from t where g(y) > {30} order by y desc offset 40",
            |d| {
                let passing = d.t(|t| g(t.y) > d.percent(30));
                none().g(d.n()).f(passing - 40)
            },
        ),
        // Correlated aggregates.
        case(
            "select x, (select count(*) from s where s.x = m(t.x)) c from t",
            |d| none().m(d.n()),
        ),
        case(
            "select x, (select count(f(y)) from s where s.x = t.z) c from t where x < {25}",
            |d| none().f(d.s_of_t(|t, s| t.z == s.x && t.x < d.percent(25))),
        ),
        case(
            "select x, (select m(count(*)) from s where s.x = t.z) r from t",
            |d| none().m_within(d.groups_and_none(|_| true)),
        ),
        case(
            "select x, (select coalesce(m(c + 1), 1) + 1 from (select count(*) c from s where s.x = t.z)) r from t where y < {30}",
            |d| none().m_within(d.groups_and_none(|t| t.y < d.percent(30))),
        ),
        case(
            "select x, (select m(sum(g(y)) + count(*)) + 1 from s where s.x = t.z having count(*) > 0) r from t",
            |d| {
                let groups = d.s_of_t(|t, s| t.z == s.x);
                none().g(groups).m(groups)
            },
        ),
        case(
            "select x from t where m(x) = (select m(count(*)) from s where s.x = t.z) and y < {30}",
            |d| {
                let is_left = |t: &Row| t.y < d.percent(30);
                let (left, both) = (d.t(is_left), d.groups_and_none(is_left));
                none().m_within(left + both.start()..=left + both.end())
            },
        ),
        case(
            "select t.x, q.a from t left join lateral (select f(s.y) a from s where s.x = t.z) q on true",
            |d| none().f(d.s_of_t(|t, s| t.z == s.x)),
        ),
        // Rows that a union of joins or a list repeats.
        case(
            "select f(x) from (select t.x from t join s on m(t.z) = s.x union all select s.x from t join s on t.z = s.x)",
            |d| {
                let joined = d.t_of_s(|t, s| m(t.z) == s.x);
                none().m(d.n()).f(joined + d.s_of_t(|t, s| t.z == s.x))
            },
        ),
        case(
            "select q.x, f(q.x), q.u from (select x, unnest([1, 2, 3]) u from t where x < {30}) q where q.u + q.x > 3",
            |d| none().f(d.t(|t| 3 + t.x > 3 && t.x < d.percent(30))),
        ),
        // Calls below a list's items wait for what drops these.
        case(
            "select x1, u, a from (select x x1, f(y) a, unnest([x, y]) u from t) where m(x1) > 3",
            |d| none().m(d.n()).f(d.t(|t| m(t.x) > 3)),
        ),
        case(
            "select x1, u, a from (select x x1, f(y) a, unnest([x, y]) u from t) where u > {75}",
            |d| none().f(d.t(|t| t.x.max(t.y) > d.percent(75))),
        ),
        case(
            "select u, a from (select x x1, f(y) a, unnest([x, y + 1000]) u from t) order by u limit 5",
            |_| none().f(5),
        ),
        case(
            "select a, unnest(unnest(us)) w from (select g(x) a, [[x], [y + 1000, null]] us from t where y > 2) order by w limit 5",
            |_| none().g(5),
        ),
        case(
            "select q.a, s.y from (select f(y) a, unnest([x, y]) u from t) q join s on s.x = q.u",
            |d| none().f(d.t(|t| d.any_s(|s| s.x == t.x || s.x == t.y))),
        ),
        // Predicates on calls of both sides.
        case(
            "select q.a from (select x, f(y) a from t where m(y) > 3) q join (select x k from s where g(y) < 10) r on q.x = r.k",
            |d| {
                let is_right = |x: i64| d.s.get(x as usize).is_some_and(|s| g(s.y) < 10);
                none()
                    .m(d.k())
                    .g(d.s(|s| m(d.t[s.x as usize].y) > 3))
                    .f(d.t(|t| m(t.y) > 3 && is_right(t.x)))
            },
        ),
        // What a side is reduced by may lose a join of which nothing is read.
        case(
            "select c.sy from t a right join t b on a.y = b.z join (select x sx, y sy, m(x) sm from s) c on b.x = c.sy and a.z = c.sm",
            |d| none().m(d.k()),
        ),
        // What leaves fewer rows above an outer join.
        case(
            "select o.a, p.y from v o left join s p on o.y = p.x where p.z in (select z from s where x < 4)",
            |d| {
                let is_in = |t: &Row| d.s.get(t.y as usize).is_some_and(|s| s.z < 4);
                none().f(d.t(is_in))
            },
        ),
        case(
            "select o.a, p.z from v o left join s p on o.y = p.x order by p.z desc nulls last, o.x limit 5",
            |_| none().f(5),
        ),
        case(
            "select o.a from v o left join s p on o.y = p.x left join s q on q.x = o.x where coalesce(q.y, 0) > 12",
            |d| none().f(d.t(|t| d.s.get(t.x as usize).is_some_and(|q| q.y > 12))),
        ),
        // Columns of one name.
        case(
            "select a from (select case when q1.y > 20 or q0.b = 3 then m(q0.b) else q0.d end a from pv q0 join t q1 on q0.x = q1.z) where a > 3 and a < 6 and a is not null",
            |d| {
                let joined = |t: &Row| t.x < 100.min(d.n() as i64);
                let any = |t: &Row, is_so: fn(bool) -> bool| {
                    let b = f(t.x).map(g);
                    let mut others = d.t.iter().filter(|q1| q1.z == t.x);
                    others.any(|q1| is_so(q1.y > 20 || b == Some(3)))
                };
                let of_b = d.t(|t| some(t.x) && any(t, |is_first| is_first));
                let of_y = d.t(|t| any(t, |is_first| !is_first));
                none()
                    .f(d.t(joined))
                    .g(d.t(|t| joined(t) && some(t.x)))
                    .m(of_b + of_y)
            },
        ),
        case(
            "select w.b, w.c from s q2 join (select q0.x a, q1.x b, g(q0.x + q1.x) c from p q0 join p q1 on q0.y = q1.z) w on w.b = q2.x + 50 join t k on w.c = k.y where q2.y < 10",
            |d| {
                let is_wanted = |x: i64| d.s.iter().any(|s| s.y < 10 && x == s.x + 50);
                let wanted = d.t.iter().filter(|q1| is_wanted(q1.x));
                none().g(wanted.map(|q1| d.t(|q0| q0.y == q1.z)).sum())
            },
        ),
        case(
            "select q1.z c0, q1.y c1, f(q0.y) c3 from t q0 join p q1 on q0.z = q1.x where m(q1.y) < (select sum(q2.x) e from s q2 where q2.y = q0.y)",
            |d| {
                let sum = |q0: &Row| {
                    let mut groups = d.s.iter().filter(|q2| q2.y == q0.y).map(|q2| q2.x);
                    groups.next().map(|x| x + groups.sum::<i64>())
                };
                let of = |q0: &Row| &d.t[q0.z as usize];
                let is_of_group = |q0: &&Row| sum(q0).is_some();
                let mut others: Vec<i64> =
                    d.t.iter().filter(is_of_group).map(|q0| of(q0).x).collect();
                others.sort_unstable();
                others.dedup();
                none()
                    .m(others.len())
                    .f(d.t(|q0| Some(m(of(q0).y)) < sum(q0)))
            },
        ),
        // Outer joins whose padded rows are dropped above.
        case(
            "select q1.b from t q0 left join v q1 on q0.y = q1.y join k q2 on q1.x = q2.y",
            |d| none().g(d.t_of_s(|q1, q2| q1.x == q2.y)),
        ),
        case(
            "select q0.a from v q0 right join t q2 on q0.y = q2.y where f(q2.x) > 40 and m(q0.x) > 2",
            |d| {
                let left = d.t(|t| over(t.x, 40) && m(t.x) > 2);
                none().f(d.n() + left).m(d.t(|t| over(t.x, 40)))
            },
        ),
        case(
            "select q0.a, q2.x from v q0 full join s q2 on q0.y = q2.y where m(q0.x) > 2",
            |d| none().f(d.t(|t| m(t.x) > 2)).m(d.n()),
        ),
        case(
            "select o.a, p.y from v o left join s p on o.y = p.x where coalesce(m(p.y), 0) < 3",
            |d| {
                let is_left = |t: &Row| d.s.get(t.y as usize).is_none_or(|s| m(s.y) < 3);
                none().f(d.t(is_left)).m(d.k())
            },
        ),
        // Calls of what a join pads.
        case(
            "select t.x, v.a from t left join v on t.z = v.x order by t.x limit 10",
            |_| none().f(10),
        ),
        case(
            "select t.x, v.a from t full join v on t.z = v.x order by t.x limit 10",
            |_| none().f(10),
        ),
        case(
            "select t.x, q.a from t left join (select x, f(y) a from s) q on t.z = q.x where m(t.y) = 3",
            |d| {
                none()
                    .m(d.n())
                    .f(d.s_of_t(|t, s| m(t.y) == 3 && t.z == s.x))
            },
        ),
        case(
            "select q0.a from v q0 right join t q2 on q0.y = q2.y where f(q2.x) > 40",
            |d| none().f(d.n() + d.t(|t| over(t.x, 40))),
        ),
        case(
            "select t.x, q.c from t left join (select x, coalesce(f(y), 0) c from s) q on t.z = q.x order by t.x desc limit 10",
            |d| none().f(d.s_of_t(|t, s| t.z == s.x)),
        ),
        // A sum of whole numbers is the same each time.
        case(
            "select q.a from (select x, z, f(y) a from t) q join (select x, 0.5 * sum(y) k from s group by x) w on q.z = w.x and q.x < w.k",
            |d| none().f(d.t_of_s(|t, s| s.x == t.z && 2 * t.x < s.y)),
        ),
        case(
            "select q0.x from t q0 join t q1 on q0.y = q1.z where f(q0.x) + random() > -1 and m(q1.y) > 3",
            |d| {
                let is_joined = |q1: &Row| d.t.iter().any(|q0| q0.y == q1.z && some(q0.x));
                none().f(d.t(|q0| q0.y < 100)).m(d.t(is_joined))
            },
        ),
        // Any and all.
        case("select x from t where x <> all (select m(y) from s)", |d| {
            none().m(d.k())
        }),
        case(
            "select x from t where f(x) = any (select f(y) from s)",
            |d| none().f(d.n() + d.k()),
        ),
        case("select x from t where x > all (select m(y) from s)", |d| {
            none().m(d.k())
        }),
        case("select x from t where x < any (select f(y) from s)", |d| {
            none().f(d.k())
        }),
        case(
            "select x from t where m(x) >= all (select m(y) from s where s.z = t.z) and y < {30}",
            |d| {
                let is_left = |t: &Row| t.y < d.percent(30);
                none().m(d.t_of_s(|t, s| is_left(t) && s.z == t.z)
                    + d.s_of_t(|t, s| is_left(t) && s.z == t.z))
            },
        ),
        // What leaves fewer rows above an inner join.
        case(
            "select q.a, w.c from (select x, f(y) a from s) q join (select x, z, g(y) c from t) w on q.x = w.z order by w.x desc limit 30",
            |d| {
                let mut joined: Vec<&Row> = d.t.iter().filter(|t| t.z < d.k() as i64).collect();
                joined.sort_by_key(|t| -t.x);
                let mut first: Vec<i64> = joined.iter().take(30).map(|t| t.z).collect();
                first.sort_unstable();
                first.dedup();
                none().f(first.len()).g(30)
            },
        ),
        case(
            "select v.a, rank() over (order by s.y) r from v join s on v.x = s.x qualify r < 4",
            |_| none().f(3),
        ),
        case(
            "select v.a from t q0 join v on q0.z = v.y where not exists (select 1 from s where s.x = v.x) and q0.x < 30",
            |d| none().f(d.t(|v| v.y < 30 && v.x >= d.k() as i64)),
        ),
        case(
            "select q0.x from s q0 join t q1 on q0.y = q1.y where q1.y > (select max(m(q2.x)) from t q2)",
            |d| none().m(d.n()),
        ),
        case(
            "select case f(x) when 1 then 2 when g(y) then 3 end from t",
            |d| none().f(d.n()).g(d.t(|t| some(t.x))),
        ),
        // A branch below a predicate, and all that it leaves above.
        case(
            "select a from v where (x < {25} or a > {150}) and b > 3",
            |d| {
                let is_in_branch = |t: &Row| t.x >= d.percent(25);
                none()
                    .f(d.t(|t| is_in_branch(t) || g(t.y) > 3))
                    .g(d.t(|t| !is_in_branch(t) || over(t.x, d.percent(150))))
            },
        ),
        case(
            "select b from (select case when a > {150} then m(b) end k, b from v) where k = 2",
            |d| {
                let reached = d.t(|t| over(t.x, d.percent(150)));
                none().f(d.n()).g(reached).m(reached)
            },
        ),
        case(
            "select sum(a), max(d) from pv where case when x < {10} then a > 10 else y > 15 end and m(d) > 1",
            |d| {
                let is_in_branch = |t: &Row| t.x < d.percent(10);
                let passes = |t: &Row| match is_in_branch(t) {
                    true => over(t.x, 10),
                    false => t.y > 15,
                };
                none()
                    .f(d.t(|t| is_in_branch(t) || (passes(t) && m(m(t.y)) > 1)))
                    .m(2 * d.t(passes))
            },
        ),
        case(
            "select v.y from t left join v on t.z = v.y left join s on v.x = s.z where v.y > (select min(m(y)) from k)",
            |d| none().m(d.k()),
        ),
        case(
            "select a.x, f(b.y) d from t a join t b on a.z = b.z where a.x > {50} or f(b.y) is null",
            |d| none().f(d.n()),
        ),
        case(
            "select x, m(g(f(y))) l from t where x > {50} or m(g(f(y))) > 3",
            |d| {
                let made = d.t(|t| some(t.y));
                none().f(d.n()).g(made).m(made)
            },
        ),
        // A call of constants that each row reaches is made once for the query; one with a guard, or
        // above rows that are constant, once in each partition that has a row for it: eight at most.
        case(
            "select case when x < {30} then g(f(4)) end, case when m(5) = 5 then g(m(5)) end from t",
            |_| none().f_within(1..=8).g_within(2..=16).m(1),
        ),
        case("select coalesce(f(x), f(3), g(f(4))) from t", |d| {
            none().f_within(d.n() + 2..=d.n() + 16).g_within(1..=8)
        }),
        case("select x from t where x in (1, 2, f(4))", |_| {
            none().f_within(1..=8)
        }),
        case("select case when x < 0 then f(7) end from t", |_| none()),
        case(
            "select case when x < {25} then g((select max(x) from s)) end from t",
            |_| none().g_within(1..=8),
        ),
        // What is looked for only if something else does not hold.
        case(
            "select x from t where y > {90} and (x < 0 or exists (select 1 from s where s.x = t.z and f(s.y) > 3))",
            |d| none().f(d.s_of_t(|t, s| t.y > d.percent(90) && s.x == t.z)),
        ),
        case(
            "select x from t where y > 10 or exists (select 1 from s where s.x = t.z and f(s.y) > 3)",
            |d| none().f(d.s_of_t(|t, s| t.y <= 10 && s.x == t.z)),
        ),
        case(
            "select x from t where y > 10 and (x < {20} or z not in (select x from s where f(s.y) > 3 and s.y = t.y))",
            |d| {
                let is_open = |t: &Row| t.y > 10 && t.x >= d.percent(20);
                none().f(d.s_of_t(|t, s| is_open(t) && s.x == t.z && s.y == t.y))
            },
        ),
        case(
            "select x from t where y > all (select f(s.y) from s where s.x = t.z) or x < {60}",
            |d| none().f(d.s_of_t(|t, s| t.x >= d.percent(60) && s.x == t.z)),
        ),
        case(
            "select x from t where not (f(x) >= all (select s.y from s where s.x = t.z)) or y > 10",
            |d| none().f(d.t_of_s(|t, s| t.y <= 10 && s.x == t.z)),
        ),
        case(
            "select x from t where (not y > any (select f(s.y) from s where s.x = t.z)) and x < {60}",
            |d| none().f(d.s_of_t(|t, s| t.x < d.percent(60) && s.x == t.z)),
        ),
        case(
            "select x from t where z > {50} or exists (select 1 from s where f(s.y) = t.x and g(s.x) < 5)",
            |d| none().g(d.k()).f(d.s(|s| g(s.x) < 5)),
        ),
        case(
            "select x from t where z > {50} or not exists (select 1 from s where f(s.y) > t.x)",
            |d| none().f(d.k()),
        ),
        case(
            "select max(coalesce((select max(s.y) from s where s.x = q.x), 0)), max(q.a) from (select *, f(x) a, m(y) d from t) q where q.d = 3",
            |d| none().m(d.n()).f(d.t(|t| m(t.y) == 3)),
        ),
        // Padded rows of a view, of what a predicate with calls, a limit or a window leaves.
        case(
            "select a.x, c.a from pv a left join v c on c.x = a.y where a.d = 2",
            |d| {
                let read = d.ys(|a| m(a.y) == 2);
                none().m(d.n()).f(d.t(|c| read.contains(&c.x)))
            },
        ),
        case(
            "select c.a, a.y from v c right join (select * from pv where d = 2) a on c.x = a.y",
            |d| {
                let read = d.ys(|a| m(a.y) == 2);
                none().m(d.n()).f(d.t(|c| read.contains(&c.x)))
            },
        ),
        case(
            "select a.x, count(c.a) from pv a join pv b on b.x = a.y left join v c on c.x = b.y where a.d = 2 and b.d = 3 group by a.x",
            |d| {
                let of_b = d.ys(|a| m(a.y) == 2);
                let of_c = d.ys(|b| m(b.y) == 3 && of_b.contains(&b.x));
                none()
                    .m(d.n() + d.t(|b| of_b.contains(&b.x)))
                    .f(d.t(|c| of_c.contains(&c.x)))
            },
        ),
        case(
            "select q.y, v.a from (select x, y from s order by y, x limit 3) q left join v on v.x = q.y",
            |d| {
                let mut first: Vec<(i64, i64)> = d.s.iter().map(|s| (s.y, s.x)).collect();
                first.sort_unstable();
                none().f(d.t(|t| first[..3].iter().any(|(y, _)| *y == t.x)))
            },
        ),
        case(
            "with r as (select y, z, row_number() over (partition by z order by y desc, x) n from t) select r.y, v.a from r left join v on v.x = r.y where r.n = 1 and r.z < 5",
            |d| {
                let of = |z: i64| d.t.iter().filter(|t| t.z == z).map(|t| t.y).max();
                let read: Vec<_> = (0..5).filter_map(of).collect();
                none().f(d.t(|t| read.contains(&t.x)))
            },
        ),
        case(
            "with recursive r(n) as (select 0 union all select n + 1 from r where n < 9) select r.n, v.a from r left join v on v.x = r.n * 10 where r.n >= 0 or v.a > 10",
            |_| none().f(10),
        ),
        // Keys that other keys decide are made once a group, with what reads them.
        case(
            "select z, f(z), g(f(z)) + 1, sum(m(y)) from t group by z, f(z), g(f(z)) + 1",
            |d| {
                let groups = d.distinct(|t| t.z);
                none()
                    .m(d.n())
                    .f(groups.len())
                    .g(groups.iter().filter(|z| some(**z)).count())
            },
        ),
        case("select distinct z, f(z) from t", |d| {
            none().f(d.distinct(|t| t.z).len())
        }),
        case("select z, f(z), sum(f(z)) from t group by z, f(z)", |d| {
            none().f(d.n())
        }),
        case(
            "select z, y, f(z + y), count(*) from t group by z, y, f(z + y) order by z, y limit 5",
            |_| none().f(5),
        ),
        // Predicates on keys of a window's partitions.
        case(
            "select * from (select x, z, a, lag(b) over (partition by z order by x) l from pv) where m(z) = 3",
            |d| {
                none()
                    .m(d.n())
                    .f(d.t(|t| m(t.z) == 3))
                    .g(d.t(|t| m(t.z) == 3 && some(t.x)))
            },
        ),
        case(
            "select x, z from (select x, z, row_number() over (partition by z order by x) n from t) where n = 1 and m(z) = 3",
            |d| none().m(d.distinct(|t| t.z).len()),
        ),
        // Correlated scalar subqueries, wherever they stand and whatever stands beside them.
        case(
            "select x, coalesce((select max(f(t.y)) from t where t.z = s.x), 0) + 1 from s where (select min(m(t.y)) from t where t.z = s.x) between 0 and 4",
            |d| {
                let of = |s: &Row| d.t.iter().filter(|t| t.z == s.x).map(|t| m(t.y)).min();
                none().m(d.t_of_s(|t, s| t.z == s.x)).f_within(
                    d.t_of_s(|t, s| t.z == s.x && of(s).is_some_and(|k| k <= 4))
                        ..=d.t_of_s(|t, s| t.z == s.x),
                )
            },
        ),
        case(
            "select sum(coalesce((select max(f(t.y)) from t where t.z = s.x), 0)) from s",
            |d| none().f(d.t_of_s(|t, s| t.z == s.x)),
        ),
        case(
            "select s.x, (select count(*) from t where t.z = s.x and m(t.y) = 2) a, (select max(g(t.y)) from t where t.z = s.x and t.x > 3) b from s",
            |d| {
                none()
                    .m(d.t_of_s(|t, s| t.z == s.x))
                    .g(d.t_of_s(|t, s| t.z == s.x && t.x > 3))
            },
        ),
        // The five rows need those of z < 5; but DataFusion leaves a limit above the join that it makes
        // of the subquery, so the groups of all rows of s may be made.
        case(
            "select s.x, (select max(f(t.y)) from t where t.z = s.x) from s order by s.x limit 5",
            |d| none().f_within(d.t(|t| t.z < 5)..=d.t(|t| t.z < d.k() as i64)),
        ),
        case(
            "select x from t where f(z) > (select avg(q.z) from t q where q.y = t.x and m(q.x) = 3)",
            |d| {
                let read = d.ys(|q| m(q.x) == 3);
                none().m(d.n()).f(d.t(|t| read.contains(&t.x)))
            },
        ),
        case(
            "select x from t where f(x) > 2 * (select avg(g(q.y)) from t q where q.y = t.x and f(q.x) < {50})",
            |d| {
                let is_of = |q: &Row| f(q.x).is_some_and(|a| a < d.percent(50));
                let read = d.ys(is_of);
                none().f(d.n() + d.t(|t| read.contains(&t.x))).g(d.t(is_of))
            },
        ),
        // Calls that are one column, as keys of an aggregate's order.
        case(
            "select distinct on (f(x)) x, a from v order by f(x), a desc, x",
            |d| none().f(d.n()),
        ),
        case(
            "select x, array_agg(y order by m(x), d) from (select x, y, m(x) d from s) group by x",
            |d| none().m(d.k()),
        ),
        case(
            "select x from t where z < {20} or x <> all (select f(s.y) from s where s.x <> 3)",
            |d| none().f(d.s(|s| s.x != 3)),
        ),
        case(
            "select x from t where not x = any (select f(s.y) from s where s.z = t.z) or y > 12",
            |d| none().f(d.s_of_t(|t, s| t.y <= 12 && s.z == t.z)),
        ),
        case(
            "select x, (select coalesce(g(max(s.y)), -1) from s where s.x = t.z having max(s.y) > 5) a from t",
            |d| none().g(d.s(|s| s.y > 5 && d.t.iter().any(|t| t.z == s.x))),
        ),
        // A call on the value of a subquery.
        case(
            "select x from t where x > f((select max(y) - 1 from s))",
            |_| none().f(1),
        ),
        case(
            "select z, count(*) from t group by z having count(*) > m((select sum(m(y)) from s))",
            |d| none().m(1 + d.k()),
        ),
        // The first of all rows.
        case("select first_value(f(x) order by y desc) from t", |_| {
            none().f(1)
        }),
        case(
            "select last_value(g(f(x)) order by y), count(*) from t where m(y) = 3",
            |d| {
                let last = d.t.iter().filter(|t| m(t.y) == 3).max_by_key(|t| t.y);
                none()
                    .m(d.n())
                    .f(1)
                    .g(last.filter(|t| some(t.x)).iter().count())
            },
        ),
        case(
            "select first_value(coalesce(f(x), 0) order by y) from t where x < 0",
            |_| none(),
        ),
        // A key beside a column that it casts.
        case(
            "select v.a from s join v on cast(s.z as int) = cast(v.x as int) and s.z + 1 > v.x and v.x < 10",
            |d| none().f(d.t_of_s(|t, s| s.z == t.x && t.x < 10)),
        ),
        case(
            "select v.a from v join s on cast(v.x as int) = cast(s.z as int) and s.z > v.y",
            |d| none().f(d.t_of_s(|t, s| s.z == t.x && s.z > t.y)),
        ),
        // Calls that wait for a limit, once more where one of them had calls below it.
        case(
            "select v.a, g(k.y) + 1 from k join v on v.x = k.y and (v.a = 10 or v.x = 3) order by k.x limit 1",
            |d| {
                let first =
                    d.s.iter()
                        .filter(|k| k.y == 5 || k.y == 3)
                        .min_by_key(|k| k.x);
                let completed = first.filter(|k| k.y == 3).iter().count();
                none().f(d.k() - 1 + completed).g(1)
            },
        ),
        case(
            "select first_value(coalesce(f(x), 0) order by y), last_value(g(x) + z order by x) from t",
            |_| none().f(1).g(1),
        ),
        // Keys that are computed.
        case(
            "select z + 1, f(z + 1), count(*) from t group by z + 1, f(z + 1)",
            |d| none().f(d.distinct(|t| t.z).len()),
        ),
        case(
            "select z, f(z), g(f(z)), sum(f(z)) from t group by z, f(z), g(f(z))",
            |d| {
                let groups = d.distinct(|t| t.z).into_iter();
                none().f(d.n()).g(groups.filter(|z| some(*z)).count())
            },
        ),
        case(
            "select distinct z % 5, f(z % 5) from t where f(z % 5) > 3",
            |d| none().f(d.n()),
        ),
        // A constant column as a key.
        case(
            "select e.x, o.a from (select 1 c0, x, f(x) a from t) o join s e on e.z = o.c0 where o.a > e.y",
            |d| none().f(d.n()),
        ),
        case(
            "select e.z, o.a from (select 1 c0, x, f(x) a from t) o join (select z, x from s order by x limit 10) e on e.z = o.c0 and e.x = o.x",
            |_| none().f(1),
        ),
        case(
            "select e.x, o.a from s e left join (select 1 c0, x, f(x) a from t) o on e.z = o.c0 and o.a > e.x",
            |d| none().f(d.n()),
        ),
        // Calls of constants are free for the rows: g(5) once, and g(6), which is for those that are
        // not g(5), once in each of up to eight partitions.
        case(
            "select x from t where x in (g(5), g(6)) and f(y) > 5",
            |_| none().f(2).g_within(2..=9),
        ),
        case(
            "select x from v2 where a in (select x from t order by f(y))",
            |d| none().f(d.n()),
        ),
        // A branch by the other side, and a call of the call above.
        case(
            "select l.x, m(g(l.y)) from t l join t q on q.z = l.z where q.y between {10} and g(l.y)",
            |d| {
                let mut least: HashMap<i64, i64> = HashMap::new();
                for q in d.t.iter().filter(|q| q.y >= d.percent(10)) {
                    let known = least.entry(q.z).or_insert(q.y);
                    *known = q.y.min(*known);
                }
                let joined = |l: &Row| least.get(&l.z).copied();
                none()
                    .g(d.t(|l| joined(l).is_some()))
                    .m(d.t(|l| joined(l).is_some_and(|y| y <= g(l.y))))
            },
        ),
        // A group by what is the same for all rows.
        case(
            "select m(q.x), count(*) from (select 3 x, y from s) q where q.y > {200} group by m(q.x)",
            |_| none(),
        ),
        case(
            "select distinct g(q.x) from (select 3 x, y, f(y) a from s) q where q.a > 2",
            |d| none().f(d.k()).g_within(1..=8),
        ),
        // More groups than rows that are called for.
        case(
            "select distinct s.x, v.y, v.b from s join v on s.x % 5 = v.y % 5 and s.x < 20",
            |d| none().g(d.n()),
        ),
        case(
            "select s.x, v.y, v.b, count(*) from s left join v on s.x % 5 = v.y % 5 and s.x < 20 group by 1, 2, 3",
            |d| none().g(d.n()),
        ),
        case(
            "select distinct on (s.x, v.y) s.x, v.y, v.b from s join v on s.x % 5 = v.y % 5 and s.x < 20 order by s.x, v.y",
            |d| none().g(d.n()),
        ),
        case(
            "select v.y, v.b, count(*) from s join v on s.x % 5 = v.y % 5 and s.x < 20 group by v.y, v.b",
            |d| none().g(d.n()),
        ),
        // A view beside itself.
        case(
            "select * from (select x x2, coalesce(b, 1) b2 from pv) join pv on x2 = z",
            |d| {
                let zs = d.distinct(|t| t.z);
                let sides = d.t(|t| zs.contains(&t.x)) + d.n();
                let called = d.t(|t| zs.contains(&t.x) && some(t.x)) + d.t(|t| some(t.x));
                none().f(sides).g(called).m(d.n())
            },
        ),
        case(
            "select distinct on (s.x) s.x, f(t.y) from t join s on t.z = s.x order by s.x, t.y",
            |d| none().f(d.s_of_t(|t, s| t.z == s.x)),
        ),
        // Keys of which one is part of another.
        case(
            "select y, y * b, m(y * b), count(*) from v where b > 5 group by y, y * b, m(y * b)",
            |d| none().g(d.n()).m(d.t(|t| g(t.y) > 5)),
        ),
        case(
            "select distinct x, y, w, f(y + 1) from (select t.y x, t.x y, t.y + 1 w from t) t",
            |d| none().f(d.n()),
        ),
        // A constant in EXISTS and IN beside another term.
        case(
            "select x from t where exists (select 1 from s where g(x) > 4) or y > {50}",
            |d| none().g(d.k()),
        ),
        case(
            "select x from t where x not in (select 2 from s where g(x) > 4) or y > {50}",
            |d| {
                let is_asked = d.t.iter().any(|t| t.x == 2 && t.y <= d.percent(50));
                none().g(if is_asked { d.k() } else { 0 })
            },
        ),
    ]
}
