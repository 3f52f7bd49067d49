//! The eight tables, small, with the columns that the queries read and values that they select.
//!
//! Money is whole cents, discounts and taxes are whole percents. Each value is picked by a hash of
//! its column and row, so that the tables are always the same.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray};
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;

const REGIONS: [&str; 5] = ["AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST"];
/// Each with its region.
const NATIONS: [(&str, usize); 25] = [
    ("ALGERIA", 0),
    ("ARGENTINA", 1),
    ("BRAZIL", 1),
    ("CANADA", 1),
    ("EGYPT", 4),
    ("ETHIOPIA", 0),
    ("FRANCE", 3),
    ("GERMANY", 3),
    ("INDIA", 2),
    ("INDONESIA", 2),
    ("IRAN", 4),
    ("IRAQ", 4),
    ("JAPAN", 2),
    ("JORDAN", 4),
    ("KENYA", 0),
    ("MOROCCO", 0),
    ("MOZAMBIQUE", 0),
    ("PERU", 1),
    ("CHINA", 2),
    ("ROMANIA", 3),
    ("SAUDI ARABIA", 4),
    ("VIETNAM", 2),
    ("RUSSIA", 3),
    ("UNITED KINGDOM", 3),
    ("UNITED STATES", 1),
];
/// The nations that have customers and suppliers: those that the queries name.
const HOMES: [i64; 7] = [2, 3, 6, 7, 8, 18, 20];

const SUPPLIERS: i64 = 28;
const CUSTOMERS: i64 = 60;
const PARTS: i64 = 60;
const ORDERS: i64 = 240;
/// The suppliers of a part are that many places apart.
const SOURCES: [i64; 4] = [0, 5, 11, 18];

const COLOURS: [&str; 5] = ["forest", "green", "almond", "blush", "salmon"];
const KINDS: [&str; 4] = ["ECONOMY", "PROMO", "STANDARD", "MEDIUM"];
const FINISHES: [&str; 2] = ["ANODIZED", "POLISHED"];
const METALS: [&str; 2] = ["STEEL", "BRASS"];
const BRANDS: [&str; 4] = ["Brand#12", "Brand#23", "Brand#34", "Brand#45"];
const CONTAINERS: [[&str; 2]; 4] = [
    ["SM CASE", "SM BOX"],
    ["MED BOX", "MED BAG"],
    ["LG CASE", "LG BOX"],
    ["JUMBO JAR", "WRAP CAN"],
];
const SIZES: [i64; 6] = [3, 5, 9, 15, 23, 49];
const SEGMENTS: [&str; 3] = ["AUTOMOBILE", "BUILDING", "MACHINERY"];
const PRIORITIES: [&str; 5] = ["1-URGENT", "2-HIGH", "3-MEDIUM", "4-NOT SPECIFIED", "5-LOW"];
const MODES: [&str; 4] = ["AIR", "AIR REG", "MAIL", "SHIP"];
const INSTRUCTIONS: [&str; 2] = ["DELIVER IN PERSON", "NONE"];
const WORDS: [&str; 8] = [
    "special",
    "requests",
    "Customer",
    "Complaints",
    "carefully",
    "pending",
    "accounts",
    "sleep",
];

/// Days from 1970 to 1993, when the first orders come, and to June 17th of 1995, up to which
/// lines are closed.
const FIRST_DAY: i64 = 8_401;
const TODAY: i64 = 9_298;
const DAYS: i64 = 2_040;

/// A number below `n`, by a column and a row.
fn pick(column: &str, row: i64, n: i64) -> i64 {
    let seed = column.bytes().fold(row as u64, |seed, byte| {
        (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) % n as u64) as i64
}

fn one_of<T: Copy>(column: &str, row: i64, values: &[T]) -> T {
    values[pick(column, row, values.len() as i64) as usize]
}

fn comment(table: &str, row: i64) -> String {
    let word = |place| one_of(table, 5 * row + place, &WORDS);
    format!("{} {} {} {} {row}", word(0), word(1), word(2), word(3))
}

fn phone(nation: i64, row: i64) -> String {
    format!(
        "{}-{:03}-{:04}",
        nation + 10,
        row,
        pick("phone", row, 10_000)
    )
}

/// A line of an order.
#[derive(Clone, Copy)]
struct Line {
    order: i64,
    number: i64,
}

impl Line {
    fn of_order(order: i64) -> impl Iterator<Item = Line> {
        let count = 1 + pick("lines", order, 7);
        (1..=count).map(move |number| Line { order, number })
    }

    fn pick(self, column: &str, n: i64) -> i64 {
        pick(column, 8 * self.order + self.number, n)
    }

    fn part(self) -> i64 {
        self.pick("l_partkey", PARTS)
    }

    fn supplier(self) -> i64 {
        source(self.part(), self.pick("l_suppkey", 4))
    }

    /// Every eighth order is of large quantities.
    fn quantity(self) -> i64 {
        match self.order % 8 {
            0 => 45 + self.pick("l_quantity", 6),
            _ => 1 + self.pick("l_quantity", 50),
        }
    }

    fn price(self) -> i64 {
        self.quantity() * (90_000 + 1_000 * self.part())
    }

    fn shipped(self) -> i64 {
        ordered(self.order) + 1 + self.pick("l_shipdate", 121)
    }

    fn committed(self) -> i64 {
        ordered(self.order) + 45 + self.pick("l_commitdate", 61)
    }

    fn received(self) -> i64 {
        self.shipped() + 1 + self.pick("l_receiptdate", 30)
    }

    fn is_open(self) -> bool {
        self.shipped() > TODAY
    }
}

/// One of the four suppliers of a part.
fn source(part: i64, place: i64) -> i64 {
    (part + SOURCES[place as usize]) % SUPPLIERS
}

fn ordered(order: i64) -> i64 {
    FIRST_DAY + pick("o_orderdate", order, DAYS)
}

fn order_status(order: i64) -> &'static str {
    match Line::of_order(order).filter(|line| line.is_open()).count() {
        0 => "F",
        open if open == Line::of_order(order).count() => "O",
        _ => "P",
    }
}

