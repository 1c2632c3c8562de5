"""Secondary indexes: find people by city and by email, one email once, and add an index to a store that is there."""

import tempfile
from dataclasses import dataclass

import anyio

import sopasync
from sopasync import BtreeOptions, IndexFieldSpecification, SecondaryIndex


@dataclass
class Address:
    """Where somebody lives."""

    city: str
    street: str = ""


@dataclass
class Person:
    """Somebody."""

    name: str
    email: str
    age: int
    address: Address


OPTIONS = BtreeOptions(
    indexes=[
        SecondaryIndex(
            "by_city", ["address.city", IndexFieldSpecification("age", ascending_sort_order=False)]
        ),
        SecondaryIndex("by_email", ["email"], unique=True),
    ]
)


async def main() -> None:
    """Declare indexes with the store, look up through them, and add one."""
    with tempfile.TemporaryDirectory() as folder:
        async with sopasync.Database(folder) as db:
            async with db.begin_transaction() as tx:
                people = await tx.new_btree("people", OPTIONS, value_type=Person)
                await people.add(
                    [
                        (1, Person("Ann", "ann@x.no", 34, Address("Oslo"))),
                        (2, Person("Bob", "bob@x.no", 51, Address("Bergen"))),
                        (3, Person("Cid", "cid@x.no", 72, Address("Oslo"))),
                    ]
                )

                # The index is there at once, and in the same commit: the oldest of a city come first.
                oldest = [person.name async for person in people.index("by_city").values(equals="Oslo")]
                print(f"In Oslo, the oldest first: {oldest}")
                assert oldest == ["Cid", "Ann"]

                found = await people.index("by_email").get("bob@x.no")
                assert found is not None
                assert found.name == "Bob"
                try:
                    await people.add(4, Person("Eve", "bob@x.no", 20, Address("Alta")))
                except sopasync.UniqueIndexError as error:
                    print(f"As expected: {error}")

            # Added later: it is built in the background, and used once it is complete.
            async with db.begin_transaction() as tx:
                await tx.create_index("people", SecondaryIndex("by_name", ["name"]))
            await db.settle("people")
            async with db.begin_transaction() as tx:
                people = await tx.open_btree("people", value_type=Person)
                print([name["name"] async for name, _ in people.index("by_name").entries(start="B")])


anyio.run(main)
