//! Joins of several kinds and depths: a call is made once for each row of its side that the
//! joins and predicates leave.

use super::cases::{Case, case, none, some};
use super::fixture::{Data, Row, f, g, m};

impl Data {
    /// Whether some row of `s` is so.
    pub(super) fn any_s(&self, is_so: impl Fn(&Row) -> bool) -> bool {
        self.s.iter().any(is_so)
    }

    /// Whether some row of `t` is so.
    fn any_t(&self, is_so: impl Fn(&Row) -> bool) -> bool {
        self.t.iter().any(is_so)
    }
}

pub(super) fn sides() -> Vec<Case> {
    vec![
        // Joins that multiply the rows of a side.
        case(
            "select sum(f(t.x)), sum(s.y) from t cross join s where s.x < 30",
            |d| none().f(d.n()),
        ),
        case(
            "select sum(f(s.x) - m(t.x)) from t, s where s.x < 30",
            |d| none().f(d.s(|s| s.x < 30)).m(d.n()),
        ),
        case(
            "select s.x, count(f(s.x)) from s join t on s.x < t.z where s.x < 30 group by s.x",
            |d| none().f(d.s(|s| s.x < 30 && d.any_t(|t| s.x < t.z))),
        ),
        case(
            "select sum(f(s.x)) from s join t on s.x < t.z and s.y > 3",
            |d| none().f(d.s(|s| s.y > 3 && d.any_t(|t| s.x < t.z))),
        ),
        case(
            "select s.x, f(s.x), t.y from s left join t on s.x = t.z",
            |d| none().f(d.k()),
        ),
        case("select t.x, f(s.y) from t left join s on t.z = s.x", |d| {
            none().f(d.s(|s| d.any_t(|t| t.z == s.x)))
        }),
        case(
            "select t.x, f(s.y) from t left join s on t.z = s.x where f(s.y) > 5",
            |d| none().f(d.s(|s| d.any_t(|t| t.z == s.x))),
        ),
        case(
            "select t.x, f(s.y), g(t.y) from t full join s on t.z = s.x",
            |d| none().f(d.k()).g(d.n()),
        ),
        case(
            "select t.x, s.x from s right join t on s.x = t.z and f(t.y) > 5 where t.y < {40}",
            |d| none().f(d.t(|t| t.y < d.percent(40) && d.any_s(|s| s.x == t.z))),
        ),
        case(
            "select s.z from v left join s on v.y = s.y and v.b >= 3",
            |d| none().g(d.t(|t| d.any_s(|s| s.y == t.y))),
        ),
        case(
            "select s.z, v.a from v left join s on v.y = s.y and v.b >= 3 and s.x < v.x",
            |d| {
                none()
                    .f(d.n())
                    .g(d.t(|t| d.any_s(|s| s.y == t.y && s.x < t.x)))
            },
        ),
        case(
            "select t.x from t left join (select y, x % 5 k from s where m(y) > 2) q on t.z = q.k and g(t.y) < q.y",
            |d| none().m(d.k()).g(d.t(|t| d.any_s(|s| s.x % 5 == t.z))),
        ),
        case(
            "select x from v where not exists (select 1 from s where v.y = s.y and v.b >= 3)",
            |d| none().g(d.t(|t| d.any_s(|s| s.y == t.y))),
        ),
        case(
            "select s.z from s full join v on v.y = s.y and g(v.b) >= 3",
            |d| none().g(2 * d.t(|t| d.any_s(|s| s.y == t.y))),
        ),
        case(
            "select s.x, v.a from s left join v on s.x = v.x and s.y > 3",
            |d| none().f(d.t(|t| d.any_s(|s| s.x == t.x && s.y > 3))),
        ),
        case(
            "select s.x, f(t.y) from s left join t on s.x = t.z and s.y > 3",
            |d| none().f(d.t(|t| d.any_s(|s| s.x == t.z && s.y > 3))),
        ),
        case(
            "select sum(f(t.y)) from s join t on s.x < 5 and t.y < 9",
            |d| none().f(d.t(|t| t.y < 9)),
        ),
        // Several joins.
        case(
            "select v.a from v join s s1 on v.x = s1.x join s s2 on v.x = s2.x where s1.y > 10 and s2.z < 5",
            |d| {
                none().f(d.t(|t| {
                    d.any_s(|s| s.x == t.x && s.y > 10) && d.any_s(|s| s.x == t.x && s.z < 5)
                }))
            },
        ),
        case(
            "select m(t.y) from t, s, s s2 where t.z = s.x and s.y = s2.x",
            |d| none().m(d.t(|t| d.any_s(|s| t.z == s.x && d.any_s(|other| s.y == other.x)))),
        ),
        case(
            "select m(a.z), count(*) from t a join t b on a.x = b.y join s c on b.z = c.x where c.y < 3 group by 1",
            |d| none().m(d.t(|a| d.any_t(|b| a.x == b.y && d.any_s(|c| b.z == c.x && c.y < 3)))),
        ),
        case(
            "select v.a, w.b from v join v2 w on v.y = w.x join s on w.y = s.x where v.a > 5",
            |d| {
                let joined = |v: &Row, w: &Row| v.y == w.x && d.any_s(|s| s.x == w.y);
                let is_left = |w: &Row| d.any_t(|v| f(v.x) > Some(5) && joined(v, w));
                none()
                    .f(d.t(|v| d.any_t(|w| joined(v, w))) + d.t(is_left))
                    .g(d.t(|w| some(w.x) && is_left(w)))
            },
        ),
        case(
            "select f(t.y), t.x, s.y from t join s u on t.x = u.x + 1 join s on 100 / t.x = s.x",
            |d| {
                let is_joined = |t: &Row| d.any_s(|s| 100 / t.x == s.x);
                none().f(d.t(|t| d.any_s(|u| t.x == u.x + 1) && is_joined(t)))
            },
        ),
        case(
            "select r.x, v.a from (select q.x, s.y from (select x from t where g(x) > 1) q join s on 100 / q.x = s.x) r join v on v.x = r.x",
            |d| {
                none()
                    .f(d.t(|t| t.x > 0 && d.any_s(|s| 100 / t.x == s.x)))
                    .g(d.n())
            },
        ),
        case(
            "select p.x, p.a from (select x, y, z, f(y) a from t) p join (select x, z, g(x) b from t) q on p.z = q.z and p.x = q.b and 100 / (p.x - q.x) > 0",
            |d| {
                none()
                    .f(d.t(|p| d.any_t(|q| p.z == q.z && p.x == g(q.x))))
                    .g(d.n())
            },
        ),
        case(
            "select case when 100 / x > 3 then a end from (select x, f(x) a, g(x) b from t) q where coalesce(nullif(b, 1), a) > 0",
            |d| none().f(d.n()).g(d.n()),
        ),
        case(
            "select f(q.y) from (select x, y from t where z > 3) q join s on abs(q.x) = s.x",
            |d| none().f(d.t(|t| t.z > 3 && d.any_s(|s| s.x == t.x))),
        ),
        case(
            "select v.a from v join (select t.x, t.y from t where not exists (select 1 from s where s.x = t.y and f(s.y) > 3)) q on v.x = q.x",
            |d| {
                let is_excluded = |t: &Row| d.any_s(|s| s.x == t.y && f(s.y) > Some(3));
                none().f(d.t(|t| !is_excluded(t)) + d.s(|s| d.any_t(|t| t.y == s.x)))
            },
        ),
        // A product with nothing.
        case(
            "select f(100 / t.x), q.y from t cross join (select y from s where y < 0) q",
            |_| none(),
        ),
        case(
            "select sum(f(x)), max(m.y) from t cross join (select max(y) y from s) m",
            |d| none().f(d.n()),
        ),
        // A condition that reads two tables of a side is tested before the calls of either.
        case(
            "select f(a.x) from t a, s b, s c where a.z = b.x and a.y = c.y and b.y = c.x",
            |d| none().f(d.t(|a| d.any_s(|b| a.z == b.x && d.any_s(|c| a.y == c.y && b.y == c.x)))),
        ),
        // A key that is declared unique multiplies nothing: calls wait for what is joined.
        case(
            "select v.a, q.y from v join (select x, y from k where m(y) = 2) q on v.x = q.x",
            |d| none().m(d.k()).f(d.s(|s| m(s.y) == 2)),
        ),
        case(
            "select v.x from (select x, y from k where m(y) = 2) q join v on v.x = q.x where v.a > 5",
            |d| none().m(d.k()).f(d.s(|s| m(s.y) == 2)),
        ),
        case(
            "select v.a, q.y from v join (select x, y from s where m(y) = 2) q on v.x = q.x",
            |d| none().m(d.k()).f(d.s(|s| m(s.y) == 2)),
        ),
        // A column under the name of another that it is made of.
        case("select x, a + 1 as a from v", |d| none().f(d.n())),
        case("select x, coalesce(a, -7) as a, b as x2 from v", |d| {
            none().f(d.n()).g(d.n())
        }),
        case(
            "select q.x, q.a + 1 as a from (select x, f(x) a from t) q where q.a > 3",
            |d| none().f(d.n()),
        ),
        case(
            "select a, x + 1 as x from (select v.x, v.a * 2 as a from v join s on v.x = s.x) where a > 2",
            |d| none().f(d.k()),
        ),
        // A predicate that DataFusion infers anew.
        case(
            "select m(q.e) from (select f(y) d, z as k, g(y) e from t) q join s u on q.k = u.x where u.x > q.d",
            |d| {
                let is_left = |t: &Row| f(t.y).is_some_and(|d| t.z > d);
                none()
                    .f(d.t(|t| d.any_s(|s| s.x == t.z)))
                    .g(d.t(|t| d.any_s(|s| s.x == t.z) && is_left(t)))
                    .m(d.t(|t| d.any_s(|s| s.x == t.z) && is_left(t)))
            },
        ),
        case(
            "select f(p.z) from t p join s u on p.x = u.y join t q on u.z = q.z and p.y < q.z",
            |d| none().f(d.t(|p| d.any_s(|u| p.x == u.y && d.any_t(|q| u.z == q.z && p.y < q.z)))),
        ),
        // What is looked for, and by what.
        case(
            "select x from t where y < {5} and x in (select x from s where f(s.y) > 3)",
            |d| none().f(d.s(|s| d.any_t(|t| t.x == s.x && t.y < d.percent(5)))),
        ),
        case(
            "select x from t where y < {20} and exists (select 1 from s where s.x = t.x and f(s.y) > 3)",
            |d| none().f(d.s(|s| d.any_t(|t| t.x == s.x && t.y < d.percent(20)))),
        ),
        case(
            "select x from t where y < {20} and not exists (select 1 from s where s.x = t.x and f(s.y) > 3)",
            |d| none().f(d.s(|s| d.any_t(|t| t.x == s.x && t.y < d.percent(20)))),
        ),
        case(
            "select x from t where exists (select 1 from s where s.x = t.z and f(t.y) > s.y)",
            |d| none().f(d.t(|t| d.any_s(|s| s.x == t.z))),
        ),
        // What might fail is not asked of rows that a predicate keeps from it.
        case(
            "select case when x = 0 then 0 when 100 / x > 5 then a end from v",
            |d| none().f(d.t(|r| r.x > 0 && 100 / r.x > 5)),
        ),
        case(
            "select case when x <> 0 then case when 100 / x > 5 then f(x) else 0 end else -1 end from t",
            |d| none().f(d.t(|r| r.x > 0 && 100 / r.x > 5)),
        ),
        case(
            "select sum(case when x = 0 then 0 when 100 / x > 5 then f(x) end) from t",
            |d| none().f(d.t(|r| r.x > 0 && 100 / r.x > 5)),
        ),
        case(
            "select v.k, v.a from (select 100 / x as k, f(y) a from t where g(x) > 1) v join s on v.k = s.x",
            |d| none().g(d.n()).f(d.t(|r| g(r.x) > 1)),
        ),
        case(
            "select k, a from (select 100 / x as k, f(y) a from t where g(x) > 1) v where k in (select x from s)",
            |d| none().g(d.n()).f(d.t(|r| g(r.x) > 1)),
        ),
        case(
            "select s.x from s where s.y > (select avg(f(t.x)) from t where t.z = s.z)",
            |d| none().f(d.t(|t| d.any_s(|s| s.z == t.z))),
        ),
        case(
            "select t.x, s.x from t join s on f(t.x) = s.x and t.y < s.y",
            |d| none().f(d.n()),
        ),
        // An anti join keeps the rows without a match, and what is unknown of a null keeps none.
        case(
            "select x from t where x not in (select case when x = 5 then null else x end from s where f(y) > -1)",
            |d| none().f(d.k()),
        ),
        case(
            "select v.x, v.a from v where not exists (select 1 from s where s.x = v.x)",
            |d| none().f(d.t(|t| t.x >= d.s.len() as i64)),
        ),
        // Branches above a join, or above lists' rows, of what a view calls below.
        case(
            "select v.x, coalesce(s.y, v.a) from v left join s on s.x = v.x",
            |d| none().f(d.n() - d.k()),
        ),
        case(
            "select v.x, case when s.y > 5 then v.a end from v join s on s.x = v.x",
            |d| none().f(d.s(|s| s.y > 5)),
        ),
        case(
            "select s.x, max(v.a) filter (where s.y > 5) from v join s on s.x = v.x group by s.x",
            |d| none().f(d.s(|s| s.y > 5)),
        ),
        case(
            "select v.x, case when v.x > {75} then v.a end from v left join s on s.x = v.x",
            |d| none().f(d.t(|t| t.x > d.percent(75))),
        ),
        case(
            "select case when u = 3 then a end from (select a, unnest([x, y]) u from v)",
            |d| none().f(d.t(|t| t.x == 3 || t.y == 3)),
        ),
        // Predicates on calls wait for those without.
        case(
            "select v.x from v left join s on s.x = v.x where s.x is null and v.a > 50",
            |d| none().f(d.n() - d.k()),
        ),
        case(
            "select v.x, s.y from v left join s on s.x = v.x where (s.y is null or s.y < 5) and v.a > 50",
            |d| none().f(d.n() - d.k() + d.s(|s| s.y < 5)),
        ),
        case(
            "select x from (select x, a, unnest([x, y]) u from v) where u = 3 and a > 4",
            |d| none().f(d.t(|t| t.x == 3 || t.y == 3)),
        ),
        case(
            "select x, u from (select x, unnest([x, f(x)]) u from t where g(y) > {90}) l where u <> 2",
            |d| {
                let is_open = |row: &Row| g(row.y) > d.percent(90);
                none().g(d.n()).f(d.t(is_open))
            },
        ),
        case(
            "select x from t where g(x) = 7 order by f(y) limit 5",
            |d| none().g(d.n()).f(1),
        ),
    ]
}
