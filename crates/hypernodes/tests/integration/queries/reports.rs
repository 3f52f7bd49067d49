//! Queries as reports have them: views of views, joins of views, nested aggregates.

use super::cases::{Case, case, limited, none, over, some};
use super::fixture::{g, m};

pub(super) fn reports() -> Vec<Case> {
    vec![
        // A row of one side that many rows of the other match is called for once.
        case("select f(s.x), t.x from s join t on s.x = t.z", |d| {
            none().f(d.s(|r| r.x < 100))
        }),
        case(
            "select s.x, sum(t.y) from s join t on s.x = t.z where f(s.x) > 20 group by s.x",
            |d| none().f(d.s(|r| r.x < 100)),
        ),
        case(
            "select v.a, count(*) from v join s on v.x = s.y where s.z < 20 group by v.a",
            |d| none().f(d.s(|r| r.z < 20)),
        ),
        case(
            "select pv.d, sum(s.y) from pv, s where pv.x = s.x and s.y > 3 group by pv.d order by pv.d",
            |d| none().m(d.s(|r| r.y > 3)),
        ),
        case(
            "select q.a from (select v.a, v.x from v join s on v.x = s.x) q join (select x from t where y < {50}) w on q.x = w.x",
            |d| none().f(d.t(|r| r.x < d.k() as i64 && r.y < d.percent(50))),
        ),
        case(
            "select t.x, f(s.x) from t left join s on t.x = s.x where t.y < {10}",
            |d| none().f(d.t(|r| r.y < d.percent(10) && r.x < d.k() as i64)),
        ),
        case("select f(t.x), s.y from t right join s on t.x = s.x", |d| {
            none().f(d.k())
        }),
        case(
            "select l.a, r.a from (select x, f(x) a from t) l join (select x, m(x) a from t) r on l.x = r.x join s on s.x = l.x",
            |d| none().f(d.k()).m(d.k()),
        ),
        case(
            "select t.x from t, s where t.x = s.x and f(t.x) > 10 and m(s.y) > 2",
            |d| none().f(d.k()).m(d.s(|r| over(r.x, 10))),
        ),
        // Filters, groups and their calls.
        case(
            "select m(y) k, count(*), sum(f(x)) from t where x % 2 = 0 group by m(y) having count(*) > 1",
            |d| none().m(d.t(|r| r.x % 2 == 0)).f(d.t(|r| r.x % 2 == 0)),
        ),
        case(
            "select m(y), sum(case when z > 50 then f(x) else 0 end) from t group by m(y)",
            |d| none().m(d.n()).f(d.t(|r| r.z > 50)),
        ),
        case(
            "select sum(case when z > 50 then a else 0 end), sum(b) filter (where z < 10) from pv",
            |d| {
                none()
                    .f(d.t(|r| r.z > 50 || r.z < 10))
                    .g(d.t(|r| r.z < 10 && some(r.x)))
            },
        ),
        case(
            "select k, max(f(x)) from (select m(x) k, x from t where y > {20}) group by k",
            |d| {
                none()
                    .m(d.t(|r| r.y > d.percent(20)))
                    .f(d.t(|r| r.y > d.percent(20)))
            },
        ),
        case(
            "select f(k) from (select m(x) k, count(*) c from t group by m(x)) where c > 1 and k > 2",
            |d| none().m(d.n()).f(4),
        ),
        case("select f(sum(z)) from t group by m(x)", |d| {
            none().m(d.n()).f(7)
        }),
        case("select g(count(*)) from t", |_| none().g(1)),
        case(
            "select m(x) from t group by m(x) order by m(x) desc limit 3",
            |d| none().m(d.n()),
        ),
        case(
            "select m(x), count(*) from t group by cube (m(x), z % 2)",
            |d| none().m(d.n()),
        ),
        case(
            "select count(distinct f(x)), count(distinct m(x)) from t",
            |d| none().f(d.n()).m(d.n()),
        ),
        case(
            "select avg(f(x)) from t where y in (select y from s)",
            |d| none().f(d.t(|r| r.y < d.k() as i64)),
        ),
        // Windows.
        case(
            "select x, a, r from (select x, a, row_number() over (partition by z order by y) r from pv) where r = 1",
            |d| {
                let mut zs: Vec<i64> = d.t.iter().map(|r| r.z).collect();
                zs.sort_unstable();
                zs.dedup();
                none().f(zs.len())
            },
        ),
        case(
            "select x, rank() over (order by f(x) nulls last, x) from t where y < {30}",
            |d| none().f(d.t(|r| r.y < d.percent(30))),
        ),
        case(
            "select x, lag(a) over (order by x) from v where a > {100}",
            |d| none().f(d.n()),
        ),
        case(
            "select * from (select x, sum(f(x)) over (partition by m(y)) s from t) where x < 5",
            |d| none().f(d.n()).m(d.n()),
        ),
        case(
            "select x, m(x), f(x) from t where m(x) = 3 order by y limit 5",
            |d| {
                let first = d.until(5, |row| m(row.x) == 3, d.sorted(|row| row.y), |_| true);
                none().m_within(first..=d.n()).f(5)
            },
        ),
        // Subqueries.
        case(
            "select a from pv where d = (select max(m(y)) from s)",
            |d| {
                none().m(d.n() + d.k()).f(d.t(|r| {
                    let max = d.s.iter().map(|r| m(r.y)).max();
                    Some(m(r.y)) == max
                }))
            },
        ),
        case(
            "select a from v where not exists (select 1 from s where s.x = v.x and s.y > 10)",
            |d| none().f(d.n() - d.s(|r| r.y > 10)),
        ),
        case(
            "select a from v where x in (select x from s where z < 20) and a > 10",
            |d| none().f(d.s(|r| r.z < 20)),
        ),
        case(
            "select x, (select count(*) from s where s.x = m(t.x)) c from t",
            |d| none().m(d.n()),
        ),
        case(
            "select x from t where x not in (select x from s where f(x) > 10) and y < {20}",
            |d| none().f(d.s(|s| d.t.iter().any(|t| t.x == s.x && t.y < d.percent(20)))),
        ),
        case(
            "select s.x from s where s.y > (select avg(f(t.x)) from t where t.z = s.z)",
            |d| none().f(d.t(|r| d.s.iter().any(|s| s.z == r.z))),
        ),
        case(
            "select count(*) from t where f(x) > all (select y from s) or z = 1",
            |d| none().f(d.t(|t| t.z != 1)),
        ),
        // Unions and common table expressions.
        case(
            "select k, count(*) from (select m(x) k from t union all select m(y) k from s) group by k",
            |d| none().m(d.n() + d.k()),
        ),
        case(
            "select a from (select x, a from v union all select x, f(x) a from s) where x < 5",
            |d| none().f(2 * d.t(|r| r.x < 5)),
        ),
        case(
            "with a as (select x, f(x) v from t), b as (select x, v, g(v) w from a where v > {50}) select w from b where x > {50}",
            |d| {
                none()
                    .f(d.t(|r| r.x > d.percent(50)))
                    .g(d.t(|r| r.x > d.percent(50) && over(r.x, d.percent(50))))
            },
        ),
        case(
            "with a as (select m(x) k, x from t) select k, x from a where k = 1 union all select k, x from a where x < 5",
            |d| none().m(d.n() + 5),
        ),
        case("select x, a from v intersect select x, f(x) from s", |d| {
            none().f(2 * d.k())
        }),
        case("select x from t except select f(x) from s", |d| {
            none().f(d.k())
        }),
        // Made for some rows below, and needed for others above.
        case("select x, f(x) from t where z < 10 or f(x) > 100", |d| {
            none().f(d.n())
        }),
        case(
            "select x, f(x) from t where (z < 10 or f(x) > 100) and f(x) < 300",
            |d| none().f(d.n()),
        ),
        case(
            "select x, f(x) from t where case when z < 50 then f(x) > 10 else z > 60 end",
            |d| none().f(d.t(|r| r.z < 50 || r.z > 60)),
        ),
        case(
            "select x from t where z < 10 or f(x) > 100 order by f(x), x",
            |d| none().f(d.n()),
        ),
        case("select sum(f(x)) from t where z < 10 or f(x) > 100", |d| {
            none().f(d.n())
        }),
        case(
            "select q.x, q.a, case when x < {50} then f(q.x) end from (select x, y, case when y < {50} then f(x) end a from t) q",
            |d| none().f(d.t(|r| r.y < d.percent(50) || r.x < d.percent(50))),
        ),
        // A call over keys of groups is known of the groups.
        case(
            "select z, f(z), count(*) from t where f(z) > 20 group by z",
            |d| none().f(d.n()),
        ),
        case(
            "select f(z), c from (select f(z) fz, z, count(*) c from t group by z, f(z)) where fz > 10",
            |d| none().f(d.n()),
        ),
        case(
            "select z, max(x), f(z) from t where m(z) > 2 group by z having f(z) > 10",
            |d| {
                let groups: std::collections::BTreeSet<i64> = d.t.iter().map(|r| r.z).collect();
                let groups = groups.into_iter().filter(|z| m(*z) > 2).count();
                none().m(d.n()).f(groups)
            },
        ),
        // The first of a union are first of their arms, which are read as far as is needed.
        limited(
            "select x, f(x) a from t union all select y, g(y) from s order by 1 limit 7",
            "select x, f(x) a from t union all select y, g(y) from s",
            |_| none().f_within(1..=7).g_within(1..=7),
        ),
        // Branches.
        case(
            "select case when z < 10 then 'low' when f(x) > {100} then 'high' else 'mid' end from t",
            |d| none().f(d.t(|r| r.z >= 10)),
        ),
        case(
            "select x from t where z < 10 or (f(x) > {100} and m(y) = 1)",
            |d| {
                none()
                    .f(d.t(|r| r.z >= 10))
                    .m(d.t(|r| r.z >= 10 && over(r.x, d.percent(100))))
            },
        ),
        case(
            "select x from pv where (z < 10 and a > 5) or (z > 90 and d = 1)",
            |d| none().f(d.t(|r| r.z < 10)).m(d.t(|r| r.z > 90)),
        ),
        case(
            "select x from t where case when z < 50 then f(x) > 10 else m(x) = 1 end",
            |d| none().f(d.t(|r| r.z < 50)).m(d.t(|r| r.z >= 50)),
        ),
        case(
            "select coalesce(case when z > 50 then f(x) end, g(x)) from t",
            |d| {
                none()
                    .f(d.t(|r| r.z > 50))
                    .g(d.t(|r| !(r.z > 50 && some(r.x))))
            },
        ),
        case(
            "select x from t where not (f(x) > 10) and not (m(x) = 1)",
            |d| none().f(d.n()).m(d.t(|r| some(r.x) && !over(r.x, 10))),
        ),
        case(
            "select abs(f(x)) + abs(f(x)), cast(g(x) as varchar) || 'x' from t where g(x) > {50}",
            |d| none().g(d.n()).f(d.t(|r| g(r.x) > d.percent(50))),
        ),
        case(
            "select d.x, d.a from (select distinct x, a from v where y < {20}) d order by d.x limit 5",
            |_| none().f(5),
        ),
    ]
}
