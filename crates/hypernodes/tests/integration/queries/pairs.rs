//! Calls with columns of both sides of a join, and one table several times in a query.

use super::cases::{Case, case, none, some};
use super::fixture::{Data, Row, g};

impl Data {
    /// How many pairs of rows of `t` and `s` are so.
    fn pairs(&self, is_so: impl Fn(&Row, &Row) -> bool) -> usize {
        self.s.iter().map(|s| self.t(|t| is_so(t, s))).sum()
    }
}

pub(super) fn pairs() -> Vec<Case> {
    let keyed = |query| case(query, |d: &Data| none().h(d.pairs(|t, s| t.z == s.x)));
    vec![
        // Outer joins, also where the call is selected.
        keyed("select t.x, s.y from t left join s on t.z = s.x and h(t.x, s.y, s.z) > 20"),
        keyed("select t.x, s.y from s right join t on t.z = s.x and h(t.x, s.y, s.z) > 20"),
        keyed(
            "select t.x, h(t.x, s.y, s.z) c from t left join s on t.z = s.x and h(t.x, s.y, s.z) > 20",
        ),
        keyed("select t.x, s.x sx from t full join s on t.z = s.x and h(t.x, s.y, s.z) > {20}"),
        keyed(
            "select t.x, s.y, h(t.x, s.y, s.z) c from s full join t on t.z = s.x and h(t.x, s.y, s.z) > 20",
        ),
        case(
            "select a.x, s.x sx from (select * from t where x < 20) a full join s on h(a.x, s.y, 1) > 25",
            |d| none().h(20 * d.k()),
        ),
        case(
            "select t.x, s.y from t left join s on h(t.x, s.y, s.z) > {15} where t.x < 20",
            |d| none().h(20 * d.k()),
        ),
        // Rows with a match, and rows without.
        keyed(
            "select t.x from t where exists (select 1 from s where s.x = t.z and h(t.x, s.y, s.z) > {20})",
        ),
        keyed(
            "select t.x from t where not exists (select 1 from s where s.x = t.z and h(t.x, s.y, s.z) > {20})",
        ),
        keyed(
            "select s.x from s where exists (select 1 from t where s.x = t.z and h(t.x, s.y, s.z) > {20})",
        ),
        keyed("select s.x from t right anti join s on t.z = s.x and h(t.x, s.y, s.z) > {90}"),
        case(
            "select t.x from t where t.x in (select s.x from s where h(t.x, s.y, s.z) > 8)",
            |d| none().h(d.k()),
        ),
        case(
            "select t.x from t where t.x not in (select s.x from s where h(t.x, s.y, s.z) > 8)",
            |d| none().h(d.k()),
        ),
        case(
            "select x from t where nullif(x, 5) not in (select s.x from s where h(t.x, s.x, 1) > {5})",
            |d| none().h(d.s(|s| s.x != 5)),
        ),
        case(
            "select t.x from t where t.y > {50} or exists (select 1 from s where s.x = t.x and h(t.x, s.y, s.z) > 20)",
            |d| {
                let wanted = d.pairs(|t, s| t.x == s.x && t.y <= d.percent(50));
                none().h_within(wanted..=d.k())
            },
        ),
        // The first of each that are alike.
        case(
            "select s.x from s where s.x < 20 and not exists (select 1 from s r where r.x < s.x and h(r.x, s.y, s.z) > {50})",
            |d| none().h((0..d.k().min(20)).sum()),
        ),
        // What the call reads is itself called.
        case(
            "select v.x from v where exists (select 1 from s where v.x = s.x and h(v.a, s.y, s.z) > 20)",
            |d| none().f(d.k()).h(d.s(|s| some(s.x))),
        ),
        case(
            "select v.x, s.y from v left join s on v.x = s.x and h(v.b, s.y, s.z) > 20 where v.b > {50}",
            |d| {
                let is_kept = |t: &Row| g(t.y) > d.percent(50);
                none().g(d.n()).h(d.pairs(|t, s| t.x == s.x && is_kept(t)))
            },
        ),
        // A join that only repeats rows, where repeats are dropped.
        case(
            "select distinct l.x, h(l.x, u.y, 1) from t l join t q on q.x % 7 = l.y % 7 join t u on u.x % 4 = l.x",
            |d| none().h(d.n()),
        ),
        case(
            "select x from s where x in (select h(l.x, u.y, 1) from t l join t q on q.x % 7 = l.y % 7 join t u on u.x % 4 = l.x)",
            |d| none().h(d.n()),
        ),
        case(
            "select distinct h(l.x, u.y, 1) from t l left join v q on q.a = l.x and q.b > 5 join t u on u.x % 4 = l.x",
            |d| none().h(d.n()),
        ),
        case(
            "select x from t where y > {50} or exists (select 1 from t l join t q on q.x % 7 = l.y % 7 join t u on u.x % 4 = l.x where h(l.x, u.y, 1) > 3)",
            |d| none().h(d.n()),
        ),
        // Three references to one table reduce one another.
        case(
            "select l.x, u.y from (select * from t l where exists (select 1 from v q where q.x = l.y and q.b > 10)) l join t u on u.x % 4 = l.x",
            |_| none().g(4),
        ),
        // Keys that functions make, which cannot fail.
        case(
            "select t.x from t join s on cast(t.x as varchar) = upper(cast(s.x as varchar)) where f(t.x) > 5",
            |d| none().f(d.k()),
        ),
        case(
            "select t.x from t join s on t.x = s.x and length(cast(t.y as varchar) || 'a') > 2 where f(t.x) > 5",
            |d| none().f(d.pairs(|t, s| t.x == s.x && t.y >= 10)),
        ),
        case(
            "select t.x from t join s on substr(cast(t.x as varchar), 1, 9) = cast(s.x as varchar) where g(t.y) > 5",
            |d| none().g(d.k()),
        ),
        // A condition that reads nothing of the side with calls asks for any row of the other.
        case(
            "select l.x, r.c from t l left join (select 2 c from s where f(y) > 20) r on l.x < r.c",
            |d| none().f(d.k()),
        ),
    ]
}
