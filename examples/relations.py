"""Relations: orders of customers, enforced; students and courses through a link store; joins and related items."""

import tempfile
from dataclasses import dataclass

import anyio

import sopasync
from sopasync import BtreeOptions, Relation, SecondaryIndex


@dataclass
class Enrolment:
    """Keys of the link store: who takes what."""

    student: int
    course: str


async def shop(tx: sopasync.Transaction) -> None:
    """Orders of customers: one to many, and enforced."""
    customers = await tx.new_btree("customers")
    orders = await tx.new_btree(
        "orders",
        # Enforced: an order needs its customer, and a customer with orders stays.
        BtreeOptions(relations=[Relation(["customer"], "customers", ["id"], on_delete="restrict")]),
    )
    await customers.add([("ann", {"name": "Ann"}), ("bob", {"name": "Bob"})])
    await orders.add([(1, {"customer": "bob", "total": 20}), (2, {"customer": "ann", "total": 30})])
    await orders.add(3, {"customer": "bob", "total": 5})

    # One to many, in the order of customers.
    async for row in tx.join(customers, orders):
        print(f"{row.left.value['name']} ordered {row.right.key} for {row.right.value['total']}")
    # And from one item.
    assert [order.key async for order in tx.related(customers, "bob", orders)] == [1, 3]
    try:
        await customers.remove("bob")
    except sopasync.RelationError as error:
        print(f"As expected: {error}")


async def school(tx: sopasync.Transaction) -> None:
    """Students and courses: many to many."""
    students = await tx.new_btree("students")
    courses = await tx.new_btree("courses")
    enrolments = await tx.new_btree(
        "enrolments",
        BtreeOptions(
            relations=[
                Relation(["student"], "students", ["id"], on_delete="cascade"),
                Relation(["course"], "courses", ["id"], on_delete="cascade"),
            ],
            indexes=[SecondaryIndex("by_course", ["course"])],
        ),
        key_type=Enrolment,
    )
    await students.add([(1, "Ida"), (2, "Per"), (3, "Una")])
    await courses.add([("algebra", "Mon"), ("botany", "Tue")])
    for student, course in [(1, "algebra"), (1, "botany"), (3, "algebra")]:
        await enrolments.add(Enrolment(student, course), {})

    # Many to many, through the link store.
    pairs = [(row.left.value, row.right.key) async for row in tx.join(students, courses, through=enrolments)]
    print(f"Who takes what: {pairs}")
    assert [s.value async for s in tx.related(courses, "algebra", students, through=enrolments)] == [
        "Ida",
        "Una",
    ]

    # A student who leaves takes the enrolments along, in the same commit.
    await students.remove(1)
    assert await enrolments.count() == 1


async def main() -> None:
    """Show both in one transaction."""
    with tempfile.TemporaryDirectory() as folder:
        async with sopasync.Database(folder) as db, db.begin_transaction() as tx:
            await shop(tx)
            await school(tx)


anyio.run(main)
