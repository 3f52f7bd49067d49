//! The queries, each with the count of the rows that need each of its functions.
//!
//! A count names the table whose rows the function reads, and all that drops rows of it in the
//! query without a call of the same cost. A function that is not named is not called.

/// A query and its optimum.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) query: &'static str,
    /// The functions, each with a query of how often it is called at least.
    pub(super) calls: &'static [(&'static str, &'static str)],
}

pub(super) const CASES: &[Case] = &[
    // An aggregate's argument, in two aggregates.
    Case {
        name: "Q1: pricing summary",
        query: "
            select l_returnflag, l_linestatus, sum(l_quantity) as sum_qty,
                sum(l_extendedprice) as sum_base_price,
                sum(net(l_extendedprice, l_discount)) as sum_disc_price,
                sum(net(l_extendedprice, l_discount) * (100 + l_tax) / 100) as sum_charge,
                avg(l_quantity) as avg_qty, avg(l_extendedprice) as avg_price,
                avg(l_discount) as avg_disc, count(*) as count_order
            from lineitem
            where l_shipdate <= date '1998-12-01' - interval '90' day
            group by l_returnflag, l_linestatus
            order by l_returnflag, l_linestatus",
        calls: &[(
            "net",
            "select count(*) from lineitem where l_shipdate <= date '1998-09-02'",
        )],
    },
    // Both sides of an equality with a correlated subquery, and a column of a limited result.
    Case {
        name: "Q2: minimum cost supplier",
        query: "
            select s_acctbal, s_name, n_name, p_partkey, p_mfgr, s_address, score(s_comment)
            from part, supplier, partsupp, nation, region
            where p_partkey = ps_partkey and s_suppkey = ps_suppkey and p_size = 15
                and p_type like '%BRASS' and s_nationkey = n_nationkey
                and n_regionkey = r_regionkey and r_name = 'EUROPE'
                and usd(ps_supplycost) = (
                    select min(usd(ps_supplycost))
                    from partsupp, supplier, nation, region
                    where p_partkey = ps_partkey and s_suppkey = ps_suppkey
                        and s_nationkey = n_nationkey and n_regionkey = r_regionkey
                        and r_name = 'EUROPE')
            order by s_acctbal desc, n_name, s_name, p_partkey
            limit 3",
        calls: &[
            (
                "score",
                "select count(distinct s_suppkey) from (
                    select s_suppkey
                    from part, supplier, partsupp, nation, region
                    where p_partkey = ps_partkey and s_suppkey = ps_suppkey and p_size = 15
                        and p_type like '%BRASS' and s_nationkey = n_nationkey
                        and n_regionkey = r_regionkey and r_name = 'EUROPE'
                        and usd(ps_supplycost) = (
                            select min(usd(ps_supplycost))
                            from partsupp, supplier, nation, region
                            where p_partkey = ps_partkey and s_suppkey = ps_suppkey
                                and s_nationkey = n_nationkey and n_regionkey = r_regionkey
                                and r_name = 'EUROPE')
                    order by s_acctbal desc, n_name, s_name, p_partkey
                    limit 3)",
            ),
            (
                "usd",
                "select 2 * count(*)
                from part, supplier, partsupp, nation, region
                where p_partkey = ps_partkey and s_suppkey = ps_suppkey and p_size = 15
                    and p_type like '%BRASS' and s_nationkey = n_nationkey
                    and n_regionkey = r_regionkey and r_name = 'EUROPE'",
            ),
        ],
    },
    // A predicate on one side of joins, and an argument of another side.
    Case {
        name: "Q3: shipping priority",
        query: "
            select l_orderkey, sum(net(l_extendedprice, l_discount)) as revenue,
                o_orderdate, o_shippriority
            from customer, orders, lineitem
            where c_mktsegment = 'BUILDING' and score(c_comment) > 20
                and c_custkey = o_custkey and l_orderkey = o_orderkey
                and o_orderdate < date '1995-03-15' and l_shipdate > date '1995-03-15'
            group by l_orderkey, o_orderdate, o_shippriority
            order by revenue desc, o_orderdate
            limit 10",
        calls: &[
            (
                "score",
                "select count(distinct c_custkey)
                from customer, orders, lineitem
                where c_mktsegment = 'BUILDING' and c_custkey = o_custkey
                    and l_orderkey = o_orderkey and o_orderdate < date '1995-03-15'
                    and l_shipdate > date '1995-03-15'",
            ),
            (
                "net",
                "select count(*)
                from customer, orders, lineitem
                where c_mktsegment = 'BUILDING' and score(c_comment) > 20
                    and c_custkey = o_custkey and l_orderkey = o_orderkey
                    and o_orderdate < date '1995-03-15' and l_shipdate > date '1995-03-15'",
            ),
        ],
    },
    // What EXISTS looks for, and a column of the groups.
    Case {
        name: "Q4: order priority checking",
        query: "
            select o_orderpriority, label(o_orderpriority), count(*) as order_count
            from orders
            where o_orderdate >= date '1993-07-01'
                and o_orderdate < date '1993-07-01' + interval '3' month
                and exists (
                    select * from lineitem
                    where l_orderkey = o_orderkey and delay(l_commitdate, l_receiptdate) > 0)
            group by o_orderpriority
            order by o_orderpriority",
        calls: &[
            (
                "label",
                "select count(distinct o_orderpriority)
                from orders, lineitem
                where o_orderdate >= date '1993-07-01' and o_orderdate < date '1993-10-01'
                    and l_orderkey = o_orderkey and l_commitdate < l_receiptdate",
            ),
            (
                "delay",
                "select count(*)
                from orders, lineitem
                where o_orderdate >= date '1993-07-01' and o_orderdate < date '1993-10-01'
                    and l_orderkey = o_orderkey",
            ),
        ],
    },
    // A key of both sides of a join, an argument of an aggregate over six tables, and HAVING.
    Case {
        name: "Q5: local supplier volume",
        query: "
            select n_name, sum(net(l_extendedprice, l_discount)) as revenue
            from customer, orders, lineitem, supplier, nation, region
            where c_custkey = o_custkey and l_orderkey = o_orderkey and l_suppkey = s_suppkey
                and c_nationkey = s_nationkey and s_nationkey = n_nationkey
                and label(c_comment) = label(s_comment)
                and n_regionkey = r_regionkey and r_name in ('ASIA', 'EUROPE')
                and o_orderdate >= date '1994-01-01'
                and o_orderdate < date '1994-01-01' + interval '2' year
            group by n_name
            having usd(sum(l_quantity)) > 10
            order by revenue desc",
        calls: &[
            (
                "label",
                "select count(distinct c_custkey) + count(distinct s_suppkey)
                from customer, orders, lineitem, supplier, nation, region
                where c_custkey = o_custkey and l_orderkey = o_orderkey
                    and l_suppkey = s_suppkey and c_nationkey = s_nationkey
                    and s_nationkey = n_nationkey and n_regionkey = r_regionkey
                    and r_name in ('ASIA', 'EUROPE') and o_orderdate >= date '1994-01-01'
                    and o_orderdate < date '1996-01-01'",
            ),
            (
                "usd",
                "select count(distinct n_name)
                from customer, orders, lineitem, supplier, nation, region
                where c_custkey = o_custkey and l_orderkey = o_orderkey
                    and l_suppkey = s_suppkey and c_nationkey = s_nationkey
                    and s_nationkey = n_nationkey and label(c_comment) = label(s_comment)
                    and n_regionkey = r_regionkey and r_name in ('ASIA', 'EUROPE')
                    and o_orderdate >= date '1994-01-01' and o_orderdate < date '1996-01-01'",
            ),
            (
                "net",
                "select count(*)
                from customer, orders, lineitem, supplier, nation, region
                where c_custkey = o_custkey and l_orderkey = o_orderkey
                    and l_suppkey = s_suppkey and c_nationkey = s_nationkey
                    and s_nationkey = n_nationkey and label(c_comment) = label(s_comment)
                    and n_regionkey = r_regionkey and r_name in ('ASIA', 'EUROPE')
                    and o_orderdate >= date '1994-01-01' and o_orderdate < date '1996-01-01'",
            ),
        ],
    },
    // A predicate that is written before the cheap ones.
    Case {
        name: "Q6: forecasting revenue change",
        query: "
            select sum(l_extendedprice * l_discount / 100) as revenue
            from lineitem
            where delay(l_shipdate, l_receiptdate) between 5 and 25
                and l_shipdate >= date '1994-01-01'
                and l_shipdate < date '1994-01-01' + interval '1' year
                and l_discount between 5 and 7 and l_quantity < 24",
        calls: &[(
            "delay",
            "select count(*) from lineitem
            where l_shipdate >= date '1994-01-01' and l_shipdate < date '1995-01-01'
                and l_discount between 5 and 7 and l_quantity < 24",
        )],
    },
    // A predicate and a column of a derived table.
    Case {
        name: "Q7: volume shipping",
        query: "
            select supp_nation, cust_nation, l_year, sum(volume) as revenue
            from (
                select n1.n_name as supp_nation, n2.n_name as cust_nation,
                    extract(year from l_shipdate) as l_year,
                    net(l_extendedprice, l_discount) as volume
                from supplier, lineitem, orders, customer, nation n1, nation n2
                where s_suppkey = l_suppkey and o_orderkey = l_orderkey
                    and c_custkey = o_custkey and s_nationkey = n1.n_nationkey
                    and c_nationkey = n2.n_nationkey
                    and ((n1.n_name = 'FRANCE' and n2.n_name = 'GERMANY')
                        or (n1.n_name = 'GERMANY' and n2.n_name = 'FRANCE'))
                    and l_shipdate between date '1995-01-01' and date '1996-12-31'
                    and score(s_comment) >= 20) as shipping
            group by supp_nation, cust_nation, l_year
            order by supp_nation, cust_nation, l_year",
        calls: &[
            (
                "score",
                "select count(distinct s_suppkey)
                from supplier, lineitem, orders, customer, nation n1, nation n2
                where s_suppkey = l_suppkey and o_orderkey = l_orderkey
                    and c_custkey = o_custkey and s_nationkey = n1.n_nationkey
                    and c_nationkey = n2.n_nationkey
                    and ((n1.n_name = 'FRANCE' and n2.n_name = 'GERMANY')
                        or (n1.n_name = 'GERMANY' and n2.n_name = 'FRANCE'))
                    and l_shipdate between date '1995-01-01' and date '1996-12-31'",
            ),
            (
                "net",
                "select count(*)
                from supplier, lineitem, orders, customer, nation n1, nation n2
                where s_suppkey = l_suppkey and o_orderkey = l_orderkey
                    and c_custkey = o_custkey and s_nationkey = n1.n_nationkey
                    and c_nationkey = n2.n_nationkey
                    and ((n1.n_name = 'FRANCE' and n2.n_name = 'GERMANY')
                        or (n1.n_name = 'GERMANY' and n2.n_name = 'FRANCE'))
                    and l_shipdate between date '1995-01-01' and date '1996-12-31'
                    and score(s_comment) >= 20",
            ),
        ],
    },
    // A branch of CASE within an aggregate, of a derived table's column.
    Case {
        name: "Q8: national market share",
        query: "
            select o_year,
                100 * sum(case when nation = 'BRAZIL' then usd(volume) else 0 end) / sum(volume)
                    as mkt_share
            from (
                select extract(year from o_orderdate) as o_year,
                    l_extendedprice * (100 - l_discount) / 100 as volume, n2.n_name as nation
                from part, supplier, lineitem, orders, customer, nation n1, nation n2, region
                where p_partkey = l_partkey and s_suppkey = l_suppkey
                    and l_orderkey = o_orderkey and o_custkey = c_custkey
                    and c_nationkey = n1.n_nationkey and n1.n_regionkey = r_regionkey
                    and r_name = 'AMERICA' and s_nationkey = n2.n_nationkey
                    and o_orderdate between date '1995-01-01' and date '1996-12-31'
                    and p_type like 'STANDARD%') as all_nations
            group by o_year
            order by o_year",
        calls: &[(
            "usd",
            "select count(*)
            from part, supplier, lineitem, orders, customer, nation n1, nation n2, region
            where p_partkey = l_partkey and s_suppkey = l_suppkey and l_orderkey = o_orderkey
                and o_custkey = c_custkey and c_nationkey = n1.n_nationkey
                and n1.n_regionkey = r_regionkey and r_name = 'AMERICA'
                and s_nationkey = n2.n_nationkey and n2.n_name = 'BRAZIL'
                and o_orderdate between date '1995-01-01' and date '1996-12-31'
                and p_type like 'STANDARD%'",
        )],
    },
    // An expression over calls of two sides, of which the joins repeat one.
    Case {
        name: "Q9: product type profit",
        query: "
            select nation, o_year, sum(amount) as sum_profit
            from (
                select n_name as nation, extract(year from o_orderdate) as o_year,
                    net(l_extendedprice, l_discount) - usd(ps_supplycost) * l_quantity as amount
                from part, supplier, lineitem, partsupp, orders, nation
                where s_suppkey = l_suppkey and ps_suppkey = l_suppkey
                    and ps_partkey = l_partkey and p_partkey = l_partkey
                    and o_orderkey = l_orderkey and s_nationkey = n_nationkey
                    and p_name like '%green%') as profit
            group by nation, o_year
            order by nation, o_year desc",
        calls: &[
            (
                "usd",
                "select count(*) from partsupp, part
                where ps_partkey = p_partkey and p_name like '%green%' and exists (
                    select * from lineitem
                    where l_partkey = ps_partkey and l_suppkey = ps_suppkey)",
            ),
            (
                "net",
                "select count(*) from lineitem, part
                where l_partkey = p_partkey and p_name like '%green%'",
            ),
        ],
    },
    // A column of the groups, above a limit.
    Case {
        name: "Q10: returned item reporting",
        query: "
            select c_custkey, c_name, sum(net(l_extendedprice, l_discount)) as revenue,
                c_acctbal, n_name, c_address, label(c_comment)
            from customer, orders, lineitem, nation
            where c_custkey = o_custkey and l_orderkey = o_orderkey
                and o_orderdate >= date '1993-10-01'
                and o_orderdate < date '1993-10-01' + interval '3' month
                and l_returnflag = 'R' and c_nationkey = n_nationkey
            group by c_custkey, c_name, c_acctbal, c_phone, n_name, c_address, c_comment
            order by revenue desc, c_custkey
            limit 3",
        calls: &[
            ("label", "select 3"),
            (
                "net",
                "select count(*) from orders, lineitem
                where l_orderkey = o_orderkey and o_orderdate >= date '1993-10-01'
                    and o_orderdate < date '1994-01-01' and l_returnflag = 'R'",
            ),
        ],
    },
    // HAVING, against a subquery that calls for the same rows.
    Case {
        name: "Q11: important stock",
        query: "
            select ps_partkey, sum(usd(ps_supplycost) * ps_availqty) as value
            from partsupp, supplier, nation
            where ps_suppkey = s_suppkey and s_nationkey = n_nationkey and n_name = 'GERMANY'
            group by ps_partkey
            having sum(usd(ps_supplycost) * ps_availqty) > (
                select sum(usd(ps_supplycost) * ps_availqty) * 3 / 100
                from partsupp, supplier, nation
                where ps_suppkey = s_suppkey and s_nationkey = n_nationkey
                    and n_name = 'GERMANY')
            order by value desc, ps_partkey",
        calls: &[(
            "usd",
            "select 2 * count(*) from partsupp, supplier, nation
            where ps_suppkey = s_suppkey and s_nationkey = n_nationkey and n_name = 'GERMANY'",
        )],
    },
    // A predicate on one side, and a test of CASE on the other, twice.
    Case {
        name: "Q12: shipping modes",
        query: "
            select l_shipmode,
                sum(case when o_orderpriority in ('1-URGENT', '2-HIGH') and score(o_comment) > 30
                    then 1 else 0 end) as high_line_count,
                sum(case when o_orderpriority in ('1-URGENT', '2-HIGH') and score(o_comment) > 30
                    then 0 else 1 end) as low_line_count
            from orders, lineitem
            where o_orderkey = l_orderkey and l_shipmode in ('MAIL', 'SHIP')
                and delay(l_shipdate, l_receiptdate) > 8 and l_commitdate < l_receiptdate
                and l_shipdate < l_commitdate and l_receiptdate >= date '1994-01-01'
                and l_receiptdate < date '1994-01-01' + interval '1' year
            group by l_shipmode
            order by l_shipmode",
        calls: &[
            (
                "score",
                "select count(distinct o_orderkey) from orders, lineitem
                where o_orderkey = l_orderkey and l_shipmode in ('MAIL', 'SHIP')
                    and delay(l_shipdate, l_receiptdate) > 8 and l_commitdate < l_receiptdate
                    and l_shipdate < l_commitdate and l_receiptdate >= date '1994-01-01'
                    and l_receiptdate < date '1995-01-01'
                    and o_orderpriority in ('1-URGENT', '2-HIGH')",
            ),
            (
                "delay",
                "select count(*) from lineitem
                where l_shipmode in ('MAIL', 'SHIP') and l_commitdate < l_receiptdate
                    and l_shipdate < l_commitdate and l_receiptdate >= date '1994-01-01'
                    and l_receiptdate < date '1995-01-01'",
            ),
        ],
    },
    // The condition of an outer join, and a column of groups of groups.
    Case {
        name: "Q13: customer distribution",
        query: "
            select c_count, usd(c_count), count(*) as custdist
            from (
                select c_custkey, count(o_orderkey) as c_count
                from customer left outer join orders on c_custkey = o_custkey
                    and o_comment not like '%special%requests%' and score(o_comment) > 30
                group by c_custkey) as c_orders
            group by c_count
            order by custdist desc, c_count desc",
        calls: &[
            (
                "score",
                "select count(*) from orders where o_comment not like '%special%requests%'",
            ),
            (
                "usd",
                "select count(distinct c_count) from (
                    select count(o_orderkey) as c_count
                    from customer left outer join orders on c_custkey = o_custkey
                        and o_comment not like '%special%requests%' and score(o_comment) > 30
                    group by c_custkey)",
            ),
        ],
    },
    // A test of CASE on one side, and its branch on the other.
    Case {
        name: "Q14: promotion effect",
        query: "
            select 100 * sum(case when p_type like 'PROMO%' and score(p_name) > 20
                    then net(l_extendedprice, l_discount) else 0 end)
                / sum(l_extendedprice) as promo_revenue
            from lineitem, part
            where l_partkey = p_partkey and l_shipdate >= date '1995-06-01'
                and l_shipdate < date '1995-06-01' + interval '4' month",
        calls: &[
            (
                "score",
                "select count(distinct p_partkey) from lineitem, part
                where l_partkey = p_partkey and l_shipdate >= date '1995-06-01'
                    and l_shipdate < date '1995-10-01' and p_type like 'PROMO%'",
            ),
            (
                "net",
                "select count(*) from lineitem, part
                where l_partkey = p_partkey and l_shipdate >= date '1995-06-01'
                    and l_shipdate < date '1995-10-01' and p_type like 'PROMO%'
                    and score(p_name) > 20",
            ),
        ],
    },
    // A common table expression that is named twice, and so run twice.
    Case {
        name: "Q15: top supplier",
        query: "
            with revenue as (
                select l_suppkey as supplier_no,
                    sum(net(l_extendedprice, l_discount)) as total_revenue
                from lineitem
                where l_shipdate >= date '1996-01-01'
                    and l_shipdate < date '1996-01-01' + interval '3' month
                group by l_suppkey)
            select s_suppkey, s_name, s_address, score(s_comment), total_revenue
            from supplier, revenue
            where s_suppkey = supplier_no
                and total_revenue = (select max(total_revenue) from revenue)
            order by s_suppkey",
        calls: &[
            ("score", "select 1"),
            (
                "net",
                "select 2 * count(*) from lineitem
                where l_shipdate >= date '1996-01-01' and l_shipdate < date '1996-04-01'",
            ),
        ],
    },
    // What NOT IN looks for.
    Case {
        name: "Q16: parts and suppliers",
        query: "
            select p_brand, p_type, p_size, count(distinct ps_suppkey) as supplier_cnt
            from partsupp, part
            where p_partkey = ps_partkey and p_brand <> 'Brand#45'
                and p_type not like 'MEDIUM POLISHED%' and p_size in (49, 23)
                and ps_suppkey not in (
                    select s_suppkey from supplier
                    where s_comment like '%Complaints%' and score(s_comment) > 40)
            group by p_brand, p_type, p_size
            order by supplier_cnt desc, p_brand, p_type, p_size",
        calls: &[(
            "score",
            "select count(*) from supplier
            where s_comment like '%Complaints%' and s_suppkey in (
                select ps_suppkey from partsupp, part
                where p_partkey = ps_partkey and p_brand <> 'Brand#45'
                    and p_type not like 'MEDIUM POLISHED%' and p_size in (49, 23))",
        )],
    },
    // Both sides of a comparison with a correlated subquery.
    Case {
        name: "Q17: small-quantity orders",
        query: "
            select sum(l_extendedprice) / 7.0 as avg_yearly
            from lineitem, part
            where p_partkey = l_partkey and p_brand = 'Brand#23' and p_container = 'MED BOX'
                and usd(l_quantity) < (
                    select 0.2 * avg(usd(l_quantity)) from lineitem
                    where l_partkey = p_partkey)",
        calls: &[(
            "usd",
            "select 2 * count(*) from lineitem, part
            where p_partkey = l_partkey and p_brand = 'Brand#23' and p_container = 'MED BOX'",
        )],
    },
    // HAVING within IN, the key of a limited order, and a column of what that leaves.
    Case {
        name: "Q18: large volume customers",
        query: "
            select c_name, c_custkey, label(c_comment), o_orderkey, o_orderdate,
                usd(o_totalprice) as price, sum(l_quantity)
            from customer, orders, lineitem
            where o_orderkey in (
                    select l_orderkey from lineitem
                    group by l_orderkey having net(sum(l_quantity), 10) > 180)
                and c_custkey = o_custkey and o_orderkey = l_orderkey
                and o_orderdate < date '1997-01-01'
            group by c_name, c_custkey, c_comment, o_orderkey, o_orderdate, o_totalprice
            order by price desc, o_orderdate
            limit 4",
        calls: &[
            ("label", "select 4"),
            (
                "usd",
                "select count(*) from orders
                where o_orderdate < date '1997-01-01' and o_orderkey in (
                    select l_orderkey from lineitem
                    group by l_orderkey having net(sum(l_quantity), 10) > 180)",
            ),
            (
                "net",
                "select count(*) from orders where o_orderdate < date '1997-01-01'",
            ),
        ],
    },
    // Tests within OR that read both sides of a join.
    Case {
        name: "Q19: discounted revenue",
        query: "
            select sum(net(l_extendedprice, l_discount)) as revenue
            from lineitem, part
            where (p_partkey = l_partkey and p_brand = 'Brand#12'
                    and p_container in ('SM CASE', 'SM BOX') and l_quantity between 1 and 21
                    and score(p_name) > 30 and p_size between 1 and 5
                    and l_shipmode in ('AIR', 'AIR REG')
                    and l_shipinstruct = 'DELIVER IN PERSON')
                or (p_partkey = l_partkey and p_brand = 'Brand#23'
                    and p_container in ('MED BAG', 'MED BOX') and l_quantity between 10 and 30
                    and usd(l_quantity) > 15 and p_size between 1 and 10
                    and l_shipmode in ('AIR', 'AIR REG')
                    and l_shipinstruct = 'DELIVER IN PERSON')
                or (p_partkey = l_partkey and p_brand = 'Brand#34'
                    and p_container in ('LG CASE', 'LG BOX') and l_quantity between 20 and 40
                    and p_size between 1 and 15 and l_shipmode in ('AIR', 'AIR REG')
                    and l_shipinstruct = 'DELIVER IN PERSON')",
        calls: &[
            (
                "score",
                "select count(distinct p_partkey) from lineitem, part
                where p_partkey = l_partkey and p_brand = 'Brand#12'
                    and l_quantity between 1 and 21 and p_size between 1 and 5
                    and l_shipmode in ('AIR', 'AIR REG')
                    and l_shipinstruct = 'DELIVER IN PERSON'",
            ),
            (
                "usd",
                "select count(*) from lineitem, part
                where p_partkey = l_partkey and p_brand = 'Brand#23'
                    and l_quantity between 10 and 30 and p_size between 1 and 10
                    and l_shipmode in ('AIR', 'AIR REG')
                    and l_shipinstruct = 'DELIVER IN PERSON'",
            ),
            (
                "net",
                "select count(*) from lineitem, part
                where p_partkey = l_partkey and l_shipmode in ('AIR', 'AIR REG')
                    and l_shipinstruct = 'DELIVER IN PERSON'
                    and (p_brand = 'Brand#12' and l_quantity between 1 and 21
                            and p_size between 1 and 5 and score(p_name) > 30
                        or p_brand = 'Brand#23' and l_quantity between 10 and 30
                            and p_size between 1 and 10 and usd(l_quantity) > 15
                        or p_brand = 'Brand#34' and l_quantity between 20 and 40
                            and p_size between 1 and 15)",
            ),
        ],
    },
    // An aggregate of a correlated subquery, three subqueries deep, and a column of the result.
    Case {
        name: "Q20: potential part promotion",
        query: "
            select s_name, label(s_address)
            from supplier, nation
            where s_suppkey in (
                    select ps_suppkey from partsupp
                    where ps_partkey in (select p_partkey from part where p_name like 'forest%')
                        and ps_availqty > (
                            select 0.5 * sum(usd(l_quantity)) from lineitem
                            where l_partkey = ps_partkey and l_suppkey = ps_suppkey
                                and l_shipdate >= date '1994-01-01'
                                and l_shipdate < date '1994-01-01' + interval '3' year))
                and s_nationkey = n_nationkey and n_name = 'CANADA'
            order by s_name",
        calls: &[
            (
                "label",
                "select count(distinct s_suppkey)
                from supplier, nation, partsupp, part, (
                    select l_partkey, l_suppkey, sum(usd(l_quantity)) as quantity from lineitem
                    where l_shipdate >= date '1994-01-01' and l_shipdate < date '1997-01-01'
                    group by l_partkey, l_suppkey)
                where l_partkey = ps_partkey and l_suppkey = ps_suppkey
                    and s_suppkey = ps_suppkey and s_nationkey = n_nationkey
                    and n_name = 'CANADA' and p_partkey = ps_partkey and p_name like 'forest%'
                    and ps_availqty > 0.5 * quantity",
            ),
            (
                "usd",
                "select count(*) from lineitem, part, supplier, nation
                where p_partkey = l_partkey and p_name like 'forest%'
                    and s_suppkey = l_suppkey and s_nationkey = n_nationkey
                    and n_name = 'CANADA' and l_shipdate >= date '1994-01-01'
                    and l_shipdate < date '1997-01-01'",
            ),
        ],
    },
    // What NOT EXISTS looks for, and a predicate on what it leaves.
    Case {
        name: "Q21: suppliers who kept orders waiting",
        query: "
            select s_name, count(*) as numwait
            from supplier, lineitem l1, orders, nation
            where s_suppkey = l1.l_suppkey and o_orderkey = l1.l_orderkey
                and o_orderstatus = 'F' and delay(l1.l_commitdate, l1.l_receiptdate) > 0
                and exists (
                    select * from lineitem l2
                    where l2.l_orderkey = l1.l_orderkey and l2.l_suppkey <> l1.l_suppkey)
                and not exists (
                    select * from lineitem l3
                    where l3.l_orderkey = l1.l_orderkey and l3.l_suppkey <> l1.l_suppkey
                        and delay(l3.l_commitdate, l3.l_receiptdate) > 0)
                and s_nationkey = n_nationkey and n_name = 'SAUDI ARABIA'
            group by s_name
            order by numwait desc, s_name
            limit 100",
        calls: &[(
            "delay",
            "with waited as (
                select l_orderkey, l_suppkey
                from supplier, lineitem l1, orders, nation
                where s_suppkey = l1.l_suppkey and o_orderkey = l1.l_orderkey
                    and o_orderstatus = 'F' and s_nationkey = n_nationkey
                    and n_name = 'SAUDI ARABIA' and exists (
                        select * from lineitem l2
                        where l2.l_orderkey = l1.l_orderkey and l2.l_suppkey <> l1.l_suppkey))
            select (
                select count(*) from lineitem l3 where exists (
                    select * from waited l1
                    where l3.l_orderkey = l1.l_orderkey and l3.l_suppkey <> l1.l_suppkey)) + (
                select count(*) from waited l1 where not exists (
                    select * from lineitem l3
                    where l3.l_orderkey = l1.l_orderkey and l3.l_suppkey <> l1.l_suppkey
                        and l3.l_commitdate < l3.l_receiptdate))",
        )],
    },
    // A predicate beside an anti join and a subquery that calls.
    Case {
        name: "Q22: global sales opportunity",
        query: "
            select cntrycode, count(*) as numcust, sum(c_acctbal) as totacctbal
            from (
                select substring(c_phone from 1 for 2) as cntrycode, c_acctbal
                from customer
                where substring(c_phone from 1 for 2) in ('13', '16', '28', '30')
                    and score(c_comment) > 15
                    and c_acctbal > (
                        select avg(usd(c_acctbal)) from customer
                        where c_acctbal > 0
                            and substring(c_phone from 1 for 2) in ('13', '16', '28', '30'))
                    and not exists (select * from orders where o_custkey = c_custkey)
                ) as custsale
            group by cntrycode
            order by cntrycode",
        calls: &[
            (
                "score",
                "select count(*) from customer
                where substring(c_phone from 1 for 2) in ('13', '16', '28', '30')
                    and c_acctbal > (
                        select avg(usd(c_acctbal)) from customer
                        where c_acctbal > 0
                            and substring(c_phone from 1 for 2) in ('13', '16', '28', '30'))
                    and not exists (select * from orders where o_custkey = c_custkey)",
            ),
            (
                "usd",
                "select count(*) from customer
                where c_acctbal > 0
                    and substring(c_phone from 1 for 2) in ('13', '16', '28', '30')",
            ),
        ],
    },
];