/// The rows of a table.
struct Rows<T>(Vec<T>);

impl<T: Copy> Rows<T> {
    fn ints(&self, of: impl Fn(T) -> i64) -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(
            self.0.iter().map(|row| of(*row)),
        ))
    }

    fn texts<S: AsRef<str>>(&self, of: impl Fn(T) -> S) -> ArrayRef {
        Arc::new(StringArray::from_iter_values(
            self.0.iter().map(|row| of(*row)),
        ))
    }

    fn dates(&self, of: impl Fn(T) -> i64) -> ArrayRef {
        let days = self.0.iter().map(|row| of(*row) as i32);
        Arc::new(Date32Array::from_iter_values(days))
    }
}

type Columns = Vec<(&'static str, ArrayRef)>;

fn tables() -> Vec<(&'static str, Columns)> {
    let count = |n: i64| Rows((0..n).collect::<Vec<i64>>());
    vec![
        ("region", region(&count(5))),
        ("nation", nation(&count(25))),
        ("supplier", supplier(&count(SUPPLIERS))),
        ("customer", customer(&count(CUSTOMERS))),
        ("part", part(&count(PARTS))),
        ("partsupp", partsupp(&count(4 * PARTS))),
        ("orders", orders(&count(ORDERS))),
        (
            "lineitem",
            lineitem(&Rows((0..ORDERS).flat_map(Line::of_order).collect())),
        ),
    ]
}

fn region(rows: &Rows<i64>) -> Columns {
    vec![
        ("r_regionkey", rows.ints(|row| row)),
        ("r_name", rows.texts(|row| REGIONS[row as usize])),
        ("r_comment", rows.texts(|row| comment("region", row))),
    ]
}

fn nation(rows: &Rows<i64>) -> Columns {
    vec![
        ("n_nationkey", rows.ints(|row| row)),
        ("n_name", rows.texts(|row| NATIONS[row as usize].0)),
        (
            "n_regionkey",
            rows.ints(|row| NATIONS[row as usize].1 as i64),
        ),
        ("n_comment", rows.texts(|row| comment("nation", row))),
    ]
}

fn supplier(rows: &Rows<i64>) -> Columns {
    let home = |row: i64| HOMES[(row % 7) as usize];
    vec![
        ("s_suppkey", rows.ints(|row| row + 1)),
        (
            "s_name",
            rows.texts(|row| format!("Supplier#{:09}", row + 1)),
        ),
        ("s_address", rows.texts(|row| format!("{row} Mill Road"))),
        ("s_nationkey", rows.ints(home)),
        ("s_phone", rows.texts(|row| phone(home(row), row))),
        (
            "s_acctbal",
            rows.ints(|row| pick("s_acctbal", row, 1_000_000)),
        ),
        ("s_comment", rows.texts(|row| comment("supplier", row))),
    ]
}

fn customer(rows: &Rows<i64>) -> Columns {
    let home = |row: i64| one_of("c_nationkey", row, &HOMES);
    vec![
        ("c_custkey", rows.ints(|row| row + 1)),
        (
            "c_name",
            rows.texts(|row| format!("Customer#{:09}", row + 1)),
        ),
        ("c_address", rows.texts(|row| format!("{row} Lake Street"))),
        ("c_nationkey", rows.ints(home)),
        ("c_phone", rows.texts(|row| phone(home(row), row))),
        (
            "c_acctbal",
            rows.ints(|row| pick("c_acctbal", row, 1_100_000) - 100_000),
        ),
        (
            "c_mktsegment",
            rows.texts(|row| one_of("c_mktsegment", row, &SEGMENTS)),
        ),
        ("c_comment", rows.texts(|row| comment("customer", row))),
    ]
}

fn part(rows: &Rows<i64>) -> Columns {
    let colour = |row: i64, place: i64| one_of("p_name", 3 * row + place, &COLOURS);
    let name = |row| format!("{} {} {}", colour(row, 0), colour(row, 1), colour(row, 2));
    let brand = |row: i64| pick("p_brand", row, 4) as usize;
    let kind = |row| {
        let kind = one_of("kind", row, &KINDS);
        let finish = one_of("finish", row, &FINISHES);
        format!("{kind} {finish} {}", one_of("metal", row, &METALS))
    };
    vec![
        ("p_partkey", rows.ints(|row| row + 1)),
        ("p_name", rows.texts(name)),
        (
            "p_mfgr",
            rows.texts(|row| format!("Manufacturer#{}", brand(row) + 1)),
        ),
        ("p_brand", rows.texts(|row| BRANDS[brand(row)])),
        ("p_type", rows.texts(kind)),
        ("p_size", rows.ints(|row| one_of("p_size", row, &SIZES))),
        (
            "p_container",
            rows.texts(|row| one_of("box", row, &CONTAINERS[brand(row)])),
        ),
        ("p_retailprice", rows.ints(|row| 90_000 + 1_000 * row)),
        ("p_comment", rows.texts(|row| comment("part", row))),
    ]
}

fn partsupp(rows: &Rows<i64>) -> Columns {
    vec![
        ("ps_partkey", rows.ints(|row| row / 4 + 1)),
        ("ps_suppkey", rows.ints(|row| source(row / 4, row % 4) + 1)),
        (
            "ps_availqty",
            rows.ints(|row| 1 + pick("ps_availqty", row, 100)),
        ),
        (
            "ps_supplycost",
            rows.ints(|row| 100 + pick("ps_supplycost", row, 100_000)),
        ),
        ("ps_comment", rows.texts(|row| comment("partsupp", row))),
    ]
}

fn orders(rows: &Rows<i64>) -> Columns {
    // Every third customer has none.
    let customer = |row| {
        let place = pick("o_custkey", row, CUSTOMERS * 2 / 3);
        place / 2 * 3 + place % 2 + 1
    };
    let total = |row| Line::of_order(row).map(Line::price).sum();
    vec![
        ("o_orderkey", rows.ints(|row| row + 1)),
        ("o_custkey", rows.ints(customer)),
        ("o_orderstatus", rows.texts(order_status)),
        ("o_totalprice", rows.ints(total)),
        ("o_orderdate", rows.dates(ordered)),
        (
            "o_orderpriority",
            rows.texts(|row| one_of("o_orderpriority", row, &PRIORITIES)),
        ),
        (
            "o_clerk",
            rows.texts(|row| format!("Clerk#{:09}", pick("o_clerk", row, 10))),
        ),
        ("o_shippriority", rows.ints(|_| 0)),
        ("o_comment", rows.texts(|row| comment("orders", row))),
    ]
}

fn lineitem(rows: &Rows<Line>) -> Columns {
    let flag = |line: Line| match line.received() {
        day if day > TODAY => "N",
        _ => ["A", "R"][line.pick("l_returnflag", 2) as usize],
    };
    let mode = |line: Line| MODES[line.pick("l_shipmode", 4) as usize];
    let instruction = |line: Line| INSTRUCTIONS[line.pick("l_shipinstruct", 2) as usize];
    let text = |line: Line| comment("lineitem", 8 * line.order + line.number);
    vec![
        ("l_orderkey", rows.ints(|line| line.order + 1)),
        ("l_partkey", rows.ints(|line| line.part() + 1)),
        ("l_suppkey", rows.ints(|line| line.supplier() + 1)),
        ("l_linenumber", rows.ints(|line| line.number)),
        ("l_quantity", rows.ints(Line::quantity)),
        ("l_extendedprice", rows.ints(Line::price)),
        ("l_discount", rows.ints(|line| line.pick("l_discount", 11))),
        ("l_tax", rows.ints(|line| line.pick("l_tax", 9))),
        ("l_returnflag", rows.texts(flag)),
        (
            "l_linestatus",
            rows.texts(|line| if line.is_open() { "O" } else { "F" }),
        ),
        ("l_shipdate", rows.dates(Line::shipped)),
        ("l_commitdate", rows.dates(Line::committed)),
        ("l_receiptdate", rows.dates(Line::received)),
        ("l_shipinstruct", rows.texts(instruction)),
        ("l_shipmode", rows.texts(mode)),
        ("l_comment", rows.texts(text)),
    ]
}

/// Registers the tables, each in up to ten batches, dealt to the partitions.
pub(super) fn register(context: &SessionContext, partitions: usize) {
    for (name, columns) in tables() {
        let rows = RecordBatch::try_from_iter(columns).expect("columns of one length");
        let length = rows.num_rows().div_ceil(10);
        let mut parts = vec![Vec::new(); partitions];
        for (place, start) in (0..rows.num_rows()).step_by(length).enumerate() {
            let batch = rows.slice(start, length.min(rows.num_rows() - start));
            parts[place % partitions].push(batch);
        }
        let table = MemTable::try_new(rows.schema(), parts).expect("a table");
        context
            .register_table(name, Arc::new(table))
            .expect("a free name");
    }
}
